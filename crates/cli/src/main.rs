//! The pipeline's stages as programs, and what a person needs around them.
//!
//! This is the composition root: it reads configs and artifacts, joins the crates below it, and writes artifacts. It holds
//! no algorithm of its own.

mod arena;
mod args;
mod artifact;
mod commands;
mod config;
mod failure;
mod figures;
mod live;
mod optimum;
mod output;
mod play;
mod progress;
mod replay_logs;
mod report;
mod stage_call;
mod stages;
mod stored_policies;
mod study;
mod summary;
mod validation;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tollgate_contract::Slot;
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    match prepare(&cli).and_then(|()| run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

/// Only training multiplies matrices, so only the commands that train are started anew for Candle's sake.
fn prepare(cli: &Cli) -> anyhow::Result<()> {
    if matches!(cli.command, Command::Optimize(_) | Command::Bench(_)) {
        keep_candle_to_one_thread()?;
    }
    start_threads(cli.threads)
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Simulate(args) => stages::run(&args.stage, args.inputs(), Slot::Simulate),
        Command::Classify(args) => stages::run(&args.stage, args.inputs(), Slot::Classify),
        Command::Synthesize(args) => stages::run(&args.stage, args.inputs(), Slot::Synthesize),
        Command::Optimize(args) => stages::run(&args.stage, args.inputs(), Slot::Optimize),
        Command::Evaluate(args) => stages::run(&args.stage, args.inputs(), Slot::Evaluate),
        Command::Report(args) => stages::run(&args.stage, args.inputs(), Slot::Report),
        Command::Stages(args) => commands::stages::run(&args),
        Command::Validate(args) => commands::validate::run(&args),
        Command::CheckConfig(args) => commands::check_config::run(&args),
        Command::ContractDocs(args) => commands::contract_docs::run(&args),
        Command::Tasks(args) => commands::tasks::run(&args),
        Command::Environment(args) => commands::environment::run(&args),
        Command::Import(args) => commands::import::run(&args),
        Command::Prices(args) => commands::prices::run(&args),
        Command::Calibrate(args) => commands::calibrate::run(&args),
        Command::Recalibrate(args) => commands::recalibrate::run(&args),
        Command::Study(args) => commands::study::run(&args),
        Command::Collapse(args) => commands::collapse::run(&args),
        Command::Robustness(args) => commands::robustness::run(&args),
        Command::Specialists(args) => commands::specialists::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Bench(args) => commands::bench::run(&args),
    }
}

/// Structured logs on stderr; `TOLLGATE_LOG` filters them.
fn start_logging() {
    let filter = EnvFilter::try_from_env("TOLLGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// Rollouts run on a pool of `n_threads`, or of one thread per core. Candle gets one thread: trainings run side by side, and
/// its own pools would fight over the cores (measured: up to ten times slower).
fn start_threads(n_threads: Option<u16>) -> anyhow::Result<()> {
    let n_threads = match n_threads {
        Some(n_threads) => usize::from(n_threads),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .build_global()
        .context("the threads cannot be started\nhint: ask for fewer with --threads")
}

/// Candle reads its number of threads from this variable, at each multiplication.
const CANDLE_THREADS: &str = "RAYON_NUM_THREADS";

/// Starts this program anew with one thread for Candle, unless it has that already. A process cannot safely change its own
/// environment while threads may read it.
#[cfg(unix)]
fn keep_candle_to_one_thread() -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    if std::env::var(CANDLE_THREADS).is_ok_and(|threads| threads == "1") {
        return Ok(());
    }
    let program = std::env::current_exe().context("the running program has no path")?;
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(CANDLE_THREADS, "1").exec();
    Err(error).context("the program cannot be started anew")
}

/// Elsewhere Candle keeps its own number of threads: slower, with the same results.
#[cfg(not(unix))]
fn keep_candle_to_one_thread() -> anyhow::Result<()> {
    Ok(())
}
