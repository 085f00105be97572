//! What the router may see, as numbers.
//!
//! The extractor follows an episode turn by turn, so a decision costs the text that is new and nothing else. It reads
//! the instruction and the horizon, observations, completions, who acted, usage and the budget; never a reward, which a [`Turn`] has
//! none of, and nothing else of the task.

use tollgate_rollout::{RoutingContext, reports_failure};
use tollgate_routing::{ModelIndex, ModelPool, NanoUsd, Prices, Task, Turn};

use crate::FeatureConfig;
use crate::feature_config::{N_BUDGET, N_PER_MODEL, N_PROGRESS};
use crate::text::{KeyWords, add_hashed_words, first_word_bucket, hash_text};

/// Words of completions lose a fifth of their weight with every later turn.
const HISTORY_DECAY: f32 = 0.8;

/// Guess for a model that has not answered yet. Tokens.
const TYPICAL_OUTPUT_TOKENS: f32 = 60.0;

/// Follows one episode and writes the features of each step.
#[derive(Debug, Clone)]
pub struct RouterFeatures {
    config: FeatureConfig,
    instruction: Vec<f32>,
    key_words: KeyWords,
    /// Key words of the instruction that completions have mentioned.
    mentioned: u64,
    /// Those that the last completion mentions.
    in_hand: u64,
    history: Vec<f32>,
    /// How many completions of each verb were not followed by a failure.
    verbs: Vec<f32>,
    last_verb: Option<usize>,
    seen_observations: Vec<u64>,
    models: Vec<ModelHistory>,
    n_turns: usize,
    last_completion: u64,
    n_repeated_commands: u32,
    n_failures: u32,
    failure_streak: u32,
    steps_since_failure: u32,
    run_length: u32,
    spent: NanoUsd,
}

/// What is known of one model within the episode.
#[derive(Debug, Clone, Copy, Default)]
struct ModelHistory {
    n_calls: u32,
    n_failures: u32,
    /// Failed calls since the model's last call that was not followed by a failure.
    failure_streak: u32,
    output_tokens: u32,
    /// Tokens of the last prompt, which the model's cache now holds.
    warm_tokens: u32,
}

impl RouterFeatures {
    /// An extractor for features of this size.
    #[must_use]
    pub fn new(config: FeatureConfig) -> Self {
        Self {
            config,
            instruction: vec![0.0; config.instruction_buckets],
            key_words: KeyWords::default(),
            mentioned: 0,
            in_hand: 0,
            history: vec![0.0; config.history_buckets],
            verbs: vec![0.0; config.verb_buckets],
            last_verb: None,
            seen_observations: Vec::with_capacity(64),
            models: vec![ModelHistory::default(); config.n_models],
            n_turns: 0,
            last_completion: 0,
            n_repeated_commands: 0,
            n_failures: 0,
            failure_streak: 0,
            steps_since_failure: 0,
            run_length: 0,
            spent: NanoUsd::ZERO,
        }
    }

    /// The size of the features.
    #[must_use]
    pub const fn config(&self) -> &FeatureConfig {
        &self.config
    }

    /// Forgets the last episode and reads the instruction of the next.
    pub fn begin(&mut self, task: &Task) {
        self.instruction.fill(0.0);
        add_hashed_words(&task.instruction, TEXT_SCALE, &mut self.instruction);
        self.key_words.read(&task.instruction);
        self.mentioned = 0;
        self.in_hand = 0;
        self.history.fill(0.0);
        self.verbs.fill(0.0);
        self.last_verb = None;
        self.seen_observations.clear();
        self.models.fill(ModelHistory::default());
        self.n_turns = 0;
        self.last_completion = 0;
        self.n_repeated_commands = 0;
        self.n_failures = 0;
        self.failure_streak = 0;
        self.steps_since_failure = 0;
        self.run_length = 0;
        self.spent = NanoUsd::ZERO;
    }

    /// Writes the features of the step that `context` asks about into `out`, replacing what was there. The observation has
    /// to carry as many signals as the configuration says.
    ///
    /// # Shapes
    /// `out`: `[n_features]`.
    pub fn extract(&mut self, context: &RoutingContext<'_>, out: &mut Vec<f32>) {
        while self.n_turns < context.turns.len() {
            let next_text =
                context.turns.get(self.n_turns + 1).map_or(&context.observation.text, |turn| &turn.observation.text);
            self.follow(&context.turns[..=self.n_turns], next_text);
        }
        out.clear();
        self.write_progress(context, out);
        self.write_models(context, out);
        self.write_budget(context, out);
        out.extend_from_slice(&context.observation.signals);
        self.write_text(context, out);
        self.write_verbs(out);
    }

