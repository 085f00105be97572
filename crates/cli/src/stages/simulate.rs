//! `simulate`: the boundary probes and the mixed sweep on the train tasks.
//!
//! Tasks are played in groups: probes first, then what the probes call for. Which tasks get extra probes follows the default thresholds of
//! the taxonomy, whatever `[classify]` says: labels are made later, and more than once. A group's episodes are written before the next
//! one is played, so that memory stays bounded.

use std::sync::Arc;

use indicatif::ProgressBar;
use tollgate_contract::{ArtifactKind, EpisodeRow, StepRow};
use tollgate_inference::RandomMixing;
use tollgate_rollout::{AlwaysLarge, AlwaysSmall, Arena, derive_seed};
use tollgate_routing::{Episode, Split, Task};
use tollgate_synthesis::sweep_plan;
use tollgate_taxonomy::{Boundary, ProbeOutcome, Thresholds, classify};
use tollgate_trajectory::ArtifactWriter;

use crate::arena::open_playing;
use crate::artifact::blame;
use crate::config::SimulateConfig;
use crate::failure::{OrBadInput, bad_input};
use crate::play::{EpisodeRun, Job, PolicyFactory, play_in_order};
use crate::progress;
use crate::stage_call::StageCall;

/// Tasks that are played before their episodes are written.
const GROUP: usize = 32;
/// Keeps the stage's chance events apart from those of other stages.
const SIMULATE_STREAM: u64 = 0x5349_4D55;
/// Repetitions from which the sweep counts, so that it never meets the luck of a probe.
const FIRST_SWEEP_REPETITION: u32 = 1_000_000;

/// A policy with the name that its episodes carry.
struct NamedPolicy {
    id: Arc<str>,
    factory: PolicyFactory,
}

/// What is played, and where it goes.
struct Simulation<'a> {
    arena: &'a dyn Arena,
    config: SimulateConfig,
    thresholds: Thresholds,
    seed: u64,
    boundaries: [NamedPolicy; 2],
    sweep: Vec<NamedPolicy>,
    progress: ProgressBar,
}

/// Runs the stage.
pub(crate) fn run(call: &StageCall) -> anyhow::Result<()> {
    let config = call.table.read::<SimulateConfig>()?;
    config.check()?;
    let arena = open_playing(call)?;
    let tasks = train_tasks(call, &config)?;
    let simulation = Simulation {
        sweep: sweep_policies(config.n_sweep, arena.pool().len())?,
        thresholds: call.experiment.thresholds()?,
        seed: derive_seed(call.request.seed, SIMULATE_STREAM),
        boundaries: boundary_policies(),
        progress: progress::bar("simulate", tasks.len()),
        arena: &*arena,
        config,
    };
    let mut episodes = ArtifactWriter::create(&call.request.output(ArtifactKind::Episodes)).map_err(blame)?;
    let mut steps = ArtifactWriter::create(&call.request.output(ArtifactKind::Steps)).map_err(blame)?;
    let large = arena.pool().large();
    for group in tasks.chunks(GROUP) {
        for episode in simulation.play_group(group)? {
            episodes.write(EpisodeRow::of(&episode, large)).map_err(blame)?;
            steps.write_all(StepRow::of(&episode, arena.pool())).map_err(blame)?;
        }
        simulation.progress.inc(group.len() as u64);
    }
    let n_episodes = episodes.finish().map_err(blame)?.rows;
    let n_steps = steps.finish().map_err(blame)?.rows;
    simulation.progress.finish_and_clear();
    tracing::info!(n_tasks = tasks.len(), n_episodes, n_steps, "simulated");
    Ok(())
}

