//! `classify`: the boundary probes of each task to its difficulty.

use std::collections::BTreeMap;

use tollgate_contract::{ArtifactKind, BoundaryLabelRow, EpisodeRow};
use tollgate_routing::TaskId;
use tollgate_taxonomy::{Boundary, ProbeOutcome, classify};

use crate::artifact;
use crate::config::ClassifyConfig;
use crate::failure::{OrBadInput, bad_input};
use crate::stage_call::StageCall;

/// Runs the stage.
pub(crate) fn run(call: &StageCall) -> anyhow::Result<()> {
    let thresholds = call.table.read::<ClassifyConfig>()?.thresholds(&call.experiment)?;
    let path = call.input(ArtifactKind::Episodes)?;
    // Ordered by task, so that the labels do not depend on the order of the episodes.
    let mut probes_by_task: BTreeMap<TaskId, Vec<ProbeOutcome>> = BTreeMap::new();
    artifact::scan::<EpisodeRow>(path, |episodes| {
        for episode in episodes {
            let probes = probes_by_task.entry(episode.task_id.clone()).or_default();
            probes.extend(probe_outcome(&episode));
        }
        Ok(())
    })?;
    if probes_by_task.is_empty() {
        return Err(bad_input(format!(
            "{}: no episode, expected probes of `always-small` and `always-large`\nhint: run `simulate` first",
            path.display()
        )));
    }
    let labels = probes_by_task.iter().map(|(task_id, probes)| classify(task_id, probes, &thresholds));
    let labels = labels.collect::<Result<Vec<BoundaryLabelRow>, _>>().or_bad_input()?;
    for difficulty in tollgate_routing::Difficulty::ALL {
        let of_class = labels.iter().filter(|label| label.difficulty == difficulty).count();
        tracing::info!(difficulty = difficulty.as_str(), n_tasks = of_class, "classified");
    }
    artifact::write_rows(&call.request.output(ArtifactKind::BoundaryLabels), labels).map(|_| ())
}

fn probe_outcome(episode: &EpisodeRow) -> Option<ProbeOutcome> {
    let boundary = Boundary::from_policy_id(&episode.policy_id)?;
    Some(ProbeOutcome { boundary, is_success: episode.is_success, score: episode.score, cost: episode.total_cost })
}
