//! BoPO, top to bottom: draw operating points, roll out, compare with the references, update, repeat.

use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tollgate_policy::{CheckpointSpec, RouterNetwork};
use tollgate_rollout::derive_seed;
use tollgate_routing::Budget;

use crate::average::WeightAverage;
use crate::batch::{gather, gather_rows};
use crate::collect::{RolloutSpec, Stage, Trajectory};
use crate::condition::OperatingPoint;
use crate::config::{Advantage, BopoConfig, TrainConfig};
use crate::error::{TrainError, expect_below};
use crate::experience::{Assessor, Experience, Guidance};
use crate::giving_up::{giving_up_loss, model_logits};
use crate::loss::{
    approximate_kl, chosen_log_probs, clipped_surrogate_loss, half_squared_error, masked_log_probs, mean_entropy,
    mean_kl,
};
use crate::optimizer::AdamW;
use crate::progress::{IterationMetrics, Learner, Progress, load_progress, save_progress};
use crate::reward::cost_in_spreads;
use crate::train::TrainingInputs;

/// A loss beyond this is an explosion, not a lesson.
const LARGEST_LOSS: f32 = 1e4;

/// A training under way.
pub(crate) struct Bopo<'a> {
    inputs: &'a TrainingInputs<'a>,
    config: &'a BopoConfig,
    save_every: u32,
    spec: &'a CheckpointSpec,
    guidance: Guidance<'a>,
    learner: Learner<'a>,
    /// The SFT policy, where the divergence from it has a weight.
    reference_policy: Option<RouterNetwork>,
    device: &'a Device,
    seed: u64,
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
            spec,
            guidance,
            learner: Learner {
                network,
                optimizer: AdamW::new(network.variables(), config.bopo.weight_decay, config.bopo.max_grad_norm),
                average: WeightAverage::default(),
            },
            reference_policy,
            device,
            seed,
        })
    }

    /// Runs all iterations, from saved progress of the same settings where there is some.
    pub(crate) fn run(
        mut self,
        directory: &Path,
        settings: &str,
        observer: &(dyn Fn(&IterationMetrics) + Sync),
    ) -> Result<Vec<IterationMetrics>, TrainError> {
        let resumed = load_progress(directory, settings, &mut self.learner, self.device)?;
        let mut progress = resumed.unwrap_or_else(|| Progress { settings: settings.to_owned(), ..Progress::default() });
        while progress.iteration < self.config.iterations {
            let metrics = self.iterate(progress.iteration, progress.env_steps)?;
            progress.iteration += 1;
            progress.env_steps = metrics.env_steps;
            progress.log.push(metrics);
            observer(&metrics);
            if self.is_averaged(progress.iteration) {
                self.learner.average.absorb(self.learner.network)?;
            }
            if progress.iteration == self.config.iterations {
                self.learner.average.install(self.learner.network)?;
                self.learner.network.lean_to_large(self.config.lean)?;
            }
            if progress.iteration.is_multiple_of(self.save_every) || progress.iteration == self.config.iterations {
                save_progress(directory, &progress, self.spec, &self.learner)?;
            }
        }
        Ok(progress.log)
    }

    /// Whether the weights after so many iterations are among those that the training ends with the mean of.
    fn is_averaged(&self, n_iterations: u32) -> bool {
        let share = self.config.average_share;
        share > 0.0 && n_iterations as f32 >= self.config.iterations as f32 * (1.0 - share)
    }

    fn iterate(&mut self, iteration: u32, env_steps: u64) -> Result<IterationMetrics, TrainError> {
        let seed = derive_seed(self.seed, u64::from(iteration));
        let specs = self.draw_specs(seed);
        let network = Arc::new(self.learner.network.freeze()?);
        let stage = Stage {
            arena: self.inputs.arena,
            tasks: self.inputs.tasks,
            network: &network,
            features: self.spec.features,
            objective: self.inputs.objective,
            word_dropout: self.config.word_dropout,
            n_forks: self.n_forks(),
        };
        let trajectories = stage.collect(&specs)?;
        let assessor = Assessor {
            config: self.config,
            objective: self.inputs.objective,
            guidance: &self.guidance,
            network: self.learner.network,
            shape: self.spec.shape,
        };
        let experience = assessor.assess(&trajectories)?;
        let mut metrics = self.summarize(&trajectories, &experience);
        metrics.iteration = iteration;
        metrics.env_steps =
            env_steps + trajectories.iter().map(|trajectory| trajectory.n_env_steps() as u64).sum::<u64>();
        self.learn(&experience, iteration, seed, &mut metrics)?;
        Ok(metrics)
    }

    /// Tasks and operating points of an iteration. The group advantages compare rollouts of one task at one point.
    fn draw_specs(&self, seed: u64) -> Vec<RolloutSpec> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let group_size = if self.config.advantage.compares_groups() { self.config.group_size } else { 1 };
        // A fork is about half an episode long.
        let n_episodes = 2 * self.config.episodes_per_iteration / (2 + self.n_forks());
        let n_groups = n_episodes.div_ceil(group_size).max(1);
        let mut specs = Vec::with_capacity(n_groups * group_size);
        for group in 0..n_groups {
            let task_idx = rng.random_range(0..self.inputs.tasks.len());
            let point = if self.guidance.is_conditioned {
                self.config.conditions.draw(self.guidance.costs.high, &mut rng)
            } else {
                OperatingPoint { lambda: self.config.fixed_lambda, budget: Budget::Unlimited }
            };
            for member in 0..group_size {
                let episode = group * group_size + member;
                specs.push(RolloutSpec {
                    task_idx,
                    point,
                    seed: derive_seed(seed, episode as u64),
                    is_conditioned: self.guidance.is_conditioned,
                });
            }
        }
        specs
    }

    fn n_forks(&self) -> usize {
        if self.config.advantage == Advantage::Forked { self.config.forks_per_episode } else { 0 }
    }

    /// What the episodes of an iteration were like.
    fn summarize(&self, trajectories: &[Trajectory], experience: &Experience) -> IterationMetrics {
        let n = trajectories.len().max(1) as f32;
        let large = self.spec.shape.n_models as u32 - 1;
        let actions = || trajectories.iter().flat_map(|trajectory| trajectory.steps.actions.iter().copied());
        let n_large = actions().filter(|&action| action == large).count();
        let mean = |value: &dyn Fn(&Trajectory) -> f32| trajectories.iter().map(value).sum::<f32>() / n;
        IterationMetrics {
            mean_return: experience.mean_return,
            success_rate: mean(&|trajectory| f32::from(u8::from(trajectory.is_success))),
            mean_cost_norm: mean(&|trajectory| cost_in_spreads(trajectory.total_cost(), &self.guidance.costs)),
            large_share: n_large as f32 / actions().count().max(1) as f32,
            given_up_share: mean(&|trajectory| f32::from(u8::from(trajectory.would_give_up.contains(&true)))),
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
        metrics.learning_rate = learning_rate as f32;
        let mut order: Vec<usize> = (0..experience.steps.len()).collect();
        let mut rng = Pcg64Mcg::seed_from_u64(derive_seed(seed, u64::MAX));
        let mut n_updates = 0.0;
        for _ in 0..self.config.epochs {
            order.shuffle(&mut rng);
            for rows in order.chunks(self.config.minibatch_size) {
                let features = experience.steps.features_of(rows, self.device)?;
                let mut loss = self.policy_loss(&features, experience, rows, metrics)?;
                if !experience.success_returns.is_empty() {
                    let value_loss = self.value_loss(&features, experience, rows)?;
                    metrics.value_loss += value_loss.to_scalar::<f32>()?;
                    loss = (loss + (value_loss * self.config.value_weight)?)?;
                }
                let value = loss.to_scalar::<f32>()?;
                self.check("loss", value, iteration)?;
                let norm = self.learner.optimizer.update(&loss.backward()?, learning_rate)?;
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

    /// Clipped surrogate, entropy bonus and divergence from the SFT policy on the picked rows, whose features are given.
    fn policy_loss(
        &self,
        features: &Tensor,
        experience: &Experience,
        rows: &[usize],
        metrics: &mut IterationMetrics,
    ) -> Result<Tensor, TrainError> {
        let allowed = experience.steps.allowed_of(rows, self.device)?;
        let logits = self.learner.network.logits(features)?;
        let n_models = self.spec.shape.n_models;
        let log_probs = masked_log_probs(&model_logits(&logits, n_models)?, &allowed)?;
        let chosen = chosen_log_probs(&log_probs, &experience.steps.actions_of(rows, self.device)?)?;
        let old = gather(&experience.old_log_probs, rows, self.device)?;
        let advantages = gather(&experience.advantages, rows, self.device)?;
        let (surrogate, log_ratio) = clipped_surrogate_loss(&chosen, &old, &advantages, self.config.clip_epsilon)?;
        let entropy = mean_entropy(&log_probs)?;

        let log_ratios = log_ratio.to_vec1::<f32>()?;
        let n = log_ratios.len() as f32;
        let epsilon = self.config.clip_epsilon as f32;
        metrics.policy_loss += surrogate.to_scalar::<f32>()?;
        metrics.entropy += entropy.to_scalar::<f32>()?;
        metrics.clip_fraction += log_ratios.iter().filter(|ratio| ratio.exp_m1().abs() > epsilon).count() as f32 / n;
        metrics.approx_kl += approximate_kl(&log_ratios);

        let mut loss = (surrogate - (entropy * self.config.entropy_weight)?)?;
        if self.spec.shape.early_stop {
            let worth = gather(&experience.worth, rows, self.device)?;
            loss = (loss + giving_up_loss(&logits, &allowed, &worth, self.config.caution)?)?;
        }
        if let Some(reference) = &self.reference_policy {
            let ref_log_probs =
                masked_log_probs(&model_logits(&reference.logits(features)?, n_models)?, &allowed)?.detach();
            loss = (loss + (mean_kl(&log_probs, &ref_log_probs)? * self.config.kl_weight)?)?;
        }
        Ok(loss)
    }

    fn value_loss(&self, features: &Tensor, experience: &Experience, rows: &[usize]) -> Result<Tensor, TrainError> {
        let n_privileged = self.spec.shape.n_privileged;
        let critique = if n_privileged == 0 {
            self.learner.network.critique(features)?
        } else {
            let known = gather_rows(&experience.references, n_privileged, rows, self.device)?;
            self.learner.network.critique(&Tensor::cat(&[features, &known], 1)?)?
        };
        let success = half_squared_error(&critique.success, &gather(&experience.success_returns, rows, self.device)?)?;
        let cost = half_squared_error(&critique.cost, &gather(&experience.cost_returns, rows, self.device)?)?;
        Ok((success + cost)?)
    }

    fn check(&self, quantity: &'static str, value: f32, iteration: u32) -> Result<(), TrainError> {
        expect_below(LARGEST_LOSS, &self.spec.policy_id, iteration, quantity, value)
    }
}
