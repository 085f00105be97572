//! Offline Q-learning, a rival: it learns from logged episodes alone and never acts while it trains.
//!
//! After `SeqRoute` (arXiv 2605.25424): the budget is part of the state, and each logged episode is relabelled in hindsight
//! with operating points at which it could have been played. `lambda` is part of the state as well, so one network is swept
//! over all of them. The targets are those of double Q-learning (van Hasselt et al., arXiv 1509.06461); the conservative
//! penalty is that of CQL(H) (Kumar et al., arXiv 2006.04779, equation 4). Without the penalty it is fitted Q iteration.

use candle_core::{D, Device};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use tollgate_policy::{FeatureConfig, RouterNetwork};
use tollgate_routing::{Budget, Episode, ModelPool, NanoUsd, Objective};

use crate::batch::{StepRows, gather};
use crate::condition::{ConditionConfig, OperatingPoint};
use crate::error::{TrainError, expect_finite};
use crate::loss::{chosen_log_probs, half_squared_error, masked_logits};
use crate::optimizer::AdamW;
use crate::replay::replay;
use crate::reward::{BoundaryCosts, cost_in_spreads};

/// The settings of offline Q-learning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QLearningConfig {
    /// Rounds of relabelled episodes.
    pub rounds: u32,
    /// Logged episodes per round; each round draws them and their operating points anew.
    pub episodes_per_round: usize,
    /// Steps per update; each step of a round is used once.
    pub minibatch_size: usize,
    /// Step size of AdamW at the start; it falls linearly to a tenth.
    pub learning_rate: f64,
    /// Decay of AdamW.
    pub weight_decay: f64,
    /// The target network is renewed after so many rounds.
    pub target_every: u32,
    /// Weight of the conservative penalty; 0 for fitted Q iteration.
    pub conservatism: f64,
    /// Whether an action is worth what the best actions after it bring. If not, it is worth what its episode came to, less
    /// the cost of this one step: a greedy router, as the trained baseline of `TwinRouterBench` (there a logistic regression).
    pub looks_ahead: bool,
}

impl Default for QLearningConfig {
    fn default() -> Self {
        Self {
            rounds: 1_200,
            episodes_per_round: 128,
            minibatch_size: 512,
            learning_rate: 1e-3,
            weight_decay: 1e-4,
            target_every: 20,
            conservatism: 0.01,
            looks_ahead: true,
        }
    }
}

/// What Q-learning learns from.
pub(crate) struct QInputs<'a> {
    pub(crate) episodes: &'a [Episode],
    pub(crate) pool: &'a ModelPool,
    pub(crate) features: FeatureConfig,
    pub(crate) conditions: &'a ConditionConfig,
    pub(crate) objective: Objective,
    /// Their spread is one unit of the cost that `lambda` weighs; caps in dollars are drawn from the dearer one.
    pub(crate) costs: BoundaryCosts,
    /// The variant in training.
    pub(crate) policy_id: &'a str,
}

/// Logged steps at operating points of hindsight. Row `i + 1` follows row `i` unless that one is the last of its episode.
struct Transitions {
    steps: StepRows,
    /// `[n_rows]`: what the step earned, the outcome included in an episode's last step.
    rewards: Vec<f32>,
    /// `[n_rows]`: what the episode came to, less `lambda` times the cost of this one step.
    greedy: Vec<f32>,
    /// `[n_rows]`: whether the episode goes on.
    goes_on: Vec<bool>,
}

