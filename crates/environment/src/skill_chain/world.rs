//! The chain as a world: it is told how an attempt went, keeps the hidden state, and shows the visible part of it.

use tollgate_rollout::{Environment, EnvironmentError, Outcome, Transition};
use tollgate_routing::{ModelIndex, Observation, Task};

use super::chain::Chain;
use super::rules::{Caller, Chance, ENVIRONMENT};
use super::visible::{LastOutcome, VisibleState};

/// What the models say: which of them tried, and whether the attempt solved the subgoal. By model.
pub(crate) const SOLVES: [&str; 2] = ["small solves", "large solves"];
/// The same for attempts that fail.
pub(crate) const FAILS: [&str; 2] = ["small fails", "large fails"];

/// The world of one episode.
#[derive(Debug, Clone)]
pub struct SkillChain {
    chain: Chain,
    chance: Chance,
    visible: VisibleState,
    confusion: usize,
    is_lost: bool,
}

impl SkillChain {
    /// A world that waits for its first [`Environment::reset`].
    #[must_use]
    pub fn new() -> Self {
        Self::of(Chain::from_seed(0), Chance::default())
    }

    fn of(chain: Chain, chance: Chance) -> Self {
        let subgoals = chain.subgoals();
        let mut visible = VisibleState { left: subgoals.len(), cue: Some(subgoals[0].cue), ..VisibleState::default() };
        for subgoal in &subgoals[1..] {
            visible.later_cues[subgoal.cue] += 1;
        }
        Self { chain, chance, visible, confusion: 0, is_lost: false }
    }

    /// Chance that an attempt of `model` solves the current subgoal. Privileged: it depends on the hidden skill.
    #[must_use]
    pub fn success_chance(&self, model: ModelIndex) -> f64 {
        match self.chain.subgoals().get(self.visible.done) {
            Some(subgoal) if !self.is_lost => Caller::of(model).success(subgoal.skill, self.confusion),
            _ => 0.0,
        }
    }

    fn solve(&mut self) {
        self.confusion = 0;
        let visible = &mut self.visible;
        visible.failures_in_a_row = [0, 0];
        visible.failures_here = [0, 0];
        visible.last_outcome = LastOutcome::Solved;
        visible.done += 1;
        visible.left -= 1;
        visible.cue = self.chain.subgoals().get(visible.done).map(|subgoal| subgoal.cue);
        if let Some(cue) = visible.cue {
            visible.later_cues[cue] -= 1;
        }
    }

    fn fail(&mut self, caller: Caller) {
        self.is_lost |= self.chance.loss(self.visible.step_idx) < caller.loss();
        self.confusion = caller.confusion_after_failure(self.confusion);
        let this = caller as usize;
        self.visible.failures_in_a_row[this] += 1;
        self.visible.failures_in_a_row[1 - this] = 0;
        self.visible.failures_here[this] += 1;
        self.visible.last_outcome = LastOutcome::Failed;
    }
}

impl Default for SkillChain {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment for SkillChain {
    fn reset(&mut self, task: &Task, seed: u64) -> Result<Observation, EnvironmentError> {
        check_environment(task)?;
        *self = Self::of(Chain::from_seed(task.seed), Chance::new(task.seed, seed));
        Ok(self.visible.observation())
    }

    /// Reads `small solves`, `large solves`, `small fails` and `large fails`; anything else is a failed attempt of the
    /// small model.
    fn step(&mut self, completion: &str) -> Result<Transition, EnvironmentError> {
        if self.visible.left > 0 {
            if SOLVES.contains(&completion) {
                self.solve();
            } else {
                self.fail(if completion == FAILS[1] { Caller::Large } else { Caller::Small });
            }
            self.visible.step_idx += 1;
        }
        let terminated = self.visible.left == 0;
        Ok(Transition::new(self.visible.observation(), f32::from(u8::from(terminated)), terminated))
    }

    fn outcome(&self) -> Outcome {
        let is_success = self.visible.left == 0;
        Outcome { is_success, score: f32::from(u8::from(is_success)) }
    }
}

/// Refuses tasks of other environments.
pub(crate) fn check_environment(task: &Task) -> Result<(), EnvironmentError> {
    if *task.environment == *ENVIRONMENT {
        return Ok(());
    }
    Err(EnvironmentError::WrongTask {
        task: task.id.to_string(),
        found: task.environment.to_string(),
        expected: ENVIRONMENT.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::chain::Subgoal;
    use super::super::rules::IMPOSSIBLE;
    use super::*;

    fn world(skills: &[usize]) -> SkillChain {
        let subgoals: Vec<Subgoal> = skills.iter().map(|&skill| Subgoal { skill, cue: 1 }).collect();
        SkillChain::of(Chain::of(&subgoals), Chance::new(0, 0))
    }

    fn play(world: &mut SkillChain, completions: &[&str]) -> Vec<Observation> {
        completions.iter().map(|completion| world.step(completion).unwrap().observation).collect()
    }

    #[test]
    fn confusion_follows_small_failures_and_is_reset_by_a_large_attempt_or_a_success() {
        let mut world = world(&[1, 1]);
        let mut check = |completion: &str, expected: f64| {
            world.step(completion).unwrap();
            world.is_lost = false;
            let chance = world.success_chance(ModelIndex::SMALL);
            assert!((chance - expected).abs() < 1e-12, "{completion}: {chance}, expected {expected}");
        };
        check("small fails", 0.9 * 0.6);
        check("small fails", 0.9 * 0.36);
        check("small fails", 0.9 * 0.36);
        check("large fails", 0.9);
        check("small fails", 0.9 * 0.6);
        check("small solves", 0.9);
    }

    #[test]
    fn what_is_seen_does_not_depend_on_the_hidden_skill() {
        let script = ["small fails", "large fails", "small solves", "large fails", "large solves"];
        assert_eq!(play(&mut world(&[0, 2]), &script), play(&mut world(&[5, IMPOSSIBLE]), &script));
    }

    #[test]
    fn the_chain_terminates_with_its_last_subgoal() {
        let mut world = world(&[0, 2]);
        assert!(!world.step("large solves").unwrap().terminated);
        let last = world.step("small solves").unwrap();
        assert_eq!((last.terminated, last.reward, world.outcome().is_success), (true, 1.0, true));
    }

    #[test]
    fn a_task_of_another_environment_is_refused() {
        let mut task =
            super::super::generate_tasks(0, super::super::TaskCounts { train: 1, validation: 0, test: 0 })[0].clone();
        task.environment = "household".into();
        let message = world(&[0]).reset(&task, 0).unwrap_err().to_string();
        assert!(
            message.contains("found `household`") || message.contains("`household`, expected `skill-chain`"),
            "{message}"
        );
    }
}
