//! LiteLLM's price table: what a token costs of some thousands of models, as its package brings it along.

use serde::Serialize;
use thiserror::Error;
use tollgate_routing::{Prices, TokenPrice};

use crate::decimal::ExactUsd;
use crate::json::{Json, Members, Text, object};

/// What is wrong with a price table.
#[derive(Debug, Error)]
pub enum PriceTableError {
    /// It is no JSON object of models.
    #[error("{detail}\nhint: expected LiteLLM's table, one JSON object with a member per model")]
    Format {
        /// What is wrong.
        detail: String,
    },
}

/// A model of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableModel {
    /// Its name in the table, often with the provider in front.
    pub name: String,
    /// Who sells it.
    pub provider: String,
    /// What it is for: `chat`, `completion`, `responses`, `embedding`, and so on.
    pub mode: String,
    /// Its prices per token in pico-dollars; none where the table has no price of a prompt or an answer.
    #[serde(skip)]
    pub prices: Option<Prices>,
    /// What the four prices leave out or assume.
    pub notes: Vec<String>,
}

impl TableModel {
    /// Whether it is a model that an agent talks to.
    #[must_use]
    pub fn is_chat(&self) -> bool {
        matches!(self.mode.as_str(), "chat" | "completion" | "responses" | "")
    }
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceTable {
    /// Its models, by name.
    pub models: Vec<TableModel>,
}

/// The entry that explains the others.
const SAMPLE: &str = "sample_spec";

impl PriceTable {
    /// Reads the table.
    ///
    /// # Errors
    /// [`PriceTableError::Format`].
    pub fn parse(text: &str) -> Result<Self, PriceTableError> {
        let table = object(text).map_err(|error| PriceTableError::Format { detail: error.to_string() })?.members();
        let models = table.iter().filter(|(name, value)| *name != SAMPLE && value.is_object());
        let mut models: Vec<TableModel> =
            models.map(|(name, value)| model(&Text::Escaped(name).to_words(), &value.members())).collect();
        if models.iter().all(|model| model.prices.is_none()) {
            return Err(PriceTableError::Format { detail: "no member has an `input_cost_per_token`".to_owned() });
        }
        models.sort_by(|one, other| one.name.cmp(&other.name));
        models.dedup_by(|one, other| one.name == other.name);
        Ok(Self { models })
    }

    /// The model of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&TableModel> {
        let found = self.models.binary_search_by(|model| model.name.as_str().cmp(name));
        found.ok().map(|position| &self.models[position])
    }

    /// The models that one of `patterns` matches (`*` stands for any characters, `?` for one), of `provider` if it is given.
    pub fn select<'a>(
        &'a self,
        patterns: &'a [String],
        provider: Option<&'a str>,
    ) -> impl Iterator<Item = &'a TableModel> {
        let is_wanted = move |model: &&TableModel| {
            let is_named = patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, &model.name));
            is_named && provider.is_none_or(|provider| model.provider == provider)
        };
        self.models.iter().filter(is_wanted)
    }
}

fn model(name: &str, entry: &Members<'_>) -> TableModel {
    let words = |field| entry.get(field).and_then(Json::as_text).map(Text::to_words).unwrap_or_default();
    let mut notes = Vec::new();
    let mut price = |field: &str| {
        let text = entry.get(field)?.raw();
        let pico = ExactUsd::parse(text).ok()?.pico_usd();
        if !pico.is_exact {
            notes.push(format!("`{field}` is {text}, rounded to a pico-dollar per token"));
        }
        Some(TokenPrice::new(pico.amount)).filter(|price| *price > TokenPrice::ZERO)
    };
    let (input, output) = (price("input_cost_per_token"), price("output_cost_per_token"));
    let read = price("cache_read_input_token_cost").or_else(|| price("input_cost_per_token_cache_hit"));
    let written = price("cache_creation_input_token_cost");
    let prices = input.zip(output).map(|(input, output)| {
        let at_input = |price: Option<TokenPrice>, what: &str, notes: &mut Vec<String>| {
            if price.is_none() {
                notes.push(format!("the table has no price of {what}: the input price"));
            }
            price.unwrap_or(input)
        };
        Prices {
            input,
            cached_input: at_input(read, "cached input", &mut notes),
            cache_write: at_input(written, "cache writes", &mut notes),
            output,
        }
    });
    notes.extend(left_out(entry));
    TableModel { name: name.to_owned(), provider: words("litellm_provider"), mode: words("mode"), prices, notes }
}

