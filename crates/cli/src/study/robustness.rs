//! Trained routers in worlds that have changed: as they are, recalibrated, and trained again.

use std::fmt::Write as _;

use tollgate_inference::{Estimate, InferenceError, RunFigure};
use tollgate_routing::{Budget, Split};

use super::Comparison;
use super::comparison::{Figure, MAIN, less};
use super::page::{difference, figure};
use crate::failure::{OrBadInput, bad_input};
use crate::figures::Evaluations;

/// The best rival that needs no training.
const RIVAL: &str = "cascade";

/// The `lambda` that the routers run at.
const LAMBDA: f32 = 0.1;

const N_RESAMPLES: u32 = 1_000;
const CONFIDENCE: f64 = 0.95;

/// One world, and what its routers come to.
pub(crate) struct WorldFigures {
    label: String,
    /// Success of always-small and always-large, and the share of the one's cost in the other's.
    boundaries: [f64; 3],
    n_tasks: usize,
    n_runs: usize,
    area: Row,
    value: Row,
    tuned: Estimate,
    tuned_gain: Estimate,
    under_cap: Option<Row>,
    /// Success, and cost as a share of always-large's, of each router.
    points: Vec<[Estimate; 2]>,
}

/// One figure of the rival and of the routers.
struct Row {
    rival: Estimate,
    routers: Vec<Estimate>,
    recalibrated_less_kept: Estimate,
    retrained_less_recalibrated: Estimate,
}

impl WorldFigures {
    /// The figures of one world, from the evaluated episodes of the routers as they are, recalibrated, and trained again.
    pub(crate) fn new(label: &str, routers: [&Evaluations; 3]) -> anyhow::Result<Self> {
        let comparisons = routers
            .into_iter()
            .map(|evaluations| Comparison::new(evaluations, Split::Test, N_RESAMPLES, CONFIDENCE))
            .collect::<anyhow::Result<Vec<_>>>()?;
        if let Some(difference) = comparisons[1..].iter().find_map(|other| comparisons[0].unpaired(other)) {
            return Err(bad_input(format!(
                "{label}: one of the runs has {difference} as in the first\nhint: they have to be of the same world and of the same training seeds"
            )));
        }
        Self::compare(label, &comparisons).or_bad_input()
    }

    fn compare(label: &str, routers: &[Comparison]) -> Result<Self, InferenceError> {
        let kept = &routers[0];
        let row = |figure: Figure| Row::new(routers, figure);
        let (fixed, tuned) = (Figure::Objective(LAMBDA), Figure::ObjectiveTuned(LAMBDA));
        let recalibrated = &routers[1];
        let [fixed_runs, tuned_runs] = [figures(recalibrated, fixed, MAIN)?, figures(recalibrated, tuned, MAIN)?];
        let points = routers.iter().map(|router| {
            let of = |figure| router.estimate(&figures(router, figure, MAIN)?);
            Ok([of(Figure::Value(LAMBDA))?, of(Figure::CostShare(LAMBDA))?])
        });
        let boundary = |figure, family| Ok(kept.estimate(&figures(kept, figure, family)?)?.value);
        let usd_cap = kept.caps().into_iter().find(|cap| matches!(cap, Budget::Usd(_)));
        Ok(Self {
            label: label.to_owned(),
            boundaries: [
                boundary(Figure::Value(0.0), "always-small")?,
                boundary(Figure::Value(0.0), "always-large")?,
                boundary(Figure::CostShare(0.0), "always-small")?,
            ],
            n_tasks: kept.n_tasks(),
            n_runs: kept.n_runs(),
            area: row(Figure::Area)?,
            value: row(fixed)?,
            tuned: recalibrated.estimate(&tuned_runs)?,
            tuned_gain: recalibrated.estimate(&less(&tuned_runs, &fixed_runs))?,
            under_cap: usd_cap.map(|cap| row(Figure::UnderCap(cap))).transpose()?,
            points: points.collect::<Result<_, InferenceError>>()?,
        })
    }
}

impl Row {
    /// The runs of each router play the same tasks with the same luck, and are resampled alike, so that differences are paired.
    fn new(routers: &[Comparison], figure: Figure) -> Result<Self, InferenceError> {
        let runs: Vec<Vec<RunFigure>> =
            routers.iter().map(|router| figures(router, figure, MAIN)).collect::<Result<_, _>>()?;
        Ok(Self {
            rival: routers[0].estimate(&figures(&routers[0], figure, RIVAL)?)?,
            routers: routers.iter().zip(&runs).map(|(router, runs)| router.estimate(runs)).collect::<Result<_, _>>()?,
            recalibrated_less_kept: routers[0].estimate(&less(&runs[1], &runs[0]))?,
            retrained_less_recalibrated: routers[0].estimate(&less(&runs[2], &runs[1]))?,
        })
    }
}