    /// Takes in the last of `turns`, which led to the observation `next_text`.
    fn follow(&mut self, turns: &[Turn], next_text: &str) {
        let turn = &turns[turns.len() - 1];
        self.n_turns += 1;
        self.spent += turn.cost;
        if !self.config.hidden.cache {
            self.models[turn.action.get()].warm_tokens = turn.usage.prompt_tokens();
        }
        if !self.config.hidden.history {
            self.remember(turns, next_text);
        }
    }

    /// Takes in what the last of `turns` says of the way so far.
    fn remember(&mut self, turns: &[Turn], next_text: &str) {
        let turn = &turns[turns.len() - 1];
        let has_failed = reports_failure(next_text);
        let completion = hash_text(&turn.completion);
        let has_repeated = completion == self.last_completion;

        self.run_length = match turns.len().checked_sub(2).map(|before| turns[before].action) {
            Some(action) if action == turn.action => self.run_length + 1,
            _ => 1,
        };
        let model = &mut self.models[turn.action.get()];
        model.n_calls += 1;
        model.n_failures += u32::from(has_failed);
        model.failure_streak = if has_failed { model.failure_streak + 1 } else { 0 };
        model.output_tokens += turn.usage.output_tokens;

        self.in_hand = self.key_words.mentions(&turn.completion).found;
        self.mentioned |= self.in_hand;
        self.n_repeated_commands += u32::from(has_repeated);
        self.n_failures += u32::from(has_failed);
        self.failure_streak = if has_failed { self.failure_streak + 1 } else { 0 };
        self.steps_since_failure = if has_failed { 0 } else { self.steps_since_failure + 1 };
        self.last_completion = completion;
        self.seen_observations.push(hash_text(&turn.observation.text));
        for value in &mut self.history {
            *value *= HISTORY_DECAY;
        }
        add_hashed_words(&turn.completion, TEXT_SCALE, &mut self.history);
        self.last_verb = first_word_bucket(&turn.completion, self.verbs.len());
        if let Some(verb) = self.last_verb.filter(|_| !has_failed) {
            self.verbs[verb] += 1.0;
        }
    }

    fn write_progress(&self, context: &RoutingContext<'_>, out: &mut Vec<f32>) {
        let n_turns = self.n_turns as f32;
        let horizon = context.task.horizon.max(1) as f32;
        let seen = hash_text(&context.observation.text);
        let n_seen = self.seen_observations.iter().filter(|&&earlier| earlier == seen).count() as f32;
        let is_repeated = self.seen_observations.last() == Some(&seen);
        let in_sight = self.key_words.mentions(&context.observation.text);
        let before = out.len();
        out.extend_from_slice(&[
            n_turns / horizon,
            (horizon - n_turns) / 30.0,
            indicator(self.n_turns == 0),
            (n_seen / 3.0).min(1.0),
            indicator(is_repeated),
            share(self.n_repeated_commands as f32, n_turns),
            indicator(self.failure_streak > 0),
            (self.failure_streak as f32 / 4.0).min(1.0),
            share(self.n_failures as f32, n_turns),
            (self.n_failures as f32 / 8.0).min(1.0),
            if self.n_failures == 0 { 1.0 } else { (self.steps_since_failure as f32 / 6.0).min(1.0) },
            (self.run_length as f32 / 8.0).min(1.0),
            (context.observation.text.len() as f32 / 1_000.0).min(2.0),
            self.key_words.share(in_sight.found),
            (in_sight.n_occurrences as f32 / 6.0).min(2.0),
            self.key_words.share(self.in_hand),
            self.key_words.share(self.mentioned),
        ]);
        debug_assert_eq!(out.len() - before, N_PROGRESS);
    }

    fn write_models(&self, context: &RoutingContext<'_>, out: &mut Vec<f32>) {
        let before = out.len();
        let last = self.last_turn(context).map(|turn| turn.action.get());
        let cost_per_step = self.config.cost_scale_nano_usd.max(1) as f32 / 30.0;
        for (index, model) in self.models.iter().enumerate() {
            let estimate = self.estimate_cost(context, index);
            out.extend_from_slice(&[
                indicator(last == Some(index)),
                model.n_calls as f32 / context.task.horizon.max(1) as f32,
                (model.failure_streak as f32 / 3.0).min(1.0),
                (model.n_failures as f32 / 6.0).min(1.0),
                (estimate / cost_per_step).min(4.0),
                indicator(model.warm_tokens > 0),
                indicator(context.allowed.allows(ModelIndex::new(index))),
            ]);
        }
        debug_assert_eq!(out.len() - before, N_PER_MODEL * self.config.n_models);
    }

