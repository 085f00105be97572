//! Artifacts and figures to what the page shows.

use std::collections::BTreeMap;

use anyhow::Result;
use tollgate_contract::{ArtifactKind, BoundaryLabelRow, ProductKind, TaskRow, TrainingLogRow};
use tollgate_inference::{Estimate, Summary, summarize};
use tollgate_rollout::Arena;
use tollgate_routing::{BoundaryLabel, Budget, Difficulty, ModelPool, NanoUsd, ProbeStats, Split, TaskId};
use tollgate_taxonomy::{Boundary, ProbeOutcome, Thresholds, classify};

use super::model::{
    ClassSpending, ClassSummary, EvaluationScope, Frontier, Interval, ModelEntry, OperatingPoint, PolicySpending,
    PolicySummary, ReportInputs, TaxonomySummary, TrainingCurve, TrainingPoint, UnseenKinds,
};
use super::provenance::Origins;
use super::replay;
use crate::artifact::read_rows;
use crate::config::ReportConfig;
use crate::figures::{ChosenPoint, Evaluations, FamilyFigures, Figures, looks_at_lambda};
use crate::optimum::Optimum;
use crate::stage_call::StageCall;

/// The name of the exact reference of a router that knows the hidden state.
const PRIVILEGED: &str = "dp-privileged";

/// What the report stage has computed already.
pub(crate) struct Sources<'a> {
    /// The call of the stage.
    pub(crate) call: &'a StageCall,
    /// Its config.
    pub(crate) config: &'a ReportConfig,
    /// Where the episodes were played.
    pub(crate) arena: &'a dyn Arena,
    /// The evaluated episodes.
    pub(crate) evaluations: &'a Evaluations,
    /// Their figures.
    pub(crate) figures: &'a Figures,
    /// The figures on tasks of unseen kinds, where there are some.
    pub(crate) unseen: Option<&'a Figures>,
    /// What is possible, where that is known exactly.
    pub(crate) optimum: Option<&'a Optimum>,
}

/// Everything that the page shows. Reads the rest of the stage's inputs and plays a few episodes again.
///
/// # Errors
/// When an input cannot be read, or an episode cannot be played.
pub(crate) fn gather(sources: &Sources<'_>) -> Result<ReportInputs> {
    let Sources { call, config, arena, evaluations, figures, unseen, optimum } = *sources;
    let labels: Vec<BoundaryLabelRow> = read_rows(call.input(ArtifactKind::BoundaryLabels)?)?;
    let tasks: Vec<TaskRow> = read_rows(call.input(ArtifactKind::Tasks)?)?;
    let training_log: Vec<TrainingLogRow> = read_rows(call.input(ArtifactKind::TrainingLog)?)?;
    let origins = Origins::of(call)?;
    let summaries = summaries(figures)?;
    let point = figures.operating_point.as_ref();
    let episodes = match point {
        None => Vec::new(),
        Some(point) => replay::replay(&replay::Stage {
            arena,
            tasks: &tasks,
            checkpoint: call.input(ProductKind::Checkpoint)?,
            evaluations: call.input(ArtifactKind::Evaluations)?,
            labels: &labels,
            policy_id: &point.chosen.policy_id,
            lambda: point.chosen.lambda,
            n_traces: config.n_traces,
        })?,
    };
    let policies = summaries.iter().map(|(summary, looks)| policy(summary, *looks, large_cost(&labels)));
    let thresholds = origins.thresholds()?;
    Ok(ReportInputs {
        suite: call.experiment.suite.as_str().to_owned(),
        objective: call.experiment.outcome.into(),
        models: models(arena.pool()),
        scope: scope(evaluations, figures, config),
        main_family: figures.main_family.as_deref().unwrap_or("bopo").to_owned(),
        operating_point: point.and_then(|point| operating_point(point, &summaries)),
        policies: policies.collect(),
        frontiers: frontiers(figures, optimum),
        unseen: unseen.map(|figures| unseen_kinds(figures, &labels)).transpose()?,
        taxonomy: taxonomy(&labels, evaluations, &thresholds, point),
        training: training(&training_log),
        episodes,
        configuration: origins.configuration()?,
        seeds: origins.seeds(evaluations),
        provenance: origins.provenance(),
        artifacts: origins.artifacts(),
    })
}

