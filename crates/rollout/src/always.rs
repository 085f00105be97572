//! The two boundary policies.

use tollgate_routing::{ModelIndex, Task};

use crate::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict};

/// The boundary policy that calls the small model at every step.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlwaysSmall;

/// The boundary policy that calls the large model at every step, or the dearest one that fits.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlwaysLarge;

impl RoutingPolicy for AlwaysSmall {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        Ok(call_nearest(context, context.pool.small()))
    }
}

impl RoutingPolicy for AlwaysLarge {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        Ok(call_nearest(context, context.pool.large()))
    }
}

fn call_nearest(context: &RoutingContext<'_>, wanted: ModelIndex) -> Verdict {
    Verdict::Call(Decision::certain(context.allowed.nearest(wanted).unwrap_or(wanted)))
}
