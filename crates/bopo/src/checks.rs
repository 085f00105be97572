//! Which settings of training make sense.

use crate::{ConditionConfig, QLearningConfig, TrainConfig, TrainError};

impl TrainConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`TrainError::Config`] for the first setting that makes no sense.
    pub fn check(&self) -> Result<(), TrainError> {
        let bopo = &self.bopo;
        at_least_one("n_hidden", self.n_hidden)?;
        at_least_one("save_every", self.save_every as usize)?;
        at_least_one("sft.minibatch_size", self.sft.minibatch_size)?;
        above_zero("sft.learning_rate", self.sft.learning_rate)?;
        check_q_learning(&self.q_learning)?;
        at_least_one("bopo.episodes_per_iteration", bopo.episodes_per_iteration)?;
        at_least_one("bopo.group_size", bopo.group_size)?;
        at_least_one("bopo.minibatch_size", bopo.minibatch_size)?;
        above_zero("bopo.learning_rate", bopo.learning_rate)?;
        not_negative("bopo.weight_decay", bopo.weight_decay)?;
        let keeps_some = (0.0..1.0).contains(&bopo.word_dropout);
        expect(keeps_some, "bopo.word_dropout", bopo.word_dropout, "0 to below 1")?;
        above_zero("bopo.max_grad_norm", bopo.max_grad_norm)?;
        let clips = bopo.clip_epsilon > 0.0 && bopo.clip_epsilon < 1.0;
        expect(clips, "bopo.clip_epsilon", bopo.clip_epsilon, "between 0 and 1")?;
        not_negative("bopo.entropy_weight", bopo.entropy_weight)?;
        not_negative("bopo.kl_weight", bopo.kl_weight)?;
        not_negative("bopo.value_weight", bopo.value_weight)?;
        above_zero("bopo.caution", bopo.caution)?;
        not_negative("bopo.lean", bopo.lean)?;
        share("bopo.gae_lambda", bopo.gae_lambda)?;
        share("bopo.average_share", bopo.average_share)?;
        not_negative("bopo.bonus.success", bopo.bonus.success)?;
        not_negative("bopo.bonus.hard", bopo.bonus.hard)?;
        not_negative("bopo.fixed_lambda", bopo.fixed_lambda)?;
        check_conditions(&bopo.conditions)
    }
}

fn check_q_learning(config: &QLearningConfig) -> Result<(), TrainError> {
    at_least_one("q_learning.episodes_per_round", config.episodes_per_round)?;
    at_least_one("q_learning.minibatch_size", config.minibatch_size)?;
    at_least_one("q_learning.target_every", config.target_every as usize)?;
    above_zero("q_learning.learning_rate", config.learning_rate)?;
    not_negative("q_learning.weight_decay", config.weight_decay)?;
    not_negative("q_learning.conservatism", config.conservatism)
}

fn check_conditions(conditions: &ConditionConfig) -> Result<(), TrainError> {
    let ConditionConfig { lambda_low, lambda_high, min_large_calls, max_large_calls, usd_low, usd_high, .. } =
        *conditions;
    above_zero("bopo.conditions.lambda_low", lambda_low)?;
    at_most("bopo.conditions.lambda_low", lambda_low, lambda_high, "at most lambda_high")?;
    let is_drawn = (1..=max_large_calls).contains(&min_large_calls);
    expect(is_drawn, "bopo.conditions.min_large_calls", min_large_calls, "1 to max_large_calls")?;
    above_zero("bopo.conditions.usd_low", usd_low)?;
    at_most("bopo.conditions.usd_low", usd_low, usd_high, "at most usd_high")?;
    share("bopo.conditions.large_calls_share", conditions.large_calls_share)?;
    share("bopo.conditions.usd_share", conditions.usd_share)?;
    let capped = conditions.large_calls_share + conditions.usd_share;
    expect(capped <= 1.0, "bopo.conditions.large_calls_share", capped, "0 to 1, together with usd_share")?;
    share("bopo.conditions.free_within_cap", conditions.free_within_cap)?;
    share("bopo.conditions.free_without_cap", conditions.free_without_cap)
}

/// An error about `key` unless `holds`.
fn expect(
    holds: bool,
    key: &'static str,
    found: impl ToString + Copy,
    expected: &'static str,
) -> Result<(), TrainError> {
    if holds { Ok(()) } else { Err(TrainError::Config { key, found: found.to_string(), expected }) }
}

fn at_least_one(key: &'static str, found: usize) -> Result<(), TrainError> {
    expect(found > 0, key, found, "1 or more")
}