/// Trains the policy part of `network` so that its logits are Q-values; the greedy choice is then the best action.
///
/// # Errors
/// [`TrainError::Diverged`] for a loss or a gradient that is not finite.
pub(crate) fn train_q(
    network: &RouterNetwork,
    inputs: &QInputs<'_>,
    config: &QLearningConfig,
    device: &Device,
    seed: u64,
) -> Result<(), TrainError> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut target = network.duplicate()?;
    let mut optimizer = AdamW::new(network.variables(), config.weight_decay, 10.0);
    for round in 0..config.rounds {
        if round % config.target_every == 0 {
            target = network.duplicate()?;
        }
        let decay = 1.0 - 0.9 * f64::from(round) / f64::from(config.rounds);
        let transitions = relabel(inputs, config.episodes_per_round, &mut rng);
        let targets = if config.looks_ahead {
            targets(network, &target, &transitions, device)?
        } else {
            transitions.greedy.clone()
        };
        let rows: Vec<usize> = (0..transitions.steps.len()).collect();
        for chunk in rows.chunks(config.minibatch_size) {
            let allowed = transitions.steps.allowed_of(chunk, device)?;
            let logits = network.logits(&transitions.steps.features_of(chunk, device)?)?;
            let taken = chosen_log_probs(&logits, &transitions.steps.actions_of(chunk, device)?)?;
            let error = half_squared_error(&taken, &gather(&targets, chunk, device)?)?;
            let optimism = (masked_logits(&logits, &allowed)?.log_sum_exp(D::Minus1)? - &taken)?.mean_all()?;
            let loss = (error + (optimism * config.conservatism)?)?;
            expect_finite(inputs.policy_id, round, "loss", loss.to_scalar()?)?;
            let norm = optimizer.update(&loss.backward()?, config.learning_rate * decay)?;
            expect_finite(inputs.policy_id, round, "gradient norm", norm)?;
        }
    }
    Ok(())
}

/// Draws logged episodes, and for each an operating point at which it could have been played.
fn relabel(inputs: &QInputs<'_>, n_episodes: usize, rng: &mut Pcg64Mcg) -> Transitions {
    let mut transitions = Transitions {
        steps: StepRows::new(inputs.features.n_features(), inputs.features.n_models),
        rewards: Vec::new(),
        greedy: Vec::new(),
        goes_on: Vec::new(),
    };
    for _ in 0..n_episodes {
        let episode = &inputs.episodes[rng.random_range(0..inputs.episodes.len())];
        let point = hindsight(inputs, episode, rng);
        let rows = replay(episode, point, inputs.pool, inputs.features);
        let n_rows = rows.len();
        for (position, step) in episode.steps.iter().take(n_rows).enumerate() {
            let is_last = position + 1 == n_rows;
            let outcome = inputs.objective.value(episode.is_success, episode.score);
            let cost = point.lambda * cost_in_spreads(step.turn.cost, &inputs.costs);
            transitions.rewards.push(if is_last { outcome - cost } else { -cost });
            transitions.greedy.push(outcome - cost);
            transitions.goes_on.push(!is_last);
        }
        transitions.steps.extend(&rows);
    }
    transitions
}

/// An operating point whose cap the episode keeps, with as little to spare as nothing.
fn hindsight(inputs: &QInputs<'_>, episode: &Episode, rng: &mut Pcg64Mcg) -> OperatingPoint {
    let point = inputs.conditions.draw(inputs.costs.high, rng);
    let budget = match point.budget {
        Budget::Unlimited => Budget::Unlimited,
        Budget::LargeCalls(spare) => Budget::LargeCalls(episode.n_calls(inputs.pool.large()) + spare - 1),
        Budget::Usd(spare) => {
            let least = inputs.costs.high.get() as f64 * f64::from(inputs.conditions.usd_low);
            Budget::Usd(episode.total_cost() + spare.saturating_sub(NanoUsd::new(least as u64)))
        }
    };
    OperatingPoint { lambda: point.lambda, budget }
}

/// `r + max Q(s', a)`: the action by the network in training, its value by the target network.
///
/// # Shapes
/// Returns `[n_rows]`.
fn targets(
    network: &RouterNetwork,
    target: &RouterNetwork,
    transitions: &Transitions,
    device: &Device,
) -> Result<Vec<f32>, TrainError> {
    let n_rows = transitions.steps.len();
    let rows: Vec<usize> = (0..n_rows).collect();
    let features = transitions.steps.features_of(&rows, device)?;
    let allowed = transitions.steps.allowed_of(&rows, device)?;
    let best = masked_logits(&network.logits(&features)?, &allowed)?.argmax(D::Minus1)?;
    let values: Vec<f32> = chosen_log_probs(&target.logits(&features)?, &best)?.to_vec1()?;
    let target_of = |row: usize| {
        let next = if transitions.goes_on[row] { values[row + 1] } else { 0.0 };
        transitions.rewards[row] + next
    };
    Ok(rows.into_iter().map(target_of).collect())
}

#[cfg(test)]
mod tests {
    use tollgate_policy::NetworkShape;
    use tollgate_routing::{
        CostSource, Ending, EpisodeId, Model, ModelIndex, Observation, Prices, Provenance, Split, Step, Task, TaskId,
        TokenUsage, Turn,
    };

