//! Rollouts of the policy in training, in parallel and in a fixed order.

use std::sync::Arc;

use rayon::prelude::*;
use tollgate_inference::BudgetConstrained;
use tollgate_policy::{Choice, DecisionNetwork, FeatureConfig, LearnedPolicy};
use tollgate_rollout::{Arena, PolicyError, RolloutError, RolloutRequest, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::{Ending, EpisodeId, NanoUsd, Objective, Task};

use crate::OperatingPoint;
use crate::batch::StepRows;

/// One episode to play.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RolloutSpec {
    /// Index into the training tasks.
    pub(crate) task_idx: usize,
    pub(crate) point: OperatingPoint,
    /// Seed of the episode's chance events.
    pub(crate) seed: u64,
    /// Whether the policy is shown the operating point.
    pub(crate) is_conditioned: bool,
    /// Whether it may give up.
    pub(crate) may_give_up: bool,
}

/// A played episode, as training needs it.
#[derive(Debug)]
pub(crate) struct Trajectory {
    pub(crate) spec: RolloutSpec,
    pub(crate) steps: StepRows,
    /// Log-probabilities at the time of acting. `[n_steps]`.
    pub(crate) log_probs: Vec<f32>,
    /// `[n_steps]`.
    pub(crate) costs: Vec<NanoUsd>,
    /// Whether the policy would have given up before each step, had it not been kept from that. `[n_steps]`.
    pub(crate) would_give_up: Vec<bool>,
    pub(crate) is_success: bool,
    pub(crate) is_given_up: bool,
    /// What the episode is worth, 0 to 1.
    pub(crate) value: f32,
}

impl Trajectory {
    pub(crate) fn total_cost(&self) -> NanoUsd {
        self.costs.iter().copied().sum()
    }
}

/// Plays every episode with the network's probabilities. The result depends on the specs alone, not on the threads.
pub(crate) fn collect(
    arena: &dyn Arena,
    tasks: &[Task],
    network: &Arc<DecisionNetwork>,
    config: FeatureConfig,
    specs: &[RolloutSpec],
    objective: Objective,
) -> Result<Vec<Trajectory>, RolloutError> {
    specs
        .par_iter()
        .map_init(
            || Recorder::new(LearnedPolicy::new("in-training", network.clone(), config, Choice::Sample), config),
            |recorder, spec| play(arena, &tasks[spec.task_idx], spec, objective, recorder),
        )
        .collect()
}

fn play(
    arena: &dyn Arena,
    task: &Task,
    spec: &RolloutSpec,
    objective: Objective,
    recorder: &mut Recorder,
) -> Result<Trajectory, RolloutError> {
    recorder.is_blind = !spec.is_conditioned;
    recorder.policy.set_may_give_up(spec.may_give_up);
    let request = RolloutRequest {
        episode_id: EpisodeId::new("training"),
        policy_id: Arc::from("in-training"),
        seed: spec.seed,
        lambda: spec.point.lambda,
        budget: spec.point.budget,
    };
    let mut policy = BudgetConstrained::new(&mut *recorder, spec.point.budget, spec.point.lambda);
    let episode = arena.play(task, &request, &mut policy)?;
    Ok(Trajectory {
        spec: *spec,
        steps: recorder.take(),
        log_probs: episode.steps.iter().map(|step| step.log_prob).collect(),
        costs: episode.steps.iter().map(|step| step.turn.cost).collect(),
        would_give_up: std::mem::take(&mut recorder.would_give_up),
        is_success: episode.is_success,
        is_given_up: episode.ending == Ending::GaveUp,
        value: objective.value(episode.is_success, episode.score),
    })
}

/// Keeps what the policy saw and chose.
struct Recorder {
    policy: LearnedPolicy,
    config: FeatureConfig,
    steps: StepRows,
    would_give_up: Vec<bool>,
    is_blind: bool,
}

impl Recorder {
    fn new(policy: LearnedPolicy, config: FeatureConfig) -> Self {
        let steps = StepRows::new(config.n_features(), config.n_models);
        Self { policy, config, steps, would_give_up: Vec::new(), is_blind: false }
    }

    fn take(&mut self) -> StepRows {
        std::mem::replace(&mut self.steps, StepRows::new(self.config.n_features(), self.config.n_models))
    }
}

impl RoutingPolicy for Recorder {
    fn begin(&mut self, task: &Task, seed: u64) {
        self.policy.begin(task, seed);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let mut seen = *context;
        if self.is_blind {
            seen.budget = tollgate_routing::BudgetView::default();
        }
        let verdict = self.policy.decide(&seen)?;
        if let Verdict::Call(decision) = verdict {
            self.steps.push(self.policy.last_features(), decision.action, context.allowed);
            self.would_give_up.push(self.policy.would_give_up());
        }
        Ok(verdict)
    }
}
