//! Environments and executors: skill-chain, household, ScienceWorld and worlds outside, with simulated models or live ones (feature `live`).

pub mod calibration;
mod chance;
pub mod external;
pub mod household;
#[cfg(feature = "live")]
pub mod live;
pub mod process;
pub mod replay;
pub mod scienceworld;
pub mod simulated;
pub mod simulated_text;
pub mod skill_chain;
mod text_world;

pub use text_world::TextWorld;
