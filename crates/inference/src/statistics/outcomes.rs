//! Episodes to one figure per policy, operating point and task.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tollgate_routing::{Budget, NanoUsd, Objective, TaskId};

use super::bootstrap::{Resamples, mean};
use crate::{Cell, EpisodeOutcome, InferenceError};

/// A figure that every episode has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Share of solved episodes, 0 to 1.
    Success,
    /// Grade, 0 to 1.
    Score,
    /// What an episode is worth by the objective: frontiers and operating points are about it. 0 to 1.
    Value,
    /// Cost in dollars.
    CostUsd,
    /// Calls of the large model.
    LargeCalls,
    /// Steps.
    Steps,
    /// Share of the cap that was used, 0 to 1; 0 without a cap.
    ShareOfCap,
    /// Share of episodes that the router gave up, 0 to 1.
    GivenUp,
    /// Cost in dollars of an episode that did not solve its task; 0 for one that did.
    FailedCostUsd,
}

const N_METRICS: usize = 9;

impl Metric {
    const ALL: [Self; N_METRICS] = [
        Self::Success,
        Self::Score,
        Self::Value,
        Self::CostUsd,
        Self::LargeCalls,
        Self::Steps,
        Self::ShareOfCap,
        Self::GivenUp,
        Self::FailedCostUsd,
    ];

    fn of(self, outcome: &EpisodeOutcome, budget: Budget, objective: Objective) -> f64 {
        match self {
            Self::Success => f64::from(u8::from(outcome.is_success)),
            Self::Score => f64::from(outcome.score),
            Self::Value => f64::from(objective.value(outcome.is_success, outcome.score)),
            Self::CostUsd => outcome.cost.as_usd(),
            Self::LargeCalls => f64::from(outcome.n_large_calls),
            Self::Steps => f64::from(outcome.n_steps),
            Self::ShareOfCap => match budget {
                Budget::Unlimited => 0.0,
                Budget::LargeCalls(cap) => f64::from(outcome.n_large_calls) / f64::from(cap.max(1)),
                Budget::Usd(cap) => outcome.cost.get() as f64 / cap.get().max(1) as f64,
            },
            Self::GivenUp => f64::from(u8::from(outcome.is_given_up)),
            Self::FailedCostUsd => outcome.cost.as_usd() * f64::from(u8::from(!outcome.is_success)),
        }
    }
}

/// The outcomes of one policy at one operating point, all of its training seeds together, task by task.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeGroup {
    /// The policy, with its parameter.
    pub policy_id: Arc<str>,
    /// The policies that share a frontier.
    pub family: Arc<str>,
    /// Weight of the cost, shown to the policy.
    pub lambda: f32,
    /// The hard limit.
    pub budget: Budget,
    /// Training seeds, in order; empty for a policy that was not trained.
    pub train_seeds: Vec<u64>,
    /// Episodes, over all tasks and seeds.
    pub n_episodes: u64,
    /// What they cost together.
    pub total_cost: NanoUsd,
    /// Episodes that exceeded the budget.
    pub violations: u64,
    /// One column per metric, one mean per task.
    columns: [Vec<f64>; N_METRICS],
}

impl OutcomeGroup {
    /// The mean of `metric` over the episodes of each task, in the order of the table's tasks.
    #[must_use]
    pub fn per_task(&self, metric: Metric) -> &[f64] {
        &self.columns[metric as usize]
    }

    /// The mean of `metric` over tasks.
    #[must_use]
    pub fn mean(&self, metric: Metric) -> f64 {
        mean(self.per_task(metric))
    }

    /// Refuses resamples of another number of tasks.
    pub(crate) fn check(&self, resamples: &Resamples) -> Result<(), InferenceError> {
        let (expected, found) = (self.columns[0].len(), resamples.n_tasks());
        if expected == found { Ok(()) } else { Err(InferenceError::ResampledTasks { expected, found }) }
    }
}

