//! `tollgate study`: a finished run as a document of tables and plots.

use std::fs;
use std::path::Path;

use anyhow::Context;
use tollgate_contract::{Digest, Slot};
use tollgate_routing::{Objective, Split};

use crate::args::StudyArgs;
use crate::config::{ConfigFile, ReportConfig};
use crate::failure::OrBadInput;
use crate::figures::Evaluations;
use crate::study::{self, Comparison, Origin, page};

/// Plots of the report that go beside the document.
const PLOTS: [&str; 2] = ["frontier.svg", "caps.svg"];

/// Runs the command.
pub(crate) fn run(args: &StudyArgs) -> anyhow::Result<()> {
    let config = ConfigFile::open(&args.config)?;
    let report = config.stage(Slot::Report).read::<ReportConfig>()?;
    report.check()?;
    let path = Evaluations::path_in(&args.run_dir);
    let evaluations = Evaluations::read(&path, Objective::from(config.experiment.outcome))?;
    let compare = |split| Comparison::new(&evaluations, split, report.n_resamples, report.confidence);
    let test = compare(Split::Test)?;
    let has_unseen = evaluations.episodes.iter().any(|episode| episode.split == Split::Unseen);
    let unseen = has_unseen.then(|| compare(Split::Unseen)).transpose()?;

    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let plots = copy_plots(&args.run_dir.join("report"), &args.out)?;
    let origin = Origin {
        title: args.title.clone().unwrap_or_else(|| config.experiment.suite.as_str().to_owned()),
        command: args
            .command
            .clone()
            .unwrap_or_else(|| format!("tollgate study --config {} --run-dir RUN --out OUT", args.config.display())),
        seeds: evaluations.train_seeds(),
        n_episodes: evaluations.episodes.len(),
        violations: evaluations.n_violations(),
        confidence: report.confidence,
        n_resamples: report.n_resamples,
        digest: Digest::of_path(&path)?.to_string(),
        hardware: study::hardware(),
        has_caps_plot: plots.contains(&"caps.svg"),
    };
    study::write(&args.out, &page(&origin, &test, unseen.as_ref())?)
}

/// Copies the plots that the report has, and returns their names.
fn copy_plots(report: &Path, out: &Path) -> anyhow::Result<Vec<&'static str>> {
    let mut copied = Vec::new();
    for name in PLOTS {
        let plot = report.join(name);
        if plot.exists() {
            fs::copy(&plot, out.join(name)).with_context(|| plot.display().to_string()).or_bad_input()?;
            copied.push(name);
        }
    }
    Ok(copied)
}
