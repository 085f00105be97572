//! What a person needs around the stages.

pub(crate) mod bench;
mod bench_import;
mod bench_live;
pub(crate) mod calibrate;
pub(crate) mod check_config;
pub(crate) mod collapse;
pub(crate) mod contract_docs;
mod described_tasks;
pub(crate) mod environment;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod prices;
pub(crate) mod recalibrate;
pub(crate) mod robustness;
pub(crate) mod specialists;
pub(crate) mod stages;
pub(crate) mod study;
pub(crate) mod tasks;
pub(crate) mod validate;