/// Always-large's mean cost over the train probes, which the caps in dollars are shares of.
fn large_cost(labels: &[BoundaryLabel]) -> NanoUsd {
    let n_episodes: u64 = labels.iter().map(|label| u64::from(label.large.episodes)).sum();
    let total: u64 = labels.iter().map(|label| label.large.mean_cost.get() * u64::from(label.large.episodes)).sum();
    NanoUsd::new(total / n_episodes.max(1))
}

/// All policies at all operating points on the test split, each with whether its family looks at lambda.
fn summaries(figures: &Figures) -> Result<Vec<(Summary, bool)>> {
    let mut summaries = Vec::new();
    for family in figures.test.families() {
        let groups = figures.test.family(&family);
        let looks = looks_at_lambda(&groups);
        for group in groups {
            summaries.push((summarize(group, &figures.resamples)?, looks));
        }
    }
    Ok(summaries)
}

impl From<Estimate> for Interval {
    fn from(estimate: Estimate) -> Self {
        Self::new(estimate.value, estimate.low, estimate.high)
    }
}

/// The models of a pool, small first.
fn models(pool: &ModelPool) -> Vec<ModelEntry> {
    let entries = pool.iter().map(|(_, model)| ModelEntry {
        id: model.id.to_string(),
        input_usd_per_million: model.prices.input.as_usd_per_million(),
        cached_usd_per_million: model.prices.cached_input.as_usd_per_million(),
        output_usd_per_million: model.prices.output.as_usd_per_million(),
    });
    entries.collect()
}

fn scope(evaluations: &Evaluations, figures: &Figures, config: &ReportConfig) -> EvaluationScope {
    let main = figures.test.groups().iter().filter(|group| Some(&group.family) == figures.main_family.as_ref());
    EvaluationScope {
        n_tasks: figures.test.tasks().len(),
        n_episodes: evaluations.episodes.len(),
        n_training_seeds: main.map(|group| group.train_seeds.len()).max().unwrap_or(0),
        confidence: config.confidence,
    }
}

/// One policy under one budget. `large_cost` is the mean cost that caps in dollars are shares of.
fn policy(summary: &Summary, looks_at_lambda: bool, large_cost: NanoUsd) -> PolicySummary {
    let budget_of_large = match summary.budget {
        Budget::Usd(cap) if large_cost > NanoUsd::ZERO => Some(cap.get() as f64 / large_cost.get() as f64),
        Budget::Usd(_) | Budget::Unlimited | Budget::LargeCalls(_) => None,
    };
    PolicySummary {
        policy_id: summary.policy_id.to_string(),
        family: summary.family.to_string(),
        lambda: looks_at_lambda.then_some(f64::from(summary.lambda)),
        budget: summary.budget,
        budget_of_large,
        value: summary.value.into(),
        success_rate: summary.success_rate.value,
        mean_score: summary.mean_score.value,
        mean_cost_usd: summary.mean_cost_usd.into(),
        total_cost_usd: summary.total_cost.as_usd(),
        mean_large_calls: summary.mean_large_calls.into(),
        mean_steps: summary.mean_steps.value,
        cap_share: summary.share_of_cap.map(|share| share.value),
        n_episodes: summary.n_episodes as usize,
        n_seeds: summary.n_train_seeds.max(1),
        violations: summary.violations as usize,
    }
}

/// The frontiers that are worth comparing: the boundary policies' own are part of every other one.
fn frontiers(figures: &Figures, optimum: Option<&Optimum>) -> Vec<Frontier> {
    let families = figures.families.iter().filter(|figures| !figures.frontier.family.starts_with("always-"));
    let frontiers = families.map(|FamilyFigures { frontier, main_minus_this }| Frontier {
        family: frontier.family.to_string(),
        hull: frontier.hull.vertices().to_vec(),
        area: frontier.area.into(),
        main_minus_this: main_minus_this.map(Interval::from),
    });
    // An expectation has no interval, and what was played cannot be paired with it.
    let privileged = optimum.map(|optimum| Frontier {
        family: PRIVILEGED.to_owned(),
        hull: optimum.hull.clone(),
        area: Interval::new(optimum.privileged_frontier_area, f64::NAN, f64::NAN),
        main_minus_this: None,
    });
    frontiers.chain(privileged).collect()
}

