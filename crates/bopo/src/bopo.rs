//! BoPO, top to bottom: draw operating points, roll out, compare with the references, update, repeat.

use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tollgate_policy::{CheckpointSpec, RouterNetwork, Scratch};
use tollgate_rollout::derive_seed;
use tollgate_routing::{BoundaryLabel, Budget};

use crate::advantage::{generalized_advantages, grpo_advantage, reference_guided_advantage};
use crate::batch::{StepRows, gather};
use crate::collect::{RolloutSpec, Trajectory, collect};
use crate::condition::OperatingPoint;
use crate::config::{Advantage, BopoConfig, TrainConfig};
use crate::critic::ReferenceRows;
use crate::error::TrainError;
use crate::loss::{
    chosen_log_probs, clipped_surrogate_loss, half_squared_error, masked_log_probs, mean_entropy, mean_kl,
};
use crate::optimizer::AdamW;
use crate::progress::{IterationMetrics, Progress, load_progress, save_progress};
use crate::reward::{
    BoundaryCosts, CostNormalisation, boundary_relative_reward, clipped_cost_norm, cost_in_spreads, success_reward,
};
use crate::train::TrainingInputs;

/// A loss beyond this is an explosion, not a lesson.
const LARGEST_LOSS: f32 = 1e4;

/// What the boundary policies contribute.
pub(crate) struct Guidance<'a> {
    /// One per training task, in the order of the tasks.
    pub(crate) labels: Vec<&'a BoundaryLabel>,
    pub(crate) costs: BoundaryCosts,
    /// What the critic is fitted to beside its own episodes.
    pub(crate) references: Option<ReferenceRows>,
    pub(crate) is_conditioned: bool,
}

/// A training under way.
pub(crate) struct Bopo<'a> {
    inputs: &'a TrainingInputs<'a>,
    config: &'a BopoConfig,
    save_every: u32,
    settings: String,
    spec: &'a CheckpointSpec,
    guidance: Guidance<'a>,
    network: &'a RouterNetwork,
    /// The SFT policy, where the divergence from it has a weight.
    reference_policy: Option<RouterNetwork>,
    optimizer: AdamW,
    device: &'a Device,
    seed: u64,
}

/// The steps of an iteration with what training needs to know of each.
struct Experience {
    steps: StepRows,
    old_log_probs: Vec<f32>,
    advantages: Vec<f32>,
    /// Targets of the critic; empty for the group advantages.
    success_returns: Vec<f32>,
    cost_returns: Vec<f32>,
    explained_variance: f32,
    mean_return: f32,
}

impl<'a> Bopo<'a> {
    pub(crate) fn new(
        inputs: &'a TrainingInputs<'a>,
        config: &'a TrainConfig,
        spec: &'a CheckpointSpec,
        guidance: Guidance<'a>,
        network: &'a RouterNetwork,
        device: &'a Device,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let reference_policy = if config.bopo.kl_weight > 0.0 { Some(network.duplicate()?) } else { None };
        Ok(Self {
            inputs,
            config: &config.bopo,
            save_every: config.save_every,
            settings: format!("{seed} {config:?} {spec:?}"),
            spec,
            guidance,
            network,
            reference_policy,
            optimizer: AdamW::new(network.variables(), config.bopo.weight_decay, config.bopo.max_grad_norm),
            device,
            seed,
        })
    }

    /// Runs all iterations, from saved progress where there is some.
    pub(crate) fn run(
        mut self,
        directory: &Path,
        observer: &(dyn Fn(&IterationMetrics) + Sync),
    ) -> Result<Vec<IterationMetrics>, TrainError> {
        let resumed = load_progress(directory, &self.settings, self.network, &mut self.optimizer, self.device)?;
        let mut progress =
            resumed.unwrap_or_else(|| Progress { settings: self.settings.clone(), ..Progress::default() });
        while progress.iteration < self.config.iterations {
            let metrics = self.iterate(progress.iteration, progress.env_steps)?;
            progress.iteration += 1;
            progress.env_steps = metrics.env_steps;
            progress.log.push(metrics);
            observer(&metrics);
            if progress.iteration.is_multiple_of(self.save_every) && progress.iteration < self.config.iterations {
                save_progress(directory, &progress, self.spec, self.network, &self.optimizer)?;
            }
        }
        Ok(progress.log)
    }

