//! `tollgate bench`: the hot paths, each on one core, as medians of several repetitions.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use candle_core::{D, Device};
use serde::Serialize;
use tollgate_contract::TaskRow;
use tollgate_environment::external::ExternalWorlds;
use tollgate_environment::household::{self, SplitCounts};
use tollgate_environment::skill_chain::{self, SkillChainArena, TaskCounts};
use tollgate_inference::RandomMixing;
use tollgate_policy::{Choice, FeatureConfig, LearnedPolicy, NetworkShape, RouterNetwork};
use tollgate_rollout::{Arena, CallQuote, Environment, RolloutRequest, RoutingContext, RoutingPolicy};
use tollgate_routing::{Budget, BudgetView, EpisodeId, ModelPool, Observation, Task};

use super::bench_live::LoopbackCalls;
use crate::arena::{open_household, open_scienceworld};
use crate::args::{BenchArgs, BenchCommand};
use crate::artifact;
use crate::commands::bench_import;
use crate::config::{ConfigFile, ExperimentConfig, Suite};
use crate::output;

/// Tasks that `ScienceWorld` is measured on.
const SCIENCEWORLD_TASKS: &str = "datasets/tasks/scienceworld.parquet";
/// Width of the measured network's hidden layers, as trained by default.
const N_HIDDEN: usize = 128;
/// Rows of a training step.
const BATCH: usize = 512;
/// Decisions per repetition.
const N_DECISIONS: u32 = 5_000;
/// Training steps per repetition.
const N_TRAINING_STEPS: u32 = 10;

/// The same small environment in Python behind both transports.
const EXTERNAL: [(&str, &str); 2] = [
    ("step of a Python environment, JSON Lines", "configs/external-example.toml"),
    ("step of a Python environment, OpenEnv", "configs/openenv-example.toml"),
];
/// Steps of an external environment per repetition.
const N_EXTERNAL_STEPS: u32 = 200;

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Measurement {
    name: &'static str,
    value: f64,
    unit: &'static str,
    target: Option<&'static str>,
}

/// Runs the command.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if let Some(BenchCommand::Import(args)) = &args.command {
        return bench_import::run(args);
    }
    let n = usize::from(args.repetitions);
    let scratch = tempfile::tempdir().context("no directory for temporary files")?;
    let mut measurements = vec![
        Measurement {
            name: "household, simulated models included",
            value: household_steps_per_second(n)?,
            unit: "steps/s on one core",
            target: Some("at least 100,000"),
        },
        Measurement {
            name: "skill-chain",
            value: skill_chain_steps_per_second(n)?,
            unit: "steps/s on one core",
            target: None,
        },
        Measurement {
            name: "decision, features and network, 2 kB observation",
            value: decision_micros(n)?,
            unit: "us",
            target: Some("at most 100"),
        },
        Measurement {
            name: "live call over loopback, 8 kB prompt, not journaled",
            value: live_call_micros(n, None)?,
            unit: "us",
            target: None,
        },
        Measurement {
            name: "live call over loopback, 8 kB prompt, journaled (two syncs)",
            value: live_call_micros(n, Some(&scratch.path().join("calls.jsonl")))?,
            unit: "us",
            target: None,
        },
        Measurement { name: "training step, batch of 512", value: training_step_millis(n)?, unit: "ms", target: None },
    ];
    for (name, config) in EXTERNAL {
        match external_step_micros(n, Path::new(config)) {
            Ok(value) => measurements.push(Measurement { name, value, unit: "us", target: None }),
            // A bench of our own paths does not depend on what else is installed.
            Err(error) => tracing::warn!(%error, "left out: {name}"),
        }
    }
    measurements.extend(scienceworld_steps_per_second()?);
    if args.json {
        return output::print_json(&measurements);
    }
    let mut table = output::table(["measured", "median", "unit", "target"]);
    for one in measurements {
        let target = one.target.unwrap_or_default().to_owned();
        table.add_row([one.name.to_owned(), format!("{:.1}", one.value), one.unit.to_owned(), target]);
    }
    output::print_table(&table)
}

