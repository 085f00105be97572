//! `ScienceWorld` as an environment.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use tollgate_rollout::{Environment, EnvironmentError, Outcome, Transition};
use tollgate_routing::{Observation, Task};

use super::ENVIRONMENT;
use super::error::ScienceWorldError;
use super::expert::Expert;
use super::gold_path::{gold_path, is_final, place_of};
use super::shared::{ScienceWorld, Worker};
use super::simulator::REFUSAL;
use super::transitions::{Next, NodeId, Scene, SceneKey};
use crate::TextWorld;

/// One player's view of [`ScienceWorld`].
///
/// It holds a JVM from the first answer that nobody remembers to the end of its life, and then gives it back.
#[derive(Debug)]
pub struct ScienceWorldEnvironment {
    world: Arc<ScienceWorld>,
    held: RefCell<Option<Worker>>,
    offers: Offers,
    episode: Option<EpisodeState>,
}

/// Which commands are admissible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offers {
    /// Those that the simulator would carry out now. Asking takes ten times as long as a step.
    Exact,
    /// Those that it would carry out at the same place before anything was done there. They are asked for once per place, which
    /// is enough for models that only look for plausible mistakes.
    AtFirst,
}

#[derive(Debug)]
struct EpisodeState {
    scene: Arc<Scene>,
    node: NodeId,
    place: Arc<str>,
    expert: Expert,
    /// 0 to 1.
    score: f32,
    /// Asked for only where somebody wants to know.
    admissible: OnceCell<Arc<[String]>>,
    failure: OnceCell<ScienceWorldError>,
}

impl ScienceWorldEnvironment {
    /// A player in `world`.
    #[must_use]
    pub fn new(world: Arc<ScienceWorld>, offers: Offers) -> Self {
        Self { world, held: RefCell::new(None), offers, episode: None }
    }

    /// The process id of the JVM that it holds.
    #[cfg(test)]
    pub(crate) fn jvm(&self) -> Option<u32> {
        self.held.borrow().as_ref().map(Worker::id)
    }

    fn begin(&mut self, task: &Task, key: &SceneKey) -> Result<Observation, ScienceWorldError> {
        let held = self.held.get_mut();
        let scene = self.world.scene(key);
        let opening = self.world.opening(held, &scene)?;
        if opening.description != *task.instruction {
            return Err(ScienceWorldError::Version {
                what: format!("the simulator's description of `{}`", task.id),
                found: format!("{:?}", opening.description),
                expected: format!("{:?} as in the task set", task.instruction),
            });
        }
        let path = gold_path(&self.world, held, &scene)?;
        let place = place_of(&opening.view);
        self.episode = Some(EpisodeState {
            scene,
            node: NodeId::ROOT,
            place: place.clone(),
            expert: Expert::new(path, place),
            score: 0.0,
            admissible: OnceCell::new(),
            failure: OnceCell::new(),
        });
        Ok(Observation::from_text(opening.view.clone()))
    }
}

impl Environment for ScienceWorldEnvironment {
    fn reset(&mut self, task: &Task, _seed: u64) -> Result<Observation, EnvironmentError> {
        let key = scene_of(task)?;
        Ok(self.begin(task, &key)?)
    }

    fn step(&mut self, completion: &str) -> Result<Transition, EnvironmentError> {
        let Some(episode) = &mut self.episode else {
            return Err(EnvironmentError::Failed {
                environment: ENVIRONMENT.to_owned(),
                reason: "a step before the first reset".to_owned(),
            });
        };
        if let Some(failure) = episode.failure.take() {
            return Err(failure.into());
        }
        let command = completion.trim();
        let next = self.world.advance(self.held.get_mut(), &episode.scene, episode.node, command)?;
        Ok(episode.take(command, &next))
    }

    fn outcome(&self) -> Outcome {
        let score = self.episode.as_ref().map_or(0.0, |episode| episode.score);
        Outcome { is_success: score >= 1.0, score }
    }
}

impl EpisodeState {
    fn offered_at_first(
        &self,
        world: &ScienceWorld,
        held: &mut Option<Worker>,
    ) -> Result<Arc<[String]>, ScienceWorldError> {
        let opening = world.opening(held, &self.scene)?;
        let node = if place_of(&opening.view) == self.place {
            NodeId::ROOT
        } else {
            match world.advance(held, &self.scene, NodeId::ROOT, &format!("teleport to {}", self.place))? {
                Next::To(node, _) => node,
                Next::Refused => NodeId::ROOT,
            }
        };
        world.admissible(held, &self.scene, node)
    }

    fn take(&mut self, command: &str, next: &Next) -> Transition {
        if let Next::To(node, answer) = next {
            self.node = *node;
            if let Some(view) = &answer.view {
                self.place = place_of(view);
            }
            self.admissible = OnceCell::new();
        }
        self.expert.observe(command, next, &self.place);
        match next {
            Next::Refused => Transition::new(Observation::from_text(REFUSAL), 0.0, false),
            Next::To(_, answer) => {
                // A negative score says that the task is beyond help; nothing of it counts then.
                let before = std::mem::replace(&mut self.score, f32::from(answer.score.clamp(0, 100)) / 100.0);
                let mut text = answer.text.clone();
                if let Some(view) = &answer.view {
                    text.push('\n');
                    text.push_str(view);
                }
                Transition::new(Observation::from_text(text), self.score - before, is_final(answer))
            }
        }
    }
}

impl TextWorld for ScienceWorldEnvironment {
    fn admissible(&self) -> &[String] {
        let Some(episode) = &self.episode else { return &[] };
        episode.admissible.get_or_init(|| {
            let held = &mut self.held.borrow_mut();
            let asked = match self.offers {
                Offers::Exact => self.world.admissible(held, &episode.scene, episode.node),
                Offers::AtFirst => episode.offered_at_first(&self.world, held),
            };
            asked.unwrap_or_else(|failure| {
                // There is no way to fail here: the next step does.
                let _ = episode.failure.set(failure);
                Arc::default()
            })
        })
    }

    fn expert(&self) -> Option<&str> {
        self.episode.as_ref().and_then(|episode| episode.expert.advice())
    }
}

impl Drop for ScienceWorldEnvironment {
    fn drop(&mut self) {
        self.world.give_back(self.held.get_mut());
    }
}

/// The scene of a task: its kind is the task type, its seed the number of the variation.
fn scene_of(task: &Task) -> Result<SceneKey, EnvironmentError> {
    let variation = i32::try_from(task.seed).ok();
    match (&*task.environment, &task.kind, variation) {
        (ENVIRONMENT, Some(kind), Some(variation)) => Ok(SceneKey { kind: kind.clone(), variation }),
        (ENVIRONMENT, ..) => Err(EnvironmentError::Failed {
            environment: ENVIRONMENT.to_owned(),
            reason: format!(
                "task `{}` has kind {:?} and seed {}, expected a task type and the number of a variation\nhint: `tollgate tasks --suite scienceworld` makes task sets",
                task.id, task.kind, task.seed
            ),
        }),
        (found, ..) => Err(EnvironmentError::WrongTask {
            task: task.id.to_string(),
            found: found.to_owned(),
            expected: ENVIRONMENT.to_owned(),
        }),
    }
}
