//! What is made of the episodes: labels, examples, trained policies' logs, frontiers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_routing::{BoundaryLabel, Difficulty, EpisodeId, ProbeStats, SftExample, Split, TaskId};

use super::findings::RowReport;
use crate::{Column, FrontierRow, TrainingLogRow, boundary_labels, frontier, sft_examples, training_log};

/// How far rounding may take a rate out of its interval.
const RATE_TOLERANCE: f64 = 1e-9;

/// The labels by task.
#[derive(Debug, Default)]
pub(super) struct LabelTable {
    pub(super) labels: BTreeMap<TaskId, BoundaryLabel>,
}

impl LabelTable {
    pub(super) fn row(&mut self, row: BoundaryLabel, report: &mut RowReport<'_>) {
        use boundary_labels as columns;
        check_probes(
            &row.small,
            [&columns::SMALL_EPISODES, &columns::SMALL_SUCCESSES, &columns::SMALL_MEAN_SCORE],
            report,
        );
        check_probes(
            &row.large,
            [&columns::LARGE_EPISODES, &columns::LARGE_SUCCESSES, &columns::LARGE_MEAN_SCORE],
            report,
        );
        let was_solved = row.small.successes + row.large.successes > 0;
        let (is_right, expected) = match row.difficulty {
            Difficulty::Easy => (row.small.successes > 0, "a task that small solved, for `easy`"),
            Difficulty::Hard => (was_solved, "a task that some probe solved, for `hard`"),
            Difficulty::Intractable => (!was_solved, "a task that no probe solved, for `intractable`"),
        };
        let name = format_args!("`{}`", row.difficulty.as_str());
        report.expect(is_right, &columns::DIFFICULTY, name, expected);
        let name = row.task_id.clone();
        let is_new = self.labels.insert(name.clone(), row).is_none();
        report.expect(is_new, &columns::TASK_ID, format_args!("`{name}`"), "each task once");
    }

    pub(super) fn totals(&self) -> BTreeMap<&'static str, u64> {
        let count = |of: &dyn Fn(&BoundaryLabel) -> bool| self.labels.values().filter(|label| of(label)).count() as u64;
        BTreeMap::from([
            ("n_easy", count(&|label| label.difficulty == Difficulty::Easy)),
            ("n_hard", count(&|label| label.difficulty == Difficulty::Hard)),
            ("n_intractable", count(&|label| label.difficulty == Difficulty::Intractable)),
            ("n_contested", count(&|label| label.is_contested)),
        ])
    }
}

fn check_probes(probes: &ProbeStats, [episodes, successes, mean_score]: [&Column; 3], report: &mut RowReport<'_>) {
    report.expect(probes.episodes > 0, episodes, probes.episodes, "at least one probe of every labelled task");
    let at_most = format_args!("at most `{}`, {}", episodes.name, probes.episodes);
    report.expect(probes.successes <= probes.episodes, successes, probes.successes, at_most);
    report.expect_share(mean_score, f64::from(probes.mean_score));
}

/// What is kept of an example.
#[derive(Debug)]
pub(super) struct ExampleFacts {
    pub(super) task_id: TaskId,
    pub(super) difficulty: Difficulty,
    pub(super) last_step_idx: u32,
}

/// The examples by episode.
#[derive(Debug, Default)]
pub(super) struct ExampleTable {
    pub(super) episodes: BTreeMap<EpisodeId, ExampleFacts>,
    pub(super) n_examples: u64,
    pub(super) total_weight: f64,
}

impl ExampleTable {
    pub(super) fn row(&mut self, row: &SftExample, n_models: Option<usize>, report: &mut RowReport<'_>) {
        let action = row.action.get();
        report.expect(
            n_models.is_none_or(|n_models| action < n_models),
            &sft_examples::ACTION,
            action,
            format_args!("an index of a pool of {} models", n_models.unwrap_or_default()),
        );
        report.expect(row.weight > 0.0, &sft_examples::WEIGHT, row.weight, "above 0");
        self.n_examples += 1;
        self.total_weight += f64::from(row.weight);
        let new = || ExampleFacts { task_id: row.task_id.clone(), difficulty: row.difficulty, last_step_idx: 0 };
        let facts = self.episodes.entry(row.episode_id.clone()).or_insert_with(new);
        facts.last_step_idx = facts.last_step_idx.max(row.step_idx);
        let expected = format_args!("`{}` as before for episode `{}`", facts.task_id, row.episode_id);
        report.expect(
            facts.task_id == row.task_id,
            &sft_examples::TASK_ID,
            format_args!("`{}`", row.task_id),
            expected,
        );
        let expected = format_args!("`{}` as before for the same task", facts.difficulty.as_str());
        let found = format_args!("`{}`", row.difficulty.as_str());
        report.expect(facts.difficulty == row.difficulty, &sft_examples::DIFFICULTY, found, expected);
    }
}

/// The last iteration of each training run.
#[derive(Debug, Default)]
pub(super) struct TrainingTable {
    runs: BTreeMap<(Arc<str>, u64), (u32, u64)>,
}

impl TrainingTable {
    pub(super) fn row(&mut self, row: &TrainingLogRow, report: &mut RowReport<'_>) {
        let run = (row.variant.clone(), row.train_seed);
        if let Some((iteration, env_steps)) = self.runs.insert(run, (row.iteration, row.env_steps)) {
            let expected = format_args!("more than {iteration}, the iteration before of the same run");
            report.expect(row.iteration > iteration, &training_log::ITERATION, row.iteration, expected);
            let expected = format_args!("at least {env_steps}, as in the iteration before");
            report.expect(row.env_steps >= env_steps, &training_log::ENV_STEPS, row.env_steps, expected);
        }
        for (column, value) in row.metrics.iter().filter(|(column, _)| column.unit == "0 to 1") {
            report.expect_share(column, f64::from(value));
        }
    }
}

/// The policies with a frontier.
#[derive(Debug, Default)]
pub(super) struct FrontierTable {
    pub(super) policies: BTreeMap<(Arc<str>, Split), u64>,
}

impl FrontierTable {
    pub(super) fn row(&mut self, row: FrontierRow, report: &mut RowReport<'_>) {
        use frontier as columns;
        report.expect(row.n_episodes > 0, &columns::N_EPISODES, row.n_episodes, "at least 1");
        report.expect_share(&columns::SUCCESS_RATE, row.success_rate);
        report.expect_share(&columns::SUCCESS_RATE_LOW, row.success_rate_low);
        report.expect_share(&columns::SUCCESS_RATE_HIGH, row.success_rate_high);
        report.expect_share(&columns::MEAN_SCORE, row.mean_score);
        let interval = row.success_rate_low - RATE_TOLERANCE..=row.success_rate_high + RATE_TOLERANCE;
        let expected = format_args!("within its interval, {} to {}", row.success_rate_low, row.success_rate_high);
        report.expect(interval.contains(&row.success_rate), &columns::SUCCESS_RATE, row.success_rate, expected);
        report.expect(row.mean_large_calls >= 0.0, &columns::MEAN_LARGE_CALLS, row.mean_large_calls, "0 or more");
        if let Some(lambda) = row.lambda {
            report.expect(lambda >= 0.0, &columns::LAMBDA, lambda, "0 or more");
        }
        self.policies.entry((row.policy_id, row.split)).or_insert(report.row);
    }
}
