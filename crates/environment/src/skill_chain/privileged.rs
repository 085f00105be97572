//! What policies reach on a known chain, exactly: backward induction over step, subgoal, confusion and calls left.
//!
//! The optimum here knows the hidden skills and whether the task is lost. No router can know that, so it bounds them all.

use super::chain::Subgoal;
use super::rules::{Caller, HORIZON, MAX_CONFUSION};

/// How to choose between the two models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Strategy {
    /// Maximises success minus `price_per_unit` times the cost in units; among equals, the small model.
    Optimal { price_per_unit: f64 },
    /// Calls the large model as long as calls are left.
    LargeFirst,
}

/// Expectations of the rest of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Value {
    /// Probability of success.
    pub(crate) success: f64,
    /// Cost. Units.
    pub(crate) cost_units: f64,
    /// Calls of the large model.
    pub(crate) large_calls: f64,
}

impl Value {
    fn objective(&self, price_per_unit: f64) -> f64 {
        self.success - price_per_unit * self.cost_units
    }

    fn weighted(self, weight: f64) -> Self {
        Self {
            success: self.success * weight,
            cost_units: self.cost_units * weight,
            large_calls: self.large_calls * weight,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            success: self.success + other.success,
            cost_units: self.cost_units + other.cost_units,
            large_calls: self.large_calls + other.large_calls,
        }
    }
}

/// Expectations of a whole episode on `subgoals` with at most `calls` large calls (`None`: any number).
pub(crate) fn evaluate(subgoals: &[Subgoal], strategy: Strategy, calls: Option<u32>) -> Value {
    let mut induction = Induction::new(subgoals, strategy, calls);
    for step_idx in (0..HORIZON as usize).rev() {
        induction.step_back(step_idx);
    }
    induction.later[induction.index(0, 0, induction.lanes - 1)]
}

/// Expected costs of always-small and always-large on `subgoals`. Units.
pub(crate) fn boundary_costs(subgoals: &[Subgoal]) -> [f64; 2] {
    [Some(0), None].map(|calls| evaluate(subgoals, Strategy::LargeFirst, calls).cost_units)
}

const N_CONFUSIONS: usize = MAX_CONFUSION + 1;

struct Induction<'a> {
    subgoals: &'a [Subgoal],
    strategy: Strategy,
    is_capped: bool,
    /// One lane per number of large calls left; a single one without a cap.
    lanes: usize,
    /// Values of the live states one step later, then those of the lost task, by lane.
    later: Vec<Value>,
    now: Vec<Value>,
}

impl<'a> Induction<'a> {
    fn new(subgoals: &'a [Subgoal], strategy: Strategy, calls: Option<u32>) -> Self {
        let lanes = calls.map_or(1, |calls| calls.min(HORIZON) as usize + 1);
        // At the horizon nothing more is gained or paid.
        let values = vec![Value::default(); (subgoals.len() * N_CONFUSIONS + 1) * lanes];
        Self { subgoals, strategy, is_capped: calls.is_some(), lanes, later: values.clone(), now: values }
    }

    const fn index(&self, subgoal: usize, confusion: usize, lane: usize) -> usize {
        (subgoal * N_CONFUSIONS + confusion) * self.lanes + lane
    }

    const fn lost(&self, lane: usize) -> usize {
        self.index(self.subgoals.len(), 0, lane)
    }

    fn step_back(&mut self, step_idx: usize) {
        for lane in 0..self.lanes {
            for subgoal in 0..self.subgoals.len() {
                for confusion in 0..N_CONFUSIONS {
                    let index = self.index(subgoal, confusion, lane);
                    self.now[index] =
                        self.choose(lane, |caller, after| self.attempt(step_idx, subgoal, confusion, caller, after));
                }
            }
            let lost = self.lost(lane);
            self.now[lost] =
                self.choose(lane, |caller, after| call(step_idx, caller).plus(self.later[self.lost(after)]));
        }
        std::mem::swap(&mut self.now, &mut self.later);
    }

