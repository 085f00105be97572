//! Environments and executors: skill-chain and household, with simulated models.

pub mod calibration;
mod chance;
pub mod external;
pub mod household;
pub mod process;
pub mod simulated;
pub mod skill_chain;
mod text_world;

pub use text_world::TextWorld;
