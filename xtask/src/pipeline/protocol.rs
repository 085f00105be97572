//! What the orchestrator reads and writes when it talks to `tollgate` and to replacement stages.
//!
//! These mirror the few fields needed of the contract's own types, which would bring Arrow with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Slot;

/// Answer of `tollgate stages --json`.
#[derive(Debug, Deserialize)]
pub(crate) struct StageList {
    /// Version of the protocol and of every artifact.
    pub(crate) contract_version: u32,
    /// Keys of tables of `[experiment]` that say how a stage is run, and nothing about what comes out: a limit that is raised, a slower
    /// pace or more memory go on with what there is.
    pub(crate) operation: BTreeMap<String, Vec<String>>,
    stages: Vec<StageInfo>,
}

/// One built-in stage; a replacement reads and writes the same.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StageInfo {
    slot: String,
    /// Version of the built-in stage.
    pub(crate) version: u32,
    /// Kinds of artifacts it reads.
    pub(crate) inputs: Vec<String>,
    /// What it writes.
    pub(crate) outputs: Vec<OutputInfo>,
    /// Keys of its table that say which of its results there are, and nothing about any of them.
    pub(crate) selection: Vec<String>,
}

/// One thing that a stage writes.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OutputInfo {
    /// Kind of artifact.
    pub(crate) kind: String,
    /// File or directory, relative to the slot's directory.
    pub(crate) path: PathBuf,
}

impl StageList {
    /// Asks `tollgate` which stages it has.
    ///
    /// # Errors
    /// When the program cannot be started, fails, or answers something else.
    pub(crate) fn ask(tollgate: &Path) -> Result<Self> {
        let output = Command::new(tollgate)
            .args(["stages", "--json"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", tollgate.display()))?;
        if !output.status.success() {
            bail!("`{} stages --json` failed", tollgate.display());
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`{} stages --json` answered something else", tollgate.display()))
    }

    /// The stage of this slot.
    ///
    /// # Errors
    /// When `tollgate` has no such stage.
    pub(crate) fn of(&self, slot: Slot) -> Result<&StageInfo> {
        self.stages.iter().find(|stage| stage.slot == slot.name()).with_context(|| {
            format!("tollgate has no stage `{slot}`\nhint: xtask and tollgate are of different versions")
        })
    }
}

/// What a stage is asked to do.
#[derive(Debug, Serialize)]
pub(crate) struct StageRequest {
    pub(crate) contract_version: u32,
    pub(crate) slot: &'static str,
    pub(crate) seed: u64,
    pub(crate) inputs: Vec<Input>,
    pub(crate) output_dir: PathBuf,
    pub(crate) config: RequestConfig,
}

/// The part of a request that nobody but the stage reads.
#[derive(Debug, Serialize)]
pub(crate) struct RequestConfig {
    pub(crate) experiment: Map<String, Value>,
    pub(crate) stage: Map<String, Value>,
}

/// One artifact that a stage reads.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Input {
    pub(crate) kind: String,
    pub(crate) path: PathBuf,
    pub(crate) digest: String,
}

/// What the validator says about a slot's directory.
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    outputs: Vec<ManifestOutput>,
}

#[derive(Debug, Deserialize)]
struct ManifestOutput {
    rows: Option<u64>,
}

impl Manifest {
    /// Reads the manifest in a slot's directory.
    ///
    /// # Errors
    /// When it is missing or not a manifest.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("manifest.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}: not a manifest", path.display()))
    }

    /// Rows of all tables together.
    pub(crate) fn n_rows(&self) -> u64 {
        self.outputs.iter().filter_map(|output| output.rows).sum()
    }
}
