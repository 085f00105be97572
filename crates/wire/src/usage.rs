//! What a provider counts, and how its counts become the four disjoint buckets that have prices.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tollgate_routing::{NanoUsd, TokenUsage};

use crate::Extra;

/// Counts of one call, in every form that is about: OpenAI's, Anthropic's as proxies pass it on, `DeepSeek`'s.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt; with most providers, cached ones among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<i64>,
    /// Tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<i64>,
    /// Their sum, and whatever else was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<i64>,
    /// Anthropic's name of the prompt's tokens, cached ones left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<i64>,
    /// Anthropic's name of the answer's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<i64>,
    /// What the prompt's tokens are made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptTokensDetails>,
    /// What the answer's tokens are made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionTokensDetails>,
    /// Anthropic: prompt tokens written to the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation_input_tokens: Option<i64>,
    /// Anthropic: prompt tokens read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_input_tokens: Option<i64>,
    /// `DeepSeek`: prompt tokens read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_cache_hit_tokens: Option<i64>,
    /// `DeepSeek`: prompt tokens not read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_cache_miss_tokens: Option<i64>,
    /// What the provider says that the call cost, in dollars: a number, or with some an object of parts. Any form is kept, so
    /// that an answer can be read whatever stands here; [`Usage::recorded_cost`] judges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Value>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What the prompt's tokens are made of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<i64>,
    /// Written to the cache, as `LiteLLM` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation_tokens: Option<i64>,
    /// Written to the cache, as `OpenRouter` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<i64>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What the answer's tokens are made of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CompletionTokensDetails {
    /// Spent on thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<i64>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Counts that cannot be.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum UsageError {
    /// A count without which there is no cost.
    #[error(
        "usage has no `{field}`\nhint: some servers count only when asked; streams need `stream_options.include_usage`"
    )]
    Missing {
        /// The field by its usual name.
        field: &'static str,
    },
    /// A count below zero.
    #[error("usage says `{field}` is {found}, expected 0 or more")]
    Negative {
        /// The field.
        field: &'static str,
        /// What it says.
        found: i64,
    },
    /// A prompt of no tokens.
    #[error("usage says that the prompt has no tokens, expected at least 1\nhint: the server does not count")]
    EmptyPrompt,
    /// More tokens of a kind than tokens at all.
    #[error(
        "usage says that {cached} of {prompt} prompt tokens were read from or written to the cache, expected at most all of them"
    )]
    CachedAbovePrompt {
        /// Read and written.
        cached: i64,
        /// All tokens of the prompt.
        prompt: i64,
    },
    /// Counts that do not add up.
    #[error("usage says that {whole_name} is {whole}, but its parts add up to {parts}")]
    Inconsistent {
        /// The sum's name.
        whole_name: &'static str,
        /// The sum, as told.
        whole: i64,
        /// The sum of the parts, as told.
        parts: i64,
    },
    /// A count that no call can reach.
    #[error("usage says `{field}` is {found}, expected at most {}", u32::MAX)]
    TooLarge {
        /// The field.
        field: &'static str,
        /// What it says.
        found: i64,
    },
    /// More tokens than any call can have, though each count by itself could be.
    #[error("usage counts {prompt} prompt tokens and {output} output tokens, expected at most {} together", u32::MAX)]
    SumTooLarge {
        /// All tokens of the prompt, cached ones among them.
        prompt: i64,
        /// Tokens of the answer.
        output: i64,
    },
    /// A cost that is no amount of money.
    #[error("usage says that the call cost {found} dollars, expected 0 or more")]
    Cost {
        /// What it says.
        found: f64,
    },
}

