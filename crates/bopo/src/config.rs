//! The settings of training. Defaults are those of docs/method.md, with their evidence.

use serde::{Deserialize, Serialize};
use tollgate_policy::HiddenFeatures;

use crate::{Bonus, ConditionConfig, CostNormalisation, QLearningConfig, Variant};

/// How the advantage of a step is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advantage {
    /// A critic that knows what the boundary policies achieve on the task, with generalized advantage estimation.
    ReferenceCritic,
    /// The whole episode's reward less what that critic expected at its start: the same for every step.
    WholeTrajectory,
    /// The difference to episodes that went on with another model from a step on; no critic.
    Forked,
    /// Reward less the mean of group and boundary rewards, without division.
    Union,
    /// Plain GRPO: group mean and standard deviation.
    Grpo,
}

impl Advantage {
    /// Whether it asks a critic, which then learns beside the policy.
    pub(crate) const fn has_critic(self) -> bool {
        matches!(self, Self::ReferenceCritic | Self::WholeTrajectory)
    }

    /// Whether it compares rollouts of one task at one operating point.
    pub(crate) const fn compares_groups(self) -> bool {
        matches!(self, Self::Union | Self::Grpo)
    }
}

/// The settings of the SFT warm start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftConfig {
    /// Passes over the examples.
    pub epochs: u32,
    /// Examples per update.
    pub minibatch_size: usize,
    /// Step size of AdamW.
    pub learning_rate: f64,
    /// At most so many examples are used, drawn evenly.
    pub max_examples: usize,
}

impl Default for SftConfig {
    fn default() -> Self {
        Self { epochs: 3, minibatch_size: 512, learning_rate: 1e-3, max_examples: 20_000 }
    }
}

/// The settings of BoPO.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BopoConfig {
    /// Rounds of rollouts and updates.
    pub iterations: u32,
    /// Episodes per round.
    pub episodes_per_iteration: usize,
    /// Rollouts per task and operating point, for the group advantages.
    pub group_size: usize,
    /// Steps of an episode at which another model is tried, for the advantage of forked rollouts. A round then has fewer episodes,
    /// so that about as many steps are played.
    pub forks_per_episode: usize,
    /// Passes over the steps of a round.
    pub epochs: u32,
    /// Steps per update.
    pub minibatch_size: usize,
    /// Step size of AdamW at the start; it falls linearly to a tenth.
    pub learning_rate: f64,
    /// Decay of AdamW: tasks of training are few, and weights that nothing pulls back learn them by heart.
    pub weight_decay: f64,
    /// Share of the buckets of words that an episode of training is kept from, 0 to below 1: for tasks that are told apart by their
    /// words, and learnt by heart.
    pub word_dropout: f32,
    /// The gradient's norm is limited to this.
    pub max_grad_norm: f32,
    /// Clip of the probability ratio.
    pub clip_epsilon: f64,
    /// Weight of the entropy bonus.
    pub entropy_weight: f64,
    /// Giving up has to save so many times what going on would have gained. A router that is not sure plays on: it learns from
    /// episodes with its own chance in them, and plays better than those once it takes the best model every time.
    pub caution: f32,
    /// Once training is over, the large model's logit is raised by this: among the tasks of training are some that the router has learnt
    /// by heart, so that it trusts small models more than other tasks bear out.
    pub lean: f32,
    /// Weight of the divergence from the SFT policy.
    pub kl_weight: f64,
    /// Weight of the critic's loss.
    pub value_weight: f64,
    /// Weight of later surprises in generalized advantage estimation.
    pub gae_lambda: f32,
    /// How the advantage is estimated.
    pub advantage: Advantage,
    /// How a cost becomes the number that `lambda` weighs.
    pub cost_normalisation: CostNormalisation,
    /// What success is worth.
    pub bonus: Bonus,
    /// Whether the critic is told what the boundary policies achieve on the task.
    pub references: bool,
    /// Training ends with the mean of the weights over this share of the iterations, the last ones; 0 ends with the last weights.
    pub average_share: f32,
    /// The operating points of training.
    pub conditions: ConditionConfig,
    /// The one `lambda` of the variant without conditioning.
    pub fixed_lambda: f32,
}

