//! Calls from ordinary threads, as a collection makes them.

use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::UpstreamError;
use crate::account::Account;
use crate::client::{Answer, Call, Upstream, UpstreamClient};
use crate::endpoint::{ClientConfig, Endpoint};

/// Ends a collection: once given, no further attempt is made, and every call tells the reason that was given first.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<Stop>);

#[derive(Debug, Default)]
struct Stop {
    reason: OnceLock<UpstreamError>,
    given: Notify,
}

impl StopSignal {
    /// Gives the signal; only the first reason counts.
    pub fn stop(&self, reason: UpstreamError) {
        let _later = self.0.reason.set(reason);
        self.0.given.notify_waiters();
    }

    /// The reason, as an error, once the signal is given.
    ///
    /// # Errors
    /// The reason.
    pub fn check(&self) -> Result<(), UpstreamError> {
        self.0.reason.get().map_or(Ok(()), |reason| Err(reason.clone()))
    }

    /// Waits for the signal, and tells the reason.
    pub(crate) async fn given(&self) -> UpstreamError {
        loop {
            let given = self.0.given.notified();
            tokio::pin!(given);
            // From here on no signal goes unnoticed, not even one before the first poll.
            given.as_mut().enable();
            match self.check() {
                Ok(()) => given.await,
                Err(reason) => return reason,
            }
        }
    }
}

/// An [`Upstream`] with a runtime of its own, for threads that wait for their answers. The first call that fails stops all: a
/// collection with a hole in it is of no use, and what was paid for is in the journal.
#[derive(Debug)]
pub struct BlockingUpstream {
    upstream: Upstream,
    stop: StopSignal,
    runtime: Runtime,
}

impl BlockingUpstream {
    /// Ready to make clients that book on `account`.
    ///
    /// # Errors
    /// [`UpstreamError::Client`] when the runtime or TLS cannot be set up.
    pub fn new(config: ClientConfig, account: Account, stop: StopSignal) -> Result<Self, UpstreamError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("upstream")
            .enable_all()
            .build()
            .map_err(|error| UpstreamError::Client { reason: error.to_string() })?;
        Ok(Self { upstream: Upstream::new(config, account, stop.clone())?, stop, runtime })
    }

    /// A client of the model at `endpoint`.
    ///
    /// # Errors
    /// As [`Upstream::client`].
    pub fn client(&self, endpoint: Endpoint) -> Result<UpstreamClient, UpstreamError> {
        self.upstream.client(endpoint)
    }

    /// The account that all clients book on.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.upstream.account()
    }

    /// Waits for an answer. Not to be called from asynchronous code.
    ///
    /// # Errors
    /// As [`UpstreamClient::complete`]; after the first error every call has that error.
    pub fn complete(&self, client: &UpstreamClient, call: &Call<'_>) -> Result<Answer, UpstreamError> {
        self.stop.check()?;
        let result = self.runtime.block_on(client.complete(call));
        if let Err(error) = &result {
            self.stop.stop(error.clone());
        }
        result
    }
}
