//! The episode loop, and the traits of everything that takes part in it.
//!
//! An [`Environment`] is the world, an [`Executor`] is the models that act in it, a [`RoutingPolicy`] chooses the model
//! of each step, and [`rollout`] plays one episode with the three. The router never talks to the environment and never
//! sees a reward. This crate implements no environment, no model and no budget.
//!
//! ```
//! use tollgate_rollout::{AlwaysSmall, RoutingPolicy, Verdict};
//! # use tollgate_routing::*;
//! # let prices = Prices::per_million_usd(0.4, 0.1, 0.4, 1.6)?;
//! # let pool = ModelPool::new(vec![Model::new("small", prices)?, Model::new("large", prices)?])?;
//! # let task = Task { id: TaskId::new("t"), environment: "e".into(), split: Split::Test, seed: 0, instruction: "".into(), horizon: 30, kind: None, group: None };
//! # let observation = Observation::from_text("You are in the kitchen.");
//! # let context = tollgate_rollout::RoutingContext { task: &task, turns: &[], observation: &observation, pool: &pool,
//! #     quotes: &[], budget: BudgetView::default(), allowed: pool.all() };
//! let verdict = AlwaysSmall.decide(&context)?;
//! assert!(matches!(verdict, Verdict::Call(decision) if decision.action == pool.small()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod always;
mod episode_loop;
mod failure;
mod seed;
mod traits;

pub use always::{AlwaysLarge, AlwaysSmall};
pub use episode_loop::{RolloutError, RolloutRequest, rollout};
pub use failure::reports_failure;
pub use seed::derive_seed;
pub use traits::{
    Arena, CallQuote, Completion, Decision, Environment, EnvironmentError, Executor, ExecutorError, Outcome,
    PolicyError, RoutingContext, RoutingPolicy, Situation, Transition, Verdict,
};
