//! Playing many policies on the same tasks and seeds.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use tollgate_rollout::{Arena, PolicyError, RolloutRequest, RoutingPolicy, derive_seed};
use tollgate_routing::{Budget, Ending, Episode, EpisodeId, ModelIndex, NanoUsd, Task, TaskId};

use crate::{BudgetConstrained, InferenceError};

/// One policy at one operating point: a row of the comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The policy, with its parameter: `random-0.3`, `bopo`.
    pub policy_id: Arc<str>,
    /// The policies that share a frontier: the id up to its parameter, see [`family_of`].
    pub family: Arc<str>,
    /// Weight of the cost, shown to the policy.
    pub lambda: f32,
    /// The hard limit.
    pub budget: Budget,
    /// Which training run the policy comes from; `None` for one that was not trained.
    pub train_seed: Option<u64>,
}

/// The cell's name, unique within a plan: `bopo/lambda=0.3/calls=5/train-seed=1`.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/lambda={}", self.policy_id, self.lambda)?;
        match self.budget {
            Budget::Unlimited => Ok(()),
            Budget::LargeCalls(cap) => write!(f, "/calls={cap}"),
            Budget::Usd(cap) => write!(f, "/nano-usd={}", cap.get()),
        }?;
        self.train_seed.map_or(Ok(()), |seed| write!(f, "/train-seed={seed}"))
    }
}

/// The family of a policy id: `random-mixing` for `random-0.1` to `random-0.9`, `cascade` for `cascade-<parameter>`, else
/// the id itself.
#[must_use]
pub fn family_of(policy_id: &str) -> &str {
    if policy_id.starts_with("random-") {
        return "random-mixing";
    }
    if policy_id.starts_with("cascade-") {
        return "cascade";
    }
    policy_id
}

/// Makes the policies of a plan. Called once per cell and task, from many threads: share what is heavy.
pub trait PolicyFactory: Sync {
    /// The policy of `cell`, without its budget: [`evaluate`] wraps it in [`BudgetConstrained`].
    ///
    /// # Errors
    /// When the factory knows no such policy, or cannot make it.
    fn build<'a>(&'a self, cell: &Cell) -> Result<Box<dyn RoutingPolicy + 'a>, PolicyError>;
}

/// What to evaluate.
#[derive(Clone, Copy)]
pub struct EvaluationPlan<'a> {
    /// The tasks that every cell plays.
    pub tasks: &'a [Task],
    /// The cells.
    pub cells: &'a [Cell],
    /// Episodes per cell and task.
    pub n_seeds: u32,
    /// Where the seeds of the episodes derive from.
    pub base_seed: u64,
    /// Whether to keep the trajectory of a cell on a task, at the given seed index; of all others only the outcome is kept.
    pub keeps_trajectory: &'a (dyn Fn(&Cell, &Task, u32) -> bool + Sync),
}

/// The figures of one episode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpisodeOutcome {
    /// Whether the task was solved.
    pub is_success: bool,
    /// The environment's grade, 0 to 1.
    pub score: f32,
    /// What all calls cost.
    pub cost: NanoUsd,
    /// Calls of the pool's last model.
    pub n_large_calls: u32,
    /// Steps played.
    pub n_steps: u32,
    /// Whether the router gave up.
    pub is_given_up: bool,
    /// Whether the budget was exceeded.
    pub is_violation: bool,
}

impl EpisodeOutcome {
    /// The figures of `episode`; `large` is the pool's large model.
    #[must_use]
    pub fn of_episode(episode: &Episode, large: ModelIndex) -> Self {
        Self {
            is_success: episode.is_success,
            score: episode.score,
            cost: episode.total_cost(),
            n_large_calls: episode.n_calls(large),
            n_steps: episode.steps.len() as u32,
            is_given_up: episode.ending == Ending::GaveUp,
            is_violation: episode.is_violation(large),
        }
    }
}

/// One episode of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatedEpisode {
    /// Position of its cell in the plan.
    pub cell_idx: usize,
    /// Position of its task in the plan.
    pub task_idx: usize,
    /// Which of the task's seeds.
    pub seed_idx: u32,
    /// The episode's name: cell, task and seed index.
    pub id: EpisodeId,
    /// Its seed, the same for every cell.
    pub seed: u64,
    /// Why it ended.
    pub ending: Ending,
    /// Its figures.
    pub outcome: EpisodeOutcome,
    /// The whole episode, if the plan keeps it.
    pub trajectory: Option<Box<Episode>>,
}

