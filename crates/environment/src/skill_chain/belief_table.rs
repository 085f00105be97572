//! The value of what comes after the current subgoal, as a router can know it, by dynamic programming.
//!
//! The state between two subgoals is what is left: the multiset of cues, the steps, the large calls. The order of the cues
//! is unknown and every order equally likely. Within a subgoal the state is the failures so far. Approximations, our
//! design: the kinds' weights are those at the start of the episode, and failures are counted up to a few per model, in a
//! fixed order of the attempts; beyond that, more failures teach nothing further.

use super::inference_model::{CueCounts, CueModel, FailedAttempts};
use super::rules::{Caller, HORIZON, N_CUES};

/// Failures of the small model at a subgoal that are told apart, and of the large one.
const MAX_COUNTED: [usize; 2] = [3, 5];

/// Steps of an episode.
const STEPS: usize = HORIZON as usize;

/// The operating point that a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Terms {
    /// What a unit of cost weighs against success.
    pub(crate) price_per_unit: f64,
    /// The most large calls; `None` is any number.
    pub(crate) calls: Option<usize>,
}

impl Terms {
    /// One lane per number of calls left; a single one without a cap.
    fn lanes(&self) -> usize {
        self.calls.map_or(1, |calls| calls + 1)
    }

    fn cost(&self, caller: Caller, step_idx: usize) -> f32 {
        (self.price_per_unit * caller.cost_units(step_idx)) as f32
    }
}

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
    pub(crate) fn new(model: &CueModel, cues: &CueCounts, terms: Terms) -> Self {
        let mut radix = [0; N_CUES];
        let mut n_multisets = 1;
        for (position, &count) in radix.iter_mut().zip(cues) {
            *position = n_multisets;
            n_multisets *= count + 1;
        }
        let row = (STEPS + 1) * terms.lanes();
        let mut table = Self { terms, radix, values: vec![0.0; n_multisets * row] };
        table.values[..row].fill(1.0);
        let kinds = model.kinds(cues);
        let n_subgoals: usize = cues.iter().sum();
        let mut solver = AttemptSolver::new(terms);
        // Taking a cue out lowers the position, so that what is needed is already there.
        for position in 1..n_multisets {
            let left: CueCounts = std::array::from_fn(|cue| position / radix[cue] % (cues[cue] + 1));
            let n_left: usize = left.iter().sum();
            for cue in (0..N_CUES).filter(|&cue| left[cue] > 0) {
                let mut later = left;
                later[cue] -= 1;
                let start = FailedAttempts::none(model.skills(&kinds, cue, &later));
                let share = left[cue] as f32 / n_left as f32;
                let (known, unknown) = table.values.split_at_mut(position * row);
                let future = &known[(position - radix[cue]) * row..][..row];
                solver.prepare(&start);
                solver.add_values(future, n_subgoals - n_left, share, &mut unknown[..row]);
            }
        }
        table
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

/// A state within a subgoal: some failures, and where the next one leads.
#[derive(Debug, Clone, Copy)]
struct Node {
    n_failures: usize,
    after_failure: [usize; 2],
    success: [f32; 2],
}

/// Plans the attempts at one subgoal.
#[derive(Debug)]
pub(crate) struct AttemptSolver {
    terms: Terms,
    lanes: usize,
    nodes: Vec<Node>,
    /// By node and lane, at the step that was solved last.
    now: Vec<f32>,
    later: Vec<f32>,
}

impl AttemptSolver {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { terms, lanes: terms.lanes(), nodes: Vec::new(), now: Vec::new(), later: Vec::new() }
    }

    /// Sets the subgoal, with what is known of it at `start`.
    pub(crate) fn prepare(&mut self, start: &FailedAttempts) {
        let mut keys = vec![([0, 0], start.confusion)];
        let mut states = vec![*start];
        self.nodes.clear();
        while self.nodes.len() < keys.len() {
            let (counted, confusion) = keys[self.nodes.len()];
            let state = states[self.nodes.len()];
            let after_failure = Caller::BOTH.map(|caller| {
                let mut next = counted;
                next[caller as usize] = (next[caller as usize] + 1).min(MAX_COUNTED[caller as usize]);
                let key = (next, caller.confusion_after_failure(confusion));
                keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                    keys.push(key);
                    states.push(state.and_failure_of(caller));
                    keys.len() - 1
                })
            });
            self.nodes.push(Node {
                n_failures: counted[0] + counted[1],
                after_failure,
                success: Caller::BOTH.map(|caller| state.success(caller) as f32),
            });
        }
        self.now.resize(self.nodes.len() * self.lanes, 0.0);
        self.later.resize(self.nodes.len() * self.lanes, 0.0);
    }

    /// Adds `share` times the values of starting the subgoal at each step from `first_step` on to `values`.
    fn add_values(&mut self, future: &[f32], first_step: usize, share: f32, values: &mut [f32]) {
        self.later.fill(0.0);
        for step_idx in (first_step..STEPS).rev() {
            self.step_back(future, step_idx, step_idx - first_step);
            let row = &mut values[step_idx * self.lanes..][..self.lanes];
            for (value, start) in row.iter_mut().zip(&self.later[..self.lanes]) {
                *value += share * start;
            }
        }
    }

    /// Values of the two models' calls at `step_idx`, with the lane's number of calls left: small, large.
    pub(crate) fn values(&mut self, future: &[f32], step_idx: usize, lane: usize) -> [f32; 2] {
        self.later.fill(0.0);
        for later_step in (step_idx + 1..STEPS).rev() {
            self.step_back(future, later_step, later_step - step_idx);
        }
        Caller::BOTH.map(|caller| {
            let Some(lane_after) = self.lane_after(caller, lane) else { return f32::NEG_INFINITY };
            let node = &self.nodes[0];
            let success = node.success[caller as usize];
            let solved = future[(step_idx + 1) * self.lanes + lane_after];
            let failed = self.later[node.after_failure[caller as usize] * self.lanes + lane_after];
            success * solved + (1.0 - success) * failed - self.terms.cost(caller, step_idx)
        })
    }

    fn lane_after(&self, caller: Caller, lane: usize) -> Option<usize> {
        if caller == Caller::Small || self.terms.calls.is_none() { Some(lane) } else { lane.checked_sub(1) }
    }

    /// Solves `step_idx` for every node that `max_failures` failures can reach. The result is in `later`.
    fn step_back(&mut self, future: &[f32], step_idx: usize, max_failures: usize) {
        let lanes = self.lanes;
        let solved = &future[(step_idx + 1) * lanes..][..lanes];
        let [cost_small, cost_large] = Caller::BOTH.map(|caller| self.terms.cost(caller, step_idx));
        let shift = usize::from(self.terms.calls.is_some());
        for (node, now) in self.nodes.iter().zip(self.now.chunks_exact_mut(lanes)) {
            if node.n_failures > max_failures {
                break;
            }
            let [success_small, success_large] = node.success;
            let failed_small = &self.later[node.after_failure[0] * lanes..][..lanes];
            for ((value, solved), failed) in now.iter_mut().zip(solved).zip(failed_small) {
                *value = failed + success_small * (solved - failed) - cost_small;
            }
            let failed_large = &self.later[node.after_failure[1] * lanes..][..lanes - shift];
            for ((value, solved), failed) in now[shift..].iter_mut().zip(solved).zip(failed_large) {
                let large = failed + success_large * (solved - failed) - cost_large;
                *value = if large > *value { large } else { *value };
            }
        }
        std::mem::swap(&mut self.now, &mut self.later);
    }
}
