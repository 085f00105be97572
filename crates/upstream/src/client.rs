//! A client of one model: attempts, retries, and what they cost.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Client, Url};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tollgate_routing::{NanoUsd, TokenUsage};
use tollgate_wire::{ChatRequest, ChatResponse, StreamOptions, Usage, UsageError};

use crate::account::{Account, Charge};
use crate::attempt::{Attempt, Completed, Failure};
use crate::blocking::StopSignal;
use crate::endpoint::{ClientConfig, Endpoint, MaxTokensField};
use crate::journal::{CallKey, RecordedAnswer};
use crate::open_calls::OpenCalls;
use crate::{Attempts, ReplyFault, UpstreamError};

/// What all clients of a run share: connections, the limit of concurrency, the account.
#[derive(Debug, Clone)]
pub struct Upstream {
    http: Client,
    config: ClientConfig,
    slots: Arc<Semaphore>,
    account: Account,
    open_calls: OpenCalls,
    stop: StopSignal,
}

/// One model at one endpoint, ready to be called.
#[derive(Clone)]
pub struct UpstreamClient {
    upstream: Upstream,
    endpoint: Endpoint,
    url: Url,
    key: Option<Arc<(HeaderValue, String)>>,
    /// Until when the server wants to be left alone.
    pause: Arc<Mutex<Option<Instant>>>,
}

/// Estimates the usage of an answer whose provider does not count.
pub type EstimateUsage<'a> = &'a (dyn Fn(&ChatResponse) -> TokenUsage + Sync);

/// A call to make.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// What is asked. Model, streaming and the limit of the answer are the client's to fill in.
    pub request: &'a ChatRequest,
    /// Which call of the collection it is.
    pub key: &'a CallKey,
    /// The most tokens that the provider can count for the prompt.
    pub max_prompt_tokens: u32,
    /// Tokens at which the answer is cut.
    pub max_output_tokens: u32,
    /// For providers that do not count; without it their answers are refused.
    pub estimate: Option<EstimateUsage<'a>>,
}

/// A call as it goes out, the same with every attempt.
struct Outgoing {
    body: Vec<u8>,
    idempotency_key: HeaderValue,
}

/// What a call brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What the model said.
    pub response: ChatResponse,
    /// Its tokens.
    pub usage: TokenUsage,
    /// How its cost is known.
    pub cost: AnswerCost,
    /// How long the attempt took that brought it; waits and failed attempts are not counted.
    pub latency_ms: u32,
}

/// How a call's cost is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerCost {
    /// The provider's tokens, times the price table.
    Metered,
    /// The provider's own figure.
    Recorded(NanoUsd),
    /// Estimated tokens, times the price table.
    Estimated,
}

impl Upstream {
    /// Ready to make clients. All of them book on `account`, and make no attempt once `stop` is given.
    ///
    /// # Errors
    /// [`UpstreamError::Client`] when TLS cannot be set up.
    pub fn new(config: ClientConfig, account: Account, stop: StopSignal) -> Result<Self, UpstreamError> {
        // Fails when another part of the program chose a provider before, and then that one serves.
        let _earlier = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .connect_timeout(config.connect_timeout)
            // A redirect would carry the key to where nobody sent it.
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .pool_max_idle_per_host(config.concurrency)
            .build()
            .map_err(|error| UpstreamError::Client { reason: error.to_string() })?;
        let slots = Arc::new(Semaphore::new(config.concurrency.max(1)));
        Ok(Self { http, config, slots, account, open_calls: OpenCalls::default(), stop })
    }

    /// A client of the model at `endpoint`. Its key is read now.
    ///
    /// # Errors
    /// [`UpstreamError::BaseUrl`], [`UpstreamError::MissingKey`] or [`UpstreamError::UnusableKey`].
    pub fn client(&self, endpoint: Endpoint) -> Result<UpstreamClient, UpstreamError> {
        let url = endpoint.url()?;
        let key = endpoint.key(&url)?.map(Arc::new);
        Ok(UpstreamClient { upstream: self.clone(), endpoint, url, key, pause: Arc::default() })
    }

    /// The account that all clients book on.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }
}

impl UpstreamClient {
    /// The endpoint.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The request as it goes out: with the model's name, the limit of the answer and the wish for a stream.
    #[must_use]
    pub fn outgoing(&self, request: &ChatRequest, max_output_tokens: u32) -> ChatRequest {
        let (max_tokens, max_completion_tokens) = match self.endpoint.max_tokens_field {
            MaxTokensField::MaxTokens => (Some(max_output_tokens), None),
            MaxTokensField::MaxCompletionTokens => (None, Some(max_output_tokens)),
        };
        let is_streamed = self.endpoint.is_streamed;
        ChatRequest {
            model: self.endpoint.model.clone(),
            max_tokens,
            max_completion_tokens,
            stream: is_streamed.then_some(true),
            stream_options: is_streamed
                .then(|| StreamOptions { include_usage: true, extra: tollgate_wire::Extra::new() }),
            ..request.clone()
        }
    }

