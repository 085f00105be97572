//! The logged episodes that examples are made of, and the cheapest success among them.

use tollgate_routing::{EpisodeId, ModelIndex, NanoUsd, TaskId};

/// What the synthesis needs of a logged episode: who acted, what it cost, how it ended. No text.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateEpisode {
    /// The episode.
    pub episode_id: EpisodeId,
    /// Its task.
    pub task_id: TaskId,
    /// Whether it was solved, by the same rule that the task was classified by.
    pub is_success: bool,
    /// What all its calls cost.
    pub cost: NanoUsd,
    /// The model of each step.
    pub actions: Vec<ModelIndex>,
}

impl CandidateEpisode {
    /// Whether the small model answered every step: a probe of always-small, or a mix that happened to be one.
    #[must_use]
    pub fn is_all_small(&self) -> bool {
        self.actions.iter().all(|&action| action == ModelIndex::SMALL)
    }
}

/// `tau*`: the cheapest successful episode, or `None` when none succeeded. Boundary probes take part. Episodes of equal
/// cost are told apart by their length, then by their id, so that the choice never depends on their order.
pub fn cheapest_success<'a>(episodes: impl IntoIterator<Item = &'a CandidateEpisode>) -> Option<&'a CandidateEpisode> {
    episodes
        .into_iter()
        .filter(|episode| episode.is_success)
        .min_by_key(|episode| (episode.cost, episode.actions.len(), &episode.episode_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(id: &str, is_success: bool, cost: u64, n_steps: usize) -> CandidateEpisode {
        CandidateEpisode {
            episode_id: EpisodeId::new(id),
            task_id: TaskId::new("task"),
            is_success,
            cost: NanoUsd::new(cost),
            actions: vec![ModelIndex::SMALL; n_steps],
        }
    }

    #[track_caller]
    fn check(episodes: &[CandidateEpisode], expected: Option<&str>) {
        let forward = cheapest_success(episodes).map(|episode| episode.episode_id.as_str());
        let backward = cheapest_success(episodes.iter().rev()).map(|episode| episode.episode_id.as_str());
        assert_eq!((forward, backward), (expected, expected));
    }

    #[test]
    fn the_cheapest_success_ignores_cheaper_failures() {
        check(&[episode("a", false, 1, 2), episode("b", true, 9, 2), episode("c", true, 5, 2)], Some("c"));
        check(&[episode("a", false, 1, 2)], None);
    }

    #[test]
    fn ties_go_to_the_shorter_episode_and_then_to_the_smaller_id() {
        check(&[episode("a", true, 5, 3), episode("b", true, 5, 2)], Some("b"));
        check(&[episode("b", true, 5, 2), episode("a", true, 5, 2)], Some("a"));
    }
}
