//! Boundary probes to a difficulty per task: how hard a task is, judged by the outcomes of always-small and always-large.
//!
//! This crate plays no episode and reads no file; it keeps every count beside the label, because a failed probe is no
//! proof.
//!
//! ```
//! use tollgate_routing::{Difficulty, NanoUsd, TaskId};
//! use tollgate_taxonomy::{Boundary, ProbeOutcome, Thresholds, classify};
//!
//! let probe = |boundary, is_success| ProbeOutcome { boundary, is_success, score: 0.0, cost: NanoUsd::new(1_000) };
//! let probes = [probe(Boundary::AlwaysSmall, false), probe(Boundary::AlwaysLarge, true)];
//! let label = classify(&TaskId::new("task-1"), &probes, &Thresholds::default())?;
//! assert_eq!(label.difficulty, Difficulty::Hard);
//! # Ok::<(), tollgate_taxonomy::TaxonomyError>(())
//! ```

mod classify;
mod thresholds;
mod wilson;

pub use classify::{Boundary, ProbeOutcome, TaxonomyError, classify};
pub use thresholds::{Thresholds, ThresholdsConfig};
pub use wilson::{Interval, wilson_interval};