fn figures(comparison: &Comparison, figure: Figure, family: &str) -> Result<Vec<RunFigure>, InferenceError> {
    comparison.per_run(figure, family)?.ok_or(InferenceError::NoEpisodes)
}

/// The document.
pub(crate) fn robustness_page(command: &str, hardware: &str, worlds: &[WorldFigures]) -> String {
    let mut page = format!(
        "# When the world changes\n\n\
         `{command}` makes this document. {n_runs} training runs, {n_tasks} test tasks; computed on {hardware}.\n\n\
         The household with simulated models, changed after training (`[experiment.shift]` in the configs that the study writes). In each \
         world: the cascade, the best rival that needs no training; BoPO trained in the plain world, *as it is*; the same *recalibrated* by \
         `tollgate recalibrate` on 400 logged episodes of always-small and always-large; and BoPO *trained again* in that world, with as \
         much training as the first. Costs are those of the changed world, as shares of always-large's there. Intervals are {confidence:.0} % over tasks and \
         training runs together; differences are paired by task, luck and training seed, **bold** where clear of 0.\n\n\
         Latency is not in the tables: no feature of the router reads it, and slower models change no step of an episode (test \
         `slower_models_change_nothing_but_the_time`).\n\n",
        n_runs = worlds.first().map_or(0, |world| world.n_runs),
        n_tasks = worlds.first().map_or(0, |world| world.n_tasks),
        confidence = 100.0 * CONFIDENCE,
    );
    page.push_str("## The worlds\n\n| world | always-small succeeds | always-large succeeds | small's cost / large's | test tasks |\n|---|---|---|---|---|\n");
    for world in worlds {
        let [small, large, cost] = world.boundaries;
        let _infallible =
            writeln!(page, "| {} | {small:.3} | {large:.3} | {cost:.2} | {} |", world.label, world.n_tasks);
    }
    page.push_str("\n## Frontier\n\n`frontier_area` over all weights of the cost.\n\n");
    rows(&mut page, worlds.iter().map(|world| (world, &world.area)));
    let _infallible = write!(
        page,
        "\n## At `lambda` {LAMBDA}\n\nSuccess, and cost as a share of always-large's.\n\n\
         | world | as it is: success | cost | recalibrated: success | cost | trained again: success | cost |\n|---|---|---|---|---|---|---|\n"
    );
    for world in worlds {
        let cells: Vec<String> = world.points.iter().flatten().map(|&estimate| figure(estimate)).collect();
        let _infallible = writeln!(page, "| {} | {} |", world.label, cells.join(" | "));
    }
    let _infallible = write!(
        page,
        "\n`J = V - {LAMBDA} (C - C_small) / (C_large - C_small)`: what is lost by whoever keeps that weight.\n\n"
    );
    rows(&mut page, worlds.iter().map(|world| (world, &world.value)));
    page.push_str("\nThe recalibrated router may be shown another weight than the one that its success and cost are judged by; the validation tasks of the changed world pick it.\n\n\
                   | world | J, weight picked again | less J at the weight as it was |\n|---|---|---|\n");
    for world in worlds {
        let _infallible =
            writeln!(page, "| {} | {} | {} |", world.label, figure(world.tuned), difference(world.tuned_gain));
    }
    if worlds.iter().all(|world| world.under_cap.is_some()) {
        page.push_str(
            "\n## Under a cap in dollars\n\nSuccess under a share of always-large's mean cost in the changed world: half, in configs/study/robustness.toml.\n\n",
        );
        rows(&mut page, worlds.iter().filter_map(|world| Some((world, world.under_cap.as_ref()?))));
    }
    page
}

fn rows<'a>(page: &mut String, rows: impl Iterator<Item = (&'a WorldFigures, &'a Row)>) {
    page.push_str("| world | cascade | as it is | recalibrated | trained again | recalibrated less as it is | trained again less recalibrated |\n|---|---|---|---|---|---|---|\n");
    for (world, row) in rows {
        let routers: Vec<String> = row.routers.iter().map(|&estimate| figure(estimate)).collect();
        let _infallible = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            world.label,
            figure(row.rival),
            routers.join(" | "),
            difference(row.recalibrated_less_kept),
            difference(row.retrained_less_recalibrated)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Played, evaluations};
    use super::*;

    #[test]
    fn runs_of_other_training_seeds_are_refused() {
        let [one, other] = [[1, 2], [1, 3]].map(|seeds| evaluations(&Played { tasks: &["a"], train_seeds: &seeds }));
        let error = WorldFigures::new("large x2", [&one, &one, &other]).err().unwrap().to_string();
        let expected = "large x2: one of the runs has training seeds [1, 3], expected [1, 2] as in the first\nhint: ";
        assert!(error.starts_with(expected), "{error}");
    }
}
