//! Environments and executors: skill-chain and household, with simulated models.

pub mod calibration;
pub mod household;
pub mod simulated;
