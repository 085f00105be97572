//! What the router sees of a chain: as numbers and as words.

use tollgate_routing::Observation;

use super::rules::{HORIZON, MAX_SUBGOALS, N_CUES};

/// How the attempt before went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastOutcome {
    /// There was none.
    #[default]
    None,
    /// It solved its subgoal.
    Solved,
    /// It failed.
    Failed,
}

/// All that the router sees of a chain before a step. Nothing in it depends on the hidden skill, on the kind of the task,
/// or on whether the task is lost, other than through what already happened in plain sight.
///
/// As signals ([`Self::signals`]), all of them between 0 and 1:
///
/// | position | meaning |
/// |---|---|
/// | 0 to 5 | the current subgoal's cue, one-hot |
/// | 6 to 11 | how many of the subgoals after it show each cue, / 12 |
/// | 12, 13 | subgoals done, and left (the current one is left), / 12 |
/// | 14, 15 | the attempt before solved its subgoal; it failed |
/// | 16, 17 | failures in a row of the small model, and of the large one; the other's attempt or a success ends a row; / 8, at most 1 |
/// | 18, 19 | failed attempts at this subgoal by the small model, and by the large one; / 8, at most 1 |
/// | 20 | steps taken, / 30 |
/// | 21 | subgoals left, / steps left; at most 1 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VisibleState {
    /// The current subgoal's cue, 0 to 5; `None` once the chain is solved.
    pub cue: Option<usize>,
    /// How many of the subgoals after the current one show each cue.
    pub later_cues: [usize; N_CUES],
    /// Subgoals done.
    pub done: usize,
    /// Subgoals left, the current one among them.
    pub left: usize,
    /// How the attempt before went.
    pub last_outcome: LastOutcome,
    /// Failures in a row, by model: the small one's, the large one's. The signals hold at most 8.
    pub failures_in_a_row: [usize; 2],
    /// Failed attempts at this subgoal, by model. The signals hold at most 8.
    pub failures_here: [usize; 2],
    /// Steps taken.
    pub step_idx: usize,
}

impl VisibleState {
    /// How many signals there are.
    pub const N_SIGNALS: usize = 2 * N_CUES + 10;

    /// The state as signals.
    #[must_use]
    pub fn signals(&self) -> Vec<f32> {
        let mut signals = vec![0.0; Self::N_SIGNALS];
        if let Some(cue) = self.cue {
            signals[cue] = 1.0;
        }
        let subgoals = 1.0 / MAX_SUBGOALS as f32;
        for (signal, &count) in signals[N_CUES..2 * N_CUES].iter_mut().zip(&self.later_cues) {
            *signal = count as f32 * subgoals;
        }
        let failures = |count: usize| count.min(MAX_FAILURES) as f32 / MAX_FAILURES as f32;
        let steps_left = (HORIZON as usize).saturating_sub(self.step_idx).max(1);
        signals[2 * N_CUES..].copy_from_slice(&[
            self.done as f32 * subgoals,
            self.left as f32 * subgoals,
            f32::from(u8::from(self.last_outcome == LastOutcome::Solved)),
            f32::from(u8::from(self.last_outcome == LastOutcome::Failed)),
            failures(self.failures_in_a_row[0]),
            failures(self.failures_in_a_row[1]),
            failures(self.failures_here[0]),
            failures(self.failures_here[1]),
            self.step_idx as f32 / HORIZON as f32,
            (self.left as f32 / steps_left as f32).min(1.0),
        ]);
        signals
    }

    /// The state that the signals stand for, or `None` when they are not this environment's.
    #[must_use]
    pub fn from_signals(signals: &[f32]) -> Option<Self> {
        if signals.len() != Self::N_SIGNALS {
            return None;
        }
        let count = |position: usize, scale: usize| (signals[position] * scale as f32).round() as usize;
        let tail = 2 * N_CUES;
        let last_outcome = if signals[tail + 2] > 0.5 {
            LastOutcome::Solved
        } else if signals[tail + 3] > 0.5 {
            LastOutcome::Failed
        } else {
            LastOutcome::None
        };
        Some(Self {
            cue: signals[..N_CUES].iter().position(|&signal| signal > 0.5),
            later_cues: std::array::from_fn(|cue| count(N_CUES + cue, MAX_SUBGOALS)),
            done: count(tail, MAX_SUBGOALS),
            left: count(tail + 1, MAX_SUBGOALS),
            last_outcome,
            failures_in_a_row: [count(tail + 4, MAX_FAILURES), count(tail + 5, MAX_FAILURES)],
            failures_here: [count(tail + 6, MAX_FAILURES), count(tail + 7, MAX_FAILURES)],
            step_idx: count(tail + 8, HORIZON as usize),
        })
    }

    /// The state in words, for people and for routers that read text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(128);
        text.push_str(match self.last_outcome {
            LastOutcome::None => "",
            LastOutcome::Solved => "The attempt solved its subgoal. ",
            LastOutcome::Failed => "The attempt failed. ",
        });
        let Some(cue) = self.cue else {
            text.push_str("All subgoals are solved.");
            return text;
        };
        text.push_str("Subgoal ");
        push_number(&mut text, self.done + 1);
        text.push_str(" of ");
        push_number(&mut text, self.done + self.left);
        text.push_str(": it looks like skill ");
        push_number(&mut text, cue + 1);
        let [small, large] = self.failures_here;
        if small + large > 0 {
            text.push_str(", tried ");
            push_number(&mut text, small + large);
            text.push_str(" times in vain");
        }
        if self.left > 1 {
            text.push_str(". The later ones look like skills");
            let mut separator = " ";
            for (later, &count) in self.later_cues.iter().enumerate() {
                for _ in 0..count {
                    text.push_str(separator);
                    push_number(&mut text, later + 1);
                    separator = ", ";
                }
            }
        }
        text.push('.');
        text
    }

    /// The state as an observation.
    #[must_use]
    pub fn observation(&self) -> Observation {
        Observation { text: self.text(), signals: self.signals() }
    }
}

/// Failures beyond this many look alike in the signals.
const MAX_FAILURES: usize = 8;

/// Numbers here have one or two digits; formatting them by hand keeps an environment step cheap.
fn push_number(text: &mut String, number: usize) {
    if number >= 10 {
        text.push((b'0' + (number / 10 % 10) as u8) as char);
    }
    text.push((b'0' + (number % 10) as u8) as char);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> VisibleState {
        VisibleState {
            cue: Some(3),
            later_cues: [2, 0, 1, 0, 0, 2],
            done: 2,
            left: 6,
            last_outcome: LastOutcome::Failed,
            failures_in_a_row: [2, 0],
            failures_here: [2, 1],
            step_idx: 7,
        }
    }

    #[test]
    fn signals_hold_the_whole_state_within_0_and_1() {
        let signals = example().signals();
        assert_eq!(VisibleState::from_signals(&signals), Some(example()));
        assert!(signals.iter().all(|signal| (0.0..=1.0).contains(signal)));
    }

    #[test]
    fn foreign_signals_are_refused() {
        assert_eq!(VisibleState::from_signals(&[0.0; 3]), None);
    }

    #[test]
    fn the_words_say_what_the_signals_say() {
        assert_eq!(
            example().text(),
            "The attempt failed. Subgoal 3 of 8: it looks like skill 4, tried 3 times in vain. The later ones look like skills 1, 1, 3, 6, 6."
        );
        let solved = VisibleState { done: 8, last_outcome: LastOutcome::Solved, ..VisibleState::default() };
        assert_eq!(solved.text(), "The attempt solved its subgoal. All subgoals are solved.");
    }
}