/// What carries over to tasks of unseen kinds: the operating point, and every policy without a cap.
fn unseen_kinds(figures: &Figures, labels: &[BoundaryLabel]) -> Result<UnseenKinds> {
    let summaries = summaries(figures)?;
    let uncapped = summaries.iter().filter(|(summary, _)| summary.budget == Budget::Unlimited);
    Ok(UnseenKinds {
        n_tasks: figures.test.tasks().len(),
        operating_point: figures.operating_point.as_ref().and_then(|point| operating_point(point, &summaries)),
        policies: uncapped.map(|(summary, looks)| policy(summary, *looks, large_cost(labels))).collect(),
    })
}

/// The operating point with its figures on the split.
fn operating_point(point: &ChosenPoint, summaries: &[(Summary, bool)]) -> Option<OperatingPoint> {
    let ChosenPoint { chosen, on_test, gap_recovered } = point;
    let is_it = |summary: &&Summary| {
        summary.policy_id == chosen.policy_id
            && summary.lambda.to_bits() == chosen.lambda.to_bits()
            && summary.budget == chosen.budget
    };
    let summary = summaries.iter().map(|(summary, _)| summary).find(is_it)?;
    Some(OperatingPoint {
        policy_id: chosen.policy_id.to_string(),
        lambda: f64::from(chosen.lambda),
        budget: chosen.budget,
        is_met: chosen.is_met,
        value: summary.value.into(),
        mean_cost_usd: summary.mean_cost_usd.into(),
        mean_large_calls: summary.mean_large_calls.value,
        success_of_large: on_test.success_of_large.into(),
        cost_of_large: on_test.cost_of_large.into(),
        gap_recovered: gap_recovered.is_finite().then_some(*gap_recovered),
    })
}

/// The training log as curves, variants and seeds in the order of the log.
fn training(rows: &[TrainingLogRow]) -> Vec<TrainingCurve> {
    let mut curves: Vec<TrainingCurve> = Vec::new();
    for row in rows {
        let metric = |value: Option<f32>| value.map_or(f64::NAN, f64::from);
        let point = TrainingPoint {
            n_env_steps: row.env_steps as f64,
            mean_return: metric(row.metrics.mean_return),
            success_rate: metric(row.metrics.success_rate),
            large_share: metric(row.metrics.large_share),
            kl: metric(row.metrics.reference_kl.or(row.metrics.approx_kl)),
            entropy: metric(row.metrics.entropy),
        };
        match curves.iter_mut().find(|curve| *curve.variant == *row.variant && curve.seed == row.train_seed) {
            Some(curve) => curve.points.push(point),
            None => curves.push(TrainingCurve {
                variant: row.variant.to_string(),
                seed: row.train_seed,
                points: vec![point],
            }),
        }
    }
    curves
}

/// The classes of the probed tasks, and what the two boundary policies and the main policy at its operating point spend on
/// each class of the test tasks. A test task gets its class as a training task does, from its evaluated episodes of the
/// boundary policies. `None` when nothing was probed.
fn taxonomy(
    labels: &[BoundaryLabel],
    evaluations: &Evaluations,
    thresholds: &Thresholds,
    point: Option<&ChosenPoint>,
) -> Option<TaxonomySummary> {
    if labels.is_empty() {
        return None;
    }
    let (classes, n_probes) = test_classes(evaluations, thresholds);
    let small = Some(("always-small", None, Budget::Unlimited));
    let main = point.map(|point| (&*point.chosen.policy_id, Some(point.chosen.lambda), point.chosen.budget));
    let large = Some(("always-large", None, Budget::Unlimited));
    let spending = [small, main, large].into_iter().flatten().map(|played| spending_of(played, evaluations, &classes));
    Some(TaxonomySummary {
        classes: Difficulty::ALL.into_iter().map(|difficulty| class(difficulty, labels)).collect(),
        spending: if classes.is_empty() { Vec::new() } else { spending.collect() },
        spending_scope: spending_scope(classes.len(), n_probes),
    })
}

/// Where the classes of the test tasks come from, and how far to trust them.
fn spending_scope(n_tasks: usize, n_probes: usize) -> String {
    let caution = match n_probes {
        0..=2 => " With so few, a class says what happened to a task rather than how hard it is.",
        _ => "",
    };
    format!(
        "The {n_tasks} test tasks, classed by the rule of the training tasks from their evaluated episodes of the two boundary policies: \
         {n_probes} of each.{caution}"
    )
}

