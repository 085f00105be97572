//! An environment behind a session, which outlives the session.

use std::sync::Arc;

use tollgate_rollout::{Environment, EnvironmentError, Outcome, Transition};
use tollgate_routing::{Observation, Task};

use super::{ENVIRONMENT, ExternalSettings, ExternalWorlds, Info, ResetReply, Scene, Session, SessionError, StepReply};
use crate::TextWorld;
use crate::process::excerpt;

/// A world outside of this program.
///
/// A session that breaks is replaced. In the middle of an episode, the commands so far are said again, and what the new
/// session shows is compared with what the old one showed. A world that does not call itself deterministic cannot be
/// brought back to where it was: then the episode fails.
pub struct ExternalEnvironment {
    worlds: Arc<ExternalWorlds>,
    session: Option<Box<dyn Session>>,
    episode: Episode,
    n_restarts_in_all: u64,
}

/// What is known of the episode that is played.
#[derive(Default)]
struct Episode {
    scene: Option<Scene>,
    first_observation: String,
    past: Vec<PastStep>,
    admissible: Vec<String>,
    expert: Option<String>,
    has_expert: bool,
    outcome: Outcome,
    is_over: bool,
    n_restarts: u32,
}

/// A step that can be repeated, and what it showed.
struct PastStep {
    command: String,
    observation: String,
}

impl ExternalEnvironment {
    /// An environment without a session: it gets one at the first reset.
    pub(crate) fn new(worlds: Arc<ExternalWorlds>) -> Self {
        Self { worlds, session: None, episode: Episode::default(), n_restarts_in_all: 0 }
    }

    /// How often a session was replaced since this environment was made.
    #[must_use]
    pub const fn n_restarts(&self) -> u64 {
        self.n_restarts_in_all
    }

    fn session(&mut self) -> Result<&mut Box<dyn Session>, SessionError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.worlds.take()?,
        };
        Ok(self.session.insert(session))
    }

    /// Throws the session away: nothing more is to be said in it.
    fn drop_session(&mut self) {
        if self.session.take().is_some() {
            self.worlds.forget();
        }
    }

    /// Does `call`, with a new session each time that the session breaks, as often as the settings allow.
    fn with_restarts<T>(
        &mut self,
        mut call: impl FnMut(&mut Self) -> Result<T, SessionError>,
    ) -> Result<T, EnvironmentError> {
        loop {
            let error = match call(self) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if !error.is_broken_session() {
                return Err(failed(&error));
            }
            // Question and answer may be out of step.
            self.drop_session();
            if self.episode.n_restarts >= self.worlds.settings().max_restarts {
                let n_restarts = self.episode.n_restarts;
                return Err(match n_restarts {
                    0 => failed(&error),
                    _ => failed(&format!("{error}\nhint: so it went after {n_restarts} restarts as well")),
                });
            }
            tracing::warn!(reason = %error, "an environment broke and is replaced");
            self.episode.n_restarts += 1;
            self.n_restarts_in_all += 1;
        }
    }

    /// Whether the world named an expert's command in this episode.
    pub(crate) const fn has_expert(&self) -> bool {
        self.episode.has_expert
    }

    /// Begins an episode in a scene.
    pub(crate) fn set_scene(&mut self, scene: Scene) -> Result<Observation, EnvironmentError> {
        self.episode = Episode::default();
        let reply = self.with_restarts(|world| world.begin(&scene))?;
        let signals = reply.info.signals.clone().unwrap_or_default();
        self.episode.scene = Some(scene);
        self.episode.first_observation.clone_from(&reply.observation);
        self.episode.take_in(reply.info, false);
        Ok(Observation { text: reply.observation, signals })
    }

    /// Kills the session's process, as an accident would; `false` where there is none of ours.
    pub(crate) fn kill_session(&mut self) -> bool {
        self.session.as_mut().is_some_and(|session| session.kill())
    }

    fn begin(&mut self, scene: &Scene) -> Result<ResetReply, SessionError> {
        self.session()?.reset(scene)
    }

    /// Brings a new session to where the old one was, and then does the step.
    fn replay_and_step(&mut self, command: &str) -> Result<StepReply, SessionError> {
        if self.session.is_some() {
            return self.session()?.step(command);
        }
        let Some(scene) = self.episode.scene.clone() else { return self.session()?.step(command) };
        let reply = self.begin(&scene)?;
        check_replay(self.worlds.settings(), 0, &self.episode.first_observation, &reply.observation)?;
        let past = std::mem::take(&mut self.episode.past);
        let replayed = past.iter().zip(1..).try_for_each(|(step, step_idx)| {
            let reply = self.session()?.step(&step.command)?;
            check_replay(self.worlds.settings(), step_idx, &step.observation, &reply.observation)
        });
        self.episode.past = past;
        replayed?;
        self.session()?.step(command)
    }

    fn take_in(&mut self, reply: StepReply, command: &str) -> Transition {
        let StepReply { observation, reward, terminated, truncated, info } = reply;
        let is_final = terminated || truncated;
        let signals = info.signals.clone().unwrap_or_default();
        self.episode.take_in(info, terminated && reward > 0.0);
        self.episode.is_over = is_final;
        self.episode.past.push(PastStep { command: command.to_owned(), observation: observation.clone() });
        Transition::new(Observation { text: observation, signals }, reward, is_final)
    }
}

