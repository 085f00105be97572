//! Money in integer nano-dollars, and what tokens cost.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use crate::PoolError;

/// An amount of money in nano-dollars (1e-9 USD). A token at $0.15 per million costs 150.
///
/// Addition and subtraction panic on overflow, as integer arithmetic does under overflow checks: 2^64 nano-dollars are
/// 18 billion dollars, so an overflow is a bug and never a bill. Use [`NanoUsd::checked_sub`] where a shortfall is a case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(u64);

impl NanoUsd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// An amount given in nano-dollars.
    #[must_use]
    pub const fn new(nano_usd: u64) -> Self {
        Self(nano_usd)
    }

    /// The amount in nano-dollars.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The amount in dollars, for display and statistics only.
    #[must_use]
    pub fn as_usd(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// `self - other`, or `None` when `other` is larger.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// `self - other`, or zero when `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for NanoUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for NanoUsd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.6}", self.as_usd())
    }
}

/// Tokens of one call in four disjoint buckets, each with a price of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Prompt tokens billed at the full input price: neither read from nor written to the cache.
    pub input_tokens: u32,
    /// Prompt tokens read from the model's prompt cache.
    pub cached_input_tokens: u32,
    /// Prompt tokens written to the prompt cache, where the provider bills that apart.
    pub cache_write_tokens: u32,
    /// Generated tokens.
    pub output_tokens: u32,
}

impl TokenUsage {
    /// All tokens of the prompt, whatever their price. Counts come from files and from providers too, and a sum beyond 2^32 stays
    /// there: whoever compares it with a bound finds it above.
    #[must_use]
    pub const fn prompt_tokens(&self) -> u32 {
        self.input_tokens.saturating_add(self.cached_input_tokens).saturating_add(self.cache_write_tokens)
    }
}

/// The price of one token in whole pico-dollars (1e-12 USD). Money is counted in nano-dollars, but lists have prices between
/// two of them: $0.0375 per million tokens are 37.5 nano-dollars each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenPrice(u64);

impl TokenPrice {
    /// No price.
    pub const ZERO: Self = Self(0);

    /// A price given in pico-dollars per token.
    #[must_use]
    pub const fn new(pico_usd: u64) -> Self {
        Self(pico_usd)
    }

    /// The price in pico-dollars per token.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The price in nano-dollars per token, for estimates only.
    #[must_use]
    pub fn as_nano_usd(self) -> f64 {
        self.0 as f64 / PICO_PER_NANO as f64
    }

    /// The price as lists have it: dollars per million tokens, for display only.
    #[must_use]
    pub fn as_usd_per_million(self) -> f64 {
        self.0 as f64 / PICO_USD_PER_MILLIONTH_USD
    }

    /// What so many tokens cost. Pico-dollars: 2^128 hold every bill.
    fn times(self, n_tokens: u32) -> u128 {
        u128::from(self.0) * u128::from(n_tokens)
    }
}

/// Pico-dollars in a nano-dollar.
const PICO_PER_NANO: u128 = 1_000;

/// Dollars per million tokens are millions of pico-dollars per token.
const PICO_USD_PER_MILLIONTH_USD: f64 = 1e6;

/// What one token costs, for each bucket of [`TokenUsage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// Price of a prompt token that is not cached.
    pub input: TokenPrice,
    /// Price of a prompt token read from the cache.
    pub cached_input: TokenPrice,
    /// Price of a prompt token written to the cache.
    pub cache_write: TokenPrice,
    /// Price of a generated token.
    pub output: TokenPrice,
}

impl Prices {
    /// Prices given as providers list them: dollars per million tokens, for input, cached input, cache write and output.
    ///
    /// # Errors
    /// [`PoolError::Price`] for a price that is negative, not finite, or no whole number of pico-dollars per token.
    pub fn per_million_usd(input: f64, cached_input: f64, cache_write: f64, output: f64) -> Result<Self, PoolError> {
        Ok(Self {
            input: per_token("input", input)?,
            cached_input: per_token("cached_input", cached_input)?,
            cache_write: per_token("cache_write", cache_write)?,
            output: per_token("output", output)?,
        })
    }

