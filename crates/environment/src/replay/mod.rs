//! Replay: a semi-real environment made of logs in which one model played each episode. Our design; docs/method.md has the reasons.
//!
//! While the router stays with one model from the start, the episode is that model's log, word for word
//! ([`Provenance::Logged`](tollgate_routing::Provenance::Logged)). Where it switches, the other model's own log of the task goes on
//! from a matching state (`Matched`): one of the same kind, before which that log had learnt nothing that this history has not. Where
//! there is none, a step is drawn from the model's logged steps in the same class of states (`Drawn`).
//!
//! A model whose own log of a task failed never solves that task, whatever is drawn: how a model fares on a task is decided once per
//! episode, so mixing models cannot make successes out of new draws.
//!
//! This module reads no files and knows no domain: what makes two states alike comes in as [`ReplaySettings`].

mod arena;
mod continuation;
mod donors;
mod error;
mod history;
mod honesty;
mod logs;
mod settings;
mod state;
mod world;

pub use arena::ReplayArena;
pub use error::ReplayError;
pub use honesty::{SwitchCheck, Withheld};
pub use logs::ReplayLogs;
pub use settings::{OutcomeRule, ReplaySettings};
pub use world::{ReplayEnvironment, ReplayModels};
