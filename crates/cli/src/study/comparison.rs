//! The figures of a comparison.

use std::sync::Arc;

use tollgate_bopo::Variant;
use tollgate_inference::{
    Boundaries, Estimate, InferenceError, Metric, OperatingPointRule, OutcomeGroup, OutcomeTable, RunFigure,
    RunResamples, choose_operating_point, choose_within_cost,
};
use tollgate_routing::{Budget, Split};

use crate::failure::OrBadInput;
use crate::figures::{Evaluations, looks_at_lambda};

/// The family that every other one is compared with.
pub(super) const MAIN: &str = Variant::Bopo.as_str();

/// The same method where it plays every task to its end.
const TO_THE_END: &str = Variant::BopoNoEarlyStop.as_str();

/// Keeps the resamples of a study apart from those of a report.
const STUDY_SEED: u64 = 0x53_54_55_44_59;

/// What an operating point is picked by on the validation tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// The cheapest that keeps this share of always-large's success.
    Success(f64),
    /// The most successful for at most this share of always-large's cost.
    Cost(f64),
}

/// What a column of a table holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Figure {
    /// `frontier_area`.
    Area,
    /// Success less the weighted cost, `V - lambda (C - C_small) / (C_large - C_small)` on mean costs, at this `lambda` without a cap.
    Objective(f32),
    /// The same, where the `lambda` that a policy is shown is a setting of its own, picked on the validation tasks.
    ObjectiveTuned(f32),
    /// What an episode is worth at this `lambda` without a cap.
    Value(f32),
    /// Cost at this `lambda` without a cap, as a share of always-large's.
    CostShare(f32),
    /// What an episode is worth under this cap.
    UnderCap(Budget),
}

/// All policies on one split: a table per training run. Policies that were not trained are the same in every run.
pub(crate) struct Comparison {
    runs: Vec<Run>,
    train_seeds: Vec<u64>,
    resamples: RunResamples,
    families: Vec<Arc<str>>,
}

struct Run {
    /// The split that is reported.
    test: OutcomeTable,
    /// What settings are picked on.
    validation: OutcomeTable,
}

/// One line of a table: a family, its figure in every column, and by how much the main family is ahead of it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) family: Arc<str>,
    /// `None` where the family does not play.
    pub(crate) figures: Vec<Option<Estimate>>,
    pub(crate) main_less_this: Vec<Option<Estimate>>,
}

/// What a family keeps of always-large's success, and for how much of its cost, at the points that were asked for.
#[derive(Debug, Clone)]
pub(crate) struct OperatingPoints {
    pub(crate) family: Arc<str>,
    /// Per point that was asked for: share of always-large's success, and of its cost, on the reported split.
    pub(crate) points: Vec<[Estimate; 2]>,
}

/// What the main method gains and loses at one weight of the cost by giving up, over all episodes of a run.
#[derive(Debug, Clone)]
pub(crate) struct GivingUp {
    pub(crate) lambda: f32,
    /// What episodes cost that did not solve their task, per episode played: played to the end, and of the main method. Dollars.
    pub(crate) failed_cost_usd: [Estimate; 2],
    /// Which share of that the second saves.
    pub(crate) saved: Estimate,
    /// By how much it solves fewer tasks.
    pub(crate) success_lost: Estimate,
    /// Share of its episodes that were given up.
    pub(crate) given_up: Estimate,
}

impl Comparison {
    /// The policies of `evaluations` on `split`.
    pub(crate) fn new(
        evaluations: &Evaluations,
        split: Split,
        n_resamples: u32,
        confidence: f64,
    ) -> anyhow::Result<Self> {
        let train_seeds = evaluations.train_seeds();
        let seeds: Vec<Option<u64>> =
            if train_seeds.is_empty() { vec![None] } else { train_seeds.iter().copied().map(Some).collect() };
        let run = |&seed: &Option<u64>| {
            let test = evaluations.table_of_run(split, seed)?;
            Ok(Run { test, validation: evaluations.table_of_run(Split::Validation, seed)? })
        };
        let runs: Vec<Run> = seeds.iter().map(run).collect::<anyhow::Result<_>>()?;
        let n_tasks = runs[0].test.tasks().len();
        let resamples =
            RunResamples::draw(n_tasks, runs.len(), n_resamples as usize, confidence, STUDY_SEED).or_bad_input()?;
        let families = runs[0].test.families();
        Ok(Self { runs, train_seeds, resamples, families })
    }

    /// Tasks of the split.
    pub(crate) fn n_tasks(&self) -> usize {
        self.resamples.tasks().n_tasks()
    }

    /// Training runs.
    pub(crate) fn n_runs(&self) -> usize {
        self.runs.len()
    }