/// How far an evaluation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Episodes played.
    pub n_finished: usize,
    /// Episodes of the plan.
    pub n_episodes: usize,
}

/// The seed of a task's episode. It depends on the task's name and not on its place in a list, so that part of a task set
/// gives part of the results. The name is hashed by FNV-1a.
#[must_use]
pub fn episode_seed(base_seed: u64, task: &TaskId, seed_idx: u32) -> u64 {
    let name = task
        .as_str()
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    derive_seed(derive_seed(base_seed, name), u64::from(seed_idx))
}

/// Plays every cell on every task `n_seeds` times, all cells on the same seeds, on all threads of the current rayon pool.
///
/// The result is ordered by cell, task and seed, and does not depend on the number of threads. It holds no steps but those
/// that the plan keeps. `on_progress` is called from many threads, after each cell and task, in no set order.
///
/// # Errors
/// [`InferenceError::DuplicateCell`], [`InferenceError::NoEpisodes`] for an empty plan, and the failure of any policy or
/// episode.
pub fn evaluate(
    arena: &dyn Arena,
    factory: &dyn PolicyFactory,
    plan: &EvaluationPlan<'_>,
    on_progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<EvaluatedEpisode>, InferenceError> {
    let names = cell_names(plan.cells)?;
    let n_episodes = plan.cells.len() * plan.tasks.len() * plan.n_seeds as usize;
    if n_episodes == 0 {
        return Err(InferenceError::NoEpisodes);
    }
    let n_finished = AtomicUsize::new(0);
    let blocks: Vec<Result<Vec<EvaluatedEpisode>, InferenceError>> = (0..plan.cells.len() * plan.tasks.len())
        .into_par_iter()
        .map(|block| {
            let (cell_idx, task_idx) = (block / plan.tasks.len(), block % plan.tasks.len());
            let episodes = play_block(arena, factory, plan, &names[cell_idx], cell_idx, task_idx)?;
            let n_finished = n_finished.fetch_add(episodes.len(), Ordering::Relaxed) + episodes.len();
            on_progress(Progress { n_finished, n_episodes });
            Ok(episodes)
        })
        .collect();
    let mut evaluated = Vec::with_capacity(n_episodes);
    for block in blocks {
        evaluated.extend(block?);
    }
    Ok(evaluated)
}

fn cell_names(cells: &[Cell]) -> Result<Vec<String>, InferenceError> {
    let names: Vec<String> = cells.iter().map(Cell::to_string).collect();
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => Err(InferenceError::DuplicateCell { cell: name.clone() }),
        None => Ok(names),
    }
}

/// All seeds of one cell on one task.
fn play_block(
    arena: &dyn Arena,
    factory: &dyn PolicyFactory,
    plan: &EvaluationPlan<'_>,
    name: &str,
    cell_idx: usize,
    task_idx: usize,
) -> Result<Vec<EvaluatedEpisode>, InferenceError> {
    let (cell, task) = (&plan.cells[cell_idx], &plan.tasks[task_idx]);
    let large = arena.pool().large();
    let policy = factory.build(cell).map_err(|source| InferenceError::Build { cell: name.to_owned(), source })?;
    let mut policy = BudgetConstrained::new(policy, cell.budget, cell.lambda);
    let mut episodes = Vec::with_capacity(plan.n_seeds as usize);
    for seed_idx in 0..plan.n_seeds {
        let request = RolloutRequest {
            episode_id: EpisodeId::new(&format!("{name}/{}/{seed_idx}", task.id)),
            policy_id: cell.policy_id.clone(),
            seed: episode_seed(plan.base_seed, &task.id, seed_idx),
            lambda: cell.lambda,
            budget: cell.budget,
        };
        let episode = arena.play(task, &request, &mut policy).map_err(|source| InferenceError::Episode {
            cell: name.to_owned(),
            task: task.id.clone(),
            seed: request.seed,
            source: Box::new(source),
        })?;
        episodes.push(EvaluatedEpisode {
            cell_idx,
            task_idx,
            seed_idx,
            id: request.episode_id,
            seed: request.seed,
            ending: episode.ending,
            outcome: EpisodeOutcome::of_episode(&episode, large),
            trajectory: (plan.keeps_trajectory)(cell, task, seed_idx).then(|| Box::new(episode)),
        });
    }
    Ok(episodes)
}

