//! Many episodes on all cores, in an order that does not depend on the number of threads, in bounded memory.

use std::sync::Arc;

use indicatif::ProgressBar;
use rayon::prelude::*;
use tollgate_inference::episode_seed;
use tollgate_rollout::{Arena, PolicyError, RolloutError, RolloutRequest, RoutingPolicy};
use tollgate_routing::{Budget, Episode, EpisodeId, Task};

use crate::failure::blame_input;

/// Episodes that are in memory at once.
const CHUNK: usize = 256;

/// Makes a policy of its own for each episode, so that episodes can be played side by side.
pub(crate) type PolicyFactory = Arc<dyn Fn() -> Box<dyn RoutingPolicy> + Send + Sync>;

/// One episode to play.
#[derive(Clone)]
pub(crate) struct Job<'a> {
    /// The task.
    pub(crate) task: &'a Task,
    /// How the episode is named and seeded.
    pub(crate) request: RolloutRequest,
    /// Who plays.
    pub(crate) policy: PolicyFactory,
}

impl<'a> Job<'a> {
    /// An episode without a cap, named after its policy, task and repetition.
    pub(crate) fn uncapped(task: &'a Task, policy_id: &Arc<str>, policy: &PolicyFactory, run: EpisodeRun) -> Self {
        let episode_id = EpisodeId::new(&format!("{policy_id}/{}/{}", task.id, run.repetition));
        let seed = episode_seed(run.seed, &task.id, run.repetition);
        let request =
            RolloutRequest { episode_id, policy_id: policy_id.clone(), seed, lambda: 0.0, budget: Budget::Unlimited };
        Self { task, request, policy: policy.clone() }
    }
}

/// Which repetition of a task, in a run of which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpisodeRun {
    /// The run's seed.
    pub(crate) seed: u64,
    /// The repetition, from 0.
    pub(crate) repetition: u32,
}

/// Plays `jobs` on all cores and hands the episodes over in the jobs' order, a bounded number at a time.
pub(crate) fn play_in_order(
    arena: &dyn Arena,
    jobs: &[Job<'_>],
    progress: &ProgressBar,
    mut take: impl FnMut(Vec<Episode>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for chunk in jobs.chunks(CHUNK) {
        let episodes: Result<Vec<Episode>, RolloutError> = chunk
            .par_iter()
            .map(|job| {
                let episode = arena.play(job.task, &job.request, &mut *(job.policy)());
                progress.inc(1);
                episode
            })
            .collect();
        take(episodes.map_err(blame)?)?;
    }
    Ok(())
}

/// A task or a checkpoint that does not fit is the caller's to mend; everything else is a failure.
fn blame(error: RolloutError) -> anyhow::Error {
    let is_bad_input =
        matches!(&error, RolloutError::Environment(_) | RolloutError::Policy(PolicyError::Mismatch { .. }));
    if is_bad_input { blame_input(error) } else { error.into() }
}