    /// Why the figures of `other` cannot be paired with these: it is of other training seeds or other tasks. `None` where they can.
    pub(super) fn unpaired(&self, other: &Self) -> Option<String> {
        if self.train_seeds != other.train_seeds {
            return Some(format!("training seeds {:?}, expected {:?}", other.train_seeds, self.train_seeds));
        }
        let (ours, theirs) = (self.runs[0].test.tasks(), other.runs[0].test.tasks());
        if let Some(missing) = ours.iter().find(|task| theirs.binary_search(task).is_err()) {
            return Some(format!("no episode of task `{missing}`, expected the same {} tasks", ours.len()));
        }
        let added = theirs.iter().find(|task| ours.binary_search(task).is_err())?;
        Some(format!("episodes of task `{added}`, expected the same {} tasks", ours.len()))
    }

    /// Everyone who plays.
    pub(super) fn families(&self) -> &[Arc<str>] {
        &self.families
    }

    /// Weights of the cost that policies were asked for without a cap, ascending.
    pub(crate) fn lambdas(&self) -> Vec<f32> {
        let main = self.runs[0].test.family(MAIN);
        let uncapped = main.iter().filter(|group| group.budget == Budget::Unlimited);
        let mut lambdas: Vec<f32> = uncapped.map(|group| group.lambda).collect();
        lambdas.sort_by(f32::total_cmp);
        lambdas
    }

    /// The caps that the main family was played under.
    pub(crate) fn caps(&self) -> Vec<Budget> {
        let main = self.runs[0].test.family(MAIN);
        main.iter().map(|group| group.budget).filter(|budget| *budget != Budget::Unlimited).collect()
    }

    /// `frontier_area` of every family.
    pub(crate) fn areas(&self) -> anyhow::Result<Vec<Line>> {
        self.lines(&[Figure::Area])
    }

    /// Success less the weighted cost at every `lambda` without a cap.
    pub(crate) fn objectives(&self, lambdas: &[f32]) -> anyhow::Result<Vec<Line>> {
        self.lines(&lambdas.iter().map(|&lambda| Figure::Objective(lambda)).collect::<Vec<_>>())
    }

    /// What giving up saves and loses at every `lambda` without a cap; nothing where no policy of the run was trained without it.
    pub(crate) fn giving_up(&self, lambdas: &[f32]) -> anyhow::Result<Vec<GivingUp>> {
        let pair = |run: &Run, lambda, metric| -> Result<Option<[RunFigure; 2]>, InferenceError> {
            let find = |policy_id| run.test.find(policy_id, lambda, Budget::Unlimited);
            let (Some(end), Some(main)) = (find(TO_THE_END), find(MAIN)) else { return Ok(None) };
            Ok(Some([self.resamples.mean(end, metric)?, self.resamples.mean(main, metric)?]))
        };
        let pairs = |lambda, metric| -> Result<Option<Vec<[RunFigure; 2]>>, InferenceError> {
            self.runs.iter().map(|run| pair(run, lambda, metric)).collect()
        };
        let combined = |pairs: &[[RunFigure; 2]], combine: fn(f64, f64) -> f64| {
            self.resamples.estimate(&pairs.iter().map(|[end, main]| end.with(main, combine)).collect::<Vec<_>>())
        };
        let row = |&lambda: &f32| -> Result<Option<GivingUp>, InferenceError> {
            let Some(failed) = pairs(lambda, Metric::FailedCostUsd)? else { return Ok(None) };
            let Some(success) = pairs(lambda, Metric::Success)? else { return Ok(None) };
            let Some(given_up) = pairs(lambda, Metric::GivenUp)? else { return Ok(None) };
            Ok(Some(GivingUp {
                lambda,
                failed_cost_usd: [combined(&failed, |end, _| end)?, combined(&failed, |_, main| main)?],
                saved: combined(&failed, |end, main| 1.0 - main / end)?,
                success_lost: combined(&success, |end, main| end - main)?,
                given_up: combined(&given_up, |_, main| main)?,
            }))
        };
        let rows: Result<Vec<_>, _> = lambdas.iter().map(row).collect();
        Ok(rows.or_bad_input()?.into_iter().flatten().collect())
    }

    /// Success under every cap.
    pub(crate) fn under_caps(&self, caps: &[Budget]) -> anyhow::Result<Vec<Line>> {
        self.lines(&caps.iter().map(|&cap| Figure::UnderCap(cap)).collect::<Vec<_>>())
    }

