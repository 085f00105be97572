//! A trained network as a routing policy.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tollgate_rollout::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict, derive_seed};
use tollgate_routing::{ActionMask, Ending, ModelIndex, Task};

use crate::word_dropout::WordDropout;
use crate::{DecisionNetwork, FeatureConfig, RouterFeatures, Scratch};

/// How a learned policy picks from its probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The most probable action: for serving and evaluation.
    Greedy,
    /// An action drawn from the probabilities: for exploration.
    Sample,
}

/// A policy that asks a trained network before each step.
///
/// Where the network has one logit more than the pool has models, the last one is to give up: if that is more probable than any
/// call at all, the policy ends the episode with [`Ending::GaveUp`], whatever the budget allows. This is never left to chance, not
/// even for exploration: giving up needs no trial, and a policy that gave up now and then would finish no long episode.
#[derive(Debug, Clone)]
pub struct LearnedPolicy {
    id: Arc<str>,
    network: Arc<DecisionNetwork>,
    features: RouterFeatures,
    word_dropout: Option<WordDropout>,
    choice: Choice,
    may_give_up: bool,
    would_give_up: bool,
    rng: Pcg64Mcg,
    buffer: Vec<f32>,
    probabilities: Vec<f32>,
    scratch: Scratch,
}

/// Stream of an episode's seed that the policy draws from.
const POLICY_STREAM: u64 = 0x504F_4C49;

/// Stream of an episode's seed that hidden words are drawn from.
const WORD_STREAM: u64 = 0x574F_5244;

impl LearnedPolicy {
    /// A policy of a network that was trained on features of `config`.
    #[must_use]
    pub fn new(id: &str, network: Arc<DecisionNetwork>, config: FeatureConfig, choice: Choice) -> Self {
        Self {
            id: Arc::from(id),
            network,
            features: RouterFeatures::new(config),
            word_dropout: None,
            choice,
            may_give_up: true,
            would_give_up: false,
            rng: Pcg64Mcg::seed_from_u64(0),
            buffer: Vec::with_capacity(config.n_features()),
            probabilities: Vec::with_capacity(config.n_models),
            scratch: Scratch::default(),
        }
    }

    /// Whether it gives up where its network says so, as it does unless told otherwise. Kept from it, it goes on to the end, which
    /// shows training what giving up would have missed.
    pub fn set_may_give_up(&mut self, may_give_up: bool) {
        self.may_give_up = may_give_up;
    }

    /// Keeps it from a share of the buckets of words, 0 to below 1: the same ones at every step of an episode. For training.
    pub fn set_word_dropout(&mut self, share: f32) {
        let n_words = self.features.config().words().len();
        self.word_dropout = (share > 0.0).then(|| WordDropout::new(share, n_words));
    }

    /// The features of the last decision. `[n_features]`.
    #[must_use]
    pub fn last_features(&self) -> &[f32] {
        &self.buffer
    }

    /// The probability of each model in the last decision, given that one is called; 0 where it was not allowed. `[n_models]`.
    #[must_use]
    pub fn last_probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// Whether its network said to give up in the last decision, also where the policy was kept from it.
    #[must_use]
    pub const fn would_give_up(&self) -> bool {
        self.would_give_up
    }

    fn check(&self, context: &RoutingContext<'_>) -> Result<(), PolicyError> {
        let config = self.features.config();
        let found = (context.pool.len(), context.observation.signals.len());
        let has_features = self.network.n_features() == config.n_features();
        let has_actions = [config.n_models, config.n_models + 1].contains(&self.network.n_outputs());
        if found == (config.n_models, config.n_signals) && has_features && has_actions {
            return Ok(());
        }
        Err(PolicyError::Mismatch {
            policy: self.id.to_string(),
            expected: format!("{} models and {} signals per observation", config.n_models, config.n_signals),
            found: format!("{} models and {} signals", found.0, found.1),
        })
    }
}

