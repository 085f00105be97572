//! Artifacts against each other.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_routing::{ModelPool, TaskId};

use super::Checks;
use super::played::{EpisodeTable, StepSums, usd_cap};
use crate::{ArtifactKind, EpisodeRow};

/// Policy ids of the boundary probes.
const ALWAYS_SMALL: &str = "always-small";
const ALWAYS_LARGE: &str = "always-large";

/// How far the mean weight of the examples may be from 1.
const MEAN_WEIGHT_TOLERANCE: f64 = 0.01;

impl Checks {
    pub(super) fn cross_check(&mut self) {
        self.steps.close_episode();
        self.steps_match_episodes();
        self.episodes_match_tasks(ArtifactKind::Episodes);
        self.episodes_match_tasks(ArtifactKind::Evaluations);
        self.labels_match();
        self.examples_match();
        self.frontier_matches_evaluations();
    }

    fn have(&self, kinds: &[ArtifactKind]) -> bool {
        kinds.iter().all(|kind| self.rows.contains_key(kind))
    }

    fn steps_match_episodes(&mut self) {
        if !self.have(&[ArtifactKind::Episodes, ArtifactKind::Steps]) {
            return;
        }
        let no_steps = StepSums::default();
        for (id, episode) in &self.episodes.episodes {
            let sums = self.steps.episodes.get(id).unwrap_or(&no_steps);
            for (column, found, expected) in mismatches(episode, sums, self.n_models) {
                self.findings.add(ArtifactKind::Episodes, || {
                    format!("episode `{id}`: column `{column}` is {found}, expected {expected} by its rows in `steps`")
                });
            }
            let Some(cap) = usd_cap(episode.budget) else { continue };
            let left = cap.saturating_sub(sums.cost);
            if sums.n_steps > 0 && sums.remaining.is_none_or(|remaining| remaining > left) {
                let found = sums.remaining.map_or("null".to_owned(), |remaining| remaining.get().to_string());
                self.findings.add(ArtifactKind::Steps, || {
                    let left = left.get();
                    format!("episode `{id}`: column `remaining_nano_usd` ends at {found}, expected at most {left}, the cap less the cost")
                });
            }
        }
        for id in self.steps.episodes.keys().filter(|id| !self.episodes.episodes.contains_key(id)) {
            self.findings
                .add(ArtifactKind::Steps, || format!("episode `{id}` has steps, expected a row in `episodes`"));
        }
    }

    fn episodes_match_tasks(&mut self, kind: ArtifactKind) {
        if !self.have(&[ArtifactKind::Tasks, kind]) {
            return;
        }
        let table = if kind == ArtifactKind::Episodes { &self.episodes } else { &self.evaluations };
        for (id, episode) in &table.episodes {
            let Some(task) = self.tasks.tasks.get(&episode.task_id) else {
                let task_id = &episode.task_id;
                self.findings.add(kind, || format!("episode `{id}`: task `{task_id}` is not among the tasks"));
                continue;
            };
            let (split, environment) = (task.split.as_str(), &task.environment);
            if episode.split != task.split || episode.environment != *environment {
                self.findings.add(kind, || {
                    let found = (episode.split.as_str(), &episode.environment);
                    format!(
                        "episode `{id}`: split `{}` and environment `{}`, expected `{split}` and `{environment}` as in `tasks`",
                        found.0, found.1
                    )
                });
            }
            if episode.n_steps > task.horizon {
                let (found, horizon) = (episode.n_steps, task.horizon);
                self.findings.add(kind, || {
                    format!(
                        "episode `{id}`: column `n_steps` is {found}, expected at most the task's horizon, {horizon}"
                    )
                });
            }
        }
    }