impl Usage {
    /// The counts in four disjoint buckets.
    ///
    /// Where providers differ, the reading is the one under which no token is free:
    /// - cached tokens are part of `prompt_tokens`, unless `total_tokens` says that they are not, and never part of Anthropic's
    ///   `input_tokens`;
    /// - tokens of `total_tokens` that belong to neither prompt nor answer are thinking that the provider leaves out of
    ///   `completion_tokens`, and are billed as output.
    ///
    /// # Errors
    /// A [`UsageError`] for counts that are missing or cannot be.
    pub fn token_usage(&self) -> Result<TokenUsage, UsageError> {
        self.check_signs()?;
        let told =
            self.completion_tokens.or(self.output_tokens).ok_or(UsageError::Missing { field: "completion_tokens" })?;
        let prompt = self.prompt_tokens.or(self.input_tokens).ok_or(UsageError::Missing { field: "prompt_tokens" })?;
        let (read, written) = (self.cache_read(), self.cache_written());
        let cached = read + written;
        let fresh = if self.leaves_cached_out(prompt, cached, told) { prompt } else { prompt - cached };
        if fresh < 0 {
            return Err(UsageError::CachedAbovePrompt { cached, prompt });
        }
        if let (Some(hit), Some(miss)) = (self.prompt_cache_hit_tokens, self.prompt_cache_miss_tokens)
            && hit + miss != prompt
        {
            return Err(UsageError::Inconsistent { whole_name: "prompt_tokens", whole: prompt, parts: hit + miss });
        }
        if fresh + cached == 0 {
            return Err(UsageError::EmptyPrompt);
        }
        let parts = fresh + cached + told;
        if parts > i64::from(u32::MAX) {
            return Err(UsageError::SumTooLarge { prompt: fresh + cached, output: told });
        }
        let total = self.total_tokens.unwrap_or(parts);
        if total < parts {
            return Err(UsageError::Inconsistent { whole_name: "total_tokens", whole: total, parts });
        }
        Ok(TokenUsage {
            input_tokens: bucket("prompt_tokens", fresh)?,
            cached_input_tokens: bucket("cached_tokens", read)?,
            cache_write_tokens: bucket("cache_creation_input_tokens", written)?,
            output_tokens: bucket("completion_tokens", told + total - parts)?,
        })
    }

    /// What the provider says that the call cost, rounded up to a nano-dollar; `None` when it does not say, says 0 (which nobody
    /// asks for tokens that have a price), or says only a part.
    ///
    /// # Errors
    /// [`UsageError::Cost`] when it is no amount of money.
    pub fn recorded_cost(&self) -> Result<Option<NanoUsd>, UsageError> {
        let Some(told) = self.told_usd() else { return Ok(None) };
        if !is_amount(told) {
            return Err(UsageError::Cost { found: told });
        }
        Ok(self.whole_usd(told).filter(|&usd| usd > 0.0).map(nano_usd))
    }

    /// The provider's figure: a number, or the sum that Perplexity gives beside its parts.
    fn told_usd(&self) -> Option<f64> {
        let cost = self.cost.as_ref()?;
        cost.as_f64().or_else(|| cost.get("total_cost")?.as_f64())
    }

    /// All that the call cost; `None` where a part of it is unknown.
    ///
    /// With a key of one's own at the model's provider, `OpenRouter` tells its fee as the cost, and beside it what the provider
    /// asks of that key. Otherwise the same field breaks down a cost that is whole. Where nothing tells the two apart, a cost
    /// below its own breakdown is a fee.
    fn whole_usd(&self, told: f64) -> Option<f64> {
        let is_own_key = self.extra.get("is_byok").and_then(Value::as_bool);
        let upstream = self.extra.get("cost_details").and_then(|details| details.get("upstream_inference_cost"));
        let upstream = upstream.and_then(Value::as_f64).filter(|&usd| usd > 0.0 && is_amount(usd));
        match (is_own_key, upstream) {
            (Some(true), upstream) => upstream.map(|upstream| told + upstream),
            (None, Some(upstream)) if upstream > told => Some(told + upstream),
            _ => Some(told),
        }
    }

    /// Providers that say it in several places say it wrongly in none but for zeros that a proxy filled in.
    fn cache_read(&self) -> i64 {
        let details = self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        [self.cache_read_input_tokens, details, self.prompt_cache_hit_tokens].into_iter().flatten().max().unwrap_or(0)
    }

    fn cache_written(&self) -> i64 {
        let details = self.prompt_tokens_details.as_ref();
        let detailed = details.and_then(|details| details.cache_creation_tokens.max(details.cache_write_tokens));
        self.cache_creation_input_tokens.max(detailed).unwrap_or(0)
    }

    /// Whether the count of the prompt's tokens is one without the cached ones.
    fn leaves_cached_out(&self, prompt: i64, cached: i64, output: i64) -> bool {
        let is_anthropic = self.prompt_tokens.is_none()
            && (self.cache_read_input_tokens.is_some() || self.cache_creation_input_tokens.is_some());
        is_anthropic || (cached > 0 && self.total_tokens == Some(prompt + cached + output))
    }