impl Simulation<'_> {
    /// All episodes of a group of tasks: probes, then further probes, then the sweep.
    fn play_group(&self, tasks: &[Task]) -> anyhow::Result<Vec<Episode>> {
        let all: Vec<&Task> = tasks.iter().collect();
        let mut episodes = self.probe(&all, 0..self.config.n_probes)?;
        if self.config.n_extra_probes > 0 {
            let contested = self.contested(&all, &episodes)?;
            let extra = self.config.n_probes..self.config.n_probes + self.config.n_extra_probes;
            episodes.extend(self.probe(&contested, extra)?);
        }
        let worth_sweeping: Vec<&Task> = all.into_iter().filter(|task| self.could_be_hard(task, &episodes)).collect();
        let jobs = worth_sweeping.iter().flat_map(|task| {
            self.sweep.iter().enumerate().map(|(position, policy)| {
                let repetition = FIRST_SWEEP_REPETITION + position as u32;
                Job::uncapped(task, &policy.id, &policy.factory, EpisodeRun { seed: self.seed, repetition })
            })
        });
        episodes.extend(self.play(&jobs.collect::<Vec<_>>())?);
        Ok(episodes)
    }

    fn probe(&self, tasks: &[&Task], repetitions: std::ops::Range<u32>) -> anyhow::Result<Vec<Episode>> {
        let mut jobs = Vec::with_capacity(tasks.len() * repetitions.len() * self.boundaries.len());
        for task in tasks {
            for policy in &self.boundaries {
                for repetition in repetitions.clone() {
                    let run = EpisodeRun { seed: self.seed, repetition };
                    jobs.push(Job::uncapped(task, &policy.id, &policy.factory, run));
                }
            }
        }
        self.play(&jobs)
    }

    fn play(&self, jobs: &[Job<'_>]) -> anyhow::Result<Vec<Episode>> {
        let mut played = Vec::with_capacity(jobs.len());
        play_in_order(self.arena, jobs, &ProgressBar::hidden(), |episodes| {
            played.extend(episodes);
            Ok(())
        })?;
        Ok(played)
    }

    /// Tasks whose class the probes cannot settle. It is read by the default thresholds: `[classify]` is another stage's.
    fn contested<'t>(&self, tasks: &[&'t Task], episodes: &[Episode]) -> anyhow::Result<Vec<&'t Task>> {
        let mut contested = Vec::new();
        for &task in tasks {
            let of_task = episodes.iter().filter(|episode| episode.task.id == task.id);
            let probes: Vec<ProbeOutcome> = of_task.filter_map(ProbeOutcome::of_episode).collect();
            if classify(&task.id, &probes, &self.thresholds)?.is_contested {
                contested.push(task);
            }
        }
        Ok(contested)
    }

    /// Whether some threshold would call the task hard: it was solved, and the small model failed at least once.
    fn could_be_hard(&self, task: &Task, episodes: &[Episode]) -> bool {
        let is_solved = |episode: &Episode| self.thresholds.is_solved(episode.is_success, episode.score);
        let of_task = || episodes.iter().filter(|episode| episode.task.id == task.id);
        let is_small = |episode: &Episode| &*episode.policy_id == Boundary::AlwaysSmall.policy_id();
        of_task().any(is_solved) && of_task().any(|episode| is_small(episode) && !is_solved(episode))
    }
}

fn train_tasks(call: &StageCall, config: &SimulateConfig) -> anyhow::Result<Vec<Task>> {
    let train = call
        .tasks()?
        .into_iter()
        .filter(|task| task.split == Split::Train)
        .take(config.max_tasks.unwrap_or(usize::MAX));
    let max_steps = config.max_steps.unwrap_or(u32::MAX);
    let tasks: Vec<Task> = train.map(|task| Task { horizon: task.horizon.min(max_steps), ..task }).collect();
    if tasks.is_empty() {
        return Err(bad_input(format!(
            "{}: no task of split `train`, expected at least one\nhint: `tollgate tasks` makes a task set",
            call.input(ArtifactKind::Tasks)?.display()
        )));
    }
    Ok(tasks)
}

fn boundary_policies() -> [NamedPolicy; 2] {
    let small: PolicyFactory = Arc::new(|| Box::new(AlwaysSmall));
    let large: PolicyFactory = Arc::new(|| Box::new(AlwaysLarge));
    [(Boundary::AlwaysSmall, small), (Boundary::AlwaysLarge, large)]
        .map(|(boundary, factory)| NamedPolicy { id: boundary.policy_id().into(), factory })
}

fn sweep_policies(n_rollouts: u32, n_models: usize) -> anyhow::Result<Vec<NamedPolicy>> {
    if n_rollouts == 0 {
        return Ok(Vec::new());
    }
    let plan = sweep_plan(n_rollouts, n_models).or_bad_input()?;
    let named = plan.into_iter().map(|rollout| {
        let mixing = RandomMixing::with_probabilities(rollout.probabilities.clone())?;
        let factory: PolicyFactory = Arc::new(move || Box::new(mixing.clone()));
        Ok(NamedPolicy { id: rollout.to_string().into(), factory })
    });
    named.collect()
}
