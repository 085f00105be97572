//! What a run was made from: the settings and seeds of every slot, and digests of the files.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use tollgate_contract::{CONTRACT_VERSION, Manifest, ProductKind, Slot};
use tollgate_policy::FEATURE_VERSION;
use tollgate_taxonomy::Thresholds;

use super::model::ArtifactEntry;
use crate::config::{ClassifyConfig, StageTable};
use crate::failure::OrBadInput;
use crate::figures::Evaluations;
use crate::stage_call::StageCall;

/// The report's own call and the manifests of the slots that made its inputs.
pub(super) struct Origins<'a> {
    call: &'a StageCall,
    /// Only of inputs that lie in a slot's directory: a file given by hand may have none.
    manifests: BTreeMap<Slot, Manifest>,
}

impl<'a> Origins<'a> {
    /// Looks for the manifests beside the inputs of `call`.
    pub(super) fn of(call: &'a StageCall) -> Result<Self> {
        let mut manifests = BTreeMap::new();
        for input in &call.request.inputs {
            let (Some(slot), Some(directory)) = (Slot::producer(input.kind), input.path.parent()) else { continue };
            if !manifests.contains_key(&slot) && directory.join(Manifest::FILE_NAME).exists() {
                let manifest = Manifest::read(directory).or_bad_input()?;
                if manifest.slot == slot {
                    manifests.insert(slot, manifest);
                }
            }
        }
        Ok(Self { call, manifests })
    }

    /// The thresholds that the labels were made with. What a replacement's keys mean, and those of labels without a manifest, nobody
    /// knows: there they are the defaults.
    pub(super) fn thresholds(&self) -> Result<Thresholds> {
        let experiment = &self.call.experiment;
        let settings = self.manifests.get(&Slot::Classify).and_then(|manifest| manifest.config.get("stage"));
        let own = settings.and_then(|settings| {
            let table = StageTable::new("the labels' manifest", Slot::Classify, settings.clone()).ok()?;
            table.read::<ClassifyConfig>().ok()?.thresholds(experiment).ok()
        });
        own.map_or_else(|| experiment.thresholds(), Ok)
    }

    /// The settings as one config file: the experiment's, then a table per slot.
    pub(super) fn configuration(&self) -> Result<String> {
        let experiment = serde_json::to_value(&self.call.experiment)?;
        let own = (Slot::Report, &self.call.request.config);
        let others = self.manifests.iter().map(|(&slot, manifest)| (slot, &manifest.config));
        let stages = others.chain([own]).filter_map(|(slot, config)| Some((slot.as_str(), config.get("stage")?)));
        let mut texts = Vec::new();
        for (name, settings) in [("experiment", &experiment)].into_iter().chain(stages) {
            let Value::Object(settings) = settings else { continue };
            // TOML has no null: what is not set is not there.
            let settings: serde_json::Map<_, _> = settings
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let table = BTreeMap::from([(name, settings)]);
            texts.push(toml::to_string(&table).context("the configuration has no form as TOML")?);
        }
        Ok(texts.join("\n"))
    }

    /// The seed of every slot, and those of the training runs.
    pub(super) fn seeds(&self, evaluations: &Evaluations) -> Vec<(String, String)> {
        let own = (Slot::Report, self.call.request.seed);
        let slots = self.manifests.iter().map(|(&slot, manifest)| (slot, manifest.seed)).chain([own]);
        let mut seeds: Vec<_> = slots.map(|(slot, seed)| (slot.to_string(), seed.to_string())).collect();
        let trained: Vec<String> = evaluations.train_seeds().iter().map(u64::to_string).collect();
        if !trained.is_empty() {
            seeds.push(("training runs".to_owned(), trained.join(", ")));
        }
        seeds
    }

    /// Versions.
    pub(super) fn provenance(&self) -> Vec<(String, String)> {
        let mut versions = vec![
            ("tollgate".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("contract version".to_owned(), CONTRACT_VERSION.to_string()),
            ("feature version".to_owned(), FEATURE_VERSION.to_string()),
        ];
        let stages = self.manifests.iter().map(|(slot, manifest)| format!("{slot} {}", manifest.stage_version));
        let stages: Vec<String> = stages.collect();
        if !stages.is_empty() {
            versions.push(("stage versions".to_owned(), stages.join(", ")));
        }
        versions
    }

    /// The inputs with their digests. Paths are those inside a run: where the run lies is nobody's business.
    pub(super) fn artifacts(&self) -> Vec<ArtifactEntry> {
        let path = |kind: ProductKind| match Slot::producer(kind) {
            Some(slot) => format!("{slot}/{}", kind.file_name()),
            None => kind.file_name().to_owned(),
        };
        let entries = self.call.request.inputs.iter().map(|input| ArtifactEntry {
            kind: input.kind.to_string(),
            path: path(input.kind),
            digest: input.digest.to_string(),
        });
        entries.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use tollgate_contract::{ArtifactKind, Digest, RequestInput, StageRequest};

    use super::*;
    use crate::config::ExperimentConfig;

    /// A report's call with labels in `directory`, which have a manifest with these settings of `classify`.
    fn call(directory: &Path, settings: &Value) -> StageCall {
        let request = |slot, inputs| StageRequest {
            contract_version: CONTRACT_VERSION,
            slot,
            seed: 1,
            inputs,
            output_dir: "out".into(),
            config: json!({"experiment": {}, "stage": settings}),
        };
        Manifest::of(&request(Slot::Classify, Vec::new()), 1, Vec::new(), BTreeMap::new()).write(directory).unwrap();
        let kind = ArtifactKind::BoundaryLabels.into();
        let labels = RequestInput { kind, path: directory.join("labels.parquet"), digest: Digest::of_bytes(b"") };
        StageCall {
            request: request(Slot::Report, vec![labels]),
            experiment: ExperimentConfig { score_threshold: Some(0.5), ..ExperimentConfig::default() },
            table: StageTable::new("c.toml", Slot::Report, Value::Null).unwrap(),
            publish_to: None,
        }
    }

    #[track_caller]
    fn check(settings: &Value, expected_easy_success_rate: f64) {
        let directory = tempfile::tempdir().unwrap();
        let call = call(directory.path(), settings);
        let thresholds = Origins::of(&call).unwrap().thresholds().unwrap();
        let found = thresholds.config().easy_success_rate;
        assert!((found - expected_easy_success_rate).abs() < 1e-12, "{found}");
        assert_eq!(thresholds.config().score_threshold, Some(0.5));
    }

    #[test]
    fn test_tasks_are_classed_by_the_thresholds_of_the_labels() {
        let default = ClassifyConfig::default().easy_success_rate;
        assert!((default - 0.9).abs() > 0.01);
        check(&json!({"easy_success_rate": 0.9}), 0.9);
        check(&json!({"easy_success_rate": 0.9, "of_a_replacement": true}), default);
    }
}
