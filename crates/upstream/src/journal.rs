//! The journal of a collection: what was paid for, so that nothing is paid for twice.
//!
//! One JSON object per line, only ever appended, brought to the disk before the program goes on:
//! - `reserved`: an attempt is about to be made, and this is its worst case;
//! - `answered`: what it brought, what it cost, and which call of which episode it was; of several for one call the first counts;
//! - `released`: nobody bills it.
//!
//! An attempt that is reserved and nothing more was in flight when the program ended: it counts at its worst case. A last line
//! without its end was being written when the program ended, and is dropped; any other line that cannot be read is an error,
//! because what it said about money is lost.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tollgate_routing::{NanoUsd, TokenUsage};
use tollgate_wire::ChatResponse;

use crate::UpstreamError;
use crate::account::Statement;

/// Which call of a collection it is: the same call of the same episode, with the same request. Calls of equal keys share an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallKey {
    /// The episode's name, or whatever else tells apart calls that are meant to be answered apart.
    pub episode: String,
    /// The step within the episode.
    pub step_idx: u32,
    /// Digest of all that the request says.
    pub request_digest: String,
}

impl CallKey {
    /// What all attempts of the call are sent with, and no other call is.
    pub(crate) fn idempotency_key(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [&self.episode, &self.request_digest] {
            // With their lengths, so that no two keys run together to the same bytes.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.update(&self.step_idx.to_le_bytes());
        format!("tollgate-{}", hasher.finalize().to_hex())
    }
}

/// An answer that was paid for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedAnswer {
    /// What the model said, whole.
    pub response: ChatResponse,
    /// Prompt tokens at the full price.
    pub input_tokens: u32,
    /// Prompt tokens read from the cache.
    pub cached_input_tokens: u32,
    /// Prompt tokens written to the cache.
    pub cache_write_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// The provider's own figure, where it has one.
    pub recorded_cost_nano_usd: Option<u64>,
    /// Whether the tokens were estimated, because the provider does not count.
    pub is_estimated: bool,
    /// How long the attempt took that brought the answer.
    pub latency_ms: u32,
}

