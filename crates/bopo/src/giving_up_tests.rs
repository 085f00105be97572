//! What giving up counts for: episodes of skill-chain by a policy that often does, and a warm start that never shows it.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use tollgate_environment::skill_chain::{SkillChainArena, TaskCounts, generate_tasks};
use tollgate_policy::{FeatureConfig, NetworkShape, RouterNetwork};
use tollgate_rollout::Arena;
use tollgate_routing::{
    ActionMask, BoundaryLabel, Budget, Difficulty, ModelIndex, NanoUsd, Objective, ProbeStats, Task,
};

use crate::OperatingPoint;
use crate::batch::StepRows;
use crate::collect::{RolloutSpec, Stage, Trajectory};
use crate::config::{Advantage, BopoConfig, SftConfig};
use crate::experience::{Assessor, Experience, Guidance};
use crate::reward::BoundaryCosts;
use crate::sft::{SftRows, warm_start};

const LAMBDA: f32 = 0.5;
const UNIT: NanoUsd = NanoUsd::new(100_000_000);

struct Played {
    tasks: Vec<Task>,
    network: RouterNetwork,
    trajectories: Vec<Trajectory>,
}

fn shape(features: &FeatureConfig) -> NetworkShape {
    NetworkShape { n_features: features.n_features(), n_hidden: 8, n_models: 2, early_stop: true, n_privileged: 0 }
}

/// Some episodes of a policy that is undecided about everything, and whose critic expects nothing.
fn play() -> Played {
    let arena = SkillChainArena::new().unwrap();
    let tasks = generate_tasks(5, TaskCounts { train: 8, validation: 0, test: 0 });
    let features = FeatureConfig::signals(2, arena.n_signals(), 1_000);
    let network = RouterNetwork::new(shape(&features), 1, &Device::Cpu).unwrap();
    for (name, variable) in network.variables() {
        if name.starts_with("critic") {
            variable.set(&Tensor::zeros(variable.shape(), DType::F32, &Device::Cpu).unwrap()).unwrap();
        }
        if name == "policy.2.bias" {
            variable.set(&Tensor::new(&[0.0, 0.0, 2.0_f32.ln()], &Device::Cpu).unwrap()).unwrap();
        }
    }
    let point = OperatingPoint { lambda: LAMBDA, budget: Budget::Unlimited };
    let specs: Vec<RolloutSpec> = (0..64)
        .map(|episode| RolloutSpec { task_idx: episode % 8, point, seed: episode as u64, is_conditioned: true })
        .collect();
    let frozen = Arc::new(network.freeze().unwrap());
    let stage = Stage {
        arena: &arena,
        tasks: &tasks,
        network: &frozen,
        features,
        objective: Objective::Success,
        word_dropout: 0.0,
        n_forks: 0,
    };
    let trajectories = stage.collect(&specs).unwrap();
    Played { tasks, network, trajectories }
}

fn assess(played: &Played, config: &BopoConfig) -> Experience {
    let stats = ProbeStats { successes: 1, episodes: 1, mean_cost: NanoUsd::ZERO, mean_score: 1.0 };
    let label = |task: &Task| BoundaryLabel {
        task_id: task.id.clone(),
        difficulty: Difficulty::Hard,
        is_contested: false,
        small: stats,
        large: ProbeStats { mean_cost: UNIT, ..stats },
    };
    let labels: Vec<BoundaryLabel> = played.tasks.iter().map(label).collect();
    let costs = BoundaryCosts { low: NanoUsd::ZERO, high: UNIT };
    let guidance = Guidance { labels: labels.iter().collect(), costs, is_conditioned: true };
    let network = &played.network;
    let assessor =
        Assessor { config, objective: Objective::Success, guidance: &guidance, network, shape: network.shape() };
    assessor.assess(&played.trajectories).unwrap()
}

fn weighted(cost: NanoUsd) -> f32 {
    LAMBDA * cost.get() as f32 / UNIT.get() as f32
}

#[test]
fn training_plays_on_where_the_policy_would_have_given_up() {
    let played = play();
    let would_give_up = |trajectory: &&Trajectory| trajectory.would_give_up.contains(&true);
    let n_would = played.trajectories.iter().filter(would_give_up).count();
    assert!((8..=64).contains(&n_would), "{n_would}");
    assert!(played.trajectories.iter().filter(would_give_up).any(|trajectory| trajectory.is_success));
    for trajectory in &played.trajectories {
        let n_steps = trajectory.steps.len();
        assert_eq!([trajectory.log_probs.len(), trajectory.costs.len(), trajectory.would_give_up.len()], [n_steps; 3]);
        // Of two models that are about as probable, given that one is called.
        assert!(trajectory.log_probs.iter().all(|log_prob| (log_prob - 0.5_f32.ln()).abs() < 0.1));
    }
}

#[test]
fn going_on_is_worth_what_came_of_it_up_to_where_the_policy_would_have_given_up() {
    let played = play();
    let experience = assess(&played, &BopoConfig { gae_lambda: 1.0, ..BopoConfig::default() });
    let mut row = 0;
    for trajectory in &played.trajectories {
        let outcome = f32::from(u8::from(trajectory.is_success));
        let n_steps = trajectory.costs.len();
        for step_idx in 0..n_steps {
            let end = (step_idx + 1..n_steps).find(|&later| trajectory.would_give_up[later]);
            let cost = trajectory.costs[step_idx..end.unwrap_or(n_steps)].iter().copied().sum();
            let expected = if end.is_some() { 0.0 } else { outcome } - weighted(cost);
            for found in [experience.advantages[row], experience.worth[row]] {
                assert!((found - expected).abs() < 1e-4, "{found} at {row}, expected {expected}");
            }
            row += 1;
        }
    }
    let lengths = [&experience.old_log_probs, &experience.cost_returns, &experience.worth].map(Vec::len);
    assert_eq!((lengths, experience.steps.len()), ([row; 3], row));
}

#[test]
fn a_group_s_steps_have_a_worth_each() {
    let played = play();
    let config = BopoConfig { advantage: Advantage::Union, group_size: 8, ..BopoConfig::default() };
    let experience = assess(&played, &config);
    assert_eq!([experience.advantages.len(), experience.worth.len()], [experience.steps.len(); 2]);
}

#[test]
fn a_warm_start_neither_teaches_to_give_up_nor_makes_it_impossible() {
    let features = FeatureConfig::signals(2, 0, 1_000);
    let network = RouterNetwork::new(shape(&features), 3, &Device::Cpu).unwrap();
    let mut steps = StepRows::new(features.n_features(), 2);
    for row in 0..400_usize {
        let values: Vec<f32> =
            (0..features.n_features()).map(|index| ((row * 31 + index * 7) % 11) as f32 / 11.0).collect();
        steps.push(&values, ModelIndex::new(usize::from(row % 4 == 0)), ActionMask::first(2));
    }
    let rows = SftRows { weights: vec![1.0; steps.len()], steps };
    let config = SftConfig { epochs: 20, minibatch_size: 64, ..SftConfig::default() };
    warm_start(&network, &rows, "bopo", &config, &Device::Cpu, 1).unwrap();
    let all: Vec<usize> = (0..rows.steps.len()).collect();
    let logits = network.logits(&rows.steps.features_of(&all, &Device::Cpu).unwrap()).unwrap();
    let probabilities = candle_nn::ops::softmax(&logits, 1).unwrap().mean(0).unwrap().to_vec1::<f32>().unwrap();
    assert!(probabilities[0] > 0.6, "nothing was learnt: {probabilities:?}");
    assert!((0.002..0.02).contains(&probabilities[2]), "{probabilities:?}");
}
