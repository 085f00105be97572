//! What a trained router loses when the world changes, and what brings it back: pipeline runs in changed worlds.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Study, set, table};
use crate::pipeline::Slot;
use crate::workspace;

/// One changed world: the directory of its runs, what it is called, and its `[experiment.shift]`.
struct World {
    name: &'static str,
    label: &'static str,
    shift: &'static str,
}

const fn world(name: &'static str, label: &'static str, shift: &'static str) -> World {
    World { name, label, shift }
}

/// The worlds; the router is trained in the first. The models are those of the study's pool.
const WORLDS: [World; 16] = [
    world("plain", "as in training", ""),
    world("small-x0.5", "small's prices x0.5", "models.\"gpt-4.1-mini\".price_factor = 0.5"),
    world("small-x2", "small's prices x2", "models.\"gpt-4.1-mini\".price_factor = 2.0"),
    world("small-x5", "small's prices x5", "models.\"gpt-4.1-mini\".price_factor = 5.0"),
    world("large-x0.5", "large's prices x0.5", "models.\"gpt-4.1\".price_factor = 0.5"),
    world("large-x2", "large's prices x2", "models.\"gpt-4.1\".price_factor = 2.0"),
    world("large-x5", "large's prices x5", "models.\"gpt-4.1\".price_factor = 5.0"),
    world(
        "all-x5",
        "all prices x5",
        "models.\"gpt-4.1-mini\".price_factor = 5.0\nmodels.\"gpt-4.1\".price_factor = 5.0",
    ),
    world(
        "all-x50",
        "all prices x50",
        "models.\"gpt-4.1-mini\".price_factor = 50.0\nmodels.\"gpt-4.1\".price_factor = 50.0",
    ),
    world("small-better", "small better (+0.7 in log-odds)", "models.\"gpt-4.1-mini\".ability = 0.7"),
    world("small-worse", "small worse (-0.7 in log-odds)", "models.\"gpt-4.1-mini\".ability = -0.7"),
    world("small-fails", "15 % of small's calls fail", "models.\"gpt-4.1-mini\".failure_rate = 0.15"),
    world("large-fails", "15 % of large's calls fail", "models.\"gpt-4.1\".failure_rate = 0.15"),
    world("hard-tasks", "harder tasks (heat, cool, pick two)", "task_kinds = [\"heat\", \"cool\", \"pick-two\"]"),
    world("wording", "other words", "wording = \"other\""),
    world("unmarked", "other words, refusals unmarked", "wording = \"unmarked\""),
];

/// Tasks whose boundary episodes are logged for the recalibration: with five of each policy, 400 episodes.
const LOGGED_TASKS: i64 = 40;

/// Runs every world and writes the document.
///
/// # Errors
/// As [`super::run`].
pub(super) fn run(study: &Study<'_>) -> Result<ExitCode> {
    let settings = study.suite.settings()?;
    let trained = study.runs.join(WORLDS[0].name).join("retrained/optimize/checkpoint");
    let mut worlds: Vec<OsString> = Vec::new();
    for world in &WORLDS {
        let settings = in_world(settings.clone(), world)?;
        let directory = study.runs.join(world.name);
        let play = |name: &str, settings: Table, until: Slot| {
            let config = study.write_settings(&format!("{}/{name}", world.name), &settings)?;
            study.pipeline(&config, &directory.join(name), until)
        };
        let recalibrated = directory.join("checkpoint");
        let code = match play("retrained", study.with_seeds(settings.clone())?, Slot::Evaluate)? {
            ExitCode::SUCCESS => play("kept", with_policies(settings.clone(), &trained)?, Slot::Evaluate)?,
            failed => failed,
        };
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
        let code = play("logs", logging(settings.clone())?, Slot::Simulate)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
        recalibrate(study.tollgate, &trained, &directory.join("logs/simulate/episodes.parquet"), &recalibrated)?;
        let code = play("recalibrated", with_policies(settings, &recalibrated)?, Slot::Evaluate)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
        worlds.push("--world".into());
        worlds.push(format!("{}:{}", world.label, directory.display()).into());
    }
    study.write_document("robustness", worlds.iter().map(OsString::as_os_str))?;
    Ok(ExitCode::SUCCESS)
}

/// Fits the policies in `trained` to what was logged.
fn recalibrate(tollgate: &Path, trained: &Path, episodes: &Path, out: &Path) -> Result<()> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("{}: cannot be removed", out.display()))?;
    }
    let mut command = Command::new(tollgate);
    command.arg("recalibrate").arg("--checkpoint").arg(trained).arg("--episodes").arg(episodes).arg("--out").arg(out);
    workspace::run_to_end(&mut command, "tollgate recalibrate")
}

/// The settings of a run in `world`.
fn in_world(mut settings: Table, world: &World) -> Result<Table> {
    if !world.shift.is_empty() {
        let shift: Table = toml::from_str(world.shift)?;
        set(&mut settings, &["experiment", "shift"], shift.into())?;
    }
    Ok(settings)
}

/// The settings of a run with the policies in `checkpoint`, which trains nothing.
fn with_policies(mut settings: Table, checkpoint: &Path) -> Result<Table> {
    let optimize = table(&mut settings, "optimize")?;
    optimize.remove("variants");
    optimize.insert("from".into(), checkpoint.display().to_string().into());
    Ok(settings)
}

/// The settings of a run that only logs a few boundary episodes.
fn logging(mut settings: Table) -> Result<Table> {
    set(&mut settings, &["simulate", "max_tasks"], Value::Integer(LOGGED_TASKS))?;
    set(&mut settings, &["simulate", "n_sweep"], Value::Integer(0))?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_changes_the_experiment_and_a_run_without_training_names_its_policies() {
        for world in &WORLDS {
            let settings = toml::from_str("[optimize]\nvariants = [\"bopo\"]\nn_hidden = 64").unwrap();
            let settings = with_policies(in_world(settings, world).unwrap(), Path::new("runs/a")).unwrap();
            let shift = settings.get("experiment").and_then(|experiment| experiment.get("shift"));
            assert_eq!(shift.is_some(), world.name != "plain", "{}", world.name);
            assert_eq!(toml::to_string(&settings["optimize"]).unwrap(), "from = \"runs/a\"\nn_hidden = 64\n");
        }
    }

    #[test]
    fn no_two_worlds_share_a_directory() {
        let names: std::collections::BTreeSet<&str> = WORLDS.iter().map(|world| world.name).collect();
        assert_eq!(names.len(), WORLDS.len());
    }
}
