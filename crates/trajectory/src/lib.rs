//! Artifacts on the disk: Parquet files that appear whole or not at all, and are checked before their first row is read.
//!
//! The crate knows no column: the schemas, and rows to Arrow and back, are `tollgate-contract`'s.
//!
//! ```
//! use tollgate_contract::TaskRow;
//! use tollgate_routing::{Split, TaskId};
//! use tollgate_trajectory::{ArtifactWriter, read_rows};
//!
//! let task = TaskRow {
//!     id: TaskId::new("household-train-0001"),
//!     environment: "household".into(),
//!     split: Split::Train,
//!     seed: 7,
//!     instruction: "put a mug in the cabinet".into(),
//!     horizon: 30,
//!     kind: None,
//!     group: None,
//! };
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("tasks.parquet");
//! let mut writer = ArtifactWriter::create(&path)?;
//! writer.write(task.clone())?;
//! assert!(!path.exists());
//! assert_eq!(writer.finish()?.rows, 1);
//! assert_eq!(read_rows::<TaskRow>(&path)?, [task]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod publish;
mod reader;
mod validate;
mod writer;

pub use error::TrajectoryError;
pub use publish::PartialDirectory;
pub use reader::{ArtifactReader, Batches, read_rows};
pub use validate::{SlotContents, validate_slot};
pub use writer::{ArtifactWriter, BatchWriter, WrittenArtifact, write_rows};

/// The footer key that names the artifact.
pub const KIND_KEY: &str = "tollgate.kind";

/// The footer key that names the version of the contract.
pub const VERSION_KEY: &str = "tollgate.contract_version";
