//! `summary.json`: the figures of a run, for programs.

use serde::Serialize;
use tollgate_contract::budget_kind;
use tollgate_environment::skill_chain::CostScale;
use tollgate_inference::{Estimate, Metric, OutcomeGroup, summarize};
use tollgate_routing::Budget;

use crate::figures::{ChosenPoint, FamilyFigures, Figures, looks_at_lambda};
use crate::optimum::Optimum;

/// The file as written. Money is in dollars where a key says so, else in nano-dollars.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// The environment.
    pub(crate) suite: String,
    /// Seeds of the training runs.
    pub(crate) seeds: Vec<u64>,
    /// Level of the intervals.
    pub(crate) confidence: f64,
    /// What an episode is worth: `success` or `score`. Frontiers and the operating point are about it.
    pub(crate) outcome: &'static str,
    /// Evaluated episodes, on all evaluated splits.
    pub(crate) n_episodes: usize,
    /// Episodes that passed their cap.
    pub(crate) violations: u64,
    /// One entry per policy and operating point, on the test split.
    pub(crate) policies: Vec<PolicyEntry>,
    /// One entry per family.
    pub(crate) frontier_area: Vec<AreaEntry>,
    /// The point chosen on the validation split, measured on the test split.
    pub(crate) operating_point: Option<OperatingPointEntry>,
    /// The same on tasks of kinds that training never saw, where the task set has some.
    pub(crate) unseen: Option<UnseenEntry>,
    /// What is possible, where that is known exactly.
    pub(crate) optimum: Option<Optimum>,
}

/// Figures on tasks of unseen kinds.
#[derive(Debug, Serialize)]
pub(crate) struct UnseenEntry {
    n_tasks: usize,
    policies: Vec<PolicyEntry>,
    frontier_area: Vec<AreaEntry>,
    operating_point: Option<OperatingPointEntry>,
}

impl UnseenEntry {
    /// The entry of these figures.
    pub(crate) fn new(figures: &Figures) -> anyhow::Result<Self> {
        Ok(Self {
            n_tasks: figures.test.tasks().len(),
            policies: policies(figures, None)?,
            frontier_area: areas(figures),
            operating_point: figures.operating_point.as_ref().map(Into::into),
        })
    }
}

/// One policy at one operating point.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyEntry {
    policy_id: String,
    family: String,
    lambda: Option<f32>,
    budget_kind: &'static str,
    /// Calls, or nano-dollars, as in `evaluations.budget_value`.
    budget_value: Option<u64>,
    n_episodes: u64,
    n_train_seeds: usize,
    success_rate: f64,
    success_rate_low: f64,
    success_rate_high: f64,
    mean_score: f64,
    /// The one of the two that counts, with its interval.
    value: f64,
    value_low: f64,
    value_high: f64,
    mean_cost_usd: f64,
    mean_cost_usd_low: f64,
    mean_cost_usd_high: f64,
    total_cost_usd: f64,
    mean_large_calls: f64,
    mean_steps: f64,
    share_of_cap: Option<f64>,
    /// `success - lambda (C - C_small) / (C_large - C_small)`, for policies that look at `lambda`.
    objective: Option<f64>,
    violations: u64,
}

/// The area under a family's frontier.
#[derive(Debug, Serialize)]
pub(crate) struct AreaEntry {
    policy_id: String,
    value: f64,
    low: f64,
    high: f64,
    n_points: usize,
    /// The main family's area minus this one's, paired over tasks.
    main_minus_this: Option<Interval>,
    /// Share of the gap between the boundary policies' success that is closed at tenths of always-large's mean cost.
    gap_recovered: Vec<f64>,
}

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Interval {
    value: f64,
    low: f64,
    high: f64,
}

impl From<Estimate> for Interval {
    fn from(Estimate { value, low, high }: Estimate) -> Self {
        Self { value, low, high }
    }
}

/// The point that a user would run.
#[derive(Debug, Serialize)]
pub(crate) struct OperatingPointEntry {
    policy_id: String,
    lambda: f32,
    /// Whether a point kept the share of success that was asked for, on the validation split.
    is_met_on_validation: bool,
    success_of_large: f64,
    success_of_large_low: f64,
    success_of_large_high: f64,
    cost_of_large: f64,
    cost_of_large_low: f64,
    cost_of_large_high: f64,
    gap_recovered: f64,
}

