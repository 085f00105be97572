//! What all threads of a process share: the installation, idle JVMs, and the scenes that are remembered.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::archive::Archive;
use super::error::ScienceWorldError;
use super::installation::{Installation, ScienceWorldSettings};
use super::simulator::{Opening, Simulator};
use super::transitions::{Next, NodeId, Scene, SceneKey};

/// How often a JVM is started anew for one answer before the episode fails.
const MAX_RESTARTS: u32 = 3;

/// ScienceWorld, ready to be played by any number of threads. A JVM is started when one is needed and none is idle, so there
/// are as many as threads that play; all end when this is dropped, and when the program ends, however it does.
pub struct ScienceWorld {
    settings: ScienceWorldSettings,
    installation: Installation,
    archive: Option<Archive>,
    idle: Mutex<Vec<Worker>>,
    scenes: Mutex<HashMap<SceneKey, Arc<Scene>>>,
    n_episodes: AtomicU64,
    n_scenes: AtomicU64,
    n_recalled: AtomicU64,
    n_stepped: AtomicU64,
    n_replayed: AtomicU64,
    n_loaded: AtomicU64,
    n_started: AtomicU64,
}

/// How the answers came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScienceWorldUsage {
    /// Steps whose answer was remembered.
    pub n_recalled: u64,
    /// Steps that the simulator was asked for.
    pub n_stepped: u64,
    /// Steps that were played again only to get a simulator to where it was needed.
    pub n_replayed: u64,
    /// Scenes set anew.
    pub n_loaded: u64,
    /// JVMs started.
    pub n_started: u64,
}

/// A simulator, and where in which scene it stands.
#[derive(Debug)]
pub(crate) struct Worker {
    simulator: Simulator,
    at: Option<(u64, NodeId)>,
}

/// How a simulator came to where it was needed.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// The scene had to be set anew.
    is_from_the_start: bool,
    /// Steps that were played again.
    n_steps: u64,
}

impl ScienceWorld {
    /// Finds the simulator; nothing is started yet.
    ///
    /// # Errors
    /// [`ScienceWorldError::NoSimulator`] with what to install; [`ScienceWorldError::NoArchive`].
    pub fn new(settings: ScienceWorldSettings) -> Result<Self, ScienceWorldError> {
        let installation = Installation::find(&settings)?;
        let archive =
            settings.answers.as_deref().map(|directory| Archive::open(directory, &installation)).transpose()?;
        Ok(Self {
            settings,
            installation,
            archive,
            idle: Mutex::default(),
            scenes: Mutex::default(),
            n_episodes: AtomicU64::new(0),
            n_scenes: AtomicU64::new(0),
            n_recalled: AtomicU64::new(0),
            n_stepped: AtomicU64::new(0),
            n_replayed: AtomicU64::new(0),
            n_loaded: AtomicU64::new(0),
            n_started: AtomicU64::new(0),
        })
    }

    /// The settings that it was made with.
    #[must_use]
    pub fn settings(&self) -> &ScienceWorldSettings {
        &self.settings
    }

    /// How the answers so far came about.
    #[must_use]
    pub fn usage(&self) -> ScienceWorldUsage {
        ScienceWorldUsage {
            n_recalled: self.n_recalled.load(Ordering::Relaxed),
            n_stepped: self.n_stepped.load(Ordering::Relaxed),
            n_replayed: self.n_replayed.load(Ordering::Relaxed),
            n_loaded: self.n_loaded.load(Ordering::Relaxed),
            n_started: self.n_started.load(Ordering::Relaxed),
        }
    }

    /// What is remembered of a scene. Forgets the longest unused scenes when there is too much; episodes that are being played
    /// in them keep them to their end.
    pub(crate) fn scene(&self, key: &SceneKey) -> Arc<Scene> {
        let now = self.n_episodes.fetch_add(1, Ordering::Relaxed);
        let known = lock(&self.scenes).get(key).cloned();
        let scene = known.unwrap_or_else(|| self.recall_scene(key));
        scene.touch(now);
        if let Some(archive) = &self.archive {
            archive.save_grown(&scene);
        }
        scene
    }

