//! Rollouts of the policy in training, in parallel and in a fixed order, and forks of them: the same episode up to a step, another
//! model there, and the policy again from there on.

use std::cmp::Ordering;
use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use tollgate_inference::BudgetConstrained;
use tollgate_policy::{Choice, DecisionNetwork, FeatureConfig, LearnedPolicy};
use tollgate_rollout::{
    Arena, Decision, PolicyError, RolloutError, RolloutRequest, RoutingContext, RoutingPolicy, Verdict, derive_seed,
};
use tollgate_routing::{EpisodeId, ModelIndex, NanoUsd, Objective, Task};

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
    /// Whether the policy would have given up before each step; in training it is kept from that. `[n_steps]`.
    pub(crate) would_give_up: Vec<bool>,
    pub(crate) is_success: bool,
    /// What the episode is worth, 0 to 1.
    pub(crate) value: f32,
    /// What each step added to it. `[n_steps]`.
    pub(crate) gains: Vec<f32>,
    /// What came of it where another model acted at a step.
    pub(crate) forks: Vec<Fork>,
}

/// An episode that is another up to a step, and goes on with another model from there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fork {
    /// The step at which another model acts.
    pub(crate) step_idx: usize,
    pub(crate) total_cost: NanoUsd,
    /// What the episode is worth, 0 to 1.
    pub(crate) value: f32,
    /// Steps from there on: an environment that can be cloned plays only these anew.
    pub(crate) n_new_steps: usize,
}

impl Trajectory {
    /// Steps that an environment which can be cloned has to play for it.
    pub(crate) fn n_env_steps(&self) -> usize {
        self.costs.len() + self.forks.iter().map(|fork| fork.n_new_steps).sum::<usize>()
    }

    pub(crate) fn total_cost(&self) -> NanoUsd {
        self.costs.iter().copied().sum()
    }
}

/// Where episodes are played, and by which policy.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) arena: &'a dyn Arena,
    pub(crate) tasks: &'a [Task],
    pub(crate) network: &'a Arc<DecisionNetwork>,
    pub(crate) features: FeatureConfig,
    pub(crate) objective: Objective,
    /// Share of the buckets of words that each episode is kept from.
    pub(crate) word_dropout: f32,
    /// Steps of each episode at which another model is tried.
    pub(crate) n_forks: usize,
}

impl Stage<'_> {
    /// Plays every episode with the network's probabilities. The result depends on the specs alone, not on the threads.
    pub(crate) fn collect(&self, specs: &[RolloutSpec]) -> Result<Vec<Trajectory>, RolloutError> {
        let new_recorder = || {
            let mut policy = LearnedPolicy::new("in-training", self.network.clone(), self.features, Choice::Sample);
            // Where it always gave up, nothing could show it that going on has come to pay.
            policy.set_may_give_up(false);
            policy.set_word_dropout(self.word_dropout);
            Recorder::new(policy, self.features)
        };
        specs.par_iter().map_init(new_recorder, |recorder, spec| self.play_with_forks(spec, recorder)).collect()
    }

    fn play_with_forks(&self, spec: &RolloutSpec, recorder: &mut Recorder) -> Result<Trajectory, RolloutError> {
        recorder.detour = None;
        let mut trajectory = self.play(spec, recorder)?;
        let mut rng = Pcg64Mcg::seed_from_u64(derive_seed(spec.seed, FORK_STREAM));
        for step_idx in draw_forks(&trajectory.steps, self.n_forks, &mut rng) {
            recorder.detour = Some(Detour::new(&trajectory.steps, step_idx, rng.random()));
            let other = self.play(spec, recorder)?;
            trajectory.forks.push(Fork {
                step_idx,
                total_cost: other.total_cost(),
                value: other.value,
                n_new_steps: other.costs.len().saturating_sub(step_idx),
            });
        }
        Ok(trajectory)
    }

    fn play(&self, spec: &RolloutSpec, recorder: &mut Recorder) -> Result<Trajectory, RolloutError> {
        recorder.is_blind = !spec.is_conditioned;
        let request = RolloutRequest {
            episode_id: EpisodeId::new("training"),
            policy_id: Arc::from("in-training"),
            seed: spec.seed,
            lambda: spec.point.lambda,
            budget: spec.point.budget,
        };
        let mut policy = BudgetConstrained::new(&mut *recorder, spec.point.budget, spec.point.lambda);
        let episode = self.arena.play(&self.tasks[spec.task_idx], &request, &mut policy)?;
        let value = self.objective.value(episode.is_success, episode.score);
        Ok(Trajectory {
            spec: *spec,
            steps: recorder.take(),
            log_probs: episode.steps.iter().map(|step| step.log_prob).collect(),
            costs: episode.steps.iter().map(|step| step.turn.cost).collect(),
            would_give_up: std::mem::take(&mut recorder.would_give_up),
            is_success: episode.is_success,
            value,
            gains: gains(episode.steps.iter().map(|step| step.reward).collect(), self.objective, value),
            forks: Vec::new(),
        })
    }
}

