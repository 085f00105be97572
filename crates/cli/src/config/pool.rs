//! The model pool's file: ids and prices in dollars per million tokens, as providers list them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tollgate_routing::{Model, ModelPool, Prices, TokenPrice};

use super::prices::PriceFile;
use super::strict::read_toml;
use crate::failure::{OrBadInput, bad_input};

/// The file as written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolFile {
    /// A price file that has the prices of models that come without, from the pool's own directory.
    pub(crate) prices: Option<PathBuf>,
    /// The models, ordered by price: the first is `small`, the last is `large`.
    pub(crate) models: Vec<ModelEntry>,
}

/// One model of the pool. Its prices stand here or in the pool's price file; none of a prompt or an answer has a default: a
/// forgotten one would be a free model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelEntry {
    /// The name that its endpoint knows it by.
    pub(crate) id: String,
    /// Price of a million prompt tokens.
    pub(crate) input_usd_per_million: Option<f64>,
    /// Price of a million prompt tokens that are read from the prompt cache.
    pub(crate) cached_input_usd_per_million: Option<f64>,
    /// Price of a million prompt tokens that are written to the prompt cache; the input price where the provider does not
    /// bill that apart.
    pub(crate) cache_write_usd_per_million: Option<f64>,
    /// Price of a million generated tokens.
    pub(crate) output_usd_per_million: Option<f64>,
    /// Its name in the price file; by default its id.
    pub(crate) priced_as: Option<String>,
    /// How it behaves where models are simulated: `small`, `medium` or `large`.
    pub(crate) simulated_profile: Option<String>,
}

/// The prices of a model that is in no pool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are the keys of the file, with their unit")]
pub(crate) struct PriceEntry {
    input_usd_per_million: f64,
    /// The input price where the provider has no other.
    cached_input_usd_per_million: Option<f64>,
    /// The input price where the provider does not bill that apart.
    cache_write_usd_per_million: Option<f64>,
    output_usd_per_million: f64,
}

impl PriceEntry {
    /// The prices of `model`; `origin` names the file in errors.
    pub(crate) fn prices(&self, origin: &str, model: &str) -> anyhow::Result<Prices> {
        let input = self.input_usd_per_million;
        let prices = Prices::per_million_usd(
            input,
            self.cached_input_usd_per_million.unwrap_or(input),
            self.cache_write_usd_per_million.unwrap_or(input),
            self.output_usd_per_million,
        );
        // A model of these prices shows that none of them is missing.
        let checked = prices.and_then(|prices| Model::new(model, prices));
        checked.map(|model| model.prices).map_err(|error| bad_input(format!("{origin}: `prices.\"{model}\"`: {error}")))
    }
}

impl PoolFile {
    /// The pool that the file at `path` describes.
    pub(crate) fn open_pool(path: &Path) -> anyhow::Result<ModelPool> {
        Self::open(path)?.pool(&path.display().to_string())
    }

    /// Reads the file at `path`.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| {
                anyhow::anyhow!("{origin}: {error}\nhint: `experiment.pool` names the pool; datasets/pools/ holds some")
            })
            .or_bad_input()?;
        let mut file: Self = read_toml(&origin, &text)?;
        file.look_up_prices(path.parent().unwrap_or(Path::new("")))?;
        Ok(file)
    }

    /// Gives models that come without prices those of the price file, whose path starts from `directory`.
    pub(crate) fn look_up_prices(&mut self, directory: &Path) -> anyhow::Result<()> {
        let Some(path) = &self.prices else { return Ok(()) };
        let path = directory.join(path);
        let file = PriceFile::open(&path)?;
        for model in self.models.iter_mut().filter(|model| !model.has_prices()) {
            let name = model.priced_as.as_ref().unwrap_or(&model.id);
            let prices = file.prices(&path.display().to_string(), name)?;
            let per_million = |price: TokenPrice| Some(price.as_usd_per_million());
            model.input_usd_per_million = per_million(prices.input);
            model.cached_input_usd_per_million = per_million(prices.cached_input);
            model.cache_write_usd_per_million = per_million(prices.cache_write);
            model.output_usd_per_million = per_million(prices.output);
        }
        Ok(())
    }

    /// The pool that the file describes; `origin` names the file in errors.
    pub(crate) fn pool(&self, origin: &str) -> anyhow::Result<ModelPool> {
        let models = self.models.iter().map(ModelEntry::model).collect::<Result<_, _>>();
        let models = models.map_err(|error| bad_input(format!("{origin}: {error}")))?;
        ModelPool::new(models).map_err(|error| bad_input(format!("{origin}: {error}")))
    }
}

