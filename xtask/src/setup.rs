//! `cargo xtask setup <what>`: what a suite needs beside this repository.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::workspace;

/// The packages that suite `scienceworld` needs, in a form that pip reads.
const SCIENCEWORLD: &str = "tests/interop/scienceworld.txt";

#[derive(Args)]
pub(crate) struct SetupArgs {
    /// What to set up
    what: SetupKind,
    /// Python that makes the virtual environment .venv, where there is none yet
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum SetupKind {
    /// The simulator of suite `scienceworld`: a Python package with a JAR inside, for Java 17 or newer
    Scienceworld,
}

/// Installs what is missing.
///
/// # Errors
/// When there is no Java, or pip fails.
pub(crate) fn run(args: &SetupArgs) -> Result<ExitCode> {
    let SetupKind::Scienceworld = args.what;
    let python = workspace::root().join(".venv/bin/python");
    if !python.is_file() {
        run_command(Command::new(&args.python).args(["-m", "venv", ".venv"]), "making .venv")?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", SCIENCEWORLD];
    run_command(Command::new(&python).args(pip), "installing scienceworld")?;
    let java = Command::new("java").arg("-version").stdin(Stdio::null()).stderr(Stdio::null()).status();
    if !java.is_ok_and(|status| status.success()) {
        bail!(
            "`java` is not found, or does not run\nhint: the simulator needs Java 17 or newer (Debian: `apt install default-jre-headless`)"
        );
    }
    println!("scienceworld is set up: cargo xtask pipeline --config configs/scienceworld.toml");
    Ok(ExitCode::SUCCESS)
}

fn run_command(command: &mut Command, doing: &str) -> Result<()> {
    let status = command.current_dir(workspace::root()).stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("{doing}: {} cannot be started", command.get_program().display()))?;
    if !status.success() {
        bail!("{doing} failed");
    }
    Ok(())
}