fn household_steps_per_second(n_repetitions: usize) -> anyhow::Result<f64> {
    let arena = open_household(&ExperimentConfig::default())?;
    let tasks = household::generate_tasks(1, SplitCounts { train: 60, validation: 0, test: 0 })?;
    steps_per_second(&arena, &tasks, n_repetitions)
}

fn skill_chain_steps_per_second(n_repetitions: usize) -> anyhow::Result<f64> {
    let tasks = skill_chain::generate_tasks(1, TaskCounts { train: 500, validation: 0, test: 0 });
    steps_per_second(&SkillChainArena::new()?, &tasks, n_repetitions)
}

/// `ScienceWorld` on its first tasks: steps that the simulator is asked for, and steps that are remembered. Measured once each, for the
/// first time is never again; left out where the simulator or the task set is missing.
fn scienceworld_steps_per_second() -> anyhow::Result<Vec<Measurement>> {
    let experiment = ExperimentConfig { suite: Suite::ScienceWorld, ..ExperimentConfig::default() };
    let tasks: Vec<TaskRow> = artifact::read_rows(Path::new(SCIENCEWORLD_TASKS)).unwrap_or_default();
    let (Ok(arena), [warm_up, tasks @ ..]) = (open_scienceworld(&experiment), &tasks[..tasks.len().min(5)]) else {
        tracing::warn!("ScienceWorld is not measured: `cargo xtask setup scienceworld` sets it up");
        return Ok(Vec::new());
    };
    steps_of_one_round(&arena, std::slice::from_ref(warm_up), 0)?;
    let mut measured = Vec::new();
    for name in ["ScienceWorld, simulator and expert's path included", "ScienceWorld, remembered"] {
        let value = steps_of_one_round(&arena, tasks, 0)?;
        measured.push(Measurement { name, value, unit: "steps/s on one core", target: None });
    }
    Ok(measured)
}

/// Steps per second of a policy that costs next to nothing itself, on this thread alone.
fn steps_per_second(arena: &dyn Arena, tasks: &[Task], n_repetitions: usize) -> anyhow::Result<f64> {
    median(n_repetitions, |repetition| steps_of_one_round(arena, tasks, repetition as u64))
}

fn steps_of_one_round(arena: &dyn Arena, tasks: &[Task], seed: u64) -> anyhow::Result<f64> {
    let mut policy = RandomMixing::of_boundaries(0.5, arena.pool().len())?;
    let started = Instant::now();
    let mut n_steps = 0;
    for task in tasks {
        let request = RolloutRequest {
            episode_id: EpisodeId::new("bench"),
            policy_id: "random-0.5".into(),
            seed,
            lambda: 0.0,
            budget: Budget::Unlimited,
        };
        n_steps += arena.play(task, &request, &mut policy)?.steps.len();
    }
    Ok(n_steps as f64 / started.elapsed().as_secs_f64())
}

/// Microseconds that a live call takes beside the model's own time.
fn live_call_micros(n_repetitions: usize, journal: Option<&Path>) -> anyhow::Result<f64> {
    let mut calls = LoopbackCalls::new(journal)?;
    median(n_repetitions, |_| calls.micros())
}

/// Microseconds per step of the environment that a config names, the environment's own work included.
fn external_step_micros(n_repetitions: usize, config: &Path) -> anyhow::Result<f64> {
    let experiment = ConfigFile::open(config)?.experiment;
    let tasks: Vec<Task> = artifact::read_rows(&experiment.tasks)?;
    let task = tasks.first().context("no task")?;
    let worlds = ExternalWorlds::new(experiment.external.unwrap_or_default().settings()?);
    let mut world = worlds.environment();
    median(n_repetitions, |_| {
        world.reset(task, 1)?;
        let started = Instant::now();
        for _ in 0..N_EXTERNAL_STEPS {
            world.step("look")?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(N_EXTERNAL_STEPS))
    })
}

