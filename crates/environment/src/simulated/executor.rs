//! The executor that plays the simulated models of a pool.

use tollgate_rollout::{CallQuote, Completion, Executor, ExecutorError, Situation, derive_seed};
use tollgate_routing::{ModelIndex, Task, TokenUsage};

use super::mistake::{Mistake, draw_mistake, write_mistake};
use super::profile::MIN_OUTPUT_TOKENS;
use super::prompt::{PromptSize, WarmPrefix, tokens_of_bytes};
use super::{SimulatedModelProfile, Skill};
use crate::chance::Chance;
use crate::household::{Advice, Effect, HouseholdEnvironment, Subgoal, TaskFamily};

/// The simulated models of a pool, in one episode at a time.
#[derive(Debug, Clone)]
pub struct SimulatedExecutor<'a> {
    profiles: &'a [SimulatedModelProfile],
    models: Vec<ModelState>,
    seed: u64,
    prompt: PromptSize,
    now_ms: u64,
    history: HistoryState,
}

/// What an episode keeps for each model.
#[derive(Debug, Clone, Copy, Default)]
struct ModelState {
    aptitude: f32,
    prefix: WarmPrefix,
}

/// What the history does to whoever reads it.
#[derive(Debug, Clone, Copy, Default)]
struct HistoryState {
    /// Visible mistakes in a row: refused or repeated commands.
    streak: u32,
    has_wrong_belief: bool,
    was_last_repeated: bool,
    was_last_right: bool,
}

/// Visible mistakes in a row that count.
const MAX_STREAK: u32 = 3;

/// Streams of a task's seed: hidden aptitude.
const SHARED_APTITUDE_STREAM: u64 = 0xA0;
const OWN_APTITUDE_STREAM: u64 = 0xA1;

/// Stream of an episode's seed from which the streams of the steps derive.
const STEPS_STREAM: u64 = 0x57E9;

impl<'a> SimulatedExecutor<'a> {
    /// The models that behave as `profiles`, in the pool's order.
    #[must_use]
    pub fn new(profiles: &'a [SimulatedModelProfile]) -> Self {
        Self {
            profiles,
            models: vec![ModelState::default(); profiles.len()],
            seed: 0,
            prompt: PromptSize::default(),
            now_ms: 0,
            history: HistoryState::default(),
        }
    }

    /// Takes in how the last command went.
    fn read_history(&mut self, world: &HouseholdEnvironment, n_turns: usize) {
        if n_turns == 0 {
            return;
        }
        if world.last_effect() == Effect::Refused || self.history.was_last_repeated {
            self.history.streak = (self.history.streak + 1).min(MAX_STREAK);
        } else if self.history.was_last_right {
            self.history.streak = 0;
        }
    }

    /// The chance that a model takes the expert's command now.
    fn chance_of_right(&self, model: ModelIndex, skill: Skill) -> f32 {
        let profile = &self.profiles[model.get()];
        let base = profile.skill(skill);
        let aptitude = if skill == Skill::Routine { 0.0 } else { self.models[model.get()].aptitude };
        let odds = base / (1.0 - base) * (aptitude - profile.confusion * self.history.streak as f32).exp();
        let clear = odds / (1.0 + odds);
        if self.history.has_wrong_belief { clear * profile.sway } else { clear }
    }

    /// Decides what a model does, writes the command, and keeps what it does to the history.
    fn act(&mut self, world: &HouseholdEnvironment, model: ModelIndex, situation: &Situation<'_>, text: &mut String) {
        let profile = &self.profiles[model.get()];
        let mut chance = Chance::new(self.seed, situation.turns.len() as u64);
        let (right_draw, insight_draw, belief_draw) = (chance.unit(), chance.unit(), chance.unit());
        let last = situation.turns.last().map(|turn| turn.completion.as_str());
        let advice = world.advice();
        let skill = skill_of(world, &advice);
        self.history.was_last_repeated = false;
        self.history.was_last_right = false;

        if advice.subgoal == Subgoal::Lost {
            let gives_up = right_draw < profile.resignation;
            let mistake = if gives_up { Mistake::Finish } else { draw_lost(&mut chance) };
            write_mistake(mistake, world, advice.command, last, &mut chance, text);
            self.history.was_last_repeated = last == Some(text);
            return;
        }
        if self.history.has_wrong_belief && insight_draw < profile.insight {
            self.history.has_wrong_belief = false;
        }
        if right_draw < self.chance_of_right(model, skill) {
            advice.command.write(world.scene(), text);
            self.history.was_last_right = true;
            return;
        }
        let mistake = draw_mistake(profile, skill, self.history.streak, self.history.has_wrong_belief, &mut chance);
        write_mistake(mistake, world, advice.command, last, &mut chance, text);
        self.history.was_last_repeated = last == Some(text);
        // Looking round a bit more while searching teaches nothing wrong, most of the time.
        let gravity = match (mistake, skill) {
            (Mistake::Invalid | Mistake::Repeat, _) => 0.0,
            (Mistake::Wander, Skill::Routine) => 0.5,
            _ => 1.0,
        };
        self.history.has_wrong_belief |= belief_draw < profile.misbelief * gravity;
    }

