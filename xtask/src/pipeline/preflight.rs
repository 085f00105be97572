//! What is checked before anything runs: every mistake that can be known now should not be told an hour later.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Slot;
use super::config::ExperimentConfig;

/// Checks the built-in stages' keys, that replacement programs exist, and that the experiment's files are there.
///
/// # Errors
/// For the first thing that is wrong.
pub(crate) fn check(tollgate: &Path, config: &ExperimentConfig) -> Result<()> {
    let output = Command::new(tollgate)
        .arg("check-config")
        .arg(&config.path)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", tollgate.display()))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.trim();
        bail!("{}", message.strip_prefix("error: ").unwrap_or(message));
    }
    for slot in Slot::ALL {
        if let Some(program) = config.stage(slot).argv.as_ref().and_then(|argv| argv.first())
            && !is_program(program)
        {
            bail!(
                "{}: `{slot}.command.argv`: program `{program}` does not exist\n\
                 hint: a program without `/` is looked for in PATH; other paths are relative to the directory the pipeline is started in",
                config.path.display()
            );
        }
    }
    let tasks = config.path_of("tasks").map(|path| ("experiment.tasks", path));
    for (key, path) in tasks.into_iter().chain(Slot::ALL.into_iter().flat_map(|slot| config.sources(slot))) {
        if !path.exists() {
            bail!(
                "{}: `{key}`: {} does not exist\n\
                 hint: paths are relative to the directory the pipeline is started in; `cargo xtask tasks` makes the task sets, `tollgate import` those of logs",
                config.path.display(),
                path.display()
            );
        }
    }
    Ok(())
}

fn is_program(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    std::env::var_os("PATH").is_some_and(|dirs| std::env::split_paths(&dirs).any(|dir| dir.join(program).is_file()))
}
