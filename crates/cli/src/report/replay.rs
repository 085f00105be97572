//! A few evaluated episodes, picked for what they show and played anew with a recorder.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::Device;
use tollgate_contract::EvaluationRow;
use tollgate_inference::BudgetConstrained;
use tollgate_policy::{Choice, LearnedPolicy, load_checkpoint};
use tollgate_rollout::{Arena, RolloutRequest};
use tollgate_routing::{BoundaryLabel, Budget, Split, Task};

use super::model::EpisodeTrace;
use super::recorder::Recorder;
use crate::artifact;
use crate::failure::{OrBadInput, bad_input};
use crate::stored_policies::policy_dir;

/// What is needed to play the main policy again.
pub(super) struct Stage<'a> {
    /// Where it was evaluated.
    pub(super) arena: &'a dyn Arena,
    /// The task set.
    pub(super) tasks: &'a [Task],
    /// The directory of trained policies: `<variant>/seed-<n>/`.
    pub(super) checkpoint: &'a Path,
    /// The file of the evaluated episodes.
    pub(super) evaluations: &'a Path,
    /// Classes of the tasks, where they are known.
    pub(super) labels: &'a [BoundaryLabel],
    /// The policy, for example `bopo`.
    pub(super) policy_id: &'a str,
    /// Weight of the cost at the operating point.
    pub(super) lambda: f32,
    /// The most episodes.
    pub(super) n_traces: usize,
}

/// An episode worth a look.
struct Pick<'a> {
    caption: &'static str,
    row: &'a EvaluationRow,
}

/// Plays the episodes that show most: solved and failed at the operating point, a cap on calls that bites, a cap in dollars
/// that bites. Fewer when the evaluation has fewer; none without a trained policy.
///
/// # Errors
/// When the evaluations or the checkpoint cannot be read, or an episode cannot be played.
pub(super) fn replay(stage: &Stage<'_>) -> Result<Vec<EpisodeTrace>> {
    let mut candidates = candidates(stage)?;
    let Some(train_seed) = candidates.iter().filter_map(|row| row.train_seed).min() else { return Ok(Vec::new()) };
    candidates.retain(|row| row.train_seed == Some(train_seed));
    let Some(policy) = learned_policy(stage, train_seed)? else { return Ok(Vec::new()) };
    let mut traces = Vec::new();
    for pick in picks(&candidates, stage.lambda) {
        if traces.len() < stage.n_traces {
            traces.extend(play(stage, &policy, &pick)?);
        }
    }
    Ok(traces)
}

/// The main policy's test episodes.
fn candidates(stage: &Stage<'_>) -> Result<Vec<EvaluationRow>> {
    let mut candidates = Vec::new();
    artifact::scan::<EvaluationRow>(stage.evaluations, |rows| {
        candidates.extend(rows.into_iter().filter(|row| {
            &*row.episode.policy_id == stage.policy_id && row.episode.split == Split::Test && row.episode.n_steps > 0
        }));
        Ok(())
    })?;
    Ok(candidates)
}

fn picks(candidates: &[EvaluationRow], lambda: f32) -> Vec<Pick<'_>> {
    let at_point = |row: &EvaluationRow| {
        row.episode.budget == Budget::Unlimited && row.episode.lambda.to_bits() == lambda.to_bits()
    };
    let both = |row: &EvaluationRow| row.episode.n_large_calls > 0 && row.episode.n_large_calls < row.episode.n_steps;
    // Every rule prefers solved episodes of a readable length; ties go to the first row.
    let length = |row: &EvaluationRow| row.episode.n_steps.abs_diff(12);
    let best = |caption, rule: &dyn Fn(&EvaluationRow) -> bool, is_solved: bool| {
        let fitting = candidates.iter().filter(|row| rule(row) && row.episode.is_success == is_solved);
        fitting.min_by_key(|row| length(row)).map(|row| Pick { caption, row })
    };
    let calls = |row: &EvaluationRow| {
        matches!(row.episode.budget, Budget::LargeCalls(cap) if cap > 0 && row.episode.n_large_calls == cap)
            && both(row)
    };
    let usd = |row: &EvaluationRow| {
        let share = |cap: u64| row.episode.total_cost.get() as f64 / cap.max(1) as f64;
        matches!(row.episode.budget, Budget::Usd(cap) if share(cap.get()) > 0.7) && both(row)
    };
    let picks = [
        best("Both models, one solved task", &|row| at_point(row) && both(row), true),
        best("A cap on large calls, used to the last", &calls, true),
        best("A cap in dollars that bites", &usd, true).or_else(|| best("A cap in dollars that bites", &usd, false)),
        best("A task that was not solved", &at_point, false),
        best("The small model alone is enough", &|row| at_point(row) && row.episode.n_large_calls == 0, true),
        best("A cap on large calls, and the task not solved", &calls, false),
    ];
    picks.into_iter().flatten().collect()
}

/// The policy as evaluated, or `None` where the checkpoint is laid out in another way: a replaced `optimize` has its own.
fn learned_policy(stage: &Stage<'_>, train_seed: u64) -> Result<Option<LearnedPolicy>> {
    let directory = policy_dir(stage.checkpoint, stage.policy_id, train_seed);
    if !directory.exists() {
        tracing::warn!(policy = stage.policy_id, train_seed, "no such checkpoint: the page shows no episodes");
        return Ok(None);
    }
    let (spec, network) = load_checkpoint(&directory, &Device::Cpu).or_bad_input()?;
    let network = Arc::new(network.freeze().context("a network cannot be frozen")?);
    Ok(Some(LearnedPolicy::new(&spec.policy_id, network, spec.features, Choice::Greedy)))
}

/// The episode again, or `None` where it comes out otherwise than it was evaluated: a replaced `evaluate` has its own world, and
/// the page shows nothing that did not happen.
fn play(stage: &Stage<'_>, policy: &LearnedPolicy, pick: &Pick<'_>) -> Result<Option<EpisodeTrace>> {
    let row = &pick.row.episode;
    let task = stage.tasks.iter().find(|task| task.id == row.task_id).ok_or_else(|| {
        bad_input(format!(
            "tasks: no task `{}`, expected every task of the evaluations\nhint: pass the task set that was evaluated",
            row.task_id
        ))
    })?;
    let request = RolloutRequest {
        episode_id: row.episode_id.clone(),
        policy_id: row.policy_id.clone(),
        seed: row.seed,
        lambda: row.lambda,
        budget: row.budget,
    };
    let mut recorder = Recorder::new(policy.clone());
    let episode = {
        let mut constrained = BudgetConstrained::new(&mut recorder, row.budget, row.lambda);
        stage.arena.play(task, &request, &mut constrained)?
    };
    let (found, expected) = (episode.total_cost(), row.total_cost);
    if found != expected {
        tracing::warn!(episode = %row.episode_id, %found, %expected, "costs another sum when played again: left out of the page");
        return Ok(None);
    }
    let label = stage.labels.iter().find(|label| label.task_id == row.task_id);
    Ok(Some(recorder.trace(&episode, pick.caption, label.map(|label| label.difficulty))))
}
