//! `synthesize`: labels and logged episodes to the steps that the warm start imitates.

use std::collections::BTreeMap;

use tollgate_contract::{ArtifactKind, BoundaryLabelRow, EpisodeRow, StepRow};
use tollgate_routing::{EpisodeId, ModelIndex};
use tollgate_synthesis::{CandidateEpisode, synthesize};
use tollgate_taxonomy::Thresholds;

use crate::artifact;
use crate::config::SynthesizeConfig;
use crate::failure::OrBadInput;
use crate::stage_call::StageCall;

/// Runs the stage.
pub(crate) fn run(call: &StageCall) -> anyhow::Result<()> {
    let config = call.table.read::<SynthesizeConfig>()?;
    let labels: Vec<BoundaryLabelRow> = artifact::read_rows(call.input(ArtifactKind::BoundaryLabels)?)?;
    let candidates = candidates(call, &call.experiment.thresholds()?)?;
    let examples = synthesize(&labels, &candidates, &config.synthesis(), call.request.seed).or_bad_input()?;
    tracing::info!(n_episodes = candidates.len(), n_examples = examples.len(), "synthesized");
    artifact::write_rows(&call.request.output(ArtifactKind::SftExamples), examples).map(|_| ())
}

/// The logged episodes with the model of each of their steps.
fn candidates(call: &StageCall, thresholds: &Thresholds) -> anyhow::Result<Vec<CandidateEpisode>> {
    let mut actions: BTreeMap<EpisodeId, Vec<ModelIndex>> = BTreeMap::new();
    artifact::scan::<StepRow>(call.input(ArtifactKind::Steps)?, |steps| {
        for step in steps {
            actions.entry(step.episode_id).or_default().push(step.step.turn.action);
        }
        Ok(())
    })?;
    let episodes: Vec<EpisodeRow> = artifact::read_rows(call.input(ArtifactKind::Episodes)?)?;
    let candidates = episodes.into_iter().map(|episode| {
        let actions = actions.remove(&episode.episode_id).unwrap_or_default();
        artifact::check_steps(&episode, actions.len())?;
        Ok(CandidateEpisode {
            episode_id: episode.episode_id,
            task_id: episode.task_id,
            is_success: thresholds.is_solved(episode.is_success, episode.score),
            cost: episode.total_cost,
            actions,
        })
    });
    candidates.collect()
}
