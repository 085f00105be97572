//! One conversation with a world, whichever way it is carried.

use super::json_lines::JsonLinesSession;
use super::openenv::OpenEnvSession;
use super::{Connection, ExternalSettings, Hello, ResetReply, Scene, SessionError, StepReply, TaskDescription};

/// One conversation with a world: it plays one episode at a time.
///
/// After an error that [breaks the session](SessionError::is_broken_session) it has to be dropped.
pub trait Session: Send {
    /// What the world said about itself.
    fn hello(&self) -> &Hello;

    /// Begins an episode.
    ///
    /// # Errors
    /// A [`SessionError`].
    fn reset(&mut self, scene: &Scene) -> Result<ResetReply, SessionError>;

    /// Lets the agent do what its command says.
    ///
    /// # Errors
    /// A [`SessionError`].
    fn step(&mut self, command: &str) -> Result<StepReply, SessionError>;

    /// The world's own tasks; `None` when it has no word for them.
    ///
    /// # Errors
    /// A [`SessionError`].
    fn tasks(&mut self) -> Result<Option<Vec<TaskDescription>>, SessionError>;

    /// Sends what is no message, and returns what the world answered: an error, if it is well behaved.
    ///
    /// # Errors
    /// A [`SessionError`].
    fn send_malformed(&mut self) -> Result<String, SessionError>;

    /// Kills what the session runs on, as an accident would. For checks; `false` where nothing is ours to kill.
    fn kill(&mut self) -> bool;

    /// Ends the conversation, and the child if there is one.
    ///
    /// # Errors
    /// When the world does not end by itself.
    fn close(self: Box<Self>) -> Result<(), SessionError>;
}

/// Starts or reaches the world, and makes sure that it speaks as expected.
///
/// # Errors
/// A [`SessionError`].
pub fn open_session(settings: &ExternalSettings) -> Result<Box<dyn Session>, SessionError> {
    let session: Box<dyn Session> = match &settings.connection {
        Connection::JsonLines(process) => Box::new(JsonLinesSession::open(process, settings)?),
        Connection::OpenEnvUrl { url, fields, .. } => Box::new(OpenEnvSession::connect(url, fields, settings)?),
        Connection::OpenEnvCommand { process, fields } => Box::new(OpenEnvSession::serve(process, fields, settings)?),
    };
    let hello = session.hello();
    if hello.n_signals == settings.n_signals {
        Ok(session)
    } else {
        Err(SessionError::Settings {
            peer: hello.name.clone(),
            reason: format!(
                "its observations carry {} signals, expected {}\nhint: `n_signals` in the config has to agree with the environment's `hello`",
                hello.n_signals, settings.n_signals
            ),
        })
    }
}