impl RoutingPolicy for LearnedPolicy {
    fn begin(&mut self, task: &Task, seed: u64) {
        self.features.begin(task);
        self.rng = Pcg64Mcg::seed_from_u64(derive_seed(seed, POLICY_STREAM));
        if let Some(dropout) = &mut self.word_dropout {
            dropout.draw(derive_seed(seed, WORD_STREAM));
        }
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        self.check(context)?;
        self.features.extract(context, &mut self.buffer);
        if let Some(dropout) = &self.word_dropout {
            dropout.apply(&mut self.buffer[self.features.config().words()]);
        }
        let logits = self.network.forward(&self.buffer, &mut self.scratch);
        let n_models = context.pool.len();
        masked_softmax(&logits[..n_models], context.allowed, &mut self.probabilities);
        let stop_logit = logits.get(n_models).copied();
        self.would_give_up =
            stop_logit.is_some_and(|stop_logit| stop_logit > log_sum_exp(&logits[..n_models], context.allowed));
        if self.probabilities.iter().chain(&stop_logit).any(|value| !value.is_finite()) {
            return Err(PolicyError::NotFinite { policy: self.id.to_string(), step_idx: context.turns.len() });
        }
        if self.would_give_up && self.may_give_up {
            return Ok(Verdict::Stop(Ending::GaveUp));
        }
        let action = match self.choice {
            Choice::Greedy => most_probable(&self.probabilities),
            Choice::Sample => draw(&self.probabilities, self.rng.random::<f32>()),
        };
        Ok(Verdict::Call(Decision {
            action: ModelIndex::new(action),
            log_prob: self.probabilities[action].ln().min(0.0),
        }))
    }
}

/// The logarithm of the summed exponentials of the allowed actions' logits.
fn log_sum_exp(logits: &[f32], allowed: ActionMask) -> f32 {
    let of_allowed = || allowed.iter().map(|action| logits[action.get()]);
    let largest = of_allowed().fold(f32::NEG_INFINITY, f32::max);
    largest + of_allowed().map(|logit| (logit - largest).exp()).sum::<f32>().ln()
}

/// Probabilities of the allowed actions, in proportion to the exponentials of their logits. Not finite when a logit is.
fn masked_softmax(logits: &[f32], allowed: ActionMask, probabilities: &mut Vec<f32>) {
    probabilities.clear();
    probabilities.extend_from_slice(logits);
    let largest = allowed.iter().map(|action| logits[action.get()]).fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for (index, value) in probabilities.iter_mut().enumerate() {
        *value = if allowed.allows(ModelIndex::new(index)) { (*value - largest).exp() } else { 0.0 };
        total += *value;
    }
    for value in probabilities {
        *value /= total;
    }
}

/// The first of the most probable actions.
fn most_probable(probabilities: &[f32]) -> usize {
    (1..probabilities.len())
        .fold(0, |best, index| if probabilities[index] > probabilities[best] { index } else { best })
}

fn draw(probabilities: &[f32], uniform: f32) -> usize {
    let mut rest = uniform;
    for (index, &probability) in probabilities.iter().enumerate() {
        rest -= probability;
        if rest < 0.0 {
            return index;
        }
    }
    most_probable(probabilities)
}

#[cfg(test)]
mod tests {
    use tollgate_routing::{BudgetView, Model, ModelPool, Observation, Prices, Split, TaskId};

    use super::*;

    /// What a policy says at the first step whose logits are always these, with two models of which the small one is allowed.
    fn first_verdict(logits: &[f32], may_give_up: bool) -> Result<Verdict, PolicyError> {
        let n_features = FeatureConfig::signals(2, 0, 1_000).n_features();
        verdict_of(DecisionNetwork::new(vec![(vec![0.0; n_features * logits.len()], logits.to_vec())]), may_give_up)
    }

    /// What a policy of this network says at the first step.
    fn verdict_of(network: DecisionNetwork, may_give_up: bool) -> Result<Verdict, PolicyError> {
        let config = FeatureConfig::signals(2, 0, 1_000);
        let mut policy = LearnedPolicy::new("p", Arc::new(network), config, Choice::Greedy);
        policy.set_may_give_up(may_give_up);
        decide_first(&mut policy, "")
    }

    /// What a policy says at the first step of a task whose instruction and first observation are `text`.
    fn decide_first(policy: &mut LearnedPolicy, text: &str) -> Result<Verdict, PolicyError> {
        let prices = Prices::per_million_usd(0.4, 0.1, 0.4, 1.6).unwrap();
        let pool = ["small", "large"].map(|id| Model::new(id, prices).unwrap());
        let pool = ModelPool::new(pool.to_vec()).unwrap();
        let task = Task {
            id: TaskId::new("t"),
            environment: "e".into(),
            split: Split::Test,
            seed: 0,
            instruction: text.into(),
            horizon: 30,
            kind: None,
            group: None,
        };
        policy.begin(&task, 1);
        policy.decide(&RoutingContext {
            task: &task,
            turns: &[],
            observation: &Observation::from_text(text),
            pool: &pool,
            quotes: &[],
            budget: BudgetView::default(),
            allowed: ActionMask::first(1),
        })
    }