/// What the table has beside the four prices: tiers of long prompts above all, which cost more.
fn left_out(entry: &Members<'_>) -> Option<String> {
    const HELD: [&str; 5] = [
        "input_cost_per_token",
        "output_cost_per_token",
        "cache_read_input_token_cost",
        "input_cost_per_token_cache_hit",
        "cache_creation_input_token_cost",
    ];
    let is_other = |name: &str, value: Json<'_>| {
        name.contains("cost") && !HELD.contains(&name) && !value.is_null() && value.as_f64() != Some(0.0)
    };
    let mut others: Vec<String> = entry
        .iter()
        .filter(|(name, value)| is_other(name, *value))
        .map(|(name, value)| if value.is_number() { format!("{name} = {}", value.raw()) } else { name.to_owned() })
        .collect();
    // The tiers first: whoever has long prompts pays them.
    others.sort_by_key(|other| (!other.contains("_above_"), other.clone()));
    (!others.is_empty()).then(|| format!("not in these prices: {}", others.join(", ")))
}

/// Whether `pattern` matches the whole name.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at_pattern, mut at_name, mut retry) = (0, 0, None);
    while at_name < name.len() {
        match pattern.get(at_pattern) {
            Some('*') => {
                retry = Some((at_pattern, at_name));
                at_pattern += 1;
            }
            Some(&char) if char == '?' || char == name[at_name] => {
                at_pattern += 1;
                at_name += 1;
            }
            _ => match retry {
                // The last star takes one character more.
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    at_pattern = star + 1;
                    at_name = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at_pattern..].iter().all(|&char| char == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"{
        "sample_spec": {"input_cost_per_token": 0.0},
        "gpt-x": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1.5e-07,
            "output_cost_per_token": 6e-07, "cache_read_input_token_cost": 3.75e-08},
        "claude-x": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-06,
            "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": 3e-07, "cache_creation_input_token_cost": 3.75e-06,
            "input_cost_per_token_above_200k_tokens": 6e-06, "input_cost_per_token_batches": 1.5e-06},
        "free-x": {"litellm_provider": "self", "mode": "chat", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
        "embed-x": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 1e-07}
    }"#;

    fn table() -> PriceTable {
        PriceTable::parse(TABLE).unwrap()
    }

    #[test]
    fn prices_are_whole_pico_dollars_per_token() {
        let table = table();
        let prices = table.get("gpt-x").unwrap().prices.unwrap();
        let pico = [prices.input, prices.cached_input, prices.cache_write, prices.output].map(TokenPrice::get);
        assert_eq!(pico, [150_000, 37_500, 150_000, 600_000]);
        assert_eq!(table.get("gpt-x").unwrap().notes, ["the table has no price of cache writes: the input price"]);
    }

    #[test]
    fn tiers_and_other_prices_are_named() {
        let expected = "not in these prices: input_cost_per_token_above_200k_tokens = 6e-06, input_cost_per_token_batches = 1.5e-06";
        assert_eq!(table().get("claude-x").unwrap().notes, [expected]);
    }

    #[test]
    fn a_model_without_a_price_has_none() {
        assert_eq!(table().get("free-x").unwrap().prices, None);
        assert_eq!(table().get("embed-x").unwrap().prices, None);
        assert_eq!(table().get("sample_spec"), None);
    }

    #[track_caller]
    fn check_select(patterns: &[&str], provider: Option<&str>, expected: &[&str]) {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        let table = table();
        let found: Vec<&str> = table.select(&patterns, provider).map(|model| model.name.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn models_are_selected_by_name_pattern_and_provider() {
        check_select(&["gpt-x"], None, &["gpt-x"]);
        check_select(&["*-x"], Some("openai"), &["embed-x", "gpt-x"]);
        check_select(&["c*de-?", "none"], None, &["claude-x"]);
        check_select(&["c*d"], None, &[]);
        check_select(&[], Some("anthropic"), &["claude-x"]);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(PriceTable::parse("[]").is_err());
        let message = PriceTable::parse(r#"{"a": {}}"#).unwrap_err().to_string();
        assert!(message.starts_with("no member has an `input_cost_per_token`"), "{message}");
    }
}
