//! What an iteration's episodes are worth: rewards, advantages and the critic's targets.

use tollgate_policy::{NetworkShape, RouterNetwork, Scratch};
use tollgate_routing::{BoundaryLabel, NanoUsd, Objective};

use crate::advantage::{generalized_advantages, grpo_advantage, reference_guided_advantage};
use crate::batch::StepRows;
use crate::collect::{RolloutSpec, Trajectory};
use crate::config::{Advantage, BopoConfig};
use crate::critic::references;
use crate::error::TrainError;
use crate::giving_up::worth_of_going_on;
use crate::reward::{
    BoundaryCosts, CostNormalisation, boundary_relative_reward, clipped_cost_norm, cost_in_spreads, outcome_reward,
};

/// What the boundary policies contribute.
pub(crate) struct Guidance<'a> {
    /// One per training task, in the order of the tasks.
    pub(crate) labels: Vec<&'a BoundaryLabel>,
    pub(crate) costs: BoundaryCosts,
    pub(crate) is_conditioned: bool,
}

/// The steps of an iteration with what training needs to know of each.
pub(crate) struct Experience {
    pub(crate) steps: StepRows,
    /// What the critic knows of each step's task; empty where it is told nothing. `[n_steps, n_privileged]`, row by row.
    pub(crate) references: Vec<f32>,
    pub(crate) old_log_probs: Vec<f32>,
    pub(crate) advantages: Vec<f32>,
    /// Targets of the critic; empty for the group advantages.
    pub(crate) success_returns: Vec<f32>,
    pub(crate) cost_returns: Vec<f32>,
    /// What going on was worth; empty where the network cannot give up.
    pub(crate) worth: Vec<f32>,
    pub(crate) explained_variance: f32,
    pub(crate) mean_return: f32,
}

/// Judges episodes by the boundary policies and by the critic as it stands.
pub(crate) struct Assessor<'a> {
    pub(crate) config: &'a BopoConfig,
    pub(crate) objective: Objective,
    pub(crate) guidance: &'a Guidance<'a>,
    pub(crate) network: &'a RouterNetwork,
    pub(crate) shape: NetworkShape,
}

