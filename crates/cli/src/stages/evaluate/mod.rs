//! `evaluate`: every policy under every budget, on the validation and the test tasks, and on tasks of unseen kinds where
//! there are some.

mod frontier_rows;
pub(crate) mod learned;
mod plan;
mod players;
mod references;

use std::path::Path;

use tollgate_contract::{ArtifactKind, BoundaryLabelRow, EpisodeRow, EvaluationRow, ProductKind};
use tollgate_inference::{Cell, EvaluatedEpisode, EvaluationPlan, InferenceError, Oracle, OracleScale, evaluate};
use tollgate_rollout::{Arena, PolicyError, RolloutError, derive_seed};
use tollgate_routing::{NanoUsd, ProbeStats, Split, Task};
use tollgate_trajectory::ArtifactWriter;

use self::players::{Player, Players};
use crate::arena::open_playing;
use crate::artifact::{self, blame};
use crate::config::{EvaluateConfig, Suite};
use crate::failure::{bad_input, blame_input};
use crate::figures::ORACLE;
use crate::progress;
use crate::stage_call::StageCall;

/// Keeps the stage's chance events apart from those of other stages.
const EVALUATE_STREAM: u64 = 0x4556_414C;

/// Episodes beyond their cap that the error names: nothing else is left of them.
const MAX_NAMED_VIOLATIONS: usize = 5;

/// All episodes of one split.
struct PlayedSplit {
    split: Split,
    tasks: Vec<Task>,
    episodes: Vec<EvaluatedEpisode>,
}

/// Runs the stage.
pub(crate) fn run(call: &StageCall) -> anyhow::Result<()> {
    let config = call.table.read::<EvaluateConfig>()?;
    config.check()?;
    let arena = open_playing(call)?;
    let tasks = call.tasks()?;
    let scale = scale(call)?;
    let players = players(call, &config, &*arena, &tasks, scale)?;
    let cells = plan::cells(&players, &config, scale.large_cost);

    let mut played = Vec::new();
    for split in evaluated_splits(&tasks) {
        let (n_episodes, max_tasks) = match split {
            Split::Validation => (config.n_validation_episodes, config.max_validation_tasks),
            Split::Train | Split::Test | Split::Unseen => (config.n_test_episodes, config.max_test_tasks),
        };
        let tasks = of_split(&tasks, split, max_tasks);
        played.push(play(
            call,
            &*arena,
            &players,
            &cells,
            PlayedSplit { split, tasks, episodes: Vec::new() },
            n_episodes,
        )?);
    }
    write_evaluations(&call.request.output(ArtifactKind::Evaluations), &cells, &played)?;
    let rows = frontier_rows::rows(&cells, &played, call.experiment.outcome.into(), call.request.seed)?;
    artifact::write_rows(&call.request.output(ArtifactKind::Frontier), rows)?;
    check_violations(&cells, &played)
}

fn players<'a>(
    call: &StageCall,
    config: &EvaluateConfig,
    arena: &'a dyn Arena,
    tasks: &[Task],
    scale: OracleScale,
) -> anyhow::Result<Vec<Player<'a>>> {
    let mut players = players::baselines(config, call.experiment.suite, arena.pool().len())?;
    if call.experiment.suite == Suite::SkillChain {
        players.extend(references::players(&of_split(tasks, Split::Train, None))?);
    }
    if config.oracle {
        players.push(Player::new(ORACLE, move || Oracle::new(arena, scale)).conditioned());
    }
    players.extend(learned::players(call.input(ProductKind::Checkpoint)?, arena.pool())?);
    Ok(players)
}

/// Task sets need not hold unseen kinds; the other two have to be there.
fn evaluated_splits(tasks: &[Task]) -> Vec<Split> {
    let is_evaluated = |split: &Split| match split {
        Split::Train => false,
        Split::Validation | Split::Test => true,
        Split::Unseen => tasks.iter().any(|task| task.split == Split::Unseen),
    };
    Split::ALL.into_iter().filter(is_evaluated).collect()
}

fn of_split(tasks: &[Task], split: Split, max_tasks: Option<usize>) -> Vec<Task> {
    tasks.iter().filter(|task| task.split == split).take(max_tasks.unwrap_or(usize::MAX)).cloned().collect()
}

/// What the boundary policies cost on average over the train probes, and what counts.
fn scale(call: &StageCall) -> anyhow::Result<OracleScale> {
    let path = call.input(ArtifactKind::BoundaryLabels)?;
    let labels: Vec<BoundaryLabelRow> = artifact::read_some_rows(path, "`classify` writes one row per train task")?;
    let mean_cost = |probes: fn(&BoundaryLabelRow) -> ProbeStats| {
        let probes = || labels.iter().map(probes);
        let n_episodes: u64 = probes().map(|probes| u64::from(probes.episodes)).sum();
        let total: u64 = probes().map(|probes| probes.mean_cost.get() * u64::from(probes.episodes)).sum();
        NanoUsd::new(total / n_episodes.max(1))
    };
    Ok(OracleScale {
        objective: call.experiment.outcome.into(),
        small_cost: mean_cost(|label| label.small),
        large_cost: mean_cost(|label| label.large),
    })
}

