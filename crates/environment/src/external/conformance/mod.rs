//! Whether a world keeps to the protocol: named checks, each with what to do about it.
//!
//! Every check has sessions of its own, so that one that fails does not spoil the next.

mod checks;
mod play;

use std::time::Duration;

use self::checks::Finding;
use super::{ExternalSettings, Hello, Scene, SessionError, TaskDescription, open_session};

/// What the checks found.
#[derive(Debug, Clone, PartialEq)]
pub struct ConformanceReport {
    /// What the world said about itself; `None` when there was no handshake.
    pub hello: Option<Hello>,
    /// Every check, in the order in which they ran.
    pub checks: Vec<Check>,
    /// How fast it answers; `None` when it does not.
    pub latency: Option<Latency>,
}

impl ConformanceReport {
    /// How many checks failed.
    #[must_use]
    pub fn n_failed(&self) -> usize {
        self.checks.iter().filter(|check| matches!(check.verdict, Verdict::Failed { .. })).count()
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// How it went.
    pub verdict: Verdict,
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should; with what was seen.
    Passed(String),
    /// Not as it should.
    Failed {
        /// What was seen.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// Not done, and why.
    Skipped(String),
}

/// How fast a world answers. Medians and 99th percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// From the start to the end of the handshake.
    pub start: Duration,
    /// A reset, median.
    pub reset: Duration,
    /// A step, median.
    pub step: Duration,
    /// A step that is slower than 99 of 100.
    pub step_p99: Duration,
    /// How many steps were measured.
    pub n_steps: usize,
}

/// Seed of the episodes that the checks play.
const EPISODE_SEED: u32 = 1;

/// What is checked.
struct Subject<'a> {
    settings: &'a ExternalSettings,
    hello: Hello,
    scene: Scene,
}

/// Runs every check against the world that `settings` describe. The scene is that of the world's first task, or of `seed` when
/// it lists none.
#[must_use]
pub fn check_environment(settings: &ExternalSettings, seed: u64) -> ConformanceReport {
    let subject = match shake_hands(settings, seed) {
        Ok(subject) => subject,
        Err(error) => {
            let mut checks = vec![Check { name: "handshake", verdict: failed_by(&error, checks::HANDSHAKE_HINT) }];
            let others = checks::CHECKS.iter().map(|check| check.name);
            let skipped = || Verdict::Skipped("there was no handshake".to_owned());
            checks.extend(others.map(|name| Check { name, verdict: skipped() }));
            return ConformanceReport { hello: None, checks, latency: None };
        }
    };
    let hello = &subject.hello;
    let introduction =
        format!("`{}`, deterministic: {}, signals: {}", hello.name, hello.is_deterministic, hello.n_signals);
    let mut checks = vec![Check { name: "handshake", verdict: Verdict::Passed(introduction) }];
    checks.extend(checks::CHECKS.iter().map(|check| {
        let verdict = match (check.run)(&subject) {
            Ok(Finding::Passed(detail)) => Verdict::Passed(detail),
            Ok(Finding::Failed(reason)) => Verdict::Failed { reason, hint: check.hint.to_owned() },
            Ok(Finding::Skipped(why)) => Verdict::Skipped(why.to_owned()),
            Err(error) => failed_by(&error, check.hint),
        };
        Check { name: check.name, verdict }
    }));
    let latency = play::measure_latency(&subject).ok();
    ConformanceReport { hello: Some(subject.hello), checks, latency }
}

fn shake_hands(settings: &ExternalSettings, seed: u64) -> Result<Subject<'_>, SessionError> {
    let mut session = open_session(settings)?;
    let hello = session.hello().clone();
    let tasks = session.tasks().ok().flatten().unwrap_or_default();
    Ok(Subject { settings, hello, scene: scene_of(tasks.first(), seed) })
}

/// The scene of a task, or of a task that was made up for the occasion.
fn scene_of(task: Option<&TaskDescription>, seed: u64) -> Scene {
    let made_up = TaskDescription {
        task_id: "check".to_owned(),
        split: "test".to_owned(),
        seed,
        instruction: "Show that the environment keeps to the protocol.".to_owned(),
        horizon: play::MAX_STEPS,
        kind: None,
        group: None,
    };
    Scene::of_description(task.unwrap_or(&made_up), EPISODE_SEED)
}

fn failed_by(error: &SessionError, hint: &str) -> Verdict {
    let text = error.to_string();
    let (reason, own_hint) = match text.split_once("\nhint: ") {
        Some((reason, own_hint)) => (reason.to_owned(), own_hint.to_owned()),
        None => (text, hint.to_owned()),
    };
    Verdict::Failed { reason, hint: own_hint }
}
