//! The money of a whole collection: a limit that holds, whoever calls at the same time and however calls end.
//!
//! Before every attempt its worst case is set aside; after it the true cost is booked. An attempt whose outcome nobody knows (a
//! timeout after sending, a broken stream, a program that was killed) stays booked at its worst case, because it may have been
//! billed. Calls whose worst case does not fit wait while other calls are open, since those free most of what they set aside;
//! only when no open call could make room is the limit reached.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tollgate_ledger::{Ledger, LedgerError, Reservation};
use tollgate_routing::NanoUsd;

use crate::UpstreamError;
use crate::journal::{CallKey, Journal, RecordedAnswer};

/// A limit that concurrent calls share, and the journal of what was paid for. Clones share it.
#[derive(Debug, Clone)]
pub struct Account {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ledger: Ledger,
    state: Mutex<State>,
    freed: Notify,
    journal: Option<Journal>,
}

/// What calls did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statement {
    /// All that is booked: known costs, and the worst cases of attempts whose outcome nobody knows.
    pub spent: NanoUsd,
    /// The part of it that is worst cases.
    pub unknown: NanoUsd,
    /// Calls that were answered and paid.
    pub n_paid: u64,
    /// Attempts whose outcome nobody knows.
    pub n_unknown: u64,
    /// Calls that were answered for nothing: from the journal, or by an equal call that was under way.
    pub n_recalled: u64,
}

#[derive(Debug, Default)]
struct State {
    open: NanoUsd,
    statement: Statement,
}

impl Account {
    /// An account of at most `limit`; `None` for no limit. Nothing is kept on disk.
    #[must_use]
    pub fn new(limit: Option<NanoUsd>) -> Self {
        Self::with_journal(limit, None, Statement::default())
    }

    /// An account whose calls are kept in the journal at `path`. What an earlier run left there is paid already: it counts against
    /// the limit, and its answers can be [recalled](Self::recall).
    ///
    /// # Errors
    /// [`UpstreamError::Journal`] when the file cannot be read or written, or is no journal.
    pub fn open(path: &Path, limit: Option<NanoUsd>) -> Result<Self, UpstreamError> {
        let (journal, statement) = Journal::open(path)?;
        Ok(Self::with_journal(limit, Some(journal), statement))
    }

    fn with_journal(limit: Option<NanoUsd>, journal: Option<Journal>, statement: Statement) -> Self {
        let ledger = Ledger::new(limit.unwrap_or(NanoUsd::new(u64::MAX)));
        if let Ok(reservation) = ledger.reserve(statement.spent.min(ledger.limit())) {
            // A reservation that is dropped stays spent.
            drop(reservation);
        }
        let state = Mutex::new(State { open: NanoUsd::ZERO, statement });
        Self { shared: Arc::new(Shared { ledger, state, freed: Notify::new(), journal }) }
    }

    /// The answer that the journal has for a call, if it was paid for already.
    #[must_use]
    pub fn recall(&self, key: &CallKey) -> Option<Arc<RecordedAnswer>> {
        let answer = self.shared.journal.as_ref()?.recall(key)?;
        self.shared.lock().statement.n_recalled += 1;
        Some(answer)
    }

    /// Counts a call that has the answer of an equal one.
    pub(crate) fn note_shared(&self) {
        self.shared.lock().statement.n_recalled += 1;
    }

    /// What calls did so far.
    #[must_use]
    pub fn statement(&self) -> Statement {
        self.shared.lock().statement
    }

    /// What is neither spent nor set aside.
    #[must_use]
    pub fn remaining(&self) -> NanoUsd {
        self.shared.ledger.remaining()
    }

    /// Sets `amount` aside for one attempt, waiting for open calls where they may make room.
    ///
    /// # Errors
    /// [`UpstreamError::LimitReached`] when it cannot fit, [`UpstreamError::Journal`] when it cannot be written down.
    pub async fn reserve(&self, amount: NanoUsd) -> Result<Charge, UpstreamError> {
        loop {
            let freed = self.shared.freed.notified();
            tokio::pin!(freed);
            // From here on no release goes unnoticed, not even one before the first poll.
            freed.as_mut().enable();
            match self.try_reserve(amount)? {
                Some(charge) => return Ok(charge),
                None => freed.await,
            }
        }
    }

    /// `None` when it may fit once open calls are settled.
    fn try_reserve(&self, amount: NanoUsd) -> Result<Option<Charge>, UpstreamError> {
        let mut state = self.shared.lock();
        let reservation = match self.shared.ledger.reserve(amount) {
            Ok(reservation) => reservation,
            Err(LedgerError::Exhausted { remaining, .. })
                if amount.get() <= remaining.get().saturating_add(state.open.get()) && state.open > NanoUsd::ZERO =>
            {
                return Ok(None);
            }
            Err(error) => return Err(UpstreamError::limit_reached(error)),
        };
        state.open += amount;
        drop(state);
        let mut charge = Charge { account: self.clone(), reservation: Some(reservation), call: 0 };
        if let Some(journal) = &self.shared.journal {
            match journal.reserved(amount) {
                Ok(call) => charge.call = call,
                Err(error) => {
                    charge.release();
                    return Err(error);
                }
            }
        }
        Ok(Some(charge))
    }
}

impl Shared {
    /// No invariant spans a panic: every change of the state is one assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Money set aside for one attempt. Dropped, all of it is booked: the attempt's outcome is unknown.
#[derive(Debug)]
#[must_use = "a charge that is dropped is booked at its worst case"]
pub struct Charge {
    account: Account,
    reservation: Option<Reservation>,
    call: u64,
}

impl Charge {
    /// The amount set aside.
    #[must_use]
    pub fn amount(&self) -> NanoUsd {
        self.reservation.as_ref().map_or(NanoUsd::ZERO, Reservation::amount)
    }

    /// Books the true cost, frees the rest and keeps the answer. A cost above what was set aside is booked whole.
    ///
    /// # Errors
    /// [`UpstreamError::Journal`] when the answer cannot be written down; it is booked all the same.
    pub fn settle(mut self, actual: NanoUsd, key: &CallKey, answer: RecordedAnswer) -> Result<(), UpstreamError> {
        let journal = self.account.shared.journal.as_ref();
        // Written before it is booked: an answer that is paid for and lost would be paid for again.
        let written = journal.map_or(Ok(()), |journal| journal.answered(self.call, actual, key, answer));
        if let Some(reservation) = self.reservation.take() {
            let mut state = self.account.shared.lock();
            state.open = state.open.saturating_sub(reservation.amount());
            state.statement.spent += actual;
            state.statement.n_paid += 1;
            // A cost above the reservation is taken from what is left; the caller compares the two itself.
            let _above = reservation.settle(actual);
        }
        self.account.shared.freed.notify_waiters();
        written
    }

    /// Frees the whole amount: nobody bills the attempt.
    pub fn release(mut self) {
        if let Some(reservation) = self.reservation.take() {
            let mut state = self.account.shared.lock();
            state.open = state.open.saturating_sub(reservation.amount());
            reservation.release();
        }
        if let Some(journal) = self.account.shared.journal.as_ref().filter(|_| self.call > 0) {
            journal.released(self.call);
        }
        self.account.shared.freed.notify_waiters();
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            let mut state = self.account.shared.lock();
            let amount = reservation.amount();
            state.open = state.open.saturating_sub(amount);
            state.statement.spent += amount;
            state.statement.unknown += amount;
            state.statement.n_unknown += 1;
            drop(state);
            self.account.shared.freed.notify_waiters();
        }
    }
}
