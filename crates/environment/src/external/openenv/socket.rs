//! A WebSocket with deadlines, which answers pings between two calls as well.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

use super::super::SessionError;

/// How often pings are answered while nobody asks anything. Servers close a connection that lets their pings wait, uvicorn
/// after 20 seconds; a real model may think for longer.
const ANSWER_PINGS_EVERY: Duration = Duration::from_secs(5);

/// A connection to `/ws`.
pub(super) struct Socket {
    peer: String,
    shared: Arc<Mutex<WebSocket<TimedStream>>>,
    /// Dropping it ends the thread that answers pings.
    _keeper: Sender<()>,
}

/// A TCP stream whose reads and writes end at a deadline.
struct TimedStream {
    stream: TcpStream,
    deadline: Instant,
}

impl Socket {
    /// Connects to the server at a base URL.
    pub(super) fn connect(url: &str, max_message_bytes: usize, timeout: Duration) -> Result<Self, SessionError> {
        let failed = |reason: String| SessionError::Connection { peer: url.to_owned(), reason };
        let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("ws://")) else {
            return Err(failed("the URL does not begin with `http://`\nhint: put a TLS proxy in front of it, or use the server's address behind its own".to_owned()));
        };
        let deadline = Instant::now() + timeout;
        let authority = rest.split('/').next().unwrap_or(rest);
        let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
        let stream = connect_to(&address, timeout).map_err(|error| failed(format!("cannot connect: {error}")))?;
        // Without it each small message waits for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(max_message_bytes))
            .max_frame_size(Some(max_message_bytes));
        let stream = TimedStream { stream, deadline };
        let upgraded = tungstenite::client::client_with_config(format!("ws://{rest}/ws"), stream, Some(config));
        let (socket, _) = upgraded.map_err(|error| match error {
            tungstenite::HandshakeError::Interrupted(_) => failed(format!(
                "`/ws` did not open within {} s",
                timeout.as_secs_f64()
            )),
            tungstenite::HandshakeError::Failure(error) => failed(format!(
                "`/ws` does not open a WebSocket: {error}\nhint: an OpenEnv server needs the package `websockets` for it"
            )),
        })?;
        let shared = Arc::new(Mutex::new(socket));
        Ok(Self { peer: url.to_owned(), _keeper: keep_alive(&shared), shared })
    }

    /// Sends a text and waits for the text that answers it.
    pub(super) fn exchange(&self, method: &'static str, text: &str, timeout: Duration) -> Result<String, SessionError> {
        let mut socket = lock(&self.shared);
        socket.get_mut().deadline = Instant::now() + timeout;
        socket.send(Message::text(text)).map_err(|error| self.lost(method, &error, timeout))?;
        loop {
            match socket.read().map_err(|error| self.lost(method, &error, timeout))? {
                Message::Text(answer) => return Ok(answer.as_str().to_owned()),
                Message::Close(frame) => {
                    let why = frame.map(|frame| format!(": {} {}", frame.code, frame.reason)).unwrap_or_default();
                    return Err(self.error(format!("the server closed the connection after `{method}`{why}")));
                }
                Message::Binary(_) => return Err(self.error(format!("`{method}` was answered in binary"))),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Says goodbye, and waits until the server has taken leave as well: only then is there room for another session.
    pub(super) fn close(&self, timeout: Duration) {
        let mut socket = lock(&self.shared);
        socket.get_mut().deadline = Instant::now() + timeout;
        if socket.send(Message::text("{\"type\": \"close\"}")).is_ok() {
            while socket.read().is_ok() {}
        }
    }

    fn lost(&self, method: &'static str, error: &Error, waited: Duration) -> SessionError {
        match error {
            Error::Io(error) if is_timeout(error.kind()) => {
                SessionError::TimedOut { peer: self.peer.clone(), method, waited }
            }
            Error::Capacity(error) => self.error(format!(
                "`{method}` was answered by a message that is too long: {error}\nhint: `max_message_bytes` in the config is the limit"
            )),
            Error::Utf8(_) => self.error(format!("`{method}` was answered by a text that is not UTF-8")),
            error => self.error(format!("the connection was lost at `{method}`: {error}")),
        }
    }

    fn error(&self, reason: String) -> SessionError {
        SessionError::Connection { peer: self.peer.clone(), reason }
    }
}

fn connect_to(address: &str, timeout: Duration) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn keep_alive(shared: &Arc<Mutex<WebSocket<TimedStream>>>) -> Sender<()> {
    let (sender, is_dropped) = channel();
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        while let Err(RecvTimeoutError::Timeout) = is_dropped.recv_timeout(ANSWER_PINGS_EVERY) {
            // Whoever holds the lock is in a call, which answers pings itself.
            if let Ok(mut socket) = shared.try_lock() {
                socket.get_mut().deadline = Instant::now();
                // Takes in what has arrived, and with it sends the answers to pings. Errors show at the next call.
                while socket.read().is_ok() {}
            }
        }
    });
    sender
}

fn lock(shared: &Mutex<WebSocket<TimedStream>>) -> MutexGuard<'_, WebSocket<TimedStream>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl TimedStream {
    fn left(&self) -> Duration {
        // A timeout of nothing would mean none.
        self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_micros(1))
    }
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()))?;
        self.stream.read(buffer)
    }
}

impl Write for TimedStream {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()))?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}
