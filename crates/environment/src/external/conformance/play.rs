//! Short episodes for the checks to look at.

use std::time::{Duration, Instant};

use super::super::{Info, Scene, Session, SessionError, open_session};
use super::{Latency, Subject};

/// The most steps that a check plays.
pub(super) const MAX_STEPS: u32 = 200;
/// Said where a world names no command of its own.
const ANY_COMMAND: &str = "look";
/// How long latency is measured at most.
const MEASURE_FOR: Duration = Duration::from_secs(2);
/// Resets that are measured.
const N_RESETS: usize = 10;
/// Steps that are measured.
const N_STEPS: usize = 500;

/// What a session showed: the observations from the reset on, and how it ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Played {
    pub(super) commands: Vec<String>,
    pub(super) observations: Vec<String>,
    pub(super) has_ended: bool,
    /// Whether each step had an expert's command.
    pub(super) is_expert: bool,
    pub(super) is_success: Option<bool>,
    pub(super) score: Option<f32>,
}

impl Played {
    fn take_in(&mut self, observation: String, info: &Info) {
        self.observations.push(observation);
        self.is_success = info.is_success.or(self.is_success);
        self.score = info.score.or(self.score);
    }

    /// Where two episodes that should be the same part, in words.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let pairs = self.observations.iter().zip(&other.observations);
        let at = pairs.take_while(|(ours, theirs)| ours == theirs).count();
        match (self.observations.get(at), other.observations.get(at)) {
            (None, None) => None,
            (ours, theirs) => {
                let quoted = |text: Option<&String>| {
                    text.map_or_else(|| "nothing".to_owned(), |text| crate::process::excerpt(text))
                };
                Some(format!("observation {at} is {}, expected {}", quoted(theirs), quoted(ours)))
            }
        }
    }
}

/// Plays up to `max_steps`: what the expert would do, else one admissible command after the other.
pub(super) fn play(session: &mut dyn Session, scene: &Scene, max_steps: u32) -> Result<Played, SessionError> {
    let reply = session.reset(scene)?;
    let mut played = Played { is_expert: true, ..Played::default() };
    played.take_in(reply.observation, &reply.info);
    let mut info = reply.info;
    for step_idx in 0..max_steps as usize {
        played.is_expert &= info.expert_command.is_some();
        let command = choose(&info, step_idx);
        let reply = session.step(&command)?;
        played.commands.push(command);
        played.take_in(reply.observation, &reply.info);
        info = reply.info;
        if reply.terminated || reply.truncated {
            played.has_ended = true;
            break;
        }
    }
    Ok(played)
}

/// Says the same commands again.
pub(super) fn repeat(session: &mut dyn Session, scene: &Scene, commands: &[String]) -> Result<Played, SessionError> {
    let reply = session.reset(scene)?;
    let mut played = Played::default();
    played.take_in(reply.observation, &reply.info);
    for command in commands {
        let reply = session.step(command)?;
        played.commands.push(command.clone());
        played.take_in(reply.observation, &reply.info);
    }
    Ok(played)
}

fn choose(info: &Info, step_idx: usize) -> String {
    if let Some(expert) = &info.expert_command {
        return expert.clone();
    }
    let admissible = info.admissible_commands.as_deref().unwrap_or_default();
    let nth = step_idx.checked_rem(admissible.len()).and_then(|position| admissible.get(position));
    nth.cloned().unwrap_or_else(|| ANY_COMMAND.to_owned())
}

/// Times resets and steps, for a while.
pub(super) fn measure_latency(subject: &Subject<'_>) -> Result<Latency, SessionError> {
    let begun = Instant::now();
    let mut session = open_session(subject.settings)?;
    let start = begun.elapsed();
    let begun = Instant::now();
    let (mut resets, mut steps) = (Vec::new(), Vec::new());
    while steps.len() < N_STEPS && begun.elapsed() < MEASURE_FOR || resets.len() < N_RESETS && steps.is_empty() {
        let (reply, took) = timed(|| session.reset(&subject.scene))?;
        resets.push(took);
        let mut info = reply.info;
        for step_idx in 0..MAX_STEPS as usize {
            let command = choose(&info, step_idx);
            let (reply, took) = timed(|| session.step(&command))?;
            steps.push(took);
            info = reply.info;
            if reply.terminated || reply.truncated || begun.elapsed() > MEASURE_FOR {
                break;
            }
        }
    }
    Ok(Latency {
        start,
        reset: quantile(&mut resets, 50),
        step: quantile(&mut steps, 50),
        step_p99: quantile(&mut steps, 99),
        n_steps: steps.len(),
    })
}

fn timed<T>(call: impl FnOnce() -> Result<T, SessionError>) -> Result<(T, Duration), SessionError> {
    let begun = Instant::now();
    call().map(|reply| (reply, begun.elapsed()))
}

fn quantile(durations: &mut [Duration], percent: usize) -> Duration {
    durations.sort_unstable();
    let at = (durations.len() * percent / 100).min(durations.len().saturating_sub(1));
    durations.get(at).copied().unwrap_or_default()
}
