//! The sessions of one world, shared by all who play in it.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{ExternalEnvironment, ExternalSettings, Session, SessionError, open_session};

/// A world outside of this program, and the sessions with it: as many as ever played at once, kept for the next player.
pub struct ExternalWorlds {
    settings: ExternalSettings,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Box<dyn Session>>,
    /// Sessions that exist, idle ones included, or are about to.
    n_sessions: usize,
}

impl ExternalWorlds {
    /// The world that `settings` describe. Nothing is started before somebody plays.
    #[must_use]
    pub fn new(settings: ExternalSettings) -> Arc<Self> {
        Arc::new(Self { settings, state: Mutex::default(), freed: Condvar::new() })
    }

    /// An environment to play in. Its session comes from here, and goes back when it is dropped.
    #[must_use]
    pub fn environment(self: &Arc<Self>) -> ExternalEnvironment {
        ExternalEnvironment::new(Arc::clone(self))
    }

    /// Where the world is, and what is expected of it.
    #[must_use]
    pub const fn settings(&self) -> &ExternalSettings {
        &self.settings
    }

    /// An idle session, or a new one; where their number is limited, waits until there is one.
    pub(crate) fn take(&self) -> Result<Box<dyn Session>, SessionError> {
        let max_sessions = self.settings.connection.max_sessions().unwrap_or(usize::MAX);
        let mut state = self.lock();
        loop {
            if let Some(session) = state.idle.pop() {
                return Ok(session);
            }
            if state.n_sessions < max_sessions {
                state.n_sessions += 1;
                break;
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // Not under the lock: others go on while this one starts.
        drop(state);
        open_session(&self.settings).inspect_err(|_| self.forget())
    }

    /// Takes back a session in which the next episode can be played.
    pub(crate) fn give_back(&self, session: Box<dyn Session>) {
        self.lock().idle.push(session);
        self.freed.notify_one();
    }

    /// Notes that a session is gone.
    pub(crate) fn forget(&self) {
        self.lock().n_sessions -= 1;
        self.freed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding the lock; and if so, the state is sound at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ExternalWorlds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_sessions = self.lock().n_sessions;
        let debug = &mut formatter.debug_struct("ExternalWorlds");
        debug.field("settings", &self.settings).field("n_sessions", &n_sessions).finish_non_exhaustive()
    }
}