impl Assessor<'_> {
    /// Rewards, advantages and the critic's targets.
    pub(crate) fn assess(&self, trajectories: &[Trajectory]) -> Result<Experience, TrainError> {
        let mut experience = Experience {
            steps: StepRows::new(self.shape.n_features, self.shape.n_models),
            references: Vec::new(),
            old_log_probs: Vec::new(),
            advantages: Vec::new(),
            success_returns: Vec::new(),
            cost_returns: Vec::new(),
            worth: Vec::new(),
            explained_variance: 0.0,
            mean_return: 0.0,
        };
        let rewards: Vec<f32> = trajectories.iter().map(|trajectory| self.reward(trajectory)).collect();
        experience.mean_return = rewards.iter().sum::<f32>() / rewards.len().max(1) as f32;
        match self.config.advantage {
            Advantage::Forked => self.assess_forks(trajectories, &mut experience),
            Advantage::ReferenceCritic | Advantage::WholeTrajectory => {
                self.take_steps(trajectories, &mut experience);
                self.assess_with_critic(trajectories, &mut experience)?;
            }
            Advantage::Union | Advantage::Grpo => {
                self.take_steps(trajectories, &mut experience);
                for (group, rewards) in
                    trajectories.chunks(self.config.group_size).zip(rewards.chunks(self.config.group_size))
                {
                    let advantages = self.group_advantages(group, rewards);
                    for (trajectory, advantage) in group.iter().zip(advantages) {
                        experience.advantages.extend(std::iter::repeat_n(advantage, trajectory.steps.len()));
                    }
                }
            }
        }
        Ok(experience)
    }

    fn take_steps(&self, trajectories: &[Trajectory], experience: &mut Experience) {
        for trajectory in trajectories {
            experience.steps.extend(&trajectory.steps);
            experience.old_log_probs.extend_from_slice(&trajectory.log_probs);
            if self.shape.early_stop {
                experience.worth.extend(self.worth(trajectory));
            }
        }
    }

    fn group_advantages(&self, group: &[Trajectory], rewards: &[f32]) -> Vec<f32> {
        if self.config.advantage == Advantage::Grpo {
            return grpo_advantage(rewards);
        }
        let Some(first) = group.first() else { return Vec::new() };
        reference_guided_advantage(rewards, &self.boundary_rewards(first))
    }

    /// The rewards that the boundary probes of a trajectory's task would have earned at its operating point.
    fn boundary_rewards(&self, trajectory: &Trajectory) -> Vec<f32> {
        let label = self.guidance.labels[trajectory.spec.task_idx];
        let mut rewards = Vec::new();
        for stats in [label.small, label.large] {
            let cost_norm = self.cost_norm(stats.mean_cost, label);
            for probe in 0..stats.episodes {
                let value = match self.objective {
                    Objective::Success => f32::from(u8::from(probe < stats.successes)),
                    Objective::Score => stats.mean_score,
                };
                rewards.push(boundary_relative_reward(
                    value,
                    label.difficulty,
                    cost_norm,
                    trajectory.spec.point.lambda,
                    &self.config.bonus,
                ));
            }
        }
        rewards
    }

    /// What going on was worth at each decision of an episode.
    fn worth(&self, trajectory: &Trajectory) -> Vec<f32> {
        let costs = self.added_costs(trajectory);
        let gains = self.outcome_rewards(trajectory);
        worth_of_going_on(&gains, &costs, trajectory.spec.point.lambda, &trajectory.would_give_up)
    }

    /// What each call adds to the cost that the reward weighs, which need not grow with every dollar.
    fn added_costs(&self, trajectory: &Trajectory) -> Vec<f32> {
        let label = self.guidance.labels[trajectory.spec.task_idx];
        let mut spent = NanoUsd::ZERO;
        let added = trajectory.costs.iter().map(|&cost| {
            let before = self.cost_norm(spent, label);
            spent += cost;
            self.cost_norm(spent, label) - before
        });
        added.collect()
    }

    /// The part of each step's reward that does not depend on cost.
    fn outcome_rewards(&self, trajectory: &Trajectory) -> Vec<f32> {
        let difficulty = self.guidance.labels[trajectory.spec.task_idx].difficulty;
        trajectory.gains.iter().map(|&gain| outcome_reward(gain, difficulty, &self.config.bonus)).collect()
    }

    /// What the critic is to foresee of each step's cost.
    fn step_costs(&self, trajectory: &Trajectory) -> Vec<f32> {
        match self.config.cost_normalisation {
            CostNormalisation::Suite => {
                trajectory.costs.iter().map(|&cost| cost_in_spreads(cost, &self.guidance.costs)).collect()
            }
            CostNormalisation::Task => self.added_costs(trajectory),
        }
    }

    fn reward(&self, trajectory: &Trajectory) -> f32 {
        self.reward_of(&trajectory.spec, trajectory.value, trajectory.total_cost())
    }

    /// The reward of an episode that was worth `value` and cost `total_cost`.
    fn reward_of(&self, spec: &RolloutSpec, value: f32, total_cost: NanoUsd) -> f32 {
        let label = self.guidance.labels[spec.task_idx];
        let cost_norm = self.cost_norm(total_cost, label);
        boundary_relative_reward(value, label.difficulty, cost_norm, spec.point.lambda, &self.config.bonus)
    }

    /// Advantages of the steps at which another model was tried; other steps teach nothing. With `a'` the other action,
    /// `Q(a) - V = (1 - p(a)) (Q(a) - E[Q(a')])`, where each `Q` is estimated by one episode, with the same chance events.
    fn assess_forks(&self, trajectories: &[Trajectory], experience: &mut Experience) {
        for trajectory in trajectories {
            let reward = self.reward(trajectory);
            let worth = if self.shape.early_stop { self.worth(trajectory) } else { Vec::new() };
            for fork in &trajectory.forks {
                let log_prob = trajectory.log_probs[fork.step_idx];
                let other = self.reward_of(&trajectory.spec, fork.value, fork.total_cost);
                experience.steps.copy(&trajectory.steps, fork.step_idx);
                experience.old_log_probs.push(log_prob);
                experience.worth.extend(worth.get(fork.step_idx));
                experience.advantages.push((1.0 - log_prob.exp()) * (reward - other));
            }
        }
    }

    fn cost_norm(&self, cost: NanoUsd, label: &BoundaryLabel) -> f32 {
        match self.config.cost_normalisation {
            CostNormalisation::Suite => cost_in_spreads(cost, &self.guidance.costs),
            CostNormalisation::Task => clipped_cost_norm(cost, &BoundaryCosts::of_task(label)),
        }
    }

    /// Generalized advantages for success and for cost apart, joined by the `lambda` of the episode.
    fn assess_with_critic(&self, trajectories: &[Trajectory], experience: &mut Experience) -> Result<(), TrainError> {
        let critic = self.network.freeze_critic()?;
        let mut scratch = Scratch::default();
        let n_features = self.shape.n_features;
        let mut inputs = Vec::with_capacity(n_features + self.shape.n_privileged);
        let mut errors = 0.0_f64;
        let mut returns = Vec::with_capacity(experience.steps.len());
        for trajectory in trajectories {
            let label = self.guidance.labels[trajectory.spec.task_idx];
            let lambda = trajectory.spec.point.lambda;
            let n_steps = trajectory.steps.len();
            let (mut success_values, mut cost_values) = (Vec::with_capacity(n_steps), Vec::with_capacity(n_steps));
            let known = references(label, self.objective, |cost| self.cost_norm(cost, label));
            let known = &known[..self.shape.n_privileged];
            for features in trajectory.steps.features.chunks_exact(n_features) {
                inputs.clear();
                inputs.extend_from_slice(features);
                inputs.extend_from_slice(known);
                experience.references.extend_from_slice(known);
                let heads = critic.forward(&inputs, &mut scratch);
                success_values.push(heads[0]);
                cost_values.push(heads[1]);
            }
            let rewards = self.outcome_rewards(trajectory);
            let costs = self.step_costs(trajectory);
            // What comes after the router would have given up is none of its doing before that.
            let is_cut = &trajectory.would_give_up;
            let (success_advantages, success_returns) =
                generalized_advantages(&rewards, &success_values, is_cut, self.config.gae_lambda);
            let (cost_advantages, cost_returns) =
                generalized_advantages(&costs, &cost_values, is_cut, self.config.gae_lambda);
            let whole = (self.config.advantage == Advantage::WholeTrajectory).then(|| {
                rewards.iter().sum::<f32>()
                    - lambda * costs.iter().sum::<f32>()
                    - success_values.first().map_or(0.0, |success| success - lambda * cost_values[0])
            });
            for step in 0..n_steps {
                let advantage = success_advantages[step] - lambda * cost_advantages[step];
                experience.advantages.push(whole.unwrap_or(advantage));
                errors += f64::from(advantage).powi(2);
                returns.push(f64::from(success_returns[step] - lambda * cost_returns[step]));
            }
            experience.success_returns.extend(success_returns);
            experience.cost_returns.extend(cost_returns);
        }
        let n = returns.len().max(1) as f64;
        let mean = returns.iter().sum::<f64>() / n;
        let variance = returns.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        experience.explained_variance = if variance > 0.0 { (1.0 - errors / n / variance) as f32 } else { 0.0 };
        Ok(())
    }
}