/// What each step added to the episode's value: the rewards, where the grade counts and they add up to it. Elsewhere all is added at the
/// end.
fn gains(mut rewards: Vec<f32>, objective: Objective, value: f32) -> Vec<f32> {
    let add_up = (rewards.iter().sum::<f32>() - value).abs() < MAX_GRADE_ERROR;
    if objective != Objective::Score || !add_up {
        rewards.fill(0.0);
        if let Some(last) = rewards.last_mut() {
            *last = value;
        }
    }
    rewards
}

/// Rewards add up to a grade when they miss it by no more than rounding.
const MAX_GRADE_ERROR: f32 = 1e-3;

/// Stream of an episode's seed that its forks are drawn from.
const FORK_STREAM: u64 = 0x464F_524B;

/// At most `n_forks` different steps at which there was a choice, in their order.
fn draw_forks(steps: &StepRows, n_forks: usize, rng: &mut Pcg64Mcg) -> Vec<usize> {
    let mut with_choice: Vec<usize> = (0..steps.len()).filter(|&step| steps.allowed[step].iter().count() > 1).collect();
    let (drawn, _) = with_choice.partial_shuffle(rng, n_forks);
    let mut drawn = drawn.to_vec();
    drawn.sort_unstable();
    drawn
}

/// The way that a fork takes.
struct Detour {
    /// The actions up to where it leaves the other episode.
    actions: Vec<ModelIndex>,
    /// What the other episode did there.
    avoided: ModelIndex,
    /// Which of the other actions is taken, 0 to 1.
    draw: f32,
}

impl Detour {
    fn new(steps: &StepRows, step_idx: usize, draw: f32) -> Self {
        let action = |&action: &u32| ModelIndex::new(action as usize);
        Self {
            actions: steps.actions[..step_idx].iter().map(action).collect(),
            avoided: action(&steps.actions[step_idx]),
            draw,
        }
    }

    /// Where the detour leads at a step; `None` beyond its beginning, where the policy goes its own way. `probabilities` are the
    /// policy's.
    fn action(&self, step_idx: usize, probabilities: &[f32]) -> Option<ModelIndex> {
        match step_idx.cmp(&self.actions.len()) {
            Ordering::Less => Some(self.actions[step_idx]),
            Ordering::Equal => self.other(probabilities),
            Ordering::Greater => None,
        }
    }

    /// One of the other actions, drawn in proportion to its probability.
    fn other(&self, probabilities: &[f32]) -> Option<ModelIndex> {
        let avoided = self.avoided.get();
        let others = || (0..probabilities.len()).filter(|&action| action != avoided && probabilities[action] > 0.0);
        let mut rest = self.draw * others().map(|action| probabilities[action]).sum::<f32>();
        let drawn = others().find(|&action| {
            rest -= probabilities[action];
            rest < 0.0
        });
        drawn.or_else(|| others().next_back()).map(ModelIndex::new)
    }
}

