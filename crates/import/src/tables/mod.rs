//! The three tables of an import, written as episodes complete. Splits are known when all tasks are, so the two tables that
//! have them are written twice: the small ones.

#![expect(clippy::cast_possible_wrap, reason = "counts are checked to be below 2^31 where a row is read")]

mod columns;
mod episodes;
mod steps;
mod tasks;

use std::path::{Path, PathBuf};

use arrow::array::{Int32Array, RecordBatch};
use tollgate_contract::{ArtifactKind, Checks, ContractError};
use tollgate_routing::{ModelPool, Split};
use tollgate_trajectory::{ArtifactReader, BatchWriter};

use self::columns::names;
use self::episodes::{EpisodeColumns, Reckoned};
use self::steps::StepColumns;
use self::tasks::TaskTable;
pub(crate) use self::tasks::{spread, stable_seed};
use crate::ImportError;
use crate::assembly::{EpisodeSink, LogModels};
use crate::open_episode::OpenEpisode;
use crate::outcome::{StepCost, ending, outcome, step_cost, total_cost};
use crate::plan::ImportPlan;
use crate::report::Figures;
use crate::skips::Refusal;
use crate::split::assign;

/// Rows and bytes of text after which columns are handed to the writer.
const FLUSH_ROWS: usize = 1024;
const FLUSH_BYTES: usize = 1 << 23;

/// Policies of episodes that one boundary model played.
const ALWAYS_SMALL: &str = "always-small";
const ALWAYS_LARGE: &str = "always-large";

/// The tables in the making.
pub(crate) struct Tables<'a> {
    plan: &'a ImportPlan,
    directory: PathBuf,
    steps: StepColumns,
    episodes: EpisodeColumns,
    tasks: TaskTable,
    /// The task of every episode, in the order of the file.
    episode_tasks: Vec<u32>,
    steps_writer: BatchWriter,
    episodes_writer: BatchWriter,
    tasks_writer: BatchWriter,
    costs: Vec<StepCost>,
    policy_id: String,
    pub(crate) figures: Figures,
}

impl<'a> Tables<'a> {
    pub(crate) fn create(directory: &Path, plan: &'a ImportPlan) -> Result<Self, ImportError> {
        let writer = |kind: ArtifactKind, path: PathBuf| BatchWriter::create(&path, kind);
        Ok(Self {
            plan,
            directory: directory.to_owned(),
            steps: StepColumns::default(),
            episodes: EpisodeColumns::default(),
            tasks: TaskTable::default(),
            episode_tasks: Vec::new(),
            steps_writer: writer(ArtifactKind::Steps, directory.join(ArtifactKind::Steps.file_name()))?,
            episodes_writer: writer(ArtifactKind::Episodes, draft(directory, ArtifactKind::Episodes))?,
            tasks_writer: writer(ArtifactKind::Tasks, draft(directory, ArtifactKind::Tasks))?,
            costs: Vec::new(),
            policy_id: String::new(),
            figures: Figures::default(),
        })
    }

    pub(crate) fn n_episodes(&self) -> u64 {
        self.episode_tasks.len() as u64
    }

    /// Writes what is waiting, checked against the contract.
    fn flush(&mut self, models: &LogModels) -> Result<(), ImportError> {
        let steps = self.steps.finish(models)?;
        let episodes = self.episodes.finish()?;
        let tasks = self.tasks.finish()?;
        self.check(&steps, &episodes)?;
        self.steps_writer.write(&steps)?;
        self.episodes_writer.write(&episodes)?;
        self.tasks_writer.write(&tasks)?;
        Ok(())
    }

    /// What is written at once are whole episodes with their steps, so they can be checked by themselves, in memory that does
    /// not grow with the log.
    fn check(&self, steps: &RecordBatch, episodes: &RecordBatch) -> Result<(), ContractError> {
        let mut checks = Checks::of_import(self.plan.pool.as_ref().map(ModelPool::len));
        checks.feed(ArtifactKind::Episodes, episodes)?;
        checks.feed(ArtifactKind::Steps, steps)?;
        checks.finish().map(|_| ())
    }

    /// Completes the tables: all tasks are known, and so are the splits.
    pub(crate) fn finish(mut self, models: &LogModels) -> Result<Figures, ImportError> {
        self.flush(models)?;
        self.steps_writer.finish()?;
        self.episodes_writer.finish()?;
        self.tasks_writer.finish()?;
        let splits = assign(&self.tasks.groups, &self.plan.split);
        let split_of = |task: u32| splits[self.tasks.known[task as usize].group as usize];
        let longest = self.tasks.known.iter().map(|task| task.horizon).max().unwrap_or(1);
        let horizon = |task: u32| {
            let task = &self.tasks.known[task as usize];
            if task.has_horizon { task.horizon } else { longest }
        };
        let mut episode_tasks = self.episode_tasks.iter().copied();
        let directory = &self.directory;
        rewrite(directory, ArtifactKind::Episodes, |batch| {
            let tasks = episode_tasks.by_ref().take(batch.num_rows());
            with_splits(batch, tollgate_contract::episodes::SPLIT.name, tasks.map(split_of))
        })?;
        let mut first = 0;
        rewrite(directory, ArtifactKind::Tasks, |batch| {
            let rows = first..first + batch.num_rows() as u32;
            first = rows.end;
            let horizons: Vec<i32> = rows.clone().map(|task| horizon(task) as i32).collect();
            let batch = with_column(batch, tollgate_contract::tasks::HORIZON.name, Int32Array::from(horizons))?;
            with_splits(&batch, tollgate_contract::tasks::SPLIT.name, rows.map(split_of))
        })?;
        self.figures.n_tasks = self.tasks.known.len() as u64;
        for split in Split::ALL {
            let n_tasks = (0..first).filter(|&task| split_of(task) == split).count() as u64;
            let n_episodes = self.episode_tasks.iter().filter(|&&task| split_of(task) == split).count() as u64;
            let n_groups = splits.iter().filter(|&&other| other == split).count() as u64;
            self.figures.note_split(split, n_tasks, n_groups, n_episodes);
        }
        self.figures.n_without_horizon = self.tasks.known.iter().filter(|task| !task.has_horizon).count() as u64;
        self.figures.longest_episode = longest;
        Ok(self.figures)
    }

