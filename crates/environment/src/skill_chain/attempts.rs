//! Plans the attempts at one subgoal by backward induction, when the value of what comes after it is known.
//!
//! Approximation, our design: failures are told apart up to a few per model, in one order of the attempts for each count.
//! Beyond that the state stays, and the chance that it still holds shrinks as fast as the next chance of success does.

use super::inference_model::{FailedAttempts, SubgoalPrior};
use super::rules::{Caller, HORIZON, MAX_CONFUSION};

/// Failures of the small model at a subgoal that are told apart, and of the large one.
const MAX_COUNTED: [usize; 2] = [2, 4];

/// Steps of an episode.
pub(crate) const STEPS: usize = HORIZON as usize;

/// The operating point that a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Terms {
    /// Weight of the normalised cost.
    pub(crate) lambda: f64,
    /// The most large calls; `None` is any number.
    pub(crate) calls: Option<usize>,
}

impl Terms {
    /// One lane per number of calls left; a single one without a cap.
    pub(crate) fn lanes(&self) -> usize {
        self.calls.map_or(1, |calls| calls + 1)
    }
}

/// The states within a subgoal and where failures lead, for each confusion at its start.
#[derive(Debug, Clone)]
pub(crate) struct AttemptGraphs([Vec<State>; MAX_CONFUSION + 1]);

/// Some failures since the start. States are ordered by their number, so that causes come before effects.
#[derive(Debug, Clone, Copy)]
struct State {
    n_failures: usize,
    /// The state that this one was first reached from, and the model that failed.
    cause: (usize, Caller),
    after_failure: [usize; 2],
    /// Whether a failure of the model is no longer counted.
    is_counted_out: [bool; 2],
}

impl AttemptGraphs {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(graph))
    }
}

fn graph(confusion: usize) -> Vec<State> {
    let mut keys = vec![([0, 0], confusion)];
    let mut causes = vec![(0, Caller::Small)];
    let mut states: Vec<State> = Vec::new();
    while states.len() < keys.len() {
        let this = states.len();
        let (counted, confusion) = keys[this];
        let next = Caller::BOTH.map(|caller| {
            let mut next = counted;
            next[caller as usize] = (next[caller as usize] + 1).min(MAX_COUNTED[caller as usize]);
            (next, caller.confusion_after_failure(confusion))
        });
        let after_failure = Caller::BOTH.map(|caller| {
            let key = next[caller as usize];
            keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                keys.push(key);
                causes.push((this, caller));
                keys.len() - 1
            })
        });
        states.push(State {
            n_failures: counted[0] + counted[1],
            cause: causes[this],
            after_failure,
            is_counted_out: next.map(|(next, _)| next == counted),
        });
    }
    states
}

/// A state within the subgoal at hand: what happens there.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    n_failures: usize,
    after_failure: [usize; 2],
    /// How far the state behind a failure holds: 1, or less where failures are counted out. The rest is a lost task.
    holds: [f32; 2],
    success: [f32; 2],
    /// What a unit of cost weighs against success.
    price: f32,
}

/// Plans the attempts at one subgoal. Values are success minus weighed cost, by node and lane.
#[derive(Debug)]
pub(crate) struct AttemptSolver<'a> {
    graphs: &'a AttemptGraphs,
    terms: Terms,
    lanes: usize,
    beliefs: Vec<FailedAttempts>,
    nodes: Vec<Node>,
    now: Vec<f32>,
    /// At the step that was solved last.
    later: Vec<f32>,
}

impl<'a> AttemptSolver<'a> {
    pub(crate) fn new(graphs: &'a AttemptGraphs, terms: Terms) -> Self {
        let (beliefs, nodes, now, later) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { graphs, terms, lanes: terms.lanes(), beliefs, nodes, now, later }
    }

    /// Sets the subgoal: what was known before its first attempt, and the failures so far.
    pub(crate) fn prepare(&mut self, prior: &SubgoalPrior, failed: &FailedAttempts) {
        let states = &self.graphs.0[failed.confusion];
        self.beliefs.clear();
        self.beliefs.push(failed.weighted(&prior.skills));
        for state in &states[1..] {
            let (cause, caller) = state.cause;
            self.beliefs.push(self.beliefs[cause].and_failure_of(caller));
        }
        self.nodes.clear();
        for (state, belief) in states.iter().zip(&self.beliefs) {
            let success = Caller::BOTH.map(|caller| belief.success(caller) as f32);
            let holds = Caller::BOTH.map(|caller| {
                if !state.is_counted_out[caller as usize] {
                    return 1.0;
                }
                let assumed = self.beliefs[state.after_failure[caller as usize]].success(caller);
                (belief.and_failure_of(caller).success(caller) / assumed).min(1.0) as f32
            });
            let price = (self.terms.lambda * belief.mean(&prior.inverse_scale)) as f32;
            self.nodes.push(Node {
                n_failures: state.n_failures,
                after_failure: state.after_failure,
                holds,
                success,
                price,
            });
        }
        self.now.resize(self.nodes.len() * self.lanes, 0.0);
        self.later.resize(self.nodes.len() * self.lanes, 0.0);
    }

