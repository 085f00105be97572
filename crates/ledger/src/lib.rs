//! A task's budget in money: reserve the worst case before a call, settle the true cost after it, never overspend.
//!
//! The ledger knows no models and no tokens, and it keeps nothing on disk. It is shared between threads: concurrent
//! reservations can never add up to more than the limit, because checking and reserving are one atomic step.
//!
//! ```
//! use tollgate_ledger::Ledger;
//! use tollgate_routing::NanoUsd;
//!
//! let ledger = Ledger::new(NanoUsd::new(1_000));
//! let reservation = ledger.reserve(NanoUsd::new(800))?;
//! assert!(ledger.reserve(NanoUsd::new(300)).is_err());
//! reservation.settle(NanoUsd::new(500))?;
//! assert_eq!(ledger.remaining(), NanoUsd::new(500));
//! # Ok::<(), tollgate_ledger::LedgerError>(())
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use tollgate_routing::NanoUsd;

/// A reservation or settlement that the ledger refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// The amount does not fit into what is left.
    #[error(
        "budget exhausted: {wanted} wanted, {remaining} of {limit} left\nhint: the worst case of a call has to fit before it is made; raise the limit or lower `max_tokens`"
    )]
    Exhausted {
        /// The amount that was to be reserved.
        wanted: NanoUsd,
        /// What is neither spent nor reserved.
        remaining: NanoUsd,
        /// The limit.
        limit: NanoUsd,
    },
    /// A call cost more than its worst case. The whole cost is booked, so the remainder can be less than it should.
    #[error(
        "a call cost {actual}, more than the {reserved} reserved for it\nhint: the count of prompt tokens or the price table is wrong"
    )]
    AboveReservation {
        /// The true cost.
        actual: NanoUsd,
        /// What was reserved.
        reserved: NanoUsd,
    },
}

/// The budget of one task. Clones share it.
#[derive(Debug, Clone)]
pub struct Ledger {
    limit: NanoUsd,
    remaining: Arc<AtomicU64>,
}

impl Ledger {
    /// A budget of `limit`, all of it free.
    #[must_use]
    pub fn new(limit: NanoUsd) -> Self {
        Self { limit, remaining: Arc::new(AtomicU64::new(limit.get())) }
    }

    /// The limit.
    #[must_use]
    pub const fn limit(&self) -> NanoUsd {
        self.limit
    }

    /// What is neither spent nor reserved.
    #[must_use]
    pub fn remaining(&self) -> NanoUsd {
        NanoUsd::new(self.remaining.load(Ordering::Acquire))
    }

    /// Sets `amount` aside for a call.
    ///
    /// # Errors
    /// [`LedgerError::Exhausted`] when it does not fit; nothing is set aside then.
    pub fn reserve(&self, amount: NanoUsd) -> Result<Reservation, LedgerError> {
        self.remaining
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |remaining| remaining.checked_sub(amount.get()))
            .map_err(|remaining| LedgerError::Exhausted {
                wanted: amount,
                remaining: NanoUsd::new(remaining),
                limit: self.limit,
            })?;
        Ok(Reservation { amount, remaining: self.remaining.clone() })
    }
}

/// Money set aside for one call. Dropped without [`Reservation::settle`], all of it counts as spent: a call whose cost is
/// not known may have cost its worst case.
#[derive(Debug)]
#[must_use = "a reservation that is dropped counts as spent"]
pub struct Reservation {
    amount: NanoUsd,
    remaining: Arc<AtomicU64>,
}

impl Reservation {
    /// The amount set aside.
    #[must_use]
    pub const fn amount(&self) -> NanoUsd {
        self.amount
    }

    /// Books the true cost and frees the rest.
    ///
    /// # Errors
    /// [`LedgerError::AboveReservation`] when the call cost more than was set aside. The excess is then taken from what
    /// is left, down to zero.
    pub fn settle(self, actual: NanoUsd) -> Result<(), LedgerError> {
        if let Some(rest) = self.amount.checked_sub(actual) {
            self.remaining.fetch_add(rest.get(), Ordering::AcqRel);
            return Ok(());
        }
        let excess = actual - self.amount;
        let _previous = self.remaining.fetch_update(Ordering::AcqRel, Ordering::Acquire, |remaining| {
            Some(remaining.saturating_sub(excess.get()))
        });
        Err(LedgerError::AboveReservation { actual, reserved: self.amount })
    }

    /// Frees the whole amount: the call was never made.
    pub fn release(self) {
        self.remaining.fetch_add(self.amount.get(), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledger_refuses_when_reservations_exceed_limit() {
        let ledger = Ledger::new(NanoUsd::new(100));
        let first = ledger.reserve(NanoUsd::new(60)).unwrap();
        assert_eq!(
            ledger.reserve(NanoUsd::new(41)).unwrap_err(),
            LedgerError::Exhausted { wanted: NanoUsd::new(41), remaining: NanoUsd::new(40), limit: NanoUsd::new(100) }
        );
        first.settle(NanoUsd::new(10)).unwrap();
        assert_eq!(ledger.remaining(), NanoUsd::new(90));
    }

    #[test]
    fn a_dropped_reservation_counts_as_spent() {
        let ledger = Ledger::new(NanoUsd::new(100));
        drop(ledger.reserve(NanoUsd::new(60)).unwrap());
        assert_eq!(ledger.remaining(), NanoUsd::new(40));
    }

    #[test]
    fn a_released_reservation_is_free_again() {
        let ledger = Ledger::new(NanoUsd::new(100));
        ledger.reserve(NanoUsd::new(60)).unwrap().release();
        assert_eq!(ledger.remaining(), NanoUsd::new(100));
    }

    #[test]
    fn a_cost_above_the_reservation_is_booked_and_reported() {
        let ledger = Ledger::new(NanoUsd::new(100));
        let reservation = ledger.reserve(NanoUsd::new(60)).unwrap();
        assert!(matches!(reservation.settle(NanoUsd::new(75)), Err(LedgerError::AboveReservation { .. })));
        assert_eq!(ledger.remaining(), NanoUsd::new(25));
    }

    #[test]
    fn concurrent_reservations_never_exceed_the_limit() {
        let ledger = Ledger::new(NanoUsd::new(1_000));
        let granted: u64 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8)
                .map(|_| {
                    let ledger = ledger.clone();
                    scope.spawn(move || {
                        (0..1_000).filter(|_| ledger.reserve(NanoUsd::new(7)).map(drop).is_ok()).count() as u64
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(granted, 1_000 / 7);
        assert_eq!(ledger.remaining(), NanoUsd::new(1_000 % 7));
    }
}
