//! A client of a scripted server, with waits that no test notices.

use std::time::Duration;

use tollgate_routing::{NanoUsd, Prices};
use tollgate_scripted_server::ScriptedServer;
use tollgate_upstream::{
    Account, Answer, BlockingUpstream, Call, CallKey, ClientConfig, Endpoint, MaxTokensField, RetryPolicy, StopSignal,
    UpstreamClient, UpstreamError,
};
use tollgate_wire::{ChatRequest, Message, Role};

/// The most tokens of the prompts below.
pub(crate) const MAX_PROMPT: u32 = 1_000;
/// Where the answers below are cut.
pub(crate) const MAX_OUTPUT: u32 = 100;

pub(crate) fn prices() -> Prices {
    Prices::per_million_usd(3.0, 0.3, 3.75, 15.0).unwrap()
}

/// What one call sets aside.
pub(crate) fn worst_case() -> NanoUsd {
    prices().worst_case(MAX_PROMPT, MAX_OUTPUT)
}

pub(crate) fn endpoint(server: &ScriptedServer) -> Endpoint {
    Endpoint {
        base_url: server.base_url(),
        model: "scripted-model".to_owned(),
        api_key_env: None,
        prices: prices(),
        max_tokens_field: MaxTokensField::default(),
        is_streamed: false,
        trusts_recorded_cost: true,
    }
}

pub(crate) fn config() -> ClientConfig {
    let retry = RetryPolicy {
        max_attempts: 3,
        base_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
        max_retry_after: Duration::from_secs(5),
    };
    ClientConfig { timeout: Duration::from_secs(10), concurrency: 64, retry, ..ClientConfig::default() }
}

/// A server's clients, their money, and a way to call.
pub(crate) struct Setup {
    pub(crate) upstream: BlockingUpstream,
    pub(crate) client: UpstreamClient,
}

impl Setup {
    pub(crate) fn new(endpoint: Endpoint, config: ClientConfig, account: Account) -> Self {
        let upstream = BlockingUpstream::new(config, account, StopSignal::default()).unwrap();
        let client = upstream.client(endpoint).unwrap();
        Self { upstream, client }
    }

    /// Makes the call of that number.
    pub(crate) fn call(&self, number: u32) -> Result<Answer, UpstreamError> {
        let key = CallKey { episode: "e".to_owned(), step_idx: number, request_digest: format!("{number:x}") };
        self.call_as(&key)
    }

    /// Makes the call of that key.
    pub(crate) fn call_as(&self, key: &CallKey) -> Result<Answer, UpstreamError> {
        let request = ChatRequest::new("", vec![Message::text(Role::User, format!("call {}", key.request_digest))]);
        self.upstream.complete(
            &self.client,
            &Call {
                request: &request,
                key,
                max_prompt_tokens: MAX_PROMPT,
                max_output_tokens: MAX_OUTPUT,
                estimate: None,
            },
        )
    }

    pub(crate) fn spent(&self) -> NanoUsd {
        self.upstream.account().statement().spent
    }
}