/// Keeps what the policy saw and chose.
struct Recorder {
    policy: LearnedPolicy,
    config: FeatureConfig,
    steps: StepRows,
    would_give_up: Vec<bool>,
    is_blind: bool,
    detour: Option<Detour>,
}

impl Recorder {
    fn new(policy: LearnedPolicy, config: FeatureConfig) -> Self {
        let steps = StepRows::new(config.n_features(), config.n_models);
        Self { policy, config, steps, would_give_up: Vec::new(), is_blind: false, detour: None }
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
        let Verdict::Call(mut decision) = verdict else { return Ok(verdict) };
        let probabilities = self.policy.last_probabilities();
        let detour = self.detour.as_ref();
        if let Some(action) = detour.and_then(|detour| detour.action(context.turns.len(), probabilities)) {
            decision = Decision { action, log_prob: probabilities[action.get()].ln().min(0.0) };
        }
        self.would_give_up.push(self.policy.would_give_up());
        self.steps.push(self.policy.last_features(), decision.action, context.allowed);
        Ok(Verdict::Call(decision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_routing::ActionMask;

    fn steps(actions: &[usize]) -> StepRows {
        let mut steps = StepRows::new(1, 2);
        for (step, &action) in actions.iter().enumerate() {
            let allowed = if step == 1 { ActionMask::first(1) } else { ActionMask::first(2) };
            steps.push(&[0.0], ModelIndex::new(action), allowed);
        }
        steps
    }

    #[test]
    fn rewards_are_gains_where_they_add_up_to_the_grade_and_else_all_is_gained_at_the_end() {
        let gains = |rewards: &[f32], objective, value| gains(rewards.to_vec(), objective, value);
        assert_eq!(gains(&[0.5, 0.25, -0.5], Objective::Score, 0.25), [0.5, 0.25, -0.5]);
        assert_eq!(gains(&[0.5, 0.25, -0.5], Objective::Success, 1.0), [0.0, 0.0, 1.0]);
        assert_eq!(gains(&[0.5, 0.25, 1.0], Objective::Score, 0.25), [0.0, 0.0, 0.25]);
        assert_eq!(gains(&[f32::NAN, 0.25], Objective::Score, 0.25), [0.0, 0.25]);
        assert_eq!(gains(&[], Objective::Score, 0.0), [0.0_f32; 0]);
    }

    #[test]
    fn forks_are_where_there_was_a_choice() {
        let mut rng = Pcg64Mcg::seed_from_u64(3);
        assert_eq!(draw_forks(&steps(&[1, 0, 1]), 4, &mut rng), [0, 2]);
        assert_eq!(draw_forks(&steps(&[1, 0, 1]), 1, &mut rng).len(), 1);
        assert_eq!(draw_forks(&steps(&[1, 0, 1]), 0, &mut rng), [0_usize; 0]);
    }

    #[test]
    fn a_detour_repeats_the_way_turns_off_once_and_lets_go() {
        let detour = Detour::new(&steps(&[1, 0, 1]), 2, 0.5);
        let action = |step| detour.action(step, &[0.9, 0.1]).map(ModelIndex::get);
        assert_eq!([action(0), action(1), action(2), action(3)], [Some(1), Some(0), Some(0), None]);
    }

    #[test]
    fn a_detour_draws_among_the_others_by_their_probability() {
        let other = |draw| Detour { actions: Vec::new(), avoided: ModelIndex::new(1), draw }.other(&[0.3, 0.4, 0.3]);
        assert_eq!(other(0.49), Some(ModelIndex::new(0)));
        assert_eq!(other(0.51), Some(ModelIndex::new(2)));
        assert_eq!(other(1.0), Some(ModelIndex::new(2)));
    }
}
