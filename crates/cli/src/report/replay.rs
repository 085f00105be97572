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
/// When the checkpoint cannot be read, or an episode does not come out as it was evaluated.
pub(super) fn replay(stage: &Stage<'_>) -> Result<Vec<EpisodeTrace>> {
    let mut candidates = candidates(stage)?;
    let Some(train_seed) = candidates.iter().filter_map(|row| row.train_seed).min() else { return Ok(Vec::new()) };
    candidates.retain(|row| row.train_seed == Some(train_seed));
    let policy = learned_policy(stage, train_seed)?;
    let picks = picks(&candidates, stage.lambda).into_iter().take(stage.n_traces);
    picks.map(|pick| play(stage, &policy, &pick)).collect()
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

fn learned_policy(stage: &Stage<'_>, train_seed: u64) -> Result<LearnedPolicy> {
    let directory = stage.checkpoint.join(stage.policy_id).join(format!("seed-{train_seed}"));
    let (spec, network) = load_checkpoint(&directory, &Device::Cpu).or_bad_input()?;
    let network = Arc::new(network.freeze().context("a network cannot be frozen")?);
    Ok(LearnedPolicy::new(&spec.policy_id, network, spec.features, Choice::Greedy))
}

fn play(stage: &Stage<'_>, policy: &LearnedPolicy, pick: &Pick<'_>) -> Result<EpisodeTrace> {
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
        return Err(bad_input(format!(
            "episode `{}`: costs {found} when played again, expected {expected} as evaluated\nhint: evaluations and checkpoint are of different runs; evaluate again",
            row.episode_id
        )));
    }
    let label = stage.labels.iter().find(|label| label.task_id == row.task_id);
    Ok(recorder.trace(&episode, pick.caption, label.map(|label| label.difficulty)))
}
