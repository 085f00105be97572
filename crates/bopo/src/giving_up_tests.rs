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
    NetworkShape { n_features: features.n_features(), n_hidden: 8, n_models: 2, early_stop: true }
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
        .map(|episode| RolloutSpec {
            task_idx: episode % 8,
            point,
            seed: episode as u64,
            is_conditioned: true,
            may_give_up: episode % 4 != 0,
        })
        .collect();
    let frozen = Arc::new(network.freeze().unwrap());
    let stage =
        Stage { arena: &arena, tasks: &tasks, network: &frozen, features, objective: Objective::Success, n_forks: 0 };
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
    let guidance = Guidance { labels: labels.iter().collect(), costs, references: None, is_conditioned: true };
    let network = &played.network;
    let assessor =
        Assessor { config, objective: Objective::Success, guidance: &guidance, network, shape: network.shape() };
    assessor.assess(&played.trajectories).unwrap()
}

fn weighted(cost: NanoUsd) -> f32 {
    LAMBDA * cost.get() as f32 / UNIT.get() as f32
}

#[test]
fn an_episode_that_was_given_up_has_the_calls_before_it() {
    let played = play();
    let n_given_up = played.trajectories.iter().filter(|trajectory| trajectory.is_given_up).count();
    assert!((8..56).contains(&n_given_up), "{n_given_up}");
    for trajectory in &played.trajectories {
        let n_steps = trajectory.steps.len();
        assert_eq!([trajectory.log_probs.len(), trajectory.costs.len(), trajectory.would_give_up.len()], [n_steps; 3]);
        // Of two models that are about as probable, given that one is called.
        assert!(trajectory.log_probs.iter().all(|log_prob| (log_prob - 0.5_f32.ln()).abs() < 0.1));
        let was_kept_from_it = trajectory.would_give_up.contains(&true);
        assert!(!was_kept_from_it || !trajectory.spec.may_give_up);
        assert!(!trajectory.is_given_up || (trajectory.spec.may_give_up && !trajectory.is_success));
    }
}

#[test]
fn an_episode_that_was_given_up_is_worth_no_outcome_less_what_it_had_cost() {
    let played = play();
    let experience = assess(&played, &BopoConfig { gae_lambda: 1.0, ..BopoConfig::default() });
    let mut row = 0;
    for trajectory in &played.trajectories {
        let outcome = f32::from(u8::from(trajectory.is_success));
        let mut to_go = trajectory.total_cost();
        for &cost in &trajectory.costs {
            let expected = outcome - weighted(to_go);
            let is_near = |found: f32| (found - expected).abs() < 1e-4;
            assert!(
                is_near(experience.advantages[row]),
                "{} at {row}, expected {expected}",
                experience.advantages[row]
            );
            assert!(
                is_near(experience.worth[row]) || !trajectory.spec.may_give_up,
                "{} at {row}",
                experience.worth[row]
            );
            to_go = to_go - cost;
            row += 1;
        }
    }
    let lengths = [&experience.old_log_probs, &experience.cost_returns, &experience.worth].map(Vec::len);
    assert_eq!((lengths, experience.steps.len()), ([row; 3], row));
}

#[test]
fn in_a_group_an_episode_given_up_before_its_first_step_takes_part_with_no_row() {
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
    warm_start(&network, &rows, &config, &Device::Cpu, 1).unwrap();
    let all: Vec<usize> = (0..rows.steps.len()).collect();
    let logits = network.logits(&rows.steps.features_of(&all, &Device::Cpu).unwrap()).unwrap();
    let probabilities = candle_nn::ops::softmax(&logits, 1).unwrap().mean(0).unwrap().to_vec1::<f32>().unwrap();
    assert!(probabilities[0] > 0.6, "nothing was learnt: {probabilities:?}");
    assert!((0.002..0.02).contains(&probabilities[2]), "{probabilities:?}");
}