fn above_zero(key: &'static str, found: impl Into<f64> + ToString + Copy) -> Result<(), TrainError> {
    let value = found.into();
    expect(value.is_finite() && value > 0.0, key, found, "a number above 0")
}

fn not_negative(key: &'static str, found: impl Into<f64> + ToString + Copy) -> Result<(), TrainError> {
    let value = found.into();
    expect(value.is_finite() && value >= 0.0, key, found, "a number that is not below 0")
}

fn at_most(key: &'static str, found: f32, most: f32, expected: &'static str) -> Result<(), TrainError> {
    expect(most.is_finite() && found <= most, key, found, expected)
}

fn share(key: &'static str, found: f32) -> Result<(), TrainError> {
    expect((0.0..=1.0).contains(&found), key, found, "0 to 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(set: impl FnOnce(&mut TrainConfig), expected: &str) {
        let mut config = TrainConfig::default();
        set(&mut config);
        let message = config.check().unwrap_err().to_string();
        assert_eq!(message, expected);
    }

    #[test]
    fn what_divides_or_repeats_is_one_or_more() {
        check_refused(|config| config.n_hidden = 0, "optimize.n_hidden is 0, expected 1 or more");
        check_refused(
            |config| config.q_learning.target_every = 0,
            "optimize.q_learning.target_every is 0, expected 1 or more",
        );
    }

    #[test]
    fn a_learning_rate_is_above_zero() {
        let expected = "optimize.bopo.learning_rate is 0, expected a number above 0";
        check_refused(|config| config.bopo.learning_rate = 0.0, expected);
        let expected = "optimize.q_learning.learning_rate is inf, expected a number above 0";
        check_refused(|config| config.q_learning.learning_rate = f64::INFINITY, expected);
    }

    #[test]
    fn weights_of_a_loss_and_their_decay_may_be_zero_but_not_less() {
        let mut config = TrainConfig::default();
        config.bopo.weight_decay = 0.0;
        config.bopo.entropy_weight = 0.0;
        config.q_learning.conservatism = 0.0;
        config.check().unwrap();
        let expected = "optimize.bopo.weight_decay is -0.5, expected a number that is not below 0";
        check_refused(|config| config.bopo.weight_decay = -0.5, expected);
        let expected = "optimize.bopo.weight_decay is NaN, expected a number that is not below 0";
        check_refused(|config| config.bopo.weight_decay = f64::NAN, expected);
        let expected = "optimize.bopo.entropy_weight is NaN, expected a number that is not below 0";
        check_refused(|config| config.bopo.entropy_weight = f64::NAN, expected);
        let expected = "optimize.q_learning.weight_decay is -1, expected a number that is not below 0";
        check_refused(|config| config.q_learning.weight_decay = -1.0, expected);
    }

    #[test]
    fn a_router_leans_to_no_small_model() {
        let expected = "optimize.bopo.lean is -1, expected a number that is not below 0";
        check_refused(|config| config.bopo.lean = -1.0, expected);
    }

    #[test]
    fn some_words_are_left() {
        let expected = "optimize.bopo.word_dropout is 1, expected 0 to below 1";
        check_refused(|config| config.bopo.word_dropout = 1.0, expected);
        let expected = "optimize.bopo.word_dropout is NaN, expected 0 to below 1";
        check_refused(|config| config.bopo.word_dropout = f32::NAN, expected);
    }

    #[test]
    fn caps_to_train_under_are_drawn_between_the_least_and_the_greatest() {
        let expected = "optimize.bopo.conditions.min_large_calls is 16, expected 1 to max_large_calls";
        check_refused(|config| config.bopo.conditions.min_large_calls = 16, expected);
        let expected = "optimize.bopo.conditions.usd_low is 1.5, expected at most usd_high";
        check_refused(|config| config.bopo.conditions.usd_low = 1.5, expected);
        let mut config = TrainConfig::default();
        config.bopo.conditions.min_large_calls = 16;
        config.bopo.conditions.max_large_calls = 16;
        config.check().unwrap();
    }

    #[test]
    fn shares_of_episodes_are_shares_alone_and_together() {
        let expected = "optimize.bopo.conditions.usd_share is -0.25, expected 0 to 1";
        check_refused(|config| config.bopo.conditions.usd_share = -0.25, expected);
        let expected = "optimize.bopo.conditions.large_calls_share is 1.5, expected 0 to 1, together with usd_share";
        let set = |config: &mut TrainConfig| {
            config.bopo.conditions.large_calls_share = 0.75;
            config.bopo.conditions.usd_share = 0.75;
        };
        check_refused(set, expected);
    }
}
