//! Environments and executors: skill-chain and household, with simulated models.

mod chance;
pub mod calibration;
pub mod household;
pub mod simulated;
pub mod skill_chain;
