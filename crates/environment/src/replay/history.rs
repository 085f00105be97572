//! The history of an episode that more than one log has contributed to.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::logs::{LoggedStep, ReplayLogs, StepRef, kept_tokens};
use super::state::StateClass;

/// What has been said and seen so far, as steps of logs.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) state: StateClass,
    /// Fingerprints of completion and observation, turn by turn.
    prints: Vec<(u64, u64)>,
    /// Fingerprints of the observations from which something was learnt.
    known: BTreeSet<u64>,
    /// Which logged steps were taken, so that none is told twice while there are others.
    used: BTreeSet<StepRef>,
    /// What each message takes in a prompt, completions and observations in turn. Tokens.
    messages: Vec<i64>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            state: StateClass::START,
            prints: Vec::new(),
            known: BTreeSet::new(),
            used: BTreeSet::new(),
            messages: Vec::new(),
        }
    }

    pub(crate) fn n_turns(&self) -> usize {
        self.prints.len()
    }

    pub(crate) fn has_used(&self, step: StepRef) -> bool {
        self.used.contains(&step)
    }

    /// Adds a step that did not end the episode.
    pub(crate) fn push(&mut self, logs: &ReplayLogs, at: StepRef) {
        let step = logs.step(at);
        self.used.insert(at);
        self.messages.push(step.completion_tokens());
        let Some(next) = &step.next else {
            self.prints.push((step.completion_print, 0));
            self.messages.push(0);
            return;
        };
        self.prints.push((step.completion_print, next.print));
        self.messages.push(next.tokens);
        if next.informs {
            self.known.insert(next.print);
        }
        self.state = logs.classifier().after(self.state, next.outcome, self.n_turns());
    }

    /// Tokens of the next prompt, given those of the model's first prompt of the task.
    pub(crate) fn prompt_tokens(&self, first: u32, kept: Option<usize>) -> u32 {
        let tokens = i64::from(first) + kept_tokens(&self.messages, kept);
        u32::try_from(tokens.max(1)).unwrap_or(u32::MAX)
    }

    /// Where a log of the same task stands when it is in the state of this history: the step that its model takes next.
    ///
    /// That is the step after the same turns, or else a step before which the log had come to the same kind of state and had learnt
    /// nothing that is not known here. Of several, the one that had learnt most; then the one nearest in time, then the
    /// earlier.
    pub(crate) fn matching_step(&self, steps: &[LoggedStep]) -> Option<usize> {
        if self.is_prefix_of(steps) {
            return Some(self.n_turns());
        }
        let mut best: Option<(usize, (usize, Reverse<usize>))> = None;
        let mut n_known = 0;
        for (position, step) in steps.iter().enumerate() {
            if self.state.is_alike(&step.state) {
                let rank = (n_known, Reverse(position.abs_diff(self.n_turns())));
                if best.is_none_or(|(_, best)| rank > best) {
                    best = Some((position, rank));
                }
            }
            match &step.next {
                Some(next) if next.informs && self.known.contains(&next.print) => n_known += 1,
                Some(next) if next.informs => break,
                _ => {}
            }
        }
        best.map(|(position, _)| position)
    }

    fn is_prefix_of(&self, steps: &[LoggedStep]) -> bool {
        let is_same = |(print, step): (&(u64, u64), &LoggedStep)| {
            let next = step.next.as_ref().map_or(0, |next| next.print);
            *print == (step.completion_print, next)
        };
        self.n_turns() < steps.len() && self.prints.iter().zip(steps).all(is_same)
    }
}
