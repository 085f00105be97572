//! The live models of a pool, shared by all episodes of a run.

use std::sync::{Mutex, PoisonError};

use tollgate_routing::{Model, ModelIndex, ModelPool};
use tollgate_upstream::{Account, BlockingUpstream, Endpoint, UpstreamClient, UpstreamError};
use tollgate_wire::Extra;

use super::learned::{Learned, Observed};

/// How one model is called.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveModel {
    /// Where it is, and what its tokens cost.
    pub endpoint: Endpoint,
    /// Whether it acts by calling a tool. Otherwise it says its command in words.
    pub has_tools: bool,
    /// How much chance there is in its answers; the provider's default without it.
    pub temperature: Option<f64>,
    /// Seed of the chance, for providers that take one; each step of each episode gets its own from it.
    pub seed: Option<u64>,
    /// Tokens at which an answer is cut.
    pub max_output_tokens: u32,
    /// Tokens that the provider adds to every prompt, unseen.
    pub prompt_overhead_tokens: u32,
    /// Whether usage is estimated where the provider counts none. Otherwise its answers are refused.
    pub estimates_usage: bool,
    /// Fields that every request carries beside ours.
    pub extra: Extra,
}

/// A model that is ready to be called.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) id: String,
    pub(super) settings: LiveModel,
    pub(super) client: UpstreamClient,
    learned: Mutex<Learned>,
}

/// The live models of a pool.
#[derive(Debug)]
pub struct LiveModels {
    upstream: BlockingUpstream,
    models: Vec<Ready>,
}

impl LiveModels {
    /// The models of `pool`, called as `settings` says of each, in the pool's order.
    ///
    /// # Errors
    /// What [`BlockingUpstream::client`] says of an endpoint.
    ///
    /// # Panics
    /// When there are not as many settings as models.
    pub fn new(upstream: BlockingUpstream, pool: &ModelPool, settings: Vec<LiveModel>) -> Result<Self, UpstreamError> {
        assert_eq!(pool.len(), settings.len(), "one setting per model");
        let ready = |((_, model), settings): ((ModelIndex, &Model), LiveModel)| {
            let client = upstream.client(settings.endpoint.clone())?;
            Ok(Ready { id: model.id.to_string(), settings, client, learned: Mutex::new(Learned::NOTHING) })
        };
        let models = pool.iter().zip(settings).map(ready).collect::<Result<_, UpstreamError>>()?;
        Ok(Self { upstream, models })
    }

    /// The account that all calls are booked on.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.upstream.account()
    }

    pub(super) const fn upstream(&self) -> &BlockingUpstream {
        &self.upstream
    }

    pub(super) fn model(&self, index: ModelIndex) -> &Ready {
        &self.models[index.get()]
    }

    pub(super) fn len(&self) -> usize {
        self.models.len()
    }
}

impl Ready {
    pub(super) fn learned(&self) -> Learned {
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn observe(&self, observed: &Observed) {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).observe(observed);
    }
}
