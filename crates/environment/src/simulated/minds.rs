//! What the simulated models of a pool keep during an episode, whatever world they act in: aptitude, prompt caches, the clock, and
//! what the history does to whoever reads it.

use tollgate_rollout::{CallQuote, Completion, Situation, derive_seed};
use tollgate_routing::{ModelIndex, TokenUsage};

use super::SimulatedModelProfile;
use super::prompt::{PromptSize, WarmPrefix, tokens_of_bytes};
use crate::chance::Chance;

/// The models of a pool in one episode at a time.
#[derive(Debug, Clone)]
pub(crate) struct Minds<'a> {
    profiles: &'a [SimulatedModelProfile],
    models: Vec<ModelState>,
    seed: u64,
    prompt: PromptSize,
    now_ms: u64,
    pub(crate) history: HistoryState,
}

/// What an episode keeps for each model.
#[derive(Debug, Clone, Copy, Default)]
struct ModelState {
    aptitude: f32,
    prefix: WarmPrefix,
}

/// The chance events of one step.
#[derive(Debug)]
pub(crate) struct StepChance {
    /// Whether the right command is found.
    pub(crate) right: f32,
    /// Whether a wrong belief is seen through.
    insight: f32,
    /// Whether a mistake leaves a wrong belief.
    belief: f32,
    /// What kind of mistake, and which.
    pub(crate) rest: Chance,
}

/// What the history does to whoever reads it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HistoryState {
    /// Visible mistakes in a row: refused or repeated commands.
    pub(crate) streak: u32,
    pub(crate) has_wrong_belief: bool,
    pub(crate) was_last_repeated: bool,
    pub(crate) was_last_right: bool,
}

impl HistoryState {
    /// Weight of saying the last command again: three times as much right after a visible mistake.
    pub(crate) fn repeat_weight(self, profile: &SimulatedModelProfile) -> f32 {
        profile.stubbornness * if self.streak > 0 { 3.0 } else { 1.0 }
    }

    /// Weight of a command that the world refuses: whoever believes to be on the right way makes few of them.
    pub(crate) fn invalid_weight(self, weight: f32) -> f32 {
        if self.has_wrong_belief { weight * 0.3 } else { weight }
    }
}

/// Visible mistakes in a row that count.
const MAX_STREAK: u32 = 3;

/// Streams of a task's seed: hidden aptitude.
const SHARED_APTITUDE_STREAM: u64 = 0xA0;
const OWN_APTITUDE_STREAM: u64 = 0xA1;

/// Stream of an episode's seed from which the streams of the steps derive.
const STEPS_STREAM: u64 = 0x57E9;

/// Stream of an episode's seed from which the failures of calls derive.
const FAILURES_STREAM: u64 = 0xFA11;

/// Tokens of a command such as `take mug 1 from shelf 2`.
pub(crate) const TYPICAL_COMMAND_TOKENS: u32 = 6;

impl<'a> Minds<'a> {
    pub(crate) fn new(profiles: &'a [SimulatedModelProfile]) -> Self {
        Self {
            profiles,
            models: vec![ModelState::default(); profiles.len()],
            seed: 0,
            prompt: PromptSize::default(),
            now_ms: 0,
            history: HistoryState::default(),
        }
    }

    /// Prepares for an episode. Aptitude derives from `task_seed`, every other chance event from `seed`.
    pub(crate) fn reset(&mut self, system_prompt: &str, instruction: &str, task_seed: u64, seed: u64) {
        let shared = Chance::new(task_seed, SHARED_APTITUDE_STREAM).normal();
        for (state, profile) in self.models.iter_mut().zip(self.profiles) {
            // By name and not by position, so that a model is the same in every pool.
            let stream =
                profile.name.bytes().fold(OWN_APTITUDE_STREAM, |hash, byte| derive_seed(hash, u64::from(byte)));
            let own = Chance::new(task_seed, stream).normal();
            let aptitude = (shared + own) * std::f32::consts::FRAC_1_SQRT_2 * profile.aptitude_spread;
            *state = ModelState { aptitude, prefix: WarmPrefix::default() };
        }
        self.seed = derive_seed(seed, STEPS_STREAM);
        self.prompt = PromptSize::begin(system_prompt, instruction);
        self.now_ms = 0;
        self.history = HistoryState::default();
    }

