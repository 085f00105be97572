//! `[experiment.live]`: where the models of the pool are, and what may be spent on them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollgate_contract::Slot;
use tollgate_environment::live::LiveModel;
use tollgate_routing::{Model, ModelPool, NanoUsd};
use tollgate_upstream::{ClientConfig, Endpoint, MaxTokensField, RetryPolicy};

use crate::failure::bad_input;

/// Who answers the calls of an experiment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExecutorKind {
    /// Simulated models: they cost nothing.
    #[default]
    Simulated,
    /// The models behind the endpoints of `[experiment.live]`: they cost money.
    Live,
}

/// The table as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveConfig {
    /// The most that `simulate` may spend, over all its attempts.
    pub(crate) spending_limit_usd: f64,
    /// The most that `optimize` may spend. Without it the stage is refused: it plays thousands of episodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) optimize_spending_limit_usd: Option<f64>,
    /// The most that `evaluate` may spend. Without it the stage is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) evaluate_spending_limit_usd: Option<f64>,
    /// Calls at once, over all endpoints; as many episodes are played side by side.
    #[serde(default = "default_concurrency")]
    pub(crate) concurrency: usize,
    /// How long one attempt may take.
    #[serde(default = "default_timeout_secs")]
    pub(crate) timeout_secs: f64,
    /// Attempts per call.
    #[serde(default = "default_max_attempts")]
    pub(crate) max_attempts: u32,
    /// The wait before the second attempt; it doubles, and chance adds up to as much again.
    #[serde(default = "default_retry_delay_ms")]
    pub(crate) retry_delay_ms: u64,
    /// The longest wait of our own.
    #[serde(default = "default_max_retry_delay_ms")]
    pub(crate) max_retry_delay_ms: u64,
    /// The longest wait that a server may ask for.
    #[serde(default = "default_max_retry_after_secs")]
    pub(crate) max_retry_after_secs: f64,
    /// Each model of the pool by its id.
    pub(crate) models: BTreeMap<String, LiveModelConfig>,
}

/// One model: where it is, and how it is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveModelConfig {
    /// The endpoint's address up to and including `/v1`.
    pub(crate) base_url: String,
    /// The model's name there; its id in the pool unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// The environment variable that holds the key; none where no key is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key_env: Option<String>,
    /// Tokens at which an answer is cut.
    pub(crate) max_output_tokens: u32,
    /// Which field of the request says so.
    #[serde(default)]
    pub(crate) max_tokens_field: MaxTokens,
    /// Whether the model acts by a tool call.
    #[serde(default)]
    pub(crate) tools: bool,
    /// Whether answers are streamed.
    #[serde(default)]
    pub(crate) stream: bool,
    /// How much chance there is in its answers; the provider's default without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) temperature: Option<f64>,
    /// Seed of the chance, for providers that take one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    /// Tokens that the provider adds to every prompt, unseen.
    #[serde(default = "default_prompt_overhead_tokens")]
    pub(crate) prompt_overhead_tokens: u32,
    /// Where the counts of tokens come from.
    #[serde(default)]
    pub(crate) usage: UsageSource,
    /// Whether a dollar cost in the reply is taken instead of usage times prices. A cost of 0 is not, nor the fee alone of a router
    /// that calls with a key of one's own at the provider.
    #[serde(default = "default_recorded_cost")]
    pub(crate) recorded_cost: bool,
    /// Fields that every request carries beside ours.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) extra: Map<String, Value>,
}

/// The field of a request that limits the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MaxTokens {
    /// `max_tokens`.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// Where the counts of tokens come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UsageSource {
    /// The provider counts. An answer without counts is refused.
    #[default]
    Provider,
    /// A tokenizer counts where the provider does not. The spending limit then counts the worst case.
    Estimated,
}

const fn default_concurrency() -> usize {
    8
}

const fn default_timeout_secs() -> f64 {
    120.0
}

const fn default_max_attempts() -> u32 {
    5
}

const fn default_retry_delay_ms() -> u64 {
    500
}

const fn default_max_retry_delay_ms() -> u64 {
    30_000
}

const fn default_max_retry_after_secs() -> f64 {
    120.0
}

const fn default_prompt_overhead_tokens() -> u32 {
    64
}

