//! What a live call costs beside the model: from the request to its booked answer, over loopback.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use tollgate_routing::Prices;
use tollgate_scripted_server::{Reply, ScriptedServer};
use tollgate_upstream::{
    Account, BlockingUpstream, Call, CallKey, ClientConfig, Endpoint, MaxTokensField, StopSignal, UpstreamClient,
};
use tollgate_wire::{ChatRequest, Message, Role};

/// Calls per repetition.
const N_CALLS: u32 = 300;
/// Bytes of the prompt, as late in a household episode.
const PROMPT_BYTES: usize = 8_000;

/// A client of a server in this process that answers at once.
pub(super) struct LoopbackCalls {
    upstream: BlockingUpstream,
    client: UpstreamClient,
    n_made: u32,
    // Ends with the calls.
    _server: ScriptedServer,
}

impl LoopbackCalls {
    /// Ready to call. With a journal, every call is brought to the disk twice: reserved, and answered.
    pub(super) fn new(journal: Option<&Path>) -> anyhow::Result<Self> {
        let server = ScriptedServer::start(|_| Reply::completion("Thought: There.\nAction: look", 2_000, 8))
            .context("no free port on the loopback interface")?;
        let account = journal.map_or_else(|| Ok(Account::new(None)), |path| Account::open(path, None))?;
        let upstream = BlockingUpstream::new(ClientConfig::default(), account, StopSignal::default())?;
        let endpoint = Endpoint {
            base_url: server.base_url(),
            model: "bench".to_owned(),
            api_key_env: None,
            prices: Prices::per_million_usd(0.4, 0.1, 0.4, 1.6)?,
            max_tokens_field: MaxTokensField::default(),
            is_streamed: false,
            trusts_recorded_cost: true,
        };
        let client = upstream.client(endpoint)?;
        Ok(Self { upstream, client, n_made: 0, _server: server })
    }

    /// Microseconds per call, one after the other.
    pub(super) fn micros(&mut self) -> anyhow::Result<f64> {
        let request = ChatRequest::new("", vec![Message::text(Role::User, "a word. ".repeat(PROMPT_BYTES / 8))]);
        let started = Instant::now();
        for _ in 0..N_CALLS {
            self.n_made += 1;
            let key =
                CallKey { episode: "bench".to_owned(), step_idx: self.n_made, request_digest: self.n_made.to_string() };
            let call =
                Call { request: &request, key: &key, max_prompt_tokens: 9_000, max_output_tokens: 100, estimate: None };
            self.upstream.complete(&self.client, &call)?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(N_CALLS))
    }
}