impl RecordedAnswer {
    /// The tokens in their buckets.
    #[must_use]
    pub const fn usage(&self) -> TokenUsage {
        TokenUsage {
            input_tokens: self.input_tokens,
            cached_input_tokens: self.cached_input_tokens,
            cache_write_tokens: self.cache_write_tokens,
            output_tokens: self.output_tokens,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Reserved {
        attempt: u64,
        nano_usd: u64,
    },
    Answered {
        attempt: u64,
        cost_nano_usd: u64,
        #[serde(flatten)]
        key: CallKey,
        answer: Box<RecordedAnswer>,
    },
    Released {
        attempt: u64,
    },
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    state: Mutex<JournalState>,
}

#[derive(Debug)]
struct JournalState {
    next_attempt: u64,
    /// A write failed, so the last line may be half there: nothing may follow it.
    is_broken: bool,
    answers: HashMap<CallKey, Arc<RecordedAnswer>>,
}

impl Journal {
    /// Opens or begins the journal at `path`, and adds up what it holds.
    pub(crate) fn open(path: &Path) -> Result<(Self, Statement), UpstreamError> {
        let failed = |error: std::io::Error| fault(path, &format!("the journal cannot be opened: {error}"));
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        // Two runs that write one journal would each spend the whole limit.
        file.try_lock().map_err(|_| {
            fault(path, "the journal is in use by another run\nhint: wait until that has ended, or give this one a directory of its own")
        })?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        // What follows the last line's end was being written when the program ended.
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            tracing::warn!(path = %path.display(), bytes = text.len() - whole, "a torn last line of the journal is dropped");
            file.set_len(whole as u64).map_err(failed)?;
            file.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        let mut reader = JournalReader::default();
        for (number, line) in (1..).zip(text[..whole].split(|&byte| byte == b'\n')) {
            if !line.is_empty() {
                reader.take(line).map_err(|reason| {
                    fault(path, &format!("line {number}: {reason}\nhint: the file was changed or damaged; what it says was paid for cannot be known any more. Remove it to begin anew, and to pay anew"))
                })?;
            }
        }
        let statement = reader.statement();
        let state =
            JournalState { next_attempt: reader.next_attempt.max(1), is_broken: false, answers: reader.answers };
        Ok((Self { path: path.to_owned(), file, state: Mutex::new(state) }, statement))
    }

    pub(crate) fn recall(&self, key: &CallKey) -> Option<Arc<RecordedAnswer>> {
        self.lock().answers.get(key).cloned()
    }

    /// Writes down that an attempt is about to be made, and numbers it.
    pub(crate) fn reserved(&self, amount: NanoUsd) -> Result<u64, UpstreamError> {
        let attempt = {
            let mut state = self.lock();
            state.next_attempt += 1;
            state.next_attempt - 1
        };
        self.append(&Entry::Reserved { attempt, nano_usd: amount.get() }, true)?;
        Ok(attempt)
    }

    /// Writes down what an attempt brought.
    pub(crate) fn answered(
        &self,
        attempt: u64,
        cost: NanoUsd,
        key: &CallKey,
        answer: RecordedAnswer,
    ) -> Result<(), UpstreamError> {
        let entry = Entry::Answered { attempt, cost_nano_usd: cost.get(), key: key.clone(), answer: Box::new(answer) };
        self.append(&entry, true)?;
        if let Entry::Answered { key, answer, .. } = entry {
            // Whoever was answered first went on with that.
            self.lock().answers.entry(key).or_insert_with(|| Arc::from(answer));
        }
        Ok(())
    }

    /// Writes down that nobody bills an attempt. Should that be lost, the attempt counts at its worst case: no harm beyond it.
    pub(crate) fn released(&self, attempt: u64) {
        if let Err(error) = self.append(&Entry::Released { attempt }, false) {
            tracing::warn!(%error, "an attempt that nobody bills counts at its worst case");
        }
    }

    fn append(&self, entry: &Entry, is_synced: bool) -> Result<(), UpstreamError> {
        let failed = |reason: String| fault(&self.path, &format!("the journal cannot be written: {reason}"));
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.to_string()))?;
        line.push(b'\n');
        {
            // One line is one write, so that lines of different threads never mix.
            let mut state = self.lock();
            if state.is_broken {
                return Err(failed("an earlier line could not be written".to_owned()));
            }
            (&self.file).write_all(&line).map_err(|error| {
                state.is_broken = true;
                failed(error.to_string())
            })?;
        }
        // Outside of the lock: the system brings the lines of waiting threads to the disk together.
        if is_synced { self.file.sync_data().map_err(|error| failed(error.to_string())) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, JournalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct JournalReader {
    next_attempt: u64,
    open: HashMap<u64, u64>,
    spent: u64,
    n_paid: u64,
    answers: HashMap<CallKey, Arc<RecordedAnswer>>,
}

impl JournalReader {
    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let entry: Entry = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let (Entry::Reserved { attempt, .. } | Entry::Answered { attempt, .. } | Entry::Released { attempt }) = &entry;
        self.next_attempt = self.next_attempt.max(attempt + 1);
        match entry {
            Entry::Reserved { attempt, nano_usd } => {
                self.open.insert(attempt, nano_usd);
            }
            Entry::Answered { attempt, cost_nano_usd, key, answer } => {
                self.open.remove(&attempt);
                self.spent += cost_nano_usd;
                self.n_paid += 1;
                self.answers.entry(key).or_insert_with(|| Arc::from(answer));
            }
            Entry::Released { attempt } => {
                self.open.remove(&attempt);
            }
        }
        Ok(())
    }

    fn statement(&self) -> Statement {
        let unknown: u64 = self.open.values().sum();
        Statement {
            spent: NanoUsd::new(self.spent + unknown),
            unknown: NanoUsd::new(unknown),
            n_paid: self.n_paid,
            n_unknown: self.open.len() as u64,
            n_recalled: 0,
        }
    }
}

fn fault(path: &Path, reason: &str) -> UpstreamError {
    UpstreamError::Journal { path: path.to_owned(), reason: reason.to_owned() }
}
