//! The last lines of a child's standard error, for error messages.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStderr, ChildStdout};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Lines that are kept.
const MAX_LINES: usize = 20;
/// Longest piece of a line that is kept together; a child that writes no line break must not fill the memory.
const MAX_LINE_BYTES: u64 = 1_024;

/// Reads standard error to its end on a thread of its own, so that the child never waits for a reader.
#[derive(Debug)]
pub(crate) struct LastWords {
    lines: Arc<Mutex<VecDeque<String>>>,
    is_drained: Receiver<()>,
}

impl LastWords {
    /// Listens to standard error, and to standard output where it is a log as well.
    pub(crate) fn listen(stderr: ChildStderr, log: Option<ChildStdout>) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let (end, is_drained) = channel();
        let streams = [Some(Box::new(stderr) as Box<dyn Read + Send>), log.map(|log| Box::new(log) as _)];
        for stream in streams.into_iter().flatten() {
            let (kept, end) = (Arc::clone(&lines), end.clone());
            thread::spawn(move || {
                keep_last_lines(stream, &kept);
                // Nothing is ever sent: when the last of these is gone, everything has been read.
                drop(end);
            });
        }
        Self { lines, is_drained }
    }

    /// What is kept, after waiting up to `patience` for what is still on its way.
    pub(crate) fn text(&self, patience: Duration) -> String {
        let _ = self.is_drained.recv_timeout(patience);
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

fn keep_last_lines(stream: impl Read, kept: &Mutex<VecDeque<String>>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == MAX_LINES {
            kept.pop_front();
        }
        kept.push_back(text);
        line.clear();
    }
}
