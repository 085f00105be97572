//! What a run was made from: the settings and seeds of every slot, and digests of the files.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use tollgate_contract::{CONTRACT_VERSION, Manifest, ProductKind, Slot};
use tollgate_policy::FEATURE_VERSION;

use super::model::ArtifactEntry;
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
