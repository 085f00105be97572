//! The executor that plays simulated models in any text world with an expert.

use tollgate_rollout::{CallQuote, Completion, Executor, ExecutorError, Situation, derive_seed, reports_failure};
use tollgate_routing::{ModelIndex, Task};

use super::mistake::{Mistake, draw_mistake, write_mistake};
use super::skill::TextSkill;
use crate::TextWorld;
use crate::simulated::{Minds, SimulatedModelProfile};

/// What every prompt begins with.
const SYSTEM_PROMPT: &str = include_str!("system_prompt.txt");

/// The simulated models of a pool, in one episode at a time.
#[derive(Debug, Clone)]
pub struct SimulatedTextExecutor<'a> {
    minds: Minds<'a>,
    n_chance_streams: u64,
    /// Whether the last command was valid and wrong, so that it may have to be made good.
    is_off_path: bool,
}

impl<'a> SimulatedTextExecutor<'a> {
    /// The models that behave as `profiles`, in the pool's order.
    ///
    /// The chance events of an episode come from one of `n_chance_streams` streams of its task, picked by the episode's seed; with
    /// 0, each seed has a stream of its own. Where the world behind is slow, few streams let it remember what happened.
    #[must_use]
    pub fn new(profiles: &'a [SimulatedModelProfile], n_chance_streams: u64) -> Self {
        Self { minds: Minds::new(profiles), n_chance_streams, is_off_path: false }
    }

    fn act(&mut self, world: &impl TextWorld, model: ModelIndex, situation: &Situation<'_>) -> String {
        let profile = self.minds.profile(model);
        let mut chance = self.minds.begin_step(situation.turns.len());
        if self.minds.fails(model, situation.turns.len()) {
            return String::new();
        }
        // An answer of no use is nothing to say again.
        let last = situation.turns.last().map(|turn| turn.completion.as_str()).filter(|last| !last.is_empty());

        let Some(right) = world.expert() else {
            // With nothing left to gain a model asks for what it cannot have, looks round, or walks about.
            let command = match chance.rest.weighted(&[0.6, 0.25, 0.15]) {
                0 => write_mistake(Mistake::Invalid, world, None, last, &mut chance.rest),
                1 => "look around".to_owned(),
                _ => write_mistake(Mistake::Wander, world, None, last, &mut chance.rest),
            };
            self.minds.history.was_last_repeated = last == Some(&command);
            return command;
        };
        let skill = if self.is_off_path { TextSkill::Recover } else { TextSkill::of_command(right) };
        self.minds.see_through(model, &chance);
        let is_routine = matches!(skill, TextSkill::Navigate | TextSkill::Observe);
        if chance.right < self.minds.chance_of_right(model, profile.text_skill(skill), is_routine) {
            self.minds.history.was_last_right = true;
            self.is_off_path = false;
            return right.to_owned();
        }
        let mistake = draw_mistake(profile, skill, self.minds.history, &mut chance.rest);
        let command = write_mistake(mistake, world, Some(right), last, &mut chance.rest);
        self.minds.history.was_last_repeated = last == Some(&command);
        // Looking round a bit more teaches nothing wrong, most of the time.
        let gravity = match mistake {
            Mistake::Invalid | Mistake::Repeat => 0.0,
            Mistake::Wander => 0.3,
            _ => 1.0,
        };
        self.minds.mislead(model, gravity, &chance);
        self.is_off_path |= matches!(mistake, Mistake::Wander | Mistake::Misact | Mistake::Ruin);
        command
    }
}

impl<E: TextWorld> Executor<E> for SimulatedTextExecutor<'_> {
    fn reset(&mut self, task: &Task, seed: u64) {
        // Of the task's name: its seed may be no more than a number among its kind.
        let task_seed = task.id.as_str().bytes().fold(0, |hash, byte| derive_seed(hash, u64::from(byte)));
        let seed = match self.n_chance_streams {
            0 => seed,
            n_streams => derive_seed(task_seed, seed % n_streams),
        };
        self.minds.reset(SYSTEM_PROMPT, &task.instruction, task_seed, seed);
        self.is_off_path = false;
    }

    fn quote(&self, _environment: &E, model: ModelIndex, situation: &Situation<'_>) -> CallQuote {
        self.minds.quote(model, situation)
    }

    fn complete(
        &mut self,
        environment: &E,
        model: ModelIndex,
        situation: &Situation<'_>,
    ) -> Result<Completion, ExecutorError> {
        self.minds.read_history(reports_failure(&situation.observation.text), situation.turns.len());
        let quote = self.minds.quote(model, situation);
        let text = self.act(environment, model, situation);
        Ok(self.minds.answer(model, quote, situation, text))
    }
}
