//! One row of the comparison table, and the difference of two.

use std::sync::Arc;

use tollgate_routing::{Budget, NanoUsd};

use super::bootstrap::{Estimate, Resamples};
use super::outcomes::{Metric, OutcomeGroup};
use crate::InferenceError;

/// The figures of one policy at one operating point, with intervals over tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The policy, with its parameter.
    pub policy_id: Arc<str>,
    /// The policies that share a frontier.
    pub family: Arc<str>,
    /// Weight of the cost, shown to the policy.
    pub lambda: f32,
    /// The hard limit.
    pub budget: Budget,
    /// Tasks played.
    pub n_tasks: usize,
    /// Episodes, over all tasks and seeds.
    pub n_episodes: u64,
    /// Training runs the policy comes from; 0 for one that was not trained.
    pub n_train_seeds: usize,
    /// Share of solved episodes, 0 to 1.
    pub success_rate: Estimate,
    /// Mean grade, 0 to 1.
    pub mean_score: Estimate,
    /// What an episode is worth on average by the objective: one of the two. 0 to 1.
    pub value: Estimate,
    /// Mean cost of an episode in dollars.
    pub mean_cost_usd: Estimate,
    /// What all episodes cost together.
    pub total_cost: NanoUsd,
    /// Mean calls of the large model per episode.
    pub mean_large_calls: Estimate,
    /// Mean steps per episode.
    pub mean_steps: Estimate,
    /// Mean share of the cap that was used, 0 to 1; `None` without a cap.
    pub share_of_cap: Option<Estimate>,
    /// Episodes that exceeded the budget.
    pub violations: u64,
}

/// The figures of `group`.
///
/// # Errors
/// [`InferenceError::ResampledTasks`] when the resamples are not of its tasks.
pub fn summarize(group: &OutcomeGroup, resamples: &Resamples) -> Result<Summary, InferenceError> {
    group.check(resamples)?;
    let mean = |metric| resamples.mean(group.per_task(metric));
    Ok(Summary {
        policy_id: group.policy_id.clone(),
        family: group.family.clone(),
        lambda: group.lambda,
        budget: group.budget,
        n_tasks: resamples.n_tasks(),
        n_episodes: group.n_episodes,
        n_train_seeds: group.train_seeds.len(),
        success_rate: mean(Metric::Success),
        mean_score: mean(Metric::Score),
        value: mean(Metric::Value),
        mean_cost_usd: mean(Metric::CostUsd),
        total_cost: group.total_cost,
        mean_large_calls: mean(Metric::LargeCalls),
        mean_steps: mean(Metric::Steps),
        share_of_cap: (group.budget != Budget::Unlimited).then(|| mean(Metric::ShareOfCap)),
        violations: group.violations,
    })
}

/// How much more of `metric` the first policy has than the second, task by task, with its interval.
///
/// # Errors
/// [`InferenceError::ResampledTasks`] when the resamples are not of their tasks.
pub fn paired_difference(
    first: &OutcomeGroup,
    second: &OutcomeGroup,
    metric: Metric,
    resamples: &Resamples,
) -> Result<Estimate, InferenceError> {
    first.check(resamples)?;
    second.check(resamples)?;
    let differences: Vec<f64> =
        first.per_task(metric).iter().zip(second.per_task(metric)).map(|(first, second)| first - second).collect();
    Ok(resamples.mean(&differences))
}

#[cfg(test)]
mod tests {
    use super::super::test_outcomes::table;
    use super::*;

    #[test]
    fn a_summary_holds_the_means_over_tasks() {
        let table = table(&[("bopo", 0.3, &[(true, 1), (false, 3), (true, 1), (true, 3)])]);
        let resamples = Resamples::draw(4, 200, 0.95, 1).unwrap();
        let summary = summarize(&table.groups()[0], &resamples).unwrap();
        assert!((summary.success_rate.value - 0.75).abs() < 1e-12);
        assert!((summary.mean_cost_usd.value - 2.0).abs() < 1e-12);
        assert!(summary.success_rate.low < 0.75 && summary.success_rate.high > 0.75);
        assert_eq!((summary.total_cost, summary.n_episodes), (NanoUsd::new(8_000_000_000), 4));
        assert_eq!((summary.violations, summary.share_of_cap), (0, None));
    }

    #[test]
    fn a_paired_difference_is_narrower_than_the_policies_themselves() {
        let outcomes: Vec<(bool, u64)> = (0..100).map(|task| (task % 2 == 0, 1)).collect();
        let better: Vec<(bool, u64)> = (0..100).map(|task| (task % 2 == 0 || task % 10 == 1, 1)).collect();
        let table = table(&[("sft", 0.0, &outcomes), ("bopo", 0.0, &better)]);
        let resamples = Resamples::draw(100, 1_000, 0.95, 1).unwrap();
        let difference =
            paired_difference(&table.groups()[1], &table.groups()[0], Metric::Success, &resamples).unwrap();
        assert!((difference.value - 0.1).abs() < 1e-12 && difference.is_clear_above(0.03), "{difference:?}");
        assert!(!summarize(&table.groups()[1], &resamples).unwrap().success_rate.is_clear_above(0.5));
    }

    #[test]
    fn resamples_of_another_split_are_refused() {
        let table = table(&[("bopo", 0.0, &[(true, 1)])]);
        let resamples = Resamples::draw(2, 10, 0.95, 1).unwrap();
        assert_eq!(
            summarize(&table.groups()[0], &resamples).unwrap_err(),
            InferenceError::ResampledTasks { expected: 1, found: 2 }
        );
    }
}
