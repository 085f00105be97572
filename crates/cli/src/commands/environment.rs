//! `tollgate environment check`: whether an environment keeps to the protocol.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tollgate_environment::external::conformance::{Check, ConformanceReport, Latency, Verdict, check_environment};
use tollgate_environment::external::{ExternalSettings, Hello};

use crate::args::{EnvironmentArgs, EnvironmentCheckArgs, EnvironmentCommand};
use crate::config::{ConfigFile, ExternalConfig, Transport};
use crate::failure::bad_input;
use crate::output;

/// What the check found, for programs.
#[derive(Debug, Serialize)]
struct ReportFile<'a> {
    hello: Option<&'a Hello>,
    n_failed: usize,
    checks: Vec<CheckEntry<'a>>,
    latency: Option<LatencyEntry>,
}

/// One check, for programs.
#[derive(Debug, Serialize)]
struct CheckEntry<'a> {
    name: &'a str,
    verdict: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// How fast the environment answers, for programs.
#[derive(Debug, Serialize)]
struct LatencyEntry {
    start_ms: f64,
    reset_us: f64,
    step_us: f64,
    step_p99_us: f64,
    n_steps: usize,
}

/// Runs the command.
pub(crate) fn run(args: &EnvironmentArgs) -> anyhow::Result<()> {
    match &args.command {
        EnvironmentCommand::Check(args) => check(args),
    }
}

fn check(args: &EnvironmentCheckArgs) -> anyhow::Result<()> {
    let report = check_environment(&settings(args)?, args.seed);
    if args.json {
        output::print_json(&ReportFile::of(&report))?;
    } else {
        print_report(&report)?;
    }
    match report.n_failed() {
        0 => Ok(()),
        n_failed => Err(bad_input(format!(
            "{n_failed} of {} checks failed\nhint: docs/environment-protocol.md says what each asks for",
            report.checks.len()
        ))),
    }
}

fn settings(args: &EnvironmentCheckArgs) -> anyhow::Result<ExternalSettings> {
    let mut config = match &args.config {
        Some(path) => ConfigFile::open(path)?
            .experiment
            .external
            .with_context(|| bad_input(format!("{}: it has no table `experiment.external`", path.display())))?,
        None => ExternalConfig::default(),
    };
    if args.openenv || args.url.is_some() {
        config.transport = Transport::OpenEnv;
    }
    if args.url.is_some() || !args.argv.is_empty() {
        config.url.clone_from(&args.url);
        config.command.clone_from(&args.argv);
    }
    if config.url.is_none() && config.command.is_empty() {
        return Err(bad_input(
            "there is nothing to check\nhint: `tollgate environment check -- python3 my_environment.py`, or --url, or --config",
        ));
    }
    config.settings()
}

fn print_report(report: &ConformanceReport) -> anyhow::Result<()> {
    let mut table = output::table(["check", "verdict", "what was seen"]);
    for check in &report.checks {
        let entry = CheckEntry::of(check);
        let detail = match entry.hint {
            Some(hint) => format!("{}\nhint: {hint}", entry.detail),
            None => entry.detail.to_owned(),
        };
        table.add_row([entry.name.to_owned(), entry.verdict.to_owned(), detail]);
    }
    output::print_table(&table)?;
    let Some(latency) = report.latency.map(LatencyEntry::of) else { return Ok(()) };
    output::print(&format!(
        "start {:.0} ms, reset {:.0} us, step {:.0} us (99 of 100 within {:.0} us), medians of {} steps\n",
        latency.start_ms, latency.reset_us, latency.step_us, latency.step_p99_us, latency.n_steps
    ))
}

impl<'a> ReportFile<'a> {
    fn of(report: &'a ConformanceReport) -> Self {
        Self {
            hello: report.hello.as_ref(),
            n_failed: report.n_failed(),
            checks: report.checks.iter().map(CheckEntry::of).collect(),
            latency: report.latency.map(LatencyEntry::of),
        }
    }
}

impl<'a> CheckEntry<'a> {
    fn of(check: &'a Check) -> Self {
        let (verdict, detail, hint) = match &check.verdict {
            Verdict::Passed(detail) => ("passed", detail, None),
            Verdict::Failed { reason, hint } => ("FAILED", reason, Some(hint.as_str())),
            Verdict::Skipped(reason) => ("skipped", reason, None),
        };
        Self { name: check.name, verdict, detail, hint }
    }
}

impl LatencyEntry {
    fn of(latency: Latency) -> Self {
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        Self {
            start_ms: latency.start.as_secs_f64() * 1e3,
            reset_us: micros(latency.reset),
            step_us: micros(latency.step),
            step_p99_us: micros(latency.step_p99),
            n_steps: latency.n_steps,
        }
    }
}
