//! `skill-chain`, the diagnostic environment: a short abstract chain of subgoals whose optimum is computed exactly.
//!
//! It exists to *prove* that training reaches the optimum, as probe environments do in reinforcement learning libraries.
//! The figures of its rules are our own design, kept equal to those of the prototype that our defaults were measured on.
//! A task is a chain of 4 to 12 subgoals to be solved in order within 30 steps. Each subgoal takes a *skill*, which is
//! hidden; the router sees a *cue* that names the right skill 82 % of the time. Small failures in a row confuse the small
//! model, and a failed attempt can lose the task without a sign.
//!
//! [`SkillChainArena`] plays it, [`generate_tasks`] makes task sets, [`References`] computes what the best router can
//! reach, and [`BeliefPolicy`] is a strong router that sees only what any router sees.

mod arena;
mod attempts;
mod belief;
mod chain;
mod future;
mod heuristic;
mod inference_model;
mod privileged;
mod references;
mod rules;
mod visible;
mod world;

pub use arena::{SkillChainArena, SkillChainModels};
pub use belief::{BeliefPlanner, BeliefPolicy};
pub use chain::{Chain, Subgoal, TaskCounts, TaskKind, generate_tasks, generate_tasks_of_share};
pub use heuristic::CueHeuristic;
pub use references::{CostScale, CostWeighting, ReferencePoint, References};
pub use rules::{ENVIRONMENT, HORIZON, MAX_SUBGOALS, MIN_SUBGOALS, N_CUES, N_SKILLS, NANO_USD_PER_UNIT};
pub use visible::{LastOutcome, VisibleState};
pub use world::SkillChain;

#[cfg(test)]
mod tests;
