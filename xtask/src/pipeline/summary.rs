//! `run_summary.json`: what a run did, for programs.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::publish::write_atomically;

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SlotStatus {
    /// Published outputs are unchanged and were kept.
    Skipped,
    /// The stage ran and its outputs are published.
    Ran,
    /// The stage, its validation or its publication failed.
    Failed,
    /// The stage would run; only with `--check`.
    WouldRun,
}

/// One slot of a run.
#[derive(Debug, Serialize)]
pub(crate) struct SlotSummary {
    pub(crate) slot: &'static str,
    pub(crate) status: SlotStatus,
    /// Why it ran, or was skipped.
    pub(crate) reason: String,
    pub(crate) seconds: f64,
    pub(crate) rows: Option<u64>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) error: Option<String>,
}

/// One run of the pipeline. Slots that were never reached are not listed.
#[derive(Debug, Serialize)]
pub(crate) struct RunSummary {
    pub(crate) config: String,
    pub(crate) run_dir: String,
    pub(crate) seed: u64,
    pub(crate) is_check: bool,
    pub(crate) succeeded: bool,
    pub(crate) failed_slot: Option<&'static str>,
    pub(crate) seconds: f64,
    pub(crate) slots: Vec<SlotSummary>,
}

impl RunSummary {
    /// Writes `run_summary.json` into the run directory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, run_dir: &Path) -> Result<()> {
        write_atomically(&run_dir.join("run_summary.json"), &serde_json::to_string_pretty(self)?)
    }
}
