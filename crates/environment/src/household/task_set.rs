//! Task sets that do not overlap.

use std::collections::HashSet;

use tollgate_rollout::{Environment, derive_seed};
use tollgate_routing::{Split, Task, TaskId};

use super::scene::{Scene, TaskFamily};
use super::{ENVIRONMENT, HORIZON, HouseholdEnvironment, HouseholdError};

/// How many tasks each split gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitCounts {
    /// Tasks to train on.
    pub train: u32,
    /// Tasks to tune on.
    pub validation: u32,
    /// Tasks to report on.
    pub test: u32,
}

impl SplitCounts {
    /// The number of tasks of one split.
    #[must_use]
    pub const fn of(self, split: Split) -> u32 {
        match split {
            Split::Train => self.train,
            Split::Validation => self.validation,
            Split::Test => self.test,
            Split::Unseen => 0,
        }
    }
}

impl Default for SplitCounts {
    fn default() -> Self {
        Self { train: 600, validation: 100, test: 200 }
    }
}

/// The most steps that the expert may need: half of the horizon, so that there is time to make mistakes and recover.
const MAX_EXPERT_STEPS: u32 = HORIZON / 2;

/// Scenes tried per task before giving up. A scene fits with a chance of about one in nine: its family has to be the one
/// whose turn it is, and the expert must not search too long.
const ATTEMPTS_PER_TASK: u32 = 400;

/// Tasks for training, validation and test, in order, the six families in turn. No two tasks have the same scene and errand, within a split
/// or across splits, and no two have the same seed.
///
/// # Errors
/// [`HouseholdError::TooFewScenes`] when there are not that many distinct tasks.
pub fn generate_tasks(seed: u64, counts: SplitCounts) -> Result<Vec<Task>, HouseholdError> {
    let mut tasks = Vec::new();
    let mut fingerprints = HashSet::new();
    let mut seeds = HashSet::new();
    for split in Split::ALL {
        let n_tasks = counts.of(split);
        let split_seed = derive_seed(seed, split as u64);
        let mut attempts = 0;
        for position in 0..n_tasks {
            let family = TaskFamily::ALL[position as usize % TaskFamily::ALL.len()];
            let task = loop {
                if attempts == n_tasks.saturating_mul(ATTEMPTS_PER_TASK) {
                    let split = split.as_str();
                    return Err(HouseholdError::TooFewScenes { split, found: position, expected: n_tasks, attempts });
                }
                let task_seed = derive_seed(split_seed, u64::from(attempts));
                attempts += 1;
                if TaskFamily::of_seed(task_seed) != family {
                    continue;
                }
                let scene = Scene::generate(task_seed);
                let fingerprint = scene.fingerprint();
                let task = task(split, position, task_seed, &scene);
                if !fingerprints.contains(&fingerprint) && !seeds.contains(&task_seed) && is_playable(scene) {
                    fingerprints.insert(fingerprint);
                    seeds.insert(task_seed);
                    break task;
                }
            };
            tasks.push(task);
        }
    }
    Ok(tasks)
}

fn task(split: Split, position: u32, seed: u64, scene: &Scene) -> Task {
    Task {
        id: TaskId::new(&format!("household-{}-{position:04}", split.as_str())),
        environment: ENVIRONMENT.into(),
        split,
        seed,
        instruction: scene.instruction().into(),
        horizon: HORIZON,
        kind: Some(scene.goal.family.as_str().into()),
        group: None,
    }
}

/// Whether the expert gets there in time.
fn is_playable(scene: Scene) -> bool {
    let mut world = HouseholdEnvironment::in_scene(scene);
    for _ in 0..MAX_EXPERT_STEPS {
        let command = world.expert_command();
        match world.step(&command) {
            Ok(transition) if !transition.terminated => {}
            _ => break,
        }
    }
    world.outcome().is_success
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_scene_seed_or_name_occurs_twice_across_the_splits() {
        let counts = SplitCounts::default();
        let tasks = generate_tasks(7, counts).unwrap();
        assert_eq!(tasks.len(), 900);
        let fingerprints: HashSet<u64> = tasks.iter().map(|task| Scene::generate(task.seed).fingerprint()).collect();
        let seeds: HashSet<u64> = tasks.iter().map(|task| task.seed).collect();
        let names: HashSet<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!((fingerprints.len(), seeds.len(), names.len()), (900, 900, 900));
        for split in Split::ALL {
            assert_eq!(tasks.iter().filter(|task| task.split == split).count() as u32, counts.of(split));
        }
    }

    #[test]
    fn a_seed_always_gives_the_same_tasks_and_another_seed_gives_others() {
        let counts = SplitCounts { train: 12, validation: 6, test: 6 };
        assert_eq!(generate_tasks(7, counts).unwrap(), generate_tasks(7, counts).unwrap());
        assert_ne!(generate_tasks(7, counts).unwrap()[0].seed, generate_tasks(8, counts).unwrap()[0].seed);
    }
}