/// The outcomes of an evaluation on one split, aggregated per task.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeTable {
    tasks: Vec<TaskId>,
    groups: Vec<OutcomeGroup>,
}

impl OutcomeTable {
    /// Aggregates episodes, which are worth what `objective` says: policies of different training seeds become one group per
    /// policy, lambda and budget. Groups come in the order of their first episode, tasks in the order of their names.
    ///
    /// # Errors
    /// [`InferenceError::NoEpisodes`], and [`InferenceError::Unpaired`] when the groups did not play the same tasks.
    pub fn aggregate<'a>(
        objective: Objective,
        episodes: impl IntoIterator<Item = (&'a Cell, &'a TaskId, &'a EpisodeOutcome)>,
    ) -> Result<Self, InferenceError> {
        let mut position_of: HashMap<(&str, u32, Budget), usize> = HashMap::new();
        let mut drafts: Vec<Draft<'a>> = Vec::new();
        for (cell, task, outcome) in episodes {
            let key = (&*cell.policy_id, cell.lambda.to_bits(), cell.budget);
            let position = *position_of.entry(key).or_insert_with(|| {
                drafts.push(Draft::new(cell));
                drafts.len() - 1
            });
            drafts[position].add(cell, task, outcome, objective);
        }
        let tasks: BTreeSet<&TaskId> = drafts.iter().flat_map(|draft| draft.sums.keys().copied()).collect();
        if tasks.is_empty() {
            return Err(InferenceError::NoEpisodes);
        }
        for draft in &drafts {
            if let Some(&task) = tasks.iter().find(|task| !draft.sums.contains_key(*task)) {
                return Err(InferenceError::Unpaired { cell: draft.cell.to_string(), task: task.clone() });
            }
        }
        Ok(Self {
            tasks: tasks.into_iter().cloned().collect(),
            groups: drafts.into_iter().map(Draft::finish).collect(),
        })
    }

    /// The tasks that every group played, ordered by name.
    #[must_use]
    pub fn tasks(&self) -> &[TaskId] {
        &self.tasks
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[OutcomeGroup] {
        &self.groups
    }

    /// The groups of a family.
    #[must_use]
    pub fn family(&self, family: &str) -> Vec<&OutcomeGroup> {
        self.groups.iter().filter(|group| &*group.family == family).collect()
    }

    /// The names of the families, in the order of their first episode.
    #[must_use]
    pub fn families(&self) -> Vec<Arc<str>> {
        let mut families: Vec<Arc<str>> = Vec::new();
        for group in &self.groups {
            if !families.contains(&group.family) {
                families.push(group.family.clone());
            }
        }
        families
    }

    /// The group of a policy at an operating point.
    #[must_use]
    pub fn find(&self, policy_id: &str, lambda: f32, budget: Budget) -> Option<&OutcomeGroup> {
        self.groups.iter().find(|group| {
            &*group.policy_id == policy_id && group.lambda.to_bits() == lambda.to_bits() && group.budget == budget
        })
    }

    /// Both boundary policies, played without a cap.
    ///
    /// # Errors
    /// [`InferenceError::MissingBoundary`], and [`InferenceError::LargeNeverSucceeds`].
    pub fn boundaries(&self) -> Result<Boundaries<'_>, InferenceError> {
        let boundary = |policy_id: &'static str| {
            self.groups
                .iter()
                .find(|group| &*group.policy_id == policy_id && group.budget == Budget::Unlimited)
                .ok_or(InferenceError::MissingBoundary { policy_id })
        };
        Boundaries::new(boundary("always-small")?, boundary("always-large")?)
    }
}

/// The outcomes of the two boundary policies: what every other policy is measured against.
#[derive(Debug, Clone, Copy)]
pub struct Boundaries<'a> {
    small: &'a OutcomeGroup,
    large: &'a OutcomeGroup,
}