    /// Who chose the models: one boundary model throughout, one other model, or several.
    fn set_policy(&mut self, episode: &OpenEpisode, models: &LogModels) {
        let first = episode.steps[0].model;
        let is_one = episode.steps.iter().all(|step| step.model == first);
        let in_pool = models.get(first).in_pool.as_ref().map(|(index, _)| *index);
        let pool = self.plan.pool.as_ref();
        self.policy_id.clear();
        if !is_one {
            self.policy_id.push_str("logged:mixed");
        } else if in_pool.is_some() && in_pool == pool.map(ModelPool::small) {
            self.policy_id.push_str(ALWAYS_SMALL);
        } else if in_pool.is_some() && in_pool == pool.map(ModelPool::large) {
            self.policy_id.push_str(ALWAYS_LARGE);
        } else {
            self.policy_id.push_str("logged:");
            self.policy_id.push_str(&models.get(first).name);
        }
    }
}

impl EpisodeSink for Tables<'_> {
    fn take(&mut self, episode: &OpenEpisode, models: &LogModels) -> Result<Result<(), Refusal>, ImportError> {
        let outcome = match outcome(episode, &self.plan.outcome) {
            Ok(outcome) => outcome,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.costs.clear();
        for step in &episode.steps {
            match step_cost(step, models.get(step.model)) {
                Ok(cost) => self.costs.push(cost),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        let total_cost = match total_cost(episode, &self.costs) {
            Ok(total_cost) => total_cost,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.set_policy(episode, models);
        let task = self.tasks.note(episode, self.plan);
        let large = self.plan.pool.as_ref().map(ModelPool::large);
        let is_large =
            |model: usize| large.is_some() && models.get(model).in_pool.as_ref().map(|found| found.0) == large;
        let horizon = self.plan.horizon.or(episode.horizon);
        let trial = episode.optional_text(episode.trial.as_ref()).unwrap_or("0");
        let reckoned = Reckoned {
            environment: self.tasks.environment(task),
            policy_id: &self.policy_id,
            seed: trial.parse().unwrap_or_else(|_| stable_seed(trial)),
            n_large_calls: episode.steps.iter().filter(|step| is_large(step.model)).count() as u32,
            is_success: outcome.is_success,
            score: outcome.score,
            ending: ending(episode, horizon, outcome.is_success),
            total_cost,
        };
        self.episodes.push(episode, &reckoned);
        self.episode_tasks.push(task);
        self.steps.begin(episode);
        let last = episode.steps.len() - 1;
        for (step, cost) in episode.steps.iter().enumerate().zip(&self.costs) {
            let at_end = if step.0 == last { outcome.score } else { 0.0 };
            let reward = step.1.reward.unwrap_or(at_end);
            self.steps.push(episode, step, (cost.nano_usd, cost.source), models, reward);
        }
        self.figures.note_episode(episode, outcome, &self.costs, models);
        let n_bytes = self.steps.n_bytes() + self.tasks.n_bytes();
        if self.steps.n_rows() >= FLUSH_ROWS || n_bytes >= FLUSH_BYTES {
            self.flush(models)?;
        }
        Ok(Ok(()))
    }
}

/// Where a table is kept until the splits are known.
fn draft(directory: &Path, kind: ArtifactKind) -> PathBuf {
    directory.join(format!("{kind}.draft"))
}

/// Writes the table from its draft, each batch changed by `change`.
fn rewrite(
    directory: &Path,
    kind: ArtifactKind,
    mut change: impl FnMut(&RecordBatch) -> Result<RecordBatch, ContractError>,
) -> Result<(), ImportError> {
    let draft = draft(directory, kind);
    let mut writer = BatchWriter::create(&directory.join(kind.file_name()), kind)?;
    for batch in ArtifactReader::open(&draft, kind)?.batches()? {
        writer.write(&change(&batch?)?)?;
    }
    writer.finish()?;
    std::fs::remove_file(&draft).map_err(|source| ImportError::write(&draft, source))
}

fn with_splits(
    batch: &RecordBatch,
    column: &str,
    splits: impl Iterator<Item = Split>,
) -> Result<RecordBatch, ContractError> {
    let key = |split: Split| Split::ALL.iter().position(|&known| known == split).map(|key| key as i32);
    let keys = splits.map(key).collect();
    with_column(batch, column, names(keys, Split::ALL.iter().map(|split| split.as_str()))?)
}

fn with_column(
    batch: &RecordBatch,
    column: &str,
    array: impl arrow::array::Array + 'static,
) -> Result<RecordBatch, ContractError> {
    let mut arrays = batch.columns().to_vec();
    arrays[batch.schema().index_of(column)?] = std::sync::Arc::new(array);
    Ok(RecordBatch::try_new(batch.schema(), arrays)?)
}