#[cfg(test)]
mod tests {
    use tollgate_rollout::{AlwaysLarge, AlwaysSmall};

    use super::*;
    use crate::RandomMixing;
    use crate::test_arena::{TestArena, task};

    struct Factory;

    impl PolicyFactory for Factory {
        fn build<'a>(&'a self, cell: &Cell) -> Result<Box<dyn RoutingPolicy + 'a>, PolicyError> {
            Ok(match &*cell.policy_id {
                "always-small" => Box::new(AlwaysSmall),
                "always-large" => Box::new(AlwaysLarge),
                "random-0.5" => Box::new(RandomMixing::of_boundaries(0.5, 2).unwrap()),
                found => {
                    let expected = "a policy of the test".to_owned();
                    return Err(PolicyError::Mismatch { policy: found.to_owned(), expected, found: found.to_owned() });
                }
            })
        }
    }

    fn cell(policy_id: &str, budget: Budget) -> Cell {
        let family = family_of(policy_id).into();
        Cell { policy_id: policy_id.into(), family, lambda: 0.0, budget, train_seed: None }
    }

    fn run(tasks: &[Task], cells: &[Cell], n_threads: usize) -> Result<Vec<EvaluatedEpisode>, InferenceError> {
        let plan = EvaluationPlan {
            tasks,
            cells,
            n_seeds: 3,
            base_seed: 9,
            keeps_trajectory: &|cell, _, seed_idx| &*cell.policy_id == "random-0.5" && seed_idx == 0,
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| evaluate(&TestArena::new(2), &Factory, &plan, &|_| ()))
    }

    fn tasks() -> Vec<Task> {
        (0..9).map(|difficulty| task(&format!("task-{difficulty}"), difficulty)).collect()
    }

    fn cells() -> Vec<Cell> {
        vec![
            cell("always-small", Budget::Unlimited),
            cell("random-0.5", Budget::Unlimited),
            cell("always-large", Budget::LargeCalls(4)),
            cell("always-large", Budget::Usd(NanoUsd::new(9_000_000))),
        ]
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        assert_eq!(run(&tasks(), &cells(), 1).unwrap(), run(&tasks(), &cells(), 4).unwrap());
    }

    #[test]
    fn every_policy_plays_a_task_on_the_same_seeds_whatever_the_other_tasks_are() {
        let all = run(&tasks(), &cells(), 2).unwrap();
        let seeds = |cell_idx| -> Vec<u64> {
            all.iter().filter(|episode| episode.cell_idx == cell_idx).map(|episode| episode.seed).collect()
        };
        assert!((1..4).all(|cell_idx| seeds(cell_idx) == seeds(0)));
        let last = run(&tasks()[8..], &cells(), 2).unwrap();
        assert_eq!(last.iter().map(|episode| episode.seed).take(3).collect::<Vec<_>>(), seeds(0)[24..]);
    }

    #[test]
    fn caps_are_kept_and_only_chosen_trajectories_stay() {
        let all = run(&tasks(), &cells(), 2).unwrap();
        assert!(all.iter().all(|episode| !episode.outcome.is_violation));
        assert!(all.iter().filter(|episode| episode.cell_idx == 2).all(|episode| episode.outcome.n_large_calls == 4));
        assert_eq!(all.iter().filter(|episode| episode.trajectory.is_some()).count(), 9);
        assert_eq!(all[27].id.as_str(), "random-0.5/lambda=0/task-0/0");
    }

    #[test]
    fn a_plan_that_cannot_be_played_names_its_cell() {
        let twice = [cells(), cells()].concat();
        assert_eq!(
            run(&tasks(), &twice, 1).unwrap_err(),
            InferenceError::DuplicateCell { cell: "always-small/lambda=0".to_owned() }
        );
        let unknown = run(&tasks(), &[cell("best", Budget::Unlimited)], 1).unwrap_err().to_string();
        assert!(unknown.starts_with("cell `best/lambda=0`: policy `best` was made for"), "{unknown}");
        assert_eq!(run(&[], &cells(), 1).unwrap_err(), InferenceError::NoEpisodes);
    }

    #[test]
    fn families_are_ids_up_to_their_parameter() {
        assert_eq!(
            ["random-0.1", "cascade-2-4", "first-k-large", "bopo-warm-start"].map(family_of),
            ["random-mixing", "cascade", "first-k-large", "bopo-warm-start"]
        );
    }
}
