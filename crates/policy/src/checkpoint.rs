//! A policy on disk: `policy.json` says what it is, `policy.safetensors` holds its weights.
//!
//! Both are written under temporary names, flushed to the disk and renamed, the weights first: a directory that had none and has a
//! `policy.json` holds a whole checkpoint.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{FeatureConfig, NetworkShape, RouterNetwork};

/// Version of the features: what each number of the vector means. A checkpoint of another version cannot be used.
pub const FEATURE_VERSION: u32 = 3;

const SPEC_FILE: &str = "policy.json";
const WEIGHTS_FILE: &str = "policy.safetensors";

/// What a checkpoint says about its policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointSpec {
    /// Version of the features that it was trained on.
    pub feature_version: u32,
    /// Size and scale of the features.
    pub features: FeatureConfig,
    /// Size of the network.
    pub shape: NetworkShape,
    /// The name of the policy, for example `bopo`.
    pub policy_id: String,
    /// Seed of its training.
    pub train_seed: u64,
    /// The models that it chooses from, small first.
    pub models: Vec<String>,
    /// The difference between the boundary policies' mean costs: one unit of the cost that `lambda` weighs.
    pub cost_spread_nano_usd: u64,
    /// Iterations of training behind it.
    pub iterations: u32,
}

/// A checkpoint that cannot be written, read or used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The file system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// `policy.json` is no checkpoint description.
    #[error("{}: not a checkpoint description: {source}\nhint: train again with `tollgate optimize`", path.display())]
    Spec {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The features have changed since.
    #[error("{}: the checkpoint has features of version {found}, expected {FEATURE_VERSION}\nhint: features have changed since it was trained; train again with `tollgate optimize`", path.display())]
    FeatureVersion {
        /// The file.
        path: PathBuf,
        /// The version that it was trained on.
        found: u32,
    },
    /// The weights do not fit the description.
    #[error("{}: {reason}\nhint: the file is damaged or of another checkpoint; train again with `tollgate optimize`", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Writes a checkpoint into `directory`, which is created; an earlier one there is replaced.
///
/// # Errors
/// [`CheckpointError::Weights`] for weights that are not finite, before anything is written; otherwise
/// [`CheckpointError::Io`].
pub fn save_checkpoint(
    directory: &Path,
    spec: &CheckpointSpec,
    network: &RouterNetwork,
) -> Result<(), CheckpointError> {
    let weights_path = directory.join(WEIGHTS_FILE);
    let weights_error = |reason: String| CheckpointError::Weights { path: weights_path.clone(), reason };
    let mut tensors = Vec::new();
    for (name, variable) in network.variables() {
        if let Some(value) = not_finite(variable).map_err(|error| weights_error(error.to_string()))? {
            return Err(weights_error(format!("`{name}` holds {value}")));
        }
        tensors.push((name.clone(), variable.as_tensor().clone()));
    }
    let weights = safetensors::serialize(tensors, None).map_err(|error| weights_error(error.to_string()))?;
    let spec_path = directory.join(SPEC_FILE);
    let text = serde_json::to_string_pretty(spec)
        .map_err(|source| CheckpointError::Spec { path: spec_path.clone(), source })?;

    fs::create_dir_all(directory).map_err(|source| CheckpointError::Io { path: directory.to_owned(), source })?;
    write_atomically(&weights_path, &weights)?;
    write_atomically(&spec_path, format!("{text}\n").as_bytes())
}

/// Reads the checkpoint in `directory`.
///
/// # Errors
/// A [`CheckpointError`] that names the file, what is wrong with it, and what to do.
pub fn load_checkpoint(directory: &Path, device: &Device) -> Result<(CheckpointSpec, RouterNetwork), CheckpointError> {
    let path = directory.join(SPEC_FILE);
    let text = fs::read_to_string(&path).map_err(|source| CheckpointError::Io { path: path.clone(), source })?;
    let version: VersionOnly =
        serde_json::from_str(&text).map_err(|source| CheckpointError::Spec { path: path.clone(), source })?;
    if version.feature_version != FEATURE_VERSION {
        return Err(CheckpointError::FeatureVersion { path, found: version.feature_version });
    }
    let spec: CheckpointSpec = serde_json::from_str(&text).map_err(|source| CheckpointError::Spec { path, source })?;

    let path = directory.join(WEIGHTS_FILE);
    let bytes = fs::read(&path).map_err(|source| CheckpointError::Io { path: path.clone(), source })?;
    let network = read_weights(&bytes, spec.shape, device)
        .map_err(|error| CheckpointError::Weights { path, reason: error.to_string() })?;
    Ok((spec, network))
}

/// The one field that every version of `policy.json` has.
#[derive(Deserialize)]
struct VersionOnly {
    feature_version: u32,
}

fn read_weights(bytes: &[u8], shape: NetworkShape, device: &Device) -> candle_core::Result<RouterNetwork> {
    let mut tensors: HashMap<String, Tensor> = candle_core::safetensors::load_buffer(bytes, device)?;
    // A fresh network gives the names and shapes to expect; its weights are replaced.
    let network = RouterNetwork::new(shape, 0, device)?;
    for (name, variable) in network.variables() {
        let tensor = tensors.remove(name).ok_or_else(|| candle_core::Error::Msg(format!("`{name}` is missing")))?;
        if tensor.shape() != variable.shape() {
            candle_core::bail!("`{name}` has shape {:?}, expected {:?}", tensor.shape(), variable.shape());
        }
        if let Some(value) = not_finite(&tensor)? {
            candle_core::bail!("`{name}` holds {value}, expected finite weights");
        }
        variable.set(&tensor)?;
    }
    Ok(network)
}

/// The first of a tensor's values that is not finite.
fn not_finite(tensor: &Tensor) -> candle_core::Result<Option<f32>> {
    Ok(tensor.flatten_all()?.to_vec1::<f32>()?.into_iter().find(|value| !value.is_finite()))
}

/// Writes a file so that it is either whole or not there, even when the machine stops.
///
/// # Errors
/// [`CheckpointError::Io`] when it cannot be written; what was there stays.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let temporary = path.with_extension("tmp");
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        let _gone = fs::remove_file(&temporary);
        CheckpointError::Io { path: path.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> (CheckpointSpec, RouterNetwork) {
        let features = FeatureConfig::signals(2, 3, 1_000);
        let shape = NetworkShape {
            n_features: features.n_features(),
            n_hidden: 8,
            n_models: 2,
            early_stop: false,
            n_privileged: 0,
        };
        let spec = CheckpointSpec {
            feature_version: FEATURE_VERSION,
            features,
            shape,
            policy_id: "bopo".into(),
            train_seed: 3,
            models: vec!["small".into(), "large".into()],
            cost_spread_nano_usd: 900,
            iterations: 12,
        };
        (spec, RouterNetwork::new(shape, 3, &Device::Cpu).unwrap())
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let (spec, network) = network();
        save_checkpoint(directory.path(), &spec, &network).unwrap();
        let (found, loaded) = load_checkpoint(directory.path(), &Device::Cpu).unwrap();
        assert_eq!(found, spec);
        assert_eq!(loaded.freeze().unwrap(), network.freeze().unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn weights_that_are_not_finite_are_never_written() {
        let directory = tempfile::tempdir().unwrap();
        let (spec, network) = network();
        let (_, bias) = &network.variables()[1];
        bias.set(&Tensor::full(f32::NAN, bias.shape(), &Device::Cpu).unwrap()).unwrap();
        let error = save_checkpoint(directory.path(), &spec, &network).unwrap_err();
        assert!(error.to_string().contains("`policy.0.bias` holds NaN"), "{error}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn weights_that_are_not_finite_are_never_read() {
        let directory = tempfile::tempdir().unwrap();
        let (spec, network) = network();
        save_checkpoint(directory.path(), &spec, &network).unwrap();
        let broken = network
            .variables()
            .iter()
            .map(|(name, variable)| (name.clone(), Tensor::full(f32::NAN, variable.shape(), &Device::Cpu).unwrap()));
        let bytes = safetensors::serialize(broken.collect::<Vec<_>>(), None).unwrap();
        fs::write(directory.path().join(WEIGHTS_FILE), bytes).unwrap();
        let error = load_checkpoint(directory.path(), &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("holds NaN, expected finite weights"), "{error}");
    }

    #[test]
    fn another_feature_version_is_refused_with_a_hint() {
        let directory = tempfile::tempdir().unwrap();
        let (mut spec, network) = network();
        spec.feature_version = 99;
        save_checkpoint(directory.path(), &spec, &network).unwrap();
        let error = load_checkpoint(directory.path(), &Device::Cpu).unwrap_err().to_string();
        let expected = format!("features of version 99, expected {FEATURE_VERSION}\nhint:");
        assert!(error.contains(&expected), "{error}");
    }

    #[test]
    fn truncated_weights_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (spec, network) = network();
        save_checkpoint(directory.path(), &spec, &network).unwrap();
        let path = directory.path().join(WEIGHTS_FILE);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(load_checkpoint(directory.path(), &Device::Cpu), Err(CheckpointError::Weights { .. })));
    }
}
