//! `tasks.parquet`: each task once, and which of them stay together.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Int32Array, RecordBatch, StringBuilder, UInt64Array};
use tollgate_contract::{ArtifactKind, ContractError, tasks};
use tollgate_routing::Split;

use super::columns::{BatchColumns, NameRuns, constant};
use crate::assembly::digest;
use crate::open_episode::OpenEpisode;
use crate::plan::{ImportPlan, SplitBy};
use crate::split::SplitGroup;

/// A task that came up before: only what may still change is kept.
#[derive(Debug)]
pub(super) struct KnownTask {
    /// The longest of what the log calls its horizon and its episodes.
    pub(super) horizon: u32,
    /// Whether the log or the map says what its horizon is.
    pub(super) has_horizon: bool,
    /// Position of its group.
    pub(super) group: u32,
    /// Position of its environment.
    environment: u32,
}

/// The tasks so far: a few bytes each, and the rows that are not written yet.
#[derive(Default)]
pub(super) struct TaskTable {
    by_name: HashMap<u64, u32>,
    pub(super) known: Vec<KnownTask>,
    groups_by_name: HashMap<u64, u32>,
    pub(super) groups: Vec<SplitGroup>,
    environments: Vec<Arc<str>>,
    task_ids: NameRuns,
    environment_names: NameRuns,
    kinds: NameRuns,
    group_names: NameRuns,
    seeds: Vec<u64>,
    instructions: StringBuilder,
}

impl TaskTable {
    /// The task of an episode.
    pub(super) fn note(&mut self, episode: &OpenEpisode, plan: &ImportPlan) -> u32 {
        let name = episode.text(&episode.task_id);
        let n_steps = episode.steps.len() as u32;
        let stated = plan.horizon.or(episode.horizon);
        let position = match self.by_name.get(&digest(name)) {
            Some(&position) => position,
            None => self.add(name, episode, plan),
        };
        let task = &mut self.known[position as usize];
        task.horizon = task.horizon.max(stated.unwrap_or(0)).max(n_steps).max(1);
        task.has_horizon |= stated.is_some();
        position
    }

    pub(super) fn environment(&self, task: u32) -> &str {
        &self.environments[self.known[task as usize].environment as usize]
    }

    fn add(&mut self, name: &str, episode: &OpenEpisode, plan: &ImportPlan) -> u32 {
        let position = self.known.len() as u32;
        self.by_name.insert(digest(name), position);
        let environment = plan.environment.as_deref();
        let dataset = episode.optional_text(episode.dataset.as_ref());
        let environment = self.environment_position(environment.or(dataset).unwrap_or("imported"));
        let group = self.group_of(name, episode, plan);
        self.known.push(KnownTask { horizon: 0, has_horizon: false, group, environment });
        self.task_ids.push(Some(name), 1);
        self.environment_names.push(Some(&self.environments[environment as usize].clone()), 1);
        self.kinds.push(episode.optional_text(episode.kind.as_ref()), 1);
        self.group_names.push(episode.optional_text(episode.group.as_ref()), 1);
        self.seeds.push(stable_seed(name));
        let first_seen = episode.steps.first().and_then(|step| step.observation.as_ref());
        let instruction = episode.task_text.as_ref().or(first_seen);
        self.instructions.append_value(episode.optional_text(instruction).unwrap_or_default());
        position
    }

    fn environment_position(&mut self, name: &str) -> u32 {
        let known = self.environments.iter().position(|known| **known == *name);
        known.unwrap_or_else(|| {
            self.environments.push(name.into());
            self.environments.len() - 1
        }) as u32
    }

    fn group_of(&mut self, task: &str, episode: &OpenEpisode, plan: &ImportPlan) -> u32 {
        let name = match plan.split.by {
            SplitBy::Task => None,
            SplitBy::Group => episode.optional_text(episode.group.as_ref()),
            SplitBy::Field(_) => episode.optional_text(episode.split_field.as_ref()),
        };
        let name = name.unwrap_or(task);
        let position = *self.groups_by_name.entry(digest(name)).or_insert_with(|| {
            let listed = plan.split.listed.get(name).copied();
            self.groups.push(SplitGroup { key: stable_seed(name), n_tasks: 0, listed });
            (self.groups.len() - 1) as u32
        });
        self.groups[position as usize].n_tasks += 1;
        position
    }

    pub(super) const fn n_waiting(&self) -> usize {
        self.seeds.len()
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.instructions.values_slice().len()
    }

    /// The rows that are waiting, and an empty start. Splits and horizons are not known yet.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ContractError> {
        let n_rows = self.n_waiting();
        let mut batch = BatchColumns::new(ArtifactKind::Tasks, n_rows);
        batch.set(&tasks::TASK_ID, self.task_ids.finish()?);
        batch.set(&tasks::ENVIRONMENT, self.environment_names.finish()?);
        batch.set(&tasks::SPLIT, constant(Split::Train.as_str(), n_rows)?);
        batch.set(&tasks::SEED, UInt64Array::from(std::mem::take(&mut self.seeds)));
        batch.set(&tasks::INSTRUCTION, self.instructions.finish());
        batch.set(&tasks::HORIZON, Int32Array::from(vec![1; n_rows]));
        batch.set(&tasks::KIND, self.kinds.finish()?);
        batch.set(&tasks::GROUP, self.group_names.finish()?);
        batch.finish()
    }
}

/// A number from a name, the same on every machine and in every version: FNV-1a with a finish that spreads its bits.
pub(crate) fn stable_seed(name: &str) -> u64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    spread(hash)
}

/// The finish of `SplitMix64`.
pub(crate) fn spread(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
