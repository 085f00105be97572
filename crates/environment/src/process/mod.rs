//! Child processes that worlds run in: started, listened to with deadlines, and ended with everything they started.
//!
//! A [`ChildProcess`] has a process group of its own. Dropping it kills the group, and so does the end of this program, however
//! it comes: the group's leader is a watchdog (a shell that waits for a pipe to close), and sees to that even after a KILL.

mod child;
mod error;
mod last_words;

pub use child::{ChildProcess, ProcessSpec, StdoutUse};
pub use error::ProcessError;

pub(crate) use error::excerpt;
