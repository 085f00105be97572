//! Success against mean cost: the figure that tells whether a router is worth having.

use std::sync::Arc;

use tollgate_routing::Budget;

use super::bootstrap::{Estimate, Resamples};
use super::hull::Hull;
use super::outcomes::{Boundaries, Metric, OutcomeGroup};
use crate::InferenceError;

/// One operating point of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontierPoint {
    /// The policy, with its parameter.
    pub policy_id: Arc<str>,
    /// Weight of the cost, shown to the policy.
    pub lambda: f32,
    /// The hard limit.
    pub budget: Budget,
    /// Mean cost of an episode in dollars.
    pub mean_cost_usd: Estimate,
    /// What an episode is worth on average by the objective, 0 to 1.
    pub value: Estimate,
    /// Whether it is a vertex of the family's hull.
    pub is_on_hull: bool,
}

/// A family's frontier over its operating points. The boundary policies' points and the origin belong to every family's
/// hull: whoever has a router may also always call small, always call large, or do nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Frontier {
    /// The family.
    pub family: Arc<str>,
    /// The family's own points, in the order given.
    pub points: Vec<FrontierPoint>,
    /// The hull on all tasks; costs in dollars.
    pub hull: Hull,
    /// The area under the hull from 0 to always-large's mean cost, divided by always-large's success times that cost: 1 is
    /// always-large's success for nothing.
    pub area: Estimate,
    /// [`Self::gap_recovered`] at tenths of always-large's mean cost, from 0.1 to 1.
    pub gap_recovered: Vec<(f64, Estimate)>,
    small_success: f64,
    large_success: f64,
}

impl Frontier {
    /// The share of the gap between small's success and large's that is recovered at a mean cost of `cost` dollars:
    /// 0 at always-small's success, 1 at always-large's. Not a number where both succeed equally often.
    #[must_use]
    pub fn gap_recovered(&self, cost: f64) -> f64 {
        gap_recovered(&self.hull, cost, self.small_success, self.large_success)
    }
}

/// The frontier of the policies in `groups`.
///
/// The hull picks the best points on the very tasks that it is measured on, so areas lean upwards, the more so the more
/// points a family has: compare families of similar numbers of points, and by [`frontier_area_difference`].
///
/// # Errors
/// [`InferenceError::ResampledTasks`] when the resamples are not of their tasks.
pub fn frontier(
    family: &str,
    groups: &[&OutcomeGroup],
    boundaries: &Boundaries<'_>,
    resamples: &Resamples,
) -> Result<Frontier, InferenceError> {
    let sampled = SampledFamily::new(groups, boundaries, resamples)?;
    let hull = sampled.on_all_tasks.hull();
    let points = groups.iter().map(|group| frontier_point(group, &hull, resamples)).collect();
    let gap_recovered = (1..=10)
        .map(|tenths| {
            let share = f64::from(tenths) / 10.0;
            (share, sampled.estimate(resamples, |family| family.gap_recovered(share)))
        })
        .collect();
    Ok(Frontier {
        family: family.into(),
        points,
        area: sampled.estimate(resamples, PlacedFamily::area),
        gap_recovered,
        small_success: boundaries.small().mean(Metric::Value),
        large_success: boundaries.large().mean(Metric::Value),
        hull,
    })
}

/// How much more frontier area the first family has than the second, with both resampled on the same tasks.
///
/// # Errors
/// [`InferenceError::ResampledTasks`] when the resamples are not of their tasks.
pub fn frontier_area_difference(
    first: &[&OutcomeGroup],
    second: &[&OutcomeGroup],
    boundaries: &Boundaries<'_>,
    resamples: &Resamples,
) -> Result<Estimate, InferenceError> {
    let first = SampledFamily::new(first, boundaries, resamples)?;
    let second = SampledFamily::new(second, boundaries, resamples)?;
    let differences =
        first.in_each.iter().zip(&second.in_each).map(|(first, second)| first.area() - second.area()).collect();
    Ok(resamples.estimate(first.on_all_tasks.area() - second.on_all_tasks.area(), differences))
}

fn frontier_point(group: &OutcomeGroup, hull: &Hull, resamples: &Resamples) -> FrontierPoint {
    let mean_cost_usd = resamples.mean(group.per_task(Metric::CostUsd));
    let value = resamples.mean(group.per_task(Metric::Value));
    let place = (mean_cost_usd.value, value.value);
    FrontierPoint {
        policy_id: group.policy_id.clone(),
        lambda: group.lambda,
        budget: group.budget,
        mean_cost_usd,
        value,
        is_on_hull: hull.vertices().contains(&place),
    }
}

fn gap_recovered(hull: &Hull, cost: f64, small_success: f64, large_success: f64) -> f64 {
    (hull.success_at(cost) - small_success) / (large_success - small_success)
}

/// A family's points on one draw of the tasks, as (mean cost in dollars, success).
struct PlacedFamily {
    small: (f64, f64),
    large: (f64, f64),
    own: Vec<(f64, f64)>,
}

impl PlacedFamily {
    fn hull(&self) -> Hull {
        Hull::new(self.own.iter().copied().chain([self.small, self.large]))
    }

    fn area(&self) -> f64 {
        let (large_cost, large_success) = self.large;
        self.hull().area(large_cost) / (large_cost * large_success)
    }

    /// At a share of always-large's mean cost.
    fn gap_recovered(&self, share: f64) -> f64 {
        gap_recovered(&self.hull(), share * self.large.0, self.small.1, self.large.1)
    }
}