    fn iterate(&mut self, iteration: u32, env_steps: u64) -> Result<IterationMetrics, TrainError> {
        let seed = derive_seed(self.seed, u64::from(iteration));
        let specs = self.draw_specs(seed);
        let network = Arc::new(self.network.freeze()?);
        let trajectories = collect(self.inputs.arena, self.inputs.tasks, &network, self.spec.features, &specs)?;
        let experience = self.assess(&trajectories)?;
        let mut metrics = self.summarize(&trajectories, &experience);
        metrics.iteration = iteration;
        metrics.env_steps = env_steps + experience.steps.len() as u64;
        self.learn(&experience, iteration, seed, &mut metrics)?;
        Ok(metrics)
    }

    /// Tasks and operating points of an iteration. The group advantages compare rollouts of one task at one point.
    fn draw_specs(&self, seed: u64) -> Vec<RolloutSpec> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let group_size = if self.config.advantage == Advantage::ReferenceCritic { 1 } else { self.config.group_size };
        let n_groups = self.config.episodes_per_iteration.div_ceil(group_size);
        let mut specs = Vec::with_capacity(n_groups * group_size);
        for group in 0..n_groups {
            let task_idx = rng.random_range(0..self.inputs.tasks.len());
            let point = if self.guidance.is_conditioned {
                self.config.conditions.draw(self.guidance.costs.high, &mut rng)
            } else {
                OperatingPoint { lambda: self.config.fixed_lambda, budget: Budget::Unlimited }
            };
            for member in 0..group_size {
                let seed = derive_seed(seed, (group * group_size + member) as u64);
                specs.push(RolloutSpec { task_idx, point, seed, is_conditioned: self.guidance.is_conditioned });
            }
        }
        specs
    }

    /// Rewards, advantages and the critic's targets.
    fn assess(&self, trajectories: &[Trajectory]) -> Result<Experience, TrainError> {
        let mut experience = Experience {
            steps: StepRows::new(self.spec.shape.n_features, self.spec.shape.n_models),
            old_log_probs: Vec::new(),
            advantages: Vec::new(),
            success_returns: Vec::new(),
            cost_returns: Vec::new(),
            explained_variance: 0.0,
            mean_return: 0.0,
        };
        let rewards: Vec<f32> = trajectories.iter().map(|trajectory| self.reward(trajectory)).collect();
        experience.mean_return = rewards.iter().sum::<f32>() / rewards.len().max(1) as f32;
        for trajectory in trajectories {
            experience.steps.extend(&trajectory.steps);
            experience.old_log_probs.extend_from_slice(&trajectory.log_probs);
        }
        match self.config.advantage {
            Advantage::ReferenceCritic => self.assess_with_critic(trajectories, &mut experience)?,
            Advantage::Union | Advantage::Grpo => {
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
                let is_success = probe < stats.successes;
                rewards.push(boundary_relative_reward(
                    is_success,
                    label.difficulty,
                    cost_norm,
                    trajectory.spec.point.lambda,
                    &self.config.bonus,
                ));
            }
        }
        rewards
    }

    fn reward(&self, trajectory: &Trajectory) -> f32 {
        let label = self.guidance.labels[trajectory.spec.task_idx];
        let cost_norm = self.cost_norm(trajectory.total_cost(), label);
        boundary_relative_reward(
            trajectory.is_success,
            label.difficulty,
            cost_norm,
            trajectory.spec.point.lambda,
            &self.config.bonus,
        )
    }

    fn cost_norm(&self, cost: tollgate_routing::NanoUsd, label: &BoundaryLabel) -> f32 {
        match self.config.cost_normalisation {
            CostNormalisation::Suite => cost_in_spreads(cost, &self.guidance.costs),
            CostNormalisation::Task => clipped_cost_norm(cost, &BoundaryCosts::of_task(label)),
        }
    }

    /// Generalized advantages for success and for cost apart, joined by the `lambda` of the episode.
    fn assess_with_critic(&self, trajectories: &[Trajectory], experience: &mut Experience) -> Result<(), TrainError> {
        let critic = self.network.freeze_critic()?;
        let mut scratch = Scratch::default();
        let n_features = self.spec.shape.n_features;
        let mut errors = 0.0_f64;
        let mut returns = Vec::with_capacity(experience.steps.len());
        for trajectory in trajectories {
            let label = self.guidance.labels[trajectory.spec.task_idx];
            let unit = match self.config.cost_normalisation {
                CostNormalisation::Suite => self.guidance.costs,
                CostNormalisation::Task => BoundaryCosts::of_task(label),
            };
            let lambda = trajectory.spec.point.lambda;
            let n_steps = trajectory.steps.len();
            let (mut success_values, mut cost_values) = (Vec::with_capacity(n_steps), Vec::with_capacity(n_steps));
            for features in trajectory.steps.features.chunks_exact(n_features) {
                let heads = critic.forward(features, &mut scratch);
                success_values.push(heads[0]);
                cost_values.push(heads[1]);
            }
            let mut rewards = vec![0.0; n_steps];
            if let Some(last) = rewards.last_mut() {
                *last = success_reward(trajectory.is_success, label.difficulty, &self.config.bonus);
            }
            let costs: Vec<f32> = trajectory.costs.iter().map(|&cost| cost_in_spreads(cost, &unit)).collect();
            let (success_advantages, success_returns) =
                generalized_advantages(&rewards, &success_values, self.config.gae_lambda);
            let (cost_advantages, cost_returns) = generalized_advantages(&costs, &cost_values, self.config.gae_lambda);
            for step in 0..n_steps {
                let advantage = success_advantages[step] - lambda * cost_advantages[step];
                experience.advantages.push(advantage);
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

    /// What the episodes of an iteration were like.
    fn summarize(&self, trajectories: &[Trajectory], experience: &Experience) -> IterationMetrics {
        let n = trajectories.len().max(1) as f32;
        let large = self.spec.shape.n_models as u32 - 1;
        let n_large = experience.steps.actions.iter().filter(|&&action| action == large).count();
        let mean = |value: &dyn Fn(&Trajectory) -> f32| trajectories.iter().map(value).sum::<f32>() / n;
        IterationMetrics {
            mean_return: experience.mean_return,
            success_rate: mean(&|trajectory| f32::from(u8::from(trajectory.is_success))),
            mean_cost_norm: mean(&|trajectory| cost_in_spreads(trajectory.total_cost(), &self.guidance.costs)),
            large_share: n_large as f32 / experience.steps.len().max(1) as f32,
            explained_variance: experience.explained_variance,
            lambda_mean: mean(&|trajectory| trajectory.spec.point.lambda),
            ..IterationMetrics::default()
        }
    }

    /// Updates policy and critic on the experience of an iteration, and fills in the metrics of the updates.
    fn learn(
        &mut self,
        experience: &Experience,
        iteration: u32,
        seed: u64,
        metrics: &mut IterationMetrics,
    ) -> Result<(), TrainError> {
        let done = f64::from(iteration) / f64::from(self.config.iterations);
        let learning_rate = self.config.learning_rate * (1.0 - 0.9 * done);
        let reference_weight = 1.0 - done / f64::from(self.config.reference_share.max(f32::EPSILON));
        metrics.learning_rate = learning_rate as f32;
        let mut order: Vec<usize> = (0..experience.steps.len()).collect();
        let mut rng = Pcg64Mcg::seed_from_u64(derive_seed(seed, u64::MAX));
        let mut n_updates = 0.0;
        for _ in 0..self.config.epochs {
            order.shuffle(&mut rng);
            for rows in order.chunks(self.config.minibatch_size) {
                let mut loss = self.policy_loss(experience, rows, metrics)?;
                if !experience.success_returns.is_empty() {
                    let value_loss = self.value_loss(experience, rows)?;
                    metrics.value_loss += value_loss.to_scalar::<f32>()?;
                    loss = (loss + (value_loss * self.config.value_weight)?)?;
                    if let Some(references) = self.guidance.references.as_ref().filter(|_| reference_weight > 0.0) {
                        let anchored = self.reference_loss(references, rows.len(), &mut rng)?;
                        loss = (loss + (anchored * (self.config.value_weight * reference_weight))?)?;
                    }
                }
                let value = loss.to_scalar::<f32>()?;
                self.check("loss", value, iteration)?;
                let norm = self.optimizer.update(&loss.backward()?, learning_rate)?;
                self.check("gradient norm", norm, iteration)?;
                metrics.grad_norm += norm;
                n_updates += 1.0;
            }
        }
        for total in [
            &mut metrics.policy_loss,
            &mut metrics.value_loss,
            &mut metrics.entropy,
            &mut metrics.approx_kl,
            &mut metrics.clip_fraction,
            &mut metrics.grad_norm,
        ] {
            *total /= f32::max(n_updates, 1.0);
        }
        Ok(())
    }

    /// Clipped surrogate, entropy bonus and divergence from the SFT policy on the picked rows.
    fn policy_loss(
        &self,
        experience: &Experience,
        rows: &[usize],
        metrics: &mut IterationMetrics,
    ) -> Result<Tensor, TrainError> {
        let features = experience.steps.features_of(rows, self.device)?;
        let allowed = experience.steps.allowed_of(rows, self.device)?;
        let log_probs = masked_log_probs(&self.network.logits(&features)?, &allowed)?;
        let chosen = chosen_log_probs(&log_probs, &experience.steps.actions_of(rows, self.device)?)?;
        let old = gather(&experience.old_log_probs, rows, self.device)?;
        let advantages = gather(&experience.advantages, rows, self.device)?;
        let (surrogate, ratio) = clipped_surrogate_loss(&chosen, &old, &advantages, self.config.clip_epsilon)?;
        let entropy = mean_entropy(&log_probs)?;

        let ratios = ratio.to_vec1::<f32>()?;
        let n = ratios.len() as f32;
        let epsilon = self.config.clip_epsilon as f32;
        metrics.policy_loss += surrogate.to_scalar::<f32>()?;
        metrics.entropy += entropy.to_scalar::<f32>()?;
        metrics.clip_fraction += ratios.iter().filter(|&&ratio| (ratio - 1.0).abs() > epsilon).count() as f32 / n;
        // The estimator (r - 1) - ln r of Schulman's note "Approximating KL Divergence" (2020).
        metrics.approx_kl += ratios.iter().map(|&ratio| (ratio - 1.0) - ratio.ln()).sum::<f32>() / n;

        let mut loss = (surrogate - (entropy * self.config.entropy_weight)?)?;
        if let Some(reference) = &self.reference_policy {
            let ref_log_probs = masked_log_probs(&reference.logits(&features)?, &allowed)?.detach();
            loss = (loss + (mean_kl(&log_probs, &ref_log_probs)? * self.config.kl_weight)?)?;
        }
        Ok(loss)
    }

    fn value_loss(&self, experience: &Experience, rows: &[usize]) -> Result<Tensor, TrainError> {
        let critique = self.network.critique(&experience.steps.features_of(rows, self.device)?)?;
        let success = half_squared_error(&critique.success, &gather(&experience.success_returns, rows, self.device)?)?;
        let cost = half_squared_error(&critique.cost, &gather(&experience.cost_returns, rows, self.device)?)?;
        Ok((success + cost)?)
    }

    /// The critic's error on as many steps of the boundary probes.
    fn reference_loss(
        &self,
        references: &ReferenceRows,
        n_rows: usize,
        rng: &mut Pcg64Mcg,
    ) -> Result<Tensor, TrainError> {
        let n_references = references.success.len().max(1);
        let rows: Vec<usize> = (0..n_rows.min(n_references)).map(|_| rng.random_range(0..n_references)).collect();
        let critique = self.network.critique(&references.steps.features_of(&rows, self.device)?)?;
        let success = half_squared_error(&critique.success, &gather(&references.success, &rows, self.device)?)?;
        let cost = half_squared_error(&critique.cost, &gather(&references.cost, &rows, self.device)?)?;
        Ok((success + cost)?)
    }

    fn check(&self, quantity: &'static str, value: f32, iteration: u32) -> Result<(), TrainError> {
        if value.is_finite() && value.abs() < LARGEST_LOSS {
            return Ok(());
        }
        Err(TrainError::Diverged { policy: self.spec.policy_id.clone(), iteration, quantity, value })
    }
}
