//! Outcomes to figures with intervals.

mod bootstrap;
mod frontier;
mod hull;
mod operating_point;
mod outcomes;
mod runs;
mod summary;
#[cfg(test)]
mod test_outcomes;

pub use bootstrap::{Estimate, Resamples};
pub use frontier::{Frontier, FrontierPoint, frontier, frontier_area_difference};
pub use hull::Hull;
pub use operating_point::{
    OperatingPoint, OperatingPointRule, RelativeToLarge, choose_operating_point, choose_within_cost, relative_to_large,
};
pub use outcomes::{Boundaries, Metric, OutcomeGroup, OutcomeTable};
pub use runs::{RunFigure, RunResamples};
pub use summary::{Summary, paired_difference, summarize};
