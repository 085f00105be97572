//! The task set: a sample of the simulator's own variations, in the simulator's own splits.

use rayon::prelude::*;
use tollgate_rollout::derive_seed;
use tollgate_routing::{Split, Task, TaskId};

use super::error::ScienceWorldError;
use super::gold_path::gold_path;
use super::shared::{ScienceWorld, Worker};
use super::transitions::SceneKey;
use super::{ENVIRONMENT, HORIZON};
use crate::chance::Chance;

/// How many tasks of each task type a split gets at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskCounts {
    /// To train on; the simulator's `train`.
    pub train: usize,
    /// To tune on; the simulator's `dev`.
    pub validation: usize,
    /// To report on; the simulator's `test`.
    pub test: usize,
    /// To report on, of each held-out task type; the simulator's `test`.
    pub unseen: usize,
}

impl Default for TaskCounts {
    fn default() -> Self {
        Self { train: 32, validation: 4, test: 32, unseen: 32 }
    }
}

/// Task types that are held out: no task of theirs is in train, validation or test.
pub const N_UNSEEN_KINDS: usize = 5;

/// The most steps that the expert may need, so that there is time to make mistakes and recover.
const MAX_EXPERT_STEPS: usize = 22;

/// Variations that are tried before a task type is left out, for want of one that the expert does in time.
const MAX_MISSES: usize = 3;

/// Keeps the draws of this file apart.
const KINDS_STREAM: u64 = 0x5C1E;

/// A sample of tasks that the expert solves in time: by split, then by task type in the simulator's order.
///
/// Of the task types with enough such tasks, [`N_UNSEEN_KINDS`] are held out by the seed. Their test variations are the split
/// `unseen`; those of all others are sampled into train, validation and test.
///
/// # Errors
/// When the simulator fails.
pub fn generate_tasks(world: &ScienceWorld, seed: u64, counts: TaskCounts) -> Result<Vec<Task>, ScienceWorldError> {
    let mut held = None;
    let kinds = world.ask_anywhere(&mut held, super::simulator::Simulator::task_types)?;
    world.give_back(&mut held);
    let sampled: Vec<Sampled> = kinds
        .par_iter()
        .map(|kind| {
            let mut held = None;
            let sampled = sample(world, &mut held, kind, seed, counts);
            world.give_back(&mut held);
            sampled
        })
        .collect::<Result<_, _>>()?;
    let usable: Vec<Sampled> = sampled.into_iter().filter(Sampled::is_usable).collect();
    let mut order: Vec<usize> = (0..usable.len()).collect();
    Chance::new(seed, KINDS_STREAM).shuffle(&mut order);
    let unseen = &order[..N_UNSEEN_KINDS.min(order.len())];
    let mut tasks = Vec::new();
    for split in Split::ALL {
        for (position, kind) in usable.iter().enumerate() {
            let is_unseen = unseen.contains(&position);
            tasks.extend(kind.tasks(split, is_unseen, counts));
        }
    }
    Ok(tasks)
}

/// Variations of a task type that the expert does in time, with their descriptions.
struct Sampled {
    kind: String,
    train: Vec<(i32, String)>,
    dev: Vec<(i32, String)>,
    test: Vec<(i32, String)>,
}

impl Sampled {
    fn is_usable(&self) -> bool {
        !self.train.is_empty() && !self.dev.is_empty() && !self.test.is_empty()
    }

    fn tasks(&self, split: Split, is_unseen: bool, counts: TaskCounts) -> Vec<Task> {
        let (variations, count) = match (split, is_unseen) {
            (Split::Train, false) => (&self.train, counts.train),
            (Split::Validation, false) => (&self.dev, counts.validation),
            (Split::Test, false) => (&self.test, counts.test),
            (Split::Unseen, true) => (&self.test, counts.unseen),
            _ => return Vec::new(),
        };
        let task = |(variation, description): &(i32, String)| Task {
            id: TaskId::new(&format!("scienceworld-{}-{variation:04}", self.kind)),
            environment: ENVIRONMENT.into(),
            split,
            seed: u64::try_from(*variation).unwrap_or_default(),
            instruction: description.as_str().into(),
            horizon: HORIZON,
            kind: Some(self.kind.as_str().into()),
            group: None,
        };
        variations.iter().take(count).map(task).collect()
    }
}

fn sample(
    world: &ScienceWorld,
    held: &mut Option<Worker>,
    kind: &str,
    seed: u64,
    counts: TaskCounts,
) -> Result<Sampled, ScienceWorldError> {
    let variations = world.ask_anywhere(held, |simulator| simulator.variations(kind))?;
    // Of the kind's name, so that the sample of one does not depend on what others there are.
    let kind_seed = kind.bytes().fold(seed, |hash, byte| derive_seed(hash, u64::from(byte)));
    let mut sampled = Sampled { kind: kind.to_owned(), train: Vec::new(), dev: Vec::new(), test: Vec::new() };
    sampled.train = fitting(world, held, kind, &shuffled(&variations.train, kind_seed, 0), counts.train)?;
    if !sampled.train.is_empty() {
        let n_test = counts.test.max(counts.unseen);
        sampled.dev = fitting(world, held, kind, &shuffled(&variations.dev, kind_seed, 1), counts.validation)?;
        sampled.test = fitting(world, held, kind, &shuffled(&variations.test, kind_seed, 2), n_test)?;
    }
    Ok(sampled)
}

fn shuffled(variations: &[i32], kind_seed: u64, stream: u64) -> Vec<i32> {
    let mut variations = variations.to_vec();
    Chance::new(kind_seed, stream).shuffle(&mut variations);
    variations
}

/// The first `count` variations that the expert does in time. Gives up after as many in a row that are too long.
fn fitting(
    world: &ScienceWorld,
    held: &mut Option<Worker>,
    kind: &str,
    variations: &[i32],
    count: usize,
) -> Result<Vec<(i32, String)>, ScienceWorldError> {
    let mut found = Vec::new();
    let mut n_misses = 0;
    for &variation in variations {
        if found.len() == count || n_misses >= MAX_MISSES {
            break;
        }
        let scene = world.scene(&SceneKey { kind: kind.into(), variation });
        let path = gold_path(world, held, &scene)?;
        if path.score == 100 && path.steps.len() <= MAX_EXPERT_STEPS {
            found.push((variation, world.opening(held, &scene)?.description.clone()));
            n_misses = 0;
        } else {
            // Where the expert needs more than an episode, the other variations are hopeless sooner.
            n_misses += if path.steps.len() >= HORIZON as usize { 2 } else { 1 };
        }
    }
    Ok(found)
}
