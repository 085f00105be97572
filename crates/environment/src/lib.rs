//! Environments and executors: skill-chain and household, with simulated models.