    fn check_signs(&self) -> Result<(), UsageError> {
        let details = self.prompt_tokens_details.as_ref();
        let counts = [
            ("prompt_tokens", self.prompt_tokens),
            ("completion_tokens", self.completion_tokens),
            ("total_tokens", self.total_tokens),
            ("input_tokens", self.input_tokens),
            ("output_tokens", self.output_tokens),
            ("cached_tokens", details.and_then(|details| details.cached_tokens)),
            ("cache_creation_tokens", details.and_then(|details| details.cache_creation_tokens)),
            ("cache_write_tokens", details.and_then(|details| details.cache_write_tokens)),
            ("cache_creation_input_tokens", self.cache_creation_input_tokens),
            ("cache_read_input_tokens", self.cache_read_input_tokens),
            ("prompt_cache_hit_tokens", self.prompt_cache_hit_tokens),
            ("prompt_cache_miss_tokens", self.prompt_cache_miss_tokens),
        ];
        for (field, count) in counts {
            match count {
                Some(found) if found < 0 => return Err(UsageError::Negative { field, found }),
                Some(found) if found > i64::from(u32::MAX) => return Err(UsageError::TooLarge { field, found }),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether so many dollars can be the cost of one call.
fn is_amount(usd: f64) -> bool {
    (0.0..=1e6).contains(&usd)
}

/// Rounded up, but the smallest float above a whole number of nano-dollars is not a nano-dollar more.
fn nano_usd(usd: f64) -> NanoUsd {
    let nano_usd = usd * 1e9;
    let rounded = nano_usd.round();
    let is_whole = (nano_usd - rounded).abs() <= rounded * 1e-12;
    NanoUsd::new(if is_whole { rounded } else { nano_usd.ceil() } as u64)
}

fn bucket(field: &'static str, count: i64) -> Result<u32, UsageError> {
    u32::try_from(count).map_err(|_| UsageError::TooLarge { field, found: count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Usage {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check(json: &str, [input, cached, written, output]: [u32; 4]) {
        let expected = TokenUsage {
            input_tokens: input,
            cached_input_tokens: cached,
            cache_write_tokens: written,
            output_tokens: output,
        };
        assert_eq!(usage(json).token_usage(), Ok(expected));
    }

    #[track_caller]
    fn check_refused(json: &str, expected: &UsageError) {
        assert_eq!(usage(json).token_usage().as_ref(), Err(expected));
    }

    #[test]
    fn openai_counts_cached_tokens_within_the_prompt() {
        check(r#"{"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}"#, [10, 0, 0, 3]);
        check(
            r#"{"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306, "prompt_tokens_details": {"cached_tokens": 1920}}"#,
            [86, 1920, 0, 300],
        );
        check(
            r#"{"prompt_tokens": 10, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": null}}"#,
            [10, 0, 0, 0],
        );
    }

    #[test]
    fn anthropics_cache_counts_come_inside_or_beside_the_prompt() {
        // LiteLLM: the prompt counts everything.
        check(
            r#"{"prompt_tokens": 1100, "completion_tokens": 5, "total_tokens": 1105, "cache_creation_input_tokens": 600,
                "cache_read_input_tokens": 400, "prompt_tokens_details": {"cached_tokens": 400}}"#,
            [100, 400, 600, 5],
        );
        // A proxy that leaves the cached tokens out of the prompt, but not out of the total.
        check(
            r#"{"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 1105, "cache_creation_input_tokens": 600,
                "cache_read_input_tokens": 400}"#,
            [100, 400, 600, 5],
        );
        // Anthropic's own names.
        check(
            r#"{"input_tokens": 100, "output_tokens": 5, "cache_creation_input_tokens": 600, "cache_read_input_tokens": 400}"#,
            [100, 400, 600, 5],
        );
    }

    #[test]
    fn openrouter_counts_what_was_written_to_the_cache_within_the_prompt() {
        // https://openrouter.ai/docs/use-cases/usage-accounting
        check(
            r#"{"prompt_tokens": 194, "completion_tokens": 2, "total_tokens": 196, "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100}}"#,
            [94, 0, 100, 2],
        );
        check_refused(
            r#"{"prompt_tokens": 194, "completion_tokens": 2, "prompt_tokens_details": {"cache_write_tokens": -1}}"#,
            &UsageError::Negative { field: "cache_write_tokens", found: -1 },
        );
    }

    #[test]
    fn deepseek_splits_the_prompt_into_hits_and_misses() {
        check(
            r#"{"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}"#,
            [36, 64, 0, 5],
        );
        check_refused(
            r#"{"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 3}"#,
            &UsageError::Inconsistent { whole_name: "prompt_tokens", whole: 100, parts: 67 },
        );
    }

    #[test]
    fn thinking_that_only_the_total_counts_is_output() {
        check(r#"{"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 63}"#, [10, 0, 0, 53]);
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        check_refused("{}", &UsageError::Missing { field: "completion_tokens" });
        check_refused(r#"{"completion_tokens": 3}"#, &UsageError::Missing { field: "prompt_tokens" });
        check_refused(
            r#"{"prompt_tokens": -1, "completion_tokens": 3}"#,
            &UsageError::Negative { field: "prompt_tokens", found: -1 },
        );
        check_refused(
            r#"{"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 11}}"#,
            &UsageError::CachedAbovePrompt { cached: 11, prompt: 10 },
        );
        check_refused(r#"{"prompt_tokens": 0, "completion_tokens": 3}"#, &UsageError::EmptyPrompt);
        check_refused(
            r#"{"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 12}"#,
            &UsageError::Inconsistent { whole_name: "total_tokens", whole: 12, parts: 13 },
        );
        check_refused(
            r#"{"prompt_tokens": 5000000000, "completion_tokens": 3}"#,
            &UsageError::TooLarge { field: "prompt_tokens", found: 5_000_000_000 },
        );
    }

    #[test]
    fn counts_that_only_together_are_too_large_are_refused() {
        check_refused(
            r#"{"input_tokens": 4000000000, "output_tokens": 5, "cache_read_input_tokens": 4000000000}"#,
            &UsageError::SumTooLarge { prompt: 8_000_000_000, output: 5 },
        );
        check_refused(
            r#"{"prompt_tokens": 4000000000, "completion_tokens": 4000000000}"#,
            &UsageError::SumTooLarge { prompt: 4_000_000_000, output: 4_000_000_000 },
        );
    }

    #[track_caller]
    fn check_cost(json: &str, expected: Option<u64>) {
        assert_eq!(usage(json).recorded_cost(), Ok(expected.map(NanoUsd::new)));
    }

    #[test]
    fn a_recorded_cost_is_rounded_up_to_a_nano_dollar() {
        check_cost(r#"{"cost": 0.000123}"#, Some(123_000));
        check_cost(r#"{"cost": 1e-10}"#, Some(1));
        assert_eq!(usage(r#"{"cost": -1}"#).recorded_cost(), Err(UsageError::Cost { found: -1.0 }));
    }

    #[test]
    fn a_cost_of_nothing_or_in_an_unknown_form_is_none() {
        check_cost("{}", None);
        check_cost(r#"{"cost": null}"#, None);
        check_cost(r#"{"cost": 0}"#, None);
        check_cost(r#"{"cost": 0.0, "is_byok": false, "cost_details": {"upstream_inference_cost": 0}}"#, None);
        check_cost(r#"{"cost": {"input": 0.5}}"#, None);
        check_cost(r#"{"cost": [0.5]}"#, None);
    }

    #[test]
    fn a_sum_beside_its_parts_is_the_cost() {
        check_cost(
            r#"{"cost": {"input_tokens_cost": 0.001, "request_cost": 0.005, "total_cost": 0.006}}"#,
            Some(6_000_000),
        );
    }

    #[test]
    fn what_a_key_of_ones_own_is_asked_for_is_added_to_the_fee() {
        check_cost(
            r#"{"cost": 0.05, "is_byok": true, "cost_details": {"upstream_inference_cost": 1}}"#,
            Some(1_050_000_000),
        );
        check_cost(
            r#"{"cost": 0, "is_byok": true, "cost_details": {"upstream_inference_cost": 1}}"#,
            Some(1_000_000_000),
        );
        // As replies were before they had the flag.
        check_cost(r#"{"cost": 0.95, "cost_details": {"upstream_inference_cost": 19}}"#, Some(19_950_000_000));
        // A part is unknown.
        check_cost(r#"{"cost": 0.05, "is_byok": true}"#, None);
        check_cost(r#"{"cost": 0.05, "is_byok": true, "cost_details": {"upstream_inference_cost": null}}"#, None);
        check_cost(r#"{"cost": 0.05, "is_byok": true, "cost_details": {"upstream_inference_cost": 0}}"#, None);
    }

    #[test]
    fn a_breakdown_of_a_whole_cost_is_not_added_to_it() {
        check_cost(
            r#"{"cost": 0.5, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.5}}"#,
            Some(500_000_000),
        );
        check_cost(r#"{"cost": 0.5, "cost_details": {"upstream_inference_cost": 0.5}}"#, Some(500_000_000));
        check_cost(r#"{"cost": 0.5, "cost_details": {"upstream_inference_cost": null}}"#, Some(500_000_000));
    }
}