fn class(difficulty: Difficulty, labels: &[BoundaryLabel]) -> ClassSummary {
    let members = || labels.iter().filter(|label| label.difficulty == difficulty);
    let n_tasks = members().count();
    let pooled = |probes: &dyn Fn(&BoundaryLabel) -> ProbeStats, figure: &dyn Fn(&ProbeStats) -> f64| {
        let n_episodes: f64 = members().map(|label| f64::from(probes(label).episodes)).sum();
        let sum: f64 = members().map(|label| figure(&probes(label)) * f64::from(probes(label).episodes)).sum();
        sum / n_episodes
    };
    let (small, large) = (|label: &BoundaryLabel| label.small, |label: &BoundaryLabel| label.large);
    let cost = |stats: &ProbeStats| stats.mean_cost.as_usd();
    ClassSummary {
        difficulty,
        n_tasks,
        n_contested: members().filter(|label| label.is_contested).count(),
        small_success: pooled(&small, &ProbeStats::success_rate),
        large_success: pooled(&large, &ProbeStats::success_rate),
        small_mean_cost_usd: pooled(&small, &cost),
        large_mean_cost_usd: pooled(&large, &cost),
    }
}

/// The class of each test task that both boundary policies played, and the fewest episodes of one of them.
fn test_classes<'a>(
    evaluations: &'a Evaluations,
    thresholds: &Thresholds,
) -> (BTreeMap<&'a TaskId, Difficulty>, usize) {
    let mut probes: BTreeMap<&TaskId, Vec<ProbeOutcome>> = BTreeMap::new();
    for episode in evaluations.episodes.iter().filter(|episode| episode.split == Split::Test) {
        let cell = &evaluations.cells[episode.cell_idx];
        if let (Some(boundary), Budget::Unlimited) = (Boundary::from_policy_id(&cell.policy_id), cell.budget) {
            let outcome = &episode.outcome;
            let probe =
                ProbeOutcome { boundary, is_success: outcome.is_success, score: outcome.score, cost: outcome.cost };
            probes.entry(&episode.task_id).or_default().push(probe);
        }
    }
    let n_probes = probes.values().map(|outcomes| outcomes.len() / 2).min().unwrap_or(0);
    let classes = probes.into_iter().filter_map(|(task_id, outcomes)| {
        // A task without an episode of one of the two has no class.
        classify(task_id, &outcomes, thresholds).ok().map(|label| (task_id, label.difficulty))
    });
    (classes.collect(), n_probes)
}

/// What a policy at an operating point spends on each class; without a lambda, whichever it was played with.
fn spending_of(
    (policy_id, lambda, budget): (&str, Option<f32>, Budget),
    evaluations: &Evaluations,
    classes: &BTreeMap<&TaskId, Difficulty>,
) -> PolicySpending {
    let mut sums: BTreeMap<Difficulty, (u64, u64, f64)> = BTreeMap::new();
    let mut n_episodes = 0_u64;
    for episode in evaluations.episodes.iter().filter(|episode| episode.split == Split::Test) {
        let cell = &evaluations.cells[episode.cell_idx];
        let is_it = &*cell.policy_id == policy_id
            && cell.budget == budget
            && lambda.is_none_or(|lambda| cell.lambda.to_bits() == lambda.to_bits());
        let Some(difficulty) = classes.get(&episode.task_id).filter(|_| is_it) else { continue };
        let (episodes, solved, cost) = sums.entry(*difficulty).or_default();
        *episodes += 1;
        *solved += u64::from(episode.outcome.is_success);
        *cost += episode.outcome.cost.as_usd();
        n_episodes += 1;
    }
    let by_class = Difficulty::ALL.into_iter().map(|difficulty| {
        let (episodes, solved, cost) = sums.get(&difficulty).copied().unwrap_or_default();
        ClassSpending {
            difficulty,
            n_tasks: classes.values().filter(|class| **class == difficulty).count(),
            success: solved as f64 / episodes as f64,
            cost_usd_per_task: cost / n_episodes.max(1) as f64,
        }
    });
    PolicySpending { policy_id: policy_id.to_owned(), by_class: by_class.collect() }
}
