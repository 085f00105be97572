//! OpenEnv: a WebSocket session per player on an `openenv-core` server.
//!
//! Spoken as in `openenv-core` 0.3.0. Its plain HTTP `/reset` and `/step` make a new environment for every call, so that
//! only `/ws` can play an episode; HTTP is used for `/health`, `/metadata` and `/schema`.

mod http;
mod schema;
mod socket;

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use self::http::HttpClient;
use self::schema::{ObservationText, action_field};
use self::socket::Socket;
use super::{
    ExternalSettings, Hello, Info, OpenEnvFields, PROTOCOL_VERSION, ResetReply, Scene, Session, SessionError,
    StepReply, TaskDescription, Timeouts,
};
use crate::process::{ChildProcess, ProcessSpec, StdoutUse, excerpt};

/// Pause between two looks at whether a started server answers.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How long a started server may take to answer one such look, even if its time is nearly up: a look cut short tells nothing.
const LOOK_FOR: Duration = Duration::from_secs(1);

/// A session on an OpenEnv server.
pub(crate) struct OpenEnvSession {
    url: String,
    socket: Socket,
    /// The server, when it is ours. After the socket, so that the connection goes first.
    server: Option<ChildProcess>,
    hello: Hello,
    action_field: String,
    text: ObservationText,
    info_field: String,
    timeouts: Timeouts,
    n_signals: usize,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct ObservationMessage {
    observation: Value,
    #[serde(default)]
    reward: Option<f32>,
    #[serde(default)]
    done: bool,
}

impl OpenEnvSession {
    /// Connects to a server that runs already.
    pub(crate) fn connect(
        url: &str,
        fields: &OpenEnvFields,
        settings: &ExternalSettings,
    ) -> Result<Self, SessionError> {
        let url = url.trim_end_matches('/').to_owned();
        let deadline = Instant::now() + settings.timeouts.start;
        let client = HttpClient::new(&url, settings.max_message_bytes);
        client.check_health(settings.timeouts.start)?;
        Self::open(url, &client, None, fields, settings, deadline)
    }

    /// Starts a server on a free port and connects to it.
    pub(crate) fn serve(
        process: &ProcessSpec,
        fields: &OpenEnvFields,
        settings: &ExternalSettings,
    ) -> Result<Self, SessionError> {
        let deadline = Instant::now() + settings.timeouts.start;
        let port = free_port().map_err(|error| SessionError::Connection {
            peer: format!("`{}`", process.program()),
            reason: format!("there is no free port for it: {error}"),
        })?;
        let mut child = ChildProcess::start(&with_port(process, port))?;
        let url = format!("http://127.0.0.1:{port}");
        let client = HttpClient::new(&url, settings.max_message_bytes);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let health = client.check_health(LOOK_FOR);
            match health {
                Ok(()) => break,
                Err(_) if !child.is_alive() => return Err(child.ended().into()),
                Err(error) if left.is_zero() => {
                    return Err(SessionError::Connection {
                        peer: format!("`{}`", child.program()),
                        reason: format!(
                            "it did not serve OpenEnv on port {port} within {} s: {error}\nhint: it gets the port as `{{port}}` in its arguments and as PORT in its environment; its last words:\n{}",
                            settings.timeouts.start.as_secs_f64(),
                            child.stderr()
                        ),
                    });
                }
                Err(_) => thread::sleep(LOOK_EVERY),
            }
        }
        Self::open(url, &client, Some(child), fields, settings, deadline)
    }

    fn open(
        url: String,
        client: &HttpClient,
        server: Option<ChildProcess>,
        fields: &OpenEnvFields,
        settings: &ExternalSettings,
        deadline: Instant,
    ) -> Result<Self, SessionError> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let schema = client.get_json("/schema", left())?;
        let fault = |reason: String| SessionError::Settings { peer: url.clone(), reason };
        let action_field = action_field(&schema, fields).map_err(fault)?;
        let text = ObservationText::of(&schema, fields).map_err(fault)?;
        let metadata = client.get_json("/metadata", left())?;
        let name = metadata.get("name").and_then(Value::as_str).unwrap_or("OpenEnv environment").to_owned();
        let socket = Socket::connect(&url, settings.max_message_bytes, left())?;
        Ok(Self {
            socket,
            server,
            hello: Hello {
                protocol_version: PROTOCOL_VERSION,
                name,
                is_deterministic: fields.is_deterministic,
                // OpenEnv has no word for it: what the config says is checked with each observation.
                n_signals: settings.n_signals,
            },
            action_field,
            text,
            info_field: fields.info.clone(),
            timeouts: settings.timeouts,
            n_signals: settings.n_signals,
            url,
        })
    }

    /// Asks for an observation.
    fn ask(
        &mut self,
        method: &'static str,
        message: &Value,
        timeout: Duration,
    ) -> Result<ObservationMessage, SessionError> {
        let answer = self.exchange(method, &message.to_string(), timeout)?;
        let read = |reason: String| self.nonsense(method, &answer, reason);
        let message: Message = serde_json::from_str(&answer).map_err(|error| read(error.to_string()))?;
        match message.kind.as_str() {
            "observation" => serde_json::from_value(message.data).map_err(|error| read(error.to_string())),
            "error" => Err(SessionError::Refused { peer: self.url.clone(), method, message: refusal(&message.data) }),
            other => Err(read(format!("its `type` is `{other}`, expected `observation`"))),
        }
    }

    fn exchange(&mut self, method: &'static str, text: &str, timeout: Duration) -> Result<String, SessionError> {
        self.socket.exchange(method, text, timeout).map_err(|error| match (&error, &mut self.server) {
            // Of a lost connection the reason is more telling, if the server has one.
            (SessionError::Connection { .. }, Some(server)) => server.ended_just_now().map_or(error, Into::into),
            _ => error,
        })
    }

    fn nonsense(&self, method: &'static str, answer: &str, reason: String) -> SessionError {
        SessionError::Nonsense {
            peer: self.url.clone(),
            method,
            found: excerpt(answer),
            reason,
            hint: "the server should speak as `openenv-core` 0.3 does",
        }
    }

    fn read_info(&self, method: &'static str, observation: &Value) -> Result<Info, SessionError> {
        match observation.get(&self.info_field) {
            None | Some(Value::Null) => Ok(Info::default()),
            Some(info) => Info::deserialize(info)
                .map_err(|error| self.nonsense(method, &info.to_string(), format!("`{}`: {error}", self.info_field))),
        }
    }

    fn read_text(&self, method: &'static str, observation: &Value) -> Result<String, SessionError> {
        let found = || observation.to_string();
        self.text.read(observation).map_err(|reason| self.nonsense(method, &found(), reason))
    }

    fn fault(&self, method: &'static str, observation: &Value, fault: Option<String>) -> Result<(), SessionError> {
        fault.map_or(Ok(()), |reason| Err(self.nonsense(method, &observation.to_string(), reason)))
    }
}

