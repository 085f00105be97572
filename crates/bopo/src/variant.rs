//! What can be trained: our method, its rivals and its ablations.

use serde::{Deserialize, Serialize};

/// What is trained: our method, a rival, or our method with one part changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// The default.
    Bopo,
    /// The SFT warm start alone.
    Sft,
    /// Plain GRPO after the SFT warm start: no references, deviation divides.
    Grpo,
    /// Plain GRPO from random weights.
    GrpoNoSft,
    /// PPO from random weights: a value baseline, no references, no bonus.
    Ppo,
    /// Conservative offline Q-learning on the logged episodes.
    QLearning,
    /// The same without the conservative penalty: fitted Q iteration.
    FittedQ,
    /// A greedy one-step value router: what the logs say of an action here, and what this one step costs.
    StepValue,
    /// A static router: one decision per task, by the expected gain.
    Static,
    /// BoPO after the SFT warm start on synthesized examples, as the paper starts it.
    BopoWarmStart,
    /// BoPO whose advantage knows no boundary policy.
    BopoNoReference,
    /// BoPO that ends with its last weights.
    BopoNoAveraging,
    /// BoPO whose weights do not decay.
    BopoNoDecay,
    /// BoPO with the published bonus for hard tasks.
    BopoHardBonus,
    /// BoPO at one `lambda`, without caps, blind to the operating point.
    BopoNoConditioning,
    /// BoPO that sees the current observation, not what led to it.
    BopoNoHistory,
    /// BoPO that reads no words.
    BopoNoText,
    /// BoPO that takes every prompt for cold.
    BopoNoCachePrice,
    /// BoPO that gives every step of an episode the same advantage.
    BopoWholeTrajectory,
    /// BoPO that judges a step by all that came after it.
    BopoCostToGo,
    /// BoPO that judges a step by playing on with another model from there.
    BopoForked,
    /// BoPO that compares an episode with others of its task and with the boundary probes, without a critic.
    BopoUnion,
    /// BoPO that plays every task to its end.
    BopoNoEarlyStop,
}

impl Variant {
    /// Every variant.
    pub const ALL: [Self; 23] = [
        Self::Bopo,
        Self::Sft,
        Self::Grpo,
        Self::GrpoNoSft,
        Self::Ppo,
        Self::QLearning,
        Self::FittedQ,
        Self::StepValue,
        Self::Static,
        Self::BopoWarmStart,
        Self::BopoNoReference,
        Self::BopoNoAveraging,
        Self::BopoNoDecay,
        Self::BopoHardBonus,
        Self::BopoNoConditioning,
        Self::BopoNoHistory,
        Self::BopoNoText,
        Self::BopoNoCachePrice,
        Self::BopoWholeTrajectory,
        Self::BopoCostToGo,
        Self::BopoForked,
        Self::BopoUnion,
        Self::BopoNoEarlyStop,
    ];

    /// What a run trains by default: our method, the rivals that it is most often compared with, and the ablations.
    pub const STANDARD: [Self; 8] = [
        Self::Bopo,
        Self::Sft,
        Self::Grpo,
        Self::Static,
        Self::BopoWarmStart,
        Self::BopoNoReference,
        Self::BopoNoEarlyStop,
        Self::BopoNoConditioning,
    ];

    /// Whether it learns values of actions from logs alone, and from all of them; the others look at the probes and at what is
    /// imitated.
    #[must_use]
    pub const fn is_value_based(self) -> bool {
        matches!(self, Self::QLearning | Self::FittedQ | Self::StepValue)
    }

    /// Whether it never acts while it trains.
    #[must_use]
    pub const fn is_offline(self) -> bool {
        self.is_value_based() || matches!(self, Self::Sft | Self::Static)
    }

    /// Whether it imitates the synthesized examples first. `warm_start` is what the settings say of our method; rivals are as published.
    #[must_use]
    pub const fn starts_warm(self, warm_start: bool) -> bool {
        match self {
            Self::Sft | Self::Grpo | Self::BopoWarmStart => true,
            Self::GrpoNoSft | Self::Ppo => false,
            _ => warm_start,
        }
    }

    /// Whether it may learn to give up: our method, but for one variant. Rivals choose models and nothing else, as published, and what
    /// giving up would have saved is in no episode that those see which never act.
    #[must_use]
    pub const fn may_give_up(self) -> bool {
        !self.is_offline() && !matches!(self, Self::Grpo | Self::GrpoNoSft | Self::Ppo | Self::BopoNoEarlyStop)
    }

    /// The name in files, which is also the policy's id.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bopo => "bopo",
            Self::Sft => "sft",
            Self::Grpo => "grpo",
            Self::GrpoNoSft => "grpo-no-sft",
            Self::Ppo => "ppo",
            Self::QLearning => "q-learning",
            Self::FittedQ => "fitted-q",
            Self::StepValue => "step-value",
            Self::Static => "static",
            Self::BopoWarmStart => "bopo-warm-start",
            Self::BopoNoReference => "bopo-no-reference",
            Self::BopoNoAveraging => "bopo-no-averaging",
            Self::BopoNoDecay => "bopo-no-decay",
            Self::BopoHardBonus => "bopo-hard-bonus",
            Self::BopoNoConditioning => "bopo-no-conditioning",
            Self::BopoNoHistory => "bopo-no-history",
            Self::BopoNoText => "bopo-no-text",
            Self::BopoNoCachePrice => "bopo-no-cache-price",
            Self::BopoWholeTrajectory => "bopo-whole-trajectory",
            Self::BopoCostToGo => "bopo-cost-to-go",
            Self::BopoForked => "bopo-forked",
            Self::BopoUnion => "bopo-union",
            Self::BopoNoEarlyStop => "bopo-no-early-stop",
        }
    }
}