    #[test]
    fn hidden_words_leave_every_other_feature_as_it_is() {
        let config = FeatureConfig { verb_buckets: 8, ..FeatureConfig::text(2, 1_000) };
        let network = Arc::new(DecisionNetwork::new(vec![(vec![0.0; config.n_features() * 2], vec![0.0; 2])]));
        let features = |share| {
            let mut policy = LearnedPolicy::new("p", network.clone(), config, Choice::Sample);
            policy.set_word_dropout(share);
            decide_first(&mut policy, "put a clean mug, a red apple and two books on the desk by the window").unwrap();
            policy.last_features().to_vec()
        };
        let (seen, hidden) = (features(0.0), features(0.5));
        let words = config.words();
        assert_eq!(seen[..words.start], hidden[..words.start]);
        assert_eq!(seen[words.end..], hidden[words.end..]);
        let of_words = || seen[words.clone()].iter().zip(&hidden[words.clone()]).filter(|(seen, _)| **seen != 0.0);
        assert!(of_words().all(|(seen, hidden)| *hidden == 0.0 || (*hidden - 2.0 * *seen).abs() < 1e-6));
        let n_hidden = of_words().filter(|(_, hidden)| **hidden == 0.0).count();
        assert!((1..of_words().count()).contains(&n_hidden), "{n_hidden}");
    }

    #[test]
    fn the_logit_after_the_models_ends_the_episode_before_its_first_step() {
        let small = Verdict::Call(Decision::certain(ModelIndex::SMALL));
        assert_eq!(first_verdict(&[0.0, 9.0], true).unwrap(), small);
        assert_eq!(first_verdict(&[0.0, 9.0, 0.5], false).unwrap(), small);
        assert_eq!(first_verdict(&[0.0, 9.0, 0.5], true).unwrap(), Verdict::Stop(Ending::GaveUp));
        assert!(
            matches!(first_verdict(&[0.0, 9.0, -0.5], true).unwrap(), Verdict::Call(call) if call.action.get() == 0)
        );
        assert!(matches!(first_verdict(&[0.0; 4], true), Err(PolicyError::Mismatch { .. })));
    }

    #[track_caller]
    fn check_softmax(logits: &[f32], allowed: ActionMask, expected: &[f32]) {
        let mut found = Vec::new();
        masked_softmax(logits, allowed, &mut found);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "found {found}, expected {expected}");
        }
    }

    #[test]
    fn masked_actions_have_no_probability() {
        let all = ActionMask::first(3);
        check_softmax(&[0.0, 2.0_f32.ln(), 0.0], all, &[0.25, 0.5, 0.25]);
        check_softmax(&[0.0, 50.0, 0.0], all.without(ModelIndex::new(1)), &[0.5, 0.0, 0.5]);
        check_softmax(&[-900.0, 900.0, 900.0], ActionMask::first(1), &[1.0, 0.0, 0.0]);
    }

    #[test]
    fn giving_up_has_to_be_more_probable_than_all_allowed_calls_together() {
        let all = ActionMask::first(3);
        assert!((log_sum_exp(&[0.0, 0.0, 2.0_f32.ln()], all) - 4.0_f32.ln()).abs() < 1e-6);
        assert!((log_sum_exp(&[900.0, 0.0, 9.0], all.without(ModelIndex::new(2))) - 900.0).abs() < 1e-3);
    }

    #[test]
    fn draws_follow_the_probabilities_and_never_take_a_masked_action() {
        assert_eq!(draw(&[0.25, 0.0, 0.75], 0.2), 0);
        assert_eq!(draw(&[0.25, 0.0, 0.75], 0.25), 2);
        assert_eq!(draw(&[0.25, 0.0, 0.75], 0.999_999_9), 2);
    }

    #[test]
    fn a_network_that_is_not_finite_is_refused_whichever_layer_it_is_in() {
        let check = |layers: Vec<(Vec<f32>, Vec<f32>)>| {
            let error = verdict_of(DecisionNetwork::new(layers), true).unwrap_err();
            assert!(matches!(error, PolicyError::NotFinite { step_idx: 0, .. }), "{error}");
        };
        let n_features = FeatureConfig::signals(2, 0, 1_000).n_features();
        check(vec![(vec![0.0; n_features * 2], vec![f32::NAN, 1.0])]);
        check(vec![(vec![f32::NAN; n_features], vec![0.0]), (vec![1.0; 2], vec![0.0; 2])]);
    }
}