impl BopoConfig {
    /// Whether there is a critic, and it knows what the boundary policies achieve.
    pub(crate) const fn knows_references(&self) -> bool {
        self.references && self.advantage.has_critic()
    }
}

impl Default for BopoConfig {
    fn default() -> Self {
        Self {
            iterations: 120,
            episodes_per_iteration: 256,
            group_size: 8,
            forks_per_episode: 4,
            epochs: 2,
            minibatch_size: 512,
            learning_rate: 2e-3,
            weight_decay: 0.05,
            word_dropout: 0.0,
            max_grad_norm: 0.5,
            clip_epsilon: 0.2,
            entropy_weight: 0.005,
            caution: 2.0,
            lean: 0.0,
            kl_weight: 0.0,
            value_weight: 0.5,
            gae_lambda: 0.9,
            advantage: Advantage::ReferenceCritic,
            cost_normalisation: CostNormalisation::Suite,
            bonus: Bonus::default(),
            references: true,
            average_share: 0.3,
            conditions: ConditionConfig::default(),
            fixed_lambda: 0.3,
        }
    }
}

/// `r_hard` of the variant that has one. The paper names no figure; this is the middle of what our measured defaults tried.
const HARD_BONUS: f32 = 0.25;

/// The most that a rival's weights decay by: PPO, trained with 0.05, is worse at most weights of the cost (docs/method.md); GRPO was
/// not tried with it.
const RIVAL_WEIGHT_DECAY: f64 = 1e-4;

/// All settings of one training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Width of the network's hidden layers.
    pub n_hidden: usize,
    /// Buckets for words, over all kinds of text; 0 reads no text.
    pub text_buckets: usize,
    /// Buckets for the first words of completions: what kind of step it was. Few numbers that hold on tasks never seen, where words
    /// would be learnt by heart.
    pub verb_buckets: usize,
    /// What the router is kept from seeing.
    pub hidden: HiddenFeatures,
    /// Whether the router may give a task up before any step; [`Variant::may_give_up`] says which variants can.
    pub early_stop: bool,
    /// Whether BoPO imitates the synthesized examples before it acts; [`Variant::starts_warm`] says which variants always or never do.
    pub warm_start: bool,
    /// The warm start.
    pub sft: SftConfig,
    /// The optimization.
    pub bopo: BopoConfig,
    /// Offline Q-learning, a rival.
    pub q_learning: QLearningConfig,
    /// Progress is saved after so many iterations.
    pub save_every: u32,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            n_hidden: 128,
            text_buckets: 320,
            verb_buckets: 0,
            hidden: HiddenFeatures::default(),
            early_stop: true,
            warm_start: false,
            sft: SftConfig::default(),
            bopo: BopoConfig::default(),
            q_learning: QLearningConfig::default(),
            save_every: 20,
        }
    }
}

impl TrainConfig {
    /// The settings that a variant is trained with.
    #[must_use]
    pub fn for_variant(mut self, variant: Variant) -> Self {
        match variant {
            Variant::Bopo
            | Variant::BopoWarmStart
            | Variant::Static
            | Variant::BopoNoConditioning
            | Variant::QLearning
            | Variant::BopoNoEarlyStop => {}
            Variant::Sft => self.bopo.iterations = 0,
            Variant::Grpo | Variant::GrpoNoSft => {
                self.bopo.advantage = Advantage::Grpo;
                self.as_rivals_are_trained();
            }
            Variant::Ppo => {
                self.bopo.advantage = Advantage::ReferenceCritic;
                self.bopo.references = false;
                self.as_rivals_are_trained();
            }
            Variant::FittedQ => self.q_learning.conservatism = 0.0,
            Variant::StepValue => {
                self.q_learning.conservatism = 0.0;
                self.q_learning.looks_ahead = false;
            }
            Variant::BopoNoReference => {
                self.bopo.advantage = Advantage::ReferenceCritic;
                self.bopo.references = false;
            }
            Variant::BopoNoAveraging => self.bopo.average_share = 0.0,
            Variant::BopoNoDecay => self.bopo.weight_decay = 0.0,
            Variant::BopoHardBonus => self.bopo.bonus.hard = HARD_BONUS,
            Variant::BopoNoHistory => self.hidden.history = true,
            Variant::BopoNoCachePrice => self.hidden.cache = true,
            Variant::BopoWholeTrajectory => self.bopo.advantage = Advantage::WholeTrajectory,
            Variant::BopoCostToGo => {
                self.bopo.advantage = Advantage::ReferenceCritic;
                self.bopo.gae_lambda = 1.0;
            }
            Variant::BopoForked => self.bopo.advantage = Advantage::Forked,
            Variant::BopoUnion => self.bopo.advantage = Advantage::Union,
            Variant::BopoNoText => {
                self.text_buckets = 0;
                self.verb_buckets = 0;
            }
        }
        if !variant.starts_warm(self.warm_start) {
            self.sft.epochs = 0;
        }
        self.early_stop &= variant.may_give_up();
        self
    }

