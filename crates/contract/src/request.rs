//! The request that a stage gets, and the manifest that says what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{CONTRACT_VERSION, ContractError, Digest, ProductKind, Slot};

/// What a stage is asked to do. Unknown fields are refused: a misspelt one would be a setting without effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRequest {
    /// The contract that the request and its inputs follow.
    pub contract_version: u32,
    /// The slot to fill.
    pub slot: Slot,
    /// Seed of all chance in the stage.
    pub seed: u64,
    /// What to read.
    pub inputs: Vec<RequestInput>,
    /// Where to write: a directory that exists. It is empty, but for what an earlier attempt may have left to go on from: the
    /// checkpoint of `optimize`, and the journal of calls that were paid for.
    pub output_dir: PathBuf,
    /// The stage's settings, opaque to whoever passes them on.
    pub config: serde_json::Value,
}

/// An input of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestInput {
    /// What it is.
    pub kind: ProductKind,
    /// Where it is.
    pub path: PathBuf,
    /// Its digest when the request was made.
    pub digest: Digest,
}

impl StageRequest {
    /// The request in a JSON file.
    ///
    /// # Errors
    /// [`ContractError::Io`], [`ContractError::Json`] or [`ContractError::Version`].
    pub fn read(path: &Path) -> Result<Self, ContractError> {
        let request: Self = read_json(path)?;
        check_version(path, request.contract_version)?;
        Ok(request)
    }

    /// Checks that the request is for `slot` and has everything that the slot reads.
    ///
    /// # Errors
    /// [`ContractError::WrongSlot`] or [`ContractError::MissingInput`].
    pub fn check_slot(&self, slot: Slot) -> Result<(), ContractError> {
        if self.slot != slot {
            return Err(ContractError::WrongSlot { found: self.slot, expected: slot });
        }
        slot.inputs().iter().try_for_each(|&kind| self.input(kind).map(|_| ()))
    }

    /// Where an input is.
    ///
    /// # Errors
    /// [`ContractError::MissingInput`] where the request has no such input.
    pub fn input(&self, kind: impl Into<ProductKind>) -> Result<&Path, ContractError> {
        let kind = kind.into();
        let input = self.inputs.iter().find(|input| input.kind == kind);
        input.map(|input| &*input.path).ok_or(ContractError::MissingInput { slot: self.slot, kind })
    }

    /// Where an output goes.
    #[must_use]
    pub fn output(&self, kind: impl Into<ProductKind>) -> PathBuf {
        self.output_dir.join(kind.into().file_name())
    }

    /// The request as JSON.
    ///
    /// # Errors
    /// Never for a request whose paths are Unicode.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

/// What a slot's directory holds and what it was made from. It has no times and no absolute paths, so that equal runs have
/// equal manifests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The slot.
    pub slot: Slot,
    /// The contract that the outputs follow.
    pub contract_version: u32,
    /// The version of the stage that made them.
    pub stage_version: u32,
    /// The request's seed.
    pub seed: u64,
    /// The request's settings.
    pub config: serde_json::Value,
    /// The request's inputs.
    pub inputs: Vec<ManifestInput>,
    /// What was written.
    pub outputs: Vec<ManifestOutput>,
    /// Sums over the outputs, for example `n_episodes`; the validator computes them.
    pub totals: BTreeMap<String, u64>,
}

/// An input by its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestInput {
    /// What it is.
    pub kind: ProductKind,
    /// Its digest.
    pub digest: Digest,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestOutput {
    /// What it is.
    pub kind: ProductKind,
    /// Its name in the slot's directory.
    pub file_name: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size; of a directory, the size of all files in it.
    pub bytes: u64,
    /// Its rows, if it is a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl Manifest {
    /// The manifest's file in a slot's directory.
    pub const FILE_NAME: &'static str = "manifest.json";

    /// The manifest of what `request` led to.
    #[must_use]
    pub fn of(
        request: &StageRequest,
        stage_version: u32,
        outputs: Vec<ManifestOutput>,
        totals: BTreeMap<String, u64>,
    ) -> Self {
        let input = |input: &RequestInput| ManifestInput { kind: input.kind, digest: input.digest };
        Self {
            slot: request.slot,
            contract_version: CONTRACT_VERSION,
            stage_version,
            seed: request.seed,
            config: request.config.clone(),
            inputs: request.inputs.iter().map(input).collect(),
            outputs,
            totals,
        }
    }

    /// The manifest in a slot's directory.
    ///
    /// # Errors
    /// [`ContractError::Io`], [`ContractError::Json`] or [`ContractError::Version`].
    pub fn read(slot_dir: &Path) -> Result<Self, ContractError> {
        let path = slot_dir.join(Self::FILE_NAME);
        let manifest: Self = read_json(&path)?;
        check_version(&path, manifest.contract_version)?;
        Ok(manifest)
    }

    /// Writes the manifest into a slot's directory.
    ///
    /// # Errors
    /// [`ContractError::Io`] where it cannot be written.
    pub fn write(&self, slot_dir: &Path) -> Result<(), ContractError> {
        let path = slot_dir.join(Self::FILE_NAME);
        let json =
            serde_json::to_string_pretty(self).map_err(|source| ContractError::Json { path: path.clone(), source })?;
        fs::write(&path, json + "\n").map_err(|source| ContractError::Io { path, source })
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ContractError> {
    let text = fs::read_to_string(path).map_err(|source| ContractError::Io { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| ContractError::Json { path: path.to_owned(), source })
}

fn check_version(path: &Path, found: u32) -> Result<(), ContractError> {
    if (1..=CONTRACT_VERSION).contains(&found) {
        Ok(())
    } else {
        Err(ContractError::Version { path: path.to_owned(), found })
    }
}
