//! Every artifact's schema, the stage request and the manifest, and their validation: what stages owe each other.
//!
//! The crate turns domain types into Arrow record batches and back, and checks batches that others made. It opens no
//! Parquet file (`tollgate-trajectory` does) and computes no statistic that a stage is responsible for.
//!
//! Each artifact is a module with its columns; each column says its type, unit and meaning once, and the pages in
//! docs/contract/ are generated from that ([`docs`]).
//!
//! ```
//! use tollgate_contract::{ArtifactKind, ArtifactRow, TaskRow};
//! use tollgate_routing::{Split, TaskId};
//!
//! let task = TaskRow {
//!     id: TaskId::new("household-train-0001"),
//!     environment: "household".into(),
//!     split: Split::Train,
//!     seed: u64::MAX,
//!     instruction: "put a mug in the cabinet".into(),
//!     horizon: 30,
//!     kind: None,
//!     group: None,
//! };
//! let batch = TaskRow::to_batch(&[task.clone()])?;
//! assert_eq!(batch.schema(), ArtifactKind::Tasks.schema());
//! assert_eq!(TaskRow::from_batch(&batch)?, [task]);
//! # Ok::<(), tollgate_contract::ContractError>(())
//! ```

pub mod boundary_labels;
mod check;
mod column;
mod decode;
mod digest;
pub mod docs;
mod encode;
pub mod episodes;
mod error;
pub mod evaluations;
pub mod frontier;
mod kind;
mod request;
pub mod sft_examples;
mod slot;
pub mod steps;
pub mod tasks;
pub mod training_log;

pub use check::{CheckSummary, Checks, Finding, Findings};
pub use column::{Column, ColumnType};
pub use digest::{Digest, DigestWriter};
pub use encode::{budget_kind, shortest_double};
pub use episodes::EpisodeRow;
pub use error::ContractError;
pub use evaluations::EvaluationRow;
pub use frontier::FrontierRow;
pub use kind::{ArtifactKind, ArtifactRow};
pub use request::{Manifest, ManifestInput, ManifestOutput, RequestInput, StageRequest};
pub use slot::{CONTRACT_VERSION, ProductKind, Slot};
pub use steps::StepRow;
pub use tasks::TaskRow;
/// A row of `boundary_labels.parquet`.
pub use tollgate_routing::BoundaryLabel as BoundaryLabelRow;
/// A row of `sft_examples.parquet`.
pub use tollgate_routing::SftExample as SftExampleRow;
pub use training_log::{TrainingLogRow, TrainingMetrics};
