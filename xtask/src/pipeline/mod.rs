//! `cargo xtask pipeline`: plans the slots, skips what is unchanged and runs the rest one by one as processes.

mod config;
mod digest;
mod fingerprint;
mod lock;
mod preflight;
mod protocol;
mod publish;
mod runner;
mod slot;
mod summary;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::Events;
use crate::workspace;
use config::ExperimentConfig;
use protocol::StageList;
use runner::{Failure, Pipeline};
pub(crate) use slot::Slot;
use summary::RunSummary;

const AFTER_HELP: &str = "\
--from SLOT takes the published outputs of the slots before it as they are, whatever the config says now; they must be
there. --until SLOT stops after it; the outputs of later slots stay as they are. Both include the slot named. --force runs
the slots of that range even when nothing changed.

Exit codes: 0 done, 2 bad input or config, 130 interrupted, 1 any other failure. run_summary.json in the run directory says
what each slot did.";

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct PipelineArgs {
    /// Experiment config
    #[arg(long, value_name = "FILE", default_value = "configs/household.toml")]
    config: PathBuf,
    /// Directory of the run's outputs; by default `runs/`, then the name of the config
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// First slot to plan
    #[arg(long, value_name = "SLOT")]
    from: Option<Slot>,
    /// Last slot to plan
    #[arg(long, value_name = "SLOT")]
    until: Option<Slot>,
    /// Only check the config and say what would run, and why
    #[arg(long)]
    check: bool,
    /// Run the slots even when nothing changed
    #[arg(long)]
    force: bool,
    /// Seed of every chance event, instead of the config's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads that a stage works with; results do not depend on it. Default: all cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Print the run's summary as JSON, for programs
    #[arg(long)]
    json: bool,
    /// Program to use instead of building `tollgate`
    #[arg(long, value_name = "PROGRAM")]
    tollgate: Option<PathBuf>,
    /// Cargo feature to build `tollgate` with: `cuda` or `metal`; may be repeated
    #[arg(long, value_name = "FEATURE", conflicts_with = "tollgate")]
    features: Vec<String>,
}

impl PipelineArgs {
    /// A run of a config's slots up to `until`, which is included.
    pub(crate) fn of_run(config: &Path, run_dir: &Path, until: Slot, threads: Option<u16>, tollgate: &Path) -> Self {
        Self {
            config: config.to_path_buf(),
            run_dir: Some(run_dir.to_path_buf()),
            from: None,
            until: Some(until),
            check: false,
            force: false,
            seed: None,
            threads,
            json: false,
            tollgate: Some(tollgate.to_path_buf()),
            features: Vec::new(),
        }
    }
}

/// Runs the pipeline.
///
/// # Errors
/// When the config is bad, the run directory is in use, or something it needs cannot be had. A failed slot is told by the
/// exit code.
pub(crate) fn run(args: &PipelineArgs) -> Result<ExitCode> {
    let (from, until) = (args.from.unwrap_or(Slot::Simulate), args.until.unwrap_or(Slot::Report));
    if from > until {
        bail!("--from {from} comes after --until {until}\nhint: the order is {}", Slot::ALL.map(Slot::name).join(", "));
    }
    let config = ExperimentConfig::read(&args.config, args.seed)?;
    let run_dir = args.run_dir.clone().unwrap_or_else(|| PathBuf::from("runs").join(&config.name));
    let run_dir = std::path::absolute(run_dir)?;
    let tollgate = workspace::tollgate(args.tollgate.as_deref(), &args.features)?;
    preflight::check(&tollgate, &config)?;
    let stages = StageList::ask(&tollgate)?;

    let started = Instant::now();
    // Planning alone writes nothing, so it needs no lock.
    let lock = if args.check { None } else { Some(lock::take(&run_dir)?) };
    let pipeline = Pipeline {
        config: &config,
        run_dir: &run_dir,
        tollgate: &tollgate,
        stages: &stages,
        threads: args.threads,
        is_forced: args.force,
        is_check: args.check,
        is_json: args.json,
        lock: lock.as_ref(),
        events: Events::install()?,
    };
    let (slots, failure) = pipeline.slots(from, until);
    let summary = RunSummary {
        config: config.path.display().to_string(),
        run_dir: run_dir.display().to_string(),
        seed: config.seed,
        is_check: args.check,
        succeeded: failure.is_none(),
        failed_slot: failure.as_ref().map(|failure| failure.slot.name()),
        seconds: started.elapsed().as_secs_f64(),
        slots,
    };
    if !args.check
        && let Err(error) = summary.write(&run_dir)
    {
        eprintln!("warning: {error:#}");
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    }
    match failure {
        None => finish(&pipeline, until, summary.seconds),
        Some(failure) => Ok(tell(&failure)),
    }
}

fn finish(pipeline: &Pipeline<'_>, until: Slot, seconds: f64) -> Result<ExitCode> {
    if pipeline.is_check {
        return Ok(ExitCode::SUCCESS);
    }
    if until == Slot::Report {
        let report = publish::published_dir(pipeline.run_dir, Slot::Report);
        pipeline.say(&table::render(&report)?);
        let page = report.join("report.html");
        if page.is_file() {
            pipeline.say(&format!("report: {}", page.display()));
        }
    }
    pipeline.say(&format!("pipeline done in {seconds:.1} s"));
    Ok(ExitCode::SUCCESS)
}

fn tell(failure: &Failure) -> ExitCode {
    eprintln!("error: slot {}: {:#}", failure.slot, failure.error);
    ExitCode::from(failure.exit_code)
}
