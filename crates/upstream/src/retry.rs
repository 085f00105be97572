//! What is tried again, and when.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::header::HeaderValue;

/// How often a call is tried, and how long is waited between attempts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Attempts per call, the first one included.
    pub max_attempts: u32,
    /// The wait before the second attempt. Each later one is twice as long; up to as much again is added by chance.
    pub base_delay: Duration,
    /// The longest wait of our own choosing.
    pub max_delay: Duration,
    /// The longest wait that a server may ask for; a call that has to wait longer fails.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            max_retry_after: Duration::from_mins(2),
        }
    }
}

impl RetryPolicy {
    /// The waits between the attempts of one call.
    pub(crate) fn delays(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(self.base_delay)
            .with_max_delay(self.max_delay)
            .with_max_times(self.max_attempts.saturating_sub(1) as usize)
            .build()
    }
}

/// What a `Retry-After` header asks for: seconds, or a date. A date that has passed asks for nothing.
pub(crate) fn retry_after(header: Option<&HeaderValue>, now: SystemTime) -> Option<Duration> {
    let text = header?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &'static str, expected: Option<Duration>) {
        // 1994-11-06 08:49:37 UTC, ten seconds before the dates below.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after(Some(&HeaderValue::from_static(text)), now), expected);
    }

    #[test]
    fn seconds_and_dates_are_read() {
        check("3", Some(Duration::from_secs(3)));
        check("0.5", Some(Duration::from_millis(500)));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(Duration::from_secs(10)));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(Duration::ZERO));
        check("soon", None);
        check("-1", None);
        check("nan", None);
    }

    #[test]
    fn waits_grow_and_are_as_many_as_attempts_less_one() {
        let policy = RetryPolicy { max_attempts: 4, ..RetryPolicy::default() };
        let delays: Vec<Duration> = policy.delays().collect();
        assert_eq!(delays.len(), 3);
        for (delay, base) in delays.iter().zip([500, 1_000, 2_000]) {
            let base = Duration::from_millis(base);
            assert!((base..=2 * base).contains(delay), "{delay:?}");
        }
    }
}
