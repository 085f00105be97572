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
        save_checkpoint(
            &policy_dir(checkpoint, &self.spec.policy_id, self.spec.train_seed),
            &self.spec,
            &self.network,
        )?;
        Ok(())
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
