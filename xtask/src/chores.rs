//! Chores that `tollgate` does and that are started from here: benchmarks and task sets.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Deserialize;

use crate::workspace;

/// The suites that have a shipped task set.
const SUITES: [&str; 2] = ["household", "skill-chain"];

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Program to use instead of building `tollgate`
    #[arg(long, value_name = "PROGRAM")]
    tollgate: Option<PathBuf>,
    /// Print the figures as JSON, for programs
    #[arg(long)]
    json: bool,
}

/// One measured figure.
#[derive(Deserialize)]
struct Measurement {
    name: String,
    value: f64,
    unit: String,
    target: Option<String>,
}

/// Runs `tollgate bench` and prints its figures.
///
/// # Errors
/// When the program cannot be started, fails, or answers something else.
pub(crate) fn bench(args: &BenchArgs) -> Result<ExitCode> {
    let tollgate = workspace::tollgate(args.tollgate.as_deref(), &[])?;
    let output = Command::new(&tollgate)
        .args(["bench", "--json"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", tollgate.display()))?;
    if !output.status.success() {
        bail!("`tollgate bench` failed");
    }
    let text = String::from_utf8(output.stdout).context("`tollgate bench --json` answered something else")?;
    if args.json {
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    let measurements: Vec<Measurement> =
        serde_json::from_str(&text).context("`tollgate bench --json` answered something else")?;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["measured", "value", "unit", "target"]);
    for one in measurements {
        table.add_row([one.name, format!("{:.1}", one.value), one.unit, one.target.unwrap_or_default()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}

#[derive(Args)]
pub(crate) struct TasksArgs {
    /// Seed of the task sets
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Directory to write them into
    #[arg(long, value_name = "DIR", default_value = "datasets/tasks")]
    out: PathBuf,
    /// Program to use instead of building `tollgate`
    #[arg(long, value_name = "PROGRAM")]
    tollgate: Option<PathBuf>,
}

/// Makes the shipped task sets anew.
///
/// # Errors
/// When the program cannot be started or fails.
pub(crate) fn tasks(args: &TasksArgs) -> Result<ExitCode> {
    let tollgate = workspace::tollgate(args.tollgate.as_deref(), &[])?;
    for suite in SUITES {
        let mut command = Command::new(&tollgate);
        command.args(["tasks", "--suite", suite, "--seed", &args.seed.to_string(), "--out"]).arg(&args.out);
        workspace::run_to_end(&mut command, &format!("tollgate tasks --suite {suite}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