const fn default_recorded_cost() -> bool {
    true
}

impl LiveConfig {
    /// Keys that say how a collection is run, and nothing about what comes out: a limit that is raised or a slower pace goes on with
    /// what there is.
    pub(super) const OPERATION: [&str; 9] = [
        "spending_limit_usd",
        "optimize_spending_limit_usd",
        "evaluate_spending_limit_usd",
        "concurrency",
        "timeout_secs",
        "max_attempts",
        "retry_delay_ms",
        "max_retry_delay_ms",
        "max_retry_after_secs",
    ];

    /// Refuses what no collection can be made of; `pool` is the experiment's.
    pub(crate) fn check(&self, pool: &ModelPool) -> anyhow::Result<()> {
        let limits = [
            ("spending_limit_usd", Some(self.spending_limit_usd)),
            ("optimize_spending_limit_usd", self.optimize_spending_limit_usd),
            ("evaluate_spending_limit_usd", self.evaluate_spending_limit_usd),
        ];
        for (key, limit) in limits {
            number(key, limit.unwrap_or(0.0), 0.0, 1e9)?;
        }
        number("concurrency", self.concurrency as f64, 1.0, 1_024.0)?;
        number("timeout_secs", self.timeout_secs, 0.001, 86_400.0)?;
        number("max_attempts", f64::from(self.max_attempts), 1.0, 100.0)?;
        number("max_retry_after_secs", self.max_retry_after_secs, 0.0, 86_400.0)?;
        for (_, model) in pool.iter() {
            let Some(config) = self.models.get(&*model.id) else {
                return Err(bad_input(format!(
                    "`experiment.live.models` has no `{}`, expected an endpoint for every model of the pool\nhint: add [experiment.live.models.\"{}\"] with base_url and max_output_tokens",
                    model.id, model.id
                )));
            };
            let key = format!("models.{}.max_output_tokens", model.id);
            number(&key, f64::from(config.max_output_tokens), 1.0, 1e6)?;
        }
        let unknown = self.models.keys().find(|id| pool.iter().all(|(_, model)| *model.id != ***id));
        match unknown {
            None => Ok(()),
            Some(id) => Err(bad_input(format!(
                "`experiment.live.models.{id}` is no model of the pool\nhint: `experiment.pool` names the file of the pool; ids must agree"
            ))),
        }
    }

    /// What the stage of `slot` may spend.
    pub(crate) fn limit(&self, slot: Slot) -> anyhow::Result<NanoUsd> {
        let (key, limit) = match slot {
            Slot::Optimize => ("optimize_spending_limit_usd", self.optimize_spending_limit_usd),
            Slot::Evaluate => ("evaluate_spending_limit_usd", self.evaluate_spending_limit_usd),
            _ => ("spending_limit_usd", Some(self.spending_limit_usd)),
        };
        let usd = limit.ok_or_else(|| {
            bad_input(format!(
                "`experiment.live.{key}` is missing, and `{slot}` would call live models\nhint: say what it may spend; or train on what was collected: set `executor = \"simulated\"` with a simulated suite, or import the collection and use suite `replay`"
            ))
        })?;
        Ok(NanoUsd::new((usd * 1e9).round() as u64))
    }

    /// What all endpoints share.
    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig {
            timeout: Duration::from_secs_f64(self.timeout_secs),
            concurrency: self.concurrency,
            retry: RetryPolicy {
                max_attempts: self.max_attempts,
                base_delay: Duration::from_millis(self.retry_delay_ms),
                max_delay: Duration::from_millis(self.max_retry_delay_ms),
                max_retry_after: Duration::from_secs_f64(self.max_retry_after_secs),
            },
            ..ClientConfig::default()
        }
    }

    /// How a model of the pool is called; `check` has made sure that it has an entry.
    pub(crate) fn model(&self, model: &Model) -> Option<LiveModel> {
        let config = self.models.get(&*model.id)?;
        let endpoint = Endpoint {
            base_url: config.base_url.clone(),
            model: config.model.clone().unwrap_or_else(|| model.id.to_string()),
            api_key_env: config.api_key_env.clone(),
            prices: model.prices,
            max_tokens_field: match config.max_tokens_field {
                MaxTokens::MaxTokens => MaxTokensField::MaxTokens,
                MaxTokens::MaxCompletionTokens => MaxTokensField::MaxCompletionTokens,
            },
            is_streamed: config.stream,
            trusts_recorded_cost: config.recorded_cost,
        };
        Some(LiveModel {
            endpoint,
            has_tools: config.tools,
            temperature: config.temperature,
            seed: config.seed,
            max_output_tokens: config.max_output_tokens,
            prompt_overhead_tokens: config.prompt_overhead_tokens,
            estimates_usage: config.usage == UsageSource::Estimated,
            extra: config.extra.clone(),
        })
    }
}