fn play(
    call: &StageCall,
    arena: &dyn Arena,
    players: &[Player<'_>],
    cells: &[Cell],
    split: PlayedSplit,
    n_episodes: u32,
) -> anyhow::Result<PlayedSplit> {
    if split.tasks.is_empty() {
        return Err(bad_input(format!(
            "{}: no task of split `{}`, expected at least one\nhint: `tollgate tasks` makes task sets with all three splits",
            call.input(ArtifactKind::Tasks)?.display(),
            split.split.as_str()
        )));
    }
    let plan = EvaluationPlan {
        tasks: &split.tasks,
        cells,
        n_seeds: n_episodes,
        base_seed: derive_seed(call.request.seed, EVALUATE_STREAM),
        keeps_trajectory: &|_, _, _| false,
    };
    let progress = progress::bar("evaluate", cells.len() * split.tasks.len() * n_episodes as usize);
    let episodes = evaluate(arena, &Players(players), &plan, &|state| progress.set_position(state.n_finished as u64));
    let episodes = episodes.map_err(blame_evaluation)?;
    progress.finish_and_clear();
    tracing::info!(split = split.split.as_str(), cells = cells.len(), episodes = episodes.len(), "evaluated");
    Ok(PlayedSplit { episodes, ..split })
}

/// A task set or a checkpoint that does not fit is the caller's to mend.
fn blame_evaluation(error: InferenceError) -> anyhow::Error {
    let is_bad_input = match &error {
        InferenceError::Build { .. } => true,
        InferenceError::Episode { source, .. } => {
            matches!(&**source, RolloutError::Environment(_) | RolloutError::Policy(PolicyError::Mismatch { .. }))
        }
        _ => false,
    };
    if is_bad_input { blame_input(error) } else { error.into() }
}

fn write_evaluations(path: &Path, cells: &[Cell], played: &[PlayedSplit]) -> anyhow::Result<()> {
    let mut writer = ArtifactWriter::create(path).map_err(blame)?;
    for split in played {
        for episode in &split.episodes {
            writer
                .write(evaluation_row(&cells[episode.cell_idx], &split.tasks[episode.task_idx], episode))
                .map_err(blame)?;
        }
    }
    writer.finish().map_err(blame)?;
    Ok(())
}

fn evaluation_row(cell: &Cell, task: &Task, episode: &EvaluatedEpisode) -> EvaluationRow {
    EvaluationRow {
        episode: EpisodeRow {
            episode_id: episode.id.clone(),
            task_id: task.id.clone(),
            environment: task.environment.clone(),
            split: task.split,
            policy_id: cell.policy_id.clone(),
            seed: episode.seed,
            lambda: cell.lambda,
            budget: cell.budget,
            ending: episode.ending,
            n_steps: episode.outcome.n_steps,
            n_large_calls: episode.outcome.n_large_calls,
            is_success: episode.outcome.is_success,
            score: episode.outcome.score,
            total_cost: episode.outcome.cost,
        },
        is_violation: episode.outcome.is_violation,
        train_seed: cell.train_seed,
    }
}

/// A cap that was passed is a bug, and no result may hide it.
fn check_violations(cells: &[Cell], played: &[PlayedSplit]) -> anyhow::Result<()> {
    let all = || played.iter().flat_map(|split| &split.episodes);
    let violations: Vec<&EvaluatedEpisode> = all().filter(|episode| episode.outcome.is_violation).collect();
    tracing::info!(violations = violations.len(), episodes = all().count(), "caps checked");
    if violations.is_empty() {
        return Ok(());
    }
    let named = violations.iter().take(MAX_NAMED_VIOLATIONS);
    let named: Vec<String> =
        named.map(|episode| format!("`{}` of cell `{}`", episode.id, cells[episode.cell_idx])).collect();
    let others = match violations.len() - named.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    Err(anyhow::anyhow!(
        "{} of {} episodes passed their cap, expected none: {}{others}\nhint: this is a bug of the executor or of the budget's enforcement",
        violations.len(),
        all().count(),
        named.join(", "),
    ))
}

#[cfg(test)]
mod tests {
    use tollgate_inference::EpisodeOutcome;
    use tollgate_routing::{Budget, Ending, EpisodeId};

    use super::*;

    fn episode(id: &str, is_violation: bool) -> EvaluatedEpisode {
        let outcome = EpisodeOutcome {
            is_success: false,
            score: 0.0,
            cost: NanoUsd::new(1),
            n_large_calls: 3,
            n_steps: 3,
            is_given_up: false,
            is_violation,
        };
        let (id, ending) = (EpisodeId::new(id), Ending::Horizon);
        EvaluatedEpisode { cell_idx: 0, task_idx: 0, seed_idx: 0, id, seed: 0, ending, outcome, trajectory: None }
    }

    #[track_caller]
    fn check(beyond_their_cap: &[&str], expected: &str) {
        let cell = Cell {
            policy_id: "p".into(),
            family: "p".into(),
            lambda: 0.0,
            budget: Budget::LargeCalls(2),
            train_seed: None,
        };
        let mut episodes = vec![episode("good", false)];
        episodes.extend(beyond_their_cap.iter().map(|id| episode(id, true)));
        let played = [PlayedSplit { split: Split::Test, tasks: Vec::new(), episodes }];
        let message = check_violations(&[cell], &played).unwrap_err().to_string();
        assert_eq!(message.split("\nhint: ").next(), Some(expected));
    }

    #[test]
    fn episodes_beyond_their_cap_are_named_up_to_five() {
        let cell = "of cell `p/lambda=0/calls=2`";
        check(&["a"], &format!("1 of 2 episodes passed their cap, expected none: `a` {cell}"));
        let five = ["a", "b", "c", "d", "e"].map(|id| format!("`{id}` {cell}")).join(", ");
        let all = ["a", "b", "c", "d", "e", "f", "g"];
        check(&all, &format!("7 of 8 episodes passed their cap, expected none: {five} and 2 more"));
    }
}