    /// The value of the strategy's choice; `value` gets the model and the lane after its call.
    fn choose(&self, lane: usize, value: impl Fn(Caller, usize) -> Value) -> Value {
        if self.is_capped && lane == 0 {
            return value(Caller::Small, 0);
        }
        let large = value(Caller::Large, if self.is_capped { lane - 1 } else { lane });
        match self.strategy {
            Strategy::LargeFirst => large,
            Strategy::Optimal { price_per_unit } => {
                let small = value(Caller::Small, lane);
                if large.objective(price_per_unit) > small.objective(price_per_unit) + TIE { large } else { small }
            }
        }
    }

    fn attempt(&self, step_idx: usize, subgoal: usize, confusion: usize, caller: Caller, lane: usize) -> Value {
        let solved = if subgoal + 1 == self.subgoals.len() {
            Value { success: 1.0, ..Value::default() }
        } else {
            self.later[self.index(subgoal + 1, 0, lane)]
        };
        let alive = self.later[self.index(subgoal, caller.confusion_after_failure(confusion), lane)];
        let lost = self.later[self.lost(lane)];
        let success = caller.success(self.subgoals[subgoal].skill, confusion);
        let failure = 1.0 - success;
        call(step_idx, caller)
            .plus(solved.weighted(success))
            .plus(alive.weighted(failure * (1.0 - caller.loss())))
            .plus(lost.weighted(failure * caller.loss()))
    }
}

/// Differences below this are rounding, and the small model wins them.
const TIE: f64 = 1e-12;

fn call(step_idx: usize, caller: Caller) -> Value {
    Value {
        success: 0.0,
        cost_units: caller.cost_units(step_idx),
        large_calls: if caller == Caller::Large { 1.0 } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(skills: &[usize]) -> Vec<Subgoal> {
        skills.iter().map(|&skill| Subgoal { skill, cue: 0 }).collect()
    }

    /// Success of one subgoal within the horizon by repeated attempts of the large model: a geometric series, each
    /// failure surviving with .99.
    #[test]
    fn always_large_on_one_subgoal_is_a_geometric_series() {
        let (p, survives) = (0.60, 0.40 * 0.99);
        let expected: f64 = (0..30).map(|failures| p * f64::powi(survives, failures)).sum();
        let value = evaluate(&chain(&[5]), Strategy::LargeFirst, None);
        assert!((value.success - expected).abs() < 1e-12, "{value:?}");
    }

    #[test]
    fn the_small_model_is_confused_by_its_failures() {
        let p = [0.5, 0.5 * 0.6, 0.5 * 0.36];
        let mut expected = 0.0;
        let mut reached = 1.0;
        for attempt in 0..30 {
            let success = p[attempt.min(2)];
            expected += reached * success;
            reached *= (1.0 - success) * 0.94;
        }
        let value = evaluate(&chain(&[3]), Strategy::LargeFirst, Some(0));
        assert!((value.success - expected).abs() < 1e-12, "{value:?}");
        assert!(value.large_calls.abs() < 1e-12);
    }

    #[test]
    fn an_impossible_subgoal_costs_every_step_and_the_optimum_wastes_no_large_call_on_it() {
        let always_large = evaluate(&chain(&[6]), Strategy::LargeFirst, None);
        assert!((always_large.cost_units - (300.0 + 0.5 * 435.0)).abs() < 1e-9);
        let optimum = evaluate(&chain(&[6]), Strategy::Optimal { price_per_unit: 0.0 }, None);
        assert!((optimum.cost_units - 30.0).abs() < 1e-9 && optimum.large_calls.abs() < 1e-12, "{optimum:?}");
    }

    #[test]
    fn a_cap_is_never_worth_more_than_a_wider_one() {
        let chain = chain(&[5, 1, 4, 5, 3]);
        let optimum = |calls| evaluate(&chain, Strategy::Optimal { price_per_unit: 0.0 }, calls).success;
        for calls in 0..10 {
            assert!(optimum(Some(calls)) < optimum(Some(calls + 1)));
            assert!(evaluate(&chain, Strategy::LargeFirst, Some(calls)).success <= optimum(Some(calls)));
        }
        assert!((optimum(Some(30)) - optimum(None)).abs() < 1e-12);
    }
}
