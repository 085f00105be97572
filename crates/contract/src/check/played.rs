//! Tasks, and what was played of them.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use tollgate_routing::{Budget, EpisodeId, ModelPool, NanoUsd, Split, Task, TaskId};

use super::findings::RowReport;
use super::steps::StepFacts;
use crate::{EpisodeRow, EvaluationRow, episodes, evaluations, steps, tasks};

/// How far above 0 rounding may lift the logarithm of a probability of 1.
const LOG_PROB_TOLERANCE: f32 = 1e-6;

/// What is kept of a task.
#[derive(Debug)]
pub(super) struct TaskFacts {
    pub(super) environment: Arc<str>,
    pub(super) split: Split,
    pub(super) horizon: u32,
}

/// The tasks by name.
#[derive(Debug, Default)]
pub(super) struct TaskTable {
    pub(super) tasks: BTreeMap<TaskId, TaskFacts>,
}

impl TaskTable {
    pub(super) fn row(&mut self, row: Task, report: &mut RowReport<'_>) {
        report.expect(row.horizon > 0, &tasks::HORIZON, row.horizon, "at least 1");
        let facts = TaskFacts { environment: row.environment, split: row.split, horizon: row.horizon };
        let name = row.id.clone();
        let is_new = self.tasks.insert(row.id, facts).is_none();
        report.expect(is_new, &tasks::TASK_ID, format_args!("`{name}`"), "a name of its own");
    }
}

/// The episodes by name, and their sums.
#[derive(Debug, Default)]
pub(super) struct EpisodeTable {
    pub(super) episodes: BTreeMap<EpisodeId, EpisodeRow>,
    n_violations: u64,
}

impl EpisodeTable {
    pub(super) fn row(&mut self, row: EpisodeRow, report: &mut RowReport<'_>) {
        report.expect_share(&episodes::SCORE, f64::from(row.score));
        report.expect(row.lambda >= 0.0, &episodes::LAMBDA, row.lambda, "0 or more");
        let n_large = row.n_large_calls;
        report.expect(
            n_large <= row.n_steps,
            &episodes::N_LARGE_CALLS,
            n_large,
            format_args!("at most `n_steps`, {}", row.n_steps),
        );
        self.n_violations += u64::from(row.is_over_budget());
        let name = row.episode_id.clone();
        let is_new = self.episodes.insert(name.clone(), row).is_none();
        report.expect(is_new, &episodes::EPISODE_ID, format_args!("`{name}`"), "a name of its own");
    }

    pub(super) fn evaluation(&mut self, row: EvaluationRow, report: &mut RowReport<'_>) {
        let is_over = row.episode.is_over_budget();
        report.expect(
            row.is_violation == is_over,
            &evaluations::IS_VIOLATION,
            row.is_violation,
            format_args!(
                "{is_over} for {} and {} large calls under {}",
                row.episode.total_cost, row.episode.n_large_calls, row.episode.budget
            ),
        );
        self.row(row.episode, report);
    }

    pub(super) fn totals(&self) -> BTreeMap<&'static str, u64> {
        // Money may be any number of 63 bits, so that foreign rows can add up to more than a `u64` holds.
        let sum = |of: fn(&EpisodeRow) -> u64| self.episodes.values().map(of).fold(0, u64::saturating_add);
        BTreeMap::from([
            ("n_episodes", self.episodes.len() as u64),
            ("n_successes", sum(|row| u64::from(row.is_success))),
            ("n_large_calls", sum(|row| u64::from(row.n_large_calls))),
            ("n_violations", self.n_violations),
            ("total_cost_nano_usd", sum(|row| row.total_cost.get())),
        ])
    }
}

/// What the steps of an episode add up to.
#[derive(Debug, Default)]
pub(super) struct StepSums {
    pub(super) n_steps: u32,
    pub(super) cost: NanoUsd,
    pub(super) calls: [u32; ModelPool::MAX_MODELS],
    pub(super) remaining: Option<NanoUsd>,
}

/// The steps by episode.
#[derive(Debug, Default)]
pub(super) struct StepTable {
    pub(super) episodes: BTreeMap<EpisodeId, StepSums>,
    current: Option<(EpisodeId, StepSums)>,
    model_ids: [Option<Arc<str>>; ModelPool::MAX_MODELS],
    n_steps: u64,
    n_tokens: u64,
}

impl StepTable {
    pub(super) fn row(&mut self, step: StepFacts, n_models: Option<usize>, report: &mut RowReport<'_>) {
        self.check_model(&step, n_models, report);
        let StepFacts { episode_id, step_idx, .. } = step;
        report.expect(step.log_prob <= LOG_PROB_TOLERANCE, &steps::LOG_PROB, step.log_prob, "0 or less");
        if self.current.as_ref().is_none_or(|(id, _)| *id != episode_id) {
            self.close_episode();
            let is_new = !self.episodes.contains_key(&episode_id);
            let name = format_args!("`{episode_id}`");
            report.expect(is_new, &steps::EPISODE_ID, name, "the steps of an episode to be neighbours");
            self.current = Some((episode_id.clone(), StepSums::default()));
        }
        let Some((_, sums)) = &mut self.current else { return };
        report.expect(
            step_idx == sums.n_steps,
            &steps::STEP_IDX,
            step_idx,
            format_args!("{} in episode `{episode_id}`", sums.n_steps),
        );
        if let (Some(before), Some(now)) = (sums.remaining, step.remaining) {
            report.expect(
                now <= before,
                &steps::REMAINING_NANO_USD,
                now.get(),
                format_args!("at most {}, as in the step before", before.get()),
            );
        }
        sums.n_steps = step_idx.saturating_add(1);
        sums.cost = NanoUsd::new(sums.cost.get().saturating_add(step.cost.get()));
        if let Some((action, _)) = step.model {
            sums.calls[action.get()] += 1;
        }
        sums.remaining = step.remaining;
        self.n_steps += 1;
        self.n_tokens += step.n_tokens;
    }

    /// The last episode is complete.
    pub(super) fn close_episode(&mut self) {
        if let Some((id, sums)) = mem::take(&mut self.current) {
            self.episodes.insert(id, sums);
        }
    }

    pub(super) fn totals(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::from([("n_steps", self.n_steps), ("n_tokens", self.n_tokens)])
    }

    fn check_model(&mut self, step: &StepFacts, n_models: Option<usize>, report: &mut RowReport<'_>) {
        let Some((action, model_id)) = &step.model else { return };
        let action = action.get();
        report.expect(
            n_models.is_none_or(|n_models| action < n_models),
            &steps::ACTION,
            action,
            format_args!("an index of a pool of {} models", n_models.unwrap_or_default()),
        );
        let known = self.model_ids[action].get_or_insert_with(|| model_id.clone());
        report.expect(
            known == model_id,
            &steps::MODEL_ID,
            format_args!("`{model_id}`"),
            format_args!("`{known}` as before for action {action}"),
        );
    }
}

/// The cap in money, if there is one.
pub(super) const fn usd_cap(budget: Budget) -> Option<NanoUsd> {
    match budget {
        Budget::Usd(cap) => Some(cap),
        Budget::Unlimited | Budget::LargeCalls(_) => None,
    }
}
