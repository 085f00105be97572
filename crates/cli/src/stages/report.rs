//! `report`: the page and the summary.

use std::fs;

use anyhow::Context;
use tollgate_contract::{ArtifactKind, ProductKind, TaskRow};
use tollgate_routing::{Objective, Split, Task};

use crate::arena::open_arena;
use crate::artifact;
use crate::config::{ExecutorKind, ReportConfig, Suite};
use crate::figures::{Evaluations, Figures};
use crate::optimum::Optimum;
use crate::report::{self, Sources};
use crate::stage_call::StageCall;
use crate::summary;

/// Runs the stage.
pub(crate) fn run(call: &StageCall) -> anyhow::Result<()> {
    let mut config = call.table.read::<ReportConfig>()?;
    config.check()?;
    if call.experiment.executor == ExecutorKind::Live {
        // Traces are episodes that are played once more, and live models would be paid once more.
        config.n_traces = 0;
    }
    let arena = open_arena(&call.experiment)?;
    let objective = Objective::from(call.experiment.outcome);
    let evaluations = Evaluations::read(call.input(ArtifactKind::Evaluations)?, objective)?;
    let figures = Figures::new(&evaluations, &config, call.request.seed)?;
    let unseen = Figures::of_unseen(&evaluations, &config, call.request.seed)?;
    let optimum = match call.experiment.suite {
        Suite::Household | Suite::External | Suite::Replay | Suite::ScienceWorld => None,
        Suite::SkillChain => Some(Optimum::new(&test_tasks(call, &figures)?, &evaluations.cells)?),
    };
    let sources = Sources {
        call,
        config: &config,
        arena: &*arena,
        evaluations: &evaluations,
        figures: &figures,
        unseen: unseen.as_ref(),
        optimum: optimum.as_ref(),
    };
    report::write(&report::gather(&sources)?, &call.request.output_dir)?;
    let summary = summary::Summary {
        suite: call.experiment.suite.as_str().to_owned(),
        seeds: evaluations.train_seeds(),
        outcome: objective.as_str(),
        confidence: config.confidence,
        n_episodes: evaluations.episodes.len(),
        violations: evaluations.n_violations() as u64,
        policies: summary::policies(&figures, optimum.as_ref())?,
        frontier_area: summary::areas(&figures),
        operating_point: figures.operating_point.as_ref().map(Into::into),
        unseen: unseen.as_ref().map(summary::UnseenEntry::new).transpose()?,
        optimum,
    };
    let path = call.request.output(ProductKind::Summary);
    let text = serde_json::to_string_pretty(&summary).context("the summary cannot be written as JSON")?;
    fs::write(&path, text + "\n").with_context(|| format!("{}: cannot be written", path.display()))
}

/// The test tasks that were evaluated, ordered by name.
fn test_tasks(call: &StageCall, figures: &Figures) -> anyhow::Result<Vec<Task>> {
    let tasks: Vec<TaskRow> = artifact::read_rows(call.input(ArtifactKind::Tasks)?)?;
    let is_evaluated = |task: &Task| task.split == Split::Test && figures.test.tasks().binary_search(&task.id).is_ok();
    let mut tasks: Vec<Task> = tasks.into_iter().filter(is_evaluated).collect();
    // As in the table of figures.
    tasks.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(tasks)
}