/// A family's points on all tasks and in each resample.
pub(crate) struct SampledFamily {
    on_all_tasks: PlacedFamily,
    in_each: Vec<PlacedFamily>,
}

impl SampledFamily {
    pub(crate) fn new(
        groups: &[&OutcomeGroup],
        boundaries: &Boundaries<'_>,
        resamples: &Resamples,
    ) -> Result<Self, InferenceError> {
        let place = |group: &OutcomeGroup| (group.mean(Metric::CostUsd), group.mean(Metric::Value));
        let places_of = |group: &OutcomeGroup| -> Result<Vec<(f64, f64)>, InferenceError> {
            group.check(resamples)?;
            let costs = resamples.means(group.per_task(Metric::CostUsd));
            Ok(costs.into_iter().zip(resamples.means(group.per_task(Metric::Value))).collect())
        };
        let on_all_tasks = PlacedFamily {
            small: place(boundaries.small()),
            large: place(boundaries.large()),
            own: groups.iter().map(|group| place(group)).collect(),
        };
        let small = places_of(boundaries.small())?;
        let large = places_of(boundaries.large())?;
        let own: Vec<Vec<(f64, f64)>> = groups.iter().map(|group| places_of(group)).collect::<Result<_, _>>()?;
        let in_each = (0..small.len())
            .map(|resample| PlacedFamily {
                small: small[resample],
                large: large[resample],
                own: own.iter().map(|places| places[resample]).collect(),
            })
            .collect();
        Ok(Self { on_all_tasks, in_each })
    }

    /// The area on all tasks and in each resample.
    pub(crate) fn areas(&self) -> (f64, Vec<f64>) {
        (self.on_all_tasks.area(), self.in_each.iter().map(PlacedFamily::area).collect())
    }

    fn estimate(&self, resamples: &Resamples, figure: impl Fn(&PlacedFamily) -> f64) -> Estimate {
        resamples.estimate(figure(&self.on_all_tasks), self.in_each.iter().map(figure).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_outcomes::table;
    use super::*;
    use crate::OutcomeTable;

    /// Small solves 2 of 5 for $1, large 4 of 5 for $10.
    const SMALL: &[(bool, u64)] = &[(true, 1), (true, 1), (false, 1), (false, 1), (false, 1)];
    const LARGE: &[(bool, u64)] = &[(true, 10), (true, 10), (true, 10), (true, 10), (false, 10)];
    /// Solves 4 of 5 for $4.
    const ROUTED: &[(bool, u64)] = &[(true, 1), (true, 1), (true, 8), (true, 8), (false, 2)];

    fn outcomes() -> OutcomeTable {
        table(&[("always-small", 0.0, SMALL), ("always-large", 0.0, LARGE), ("bopo", 0.3, ROUTED)])
    }

    fn resamples() -> Resamples {
        Resamples::draw(5, 500, 0.95, 1).unwrap()
    }

    #[test]
    fn the_area_is_the_one_computed_by_hand() {
        let table = outcomes();
        let boundaries = table.boundaries().unwrap();
        // Boundaries alone: 1 * 0.4 / 2 + 9 * (0.4 + 0.8) / 2 = 5.6, of 10 * 0.8.
        let alone = frontier("none", &[], &boundaries, &resamples()).unwrap();
        assert!((alone.area.value - 0.7).abs() < 1e-12);
        // With (4, 0.8): 0.2 + 3 * 0.6 + 6 * 0.8 = 6.8, of 8.
        let routed = frontier("bopo", &table.family("bopo"), &boundaries, &resamples()).unwrap();
        assert!((routed.area.value - 0.85).abs() < 1e-12);
        assert!(routed.area.low <= 0.85 && routed.area.high >= 0.85);
        assert!(routed.points[0].is_on_hull);
        assert_eq!(routed.hull.vertices().len(), 3);
    }

    #[test]
    fn the_gap_is_recovered_along_the_hull() {
        let table = outcomes();
        let routed = frontier("bopo", &table.family("bopo"), &table.boundaries().unwrap(), &resamples()).unwrap();
        for (cost, share) in [(0.0, -1.0), (1.0, 0.0), (2.5, 0.5), (4.0, 1.0), (10.0, 1.0)] {
            assert!((routed.gap_recovered(cost) - share).abs() < 1e-9, "{}", routed.gap_recovered(cost));
        }
        let (share, at_a_quarter) = routed.gap_recovered[1];
        assert!((share - 0.2).abs() < 1e-12 && (at_a_quarter.value - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_better_family_has_more_area_in_every_resample() {
        let table = outcomes();
        let boundaries = table.boundaries().unwrap();
        let difference = frontier_area_difference(&table.family("bopo"), &[], &boundaries, &resamples()).unwrap();
        assert!((difference.value - 0.15).abs() < 1e-12 && difference.low >= 0.0, "{difference:?}");
        let same =
            frontier_area_difference(&table.family("bopo"), &table.family("bopo"), &boundaries, &resamples()).unwrap();
        assert_eq!(same, Estimate { value: 0.0, low: 0.0, high: 0.0 });
    }

    #[test]
    fn a_small_model_dearer_than_large_does_not_break_the_hull() {
        let inverted = table(&[("always-small", 0.0, LARGE), ("always-large", 0.0, SMALL)]);
        let frontier = frontier("none", &[], &inverted.boundaries().unwrap(), &resamples()).unwrap();
        // The axis ends at $1, large's success there: the triangle under the line from the origin.
        assert!((frontier.area.value - 0.5).abs() < 1e-12);
    }
}
