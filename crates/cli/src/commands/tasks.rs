//! `tollgate tasks`: a task set from a seed.

use std::fs;
use std::path::Path;

use anyhow::Context;
use tollgate_contract::TaskRow;
use tollgate_environment::{household, scienceworld, skill_chain};

use crate::args::TasksArgs;
use crate::artifact;
use crate::commands::described_tasks;
use crate::config::{ScienceWorldConfig, Suite};
use crate::failure::{OrBadInput, bad_input};
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &TasksArgs) -> anyhow::Result<()> {
    let suite = args.suite.as_deref().map_or(Ok(Suite::External), Suite::parse)?;
    let tasks = match (&args.from, args.hard_share) {
        (Some(from), _) => described_tasks::read(from)?,
        (None, Some(share)) => of_share(suite, args.seed, args.counts.as_deref(), share)?,
        (None, None) => generate(suite, args.seed, args.counts.as_deref(), args.config.as_deref())?,
    };
    let path = match args.out.extension() {
        Some(extension) if extension == "parquet" => args.out.clone(),
        _ => args.out.join(format!("{}.parquet", suite.as_str())),
    };
    let dir = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot be created", dir.display()))?;
    let n_tasks = artifact::write_rows(&path, tasks)?;
    output::print(&format!("{}: {n_tasks} tasks\n", path.display()))
}

fn generate(suite: Suite, seed: u64, counts: Option<&[u32]>, config: Option<&Path>) -> anyhow::Result<Vec<TaskRow>> {
    match suite {
        Suite::Household => {
            let counts = match counts {
                Some(&[train, validation, test]) => household::SplitCounts { train, validation, test },
                _ => household::SplitCounts::default(),
            };
            household::generate_tasks(seed, counts).or_bad_input()
        }
        Suite::SkillChain => Ok(skill_chain::generate_tasks(seed, chain_counts(counts))),
        Suite::External => described_tasks::ask(config),
        Suite::Replay => Err(bad_input(
            "the tasks of suite `replay` are those of its logs\nhint: `tollgate import` writes them beside the episodes",
        )),
        Suite::ScienceWorld => {
            let counts = match counts {
                Some(&[train, validation, test]) => scienceworld::TaskCounts {
                    train: train as usize,
                    validation: validation as usize,
                    test: test as usize,
                    unseen: test as usize,
                },
                _ => scienceworld::TaskCounts::default(),
            };
            // The simulator's path of its longest tasks takes it a minute.
            let config = ScienceWorldConfig { call_timeout_secs: 900, ..ScienceWorldConfig::default() };
            let world = scienceworld::ScienceWorld::new(config.settings()).or_bad_input()?;
            scienceworld::generate_tasks(&world, seed, counts).or_bad_input()
        }
    }
}

fn of_share(suite: Suite, seed: u64, counts: Option<&[u32]>, hard_share: f64) -> anyhow::Result<Vec<TaskRow>> {
    if suite != Suite::SkillChain || !(0.0..=1.0).contains(&hard_share) {
        return Err(bad_input(format!(
            "--hard-share is {hard_share} for suite `{}`, expected 0 to 1 for suite `skill-chain`",
            suite.as_str()
        )));
    }
    Ok(skill_chain::generate_tasks_of_share(seed, chain_counts(counts), hard_share))
}

fn chain_counts(counts: Option<&[u32]>) -> skill_chain::TaskCounts {
    match counts {
        Some(&[train, validation, test]) => {
            skill_chain::TaskCounts { train: train as usize, validation: validation as usize, test: test as usize }
        }
        _ => skill_chain::TaskCounts::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_shipped(suite: Suite) {
        let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/tasks");
        let shipped: Vec<TaskRow> = artifact::read_rows(&datasets.join(format!("{}.parquet", suite.as_str()))).unwrap();
        assert!(
            shipped == generate(suite, 1, None, None).unwrap(),
            "run `cargo xtask tasks`, and commit datasets/tasks/"
        );
    }

    #[test]
    fn the_shipped_task_sets_are_those_of_this_version() {
        check_shipped(Suite::Household);
        check_shipped(Suite::SkillChain);
    }

    #[test]
    fn an_unknown_suite_is_refused_with_the_known_ones() {
        assert_eq!(
            Suite::parse("houshold").unwrap_err().to_string(),
            "suite `houshold` is not known\nhint: expected one of `household`, `skill-chain`, `external`, `replay`, `scienceworld`"
        );
    }
}
