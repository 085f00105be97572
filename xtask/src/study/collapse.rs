//! Where training falls into cheap failure: a grid of pipeline runs over the weight of the cost and the share of hard tasks.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Result;
use toml::{Table, Value};

use super::{Study, set};
use crate::pipeline::Slot;
use crate::workspace;

/// Weights of the cost.
const LAMBDAS: [f64; 4] = [0.1, 0.3, 0.6, 1.0];
/// Shares of tasks that are not easy.
const HARD_SHARES: [f64; 4] = [0.2, 0.4, 0.65, 0.9];
/// Train, validation and test tasks of a cell.
const COUNTS: [&str; 3] = ["400", "50", "300"];

/// Runs every cell of the grid and writes the document.
///
/// # Errors
/// As [`super::run`].
pub(super) fn run(study: &Study<'_>) -> Result<ExitCode> {
    let settings = study.suite.settings()?;
    let mut cells: Vec<OsString> = Vec::new();
    for hard_share in HARD_SHARES {
        let tasks = make_tasks(study, hard_share)?;
        for lambda in LAMBDAS {
            let name = format!("lambda-{lambda}-hard-{hard_share}");
            let config = study.write_config(&name, cell_settings(settings.clone(), lambda, &tasks)?)?;
            let run_dir = study.runs.join(&name);
            let code = study.pipeline(&config, &run_dir, Slot::Report)?;
            if code != ExitCode::SUCCESS {
                return Ok(code);
            }
            cells.push("--cell".into());
            cells.push(format!("{lambda}:{hard_share}:{}", run_dir.display()).into());
        }
    }
    study.write_document("collapse", cells.iter().map(OsString::as_os_str))?;
    Ok(ExitCode::SUCCESS)
}

/// A task set of this share of hard tasks, beside the runs. It is made anew each time: one that lies there may be of another version of
/// the program, and the same bytes run nothing again.
fn make_tasks(study: &Study<'_>, hard_share: f64) -> Result<PathBuf> {
    let path = study.runs.join(format!("tasks-hard-{hard_share}.parquet"));
    let mut command = Command::new(study.tollgate);
    command.args(["tasks", "--suite", "skill-chain", "--hard-share", &hard_share.to_string(), "--counts"]).args(COUNTS);
    workspace::run_to_end(command.arg("--out").arg(&path), "tollgate tasks")?;
    Ok(path)
}

/// The study's settings at one weight of the cost, in training and at evaluation.
fn cell_settings(mut settings: Table, lambda: f64, tasks: &Path) -> Result<Table> {
    let mut set = |path: &[&str], value| set(&mut settings, path, value);
    set(&["experiment", "tasks"], tasks.display().to_string().into())?;
    set(&["optimize", "bopo", "conditions", "lambda_low"], lambda.into())?;
    set(&["optimize", "bopo", "conditions", "lambda_high"], lambda.into())?;
    set(&["evaluate", "lambdas"], vec![Value::from(lambda)].into())?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::super::Suite;
    use super::*;

    #[test]
    fn a_task_set_that_lies_there_is_made_anew() {
        let runs = tempfile::tempdir().unwrap();
        std::fs::write(runs.path().join("tasks-hard-0.2.parquet"), "of an older version").unwrap();
        let study = Study {
            suite: Suite::Collapse,
            seeds: 1,
            jobs: None,
            variants: &[],
            runs: runs.path().to_path_buf(),
            out: runs.path().to_path_buf(),
            tollgate: Path::new("false"),
        };
        assert_eq!(make_tasks(&study, 0.2).unwrap_err().to_string(), "`tollgate tasks` failed");
    }

    #[test]
    fn a_cell_trains_and_plays_at_its_own_weight() {
        let settings = toml::from_str("[optimize]\nn_hidden = 64").unwrap();
        let settings = cell_settings(settings, 0.3, Path::new("t.parquet")).unwrap();
        let text = toml::to_string(&settings).unwrap();
        assert!(text.contains("lambda_low = 0.3") && text.contains("lambdas = [0.3]"), "{text}");
        assert!(text.contains("n_hidden = 64") && text.contains("tasks = \"t.parquet\""), "{text}");
    }
}