    fn write_budget(&self, context: &RoutingContext<'_>, out: &mut Vec<f32>) {
        let before = out.len();
        let n_steps_left = context.task.horizon.saturating_sub(self.n_turns as u32).max(1);
        let steps_left = n_steps_left as f32;
        let scale = self.config.cost_scale_nano_usd.max(1) as f32;
        let lambda = context.budget.lambda;
        out.extend_from_slice(&[
            indicator(lambda > 0.0),
            lambda.min(2.0),
            // Free cost is the end of the scale, not a place in its middle.
            if lambda > 0.0 { ((lambda / 0.05).ln() / 3.2).clamp(-1.0, 1.5) } else { -1.0 },
            (self.spent.get() as f32 / scale).min(2.0),
        ]);
        // A cap that the steps left cannot reach decides nothing, so it is shown as none.
        match context.budget.large_calls.filter(|calls| calls.remaining < n_steps_left) {
            Some(calls) => {
                let remaining = calls.remaining as f32;
                out.extend_from_slice(&[
                    1.0,
                    (remaining / 15.0).min(2.0),
                    remaining / steps_left,
                    (remaining / 3.0).min(1.0),
                ]);
            }
            None => out.extend_from_slice(&[0.0, 0.0, 1.0, 1.0]),
        }
        match context.budget.usd {
            Some(usd) => {
                let remaining = usd.remaining.get() as f32;
                let large_steps = remaining / self.estimate_cost(context, self.config.n_models - 1).max(1.0);
                let small_steps = remaining / self.estimate_cost(context, 0).max(1.0);
                out.extend_from_slice(&[
                    1.0,
                    (remaining / scale).min(2.0),
                    (large_steps / steps_left).min(1.5),
                    (small_steps / steps_left).min(1.5),
                    (large_steps / 3.0).min(1.0),
                ]);
            }
            None => out.extend_from_slice(&[0.0, 0.0, 1.5, 1.5, 1.0]),
        }
        debug_assert_eq!(out.len() - before, N_BUDGET);
    }

    fn write_text(&self, context: &RoutingContext<'_>, out: &mut Vec<f32>) {
        out.extend_from_slice(&self.instruction);
        let start = out.len();
        out.resize(start + self.config.observation_buckets + self.config.completion_buckets, 0.0);
        let (observation, completion) = out[start..].split_at_mut(self.config.observation_buckets);
        add_hashed_words(&context.observation.text, TEXT_SCALE, observation);
        if let Some(turn) = self.last_turn(context) {
            add_hashed_words(&turn.completion, TEXT_SCALE, completion);
        }
        out.extend_from_slice(&self.history);
    }

    /// The step before, unless the history is hidden.
    fn last_turn<'a>(&self, context: &RoutingContext<'a>) -> Option<&'a Turn> {
        context.turns.last().filter(|_| !self.config.hidden.history)
    }

    fn write_verbs(&self, out: &mut Vec<f32>) {
        out.extend((0..self.verbs.len()).map(|verb| indicator(self.last_verb == Some(verb))));
        out.extend(self.verbs.iter().map(|n_calls| (n_calls / 4.0).min(1.0)));
    }

    /// What a call of the model at `index` would probably cost, from the tokens of earlier turns. Nano-dollars.
    fn estimate_cost(&self, context: &RoutingContext<'_>, index: usize) -> f32 {
        let prices = prices_of(context.pool, index);
        let model = &self.models[index];
        let new_tokens = context.observation.text.len() as f32 / 4.0;
        let prompt_tokens = match context.turns.last() {
            Some(turn) => turn.usage.prompt_tokens() as f32 + turn.completion.len() as f32 / 4.0 + new_tokens,
            None => context.task.instruction.len() as f32 / 4.0 + new_tokens,
        };
        let warm_tokens = (model.warm_tokens as f32).min(prompt_tokens);
        let output_tokens =
            if model.n_calls == 0 { TYPICAL_OUTPUT_TOKENS } else { model.output_tokens as f32 / model.n_calls as f32 };
        (prompt_tokens - warm_tokens) * prices.input.as_nano_usd() as f32
            + warm_tokens * prices.cached_input.as_nano_usd() as f32
            + output_tokens * prices.output.as_nano_usd() as f32
    }
}

/// Weight of one word: a dozen words then have about the norm of the other features.
const TEXT_SCALE: f32 = 0.5;

fn prices_of(pool: &ModelPool, index: usize) -> &Prices {
    &pool.model(ModelIndex::new(index)).prices
}

fn indicator(condition: bool) -> f32 {
    f32::from(u8::from(condition))
}

fn share(part: f32, whole: f32) -> f32 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
