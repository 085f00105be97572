//! Logs of real agents into `episodes.parquet`, `steps.parquet` and `tasks.parquet`, in one pass and in memory that does not
//! grow with the log.
//!
//! Five forms are read ([`LogFormat`]), plain or compressed. Only whole episodes are kept: a part has neither its cost nor its
//! outcome. What is left out is reported row by row, and costs that are recorded, metered and estimated are never added up.
//! The crate reads no mapping file: whoever calls it makes an [`ImportPlan`].
//!
//! ```
//! use tollgate_import::{ImportOptions, ImportPlan, LogFormat, LogSource, import};
//!
//! let directory = tempfile::tempdir()?;
//! let log = directory.path().join("steps.jsonl");
//! std::fs::write(&log, r#"{"task_id":"t1","model":"gpt-4","step_index":0,"n_steps":1,"observation":"2+2?","action":"4",
//!  "prompt_tokens":9,"completion_tokens":1,"cost_usd":0.00033,"token_source":"recorded","success":true}"#.replace('\n', ""))?;
//! let options = ImportOptions {
//!     format: LogFormat::StepsJsonl,
//!     is_strict: true,
//!     max_row_bytes: 1 << 20,
//!     out: directory.path().join("imported"),
//! };
//! let report = import(&[LogSource::File(log)], &ImportPlan::default(), &options)?;
//! assert_eq!((report.n_episodes, report.models[0].total_cost_nano_usd), (1, Some(330_000)));
//! assert!(options.out.join("steps.parquet").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assembly;
mod decimal;
mod document;
mod error;
mod formats;
mod json;
mod lines;
mod open_episode;
mod outcome;
mod plan;
mod price_table;
mod record;
mod report;
mod run;
mod skips;
mod source;
mod split;
mod survey;
mod tables;
mod wheel;

pub use error::ImportError;
pub use plan::{GivenOutcome, ImportOptions, ImportPlan, LogFormat, OutcomeRule, SplitBy, SplitRule};
pub use price_table::{PriceTable, PriceTableError, TableModel};
pub use report::{ImportReport, ModelReport, SplitReport};
pub use run::import;
pub use skips::{Reason, SkippedRow};
pub use source::LogSource;
pub use wheel::{WheelError, read_from_wheel};
