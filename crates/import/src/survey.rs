//! A first look at a log without a map: which models it has, and what they cost.

use std::collections::BTreeMap;

use tollgate_routing::{Model, ModelPool, Prices};

use crate::ImportError;
use crate::assembly::{EpisodeSink, LogModels};
use crate::open_episode::OpenEpisode;
use crate::skips::Refusal;

/// Tokens and costs by model.
#[derive(Default)]
pub(crate) struct Survey {
    models: BTreeMap<usize, (f64, u64)>,
    n_unpriced: usize,
}

impl EpisodeSink for Survey {
    fn take(&mut self, episode: &OpenEpisode, _: &LogModels) -> Result<Result<(), Refusal>, ImportError> {
        for step in &episode.steps {
            let sums = self.models.entry(step.model).or_default();
            if let Some(cost) = step.cost {
                sums.0 += cost.as_usd();
                sums.1 += u64::from(step.usage.prompt_tokens()) + u64::from(step.usage.output_tokens);
            }
        }
        Ok(Ok(()))
    }
}

impl Survey {
    /// The models ordered by their mean price per token, or why they make no pool.
    pub(crate) fn pool(mut self, models: &LogModels) -> Result<ModelPool, String> {
        let mut ranked: Vec<(f64, &str)> = Vec::new();
        for (model, (usd, n_tokens)) in &self.models {
            if *usd > 0.0 && *n_tokens > 0 {
                ranked.push((usd / *n_tokens as f64, &models.get(*model).name));
            } else {
                self.n_unpriced += 1;
            }
        }
        if self.n_unpriced > 0 {
            return Err(format!("{} of the log's {} models have no cost", self.n_unpriced, self.models.len()));
        }
        ranked.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(other.1)));
        let model = |&(usd, name): &(f64, &str)| {
            // Whole pico-dollars per token; a price below one would be a free model.
            let usd_per_million = (usd * 1e12).round().max(1.0) / 1e6;
            let prices = Prices::per_million_usd(usd_per_million, usd_per_million, usd_per_million, usd_per_million)?;
            Model::new(name, prices)
        };
        let models = ranked.iter().map(model).collect::<Result<Vec<_>, _>>();
        let pool = models.and_then(ModelPool::new);
        pool.map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
    }
}
