//! JSON Lines over a child's standard input and output: JSON-RPC 2.0 with Gymnasium's words.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    ExternalSettings, Hello, PROTOCOL_VERSION, ResetReply, Scene, Session, SessionError, StepReply, TaskDescription,
    Timeouts,
};
use crate::process::{ChildProcess, ProcessSpec, excerpt};

/// JSON-RPC's code for a method that does not exist.
const METHOD_NOT_FOUND: i64 = -32_601;

/// A child that speaks JSON Lines.
pub(crate) struct JsonLinesSession {
    child: ChildProcess,
    hello: Hello,
    last_id: u64,
    timeouts: Timeouts,
    n_signals: usize,
    /// Whether question and answer are in step, so that a farewell makes sense.
    is_sound: bool,
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a P>,
}

#[derive(Serialize)]
struct StepParams<'a> {
    action: &'a str,
}

#[derive(Serialize)]
struct HelloParams {
    protocol_version: u32,
}

#[derive(Deserialize)]
struct Response<R> {
    id: Option<u64>,
    result: Option<R>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
    message: String,
}

#[derive(Deserialize)]
struct TasksReply {
    tasks: Vec<TaskDescription>,
}

#[derive(Deserialize)]
struct Nothing {}

impl JsonLinesSession {
    /// Starts the child and shakes hands.
    pub(crate) fn open(process: &ProcessSpec, settings: &ExternalSettings) -> Result<Self, SessionError> {
        let mut process = process.clone();
        process.max_line_bytes = settings.max_message_bytes;
        let mut session = Self {
            child: ChildProcess::start(&process)?,
            hello: Hello { protocol_version: 0, name: process.program(), is_deterministic: false, n_signals: 0 },
            last_id: 0,
            timeouts: settings.timeouts,
            n_signals: settings.n_signals,
            is_sound: true,
        };
        let params = HelloParams { protocol_version: PROTOCOL_VERSION };
        let hello: Hello = session.call("hello", Some(&params), settings.timeouts.start)?;
        if hello.protocol_version != PROTOCOL_VERSION {
            return Err(SessionError::Version {
                peer: session.peer(),
                found: hello.protocol_version,
                expected: PROTOCOL_VERSION,
            });
        }
        session.hello = hello;
        Ok(session)
    }

    fn peer(&self) -> String {
        format!("`{}`", self.child.program())
    }

    fn call<P: Serialize, R: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: Option<&P>,
        timeout: Duration,
    ) -> Result<R, SessionError> {
        let answered = self.exchange(method, params, timeout);
        self.is_sound = !matches!(&answered, Err(error) if error.is_broken_session());
        answered?.map_err(|refusal| self.refused(method, refusal))
    }

    fn exchange<P: Serialize, R: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: Option<&P>,
        timeout: Duration,
    ) -> Result<Result<R, Refusal>, SessionError> {
        let started = Instant::now();
        self.last_id += 1;
        let request = Request { jsonrpc: "2.0", id: self.last_id, method, params };
        let request = serde_json::to_string(&request).map_err(|error| SessionError::Connection {
            peer: self.peer(),
            reason: format!("`{method}` cannot be written: {error}"),
        })?;
        self.child.write_line(&request, timeout)?;
        let line = self.child.read_line(timeout.saturating_sub(started.elapsed()))?;
        let response: Response<R> = serde_json::from_str(&line).map_err(|error| {
            let hint = if line.trim_start().starts_with('{') {
                "docs/environment-protocol.md shows every message"
            } else {
                "standard output is the conversation, one JSON object a line; print anything else to standard error"
            };
            self.nonsense(method, &line, error.to_string(), hint)
        })?;
        let (reason, hint) = match (response.id, response.result, response.error) {
            (Some(id), Some(result), None) if id == self.last_id => return Ok(Ok(result)),
            (Some(id), None, Some(error)) if id == self.last_id => return Ok(Err(error)),
            (Some(id), ..) if id != self.last_id => {
                (format!("its `id` is {id}, expected {}", self.last_id), "each request is answered once, in order")
            }
            (None, ..) => ("it has no `id`".to_owned(), "an answer repeats the `id` of its request"),
            _ => ("it has not either `result` or `error`".to_owned(), "an answer has one of the two"),
        };
        Err(self.nonsense(method, &line, reason, hint))
    }

    fn refused(&self, method: &'static str, refusal: Refusal) -> SessionError {
        SessionError::Refused { peer: self.peer(), method, message: refusal.message }
    }

    fn nonsense(&self, method: &'static str, line: &str, reason: String, hint: &'static str) -> SessionError {
        SessionError::Nonsense { peer: self.peer(), method, found: excerpt(line), reason, hint }
    }

    fn check(&mut self, method: &'static str, fault: Option<String>) -> Result<(), SessionError> {
        let Some(reason) = fault else { return Ok(()) };
        self.is_sound = false;
        Err(SessionError::Nonsense {
            peer: self.peer(),
            method,
            found: "figures out of range".to_owned(),
            reason,
            hint: "docs/environment-protocol.md tells the range of each figure",
        })
    }
}

