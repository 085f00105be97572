//! The few plain HTTP requests that come before a session.

use std::time::Duration;

use serde_json::Value;

use super::super::SessionError;
use crate::process::excerpt;

/// Asks an OpenEnv server about itself.
pub(super) struct HttpClient {
    url: String,
    agent: ureq::Agent,
    max_bytes: usize,
}

impl HttpClient {
    pub(super) fn new(url: &str, max_bytes: usize) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        Self { url: url.to_owned(), agent: config.into(), max_bytes }
    }

    /// Whether the server says that it is well.
    pub(super) fn check_health(&self, timeout: Duration) -> Result<(), SessionError> {
        let health = self.get_json("/health", timeout)?;
        match health.get("status").and_then(Value::as_str) {
            Some("healthy") => Ok(()),
            _ => Err(self.error(format!("`/health` says {health}, expected the status \"healthy\""))),
        }
    }

    /// The JSON at `path`.
    pub(super) fn get_json(&self, path: &str, timeout: Duration) -> Result<Value, SessionError> {
        let url = format!("{}{path}", self.url);
        // A timeout of nothing would mean none.
        let timeout = timeout.max(Duration::from_millis(1));
        let request = self.agent.get(&url).config().timeout_global(Some(timeout)).build();
        let mut response = request.call().map_err(|error| self.error(format!("`{path}`: {error}")))?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(self.max_bytes as u64).read_to_string();
        let body = body.map_err(|error| self.error(format!("`{path}`: {error}")))?;
        let hint = "hint: is this the base URL of an OpenEnv server?";
        if !status.is_success() {
            return Err(self.error(format!("`{path}` answers {status}: {}\n{hint}", excerpt(&body))));
        }
        serde_json::from_str(&body)
            .map_err(|error| self.error(format!("`{path}` is not JSON ({error}): {}\n{hint}", excerpt(&body))))
    }

    fn error(&self, reason: String) -> SessionError {
        SessionError::Connection { peer: self.url.clone(), reason }
    }
}