impl Session for OpenEnvSession {
    fn hello(&self) -> &Hello {
        &self.hello
    }

    fn reset(&mut self, scene: &Scene) -> Result<ResetReply, SessionError> {
        // One flat object: the server hands over what the environment's `reset` has a parameter for.
        let mut data = json!(scene.options);
        data["seed"] = json!(scene.seed);
        let message = json!({"type": "reset", "data": data});
        let reply = self.ask("reset", &message, self.timeouts.reset)?;
        let info = self.read_info("reset", &reply.observation)?;
        self.fault("reset", &reply.observation, info.fault(self.n_signals))?;
        Ok(ResetReply { observation: self.read_text("reset", &reply.observation)?, info })
    }

    fn step(&mut self, command: &str) -> Result<StepReply, SessionError> {
        let message = json!({"type": "step", "data": {self.action_field.as_str(): command}});
        let reply = self.ask("step", &message, self.timeouts.step)?;
        let step = StepReply {
            observation: self.read_text("step", &reply.observation)?,
            reward: reply.reward.unwrap_or(0.0),
            terminated: reply.done,
            truncated: false,
            info: self.read_info("step", &reply.observation)?,
        };
        self.fault("step", &reply.observation, step.fault(self.n_signals))?;
        Ok(step)
    }

    fn tasks(&mut self) -> Result<Option<Vec<TaskDescription>>, SessionError> {
        Ok(None)
    }

    fn send_malformed(&mut self) -> Result<String, SessionError> {
        let answer = self.exchange("a malformed message", "{\"type\": \"st", self.timeouts.step)?;
        match serde_json::from_str::<Message>(&answer) {
            Ok(message) if message.kind == "error" => Ok(refusal(&message.data)),
            _ => Err(self.nonsense("a malformed message", &answer, "it is no `error`".to_owned())),
        }
    }

    fn kill(&mut self) -> bool {
        match &mut self.server {
            Some(server) => {
                server.kill();
                true
            }
            None => false,
        }
    }

    fn close(mut self: Box<Self>) -> Result<(), SessionError> {
        self.socket.close(self.timeouts.close);
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let grace = self.timeouts.close;
        // A web server does not read its standard input: TERM is how it is asked to end.
        server.terminate();
        match server.stop(grace) {
            Some(_) => Ok(()),
            None => Err(SessionError::Connection {
                peer: format!("`{}`", server.program()),
                reason: format!("it did not end within {} s after TERM", grace.as_secs_f64()),
            }),
        }
    }
}

impl Drop for OpenEnvSession {
    fn drop(&mut self) {
        // A server of ours is killed instead.
        if self.server.is_none() {
            self.socket.close(self.timeouts.close);
        }
    }
}

fn refusal(data: &Value) -> String {
    let text = |key: &str| data.get(key).and_then(Value::as_str);
    let message = text("message").map_or_else(|| data.to_string(), str::to_owned);
    match text("code") {
        Some("CAPACITY_REACHED") => format!(
            "{message} (CAPACITY_REACHED)\nhint: let the server take more sessions, or lower `max_sessions` in the config"
        ),
        Some(code) => format!("{message} ({code})"),
        None => message,
    }
}

/// A port that was free a moment ago. Whoever takes it meanwhile makes the server end with an error that says so.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn with_port(process: &ProcessSpec, port: u16) -> ProcessSpec {
    let mut process = process.clone();
    for argument in &mut process.argv {
        if let Some(text) = argument.to_str().filter(|text| text.contains("{port}")) {
            *argument = text.replace("{port}", &port.to_string()).into();
        }
    }
    process.env.push(("PORT".into(), port.to_string().into()));
    process.stdout = StdoutUse::Log;
    process
}
