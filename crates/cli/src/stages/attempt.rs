//! What an attempt of `optimize` by hand is made from: the next one goes on from its checkpoints only where nothing of it has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;
use tollgate_contract::{Digest, Manifest};

use crate::arena::pool_path;
use crate::config::{ExperimentConfig, OptimizeConfig, PoolFile};
use crate::stage_call::{StageCall, beside};

/// The digest of everything that a training depends on, and the file that keeps it beside what the attempt left.
pub(super) struct Attempt {
    file: PathBuf,
    digest: String,
}

impl Attempt {
    /// The attempt that `call` asks for.
    pub(super) fn of(call: &StageCall) -> anyhow::Result<Self> {
        Ok(Self { file: beside(&call.request.output_dir, ".digest")?, digest: origin(call).to_string() })
    }

    /// Whether what lies there is of an attempt that was made from the same.
    pub(super) fn is_noted(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|noted| noted == self.digest)
    }

    /// Notes what the attempt is made from.
    pub(super) fn note(&self) -> anyhow::Result<()> {
        fs::write(&self.file, &self.digest).with_context(|| format!("{}: cannot be written", self.file.display()))
    }

    /// Removes the note of an attempt that is complete.
    pub(super) fn forget(self) -> anyhow::Result<()> {
        fs::remove_file(&self.file).with_context(|| format!("{}: cannot be removed", self.file.display()))
    }
}

/// The manifest has everything of a request but its paths; pool and logs are named in it by their paths only.
fn origin(call: &StageCall) -> Digest {
    let mut request = Manifest::of(&call.request, call.request.slot.stage_version(), Vec::new(), BTreeMap::new());
    remove_keys(&mut request.config, "/stage", &OptimizeConfig::SELECTION);
    for (table, keys) in ExperimentConfig::OPERATION {
        remove_keys(&mut request.config, &format!("/experiment/{table}"), keys);
    }
    Digest::of_bytes(format!("{request:?} {}", named_files(&call.experiment)).as_bytes())
}

fn remove_keys(config: &mut Value, table: &str, keys: &[&str]) {
    if let Some(table) = config.pointer_mut(table).and_then(Value::as_object_mut) {
        table.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

/// What cannot be read is the stage's to complain about.
fn named_files(experiment: &ExperimentConfig) -> String {
    let pool = PoolFile::open(pool_path(experiment)).ok();
    let logs = experiment.replay.as_ref().and_then(|replay| Digest::of_path(&replay.logs).ok());
    format!("{pool:?} {logs:?}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use tollgate_contract::{ArtifactKind, RequestInput};

    use super::*;
    use crate::stored_policies::fixture;

    fn call() -> StageCall {
        let mut call = fixture::taking_over(Path::new("from"), Path::new("optimize"));
        let digest = Digest::of_bytes(b"labels");
        call.request.inputs =
            vec![RequestInput { kind: ArtifactKind::BoundaryLabels.into(), path: "a".into(), digest }];
        call.request.config = json!({
            "experiment": {"suite": "skill-chain", "live": {"concurrency": 8, "models": {}}},
            "stage": {"variants": ["bopo"], "train_seeds": [1], "n_hidden": 64},
        });
        call
    }

    #[track_caller]
    fn check(is_same: bool, change: impl Fn(&mut StageCall)) {
        let mut changed = call();
        change(&mut changed);
        assert_eq!(origin(&changed) == origin(&call()), is_same);
    }

    #[test]
    fn a_training_is_another_where_anything_but_paths_and_the_list_of_trainings_differs() {
        check(true, |call| call.request.inputs[0].path = "b".into());
        check(true, |call| call.request.output_dir = "elsewhere.partial".into());
        check(true, |call| call.request.config["stage"]["variants"] = json!(["bopo", "ppo"]));
        check(true, |call| call.request.config["stage"]["train_seeds"] = json!([1, 2]));
        check(true, |call| call.request.config["experiment"]["live"]["concurrency"] = json!(2));
        check(false, |call| call.request.inputs[0].digest = Digest::of_bytes(b"other labels"));
        check(false, |call| call.request.seed += 1);
        check(false, |call| call.request.config["stage"]["n_hidden"] = json!(32));
        check(false, |call| call.request.config["experiment"]["suite"] = json!("household"));
        check(false, |call| call.request.config["experiment"]["live"]["models"] = json!({"small": {}}));
    }

    #[test]
    fn a_training_is_another_with_other_prices_in_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pool.toml");
        let two = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/pools/two.toml");
        let pool = fs::read_to_string(two).unwrap();
        let mut call = call();
        call.experiment.pool = Some(path.clone());
        let of = |text: &str| {
            fs::write(&path, text).unwrap();
            origin(&call)
        };
        let dearer = pool.replace("output_usd_per_million = 1.60", "output_usd_per_million = 3.20");
        assert_ne!(of(&pool), of(&dearer));
        assert_eq!(of(&pool), of(&format!("# a comment\n{pool}")));
    }
}