/// Entries of all policies at all operating points on the test split. With an optimum, `objective` weighs each task's cost
/// on that task's own, exact scale.
pub(crate) fn policies(figures: &Figures, optimum: Option<&Optimum>) -> anyhow::Result<Vec<PolicyEntry>> {
    let mut entries = Vec::new();
    for family in figures.test.families() {
        let groups = figures.test.family(&family);
        let is_conditioned = looks_at_lambda(&groups);
        for group in groups {
            let lambda = is_conditioned.then_some(group.lambda);
            let cost = match optimum {
                Some(optimum) => per_task_cost(group, &optimum.scales),
                None => mean_scale_cost(group, figures)?,
            };
            let objective = lambda.map(|lambda| group.mean(Metric::Value) - f64::from(lambda) * cost);
            entries.push(policy(group, figures, lambda, objective)?);
        }
    }
    Ok(entries)
}

/// Mean cost, where 0 is always-small's mean and 1 always-large's.
fn mean_scale_cost(group: &OutcomeGroup, figures: &Figures) -> anyhow::Result<f64> {
    let boundaries = figures.boundaries()?;
    let [cost, small, large] = [group, boundaries.small(), boundaries.large()].map(|group| group.mean(Metric::CostUsd));
    Ok((cost - small) / (large - small))
}

/// Mean over tasks of the cost on each task's own scale; tasks in the same order.
fn per_task_cost(group: &OutcomeGroup, scales: &[CostScale]) -> f64 {
    let costs = group.per_task(Metric::CostUsd);
    costs.iter().zip(scales).map(|(cost_usd, scale)| scale.normalise(cost_usd * 1e9)).sum::<f64>() / costs.len() as f64
}

fn policy(
    group: &OutcomeGroup,
    figures: &Figures,
    lambda: Option<f32>,
    objective: Option<f64>,
) -> anyhow::Result<PolicyEntry> {
    let summary = summarize(group, &figures.resamples)?;
    let (budget_kind, budget_value) = budget(group.budget);
    Ok(PolicyEntry {
        policy_id: group.policy_id.to_string(),
        family: group.family.to_string(),
        lambda,
        budget_kind,
        budget_value,
        n_episodes: summary.n_episodes,
        n_train_seeds: summary.n_train_seeds,
        success_rate: summary.success_rate.value,
        success_rate_low: summary.success_rate.low,
        success_rate_high: summary.success_rate.high,
        mean_score: summary.mean_score.value,
        value: summary.value.value,
        value_low: summary.value.low,
        value_high: summary.value.high,
        mean_cost_usd: summary.mean_cost_usd.value,
        mean_cost_usd_low: summary.mean_cost_usd.low,
        mean_cost_usd_high: summary.mean_cost_usd.high,
        total_cost_usd: summary.total_cost.as_usd(),
        mean_large_calls: summary.mean_large_calls.value,
        mean_steps: summary.mean_steps.value,
        share_of_cap: summary.share_of_cap.map(|share| share.value),
        objective,
        violations: summary.violations,
    })
}

fn budget(budget: Budget) -> (&'static str, Option<u64>) {
    let value = match budget {
        Budget::Unlimited => None,
        Budget::LargeCalls(calls) => Some(u64::from(calls)),
        Budget::Usd(amount) => Some(amount.get()),
    };
    (budget_kind(budget), value)
}

/// Entries of all families.
pub(crate) fn areas(figures: &Figures) -> Vec<AreaEntry> {
    let entry = |FamilyFigures { frontier, main_minus_this }: &FamilyFigures| AreaEntry {
        policy_id: frontier.family.to_string(),
        value: frontier.area.value,
        low: frontier.area.low,
        high: frontier.area.high,
        n_points: frontier.points.len(),
        main_minus_this: main_minus_this.map(Interval::from),
        gap_recovered: frontier.gap_recovered.iter().map(|(_, estimate)| estimate.value).collect(),
    };
    figures.families.iter().map(entry).collect()
}

impl From<&ChosenPoint> for OperatingPointEntry {
    fn from(point: &ChosenPoint) -> Self {
        let [success, cost] = [point.on_test.success_of_large, point.on_test.cost_of_large];
        Self {
            policy_id: point.chosen.policy_id.to_string(),
            lambda: point.chosen.lambda,
            is_met_on_validation: point.chosen.is_met,
            success_of_large: success.value,
            success_of_large_low: success.low,
            success_of_large_high: success.high,
            cost_of_large: cost.value,
            cost_of_large_low: cost.low,
            cost_of_large_high: cost.high,
            gap_recovered: point.gap_recovered,
        }
    }
}
