//! Where things are: the workspace's root, its target directory and the programs built into it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Root of the workspace that this program was built from.
pub(crate) fn root() -> PathBuf {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir).to_path_buf()
}

/// A `cargo` command that runs in the workspace's root, with the cargo that started us when there is one.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Builds the `tollgate` program with optimizations and returns its path.
///
/// # Errors
/// When cargo cannot be started or the build fails.
pub(crate) fn build_tollgate(features: &[String]) -> Result<PathBuf> {
    let started = Instant::now();
    eprintln!("building tollgate (release)");
    let mut command = cargo();
    command.args(["build", "--quiet", "--release", "--package", "tollgate-cli"]);
    for feature in features {
        command.args(["--features", feature]);
    }
    let status = command.stdout(Stdio::null()).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("building tollgate failed\nhint: `cargo build --release --package tollgate-cli` shows the errors");
    }
    eprintln!("built in {:.1} s", started.elapsed().as_secs_f64());
    let program = built_tollgate();
    if !program.is_file() {
        bail!("{} is missing after the build", program.display());
    }
    Ok(program)
}

/// Where a build puts `tollgate`.
pub(crate) fn built_tollgate() -> PathBuf {
    target_dir().join("release").join("tollgate")
}

/// The path of `tollgate`: the one given, or a fresh build.
pub(crate) fn tollgate(given: Option<&Path>, features: &[String]) -> Result<PathBuf> {
    match given {
        Some(path) => std::path::absolute(path).with_context(|| format!("{} is not a usable path", path.display())),
        None => build_tollgate(features),
    }
}

/// Runs a command to its end, without input; `name` is what it is called when it fails.
///
/// # Errors
/// When it cannot be started, or fails.
pub(crate) fn run_to_end(command: &mut Command, name: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start {program}"))?;
    if status.success() { Ok(()) } else { bail!("`{name}` failed") }
}

fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}