    use super::*;

    fn pool() -> ModelPool {
        let model = |id, output| Model::new(id, Prices::per_million_usd(1.0, 1.0, 1.0, output).unwrap()).unwrap();
        ModelPool::new(vec![model("small", 1.0), model("large", 2.0)]).unwrap()
    }

    /// An episode that called these models, each call at a cost of 10, in spreads of 20.
    fn episode(actions: &[usize], is_success: bool) -> Episode {
        let step = |&action: &usize| Step {
            turn: Turn {
                observation: Observation::default(),
                action: ModelIndex::new(action),
                completion: String::new(),
                usage: TokenUsage::default(),
                cost: NanoUsd::new(10),
                latency_ms: 0,
            },
            log_prob: 0.0,
            remaining: None,
            reward: 0.0,
            provenance: Provenance::Played,
            cost_source: CostSource::Simulated,
        };
        Episode {
            id: EpisodeId::new("e"),
            task: Task {
                id: TaskId::new("t"),
                environment: "e".into(),
                split: Split::Train,
                seed: 0,
                instruction: "".into(),
                horizon: 30,
                kind: None,
                group: None,
            },
            policy_id: "sweep".into(),
            seed: 0,
            lambda: 0.0,
            budget: Budget::Unlimited,
            ending: Ending::Terminated,
            is_success,
            score: f32::from(u8::from(is_success)),
            steps: actions.iter().map(step).collect(),
        }
    }

    fn inputs<'a>(episodes: &'a [Episode], pool: &'a ModelPool, conditions: &'a ConditionConfig) -> QInputs<'a> {
        QInputs {
            episodes,
            pool,
            features: FeatureConfig::signals(2, 0, 20),
            conditions,
            objective: Objective::Success,
            costs: BoundaryCosts { low: NanoUsd::new(10), high: NanoUsd::new(30) },
            policy_id: "q-learning",
        }
    }

    #[test]
    fn every_step_of_a_relabelled_episode_was_possible_under_its_cap() {
        let (pool, conditions) = (pool(), ConditionConfig::default());
        let episodes = [episode(&[1, 1, 1, 0, 1], true)];
        let transitions = relabel(&inputs(&episodes, &pool, &conditions), 200, &mut Pcg64Mcg::seed_from_u64(1));
        assert_eq!(transitions.steps.len(), 200 * 5);
        for (action, allowed) in transitions.steps.actions.iter().zip(&transitions.steps.allowed) {
            assert!(allowed.allows(ModelIndex::new(*action as usize)));
        }
        assert_eq!(transitions.goes_on.iter().filter(|&&goes_on| !goes_on).count(), 200);
    }

    #[test]
    fn an_episode_earns_its_outcome_once_and_pays_for_each_step() {
        let pool = pool();
        let conditions = ConditionConfig {
            lambda_low: 0.5,
            lambda_high: 0.5,
            large_calls_share: 0.0,
            usd_share: 0.0,
            ..Default::default()
        };
        let episodes = [episode(&[0, 1], true)];
        let transitions = relabel(&inputs(&episodes, &pool, &conditions), 1, &mut Pcg64Mcg::seed_from_u64(1));
        assert_eq!(transitions.rewards, [-0.25, 0.75]);
        assert_eq!(transitions.greedy, [0.75, 0.75]);
        assert_eq!(transitions.goes_on, [true, false]);
    }

    #[test]
    fn targets_bootstrap_within_an_episode_only() {
        let (pool, conditions) = (pool(), ConditionConfig::default());
        let episodes = [episode(&[0, 1], false)];
        let inputs = inputs(&episodes, &pool, &conditions);
        let shape = NetworkShape {
            n_features: inputs.features.n_features(),
            n_hidden: 4,
            n_models: 2,
            early_stop: false,
            n_privileged: 0,
        };
        let network = RouterNetwork::new(shape, 1, &Device::Cpu).unwrap();
        let transitions = relabel(&inputs, 3, &mut Pcg64Mcg::seed_from_u64(1));
        let found = targets(&network, &network, &transitions, &Device::Cpu).unwrap();
        for (row, (&found, &reward)) in found.iter().zip(&transitions.rewards).enumerate() {
            assert_eq!(found.to_bits() == reward.to_bits(), !transitions.goes_on[row], "row {row}");
        }
    }
}
