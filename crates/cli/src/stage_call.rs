//! One call of a stage, from a host's request or from a person's flags.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;
use tollgate_contract::{
    ArtifactKind, CONTRACT_VERSION, Digest, ProductKind, RequestInput, Slot, StageRequest, TaskRow,
};

use crate::args::StageArgs;
use crate::artifact;
use crate::config::{ConfigFile, ExperimentConfig, StageTable, read};
use crate::failure::{OrBadInput, bad_input};

/// The config of a person who names none.
const DEFAULT_CONFIG: &str = "configs/household.toml";

/// What a stage is asked to do, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StageCall {
    /// Slot, seed, inputs and output directory.
    pub(crate) request: StageRequest,
    /// What the whole experiment shares.
    pub(crate) experiment: ExperimentConfig,
    /// The stage's own config, to be read by the stage.
    pub(crate) table: StageTable,
    /// Where a person wants the outputs, once they are complete. A host does that itself.
    pub(crate) publish_to: Option<PathBuf>,
}

/// The config of a request: opaque to hosts, ours to read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestConfig {
    #[serde(default)]
    experiment: Value,
    #[serde(default)]
    stage: Value,
}

impl StageCall {
    /// The call that `args` describe.
    pub(crate) fn new(args: &StageArgs, inputs: Vec<(ProductKind, PathBuf)>, slot: Slot) -> anyhow::Result<Self> {
        match &args.request {
            Some(path) => Self::from_request(path, slot),
            None => Self::by_hand(args, inputs, slot),
        }
    }

    fn from_request(path: &Path, slot: Slot) -> anyhow::Result<Self> {
        let request = StageRequest::read(path).or_bad_input()?;
        request.check_slot(slot).with_context(|| path.display().to_string()).or_bad_input()?;
        let origin = path.display().to_string();
        let (experiment, table) = read_config(&request, &origin)?;
        Ok(Self { request, experiment, table, publish_to: None })
    }

    fn by_hand(args: &StageArgs, mut given: Vec<(ProductKind, PathBuf)>, slot: Slot) -> anyhow::Result<Self> {
        let out = args.out.clone().ok_or_else(|| bad_input("neither --request nor --out is given"))?;
        if out.exists() {
            return Err(bad_input(format!(
                "{}: exists already\nhint: a stage never overwrites; remove it or name another --out",
                out.display()
            )));
        }
        let config_path = args.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into());
        let config = ConfigFile::open(&config_path)?;
        let table = config.stage(slot);
        let seed = args.seed.unwrap_or(config.experiment.seed);
        let experiment = ExperimentConfig { seed, ..config.experiment };
        if table.is_command() {
            return Err(bad_input(format!(
                "{}: slot `{slot}` is filled by a command, expected the built-in stage\nhint: run that command with --request, or set `{slot}.type = \"builtin\"`",
                config_path.display()
            )));
        }
        for &kind in slot.inputs() {
            if given.iter().all(|(present, _)| *present != kind) {
                given.push((kind, default_input(args, &experiment, kind)?));
            }
        }
        let inputs = given.into_iter().map(|(kind, path)| {
            let digest = Digest::of_path(&path).map_err(|error| {
                let maker = Slot::producer(kind).map_or("tasks", Slot::as_str);
                bad_input(format!("{error}\nhint: `tollgate {maker}` makes it; its flag names another path"))
            })?;
            Ok(RequestInput { kind, path, digest })
        });
        let request = StageRequest {
            contract_version: CONTRACT_VERSION,
            slot,
            seed,
            inputs: inputs.collect::<anyhow::Result<_>>()?,
            output_dir: partial_dir(&out)?,
            config: serde_json::json!({ "experiment": experiment, "stage": table }),
        };
        Ok(Self { request, experiment, table, publish_to: Some(out) })
    }

    /// The tasks that are played: those of the input, but for what a shift leaves out.
    pub(crate) fn tasks(&self) -> anyhow::Result<Vec<TaskRow>> {
        let path = self.input(ArtifactKind::Tasks)?;
        let mut tasks = artifact::read_rows(path)?;
        if let Some(shift) = &self.experiment.shift {
            shift.filter(&mut tasks, path)?;
        }
        Ok(tasks)
    }

    /// Where an input is.
    pub(crate) fn input(&self, kind: impl Into<ProductKind>) -> anyhow::Result<&Path> {
        self.request.input(kind).or_bad_input()
    }
}

