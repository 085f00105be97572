//! The size of the features, part of every checkpoint.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The size and scale of the features. Part of a checkpoint: serving uses what training used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureConfig {
    /// Models in the pool.
    pub n_models: usize,
    /// Numbers that each observation carries beside its text.
    pub n_signals: usize,
    /// Buckets for the words of the instruction. 0 leaves them out.
    pub instruction_buckets: usize,
    /// Buckets for the words of the current observation.
    pub observation_buckets: usize,
    /// Buckets for the words of the last completion.
    pub completion_buckets: usize,
    /// Buckets for the words of all completions, fading with age.
    pub history_buckets: usize,
    /// Buckets for the first words of completions, which say what kind of step it is: a command's verb, a tool's name. 0, as
    /// in checkpoints from before there were any, leaves them out.
    #[serde(default)]
    pub verb_buckets: usize,
    /// What the router is kept from seeing, for ablations.
    #[serde(default)]
    pub hidden: HiddenFeatures,
    /// Mean cost of an always-large episode: the scale of everything in dollars.
    pub cost_scale_nano_usd: u64,
}

/// What an ablation takes from the router. Hidden features are 0, so that the network keeps its shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HiddenFeatures {
    /// Whatever happened before this step, but for the number of steps and what they cost.
    pub history: bool,
    /// Which model has which prefix in its cache, and what that saves.
    pub cache: bool,
}

pub(crate) const N_PROGRESS: usize = 17;
pub(crate) const N_PER_MODEL: usize = 7;
pub(crate) const N_BUDGET: usize = 13;

impl FeatureConfig {
    /// Features for environments of text, with the default number of buckets.
    #[must_use]
    pub const fn text(n_models: usize, cost_scale_nano_usd: u64) -> Self {
        Self {
            n_models,
            n_signals: 0,
            instruction_buckets: 64,
            observation_buckets: 128,
            completion_buckets: 64,
            history_buckets: 64,
            verb_buckets: 0,
            hidden: HiddenFeatures { history: false, cache: false },
            cost_scale_nano_usd,
        }
    }

    /// Features for environments that show `n_signals` numbers; the words are left out.
    #[must_use]
    pub const fn signals(n_models: usize, n_signals: usize, cost_scale_nano_usd: u64) -> Self {
        Self {
            n_models,
            n_signals,
            instruction_buckets: 0,
            observation_buckets: 0,
            completion_buckets: 0,
            history_buckets: 0,
            verb_buckets: 0,
            hidden: HiddenFeatures { history: false, cache: false },
            cost_scale_nano_usd,
        }
    }

    /// Length of the feature vector.
    #[must_use]
    pub const fn n_features(&self) -> usize {
        N_PROGRESS + N_PER_MODEL * self.n_models + N_BUDGET + self.n_signals + self.n_words() + self.n_verbs()
    }

    /// Where the hashed words are in the feature vector; first words of completions, which follow, are not among them.
    pub(crate) const fn words(&self) -> Range<usize> {
        let end = self.n_features() - self.n_verbs();
        end - self.n_words()..end
    }

    const fn n_words(&self) -> usize {
        self.instruction_buckets + self.observation_buckets + self.completion_buckets + self.history_buckets
    }

    const fn n_verbs(&self) -> usize {
        2 * self.verb_buckets
    }
}
