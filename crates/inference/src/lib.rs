//! Any policy made to obey a strict budget; the baselines; evaluation, its statistics and the frontier.
//!
//! This crate trains nothing, reads no file and draws no plot. Money is checked before a call and settled after it, so no
//! policy can spend above a budget once it is wrapped.
//!
//! ```
//! use tollgate_inference::BudgetConstrained;
//! use tollgate_rollout::{AlwaysLarge, RoutingPolicy, Verdict};
//! # use tollgate_routing::*;
//! # let prices = Prices::per_million_usd(0.4, 0.1, 0.4, 1.6)?;
//! # let pool = ModelPool::new(vec![Model::new("small", prices)?, Model::new("large", prices)?])?;
//! # let task = Task { id: TaskId::new("t"), environment: "e".into(), split: Split::Test, seed: 0, instruction: "".into(), horizon: 30, kind: None, group: None };
//! # let observation = Observation::from_text("You are in the kitchen.");
//! # let context = tollgate_rollout::RoutingContext { task: &task, turns: &[], observation: &observation, pool: &pool,
//! #     quotes: &[], budget: BudgetView::default(), allowed: pool.all() };
//!
//! let mut policy = BudgetConstrained::new(AlwaysLarge, Budget::LargeCalls(1), 0.3);
//! policy.begin(&task, 7);
//! let first = policy.decide(&context)?;
//! let second = policy.decide(&context)?;
//! assert!(matches!(first, Verdict::Call(decision) if decision.action == pool.large()));
//! assert!(matches!(second, Verdict::Call(decision) if decision.action == pool.small()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod baselines;
mod constrained;
mod error;
mod evaluation;
mod oracle;
mod statistics;
#[cfg(test)]
mod test_arena;

pub use baselines::{Cascade, CascadeConfig, DecideOnce, RandomMixing, Scripted, first_k_large};
pub use constrained::BudgetConstrained;
pub use error::InferenceError;
pub use evaluation::{
    Cell, EpisodeOutcome, EvaluatedEpisode, EvaluationPlan, PolicyFactory, Progress, episode_seed, evaluate, family_of,
};
pub use oracle::{Oracle, OracleScale};
pub use statistics::{
    Boundaries, Estimate, Frontier, FrontierPoint, Hull, Metric, OperatingPoint, OperatingPointRule, OutcomeGroup,
    OutcomeTable, RelativeToLarge, Resamples, RunFigure, RunResamples, Summary, choose_operating_point,
    choose_within_cost, frontier, frontier_area_difference, paired_difference, relative_to_large, summarize,
};
