//! Stratified, cost-efficient SFT examples from rollouts.