    /// A scene that this process did not know, or forgot.
    fn recall_scene(&self, key: &SceneKey) -> Arc<Scene> {
        let id = self.n_scenes.fetch_add(1, Ordering::Relaxed);
        // Not under the lock: others go on while this one is read. Two threads may read it at the same time: the first one's stays.
        let scene = match &self.archive {
            Some(archive) => archive.load(key, id),
            None => Scene::new(key.clone(), id),
        };
        let mut scenes = lock(&self.scenes);
        self.forget_surplus(&mut scenes);
        scenes.entry(key.clone()).or_insert_with(|| Arc::new(scene)).clone()
    }

    fn forget_surplus(&self, scenes: &mut HashMap<SceneKey, Arc<Scene>>) {
        let mut total: usize = scenes.values().map(|scene| scene.n_nodes()).sum();
        while total > self.settings.max_transitions {
            let Some(oldest) = scenes.values().min_by_key(|scene| scene.last_used()).cloned() else { return };
            total -= oldest.n_nodes().min(total);
            scenes.remove(&oldest.key);
            if let Some(archive) = &self.archive {
                archive.save(&oldest);
            }
        }
    }

    /// How a scene begins.
    pub(crate) fn opening(&self, held: &mut Option<Worker>, scene: &Scene) -> Result<Arc<Opening>, ScienceWorldError> {
        if let Some(opening) = scene.opening.get() {
            return Ok(opening.clone());
        }
        let opening = self.ask(held, scene, NodeId::ROOT, Simulator::opening)?;
        Ok(scene.remember_opening(opening))
    }

    /// The commands of the simulator's own way to solve a scene's task.
    pub(crate) fn solution<'scene>(
        &self,
        held: &mut Option<Worker>,
        scene: &'scene Scene,
    ) -> Result<&'scene [String], ScienceWorldError> {
        if let Some(commands) = scene.solution.get() {
            return Ok(commands);
        }
        let SceneKey { kind, variation } = &scene.key;
        let commands = self.ask_anywhere(held, |simulator| simulator.gold_path(kind, *variation))?;
        Ok(scene.remember_solution(commands))
    }

    /// Where `command` leads from `node`: remembered, or found out.
    pub(crate) fn advance(
        &self,
        held: &mut Option<Worker>,
        scene: &Scene,
        node: NodeId,
        command: &str,
    ) -> Result<Next, ScienceWorldError> {
        if let Some(next) = scene.next(node, command) {
            self.n_recalled.fetch_add(1, Ordering::Relaxed);
            return Ok(next);
        }
        self.n_stepped.fetch_add(1, Ordering::Relaxed);
        let answer = self.ask(held, scene, node, |simulator| simulator.step(command))?;
        let next = scene.remember(node, command, answer);
        if let (Next::To(child, _), Some(worker)) = (&next, held) {
            worker.at = Some((scene.id, *child));
        }
        Ok(next)
    }

    /// The commands that could be carried out at `node`.
    pub(crate) fn admissible(
        &self,
        held: &mut Option<Worker>,
        scene: &Scene,
        node: NodeId,
    ) -> Result<Arc<[String]>, ScienceWorldError> {
        if let Some(commands) = scene.admissible(node) {
            return Ok(commands);
        }
        let commands = self.ask(held, scene, node, Simulator::admissible)?;
        if let Some(worker) = held {
            // The list was put together by lot, with the numbers that the scene's further course would have drawn.
            worker.at = None;
        }
        Ok(scene.remember_admissible(node, commands))
    }

    /// Asks a simulator that knows no scene, or any.
    pub(crate) fn ask_anywhere<T>(
        &self,
        held: &mut Option<Worker>,
        question: impl Fn(&mut Simulator) -> Result<T, ScienceWorldError>,
    ) -> Result<T, ScienceWorldError> {
        self.insist(held, None, |worker| {
            worker.at = None;
            question(&mut worker.simulator)
        })
    }

    /// Gives a simulator back for others to use.
    pub(crate) fn give_back(&self, held: &mut Option<Worker>) {
        lock(&self.idle).extend(held.take());
    }

    /// Asks a simulator that stands at `node` of `scene`.
    fn ask<T>(
        &self,
        held: &mut Option<Worker>,
        scene: &Scene,
        node: NodeId,
        question: impl Fn(&mut Simulator) -> Result<T, ScienceWorldError>,
    ) -> Result<T, ScienceWorldError> {
        self.insist(held, Some((scene.id, node)), |worker| {
            let way = worker.go_to(scene, node)?;
            self.n_loaded.fetch_add(u64::from(way.is_from_the_start), Ordering::Relaxed);
            self.n_replayed.fetch_add(way.n_steps, Ordering::Relaxed);
            question(&mut worker.simulator)
        })
    }

    /// Asks until there is an answer. A JVM that failed is thrown away, and the next one is brought to where it was.
    fn insist<T>(
        &self,
        held: &mut Option<Worker>,
        wanted: Option<(u64, NodeId)>,
        question: impl Fn(&mut Worker) -> Result<T, ScienceWorldError>,
    ) -> Result<T, ScienceWorldError> {
        let mut n_restarts = 0;
        loop {
            let worker = match held {
                Some(worker) => worker,
                None => held.insert(self.check_out(wanted)?),
            };
            match question(worker) {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    *held = None;
                    if !error.is_worth_a_restart() || n_restarts == MAX_RESTARTS {
                        return Err(error);
                    }
                    n_restarts += 1;
                }
            }
        }
    }

    /// An idle simulator, best one that stands where it is wanted or at least in the same scene; else a new one.
    fn check_out(&self, wanted: Option<(u64, NodeId)>) -> Result<Worker, ScienceWorldError> {
        let mut idle = lock(&self.idle);
        let scene_of = |at: Option<(u64, NodeId)>| at.map(|(scene, _)| scene);
        let best = (0..idle.len())
            .max_by_key(|&position| (idle[position].at == wanted, scene_of(idle[position].at) == scene_of(wanted)));
        if let Some(position) = best {
            return Ok(idle.swap_remove(position));
        }
        // Not under the lock: others go on while this one starts.
        drop(idle);
        self.n_started.fetch_add(1, Ordering::Relaxed);
        let simulator = Simulator::start(&self.installation, &self.settings)?;
        Ok(Worker { simulator, at: None })
    }
}

