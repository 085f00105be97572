//! Simulated models: documented stochastic executors that act in [`household`](crate::household) as real models do in logs.
//!
//! At each step a model takes the expert's command with a chance that depends on
//! - the [`Skill`] that the step asks for, which anyone can read off the text,
//! - its hidden aptitude for the task: a normal deviate per task and model, half of which all models share,
//! - visible mistakes in a row, which confuse it: refused and repeated commands pollute the context,
//! - a wrong belief in the history, which a valid but wrong command can leave behind. Nothing in the text says so outright, and a
//!   large model that reads the history is swayed by it nearly as much as a small one.
//!
//! Otherwise it makes a plausible mistake: it wanders, acts on the wrong object, repeats the last command, says what cannot be
//! done, declares the errand done, or breaks something for good. Chance events of step `t` come from a stream of
//! `(seed, t)`, drawn in the same order whichever model acts, so that policies are compared on common random numbers.
//!
//! A [`ModelShift`] makes another model of one: what becomes of a router whose models have changed.

mod executor;
mod minds;
mod mistake;
mod profile;
mod prompt;
mod shift;

pub(crate) use minds::{HistoryState, Minds};

pub use executor::SimulatedExecutor;
pub use profile::{SimulatedModelProfile, Skill};
pub use shift::ModelShift;