fn number(key: &str, found: f64, low: f64, high: f64) -> anyhow::Result<()> {
    if (low..=high).contains(&found) {
        Ok(())
    } else {
        Err(bad_input(format!("`experiment.live.{key}` is {found}, expected {low} to {high}")))
    }
}

#[cfg(test)]
mod tests {
    use tollgate_routing::Prices;

    use super::super::ConfigFile;
    use super::*;

    const LIVE: &str = "[experiment]\nexecutor = \"live\"\n[experiment.live]\nspending_limit_usd = 2.5\n";
    const SMALL: &str =
        "[experiment.live.models.small]\nbase_url = \"http://127.0.0.1:1/v1\"\nmax_output_tokens = 60\n";
    const LARGE: &str = "[experiment.live.models.large]\nbase_url = \"http://127.0.0.1:2/v1\"\nmodel = \"big\"\nmax_output_tokens = 80\n\
                         max_tokens_field = \"max_completion_tokens\"\ntools = true\nextra = { top_p = 0.9 }\n";

    fn pool() -> ModelPool {
        let prices = |output| Prices::per_million_usd(0.4, 0.1, 0.4, output).unwrap();
        ModelPool::new(vec![Model::new("small", prices(1.0)).unwrap(), Model::new("large", prices(2.0)).unwrap()])
            .unwrap()
    }

    fn read(text: &str) -> anyhow::Result<LiveConfig> {
        let config = ConfigFile::parse("c.toml", text)?.experiment.live.unwrap();
        config.check(&pool())?;
        Ok(config)
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let message = read(text).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }

    #[test]
    fn a_model_is_called_by_its_id_unless_told_otherwise() {
        let config = read(&format!("{LIVE}{SMALL}{LARGE}")).unwrap();
        let pool = pool();
        let [small, large] = [pool.small(), pool.large()].map(|index| config.model(pool.model(index)).unwrap());
        assert_eq!((small.endpoint.model.as_str(), large.endpoint.model.as_str()), ("small", "big"));
        assert_eq!(large.endpoint.max_tokens_field, MaxTokensField::MaxCompletionTokens);
        assert!(!small.has_tools && large.has_tools && large.extra["top_p"] == 0.9);
        assert_eq!(config.limit(Slot::Simulate).unwrap(), NanoUsd::new(2_500_000_000));
    }

    #[test]
    fn a_stage_that_would_spend_without_a_limit_is_refused() {
        let config = read(&format!("{LIVE}{SMALL}{LARGE}")).unwrap();
        let message = config.limit(Slot::Optimize).unwrap_err().to_string();
        assert!(message.starts_with("`experiment.live.optimize_spending_limit_usd` is missing"), "{message}");
    }

    #[test]
    fn the_pool_and_the_endpoints_must_agree() {
        check_refused(&format!("{LIVE}{SMALL}"), "`experiment.live.models` has no `large`");
        let other = SMALL.replace("models.small", "models.medium");
        check_refused(
            &format!("{LIVE}{SMALL}{LARGE}{other}"),
            "`experiment.live.models.medium` is no model of the pool",
        );
    }

    #[test]
    fn nonsense_is_refused_with_its_key() {
        let text = format!("{LIVE}{SMALL}{LARGE}");
        check_refused(&text.replace("2.5", "-1"), "`experiment.live.spending_limit_usd` is -1, expected 0");
        check_refused(
            &text.replace("tools", "tool"),
            "c.toml: `experiment.live.models.large.tool`: unknown field `tool`",
        );
        check_refused(
            &text.replace("spending_limit_usd = 2.5", ""),
            "c.toml: `experiment.live`: missing field `spending_limit_usd`",
        );
    }
}
