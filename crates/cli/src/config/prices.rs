//! A pinned price file: what models cost, fixed at one version of a price table, for pools and maps to refer to.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tollgate_routing::{Model, Prices, TokenPrice};

use super::strict::read_toml;
use crate::failure::{OrBadInput, bad_input};

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceFile {
    /// Where the prices are from.
    pub(crate) table: TableSource,
    /// Prices by model.
    pub(crate) models: BTreeMap<String, PinnedModel>,
}

/// A price table at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableSource {
    /// Whose it is.
    pub(crate) name: String,
    /// The version of the package that it came in, where it came in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// BLAKE3 digest of the table.
    pub(crate) digest: String,
}

/// A model's prices in dollars per million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinnedModel {
    /// Who sells it.
    pub(crate) provider: String,
    pub(crate) input_usd_per_million: f64,
    pub(crate) cached_input_usd_per_million: f64,
    pub(crate) cache_write_usd_per_million: f64,
    pub(crate) output_usd_per_million: f64,
    /// What the four prices assume or leave out.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}

/// What stands at the head of a file that we write.
const HEAD: &str = "\
# Prices in dollars per million tokens, pinned by `tollgate prices`; --check compares them with a newer table.
# From the price table of LiteLLM, copyright (c) 2023 Berri AI, under the MIT license.
";

impl PriceFile {
    /// Reads the file at `path`.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("{origin}: {error}\nhint: `tollgate prices` makes a price file"))
            .or_bad_input()?;
        let file: Self = read_toml(&origin, &text)?;
        for (name, model) in &file.models {
            model.prices(&origin, name)?;
        }
        Ok(file)
    }

    /// The prices of `model`; `origin` names the file in errors.
    pub(crate) fn prices(&self, origin: &str, model: &str) -> anyhow::Result<Prices> {
        if let Some(found) = self.models.get(model) {
            return found.prices(origin, model);
        }
        let known = self.models.keys().map(|known| (strsim::damerau_levenshtein(known, model), known));
        let nearest = known.min().map(|(_, name)| format!("did you mean `{name}`? ")).unwrap_or_default();
        Err(bad_input(format!(
            "{origin}: no price of model `{model}`\nhint: {nearest}`tollgate prices` adds models; an unpriced one would pass every budget"
        )))
    }

    /// The file's text: sorted, one key per line, so that two versions compare well.
    pub(crate) fn to_toml(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut lines = vec![HEAD.to_owned(), "[table]".to_owned(), format!("name = {}", quoted(&self.table.name))];
        lines.extend(self.table.version.as_ref().map(|version| format!("version = {}", quoted(version))));
        lines.push(format!("digest = {}", quoted(&self.table.digest)));
        for (name, model) in &self.models {
            lines.push(format!("\n[models.{}]", quoted(name)));
            lines.push(format!("provider = {}", quoted(&model.provider)));
            for (key, price) in model.by_key() {
                lines.push(format!("{key} = {price:?}"));
            }
            if !model.notes.is_empty() {
                let notes: Vec<String> = model.notes.iter().map(|note| format!("    {},\n", quoted(note))).collect();
                lines.push(format!("notes = [\n{}]", notes.concat()));
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

impl PinnedModel {
    /// The entry of prices per token.
    pub(crate) fn new(provider: &str, prices: &Prices, notes: Vec<String>) -> Self {
        let per_million = TokenPrice::as_usd_per_million;
        Self {
            provider: provider.to_owned(),
            input_usd_per_million: per_million(prices.input),
            cached_input_usd_per_million: per_million(prices.cached_input),
            cache_write_usd_per_million: per_million(prices.cache_write),
            output_usd_per_million: per_million(prices.output),
            notes,
        }
    }

    /// The prices by the key that they have in the file.
    pub(crate) const fn by_key(&self) -> [(&'static str, f64); 4] {
        [
            ("input_usd_per_million", self.input_usd_per_million),
            ("cached_input_usd_per_million", self.cached_input_usd_per_million),
            ("cache_write_usd_per_million", self.cache_write_usd_per_million),
            ("output_usd_per_million", self.output_usd_per_million),
        ]
    }

    /// The prices per token; a model of them shows that none is missing.
    fn prices(&self, origin: &str, name: &str) -> anyhow::Result<Prices> {
        let [input, cached_input, cache_write, output] = self.by_key().map(|(_, price)| price);
        let prices = Prices::per_million_usd(input, cached_input, cache_write, output);
        let model = prices.and_then(|prices| Model::new(name, prices));
        model.map(|model| model.prices).map_err(|error| bad_input(format!("{origin}: model `{name}`: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> PriceFile {
        let prices = Prices::per_million_usd(0.15, 0.0375, 0.15, 0.6).unwrap();
        let notes = vec!["the table has no price of \"cache writes\"".to_owned()];
        let model = PinnedModel::new("openai", &prices, notes);
        let table = TableSource { name: "litellm".into(), version: Some("1.0".into()), digest: "d".into() };
        PriceFile { table, models: BTreeMap::from([("gemini/x-1.5".to_owned(), model)]) }
    }

    #[test]
    fn a_file_reads_back_as_it_was_written() {
        let text = file().to_toml();
        assert_eq!(read_toml::<PriceFile>("p.toml", &text).unwrap(), file());
        let head = "[models.\"gemini/x-1.5\"]\nprovider = \"openai\"\ninput_usd_per_million = 0.15\ncached_input_usd_per_million = 0.0375\n";
        assert!(text.contains(head), "{text}");
    }

    #[test]
    fn an_unpriced_model_is_an_error_with_the_nearest_name() {
        assert_eq!(file().prices("p.toml", "gemini/x-1.5").unwrap().cached_input.get(), 37_500);
        let message = file().prices("p.toml", "gemini/x-1").unwrap_err().to_string();
        let expected = "p.toml: no price of model `gemini/x-1`\nhint: did you mean `gemini/x-1.5`? ";
        assert!(message.starts_with(expected), "{message}");
    }
}
