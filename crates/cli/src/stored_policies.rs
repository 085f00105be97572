//! Trained policies on disk: what `optimize` writes, in a directory of its own per variant and training seed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use candle_core::Device;
use tollgate_policy::{CheckpointSpec, RouterNetwork, load_checkpoint, save_checkpoint};
use tollgate_routing::ModelPool;

use crate::failure::{OrBadInput, bad_input};

/// A trained policy on disk.
pub(crate) struct StoredPolicy {
    /// What its checkpoint says.
    pub(crate) spec: CheckpointSpec,
    /// Its network.
    pub(crate) network: RouterNetwork,
}

impl StoredPolicy {
    /// Writes it into its place under `checkpoint`.
    pub(crate) fn save(&self, checkpoint: &Path) -> anyhow::Result<()> {
        save_checkpoint(&self.place_in(checkpoint), &self.spec, &self.network)?;
        Ok(())
    }

    /// Its directory under `checkpoint`.
    pub(crate) fn place_in(&self, checkpoint: &Path) -> PathBuf {
        policy_dir(checkpoint, &self.spec.policy_id, self.spec.train_seed)
    }
}

/// Where a policy is in a checkpoint directory: `<variant>/seed-<n>`.
pub(crate) fn policy_dir(checkpoint: &Path, policy_id: &str, train_seed: u64) -> PathBuf {
    checkpoint.join(policy_id).join(format!("seed-{train_seed}"))
}

/// Every trained policy under `directory`, each in its [`policy_dir`], ordered by path. Given a pool, it has to be the one
/// that they were trained for.
pub(crate) fn stored_policies(directory: &Path, pool: Option<&ModelPool>) -> anyhow::Result<Vec<StoredPolicy>> {
    let mut policies = Vec::new();
    for variant_dir in subdirectories(directory)? {
        for directory in subdirectories(&variant_dir)? {
            let (spec, network) = load_checkpoint(&directory, &Device::Cpu).or_bad_input()?;
            pool.map_or(Ok(()), |pool| check_models(&directory, &spec, pool))?;
            policies.push(StoredPolicy { spec, network });
        }
    }
    if policies.is_empty() {
        return Err(bad_input(format!(
            "{}: no trained policy, expected directories `<variant>/seed-<n>`\nhint: run `tollgate optimize` first",
            directory.display()
        )));
    }
    Ok(policies)
}

/// Removes the policies under `checkpoint` but for those whose directories `is_kept` names.
pub(crate) fn retain_policies(checkpoint: &Path, is_kept: impl Fn(&Path) -> bool) -> anyhow::Result<()> {
    let remove = |directory: &Path| fs::remove_dir_all(directory).with_context(|| directory.display().to_string());
    for variant_dir in subdirectories(checkpoint)? {
        for policy in subdirectories(&variant_dir)?.iter().filter(|policy| !is_kept(policy)) {
            remove(policy)?;
        }
        if subdirectories(&variant_dir)?.is_empty() {
            remove(&variant_dir)?;
        }
    }
    Ok(())
}

fn check_models(directory: &Path, spec: &CheckpointSpec, pool: &ModelPool) -> anyhow::Result<()> {
    let models: Vec<&str> = pool.iter().map(|(_, model)| &*model.id).collect();
    if spec.models == models {
        return Ok(());
    }
    Err(bad_input(format!(
        "{}: trained for the models {}, found the pool {}\nhint: train again with this pool, or evaluate with the one it was trained for",
        directory.display(),
        spec.models.join(", "),
        models.join(", ")
    )))
}

/// Directories in `directory`, ordered by name.
fn subdirectories(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        paths.retain(|path| path.is_dir());
        paths.sort();
        Ok(paths)
    };
    read()
        .map_err(|error| {
            anyhow::anyhow!(
                "{}: {error}\nhint: it should be the directory `checkpoint` of `optimize`",
                directory.display()
            )
        })
        .or_bad_input()
}

/// Policies that were never trained, and a call of `optimize` that takes some over, for tests.
#[cfg(test)]
pub(crate) mod fixture {
    use tollgate_contract::{CONTRACT_VERSION, Slot, StageRequest};
    use tollgate_policy::{FEATURE_VERSION, FeatureConfig, NetworkShape};

    use super::*;
    use crate::arena::open_arena;
    use crate::config::{ExperimentConfig, StageTable, Suite};
    use crate::stage_call::{StageCall, partial_dir};

    fn experiment() -> ExperimentConfig {
        ExperimentConfig { suite: Suite::SkillChain, ..ExperimentConfig::default() }
    }

    /// A policy for the models of skill-chain.
    pub(crate) fn policy(policy_id: &str, train_seed: u64) -> StoredPolicy {
        let shape = NetworkShape { n_features: 1, n_hidden: 1, n_models: 2, early_stop: false, n_privileged: 0 };
        let spec = CheckpointSpec {
            feature_version: FEATURE_VERSION,
            features: FeatureConfig::text(2, 1_000),
            shape,
            policy_id: policy_id.to_owned(),
            train_seed,
            models: open_arena(&experiment()).unwrap().pool().iter().map(|(_, model)| model.id.to_string()).collect(),
            cost_spread_nano_usd: 800,
            iterations: 1,
        };
        StoredPolicy { spec, network: RouterNetwork::new(shape, train_seed, &Device::Cpu).unwrap() }
    }

    /// The call by hand that puts the policies in `from` into `out`.
    pub(crate) fn taking_over(from: &Path, out: &Path) -> StageCall {
        let stage = serde_json::json!({ "from": from });
        let request = StageRequest {
            contract_version: CONTRACT_VERSION,
            slot: Slot::Optimize,
            seed: 1,
            inputs: Vec::new(),
            output_dir: partial_dir(out).unwrap(),
            config: serde_json::json!({ "experiment": experiment(), "stage": stage }),
        };
        let table = StageTable::new("the flags", Slot::Optimize, stage).unwrap();
        StageCall { request, experiment: experiment(), table, publish_to: Some(out.to_owned()) }
    }
}