    /// The cost of a call: the exact sum over its tokens, rounded up to a nano-dollar.
    #[must_use]
    pub fn cost(&self, usage: &TokenUsage) -> NanoUsd {
        nano_usd(
            self.input.times(usage.input_tokens)
                + self.cached_input.times(usage.cached_input_tokens)
                + self.cache_write.times(usage.cache_write_tokens)
                + self.output.times(usage.output_tokens),
        )
    }

    /// The most that a call can cost whose prompt has `prompt_tokens` and whose completion is cut at `max_output_tokens`:
    /// every prompt token at the dearest of the three prompt prices.
    #[must_use]
    pub fn worst_case(&self, prompt_tokens: u32, max_output_tokens: u32) -> NanoUsd {
        let dearest = self.input.max(self.cached_input).max(self.cache_write);
        nano_usd(dearest.times(prompt_tokens) + self.output.times(max_output_tokens))
    }
}

/// Money is rounded up, so that a budget never pays less than was spent. A bill beyond 2^64 nano-dollars stays there.
fn nano_usd(pico_usd: u128) -> NanoUsd {
    NanoUsd(u64::try_from(pico_usd.div_ceil(PICO_PER_NANO)).unwrap_or(u64::MAX))
}

fn per_token(bucket: &'static str, usd_per_million: f64) -> Result<TokenPrice, PoolError> {
    let pico_usd = usd_per_million * PICO_USD_PER_MILLIONTH_USD;
    let rounded = pico_usd.round();
    if !(0.0..=1e15).contains(&pico_usd) || (pico_usd - rounded).abs() > 1e-4 {
        return Err(PoolError::Price { bucket, usd_per_million });
    }
    Ok(TokenPrice(rounded as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_adds_up_the_four_buckets() {
        let prices = Prices::per_million_usd(3.0, 0.3, 3.75, 15.0).unwrap();
        let usage =
            TokenUsage { input_tokens: 10, cached_input_tokens: 100, cache_write_tokens: 1_000, output_tokens: 7 };
        assert_eq!(prices.cost(&usage), NanoUsd::new(10 * 3_000 + 100 * 300 + 1_000 * 3_750 + 7 * 15_000));
    }

    #[test]
    fn worst_case_bounds_every_split_of_the_prompt() {
        let prices = Prices::per_million_usd(3.0, 0.3, 3.75, 15.0).unwrap();
        let worst = prices.worst_case(1_000, 50);
        for cached in [0, 400, 1_000] {
            let usage = TokenUsage {
                cached_input_tokens: cached,
                cache_write_tokens: 1_000 - cached,
                output_tokens: 50,
                ..TokenUsage::default()
            };
            assert!(prices.cost(&usage) <= worst);
        }
    }

    #[test]
    fn a_prompt_of_impossible_counts_stays_at_the_most_there_can_be() {
        let usage = TokenUsage { input_tokens: 1 << 31, cached_input_tokens: 1 << 31, ..TokenUsage::default() };
        assert_eq!(usage.prompt_tokens(), u32::MAX);
    }

    #[test]
    fn a_negative_price_is_refused() {
        assert!(matches!(Prices::per_million_usd(0.4, 0.1, 0.4, -1.6), Err(PoolError::Price { bucket: "output", .. })));
    }

    #[test]
    fn a_call_is_rounded_up_to_a_nano_dollar_once() {
        let prices = Prices::per_million_usd(0.15, 0.0375, 0.15, 0.6).unwrap();
        let cached = |cached_input_tokens| TokenUsage { cached_input_tokens, ..TokenUsage::default() };
        assert_eq!(prices.cost(&cached(2)), NanoUsd::new(75));
        assert_eq!(prices.cost(&cached(3)), NanoUsd::new(113));
        assert_eq!(prices.cached_input, TokenPrice::new(37_500));
    }

    #[test]
    fn a_price_below_a_pico_dollar_per_token_is_refused() {
        assert!(matches!(
            Prices::per_million_usd(0.4, 0.000_000_1, 0.4, 1.6),
            Err(PoolError::Price { bucket: "cached_input", .. })
        ));
    }
}
