//! Workers that are started when they are needed, used by one player at a time, and thrown away when they failed.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tollgate_rollout::EnvironmentError;

/// A pool of workers of type `W`, for arenas, which are shared between threads while a worker is not.
///
/// As many workers exist as were ever in use at once. Dropping the pool drops them.
pub struct WorkerPool<W> {
    start: Box<Start<W>>,
    max_in_use: usize,
    state: Mutex<State<W>>,
    given_back: Condvar,
}

struct State<W> {
    idle: Vec<W>,
    n_in_use: usize,
}

type Start<W> = dyn Fn() -> Result<W, EnvironmentError> + Send + Sync;

impl<W> WorkerPool<W> {
    /// An empty pool; `start` makes a worker when one is needed and none is idle.
    pub fn new(start: impl Fn() -> Result<W, EnvironmentError> + Send + Sync + 'static) -> Self {
        Self {
            start: Box::new(start),
            max_in_use: usize::MAX,
            state: Mutex::new(State { idle: Vec::new(), n_in_use: 0 }),
            given_back: Condvar::new(),
        }
    }

    /// The same pool with at most `max_in_use` players at once, and at least one; others wait for their turn.
    #[must_use]
    pub fn limited_to(mut self, max_in_use: usize) -> Self {
        self.max_in_use = max_in_use.max(1);
        self
    }

    /// Lets `play` have a worker for itself. One that fails or panics meanwhile is thrown away, so that nobody plays in what it
    /// left behind; the next player gets another.
    ///
    /// # Errors
    /// When no worker can be started, and what `play` returns.
    pub fn with_worker<T, E: From<EnvironmentError>>(&self, play: impl FnOnce(&mut W) -> Result<T, E>) -> Result<T, E> {
        let mut seat = self.take_seat();
        let mut worker = match seat.worker.take() {
            Some(worker) => worker,
            // Not under the lock: others go on while this one starts.
            None => (self.start)()?,
        };
        let played = play(&mut worker)?;
        seat.worker = Some(worker);
        Ok(played)
    }

    fn take_seat(&self) -> Seat<'_, W> {
        let mut state = self.lock();
        while state.n_in_use >= self.max_in_use {
            state = self.given_back.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.n_in_use += 1;
        Seat { pool: self, worker: state.idle.pop() }
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        // Nobody panics while holding the lock; and if so, the state is sound at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One player's place, given back however the player leaves.
struct Seat<'p, W> {
    pool: &'p WorkerPool<W>,
    worker: Option<W>,
}

impl<W> Drop for Seat<'_, W> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.n_in_use -= 1;
        state.idle.extend(self.worker.take());
        self.pool.given_back.notify_one();
    }
}

impl<W> fmt::Debug for WorkerPool<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WorkerPool").field("n_idle", &self.lock().idle.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A pool whose workers are numbered in the order of their starts.
    fn numbered() -> (WorkerPool<u32>, Arc<AtomicU32>) {
        let n_started = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&n_started);
        (WorkerPool::new(move || Ok(counter.fetch_add(1, Ordering::Relaxed))), n_started)
    }

    fn failed() -> EnvironmentError {
        EnvironmentError::Failed { environment: "test".to_owned(), reason: "broken".to_owned() }
    }

    #[test]
    fn a_worker_is_started_when_needed_used_again_and_thrown_away_when_it_failed() {
        let (pool, n_started) = numbered();
        assert_eq!(n_started.load(Ordering::Relaxed), 0);
        let number = |pool: &WorkerPool<u32>| pool.with_worker(|worker| Ok::<_, EnvironmentError>(*worker));
        assert_eq!((number(&pool), number(&pool)), (Ok(0), Ok(0)));
        assert_eq!(pool.with_worker(|_| Err::<(), _>(failed())), Err(failed()));
        assert_eq!((number(&pool), number(&pool)), (Ok(1), Ok(1)));
    }

    #[test]
    fn players_at_the_same_time_have_different_workers() {
        let (pool, n_started) = numbered();
        let pair = pool.with_worker(|outer| {
            let inner = pool.with_worker(|inner| Ok::<_, EnvironmentError>(*inner))?;
            Ok::<_, EnvironmentError>((*outer, inner))
        });
        assert_eq!(pair, Ok((0, 1)));
        assert_eq!(n_started.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn players_beyond_the_limit_wait_for_their_turn() {
        let (pool, n_started) = numbered();
        let pool = pool.limited_to(1);
        let n_playing = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    pool.with_worker(|_| {
                        assert_eq!(n_playing.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        n_playing.fetch_sub(1, Ordering::SeqCst);
                        Ok::<_, EnvironmentError>(())
                    })
                });
            }
        });
        assert_eq!(n_started.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_worker_whose_player_panicked_is_not_used_again() {
        let (pool, _) = numbered();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = pool.with_worker(|_| -> Result<(), EnvironmentError> { panic!("on purpose") });
        }));
        assert!(panicked.is_err());
        assert_eq!(pool.with_worker(|worker| Ok::<_, EnvironmentError>(*worker)), Ok(1));
    }
}
