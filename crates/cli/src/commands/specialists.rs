//! `tollgate specialists`: finished runs of one policy for all budgets, and of one for each, as one document.

use std::path::PathBuf;
use std::str::FromStr;

use tollgate_routing::Objective;

use crate::args::SpecialistsArgs;
use crate::failure::bad_input;
use crate::figures::Evaluations;
use crate::study::{self, Point, SuiteFigures, specialists_page};

/// A finished run, and what its policy was trained for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TrainedFor {
    suite: String,
    /// `None`: all of them.
    point: Option<Point>,
    run_dir: PathBuf,
}

impl FromStr for TrainedFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let mut parts = text.splitn(3, ':');
            let (suite, point, run_dir) = (parts.next()?, parts.next()?, parts.next()?);
            let point = match point.split_once('=') {
                None if point == "all" => None,
                Some(("lambda", lambda)) => Some(Point::Lambda(lambda.parse().ok()?)),
                Some(("calls", calls)) => Some(Point::LargeCalls(calls.parse().ok()?)),
                _ => return None,
            };
            Some(Self { suite: suite.to_owned(), point, run_dir: run_dir.into() })
        };
        parts().ok_or_else(|| {
            "expected SUITE:POINT:RUN_DIR with POINT `all`, `lambda=L` or `calls=N`, such as household:lambda=0.3:runs/a"
                .to_owned()
        })
    }
}

/// Runs the command.
pub(crate) fn run(args: &SpecialistsArgs) -> anyhow::Result<()> {
    let mut suites: Vec<&str> = Vec::new();
    for run in &args.runs {
        if !suites.contains(&run.suite.as_str()) {
            suites.push(&run.suite);
        }
    }
    let figures = suites.into_iter().map(|suite| figures(suite, &args.runs)).collect::<anyhow::Result<Vec<_>>>()?;
    study::write(&args.out, &specialists_page(&args.command, &study::hardware(), &figures))
}

fn figures(suite: &str, runs: &[TrainedFor]) -> anyhow::Result<SuiteFigures> {
    let of_suite = || runs.iter().filter(|run| run.suite == suite);
    let Some(for_all) = of_suite().find(|run| run.point.is_none()) else {
        return Err(bad_input(format!("{suite}: no run of the policy for all points, expected --run {suite}:all:DIR")));
    };
    let mut specialists = Vec::new();
    for run in of_suite() {
        if let Some(point) = run.point {
            specialists.push((point, read(run)?));
        }
    }
    if specialists.is_empty() {
        return Err(bad_input(format!(
            "{suite}: no run of a policy for one point, expected at least one, such as --run {suite}:lambda=0.3:DIR"
        )));
    }
    SuiteFigures::new(suite, &read(for_all)?, &specialists)
}

fn read(run: &TrainedFor) -> anyhow::Result<Evaluations> {
    Evaluations::read_without_violation(&Evaluations::path_in(&run.run_dir), Objective::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_names_its_suite_and_what_it_was_trained_for() {
        let run = |point| TrainedFor { suite: "household".into(), point, run_dir: "runs/a:b".into() };
        assert_eq!("household:all:runs/a:b".parse(), Ok(run(None)));
        assert_eq!("household:lambda=0.3:runs/a:b".parse(), Ok(run(Some(Point::Lambda(0.3)))));
        assert_eq!("household:calls=5:runs/a:b".parse(), Ok(run(Some(Point::LargeCalls(5)))));
        assert!(
            "household:some:runs/a".parse::<TrainedFor>().is_err() && "household:all".parse::<TrainedFor>().is_err()
        );
    }
}
