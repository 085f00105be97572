//! One policy for all budgets against a policy of its own for each.

use std::fmt::Write as _;

use tollgate_inference::{Estimate, InferenceError, RunFigure};
use tollgate_routing::{Budget, Split};

use super::Comparison;
use super::comparison::{Figure, MAIN, less};
use super::page::{cap_heading, difference, figure};
use crate::failure::{OrBadInput, bad_input};
use crate::figures::Evaluations;

const N_RESAMPLES: u32 = 1_000;
const CONFIDENCE: f64 = 0.95;

/// One operating point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Point {
    /// A weight of the cost, without a cap.
    Lambda(f32),
    /// A cap on large calls, under which cost is free.
    LargeCalls(u32),
}

impl Point {
    const fn figure(self) -> Figure {
        match self {
            Self::Lambda(lambda) => Figure::Objective(lambda),
            Self::LargeCalls(calls) => Figure::UnderCap(Budget::LargeCalls(calls)),
        }
    }

    fn heading(self) -> String {
        match self {
            Self::Lambda(lambda) => format!("λ {lambda}"),
            Self::LargeCalls(calls) => cap_heading(&Budget::LargeCalls(calls)),
        }
    }
}

/// The policies of one suite.
pub(crate) struct SuiteFigures {
    suite: String,
    n_tasks: usize,
    n_runs: usize,
    rows: Vec<Row>,
    mean_lead: Estimate,
}

struct Row {
    point: Point,
    conditioned: Estimate,
    specialist: Estimate,
    lead: Estimate,
}

impl SuiteFigures {
    /// The figures of one suite: the episodes of the policy that was trained for all points, and those of the policies trained for
    /// one each.
    pub(crate) fn new(
        suite: &str,
        conditioned: &Evaluations,
        specialists: &[(Point, Evaluations)],
    ) -> anyhow::Result<Self> {
        let compare = |evaluations| Comparison::new(evaluations, Split::Test, N_RESAMPLES, CONFIDENCE);
        let conditioned = compare(conditioned)?;
        let mut rows = Vec::new();
        let mut leads: Vec<Vec<RunFigure>> = Vec::new();
        for (point, evaluations) in specialists {
            let specialist = compare(evaluations)?;
            if let Some(difference) = conditioned.unpaired(&specialist) {
                return Err(bad_input(format!(
                    "{suite}, {}: {difference} as of the policy for all points\nhint: the runs have to be of the same tasks and of the same training seeds",
                    point.heading()
                )));
            }
            let figures = [&conditioned, &specialist].map(|policies| per_run(policies, *point));
            let [ours, its] = figures.map(OrBadInput::or_bad_input);
            let (ours, its) = (ours?, its?);
            let lead = less(&ours, &its);
            rows.push(Row {
                point: *point,
                conditioned: conditioned.estimate(&ours).or_bad_input()?,
                specialist: conditioned.estimate(&its).or_bad_input()?,
                lead: conditioned.estimate(&lead).or_bad_input()?,
            });
            leads.push(lead);
        }
        let mean_lead = conditioned.estimate(&mean(leads)).or_bad_input()?;
        let (n_tasks, n_runs) = (conditioned.n_tasks(), conditioned.n_runs());
        Ok(Self { suite: suite.to_owned(), n_tasks, n_runs, rows, mean_lead })
    }
}

/// The mean over several figures of each run.
fn mean(figures: Vec<Vec<RunFigure>>) -> Vec<RunFigure> {
    let n_figures = figures.len() as f64;
    let add = |sums: Vec<RunFigure>, figures: Vec<RunFigure>| -> Vec<RunFigure> {
        sums.iter().zip(&figures).map(|(sum, figure)| sum.with(figure, |sum, figure| sum + figure)).collect()
    };
    let totals = figures.into_iter().reduce(add).unwrap_or_default();
    totals.iter().map(|total| total.with(total, |total, _| total / n_figures)).collect()
}

/// The runs of two policies play the same tasks with the same luck, and are resampled alike, so that differences are paired.
fn per_run(policies: &Comparison, point: Point) -> Result<Vec<RunFigure>, InferenceError> {
    policies.per_run(point.figure(), MAIN)?.ok_or(InferenceError::NoEpisodes)
}

/// The document.
pub(crate) fn specialists_page(command: &str, hardware: &str, suites: &[SuiteFigures]) -> String {
    let mut page = format!(
        "# One policy for all budgets\n\n\
         `{command}` makes this document; computed on {hardware}.\n\n\
         BoPO trained once for all weights of the cost and all caps, against BoPO trained with as many episodes for exactly one of them: all \
         of its episodes at that weight, or all under that cap with cost free. At a weight `λ` the figure is `J = V - λ (C - C_small) / (C_large - C_small)` \
         without a cap, under a cap it is success. Intervals are {confidence:.0} % over tasks and training runs together; differences are paired by task, \
         luck and training seed, above 0 where the one policy is better, **bold** where clear of 0.\n",
        confidence = 100.0 * CONFIDENCE,
    );
    for suite in suites {
        let _infallible = write!(
            page,
            "\n## {}\n\n{} training runs of each, {} test tasks.\n\n\
             | trained for | the one policy | its own policy | the one less its own |\n|---|---|---|---|\n",
            suite.suite, suite.n_runs, suite.n_tasks
        );
        for row in &suite.rows {
            let [ours, its] = [row.conditioned, row.specialist].map(figure);
            let _infallible = writeln!(page, "| {} | {ours} | {its} | {} |", row.point.heading(), difference(row.lead));
        }
        let _infallible = writeln!(page, "| mean | | | {} |", difference(suite.mean_lead));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Played, evaluations};
    use super::*;

    #[test]
    fn a_policy_that_played_other_tasks_is_refused() {
        let [all, other] =
            [["a", "b"], ["a", "c"]].map(|tasks| evaluations(&Played { tasks: &tasks, train_seeds: &[1] }));
        let specialists = [(Point::LargeCalls(5), other)];
        let error = SuiteFigures::new("household", &all, &specialists).err().unwrap().to_string();
        let expected = "no episode of task `b`, expected the same 2 tasks as of the policy for all points\nhint: ";
        assert!(error.starts_with("household, 5 calls: ") && error.contains(expected), "{error}");
    }
}
