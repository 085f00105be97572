//! `episodes.parquet`: one row per episode played.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use tollgate_routing::{Budget, Ending, Episode, EpisodeId, ModelIndex, NanoUsd, Split, Task, TaskId};

use crate::column::columns;
use crate::decode::Decoder;
use crate::encode::Encoder;
use crate::tasks::{SPLITS, split};
use crate::{ArtifactKind, ArtifactRow, ContractError, StepRow};

columns! {
    EPISODE_ID = "episode_id", Id, required, "", "Name of the episode, unique in the file.";
    TASK_ID = "task_id", Id, required, "", "The task that was played; joins `tasks.task_id`.";
    ENVIRONMENT = "environment", Id, required, "", "The environment that played it.";
    SPLIT = "split", Id, required, "", "The task's split: `train`, `validation`, `test` or `unseen`.";
    POLICY_ID = "policy_id", Id, required, "", "The policy that chose the models, for example `always-small` or `sweep-3-of-10`.";
    SEED = "seed", UInt64, required, "", "Seed of the episode's chance events. Policies that are compared on a task share it.";
    LAMBDA = "lambda", Float64, required, "", "Weight of the cost against success that the policy was given; 0 for policies that do not look at it.";
    BUDGET_KIND = "budget_kind", Id, required, "", "What the hard limit counts: `none`, `large_calls` or `usd`.";
    BUDGET_VALUE = "budget_value", Int64, nullable, "calls or nano-USD", "The hard limit: calls of the large model for `large_calls`, nano-dollars for `usd`, null for `none`.";
    N_STEPS = "n_steps", Int32, required, "steps", "How many steps the episode had, which is how many rows it has in `steps`.";
    N_LARGE_CALLS = "n_large_calls", Int32, required, "calls", "How many of them the pool's large (last) model answered.";
    IS_SUCCESS = "is_success", Bool, required, "", "Whether the task was solved.";
    SCORE = "score", Float32, required, "0 to 1", "The environment's grade.";
    TERMINATED = "terminated", Bool, required, "", "Whether the environment reached a final state.";
    TRUNCATED = "truncated", Bool, required, "", "Whether the episode was cut off, at the horizon, for want of money or because the router gave up. Exactly one of `terminated` and `truncated` is true.";
    ENDING = "ending", Id, nullable, "", "Why it ended: `terminated`, `horizon`, `budget_exhausted` or `gave_up`. Where it is null, a truncated episode counts as one that met its horizon.";
    TOTAL_COST_NANO_USD = "total_cost_nano_usd", Int64, required, "nano-USD", "What all its calls cost: the sum of `steps.cost_nano_usd`.";
    EXTRA = "extra", Text, nullable, "", "JSON object of what the log that the episode was imported from says about it and no column holds; null otherwise.";
}

/// A row of `episodes.parquet`: an episode without its trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeRow {
    /// The episode.
    pub episode_id: EpisodeId,
    /// The task that was played.
    pub task_id: TaskId,
    /// The environment that played it.
    pub environment: Arc<str>,
    /// The task's split.
    pub split: Split,
    /// The policy that chose the models.
    pub policy_id: Arc<str>,
    /// Seed of the episode's chance events.
    pub seed: u64,
    /// Weight of the cost that the policy was given.
    pub lambda: f32,
    /// The hard limit.
    pub budget: Budget,
    /// Why it ended.
    pub ending: Ending,
    /// How many steps it had.
    pub n_steps: u32,
    /// How many of them the large model answered.
    pub n_large_calls: u32,
    /// Whether the task was solved.
    pub is_success: bool,
    /// The environment's grade, 0 to 1.
    pub score: f32,
    /// What all its calls cost.
    pub total_cost: NanoUsd,
}

impl EpisodeRow {
    /// The row of an episode; `large` is the pool's large model.
    #[must_use]
    pub fn of(episode: &Episode, large: ModelIndex) -> Self {
        Self {
            episode_id: episode.id.clone(),
            task_id: episode.task.id.clone(),
            environment: episode.task.environment.clone(),
            split: episode.task.split,
            policy_id: episode.policy_id.clone(),
            seed: episode.seed,
            lambda: episode.lambda,
            budget: episode.budget,
            ending: episode.ending,
            n_steps: episode.steps.len() as u32,
            n_large_calls: episode.n_calls(large),
            is_success: episode.is_success,
            score: episode.score,
            total_cost: episode.total_cost(),
        }
    }

    /// The episode again, from its row, its task and its steps in order.
    #[must_use]
    pub fn into_episode(self, task: Task, steps: Vec<StepRow>) -> Episode {
        Episode {
            id: self.episode_id,
            task,
            policy_id: self.policy_id,
            seed: self.seed,
            lambda: self.lambda,
            budget: self.budget,
            ending: self.ending,
            is_success: self.is_success,
            score: self.score,
            steps: steps.into_iter().map(|row| row.step).collect(),
        }
    }

