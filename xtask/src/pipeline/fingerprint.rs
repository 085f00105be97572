//! What a slot's outputs depend on, and whether published ones still fit.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::StageConfig;
use super::digest;
use super::protocol::{StageInfo, StageRequest};

/// Everything that a slot's outputs depend on. Where its inputs and outputs lie and the number of threads are not among it; the paths
/// that `[experiment]` and the stage's own keys name are, beside the digests of what lies there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// `builtin` with the stage's version, or `command` with its words and the digests of those that are files.
    stage: Value,
    contract_version: u32,
    seed: u64,
    experiment: Value,
    config: Value,
    /// Digest of each input by its kind.
    inputs: BTreeMap<String, String>,
}

impl Origin {
    /// The origin of what a stage makes when it is given this request; `operation` are the keys of the experiment's tables that say
    /// only how it is run, `sources` the digests of what the experiment names beside the stage's inputs.
    pub(crate) fn new(
        request: &StageRequest,
        stage: &StageConfig,
        built_in: &StageInfo,
        operation: &BTreeMap<String, Vec<String>>,
        sources: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut inputs: BTreeMap<String, String> =
            request.inputs.iter().map(|input| (input.kind.clone(), input.digest.clone())).collect();
        inputs.extend(sources);
        let stage = match &stage.argv {
            None => serde_json::json!({"type": "builtin", "version": built_in.version}),
            Some(argv) => {
                let files: BTreeMap<&String, String> = argv
                    .iter()
                    .filter(|word| Path::new(word).is_file())
                    .filter_map(|word| Some((word, digest::of_path(Path::new(word)).ok()?)))
                    .collect();
                serde_json::json!({"type": "command", "argv": argv, "files": files})
            }
        };
        Self {
            stage,
            contract_version: request.contract_version,
            seed: request.seed,
            experiment: without_operation(Value::Object(request.config.experiment.clone()), operation),
            config: Value::Object(request.config.stage.clone()),
            inputs,
        }
    }

    /// One digest over all of it.
    ///
    /// # Errors
    /// Never for an origin made by [`Origin::new`].
    pub(crate) fn fingerprint(&self) -> Result<String> {
        Ok(digest::of_json(&serde_json::to_value(self)?))
    }

    /// One digest over what every single result depends on: all but the keys of `selection`, which say which results there are. What
    /// a replacement's keys mean nobody knows, so there it is the whole origin.
    ///
    /// # Errors
    /// Never for an origin made by [`Origin::new`].
    pub(crate) fn resumption(&self, selection: &[String]) -> Result<String> {
        let mut origin = self.clone();
        if origin.stage["type"] == "builtin"
            && let Some(config) = origin.config.as_object_mut()
        {
            config.retain(|key, _| !selection.contains(key));
        }
        origin.fingerprint()
    }

    /// Why outputs of `earlier` origin do not fit this one; `None` when they do.
    pub(crate) fn difference(&self, earlier: &Self) -> Option<String> {
        if self == earlier {
            return None;
        }
        let changed_input =
            self.inputs.iter().find(|(kind, digest)| earlier.inputs.get(*kind) != Some(digest)).map(|(kind, _)| kind);
        Some(match changed_input {
            _ if self.seed != earlier.seed => format!("seed is {}, was {}", self.seed, earlier.seed),
            _ if self.stage != earlier.stage => "the stage is another program or version".to_owned(),
            _ if self.contract_version != earlier.contract_version => "the contract has another version".to_owned(),
            _ if self.config != earlier.config => "its config changed".to_owned(),
            _ if self.experiment != earlier.experiment => "[experiment] changed".to_owned(),
            Some(kind) => format!("input {kind} changed"),
            None => "its inputs changed".to_owned(),
        })
    }
}

fn without_operation(mut experiment: Value, operation: &BTreeMap<String, Vec<String>>) -> Value {
    for (table, keys) in operation {
        if let Some(table) = experiment.get_mut(table).and_then(Value::as_object_mut) {
            table.retain(|key, _| !keys.contains(key));
        }
    }
    experiment
}

/// What lies in a published slot's directory: where it comes from and what it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Digest of the origin.
    pub(crate) fingerprint: String,
    pub(crate) origin: Origin,
    /// Digest of each output by its path in the directory.
    pub(crate) outputs: BTreeMap<PathBuf, String>,
    pub(crate) rows: u64,
    pub(crate) seconds: f64,
}

impl Stamp {
    /// File in a slot's directory that says what its contents were made from.
    const FILE_NAME: &str = "fingerprint.json";

    /// The stamp of a directory; `None` when it has none that can be read.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(Self::FILE_NAME)).ok()?).ok()
    }

    /// Writes the stamp into a directory that is not published yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(Self::FILE_NAME);
        let text = serde_json::to_string_pretty(self)?;
        fs::write(&path, text).with_context(|| format!("{}: cannot be written", path.display()))
    }

    /// The first output in `dir` that is not what was published.
    pub(crate) fn damaged_output(&self, dir: &Path) -> Option<&Path> {
        let is_damaged = |path: &Path, digest: &String| digest::of_path(&dir.join(path)).ok().as_ref() != Some(digest);
        self.outputs.iter().find(|(path, digest)| is_damaged(path, digest)).map(|(path, _)| path.as_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_collection_is_run_is_no_part_of_what_it_is() {
        let keys = |names: &[&str]| names.iter().copied().map(str::to_owned).collect::<Vec<_>>();
        let operation = BTreeMap::from([
            ("live".to_owned(), keys(&["spending_limit_usd"])),
            ("scienceworld".to_owned(), keys(&["heap_mib", "answers"])),
        ]);
        let without_operation = |experiment| without_operation(experiment, &operation);
        let live = |limit: f64, model: &str| serde_json::json!({"suite": "household", "live": {"spending_limit_usd": limit, "models": {"small": {"model": model}}}});
        assert_eq!(without_operation(live(1.0, "a")), without_operation(live(2.0, "a")));
        assert_ne!(without_operation(live(1.0, "a")), without_operation(live(1.0, "b")));

        let simulator = |heap_mib: u32, n_chance_streams: u32| serde_json::json!({"suite": "scienceworld", "scienceworld": {"heap_mib": heap_mib, "answers": "kept", "n_chance_streams": n_chance_streams}});
        assert_eq!(without_operation(simulator(512, 4)), without_operation(simulator(1024, 4)));
        assert_ne!(without_operation(simulator(512, 4)), without_operation(simulator(512, 8)));
    }

    #[test]
    fn a_training_does_not_depend_on_which_others_there_are() {
        let training = |stage: Value, config: Value| {
            let experiment = serde_json::json!({});
            let origin = Origin { stage, contract_version: 1, seed: 1, experiment, config, inputs: BTreeMap::new() };
            origin.resumption(&["variants".to_owned(), "train_seeds".to_owned()]).unwrap()
        };
        let settings = |seeds: &[u32], n_hidden: u32| serde_json::json!({"variants": ["bopo"], "train_seeds": seeds, "n_hidden": n_hidden});
        let builtin = || serde_json::json!({"type": "builtin", "version": 1});
        assert_eq!(training(builtin(), settings(&[1], 64)), training(builtin(), settings(&[1, 2], 64)));
        assert_ne!(training(builtin(), settings(&[1], 64)), training(builtin(), settings(&[1], 32)));
        // What these keys mean to a replacement, only it knows.
        let command = || serde_json::json!({"type": "command", "argv": ["train"], "files": {}});
        assert_ne!(training(command(), settings(&[1], 64)), training(command(), settings(&[1, 2], 64)));
    }
}
