//! The router's features and network: the same code in training and in serving.
//!
//! [`RouterFeatures`] turns what the router may see into numbers, [`RouterNetwork`] is trained on them with Candle,
//! [`DecisionNetwork`] is a frozen copy of its policy that decides without allocating, and [`LearnedPolicy`] joins the
//! two into a routing policy. This crate trains nothing and enforces no budget.
//!
//! ```
//! use tollgate_policy::{FeatureConfig, NetworkShape, RouterNetwork};
//! use candle_core::Device;
//!
//! let features = FeatureConfig::text(2, 1_000_000);
//! let shape = NetworkShape { n_features: features.n_features(), n_hidden: 64, n_models: 2, early_stop: false, n_privileged: 0 };
//! let network = RouterNetwork::new(shape, 7, &Device::Cpu)?;
//! assert_eq!(network.freeze()?.n_outputs(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bias;
mod checkpoint;
mod decision;
mod feature_config;
mod features;
mod input_layer;
mod learned;
mod memory;
mod network;
mod text;
mod word_dropout;

pub use checkpoint::{
    CheckpointError, CheckpointSpec, FEATURE_VERSION, load_checkpoint, save_checkpoint, write_atomically,
};
pub use decision::{DecisionNetwork, Scratch};
pub use feature_config::{FeatureConfig, HiddenFeatures};
pub use features::RouterFeatures;
pub use learned::{Choice, LearnedPolicy};
pub use network::{Critique, NetworkShape, RouterNetwork};
