//! The nouns of budget-aware routing: tasks, models and their prices, money, steps, episodes.
//!
//! This crate computes no policy, performs no I/O and knows no file format: everything above it agrees on these types
//! and on nothing else.
//!
//! ```
//! use tollgate_routing::{Model, ModelPool, NanoUsd, Prices, TokenUsage};
//!
//! let small = Model::new("gpt-4.1-mini", Prices::per_million_usd(0.40, 0.10, 0.40, 1.60)?)?;
//! let large = Model::new("gpt-4.1", Prices::per_million_usd(2.00, 0.50, 2.00, 8.00)?)?;
//! let pool = ModelPool::new(vec![small, large])?;
//!
//! let usage = TokenUsage { input_tokens: 1_000, output_tokens: 50, ..TokenUsage::default() };
//! assert_eq!(pool.model(pool.large()).prices.cost(&usage), NanoUsd::new(2_400_000));
//! # Ok::<(), tollgate_routing::PoolError>(())
//! ```

mod budget;
mod episode;
mod label;
mod model;
mod money;
mod objective;
mod task;

pub use budget::{ActionMask, Budget, BudgetView, CallAllowance, UsdAllowance};
pub use episode::{CostSource, Ending, Episode, EpisodeId, Provenance, Step, Turn};
pub use label::{BoundaryLabel, ProbeStats, SftExample};
pub use model::{Model, ModelIndex, ModelPool, PoolError};
pub use money::{NanoUsd, Prices, TokenPrice, TokenUsage};
pub use objective::Objective;
pub use task::{Difficulty, Observation, Split, Task, TaskId};