    fn usage_of(
        &self,
        model: ModelIndex,
        prompt_tokens: u32,
        cached_input_tokens: u32,
        command: &str,
        step_idx: usize,
    ) -> TokenUsage {
        let profile = &self.profiles[model.get()];
        // A stream of its own, so that the length of an answer does not depend on how it was found.
        let mut chance = Chance::new(self.seed, (1 << 32) + step_idx as u64);
        let lacking = (-self.models[model.get()].aptitude - 1.0).max(0.0);
        let rambling = 1.0 + profile.rambling * self.history.streak as f32 + profile.effort * lacking * lacking;
        let reasons = profile.verbosity_tokens * rambling * (0.5 + chance.unit());
        let output_tokens = (tokens_of_bytes(command.len()) + reasons as u32).min(profile.max_output_tokens);
        TokenUsage {
            input_tokens: prompt_tokens - cached_input_tokens,
            cached_input_tokens,
            cache_write_tokens: 0,
            output_tokens,
        }
    }
}

impl Executor<HouseholdEnvironment> for SimulatedExecutor<'_> {
    fn reset(&mut self, task: &Task, seed: u64) {
        let shared = Chance::new(task.seed, SHARED_APTITUDE_STREAM).normal();
        for (state, profile) in self.models.iter_mut().zip(self.profiles) {
            // By name and not by position, so that a model is the same in every pool.
            let stream =
                profile.name.bytes().fold(OWN_APTITUDE_STREAM, |hash, byte| derive_seed(hash, u64::from(byte)));
            let own = Chance::new(task.seed, stream).normal();
            let aptitude = (shared + own) * std::f32::consts::FRAC_1_SQRT_2 * profile.aptitude_spread;
            *state = ModelState { aptitude, prefix: WarmPrefix::default() };
        }
        self.seed = derive_seed(seed, STEPS_STREAM);
        self.prompt = PromptSize::begin(&task.instruction);
        self.now_ms = 0;
        self.history = HistoryState::default();
    }

    fn quote(&self, model: ModelIndex, situation: &Situation<'_>) -> CallQuote {
        let profile = &self.profiles[model.get()];
        let prompt_tokens = self.prompt.tokens(situation);
        CallQuote {
            prompt_tokens,
            cached_tokens: self.models[model.get()].prefix.cached_tokens(prompt_tokens, self.now_ms),
            expected_output_tokens: (profile.verbosity_tokens as u32 + TYPICAL_COMMAND_TOKENS)
                .min(profile.max_output_tokens),
            max_output_tokens: profile.max_output_tokens,
        }
    }

    fn complete(
        &mut self,
        environment: &HouseholdEnvironment,
        model: ModelIndex,
        situation: &Situation<'_>,
    ) -> Result<Completion, ExecutorError> {
        let n_turns = situation.turns.len();
        self.read_history(environment, n_turns);
        let quote = self.quote(model, situation);
        let mut text = String::with_capacity(64);
        self.act(environment, model, situation, &mut text);

        let usage = self.usage_of(model, quote.prompt_tokens, quote.cached_tokens, &text, n_turns);
        let profile = &self.profiles[model.get()];
        let latency_ms = (profile.latency_ms + profile.token_latency_ms * usage.output_tokens as f32) as u32;
        self.now_ms += u64::from(latency_ms);
        self.models[model.get()].prefix.warm(quote.prompt_tokens, self.now_ms);
        self.prompt.add_turn(&situation.observation.text, &text);
        Ok(Completion { text, usage, latency_ms })
    }
}

/// Tokens of a command such as `take mug 1 from shelf 2`.
const TYPICAL_COMMAND_TOKENS: u32 = 6;

const _: () = assert!(TYPICAL_COMMAND_TOKENS < MIN_OUTPUT_TOKENS);

/// With nothing left to gain a model walks about, or asks for what it cannot have.
fn draw_lost(chance: &mut Chance) -> Mistake {
    if chance.unit() < 0.7 { Mistake::Wander } else { Mistake::Invalid }
}

/// The skill that a step asks for.
fn skill_of(world: &HouseholdEnvironment, advice: &Advice) -> Skill {
    let family = world.goal().family;
    match advice.subgoal {
        Subgoal::Search | Subgoal::Deliver | Subgoal::Lost => Skill::Routine,
        Subgoal::Take if world.goal().object.has_lookalikes() => Skill::Discriminate,
        Subgoal::Take => Skill::Grasp,
        Subgoal::Carry if matches!(family, TaskFamily::Heat | TaskFamily::Cool) => Skill::PlanTemperature,
        Subgoal::Carry => Skill::Plan,
        Subgoal::Transform => match family {
            TaskFamily::Heat | TaskFamily::Cool => Skill::Temperature,
            TaskFamily::ExamineInLight => Skill::Light,
            _ => Skill::Clean,
        },
        Subgoal::Place => Skill::Place,
        Subgoal::Continue => Skill::Continue,
        Subgoal::Recover => Skill::Recover,
    }
}