    /// Every label rests on probes, and no more of them than were played.
    fn labels_match(&mut self) {
        let kind = ArtifactKind::BoundaryLabels;
        if self.have(&[kind, ArtifactKind::Tasks]) {
            for id in self.labels.labels.keys().filter(|id| !self.tasks.tasks.contains_key(id)) {
                self.findings.add(kind, || format!("task `{id}` is not among the tasks"));
            }
        }
        if !self.have(&[kind, ArtifactKind::Episodes]) {
            return;
        }
        let small = probes(&self.episodes, ALWAYS_SMALL);
        let large = probes(&self.episodes, ALWAYS_LARGE);
        for (id, label) in &self.labels.labels {
            for (policy, claimed, played) in
                [(ALWAYS_SMALL, label.small.episodes, &small), (ALWAYS_LARGE, label.large.episodes, &large)]
            {
                let played = played.get(id).copied().unwrap_or(0);
                if claimed > played {
                    self.findings.add(kind, || {
                        format!("task `{id}`: rests on {claimed} probes of `{policy}`, expected at most the {played} in `episodes`")
                    });
                }
            }
        }
    }

    fn examples_match(&mut self) {
        let kind = ArtifactKind::SftExamples;
        let mean_weight = self.examples.total_weight / self.examples.n_examples as f64;
        if self.examples.n_examples > 0 && (mean_weight - 1.0).abs() > MEAN_WEIGHT_TOLERANCE {
            self.findings.add(kind, || format!("column `weight` has mean {mean_weight}, expected 1"));
        }
        let (has_episodes, has_labels) =
            (self.have(&[kind, ArtifactKind::Episodes]), self.have(&[kind, ArtifactKind::BoundaryLabels]));
        for (id, example) in &self.examples.episodes {
            if has_episodes {
                let episode = self.episodes.episodes.get(id);
                let task_is_right = episode.is_some_and(|episode| episode.task_id == example.task_id);
                if !task_is_right || episode.is_some_and(|episode| example.last_step_idx >= episode.n_steps) {
                    let (task, step) = (&example.task_id, example.last_step_idx);
                    self.findings.add(kind, || {
                        format!("step {step} of episode `{id}` of task `{task}` is not among the episodes")
                    });
                }
            }
            if has_labels {
                let label = self.labels.labels.get(&example.task_id).map(|label| label.difficulty);
                if label != Some(example.difficulty) {
                    let (task, found) = (&example.task_id, example.difficulty.as_str());
                    let label = label.map_or("no label", |label| label.as_str());
                    self.findings.add(kind, || {
                        format!(
                            "task `{task}`: column `difficulty` is `{found}`, expected {label} as in `boundary_labels`"
                        )
                    });
                }
            }
        }
    }

    fn frontier_matches_evaluations(&mut self) {
        if !self.have(&[ArtifactKind::Frontier, ArtifactKind::Evaluations]) {
            return;
        }
        let rows = self.evaluations.episodes.values();
        let evaluated: BTreeSet<_> = rows.map(|row| (row.policy_id.clone(), row.split)).collect();
        for (policy, row) in self.frontier.policies.iter().filter(|(policy, _)| !evaluated.contains(*policy)) {
            let (policy_id, split) = (&policy.0, policy.1.as_str());
            self.findings.add(ArtifactKind::Frontier, || {
                format!("row {row}: policy `{policy_id}` on split `{split}` has no row in `evaluations`")
            });
        }
    }
}

/// Columns of an episode that differ from what its steps add up to: name, found, expected.
fn mismatches(
    episode: &EpisodeRow,
    sums: &StepSums,
    n_models: Option<usize>,
) -> impl Iterator<Item = (&'static str, u64, u64)> {
    let large = n_models.and_then(|n_models| n_models.checked_sub(1)).filter(|&large| large < ModelPool::MAX_MODELS);
    let large_calls = large.map_or(episode.n_large_calls, |large| sums.calls[large]);
    [
        ("n_steps", u64::from(episode.n_steps), u64::from(sums.n_steps)),
        ("n_large_calls", u64::from(episode.n_large_calls), u64::from(large_calls)),
        ("total_cost_nano_usd", episode.total_cost.get(), sums.cost.get()),
    ]
    .into_iter()
    .filter(|(_, found, expected)| found != expected)
}

/// Episodes of a policy by task.
fn probes(table: &EpisodeTable, policy_id: &str) -> BTreeMap<TaskId, u32> {
    let mut counts = BTreeMap::new();
    for episode in table.episodes.values().filter(|episode| &*episode.policy_id == policy_id) {
        *counts.entry(episode.task_id.clone()).or_insert(0) += 1;
    }
    counts
}