    pub(crate) fn profile(&self, model: ModelIndex) -> &'a SimulatedModelProfile {
        &self.profiles[model.get()]
    }

    /// Begins a step with its chance events, which are the same whichever model acts.
    pub(crate) fn begin_step(&mut self, step_idx: usize) -> StepChance {
        self.history.was_last_repeated = false;
        self.history.was_last_right = false;
        let mut rest = Chance::new(self.seed, step_idx as u64);
        StepChance { right: rest.unit(), insight: rest.unit(), belief: rest.unit(), rest }
    }

    /// Whether the call of a step fails: the model says nothing of use, whatever it would have said. From a stream of its own, so
    /// that a failure changes no other chance event.
    pub(crate) fn fails(&self, model: ModelIndex, step_idx: usize) -> bool {
        let failure_rate = self.profile(model).failure_rate;
        failure_rate > 0.0
            && Chance::new(derive_seed(self.seed, FAILURES_STREAM), step_idx as u64).unit() < failure_rate
    }

    /// Lets a model see through a wrong belief, as its insight allows.
    pub(crate) fn see_through(&mut self, model: ModelIndex, chance: &StepChance) {
        if self.history.has_wrong_belief && chance.insight < self.profile(model).insight {
            self.history.has_wrong_belief = false;
        }
    }

    /// Lets a mistake leave a wrong belief behind; `gravity` says how much it misleads, 0 to 1.
    pub(crate) fn mislead(&mut self, model: ModelIndex, gravity: f32, chance: &StepChance) {
        self.history.has_wrong_belief |= chance.belief < self.profile(model).misbelief * gravity;
    }

    /// Takes in how the last command went.
    pub(crate) fn read_history(&mut self, was_refused: bool, n_turns: usize) {
        if n_turns == 0 {
            return;
        }
        if was_refused || self.history.was_last_repeated {
            self.history.streak = (self.history.streak + 1).min(MAX_STREAK);
        } else if self.history.was_last_right {
            self.history.streak = 0;
        }
    }

    /// The chance that a model takes the expert's command now, from its chance with a clear head and average aptitude.
    pub(crate) fn chance_of_right(&self, model: ModelIndex, base: f32, is_routine: bool) -> f32 {
        let profile = self.profile(model);
        let aptitude = if is_routine { 0.0 } else { self.models[model.get()].aptitude };
        let odds = base / (1.0 - base) * (aptitude - profile.confusion * self.history.streak as f32).exp();
        let clear = odds / (1.0 + odds);
        if self.history.has_wrong_belief { clear * profile.sway } else { clear }
    }

    pub(crate) fn quote(&self, model: ModelIndex, situation: &Situation<'_>) -> CallQuote {
        let profile = self.profile(model);
        let prompt_tokens = self.prompt.tokens(situation);
        CallQuote {
            prompt_tokens,
            prompt_slack_tokens: 0,
            cached_tokens: self.models[model.get()].prefix.cached_tokens(prompt_tokens, self.now_ms),
            expected_output_tokens: (profile.verbosity_tokens as u32 + TYPICAL_COMMAND_TOKENS)
                .min(profile.max_output_tokens),
            max_output_tokens: profile.max_output_tokens,
        }
    }

    /// Bills a call that was quoted, and lets time pass.
    pub(crate) fn answer(
        &mut self,
        model: ModelIndex,
        quote: CallQuote,
        situation: &Situation<'_>,
        text: String,
    ) -> Completion {
        let usage = self.usage_of(model, quote, &text, situation.turns.len());
        let profile = self.profile(model);
        let latency_ms = (profile.latency_ms + profile.token_latency_ms * usage.output_tokens as f32) as u32;
        self.now_ms += u64::from(latency_ms);
        self.models[model.get()].prefix.warm(quote.prompt_tokens, self.now_ms);
        self.prompt.add_turn(&situation.observation.text, &text);
        Completion::simulated(text, usage, latency_ms)
    }

    fn usage_of(&self, model: ModelIndex, quote: CallQuote, command: &str, step_idx: usize) -> TokenUsage {
        let profile = self.profile(model);
        // A stream of its own, so that the length of an answer does not depend on how it was found.
        let mut chance = Chance::new(self.seed, (1 << 32) + step_idx as u64);
        let lacking = (-self.models[model.get()].aptitude - 1.0).max(0.0);
        let rambling = 1.0 + profile.rambling * self.history.streak as f32 + profile.effort * lacking * lacking;
        let reasons = profile.verbosity_tokens * rambling * (0.5 + chance.unit());
        let output_tokens = (tokens_of_bytes(command.len()) + reasons as u32).min(profile.max_output_tokens);
        TokenUsage {
            input_tokens: quote.prompt_tokens - quote.cached_tokens,
            cached_input_tokens: quote.cached_tokens,
            cache_write_tokens: 0,
            output_tokens,
        }
    }
}
