//! SFT warm start and BoPO, boundary-guided policy optimization, on Candle.
//!
//! [`train`] takes what the pipeline has collected and returns a trained router. The pieces of the method stand apart as
//! pure functions: the reward ([`boundary_relative_reward`]), the advantage ([`reference_guided_advantage`],
//! [`generalized_advantages`]) and the loss ([`clipped_surrogate_loss`]). This crate knows no files but its checkpoints,
//! and it never sees an environment's state: it rolls out in an arena, as evaluation does.
//!
//! ```
//! use tollgate_bopo::reference_guided_advantage;
//!
//! // Two equally cheap failures, on a task that always-large solves: both are pushed away from.
//! let advantages = reference_guided_advantage(&[-0.1, -0.1], &[-0.1, 0.7]);
//! assert!(advantages.iter().all(|&advantage| advantage < -0.1));
//! ```

mod advantage;
mod average;
mod batch;
mod bopo;
mod checks;
mod collect;
mod condition;
mod config;
mod critic;
mod error;
mod experience;
mod giving_up;
#[cfg(test)]
mod giving_up_tests;
mod loss;
mod optimizer;
mod progress;
mod q_learning;
mod replay;
mod reward;
mod sft;
mod static_router;
mod train;
mod variant;

pub use advantage::{generalized_advantages, grpo_advantage, reference_guided_advantage};
pub use condition::{ConditionConfig, OperatingPoint};
pub use config::{Advantage, BopoConfig, SftConfig, TrainConfig};
pub use error::TrainError;
pub use loss::{
    approximate_kl, chosen_log_probs, clipped_surrogate_loss, half_squared_error, masked_log_probs, masked_logits,
    mean_entropy, mean_kl, weighted_cross_entropy,
};
pub use progress::IterationMetrics;
pub use q_learning::QLearningConfig;
pub use reward::{
    Bonus, BoundaryCosts, CostNormalisation, boundary_relative_reward, clipped_cost_norm, cost_in_spreads,
    outcome_reward,
};
pub use train::{TrainedPolicy, TrainingInputs, train};
pub use variant::Variant;