    /// Adds `share` times the values of starting the subgoal at each step from `first_step` on to `values`.
    pub(crate) fn add_values(&mut self, future: &[f32], first_step: usize, share: f32, values: &mut [f32]) {
        self.later.fill(0.0);
        for step_idx in (first_step..STEPS).rev() {
            self.step_back(future, step_idx, step_idx - first_step);
            let row = &mut values[step_idx * self.lanes..][..self.lanes];
            for (value, start) in row.iter_mut().zip(&self.later[..self.lanes]) {
                *value += share * start;
            }
        }
    }

    /// Values of the two models' calls at `step_idx` with `lane` calls left: small, large.
    pub(crate) fn values(&mut self, future: &[f32], step_idx: usize, lane: usize) -> [f32; 2] {
        self.later.fill(0.0);
        for later_step in (step_idx + 1..STEPS).rev() {
            self.step_back(future, later_step, later_step - step_idx);
        }
        Caller::BOTH.map(|caller| {
            let is_capped_call = caller == Caller::Large && self.terms.calls.is_some();
            let Some(lane_after) = lane.checked_sub(usize::from(is_capped_call)) else { return f32::NEG_INFINITY };
            let node = &self.nodes[0];
            let success = node.success[caller as usize];
            let solved = future[(step_idx + 1) * self.lanes + lane_after];
            let failed = self.later[node.after_failure[caller as usize] * self.lanes + lane_after];
            success * solved + (1.0 - success) * failed - node.price * caller.cost_units(step_idx) as f32
        })
    }

    /// Solves `step_idx` for every node that `max_failures` failures can reach. The result is in `later`.
    fn step_back(&mut self, future: &[f32], step_idx: usize, max_failures: usize) {
        let lanes = self.lanes;
        let solved = &future[(step_idx + 1) * lanes..][..lanes];
        let [units_small, units_large] = Caller::BOTH.map(|caller| caller.cost_units(step_idx) as f32);
        // A lost task is left to the small model.
        let units_lost = units_small * (STEPS - 1 - step_idx) as f32;
        let shift = usize::from(self.terms.calls.is_some());
        for (node, now) in self.nodes.iter().zip(self.now.chunks_exact_mut(lanes)) {
            if node.n_failures > max_failures {
                continue;
            }
            let [success_small, success_large] = node.success;
            let [holds_small, holds_large] = node.holds;
            let [lost_small, lost_large] = node.holds.map(|holds| (1.0 - holds) * node.price * units_lost);
            let cost_small = node.price * units_small;
            let cost_large = node.price * units_large;
            let failed_small = &self.later[node.after_failure[0] * lanes..][..lanes];
            for ((value, solved), failed) in now.iter_mut().zip(solved).zip(failed_small) {
                let failed = holds_small * failed - lost_small;
                *value = failed + success_small * (solved - failed) - cost_small;
            }
            let failed_large = &self.later[node.after_failure[1] * lanes..][..lanes - shift];
            for ((value, solved), failed) in now[shift..].iter_mut().zip(solved).zip(failed_large) {
                let failed = holds_large * failed - lost_large;
                let large = failed + success_large * (solved - failed) - cost_large;
                *value = if large > *value { large } else { *value };
            }
        }
        std::mem::swap(&mut self.now, &mut self.later);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{IMPOSSIBLE, N_SKILLS};
    use super::*;

    fn certain(skill: usize) -> SubgoalPrior {
        let mut skills = [0.0; N_SKILLS];
        skills[skill] = 1.0;
        SubgoalPrior { skills, inverse_scale: [0.01; N_SKILLS] }
    }

    /// Values of the last subgoal: solved is worth 1.
    fn values(prior: &SubgoalPrior, terms: Terms, step_idx: usize, lane: usize) -> [f32; 2] {
        let graphs = AttemptGraphs::new();
        let mut solver = AttemptSolver::new(&graphs, terms);
        solver.prepare(prior, &FailedAttempts::none([1.0; N_SKILLS]));
        solver.values(&vec![1.0; (STEPS + 1) * terms.lanes()], step_idx, lane)
    }

    #[track_caller]
    fn check(found: [f32; 2], expected: [f32; 2]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "found {found}, expected {expected}");
        }
    }

    /// By hand, skill 5 at lambda 1, a unit weighing .01. At step 29 a small call gains .05 for .01, a large one .6 for .245.
    /// At step 28 a failure is followed by the better of the two: large, for .24 now.
    #[test]
    fn the_last_two_steps_are_right_by_hand() {
        let terms = Terms { lambda: 1.0, calls: None };
        check(values(&certain(5), terms, 29, 0), [0.05 - 0.01, 0.6 - 0.245]);
        let after_small = 0.94 * 0.6 - 0.245;
        let after_large = 0.99 * 0.6 - 0.245;
        check(values(&certain(5), terms, 28, 0), [0.05 + 0.95 * after_small - 0.01, 0.6 + 0.4 * after_large - 0.24]);
    }

    #[test]
    fn the_last_call_is_spent_once() {
        let terms = Terms { lambda: 0.0, calls: Some(1) };
        let [small, large] = values(&certain(5), terms, 28, 1);
        check([small, large], [0.05 + 0.95 * 0.94 * 0.6, 0.6 + 0.4 * 0.99 * 0.05]);
        assert!(values(&certain(5), terms, 28, 0)[1].is_infinite());
    }

    #[test]
    fn an_impossible_subgoal_is_worth_its_small_calls() {
        let terms = Terms { lambda: 1.0, calls: None };
        check(values(&certain(IMPOSSIBLE), terms, 20, 0), [-0.1, -0.2 - 0.09]);
    }
}