impl Drop for ExternalEnvironment {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.worlds.give_back(session);
        }
    }
}

impl Episode {
    /// `is_solved_by_reward`: what the reward says, for worlds that say nothing else.
    fn take_in(&mut self, info: Info, is_solved_by_reward: bool) {
        self.admissible = info.admissible_commands.unwrap_or_default();
        self.has_expert |= info.expert_command.is_some();
        self.expert = info.expert_command;
        // A world that says one of the two only means both by it; one that says nothing now means what it said last.
        let (is_success, score) = match (info.is_success, info.score) {
            (Some(is_success), Some(score)) => (is_success, score),
            (Some(is_success), None) => (is_success, f32::from(u8::from(is_success))),
            (None, Some(score)) => (score >= 1.0, score),
            (None, None) if is_solved_by_reward => (true, 1.0),
            (None, None) => return,
        };
        self.outcome = Outcome { is_success, score };
    }
}

impl Environment for ExternalEnvironment {
    fn reset(&mut self, task: &Task, seed: u64) -> Result<Observation, EnvironmentError> {
        if &*task.environment != ENVIRONMENT {
            return Err(EnvironmentError::WrongTask {
                task: task.id.to_string(),
                found: task.environment.to_string(),
                expected: ENVIRONMENT.to_owned(),
            });
        }
        self.set_scene(Scene::of(task, seed))
    }

    fn step(&mut self, completion: &str) -> Result<Transition, EnvironmentError> {
        if self.episode.is_over || self.episode.scene.is_none() {
            return Err(failed(&"a step was asked for outside of an episode"));
        }
        let is_deterministic = self.session.as_ref().is_some_and(|session| session.hello().is_deterministic);
        let reply = self.with_restarts(|world| {
            let reply = world.replay_and_step(completion);
            match reply {
                Err(error) if error.is_broken_session() && !is_deterministic => {
                    world.drop_session();
                    Err(cannot_replay(&error))
                }
                reply => reply,
            }
        })?;
        Ok(self.take_in(reply, completion))
    }

    fn outcome(&self) -> Outcome {
        self.episode.outcome
    }
}

impl TextWorld for ExternalEnvironment {
    fn admissible(&self) -> &[String] {
        &self.episode.admissible
    }

    fn expert(&self) -> Option<&str> {
        self.episode.expert.as_deref()
    }
}

fn failed(reason: &impl ToString) -> EnvironmentError {
    EnvironmentError::Failed { environment: ENVIRONMENT.to_owned(), reason: reason.to_string() }
}

/// An error that no restart mends.
fn cannot_replay(error: &SessionError) -> SessionError {
    SessionError::Settings {
        peer: "in the middle of an episode".to_owned(),
        reason: format!(
            "{error}\nhint: an environment that says `is_deterministic` in its `hello` is restarted, and the episode replayed"
        ),
    }
}

fn check_replay(settings: &ExternalSettings, step_idx: usize, expected: &str, found: &str) -> Result<(), SessionError> {
    if expected == found {
        return Ok(());
    }
    Err(SessionError::Settings {
        peer: settings.connection.peer(),
        reason: format!(
            "after a restart, observation {step_idx} of the replayed episode is {}, expected {}\nhint: the environment calls itself deterministic; the same seed, options and commands have to give the same observations",
            excerpt(found),
            excerpt(expected)
        ),
    })
}
