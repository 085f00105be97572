//! What is checked before anything runs: every mistake that can be known now should not be told an hour later.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Slot;
use super::config::ExperimentConfig;

/// Checks the built-in stages' keys, that replacement programs exist, and that the experiment's files are there.
///
/// # Errors
/// For the first thing that is wrong.
pub(crate) fn check(tollgate: &Path, config: &ExperimentConfig) -> Result<()> {
    if config.has_known_suite() {
        // First, because without its tasks the logs of a replay seem to be those of other models.
        task_set(config)?;
    }
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
    check_files(config)
}

fn task_set(config: &ExperimentConfig) -> Result<PathBuf> {
    config.path_of("tasks").with_context(|| {
        format!(
            "{}: `experiment.tasks` is missing, expected the Parquet file of the task set\n\
             hint: `tollgate tasks` makes one, `cargo xtask tasks` those in datasets/tasks/, `tollgate import` those of logs",
            config.path.display()
        )
    })
}

fn check_files(config: &ExperimentConfig) -> Result<()> {
    let tasks = ("experiment.tasks".to_owned(), task_set(config)?);
    for (key, path) in [tasks].into_iter().chain(Slot::ALL.into_iter().flat_map(|slot| config.sources(slot))) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_without_a_task_set_of_its_own_is_told_to_name_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chain.toml");
        std::fs::write(&path, "[experiment]\nsuite = \"skill-chain\"").unwrap();
        let config = ExperimentConfig::read(&path, None).unwrap();
        // It is told before the program is started that would check the rest.
        let message = check(Path::new("no-such-program"), &config).unwrap_err().to_string();
        let expected = "chain.toml: `experiment.tasks` is missing, expected the Parquet file of the task set\nhint: ";
        assert!(message.contains(expected), "{message}");
    }
}