    /// What every family reaches at the points that the validation tasks pick, one per wish.
    pub(crate) fn operating_points(&self, wishes: &[Asked]) -> anyhow::Result<Vec<OperatingPoints>> {
        let points = |family: &Arc<str>| -> Result<Option<OperatingPoints>, InferenceError> {
            let mut points = Vec::new();
            for &asked in wishes {
                let mut figures: [Vec<RunFigure>; 2] = [Vec::new(), Vec::new()];
                for run in &self.runs {
                    let Some(ratios) = self.relative_to_large(run, family, asked)? else { return Ok(None) };
                    for (figures, ratio) in figures.iter_mut().zip(ratios) {
                        figures.push(ratio);
                    }
                }
                let [success, cost] = figures;
                points.push([self.resamples.estimate(&success)?, self.resamples.estimate(&cost)?]);
            }
            Ok(Some(OperatingPoints { family: family.clone(), points }))
        };
        let of_families: Result<Vec<_>, _> = self.families.iter().map(points).collect();
        Ok(of_families.or_bad_input()?.into_iter().flatten().collect())
    }

    /// Success and cost over always-large's, at the point of `family` that the validation tasks pick.
    fn relative_to_large(
        &self,
        run: &Run,
        family: &str,
        asked: Asked,
    ) -> Result<Option<[RunFigure; 2]>, InferenceError> {
        let mut candidates = run.validation.family(family);
        candidates.retain(|group| group.budget == Budget::Unlimited);
        if candidates.is_empty() {
            return Ok(None);
        }
        let boundaries = run.validation.boundaries()?;
        let chosen = match asked {
            Asked::Success(success_share) => {
                let rule = OperatingPointRule { success_share, ..OperatingPointRule::default() };
                choose_operating_point(&candidates, &boundaries, &rule)?
            }
            Asked::Cost(share) => choose_within_cost(&candidates, &boundaries, share)?,
        };
        let group = run.test.find(&chosen.policy_id, chosen.lambda, chosen.budget).ok_or(InferenceError::NoEpisodes)?;
        let boundaries = run.test.boundaries()?;
        let ratio = |metric| {
            let own = self.resamples.mean(group, metric)?;
            Ok(own.with(&self.resamples.mean(boundaries.large(), metric)?, |own, large| own / large))
        };
        Ok(Some([ratio(Metric::Value)?, ratio(Metric::CostUsd)?]))
    }

    /// A figure of `family` in every run; `None` where it does not play.
    pub(super) fn per_run(&self, figure: Figure, family: &str) -> Result<Option<Vec<RunFigure>>, InferenceError> {
        self.runs.iter().map(|run| figure.in_run(run, family, &self.resamples)).collect()
    }

    /// The mean of a figure over the runs.
    pub(super) fn estimate(&self, per_run: &[RunFigure]) -> Result<Estimate, InferenceError> {
        self.resamples.estimate(per_run)
    }

    /// A line for every family with these figures as its columns.
    fn lines(&self, columns: &[Figure]) -> anyhow::Result<Vec<Line>> {
        let n_columns = columns.len();
        let row = |family: &str| -> Result<Vec<Option<Vec<RunFigure>>>, InferenceError> {
            columns.iter().map(|&figure| self.per_run(figure, family)).collect()
        };
        let main = row(MAIN).or_bad_input()?;
        let line = |family: &Arc<str>| -> Result<Line, InferenceError> {
            let own = row(family)?;
            let estimate = |figures: &Option<Vec<RunFigure>>| {
                figures.as_ref().map(|figures| self.resamples.estimate(figures)).transpose()
            };
            let difference = |(main, own): (&Option<Vec<RunFigure>>, &Option<Vec<RunFigure>>)| {
                let (Some(main), Some(own)) = (main, own) else { return Ok(None) };
                self.resamples.estimate(&less(main, own)).map(Some)
            };
            let main_less_this = if &**family == MAIN {
                vec![None; n_columns]
            } else {
                main.iter().zip(&own).map(difference).collect::<Result<_, _>>()?
            };
            Ok(Line {
                family: family.clone(),
                figures: own.iter().map(estimate).collect::<Result<_, _>>()?,
                main_less_this,
            })
        };
        let lines: Result<Vec<Line>, InferenceError> = self.families.iter().map(line).collect();
        let mut lines = lines.or_bad_input()?;
        lines.retain(|line| line.figures.iter().any(Option::is_some));
        Ok(lines)
    }
}