/// The parts of a request's config; `origin` names the request in errors.
pub(crate) fn read_config(request: &StageRequest, origin: &str) -> anyhow::Result<(ExperimentConfig, StageTable)> {
    let config: RequestConfig = read(origin, "config", request.config.clone())?;
    let experiment = match config.experiment {
        Value::Null => ExperimentConfig::default(),
        table => ExperimentConfig::read(origin, "config.experiment", table)?,
    };
    Ok((experiment, StageTable::new(origin, request.slot, config.stage)?))
}

fn default_input(args: &StageArgs, experiment: &ExperimentConfig, kind: ProductKind) -> anyhow::Result<PathBuf> {
    if kind == ProductKind::Artifact(ArtifactKind::Tasks) {
        return Ok(experiment.tasks.clone());
    }
    let flag = match kind {
        ProductKind::Artifact(ArtifactKind::BoundaryLabels) => "labels".to_owned(),
        other => other.as_str().replace('_', "-"),
    };
    match (&args.run_dir, Slot::producer(kind)) {
        (Some(run_dir), Some(producer)) => Ok(run_dir.join(producer.as_str()).join(kind.file_name())),
        _ => Err(bad_input(format!(
            "input `{kind}` is not given\nhint: name it with --{flag}, or a pipeline's run with --run-dir"
        ))),
    }
}

/// Beside the final place, so that a rename publishes it.
pub(crate) fn partial_dir(out: &Path) -> anyhow::Result<PathBuf> {
    beside(out, ".partial")
}

/// The path with this at the end of its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> anyhow::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| bad_input(format!("--out {} names no directory", path.display())))?;
    let mut name = name.to_owned();
    name.push(suffix);
    Ok(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(request: &Value, expected: &str) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("request.json");
        std::fs::write(&path, request.to_string()).unwrap();
        let args = StageArgs { request: Some(path.clone()), out: None, config: None, seed: None, run_dir: None };
        let error = StageCall::new(&args, Vec::new(), Slot::Classify).unwrap_err();
        let message = format!("{error:#}");
        assert!(message.contains(expected), "{message}");
    }

    fn request(slot: &str, config: &Value) -> Value {
        let digest = Digest::of_bytes(b"").to_string();
        let input = serde_json::json!({"kind": "episodes", "path": "episodes.parquet", "digest": digest});
        serde_json::json!({
            "contract_version": CONTRACT_VERSION, "slot": slot, "seed": 1, "inputs": [input], "output_dir": "out",
            "config": config,
        })
    }

    #[test]
    fn a_request_for_another_slot_is_refused() {
        check_refused(&request("evaluate", &serde_json::json!({})), "slot");
    }

    #[test]
    fn an_unknown_key_of_the_experiment_is_named_with_its_path() {
        let config = serde_json::json!({"experiment": {"suit": "household"}, "stage": {}});
        check_refused(&request("classify", &config), "`config.experiment.suit`: unknown field `suit`");
    }

    #[test]
    fn an_experiment_that_cannot_be_is_refused_before_anything_is_opened() {
        let experiment = serde_json::json!({"suite": "replay", "shift": {"wording": "other"}});
        let config = serde_json::json!({"experiment": experiment, "stage": {}});
        check_refused(&request("classify", &config), "`config.experiment.shift` is set, expected none for replay");
    }

    #[test]
    fn the_seed_of_the_invocation_takes_the_place_of_the_files_wherever_it_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let [config, tasks] = ["c.toml", "tasks.parquet"].map(|name| directory.path().join(name));
        std::fs::write(&config, "[experiment]\nseed = 5").unwrap();
        std::fs::write(&tasks, "").unwrap();
        let out = Some(directory.path().join("simulate"));
        let args = StageArgs { request: None, out, config: Some(config), seed: Some(9), run_dir: None };
        let call = StageCall::new(&args, vec![(ArtifactKind::Tasks.into(), tasks)], Slot::Simulate).unwrap();
        assert_eq!((call.request.seed, call.experiment.seed), (9, 9));
        assert_eq!(call.request.config["experiment"]["seed"], 9);
    }

    #[test]
    fn an_input_without_flag_is_looked_for_in_the_run() {
        let run_dir = Some(PathBuf::from("runs/mine"));
        let mut args = StageArgs { request: None, out: None, config: None, seed: None, run_dir };
        let experiment = ExperimentConfig::default();
        let found = default_input(&args, &experiment, ArtifactKind::BoundaryLabels.into()).unwrap();
        assert_eq!(found, Path::new("runs/mine/classify/boundary_labels.parquet"));
        args.run_dir = None;
        let message = default_input(&args, &experiment, ArtifactKind::SftExamples.into()).unwrap_err().to_string();
        assert_eq!(
            message,
            "input `sft_examples` is not given\nhint: name it with --sft-examples, or a pipeline's run with --run-dir"
        );
    }
}
