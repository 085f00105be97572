//! What is possible on skill-chain, exactly: the optimum of a router that knows the hidden state.

use serde::Serialize;
use tollgate_environment::skill_chain::{CostScale, CostWeighting, ReferencePoint, References};
use tollgate_inference::{Cell, Hull};
use tollgate_routing::{Budget, Task};

use crate::failure::OrBadInput;

/// The privileged optimum on the test tasks, and the boundary policies in expectation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Optimum {
    /// Always-small, in expectation.
    pub(crate) always_small: OptimumPoint,
    /// Always-large, in expectation.
    pub(crate) always_large: OptimumPoint,
    /// The optimum at every weight and cap on calls that was evaluated, cost weighed on the mean scale of the tasks: the
    /// points of the privileged frontier.
    pub(crate) privileged: Vec<OptimumPoint>,
    /// The same with cost weighed on each task's own scale: the best `objective`.
    pub(crate) privileged_per_task: Vec<OptimumPoint>,
    /// The area under the privileged frontier, on the scale of `frontier_area`.
    pub(crate) privileged_frontier_area: f64,
    /// Corners of the privileged frontier: mean cost in dollars, success.
    #[serde(skip)]
    pub(crate) hull: Vec<(f64, f64)>,
    /// Each task's own scale of the cost, in the order of the tasks.
    #[serde(skip)]
    pub(crate) scales: Vec<CostScale>,
}

/// Expectations at one operating point.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct OptimumPoint {
    lambda: Option<f64>,
    large_calls_cap: Option<u32>,
    success_rate: f64,
    mean_cost_usd: f64,
    mean_large_calls: f64,
    /// Mean of `success - lambda (C - C_small) / (C_large - C_small)`, each task on its own scale.
    objective: Option<f64>,
}

impl Optimum {
    /// The optimum on `tasks` for the operating points of `cells`.
    pub(crate) fn new(tasks: &[Task], cells: &[Cell]) -> anyhow::Result<Self> {
        let references = References::new(tasks).or_bad_input()?;
        let points = operating_points(cells);
        let optimal = |weighting: CostWeighting| -> Vec<OptimumPoint> {
            let point =
                |&(lambda, cap)| optimum_point(references.privileged(weighting, lambda, cap), Some(lambda), cap);
            points.iter().map(point).collect()
        };
        let privileged = optimal(CostWeighting::Overall);
        let [small, large] = [references.always_small(), references.always_large()];
        let places = [small, large].into_iter().map(place);
        let hull = Hull::new(places.chain(privileged.iter().map(|point| (point.mean_cost_usd, point.success_rate))));
        let (large_cost, large_success) = place(large);
        Ok(Self {
            always_small: optimum_point(small, None, None),
            always_large: optimum_point(large, None, None),
            privileged_per_task: optimal(CostWeighting::PerTask),
            privileged_frontier_area: hull.area(large_cost) / (large_cost * large_success),
            hull: hull.vertices().to_vec(),
            scales: references.scales().to_vec(),
            privileged,
        })
    }
}

/// The weights and caps on calls that trained policies were evaluated at, each once, in order.
fn operating_points(cells: &[Cell]) -> Vec<(f64, Option<u32>)> {
    let mut points: Vec<(f64, Option<u32>)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.train_seed.is_some()) {
        let cap = match cell.budget {
            Budget::Unlimited => None,
            Budget::LargeCalls(cap) => Some(cap),
            Budget::Usd(_) => continue,
        };
        let point = (f64::from(cell.lambda), cap);
        if !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

fn place(point: ReferencePoint) -> (f64, f64) {
    (point.mean_cost_nano_usd * 1e-9, point.success_rate)
}

fn optimum_point(point: ReferencePoint, lambda: Option<f64>, large_calls_cap: Option<u32>) -> OptimumPoint {
    OptimumPoint {
        lambda,
        large_calls_cap,
        success_rate: point.success_rate,
        mean_cost_usd: point.mean_cost_nano_usd * 1e-9,
        mean_large_calls: point.mean_large_calls,
        objective: lambda.map(|lambda| point.objective(lambda)),
    }
}
