//! Where a model is, and how it is spoken to.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use tollgate_routing::Prices;

use crate::{RetryPolicy, UpstreamError};

/// One model at one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The address up to and including `/v1`.
    pub base_url: String,
    /// The model, by the name that the endpoint knows.
    pub model: String,
    /// The environment variable that holds the key; `None` where none is wanted.
    pub api_key_env: Option<String>,
    /// What the model's tokens cost.
    pub prices: Prices,
    /// Which field says where an answer is cut.
    pub max_tokens_field: MaxTokensField,
    /// Whether answers are streamed. A stream shows sooner that it is broken, and some servers hold nothing else open for long.
    pub is_streamed: bool,
    /// Whether a dollar cost in the reply is taken instead of usage times prices, where it is whole and above 0.
    pub trusts_recorded_cost: bool,
}

/// The field of a request that limits the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaxTokensField {
    /// `max_tokens`, known nearly everywhere.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which `OpenAI`'s reasoning models want.
    MaxCompletionTokens,
}

/// What all endpoints of a run share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClientConfig {
    /// How long one attempt may take, from the first byte sent to the last byte read.
    pub timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// Attempts that are under way at once, over all endpoints.
    pub concurrency: usize,
    /// What is tried again, and when.
    pub retry: RetryPolicy,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(2),
            connect_timeout: Duration::from_secs(10),
            concurrency: 8,
            retry: RetryPolicy::default(),
        }
    }
}

impl Endpoint {
    /// The address of the completions.
    pub(crate) fn url(&self) -> Result<Url, UpstreamError> {
        let refuse =
            |reason: &str| UpstreamError::BaseUrl { url: without_user(&self.base_url), reason: reason.to_owned() };
        let mut url = Url::parse(&self.base_url).map_err(|error| refuse(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refuse("is no address of a web server"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("holds a user name or a password"));
        }
        let path = url.path().trim_end_matches('/');
        if !path.ends_with("/chat/completions") {
            let path = format!("{path}/chat/completions");
            url.set_path(&path);
        }
        Ok(url)
    }

    /// The key in the form of a header, marked as secret, and as text, to keep it out of messages.
    pub(crate) fn key(&self, url: &Url) -> Result<Option<(HeaderValue, String)>, UpstreamError> {
        let Some(variable) = &self.api_key_env else { return Ok(None) };
        let key = std::env::var(variable).unwrap_or_default();
        let key = key.trim();
        if key.is_empty() {
            return Err(UpstreamError::MissingKey { variable: variable.clone(), url: url.to_string() });
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| UpstreamError::UnusableKey { variable: variable.clone() })?;
        header.set_sensitive(true);
        Ok(Some((header, key.to_owned())))
    }
}

/// An address as a message may show it.
fn without_user(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}..{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(base_url: &str) -> Endpoint {
        Endpoint {
            base_url: base_url.to_owned(),
            model: "m".to_owned(),
            api_key_env: None,
            prices: Prices::per_million_usd(1.0, 1.0, 1.0, 1.0).unwrap(),
            max_tokens_field: MaxTokensField::default(),
            is_streamed: false,
            trusts_recorded_cost: true,
        }
    }

    #[track_caller]
    fn check(base_url: &str, expected: &str) {
        assert_eq!(endpoint(base_url).url().unwrap().as_str(), expected);
    }

    #[test]
    fn the_address_is_completed_once() {
        check("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1/chat/completions");
        check("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1/chat/completions");
        check("https://a.example/v1/chat/completions", "https://a.example/v1/chat/completions");
        check("https://a.example/v1?api-version=2", "https://a.example/v1/chat/completions?api-version=2");
    }

    #[test]
    fn an_address_with_a_password_is_refused_without_showing_it() {
        let message = endpoint("https://me:secret@a.example/v1").url().unwrap_err().to_string();
        assert!(message.contains("holds a user name or a password") && !message.contains("secret"), "{message}");
        assert!(matches!(endpoint("127.0.0.1:8080").url(), Err(UpstreamError::BaseUrl { .. })));
    }
}
