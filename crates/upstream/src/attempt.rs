//! One attempt: a request goes out, and whatever comes back is told apart by what it means for the money and for a retry.

use std::error::Error;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, Url};
use tollgate_wire::ChatResponse;

use crate::reply::{MAX_BODY_BYTES, Reply, StreamJudge, judge, snippet};
use crate::retry::retry_after;
use crate::{Attempts, ReplyFault, UpstreamError};

/// Everything that one attempt needs.
pub(crate) struct Attempt<'a> {
    pub(crate) http: &'a Client,
    pub(crate) url: &'a Url,
    /// The key as a header and as text.
    pub(crate) key: Option<&'a (HeaderValue, String)>,
    pub(crate) body: &'a [u8],
    pub(crate) is_streamed: bool,
    pub(crate) timeout: Duration,
    /// Lets a provider see that a repeated request is the same one.
    pub(crate) idempotency_key: &'a HeaderValue,
}

/// A completion whose usage is still to be judged.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) response: ChatResponse,
    pub(crate) status: u16,
    pub(crate) latency_ms: u32,
}

/// An attempt that brought no completion.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: UpstreamError,
    /// Whether it may have been billed all the same.
    pub(crate) may_be_billed: bool,
    /// Whether another attempt may do better.
    pub(crate) is_passing: bool,
    /// How long the server wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl Attempt<'_> {
    /// Makes the attempt.
    pub(crate) async fn run(self) -> Result<Completed, Box<Failure>> {
        let started = Instant::now();
        let mut request = self
            .http
            .post(self.url.clone())
            .timeout(self.timeout)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("idempotency-key", self.idempotency_key.clone())
            .body(self.body.to_vec());
        if let Some((header, _)) = self.key {
            request = request.header(AUTHORIZATION, header.clone());
        }
        let response = request.send().await.map_err(|error| Box::new(self.broken(&error)))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let content_type =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        if !response.status().is_success() {
            let body = response.text().await.unwrap_or_default();
            return Err(Box::new(self.refused(status, &body, &headers)));
        }
        let (text, reply) = if self.is_streamed {
            read_stream(response, &content_type).await.map_err(|error| Box::new(self.broken(&error)))?
        } else {
            let bytes = read_whole(response)
                .await
                .map_err(|(read, error)| Box::new(self.broken_body(status, &read, &error)))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let reply = judge(&text, &content_type);
            (text, reply)
        };
        let latency_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
        match reply {
            Reply::Completion(response) => Ok(Completed { response: *response, status, latency_ms }),
            Reply::Refusal { status, message, may_be_billed } => {
                let refused = self.refused(status, &message, &headers);
                Err(Box::new(Failure { may_be_billed: may_be_billed || refused.may_be_billed, ..refused }))
            }
            Reply::Interrupted { message } => {
                let fault = ReplyFault::BrokenStream(format!("the server says: {}", self.snippet(&message)));
                Err(Box::new(self.faulty(status, fault, &text)))
            }
            Reply::Fault(fault) => Err(Box::new(self.faulty(status, fault, &text))),
        }
    }

    /// The connection failed, or time ran out.
    fn broken(&self, error: &reqwest::Error) -> Failure {
        let url = self.url.to_string();
        // Nothing was sent before there was a connection.
        let may_be_billed = !error.is_connect() && !error.is_builder();
        let error = if error.is_timeout() && !error.is_connect() {
            UpstreamError::TimedOut { url, timeout: self.timeout, attempts: Attempts(1) }
        } else {
            UpstreamError::Unreachable { url, reason: reason_of(error), attempts: Attempts(1) }
        };
        Failure { error, may_be_billed, is_passing: true, retry_after: None }
    }

    fn broken_body(&self, status: u16, read: &[u8], error: &reqwest::Error) -> Failure {
        if error.is_timeout() {
            return self.broken(error);
        }
        self.faulty(status, ReplyFault::Truncated(reason_of(error)), &String::from_utf8_lossy(read))
    }

    fn faulty(&self, status: u16, fault: ReplyFault, body: &str) -> Failure {
        // A page for people is no model's answer; everything else may have been one.
        let is_html = fault == ReplyFault::Html;
        let is_passing = !is_html && !matches!(fault, ReplyFault::TooLong { .. });
        let error = UpstreamError::NoCompletion {
            url: self.url.to_string(),
            status,
            fault,
            snippet: self.snippet(body),
            attempts: Attempts(1),
        };
        Failure { error, may_be_billed: !is_html, is_passing, retry_after: None }
    }

    fn refused(&self, status: u16, body: &str, headers: &HeaderMap) -> Failure {
        let error = UpstreamError::Status {
            url: self.url.to_string(),
            status,
            snippet: self.snippet(body),
            attempts: Attempts(1),
        };
        // OpenAI says "too many requests" as well when there is no money left, which no waiting mends.
        let has_no_quota = status == 429 && body.contains("insufficient_quota");
        Failure {
            error,
            may_be_billed: is_gateways_guess(status),
            is_passing: !has_no_quota && (matches!(status, 408 | 409 | 425 | 429) || status >= 500),
            retry_after: retry_after(headers.get(RETRY_AFTER), SystemTime::now()),
        }
    }

    fn snippet(&self, body: &str) -> String {
        snippet(body, self.key.map(|(_, text)| text.as_str()))
    }
}

/// Statuses by which a gateway says that it does not know what became of the request behind it.
const fn is_gateways_guess(status: u16) -> bool {
    matches!(status, 502 | 504 | 520..=524)
}

/// The body, or as much of it as tells that it is too long.
async fn read_whole(mut response: Response) -> Result<Vec<u8>, (Vec<u8>, reqwest::Error)> {
    let mut read = Vec::new();
    while read.len() <= MAX_BODY_BYTES {
        match response.chunk().await {
            Ok(Some(bytes)) => read.extend_from_slice(&bytes),
            Ok(None) => break,
            Err(error) => return Err((read, error)),
        }
    }
    Ok(read)
}

/// The beginning of a stream, and what it comes to.
async fn read_stream(mut response: Response, content_type: &str) -> Result<(String, Reply), reqwest::Error> {
    let mut stream = StreamJudge::default();
    let mut broken = None;
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) if stream.feed(&bytes) => {}
            Ok(_) => break,
            Err(error) if error.is_timeout() => return Err(error),
            Err(error) => {
                broken = Some(reason_of(&error));
                break;
            }
        }
    }
    Ok((stream.text(), stream.finish(content_type, broken)))
}

/// The innermost cause, which says most; the outer ones repeat the address.
fn reason_of(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
