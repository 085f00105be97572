//! `tollgate collapse`: finished runs at several weights of the cost and shares of hard tasks as one table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use tollgate_inference::{Estimate, Metric, OutcomeTable, RunFigure, RunResamples};
use tollgate_routing::{Budget, Objective, Split};

use crate::args::CollapseArgs;
use crate::failure::{OrBadInput, bad_input};
use crate::figures::Evaluations;
use crate::study;

/// A policy has collapsed when it ends within this of always-small's success although always-large is worth more.
const MARGIN: f64 = 0.02;

/// Resamples and their confidence.
const N_RESAMPLES: usize = 1_000;
const CONFIDENCE: f64 = 0.95;
const SEED: u64 = 1;

/// A finished run, and where it stands in the grid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GridCell {
    lambda: f32,
    hard_share: f64,
    run_dir: PathBuf,
}

impl FromStr for GridCell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let mut parts = text.splitn(3, ':');
            let (lambda, hard_share) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(Self { lambda, hard_share, run_dir: parts.next()?.into() })
        };
        parts().ok_or_else(|| "expected LAMBDA:HARD_SHARE:RUN_DIR, such as 0.3:0.65:runs/collapse".to_owned())
    }
}

/// What one cell came to.
struct Outcome {
    small: f64,
    large: f64,
    /// Final success of each trained policy, over its training runs.
    policies: BTreeMap<String, Final>,
}

struct Final {
    success: Estimate,
    /// Training runs that ended within the margin of always-small's success.
    n_collapsed: usize,
    n_runs: usize,
}

impl Outcome {
    /// Whether always-large brings more than always-small at this weight of the cost.
    fn is_large_worth_its_price(&self, lambda: f32) -> bool {
        self.large - f64::from(lambda) > self.small + MARGIN
    }
}

/// Runs the command.
pub(crate) fn run(args: &CollapseArgs) -> anyhow::Result<()> {
    let outcomes: Vec<(&GridCell, Outcome)> =
        args.cells.iter().map(|cell| Ok((cell, outcome(cell)?))).collect::<anyhow::Result<_>>()?;
    study::write(&args.out, &document(&args.command, &outcomes)?)
}

fn outcome(cell: &GridCell) -> anyhow::Result<Outcome> {
    let path = Evaluations::path_in(&cell.run_dir);
    let evaluations = Evaluations::read(&path, Objective::Success)?;
    let seeds = evaluations.train_seeds();
    let runs: Vec<OutcomeTable> =
        seeds.iter().map(|&seed| evaluations.table_of_run(Split::Test, Some(seed))).collect::<anyhow::Result<_>>()?;
    let Some(first) = runs.first() else {
        return Err(bad_input(format!("{}: no trained policy, expected some", path.display())));
    };
    let resamples =
        RunResamples::draw(first.tasks().len(), runs.len(), N_RESAMPLES, CONFIDENCE, SEED).or_bad_input()?;
    let boundaries = first.boundaries().or_bad_input()?;
    let [small, large] = [boundaries.small(), boundaries.large()].map(|group| group.mean(Metric::Success));
    let mut policies = BTreeMap::new();
    for group in first.groups().iter().filter(|group| !group.train_seeds.is_empty()) {
        let in_run = |run: &OutcomeTable| {
            let group = run.find(&group.policy_id, cell.lambda, Budget::Unlimited)?;
            Some((group.mean(Metric::Success), resamples.mean(group, Metric::Success)))
        };
        // A policy that is not conditioned plays at lambda 0, and is the same at every weight.
        let Some(found) = runs.iter().map(in_run).collect::<Option<Vec<_>>>() else { continue };
        let n_collapsed = found.iter().filter(|(success, _)| *success <= small + MARGIN).count();
        let figures: Vec<RunFigure> =
            found.into_iter().map(|(_, figure)| figure).collect::<Result<_, _>>().or_bad_input()?;
        let success = resamples.estimate(&figures).or_bad_input()?;
        policies.insert(group.policy_id.to_string(), Final { success, n_collapsed, n_runs: runs.len() });
    }
    Ok(Outcome { small, large, policies })
}

fn document(command: &str, outcomes: &[(&GridCell, Outcome)]) -> anyhow::Result<String> {
    let policies: Vec<&String> = outcomes.first().map(|(_, first)| first.policies.keys().collect()).unwrap_or_default();
    let mut page = format!(
        "# Collapse\n\n`{command}` makes this document.\n\n\
         Skill-chain without caps, trained at one weight of the cost `λ`, on task sets of different shares of tasks that are not easy. A \
         cell holds the final success on unseen tasks with its {:.0} % interval over tasks and training runs, and how many of the runs ended within \
         {MARGIN} of always-small's success. Cells in which always-large is worth its price (its success less `λ` is above \
         always-small's success by more than {MARGIN}) are marked ●: there, ending at always-small's success is a collapse.\n\n",
        100.0 * CONFIDENCE
    );
    write!(page, "| hard tasks | λ | | always-small | always-large |")?;
    for policy in &policies {
        write!(page, " {policy} |")?;
    }
    writeln!(page, "\n|---|---|---|---|---|{}", "---|".repeat(policies.len()))?;
    let mut n_worth = 0;
    let mut n_collapsed: BTreeMap<&str, usize> = BTreeMap::new();
    for (cell, outcome) in outcomes {
        let is_worth = outcome.is_large_worth_its_price(cell.lambda);
        n_worth += usize::from(is_worth);
        let mark = if is_worth { "●" } else { "" };
        write!(
            page,
            "| {} | {} | {mark} | {:.3} | {:.3} |",
            cell.hard_share, cell.lambda, outcome.small, outcome.large
        )?;
        for policy in &policies {
            let last =
                outcome.policies.get(*policy).with_context(|| format!("`{policy}` was not trained in every run"))?;
            write!(page, " {}, {} of {} |", study::figure(last.success), last.n_collapsed, last.n_runs)?;
            if is_worth {
                *n_collapsed.entry(policy.as_str()).or_default() += last.n_collapsed;
            }
        }
        page.push('\n');
    }
    let n_runs = outcomes.first().and_then(|(_, first)| first.policies.values().next()).map_or(0, |last| last.n_runs);
    writeln!(
        page,
        "\nCollapsed runs in the {n_worth} cells marked ●, of {}:\n\n| policy | runs |\n|---|---|",
        n_worth * n_runs
    )?;
    for (policy, count) in n_collapsed {
        writeln!(page, "| {policy} | {count} |")?;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_names_its_place_and_its_run() {
        let cell: GridCell = "0.3:0.65:runs/a:b".parse().unwrap();
        assert_eq!(cell, GridCell { lambda: 0.3, hard_share: 0.65, run_dir: "runs/a:b".into() });
        assert!("0.3:runs".parse::<GridCell>().is_err());
    }

    #[test]
    fn cheap_failure_is_a_collapse_only_where_success_is_worth_its_price() {
        let outcome = Outcome { small: 0.4, large: 0.8, policies: BTreeMap::new() };
        assert!(outcome.is_large_worth_its_price(0.3));
        assert!(!outcome.is_large_worth_its_price(0.4));
    }
}