/// Microseconds per decision of a learned policy late in an episode.
fn decision_micros(n_repetitions: usize) -> anyhow::Result<f64> {
    let arena = open_household(&ExperimentConfig::default())?;
    let tasks = household::generate_tasks(1, SplitCounts { train: 1, validation: 0, test: 0 })?;
    let task = tasks.first().context("no household task")?;
    let features = FeatureConfig::text(arena.pool().len(), 10_000_000);
    let shape = NetworkShape {
        n_features: features.n_features(),
        n_hidden: N_HIDDEN,
        n_models: arena.pool().len(),
        early_stop: true,
        n_privileged: 0,
    };
    let network = Arc::new(RouterNetwork::new(shape, 1, &Device::Cpu)?.freeze()?);
    let mut policy = LearnedPolicy::new("bench", network, features, Choice::Greedy);
    let observation = long_observation();
    let quotes =
        vec![CallQuote { prompt_tokens: 2_000, max_output_tokens: 100, ..CallQuote::default() }; arena.pool().len()];
    median(n_repetitions, |_| {
        policy.begin(task, 1);
        let started = Instant::now();
        for _ in 0..N_DECISIONS {
            policy.decide(&context(task, &observation, arena.pool(), &quotes))?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(N_DECISIONS))
    })
}

fn context<'a>(
    task: &'a Task,
    observation: &'a Observation,
    pool: &'a ModelPool,
    quotes: &'a [CallQuote],
) -> RoutingContext<'a> {
    RoutingContext {
        task,
        turns: &[],
        observation,
        pool,
        quotes,
        budget: BudgetView { lambda: 0.3, ..BudgetView::default() },
        allowed: pool.all(),
    }
}

/// Two kilobytes of words that differ.
fn long_observation() -> Observation {
    let mut text = String::new();
    for number in 0.. {
        if text.len() >= 2_000 {
            break;
        }
        text.push_str("On the shelf ");
        text.push_str(&number.to_string());
        text.push_str(" you see a mug, a plate and a key. ");
    }
    Observation::from_text(text)
}

/// Milliseconds per forward pass, backward pass and update on a batch.
fn training_step_millis(n_repetitions: usize) -> anyhow::Result<f64> {
    let features = FeatureConfig::text(2, 10_000_000);
    let shape = NetworkShape {
        n_features: features.n_features(),
        n_hidden: N_HIDDEN,
        n_models: 2,
        early_stop: true,
        n_privileged: 0,
    };
    let network = RouterNetwork::new(shape, 1, &Device::Cpu)?;
    let values: Vec<f32> = (0..BATCH * shape.n_features).map(|index| (index % 7) as f32 / 7.0).collect();
    let batch = candle_core::Tensor::from_vec(values, (BATCH, shape.n_features), &Device::Cpu)?;
    median(n_repetitions, |_| {
        let started = Instant::now();
        for _ in 0..N_TRAINING_STEPS {
            let loss = network.logits(&batch)?.exp()?.sum(D::Minus1)?.log()?.mean_all()?;
            let gradients = loss.backward()?;
            for (_, variable) in network.variables() {
                if let Some(gradient) = gradients.get(variable.as_tensor()) {
                    variable.set(&(variable.as_tensor() - (gradient * 1e-4)?)?)?;
                }
            }
        }
        Ok(started.elapsed().as_secs_f64() * 1e3 / f64::from(N_TRAINING_STEPS))
    })
}

/// The median of `n` measurements, after one that only warms up.
fn median(n: usize, mut measure: impl FnMut(usize) -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    measure(0)?;
    let mut values = (0..n).map(&mut measure).collect::<anyhow::Result<Vec<f64>>>()?;
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    Ok(if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_leaves_out_the_warm_up() {
        let mut values = [99.0, 3.0, 1.0, 2.0].into_iter();
        let median = median(3, |_| Ok(values.next().unwrap())).unwrap();
        assert!((median - 2.0).abs() < 1e-9, "{median}");
    }
}