impl Figure {
    /// The figure of `family` in one run. Where the family has settings, the validation tasks pick one.
    fn in_run(self, run: &Run, family: &str, resamples: &RunResamples) -> Result<Option<RunFigure>, InferenceError> {
        let groups = run.validation.family(family);
        let boundaries = run.test.boundaries()?;
        match self {
            Self::Area => {
                let groups = run.test.family(family);
                if groups.is_empty() {
                    return Ok(None);
                }
                resamples.area(&groups, &boundaries).map(Some)
            }
            Self::Objective(lambda) | Self::ObjectiveTuned(lambda) => {
                let is_bound = matches!(self, Self::Objective(_)) && looks_at_lambda(&groups);
                let candidates = groups.into_iter().filter(|group| {
                    group.budget == Budget::Unlimited && (!is_bound || group.lambda.to_bits() == lambda.to_bits())
                });
                let on_validation = run.validation.boundaries()?;
                let picked = run.picked(candidates, |group| objective(group, &on_validation, lambda));
                picked.map(|group| sampled_objective(group, &boundaries, lambda, resamples)).transpose()
            }
            Self::Value(lambda) => {
                let group = run.test.find(family, lambda, Budget::Unlimited);
                group.map(|group| resamples.mean(group, Metric::Value)).transpose()
            }
            Self::CostShare(lambda) => {
                let Some(group) = run.test.find(family, lambda, Budget::Unlimited) else { return Ok(None) };
                let large = resamples.mean(boundaries.large(), Metric::CostUsd)?;
                Ok(Some(resamples.mean(group, Metric::CostUsd)?.with(&large, |own, large| own / large)))
            }
            Self::UnderCap(cap) => {
                let candidates = groups.into_iter().filter(|group| group.budget == cap);
                let picked = run.picked(candidates, |group| group.mean(Metric::Value));
                picked.map(|group| resamples.mean(group, Metric::Value)).transpose()
            }
        }
    }
}

impl Run {
    /// The reported outcomes of the one of `candidates` that is best by `merit`; the first of equally good ones.
    fn picked<'a>(
        &self,
        candidates: impl Iterator<Item = &'a OutcomeGroup>,
        merit: impl Fn(&OutcomeGroup) -> f64,
    ) -> Option<&OutcomeGroup> {
        let better = |best: Option<(f64, &'a OutcomeGroup)>, group: &'a OutcomeGroup| {
            let own = merit(group);
            match best {
                Some((merit, _)) if merit >= own => best,
                _ => Some((own, group)),
            }
        };
        let (_, best) = candidates.fold(None, better)?;
        self.test.find(&best.policy_id, best.lambda, best.budget)
    }
}

/// By how much a figure is higher in each run of `one`.
pub(super) fn less(one: &[RunFigure], other: &[RunFigure]) -> Vec<RunFigure> {
    one.iter().zip(other).map(|(one, other)| one.with(other, |one, other| one - other)).collect()
}

/// `V - lambda (C - C_small) / (C_large - C_small)` on mean costs, in every resample.
fn sampled_objective(
    group: &OutcomeGroup,
    boundaries: &Boundaries<'_>,
    lambda: f32,
    resamples: &RunResamples,
) -> Result<RunFigure, InferenceError> {
    let cost = |group: &OutcomeGroup| resamples.mean(group, Metric::CostUsd);
    let small = cost(boundaries.small())?;
    let spread = cost(boundaries.large())?.with(&small, |large, small| large - small);
    let share = cost(group)?.with(&small, |own, small| own - small).with(&spread, |own, spread| own / spread);
    Ok(resamples.mean(group, Metric::Value)?.with(&share, |value, share| value - f64::from(lambda) * share))
}

/// `V - lambda (C - C_small) / (C_large - C_small)` on mean costs.
fn objective(group: &OutcomeGroup, boundaries: &Boundaries<'_>, lambda: f32) -> f64 {
    let cost = |group: &OutcomeGroup| group.mean(Metric::CostUsd);
    let small = cost(boundaries.small());
    let share = (cost(group) - small) / (cost(boundaries.large()) - small);
    group.mean(Metric::Value) - f64::from(lambda) * share
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, Played};
    use super::*;

    #[test]
    fn a_family_that_does_not_play_has_no_frontier() {
        let comparison = fixture::comparison(&Played { tasks: &["a", "b"], train_seeds: &[1, 2] });
        let area = |family| comparison.per_run(Figure::Area, family).unwrap();
        assert_eq!(area("bopo").map(|runs| runs.len()), Some(2));
        assert_eq!(area("oracle"), None);
    }

    #[track_caller]
    fn check_unpaired(other: &Played<'_>, expected: Option<&str>) {
        let ours = fixture::comparison(&Played { tasks: &["a", "b"], train_seeds: &[1, 2] });
        assert_eq!(ours.unpaired(&fixture::comparison(other)).as_deref(), expected);
    }

    #[test]
    fn as_many_runs_of_as_many_tasks_are_not_paired_unless_they_are_the_same() {
        check_unpaired(&Played { tasks: &["b", "a"], train_seeds: &[2, 1] }, None);
        check_unpaired(
            &Played { tasks: &["a", "b"], train_seeds: &[1, 3] },
            Some("training seeds [1, 3], expected [1, 2]"),
        );
        check_unpaired(
            &Played { tasks: &["a", "c"], train_seeds: &[1, 2] },
            Some("no episode of task `b`, expected the same 2 tasks"),
        );
        check_unpaired(
            &Played { tasks: &["a", "b", "c"], train_seeds: &[1, 2] },
            Some("episodes of task `c`, expected the same 2 tasks"),
        );
    }
}