impl ModelEntry {
    /// Multiplies every price that it has.
    pub(crate) fn multiply_prices(&mut self, factor: f64) {
        let prices = [
            &mut self.input_usd_per_million,
            &mut self.cached_input_usd_per_million,
            &mut self.cache_write_usd_per_million,
            &mut self.output_usd_per_million,
        ];
        for price in prices.into_iter().flatten() {
            *price *= factor;
        }
    }

    const fn has_prices(&self) -> bool {
        self.input_usd_per_million.is_some() || self.output_usd_per_million.is_some()
    }

    fn model(&self) -> Result<Model, String> {
        let required = |key: &str, price: Option<f64>| {
            price.ok_or_else(|| {
                let id = &self.id;
                format!("model `{id}` has no `{key}`\nhint: prices have no default; write it out, or name a price file: `prices = \"prices.toml\"`")
            })
        };
        let input = required("input_usd_per_million", self.input_usd_per_million)?;
        let prices = Prices::per_million_usd(
            input,
            required("cached_input_usd_per_million", self.cached_input_usd_per_million)?,
            self.cache_write_usd_per_million.unwrap_or(input),
            required("output_usd_per_million", self.output_usd_per_million)?,
        );
        let prices = prices.map_err(|error| format!("model `{}`: {error}", self.id))?;
        Model::new(&self.id, prices).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[[models]]\nid = \"small\"\ninput_usd_per_million = 0.4\ncached_input_usd_per_million = 0.1\n\
                         output_usd_per_million = 1.6\n";

    fn read_pool(prices_of_large: &str) -> anyhow::Result<ModelPool> {
        let text = format!("{SMALL}[[models]]\nid = \"large\"\n{prices_of_large}");
        read_toml::<PoolFile>("p.toml", &text)?.pool("p.toml")
    }

    #[track_caller]
    fn check_refused(prices_of_large: &str, expected_start: &str) {
        let message = read_pool(prices_of_large).unwrap_err().to_string();
        assert!(message.starts_with(expected_start), "{message}");
    }

    const PROMPT: &str = "input_usd_per_million = 2.0\ncached_input_usd_per_million = 0.5\n";

    #[test]
    fn a_price_in_dollars_per_million_is_pico_dollars_per_token() {
        let pool = read_pool(&format!("{PROMPT}output_usd_per_million = 8")).unwrap();
        let prices = pool.model(pool.large()).prices;
        assert_eq!(
            (prices.input.get(), prices.cached_input.get(), prices.output.get()),
            (2_000_000, 500_000, 8_000_000)
        );
        assert_eq!(prices.cache_write, prices.input);
    }

    #[test]
    fn a_missing_price_is_refused() {
        check_refused(PROMPT, "p.toml: model `large` has no `output_usd_per_million`\nhint: prices have no default");
    }

    #[test]
    fn a_negative_or_zero_price_is_refused() {
        check_refused(&format!("{PROMPT}output_usd_per_million = -8"), "p.toml: model `large`: price `output` is $-8");
        check_refused(&format!("{PROMPT}output_usd_per_million = 0"), "p.toml: model `large` has no price");
    }

    #[test]
    fn models_without_prices_have_those_of_the_price_file() {
        let directory = tempfile::tempdir().unwrap();
        let prices = "[table]\nname = \"litellm\"\ndigest = \"\"\n[models.\"openai/large\"]\nprovider = \"openai\"\n\
                      input_usd_per_million = 2\ncached_input_usd_per_million = 0.5\n\
                      cache_write_usd_per_million = 2\noutput_usd_per_million = 8\n";
        std::fs::write(directory.path().join("prices.toml"), prices).unwrap();
        let path = directory.path().join("pool.toml");
        let open = |large: &str| {
            std::fs::write(&path, format!("prices = \"prices.toml\"\n{SMALL}[[models]]\nid = \"large\"\n{large}"))
                .unwrap();
            PoolFile::open(&path)?.pool("p.toml")
        };
        let pool = open("priced_as = \"openai/large\"").unwrap();
        assert_eq!(pool.model(pool.large()).prices.cached_input.get(), 500_000);
        let message = open("").unwrap_err().to_string();
        assert!(
            message.contains("prices.toml: no price of model `large`\nhint: did you mean `openai/large`?"),
            "{message}"
        );
    }
}