impl<'a> Boundaries<'a> {
    /// The two, played without a cap on the same tasks.
    ///
    /// # Errors
    /// [`InferenceError::LargeNeverSucceeds`]: nothing can be relative to no success.
    pub fn new(small: &'a OutcomeGroup, large: &'a OutcomeGroup) -> Result<Self, InferenceError> {
        if large.mean(Metric::Value) > 0.0 {
            return Ok(Self { small, large });
        }
        Err(InferenceError::LargeNeverSucceeds { n_tasks: large.per_task(Metric::Value).len() })
    }

    /// Always-small.
    #[must_use]
    pub const fn small(&self) -> &'a OutcomeGroup {
        self.small
    }

    /// Always-large.
    #[must_use]
    pub const fn large(&self) -> &'a OutcomeGroup {
        self.large
    }
}

/// A group while its episodes come in.
struct Draft<'a> {
    cell: &'a Cell,
    train_seeds: BTreeSet<u64>,
    n_episodes: u64,
    total_cost: NanoUsd,
    violations: u64,
    sums: BTreeMap<&'a TaskId, (u64, [f64; N_METRICS])>,
}

impl<'a> Draft<'a> {
    fn new(cell: &'a Cell) -> Self {
        Self {
            cell,
            train_seeds: BTreeSet::new(),
            n_episodes: 0,
            total_cost: NanoUsd::ZERO,
            violations: 0,
            sums: BTreeMap::new(),
        }
    }

    fn add(&mut self, cell: &Cell, task: &'a TaskId, outcome: &EpisodeOutcome, objective: Objective) {
        self.train_seeds.extend(cell.train_seed);
        self.n_episodes += 1;
        self.total_cost += outcome.cost;
        self.violations += u64::from(outcome.is_violation);
        let (n_episodes, sums) = self.sums.entry(task).or_default();
        *n_episodes += 1;
        for (sum, metric) in sums.iter_mut().zip(Metric::ALL) {
            *sum += metric.of(outcome, cell.budget, objective);
        }
    }