    /// The model's answer: from the journal if it was paid for before, from an equal call that is under way, else from the endpoint,
    /// tried as often as the policy allows.
    ///
    /// # Errors
    /// An [`UpstreamError`] for what the last attempt brought, for a limit that is reached, or for a stop.
    pub async fn complete(&self, call: &Call<'_>) -> Result<Answer, UpstreamError> {
        let mut is_shared = true;
        let ask = || {
            is_shared = false;
            self.recall_or_ask(call)
        };
        let answer = self.upstream.open_calls.share(call.key, ask).await?;
        if is_shared {
            self.upstream.account.note_shared();
        }
        self.check_bounds(call, &answer)?;
        Ok(answer)
    }

    async fn recall_or_ask(&self, call: &Call<'_>) -> Result<Answer, UpstreamError> {
        if let Some(recorded) = self.upstream.account.recall(call.key) {
            return Ok(recalled(&recorded));
        }
        let outgoing = self.prepare(call)?;
        let mut delays = self.upstream.config.retry.delays();
        let mut attempts = Attempts(1);
        loop {
            let failure = match self.attempt(call, &outgoing, attempts).await? {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let error = failure.error.after(attempts);
            let delay = delays.next().filter(|_| failure.is_passing);
            let asked = failure.retry_after.unwrap_or_default();
            let Some(delay) = delay.filter(|_| asked <= self.upstream.config.retry.max_retry_after) else {
                return Err(error);
            };
            let delay = delay.max(asked);
            tracing::warn!(%error, delay_ms = delay.as_millis() as u64, "trying again");
            if failure.retry_after.is_some() {
                self.leave_alone(asked);
            }
            self.wait_until(Instant::now() + delay).await?;
            attempts.0 += 1;
        }
    }

    fn prepare(&self, call: &Call<'_>) -> Result<Outgoing, UpstreamError> {
        let body = serde_json::to_vec(&self.outgoing(call.request, call.max_output_tokens))
            .map_err(|error| UpstreamError::Client { reason: error.to_string() })?;
        let idempotency_key = HeaderValue::try_from(call.key.idempotency_key())
            .map_err(|error| UpstreamError::Client { reason: error.to_string() })?;
        Ok(Outgoing { body, idempotency_key })
    }

    /// One attempt with its money. The outer error ends the call; the inner one may be tried again.
    async fn attempt(
        &self,
        call: &Call<'_>,
        outgoing: &Outgoing,
        attempts: Attempts,
    ) -> Result<Result<Answer, Box<Failure>>, UpstreamError> {
        self.wait_for_pause().await?;
        let Ok(_slot) = self.upstream.slots.acquire().await else { return Err(UpstreamError::Stopped) };
        let worst_case = self.endpoint.prices.worst_case(call.max_prompt_tokens, call.max_output_tokens);
        let charge = self.upstream.account.reserve(worst_case).await?;
        if let Err(stopped) = self.upstream.stop.check() {
            charge.release();
            return Err(stopped);
        }
        let attempt = Attempt {
            http: &self.upstream.http,
            url: &self.url,
            key: self.key.as_deref(),
            body: &outgoing.body,
            is_streamed: self.endpoint.is_streamed,
            timeout: self.upstream.config.timeout,
            idempotency_key: &outgoing.idempotency_key,
        };
        match attempt.run().await {
            Ok(completed) => match self.settle(call, charge, completed) {
                Ok(answer) => Ok(Ok(answer)),
                Err(error) => Err(error.after(attempts)),
            },
            Err(failure) => {
                if failure.may_be_billed {
                    drop(charge);
                } else {
                    charge.release();
                }
                Ok(Err(failure))
            }
        }
    }

    /// Reads the usage, books the cost and keeps the answer.
    fn settle(&self, call: &Call<'_>, charge: Charge, completed: Completed) -> Result<Answer, UpstreamError> {
        let Completed { response, status, latency_ms } = completed;
        let missing = Err(UsageError::Missing { field: "prompt_tokens" });
        let counted = response.usage.as_ref().map_or(missing, |usage| self.count(usage));
        let (usage, cost) = match (counted, call.estimate) {
            (Ok(counted), _) => counted,
            (Err(UsageError::Missing { .. }), Some(estimate)) => (estimate(&response), AnswerCost::Estimated),
            // The charge is dropped, and with that booked at its worst case.
            (Err(fault), _) => return Err(self.unsound_usage(status, fault, &response)),
        };
        let answer = Answer { response, usage, cost, latency_ms };
        let booked = match cost {
            AnswerCost::Metered => self.endpoint.prices.cost(&usage),
            AnswerCost::Recorded(cost) => cost,
            // What nobody counted may have cost the most.
            AnswerCost::Estimated => charge.amount(),
        };
        charge.settle(booked, call.key, record(&answer))?;
        Ok(answer)
    }

    /// What the provider counts. Its figure for the cost is judged only where it is trusted.
    fn count(&self, usage: &Usage) -> Result<(TokenUsage, AnswerCost), UsageError> {
        let tokens = usage.token_usage()?;
        let recorded = if self.endpoint.trusts_recorded_cost { usage.recorded_cost()? } else { None };
        Ok((tokens, recorded.map_or(AnswerCost::Metered, AnswerCost::Recorded)))
    }

    /// No answer may cost more than was set aside for it: whoever keeps a budget relies on that.
    fn check_bounds(&self, call: &Call<'_>, answer: &Answer) -> Result<(), UpstreamError> {
        let max_cost = self.endpoint.prices.worst_case(call.max_prompt_tokens, call.max_output_tokens);
        let cost = match answer.cost {
            AnswerCost::Recorded(cost) => cost,
            AnswerCost::Metered | AnswerCost::Estimated => self.endpoint.prices.cost(&answer.usage),
        };
        let (prompt_tokens, output_tokens) = (answer.usage.prompt_tokens(), answer.usage.output_tokens);
        if prompt_tokens <= call.max_prompt_tokens && output_tokens <= call.max_output_tokens && cost <= max_cost {
            return Ok(());
        }
        Err(UpstreamError::AboveBound {
            url: self.url.to_string(),
            prompt_tokens,
            output_tokens,
            cost,
            max_prompt_tokens: call.max_prompt_tokens,
            max_output_tokens: call.max_output_tokens,
            max_cost,
        })
    }

    fn unsound_usage(&self, status: u16, fault: UsageError, response: &ChatResponse) -> UpstreamError {
        let counted = serde_json::to_string(&response.usage).unwrap_or_default();
        UpstreamError::NoCompletion {
            url: self.url.to_string(),
            status,
            fault: ReplyFault::Usage(fault),
            snippet: format!("\"usage\": {counted}"),
            attempts: Attempts(1),
        }
    }

    fn leave_alone(&self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        *pause = Some(pause.map_or(until, |earlier| earlier.max(until)));
    }

    async fn wait_for_pause(&self) -> Result<(), UpstreamError> {
        let until = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) => self.wait_until(until).await,
            None => Ok(()),
        }
    }

    /// Waits, but no longer than until the signal to stop is given.
    async fn wait_until(&self, until: Instant) -> Result<(), UpstreamError> {
        match tokio::time::timeout_at(until, self.upstream.stop.given()).await {
            Ok(reason) => Err(reason),
            Err(_elapsed) => Ok(()),
        }
    }
}

