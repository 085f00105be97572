//! The value of what comes after the current subgoal, as a router can know it, by dynamic programming.
//!
//! The state between two subgoals is what is left: the multiset of cues, the steps, the large calls. The order of the cues
//! is unknown and every order equally likely. Approximation, our design: the weights of the kinds of task are those at the
//! start of the episode, less the impossible subgoals that were not met.

use super::attempts::{AttemptGraphs, AttemptSolver, STEPS, Terms};
use super::inference_model::{CueCounts, CueModel, FailedAttempts};
use super::rules::{N_CUES, N_SKILLS};

/// Values of every remainder of one chain.
#[derive(Debug)]
pub(crate) struct FutureTable {
    terms: Terms,
    /// Position of a multiset: the sum of its counts times these.
    radix: CueCounts,
    /// By multiset, step and lane.
    values: Vec<f32>,
}

impl FutureTable {
    /// The table for a chain whose subgoals show `cues`.
    pub(crate) fn new(model: &CueModel, graphs: &AttemptGraphs, cues: &CueCounts, terms: Terms) -> Self {
        let mut radix = [0; N_CUES];
        let mut n_multisets = 1;
        for (position, &count) in radix.iter_mut().zip(cues) {
            *position = n_multisets;
            n_multisets *= count + 1;
        }
        let row = (STEPS + 1) * terms.lanes();
        let mut values = vec![0.0; n_multisets * row];
        values[..row].fill(1.0);
        let kinds = model.kinds(cues);
        let n_subgoals: usize = cues.iter().sum();
        let mut solver = AttemptSolver::new(graphs, terms);
        // Taking a cue out lowers the position, so that what is needed is already there.
        for position in 1..n_multisets {
            let left: CueCounts = std::array::from_fn(|cue| position / radix[cue] % (cues[cue] + 1));
            let n_left: usize = left.iter().sum();
            let (known, unknown) = values.split_at_mut(position * row);
            for cue in (0..N_CUES).filter(|&cue| left[cue] > 0) {
                let mut later = left;
                later[cue] -= 1;
                let share = left[cue] as f32 / n_left as f32;
                let future = &known[(position - radix[cue]) * row..][..row];
                solver.prepare(&model.prior(&kinds, cue, &later), &FailedAttempts::none([1.0; N_SKILLS]));
                solver.add_values(future, n_subgoals - n_left, share, &mut unknown[..row]);
            }
        }
        Self { terms, radix, values }
    }

    /// The terms that the table is for.
    pub(crate) const fn terms(&self) -> Terms {
        self.terms
    }

    /// Values once the current subgoal is solved, by step and lane.
    pub(crate) fn after(&self, later_cues: &CueCounts) -> &[f32] {
        let position: usize = self.radix.iter().zip(later_cues).map(|(radix, count)| radix * count).sum();
        let row = (STEPS + 1) * self.terms.lanes();
        &self.values[position * row..][..row]
    }

    /// Size in memory. Bytes.
    pub(crate) fn n_bytes(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}