    /// Ends with the last weights, as published, lets weights decay by no more than rivals are trained with, and pays no bonus that is
    /// ours. What rivals gain by as well, they have as well: words hidden, leaning.
    fn as_rivals_are_trained(&mut self) {
        self.bopo.bonus.hard = 0.0;
        self.bopo.average_share = 0.0;
        self.bopo.weight_decay = self.bopo.weight_decay.min(RIVAL_WEIGHT_DECAY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        for variant in Variant::ALL {
            TrainConfig::default().for_variant(variant).check().unwrap();
        }
    }

    #[test]
    fn our_method_may_give_up_unless_it_is_told_not_to() {
        let may = |early_stop, variant: Variant| {
            TrainConfig { early_stop, ..TrainConfig::default() }.for_variant(variant).early_stop
        };
        for variant in Variant::ALL {
            let is_ours = variant.as_str().starts_with("bopo") && variant != Variant::BopoNoEarlyStop;
            assert_eq!((may(true, variant), may(false, variant)), (is_ours, false), "{}", variant.as_str());
        }
        assert!(TrainConfig::default().early_stop);
    }

    #[test]
    fn the_warm_start_is_a_setting_of_our_method_alone() {
        let epochs = |warm_start, variant: Variant| {
            TrainConfig { warm_start, ..TrainConfig::default() }.for_variant(variant).sft.epochs
        };
        let published = SftConfig::default().epochs;
        assert_eq!((epochs(false, Variant::Bopo), epochs(true, Variant::Bopo)), (0, published));
        assert_eq!((epochs(false, Variant::BopoWarmStart), epochs(false, Variant::Grpo)), (published, published));
        assert_eq!((epochs(true, Variant::Ppo), epochs(true, Variant::GrpoNoSft)), (0, 0));
    }

    #[test]
    fn what_a_rival_is_does_not_hang_on_the_settings_of_our_method() {
        let mut config = TrainConfig::default();
        config.bopo.advantage = Advantage::Union;
        config.bopo.bonus.hard = 0.5;
        for variant in [Variant::Ppo, Variant::BopoNoReference, Variant::BopoCostToGo] {
            assert_eq!(config.for_variant(variant).bopo.advantage, Advantage::ReferenceCritic, "{}", variant.as_str());
        }
        for variant in [Variant::Ppo, Variant::Grpo, Variant::GrpoNoSft] {
            assert!(config.for_variant(variant).bopo.bonus.hard.abs() < f32::EPSILON, "{}", variant.as_str());
        }
    }

    #[test]
    fn rivals_keep_their_last_weights_and_the_decay_that_is_best_for_them() {
        let settings = |weight_decay, variant: Variant| {
            let mut config = TrainConfig::default();
            config.bopo.weight_decay = weight_decay;
            config.bopo.lean = 1.0;
            let bopo = config.for_variant(variant).bopo;
            (bopo.weight_decay, bopo.average_share, bopo.lean)
        };
        for rival in [Variant::Ppo, Variant::Grpo, Variant::GrpoNoSft] {
            assert_eq!(
                (settings(0.05, rival), settings(0.0, rival)),
                ((1e-4, 0.0, 1.0), (0.0, 0.0, 1.0)),
                "{}",
                rival.as_str()
            );
        }
        assert_eq!(
            (settings(0.05, Variant::Bopo), settings(0.05, Variant::BopoNoDecay)),
            ((0.05, 0.3, 1.0), (0.0, 0.3, 1.0))
        );
    }
}
