//! A whole comparison as a document: every policy of a run, with intervals over tasks and training runs.
//!
//! Rivals with settings are tuned as the trained policy is: where one of a family's settings has to be picked, the validation tasks
//! pick it, separately for each operating point and each training run.

mod comparison;
mod page;

pub(crate) use comparison::{Comparison, OperatingPoints};
pub(crate) use page::{Origin, page};