impl Session for JsonLinesSession {
    fn hello(&self) -> &Hello {
        &self.hello
    }

    fn reset(&mut self, scene: &Scene) -> Result<ResetReply, SessionError> {
        let reply: ResetReply = self.call("reset", Some(scene), self.timeouts.reset)?;
        self.check("reset", reply.info.fault(self.n_signals))?;
        Ok(reply)
    }

    fn step(&mut self, command: &str) -> Result<StepReply, SessionError> {
        let reply: StepReply = self.call("step", Some(&StepParams { action: command }), self.timeouts.step)?;
        self.check("step", reply.fault(self.n_signals))?;
        Ok(reply)
    }

    fn tasks(&mut self) -> Result<Option<Vec<TaskDescription>>, SessionError> {
        match self.exchange::<(), TasksReply>("tasks", None, self.timeouts.start)? {
            Ok(reply) => Ok(Some(reply.tasks)),
            Err(refusal) if refusal.code == METHOD_NOT_FOUND => Ok(None),
            Err(refusal) => Err(self.refused("tasks", refusal)),
        }
    }

    fn send_malformed(&mut self) -> Result<String, SessionError> {
        self.child.write_line("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"st", self.timeouts.step)?;
        let line = self.child.read_line(self.timeouts.step)?;
        if let Ok(Response { error: Some(error), .. }) = serde_json::from_str::<Response<serde_json::Value>>(&line) {
            return Ok(error.message);
        }
        let reason = "it is no answer with an `error`".to_owned();
        Err(self.nonsense("a malformed message", &line, reason, "answer with an `error` whose `id` is null"))
    }

    fn kill(&mut self) -> bool {
        self.is_sound = false;
        self.child.kill();
        true
    }

    fn close(mut self: Box<Self>) -> Result<(), SessionError> {
        let deadline = self.timeouts.close;
        let _answer: Nothing = self.call("close", None::<&()>, deadline)?;
        self.is_sound = false;
        match self.child.stop(deadline) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(SessionError::Connection {
                peer: self.peer(),
                reason: format!("it ended with {status} after `close`, expected exit code 0"),
            }),
            None => Err(SessionError::Connection {
                peer: self.peer(),
                reason: format!("it did not end within {} s after `close`", deadline.as_secs_f64()),
            }),
        }
    }
}

impl Drop for JsonLinesSession {
    fn drop(&mut self) {
        if self.is_sound {
            let farewell = json!({"jsonrpc": "2.0", "id": self.last_id + 1, "method": "close"}).to_string();
            // Whoever does not listen is killed when the child is dropped.
            if self.child.write_line(&farewell, self.timeouts.close).is_ok() {
                let _ = self.child.stop(self.timeouts.close);
            }
        }
    }
}