    /// Whether it spent more than its budget allows.
    #[must_use]
    pub fn is_over_budget(&self) -> bool {
        match self.budget {
            Budget::Unlimited => false,
            Budget::LargeCalls(cap) => self.n_large_calls > cap,
            Budget::Usd(cap) => self.total_cost > cap,
        }
    }
}

impl ArtifactRow for EpisodeRow {
    const KIND: ArtifactKind = ArtifactKind::Episodes;

    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ContractError> {
        let mut batch = Encoder::new(Self::KIND, rows.len());
        encode(&mut batch, &rows.iter())?;
        batch.finish()
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError> {
        decode(&Decoder::new(Self::KIND, batch))
    }
}

/// The columns of episodes, which evaluations have as well.
pub(crate) fn encode<'a>(
    batch: &mut Encoder,
    rows: &(impl Iterator<Item = &'a EpisodeRow> + Clone),
) -> Result<(), ContractError> {
    let rows = || rows.clone();
    batch.id(&EPISODE_ID, rows().map(|row| row.episode_id.as_str()));
    batch.id(&TASK_ID, rows().map(|row| row.task_id.as_str()));
    batch.id(&ENVIRONMENT, rows().map(|row| &*row.environment));
    batch.id(&SPLIT, rows().map(|row| row.split.as_str()));
    batch.id(&POLICY_ID, rows().map(|row| &*row.policy_id));
    batch.seed(&SEED, rows().map(|row| row.seed));
    batch.setting(&LAMBDA, rows().map(|row| row.lambda));
    batch.budget(&BUDGET_KIND, &BUDGET_VALUE, rows().map(|row| row.budget))?;
    batch.count(&N_STEPS, rows().map(|row| row.n_steps))?;
    batch.count(&N_LARGE_CALLS, rows().map(|row| row.n_large_calls))?;
    batch.bool(&IS_SUCCESS, rows().map(|row| row.is_success));
    batch.float32(&SCORE, rows().map(|row| row.score));
    batch.bool(&TERMINATED, rows().map(|row| row.ending == Ending::Terminated));
    batch.bool(&TRUNCATED, rows().map(|row| row.ending != Ending::Terminated));
    batch.id(&ENDING, rows().map(|row| row.ending.as_str()));
    batch.money(&TOTAL_COST_NANO_USD, rows().map(|row| row.total_cost))
}

pub(crate) fn decode(columns: &Decoder<'_>) -> Result<Vec<EpisodeRow>, ContractError> {
    let episode_ids = columns.named(&EPISODE_ID, EpisodeId::new)?;
    let task_ids = columns.named(&TASK_ID, TaskId::new)?;
    let environments = columns.shared_text(&ENVIRONMENT)?;
    let splits = columns.parsed(&SPLIT, SPLITS, split)?;
    let policy_ids = columns.shared_text(&POLICY_ID)?;
    let seeds = columns.seed(&SEED)?;
    let lambdas = columns.float64(&LAMBDA)?;
    let budgets = columns.budget(&BUDGET_KIND, &BUDGET_VALUE)?;
    let endings = endings(columns)?;
    let n_steps = columns.count(&N_STEPS)?;
    let n_large_calls = columns.count(&N_LARGE_CALLS)?;
    let successes = columns.bool(&IS_SUCCESS)?;
    let scores = columns.float32(&SCORE)?;
    let total_costs = columns.money(&TOTAL_COST_NANO_USD)?;
    let row = |(at, episode_id): (usize, _)| EpisodeRow {
        episode_id,
        task_id: task_ids[at].clone(),
        environment: environments[at].clone(),
        split: splits[at],
        policy_id: policy_ids[at].clone(),
        seed: seeds.value(at),
        lambda: lambdas.value(at) as f32,
        budget: budgets[at],
        ending: endings[at],
        n_steps: n_steps[at],
        n_large_calls: n_large_calls[at],
        is_success: successes.value(at),
        score: scores.value(at),
        total_cost: total_costs[at],
    };
    Ok(episode_ids.into_iter().enumerate().map(row).collect())
}

fn endings(columns: &Decoder<'_>) -> Result<Vec<Ending>, ContractError> {
    let terminated = columns.bool(&TERMINATED)?;
    let truncated = columns.bool(&TRUNCATED)?;
    let names = columns.text(&ENDING)?;
    let ending = |row: usize| {
        let is_terminated = terminated.value(row);
        if is_terminated == truncated.value(row) {
            let expected = "one of `terminated` and `truncated` to be true and the other false";
            return Err(columns.value_error(&TRUNCATED, row, truncated.value(row), expected));
        }
        if names.is_null(row) {
            return Ok(if is_terminated { Ending::Terminated } else { Ending::Horizon });
        }
        let agrees = |ending: &Ending| (*ending == Ending::Terminated) == is_terminated;
        Ending::ALL.into_iter().find(|ending| ending.as_str() == names.value(row)).filter(agrees).ok_or_else(|| {
            let expected = if is_terminated { "`terminated`" } else { "`horizon`, `budget_exhausted` or `gave_up`" };
            columns.value_error(&ENDING, row, format_args!("`{}`", names.value(row)), expected)
        })
    };
    (0..terminated.len()).map(ending).collect()
}
