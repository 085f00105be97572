//! `tollgate robustness`: finished runs in changed worlds as one document.

use std::path::PathBuf;
use std::str::FromStr;

use tollgate_routing::Objective;

use crate::args::RobustnessArgs;
use crate::figures::Evaluations;
use crate::study::{self, WorldFigures, robustness_page};

/// Directories of a world's runs: the router as it is, recalibrated, and trained again.
const RUNS: [&str; 3] = ["kept", "recalibrated", "retrained"];

/// A changed world: what it is called, and the directory of its runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangedWorld {
    label: String,
    directory: PathBuf,
}

impl FromStr for ChangedWorld {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((label, directory)) if !label.is_empty() && !directory.is_empty() => {
                Ok(Self { label: label.to_owned(), directory: directory.into() })
            }
            _ => Err("expected LABEL:DIR, such as \"large x2:runs/study/robustness/large-x2\"".to_owned()),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &RobustnessArgs) -> anyhow::Result<()> {
    let worlds = args.worlds.iter().map(figures).collect::<anyhow::Result<Vec<_>>>()?;
    study::write(&args.out, &robustness_page(&args.command, &study::hardware(), &worlds))
}

fn figures(world: &ChangedWorld) -> anyhow::Result<WorldFigures> {
    let read = |run: &str| {
        let path = Evaluations::path_in(&world.directory.join(run));
        Evaluations::read_without_violation(&path, Objective::Success)
    };
    let [kept, recalibrated, retrained] = RUNS;
    WorldFigures::new(&world.label, [&read(kept)?, &read(recalibrated)?, &read(retrained)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_a_label_and_a_directory() {
        let world: ChangedWorld = "large x2:runs/a:b".parse().unwrap();
        assert_eq!(world, ChangedWorld { label: "large x2".into(), directory: "runs/a:b".into() });
        assert!("runs/a".parse::<ChangedWorld>().is_err() && ":runs/a".parse::<ChangedWorld>().is_err());
    }
}
