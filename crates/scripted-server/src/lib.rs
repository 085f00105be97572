//! An OpenAI-compatible endpoint whose every answer, fault and delay is scripted, for tests and measurements.
//!
//! A script is a function from what was asked to a [`Reply`]: a completion, a status, a page, a body that breaks off, a stream
//! that does, or silence. The server writes down what it saw and whether it could hand its answer over. It runs on threads of
//! its own, on the loopback interface only, and knows no model.
//!
//! ```
//! use tollgate_scripted_server::{Reply, ScriptedServer};
//!
//! let server = ScriptedServer::start(|asked| Reply::completion(&format!("you are number {}", asked.number), 10, 4))?;
//! assert!(server.base_url().starts_with("http://127.0.0.1:"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod http;
mod reply;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tollgate_wire::ChatRequest;

pub use reply::Reply;

/// What a client asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its place among all requests, from 0.
    pub number: usize,
    /// The request.
    pub request: ChatRequest,
    /// Its header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: String,
}

impl Asked {
    /// A header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A request, and what became of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// What was asked.
    pub asked: Asked,
    /// The answer's status; 0 for silence.
    pub status: u16,
    /// Whether the answer was written to its end.
    pub was_handed_over: bool,
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    n_asked: AtomicUsize,
    n_open: AtomicUsize,
    max_open: AtomicUsize,
    is_ending: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("n_asked", &self.n_asked).finish_non_exhaustive()
    }
}

impl ScriptedServer {
    /// Starts a server on a free port of the loopback interface.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Box::new(script),
            seen: Mutex::default(),
            n_asked: AtomicUsize::new(0),
            n_open: AtomicUsize::new(0),
            max_open: AtomicUsize::new(0),
            is_ending: AtomicBool::new(false),
        });
        let for_listener = shared.clone();
        let listener = thread::spawn(move || accept(&listener, &for_listener));
        Ok(Self { address, shared, listener: Some(listener) })
    }

    /// What a client takes as its base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Every request so far that the script has answered.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen().clone()
    }

    /// How many requests have come so far.
    #[must_use]
    pub fn n_asked(&self) -> usize {
        self.shared.n_asked.load(Ordering::SeqCst)
    }

    /// The most requests that were open at once.
    #[must_use]
    pub fn max_open(&self) -> usize {
        self.shared.max_open.load(Ordering::SeqCst)
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        let _refused = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _panicked = listener.join();
        }
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_down(&self, seen: Seen) -> usize {
        let mut all = self.seen();
        all.push(seen);
        all.len() - 1
    }

    /// Answers the requests of one connection until it ends. A connection that fails is the client's affair.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = io::BufReader::new(stream);
        while let Some((headers, body)) = http::read_request(&mut reader)? {
            let Ok(request) = serde_json::from_str(&body) else {
                return Reply::status(400, "{\"error\": {\"message\": \"no chat request\"}}").write(stream).map(|_| ());
            };
            let open = self.n_open.fetch_add(1, Ordering::SeqCst) + 1;
            self.max_open.fetch_max(open, Ordering::SeqCst);
            let asked = Asked { number: self.n_asked.fetch_add(1, Ordering::SeqCst), request, headers, body };
            let reply = (self.script)(&asked);
            // Before the answer goes out, so that whoever has it finds the request written down.
            let place = self.write_down(Seen { asked, status: reply.status_code(), was_handed_over: false });
            reply.wait(stream);
            // Before as well: whoever has the answer may ask again at once, and then two would seem to be open.
            self.n_open.fetch_sub(1, Ordering::SeqCst);
            let written = reply.write(stream);
            self.seen()[place].was_handed_over = matches!(written, Ok(true));
            if !written? {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_ending.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = shared.clone();
        thread::spawn(move || {
            let _broken = shared.serve(&stream);
        });
    }
}
