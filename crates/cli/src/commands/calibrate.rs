//! `tollgate calibrate`: whether the simulated models behave as real logs do.

use serde::Serialize;
use tollgate_contract::TaskRow;
use tollgate_environment::calibration::{CalibrationFact, calibrate};
use tollgate_routing::{Split, Task};

use crate::arena::open_household;
use crate::args::CalibrateArgs;
use crate::artifact;
use crate::config::{ConfigFile, Suite};
use crate::failure::bad_input;
use crate::output;

/// Episodes of each boundary policy on each task.
const N_TRIALS: u32 = 5;

/// One measured fact, for programs.
#[derive(Debug, Serialize)]
struct Fact<'a> {
    name: &'a str,
    source: &'a str,
    target_low: f64,
    target_high: f64,
    measured: f64,
    is_met: bool,
}

/// Runs the command.
pub(crate) fn run(args: &CalibrateArgs) -> anyhow::Result<()> {
    let experiment = ConfigFile::open(&args.config)?.experiment;
    if experiment.suite != Suite::Household {
        return Err(bad_input(format!(
            "suite is `{}`, expected `household`\nhint: only the household has simulated models to calibrate",
            experiment.suite.as_str()
        )));
    }
    let tasks: Vec<TaskRow> = artifact::read_rows(&experiment.tasks)?;
    let train: Vec<Task> = tasks.into_iter().filter(|task| task.split == Split::Train).collect();
    let facts = calibrate(&open_household(&experiment)?, &train, N_TRIALS, experiment.seed)?;
    if args.json {
        output::print_json(&facts.iter().map(fact).collect::<Vec<_>>())?;
    } else {
        print_table(&facts)?;
    }
    match facts.iter().filter(|fact| !fact.is_met()).count() {
        0 => Ok(()),
        n => Err(anyhow::anyhow!(
            "{n} of {} facts are not met\nhint: the profiles of the simulated models need tuning",
            facts.len()
        )),
    }
}

fn fact(fact: &CalibrationFact) -> Fact<'_> {
    Fact {
        name: fact.name,
        source: fact.source,
        target_low: *fact.target.start(),
        target_high: *fact.target.end(),
        measured: fact.measured,
        is_met: fact.is_met(),
    }
}

fn print_table(facts: &[CalibrationFact]) -> anyhow::Result<()> {
    let mut table = output::table(["fact", "target", "measured", "met", "source"]);
    for fact in facts {
        table.add_row([
            fact.name.to_owned(),
            range(*fact.target.start(), *fact.target.end()),
            format!("{:.3}", fact.measured),
            if fact.is_met() { "yes" } else { "NO" }.to_owned(),
            fact.source.to_owned(),
        ]);
    }
    output::print_table(&table)
}

/// One-sided targets have an end that is out of reach.
fn range(low: f64, high: f64) -> String {
    const OUT_OF_REACH: f64 = 1e6;
    match (low.abs() < OUT_OF_REACH, high.abs() < OUT_OF_REACH) {
        (true, true) => format!("{low} to {high}"),
        (true, false) => format!("at least {low}"),
        (false, true) => format!("at most {high}"),
        (false, false) => "any".to_owned(),
    }
}