impl Drop for ScienceWorld {
    /// Keeps what is new, and says what it cost, if anything: a simulator's step is what a run in it waits for.
    fn drop(&mut self) {
        if let Some(archive) = &self.archive {
            lock(&self.scenes).values().for_each(|scene| archive.save(scene));
        }
        let usage = self.usage();
        if usage == ScienceWorldUsage::default() {
            return;
        }
        tracing::info!(
            recalled = usage.n_recalled,
            stepped = usage.n_stepped,
            replayed = usage.n_replayed,
            loaded = usage.n_loaded,
            jvms = usage.n_started,
            "ScienceWorld's steps"
        );
    }
}

impl fmt::Debug for ScienceWorld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ScienceWorld").field("usage", &self.usage()).finish_non_exhaustive()
    }
}

impl Worker {
    /// The JVM's process id.
    #[cfg(test)]
    pub(crate) fn id(&self) -> u32 {
        self.simulator.id()
    }

    /// Brings the simulator to `node`, from where it stands if that lies on the way.
    fn go_to(&mut self, scene: &Scene, node: NodeId) -> Result<Way, ScienceWorldError> {
        let behind = match self.at.take() {
            Some((id, at)) if id == scene.id => scene.path(at, node),
            _ => None,
        };
        let is_from_the_start = behind.is_none();
        let path = if let Some(path) = behind {
            path
        } else {
            self.simulator.load(&scene.key.kind, scene.key.variation)?;
            scene.path(NodeId::ROOT, node).unwrap_or_default()
        };
        for (command, expected) in &path {
            let found = self.simulator.step(command)?;
            if found != **expected {
                return Err(ScienceWorldError::Conversation(format!(
                    "the simulator answered `{command}` with {:?}, expected {:?} as the first time",
                    found.text, expected.text
                )));
            }
        }
        self.at = Some((scene.id, node));
        Ok(Way { is_from_the_start, n_steps: path.len() as u64 })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nobody panics while holding a lock; and if so, the lists are sound at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
