//! One policy for all budgets against a policy of its own for each: pipeline runs trained at all operating points, and at one.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use toml::{Table, Value};

use super::{Study, Suite, set};
use crate::pipeline::Slot;

/// Where the one policy is compared, and iterations of every training: fewer than in the suites' own studies, and as many for the one
/// policy as for each of the others.
const SUITES: [(Suite, i64); 2] = [(Suite::SkillChain, 600), (Suite::Household, 720)];
/// Weights of the cost, without a cap.
const LAMBDAS: [f64; 5] = [0.05, 0.1, 0.3, 0.6, 1.0];
/// Caps on large calls, under which cost is free.
const CAPS: [i64; 4] = [2, 5, 10, 15];

/// What the policy of a run is trained for.
#[derive(Clone, Copy)]
enum TrainedFor {
    All,
    Lambda(f64),
    LargeCalls(i64),
}

impl TrainedFor {
    /// As the runs' directories and `tollgate specialists` name it.
    fn name(self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Lambda(lambda) => format!("lambda={lambda}"),
            Self::LargeCalls(calls) => format!("calls={calls}"),
        }
    }
}

/// Runs every training and writes the document.
///
/// # Errors
/// As [`super::run`].
pub(super) fn run(study: &Study<'_>) -> Result<ExitCode> {
    let mut runs: Vec<OsString> = Vec::new();
    let points = [TrainedFor::All].into_iter();
    let points = points.chain(LAMBDAS.map(TrainedFor::Lambda)).chain(CAPS.map(TrainedFor::LargeCalls));
    for (suite, iterations) in SUITES {
        let mut settings = suite.settings()?;
        set(&mut settings, &["optimize", "bopo", "iterations"], iterations.into())?;
        for point in points.clone() {
            let name = format!("{}/{}", suite.name(), point.name());
            let config = study.write_config(&name, trained_for(settings.clone(), point)?)?;
            let run_dir = study.runs.join(&name);
            let code = study.pipeline(&config, &run_dir, Slot::Evaluate)?;
            if code != ExitCode::SUCCESS {
                return Ok(code);
            }
            runs.push("--run".into());
            runs.push(format!("{}:{}:{}", suite.name(), point.name(), run_dir.display()).into());
        }
    }
    study.write_document("specialists", runs.iter().map(OsString::as_os_str))?;
    Ok(ExitCode::SUCCESS)
}

/// The settings of a run that trains BoPO for `point`, and plays it there.
fn trained_for(mut settings: Table, point: TrainedFor) -> Result<Table> {
    set(&mut settings, &["optimize", "variants"], vec![Value::from("bopo")].into())?;
    let (lambdas, caps) = match point {
        TrainedFor::All => (LAMBDAS.to_vec(), CAPS.to_vec()),
        TrainedFor::Lambda(lambda) => (vec![lambda], Vec::new()),
        // A run plays at one weight at least.
        TrainedFor::LargeCalls(calls) => (vec![0.0], vec![calls]),
    };
    let values = |lambdas: Vec<f64>| Value::from(lambdas.into_iter().map(Value::from).collect::<Vec<_>>());
    set(&mut settings, &["evaluate", "lambdas"], values(lambdas))?;
    set(&mut settings, &["evaluate", "large_call_caps"], caps.into())?;
    for key in ["usd_cap_shares", "random_p_large", "cascade_failures", "cascade_steps"] {
        set(&mut settings, &["evaluate", key], Vec::<Value>::new().into())?;
    }
    set(&mut settings, &["evaluate", "oracle"], false.into())?;
    let narrowed: &[(&str, Value)] = match point {
        TrainedFor::All => &[],
        TrainedFor::Lambda(lambda) => &[
            ("lambda_low", lambda.into()),
            ("lambda_high", lambda.into()),
            ("large_calls_share", 0.0.into()),
            ("usd_share", 0.0.into()),
            ("free_without_cap", 0.0.into()),
        ],
        TrainedFor::LargeCalls(calls) => &[
            ("large_calls_share", 1.0.into()),
            ("usd_share", 0.0.into()),
            ("min_large_calls", calls.into()),
            ("max_large_calls", calls.into()),
            ("free_within_cap", 1.0.into()),
        ],
    };
    for (key, value) in narrowed {
        set(&mut settings, &["optimize", "bopo", "conditions", key], value.clone())?;
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(point: TrainedFor, expected: &str) {
        let settings = toml::from_str("[optimize.bopo.conditions]\nlambda_low = 0.01").unwrap();
        let settings = trained_for(settings, point).unwrap();
        let expected: Table = toml::from_str(expected).unwrap();
        assert_eq!(settings["optimize"]["bopo"]["conditions"], expected.into());
    }

    #[test]
    fn a_specialist_is_trained_at_its_own_point_alone() {
        check(TrainedFor::All, "lambda_low = 0.01\n");
        check(
            TrainedFor::Lambda(0.3),
            "lambda_low = 0.3\nlambda_high = 0.3\nlarge_calls_share = 0.0\nusd_share = 0.0\nfree_without_cap = 0.0\n",
        );
        check(
            TrainedFor::LargeCalls(5),
            "lambda_low = 0.01\nlarge_calls_share = 1.0\nusd_share = 0.0\nmin_large_calls = 5\nmax_large_calls = 5\nfree_within_cap = 1.0\n",
        );
    }
}