/// Shows no key.
impl fmt::Debug for UpstreamClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamClient")
            .field("url", &self.url.as_str())
            .field("model", &self.endpoint.model)
            .finish_non_exhaustive()
    }
}

fn record(answer: &Answer) -> RecordedAnswer {
    let TokenUsage { input_tokens, cached_input_tokens, cache_write_tokens, output_tokens } = answer.usage;
    RecordedAnswer {
        response: answer.response.clone(),
        input_tokens,
        cached_input_tokens,
        cache_write_tokens,
        output_tokens,
        recorded_cost_nano_usd: match answer.cost {
            AnswerCost::Recorded(cost) => Some(cost.get()),
            AnswerCost::Metered | AnswerCost::Estimated => None,
        },
        is_estimated: answer.cost == AnswerCost::Estimated,
        latency_ms: answer.latency_ms,
    }
}

fn recalled(recorded: &RecordedAnswer) -> Answer {
    let cost = match recorded.recorded_cost_nano_usd {
        Some(cost) => AnswerCost::Recorded(NanoUsd::new(cost)),
        None if recorded.is_estimated => AnswerCost::Estimated,
        None => AnswerCost::Metered,
    };
    Answer { response: recorded.response.clone(), usage: recorded.usage(), cost, latency_ms: recorded.latency_ms }
}
