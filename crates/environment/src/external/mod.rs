//! Worlds that live outside of this program and speak a standard protocol; docs/environment-protocol.md describes both.
//!
//! JSON Lines: JSON-RPC 2.0 with Gymnasium's words over a child's standard input and output, one message a line. OpenEnv:
//! the WebSocket sessions of `openenv-core` servers, at a URL or in a child that is given a port. Behind either stands one
//! [`ExternalEnvironment`]: each call has a deadline, a world that broke is replaced, and the episode is replayed in the new
//! one if the world is deterministic.

mod arena;
mod error;
mod json_lines;
mod message;
mod openenv;
mod session;
mod settings;
mod world;
mod worlds;

pub mod conformance;

pub use arena::ExternalArena;
pub use error::SessionError;
pub use message::{Hello, Info, ResetReply, Scene, StepReply, TaskDescription};
pub use session::{Session, open_session};
pub use settings::{Connection, ExternalSettings, OpenEnvFields, Timeouts};
pub use world::ExternalEnvironment;
pub use worlds::ExternalWorlds;

/// The name that tasks of external worlds carry as their environment.
pub const ENVIRONMENT: &str = "external";

/// The version of the JSON Lines protocol that is spoken here.
pub const PROTOCOL_VERSION: u32 = 1;
