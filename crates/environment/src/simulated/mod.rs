//! Simulated models: documented stochastic executors that act in [`household`](crate::household) as real models do in logs.

mod profile;

pub use profile::{SimulatedModelProfile, Skill};