    fn finish(self) -> OutcomeGroup {
        let column = |metric: Metric| {
            self.sums.values().map(|(n_episodes, sums)| sums[metric as usize] / *n_episodes as f64).collect()
        };
        OutcomeGroup {
            policy_id: self.cell.policy_id.clone(),
            family: self.cell.family.clone(),
            lambda: self.cell.lambda,
            budget: self.cell.budget,
            columns: Metric::ALL.map(column),
            train_seeds: self.train_seeds.into_iter().collect(),
            n_episodes: self.n_episodes,
            total_cost: self.total_cost,
            violations: self.violations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_outcomes::{cell, outcome};
    use super::*;

    #[test]
    fn a_task_enters_with_the_mean_over_its_seeds_and_training_seeds() {
        let (one, two) = (cell("bopo", 0.3, Some(1)), cell("bopo", 0.3, Some(2)));
        let (a, b) = (TaskId::new("a"), TaskId::new("b"));
        let (good, bad) = (outcome(true, 4), outcome(false, 8));
        let table = OutcomeTable::aggregate(
            Objective::Success,
            [
                (&one, &b, &good),
                (&one, &a, &good),
                (&one, &a, &bad),
                (&two, &a, &bad),
                (&two, &a, &bad),
                (&two, &b, &good),
            ],
        )
        .unwrap();
        let group = &table.groups()[0];
        assert_eq!(table.tasks(), [a, b]);
        assert_eq!(group.per_task(Metric::Success), [0.25, 1.0]);
        assert_eq!(group.per_task(Metric::CostUsd), [7.0, 4.0]);
        assert_eq!((group.train_seeds.as_slice(), group.n_episodes), ([1, 2].as_slice(), 6));
        assert_eq!(group.total_cost, NanoUsd::new(36_000_000_000));
        assert!((group.mean(Metric::Success) - 0.625).abs() < 1e-12);
    }

    #[test]
    fn the_cost_of_failures_and_the_share_given_up_are_means_over_all_episodes() {
        let bopo = cell("bopo", 0.3, None);
        let given_up = EpisodeOutcome { is_given_up: true, ..outcome(false, 3) };
        let task = TaskId::new("a");
        let episodes = [outcome(true, 8), outcome(false, 5), given_up, outcome(true, 1)];
        let table = OutcomeTable::aggregate(Objective::Success, episodes.iter().map(|outcome| (&bopo, &task, outcome)))
            .unwrap();
        let means = [Metric::FailedCostUsd, Metric::GivenUp].map(|metric| table.groups()[0].mean(metric));
        assert_eq!(means.map(f64::to_bits), [2.0, 0.25].map(f64::to_bits));
    }

    #[test]
    fn a_grade_counts_where_grades_are_what_counts() {
        let large = cell("always-large", 0.0, None);
        let small = cell("always-small", 0.0, None);
        let task = TaskId::new("a");
        let graded = EpisodeOutcome { score: 0.5, ..outcome(false, 4) };
        let table =
            OutcomeTable::aggregate(Objective::Score, [(&small, &task, &graded), (&large, &task, &graded)]).unwrap();
        let boundaries = table.boundaries().unwrap();
        let means = [Metric::Value, Metric::Success].map(|metric| boundaries.large().mean(metric));
        assert_eq!(means.map(f64::to_bits), [0.5, 0.0].map(f64::to_bits));
    }

    #[test]
    fn the_share_of_a_cap_is_in_its_own_unit() {
        let mut capped = cell("bopo", 0.0, None);
        let spent = EpisodeOutcome { n_large_calls: 3, ..outcome(true, 4) };
        let share = |budget, capped: &mut Cell| {
            capped.budget = budget;
            let task = TaskId::new("a");
            OutcomeTable::aggregate(Objective::Success, [(&*capped, &task, &spent)]).unwrap().groups()[0]
                .mean(Metric::ShareOfCap)
        };
        assert!((share(Budget::LargeCalls(5), &mut capped) - 0.6).abs() < 1e-12);
        assert!((share(Budget::Usd(NanoUsd::new(16_000_000_000)), &mut capped) - 0.25).abs() < 1e-12);
        assert!(share(Budget::LargeCalls(0), &mut capped).is_finite());
    }

    #[test]
    fn groups_that_played_different_tasks_cannot_be_compared() {
        let (small, large) = (cell("always-small", 0.0, None), cell("always-large", 0.0, None));
        let (a, b) = (TaskId::new("a"), TaskId::new("b"));
        let good = outcome(true, 1);
        let error = OutcomeTable::aggregate(
            Objective::Success,
            [(&small, &a, &good), (&large, &a, &good), (&large, &b, &good)],
        )
        .unwrap_err();
        assert_eq!(error, InferenceError::Unpaired { cell: "always-small/lambda=0".to_owned(), task: b });
        assert_eq!(OutcomeTable::aggregate(Objective::Success, []).unwrap_err(), InferenceError::NoEpisodes);
    }

    #[test]
    fn a_missing_boundary_and_a_large_model_that_never_succeeds_are_named() {
        let small = cell("always-small", 0.0, None);
        let task = TaskId::new("a");
        let bad = outcome(false, 1);
        let table = OutcomeTable::aggregate(Objective::Success, [(&small, &task, &bad)]).unwrap();
        assert_eq!(table.boundaries().unwrap_err(), InferenceError::MissingBoundary { policy_id: "always-large" });
        let large = cell("always-large", 0.0, None);
        let table =
            OutcomeTable::aggregate(Objective::Success, [(&small, &task, &bad), (&large, &task, &bad)]).unwrap();
        assert_eq!(table.boundaries().unwrap_err(), InferenceError::LargeNeverSucceeds { n_tasks: 1 });
    }
}
