//! A router sees nothing that a deployment would not show it: no reward, no outcome, and nothing of what is still to come.
//!
//! By construction there is no way to it: features are made from a [`RoutingContext`], whose [`Turn`](tollgate_routing::Turn)s have
//! neither rewards nor outcomes. This is the same claim, checked from outside: the logs are changed in everything that a router must
//! not see, and what it sees and decides stays the same, bit by bit.

use std::sync::Arc;

use tollgate_policy::{
    Choice, DecisionNetwork, FeatureConfig, LearnedPolicy, NetworkShape, RouterFeatures, RouterNetwork,
};
use tollgate_rollout::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict, derive_seed};
use tollgate_routing::{Episode, ModelIndex, Split, Task, TaskId};

use super::{all_logs, play};
use tollgate_environment::replay::ReplayArena;

/// Asks a network at every step and writes down what it saw and said. Then goes its own way: with one model, or as the network says.
struct Witness {
    network: LearnedPolicy,
    always: Option<ModelIndex>,
    seen: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Witness {
    fn new(network: &Arc<DecisionNetwork>, features: FeatureConfig, always: Option<ModelIndex>) -> Self {
        let network = LearnedPolicy::new("witness", network.clone(), features, Choice::Sample);
        Self { network, always, seen: Vec::new() }
    }
}

impl RoutingPolicy for Witness {
    fn begin(&mut self, task: &Task, seed: u64) {
        self.network.begin(task, seed);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let verdict = self.network.decide(context)?;
        self.seen.push((self.network.last_features().to_vec(), self.network.last_probabilities().to_vec()));
        Ok(self.always.map_or(verdict, |model| Verdict::Call(Decision::certain(model))))
    }
}

/// Makes the features of each decision twice: of the task as it is, and of one that has only its words and its horizon in common.
struct TwoTasks {
    features: [RouterFeatures; 2],
    other: Option<Task>,
    seen: [Vec<f32>; 2],
    n_decisions: usize,
}

impl RoutingPolicy for TwoTasks {
    fn begin(&mut self, task: &Task, _seed: u64) {
        let other = Task {
            id: TaskId::new("another"),
            environment: "another".into(),
            split: Split::Unseen,
            seed: !task.seed,
            instruction: task.instruction.clone(),
            horizon: task.horizon,
            kind: Some("another".into()),
            group: Some("another".into()),
        };
        self.features[0].begin(task);
        self.features[1].begin(&other);
        self.other = Some(other);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let other = RoutingContext { task: self.other.as_ref().unwrap(), ..*context };
        self.features[0].extract(context, &mut self.seen[0]);
        self.features[1].extract(&other, &mut self.seen[1]);
        assert_eq!(self.seen[0], self.seen[1], "{} at step {}", context.task.id, context.turns.len());
        self.n_decisions += 1;
        let model = if self.n_decisions.is_multiple_of(2) { context.pool.large() } else { context.pool.small() };
        Ok(Verdict::Call(Decision::certain(model)))
    }
}

/// A network with weights drawn at random: it looks at every feature.
fn network(features: FeatureConfig) -> Arc<DecisionNetwork> {
    let shape = NetworkShape {
        n_features: features.n_features(),
        n_hidden: 32,
        n_models: features.n_models,
        early_stop: false,
        n_privileged: 0,
    };
    Arc::new(RouterNetwork::new(shape, 11, &candle_core::Device::Cpu).unwrap().freeze().unwrap())
}

fn features() -> FeatureConfig {
    FeatureConfig { verb_buckets: 16, ..FeatureConfig::text(2, 100_000_000) }
}

/// A number that looks like chance, the same for the same arguments.
fn noise(episode: usize, step: usize) -> u64 {
    derive_seed(episode as u64, step as u64)
}

#[test]
fn rewards_change_nothing_of_what_is_seen_and_decided() {
    let features = features();
    let network = network(features);
    for (name, pool, settings, logs) in all_logs() {
        let mut changed = logs.clone();
        for (position, log) in changed.iter_mut().enumerate() {
            for (step_idx, step) in log.steps.iter_mut().enumerate() {
                step.reward = noise(position, step_idx) as f32;
                step.log_prob = -1.0;
            }
        }
        let arenas = [&logs, &changed].map(|logs| ReplayArena::new(pool.clone(), logs, settings.clone()).unwrap());
        for log in &logs {
            let seen = arenas.each_ref().map(|arena| {
                let mut witness = Witness::new(&network, features, None);
                play(arena, &log.task, 5, &mut witness);
                witness.seen
            });
            assert_eq!(seen[0], seen[1], "{name}: {}", log.id);
        }
    }
}

#[test]
fn of_the_task_nothing_is_seen_but_its_words_and_its_horizon() {
    let features = [RouterFeatures::new(features()), RouterFeatures::new(features())];
    let mut policy = TwoTasks { features, other: None, seen: [Vec::new(), Vec::new()], n_decisions: 0 };
    for (_, pool, settings, logs) in all_logs() {
        let arena = ReplayArena::new(pool, &logs, settings).unwrap();
        for log in &logs {
            play(&arena, &log.task, 5, &mut policy);
        }
    }
    assert!(policy.n_decisions > 0);
}

#[test]
fn nothing_after_a_decision_changes_what_was_seen_before_it() {
    let features = features();
    let network = network(features);
    for (name, pool, settings, logs) in all_logs() {
        for last in [0, 1, 3] {
            let changed: Vec<Episode> =
                logs.iter().enumerate().map(|(position, log)| with_another_future(position, log, last)).collect();
            let arenas = [&logs, &changed].map(|logs| ReplayArena::new(pool.clone(), logs, settings.clone()).unwrap());
            for log in &logs {
                let seen = arenas.each_ref().map(|arena| {
                    let mut witness = Witness::new(&network, features, Some(log.steps[0].turn.action));
                    play(arena, &log.task, 5, &mut witness);
                    witness.seen.truncate(last + 1);
                    witness.seen
                });
                assert_eq!(seen[0], seen[1], "{name}: {} at step {last}", log.id);
            }
        }
    }
}

/// The episode as it could have gone on from its decision at step `last`: another answer, another world, another end.
fn with_another_future(position: usize, log: &Episode, last: usize) -> Episode {
    let mut changed = log.clone();
    changed.is_success = !log.is_success;
    changed.score = 1.0 - log.score;
    for (step_idx, step) in changed.steps.iter_mut().enumerate().skip(last) {
        step.turn.completion = format!("another answer {}", noise(position, step_idx));
        step.turn.usage.output_tokens += 7;
        step.reward = noise(position, step_idx) as f32;
        if step_idx > last {
            step.turn.observation.text = format!("another error {}", noise(position, step_idx));
            step.turn.usage.input_tokens += 70;
        }
    }
    changed
}
