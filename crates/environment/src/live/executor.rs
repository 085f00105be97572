//! The executor that plays one episode at a time with live models.

use std::cell::RefCell;
use std::sync::Arc;

use tollgate_rollout::{CallQuote, Completion, Executor, ExecutorError, Situation, derive_seed};
use tollgate_routing::{CostSource, ModelIndex, Task, TokenUsage};
use tollgate_upstream::{Answer, AnswerCost, Call, CallKey};
use tollgate_wire::{Arguments, ChatResponse, Message, Role};

use super::learned::Observed;
use super::models::{LiveModels, Ready};
use super::parse::{Parsed, parse};
use super::prompt::{Prompt, Scene, count_tokens};
use crate::TextWorld;

/// Tokens of a typical answer, before a model has given one: a short sentence and a command.
const TYPICAL_OUTPUT_TOKENS: u32 = 40;

/// Live models in one episode at a time.
#[derive(Debug)]
pub struct LiveExecutor {
    models: Arc<LiveModels>,
    episode: String,
    seed: u64,
    answers: Vec<Parsed>,
    seen: Vec<Option<SeenPrompt>>,
    /// What was quoted last, by model: the call is made with the prompt and the bound that the budget was kept by.
    quoted: RefCell<Vec<Option<Quoted>>>,
}

/// The prompt that a model answered last in this episode.
#[derive(Debug, Clone, Copy)]
struct SeenPrompt {
    n_messages: usize,
    prompt_tokens: u32,
}

#[derive(Debug, Clone)]
struct Quoted {
    step_idx: usize,
    prompt: Prompt,
    quote: CallQuote,
    shareable_tokens: u32,
}

impl LiveExecutor {
    /// The models of a run, ready for an episode.
    #[must_use]
    pub fn new(models: Arc<LiveModels>) -> Self {
        let n_models = models.len();
        Self {
            models,
            episode: String::new(),
            seed: 0,
            answers: Vec::new(),
            seen: vec![None; n_models],
            quoted: RefCell::new(vec![None; n_models]),
        }
    }

    fn make_quote<W: TextWorld>(&self, world: &W, model: ModelIndex, situation: &Situation<'_>) -> Quoted {
        let ready = self.models.model(model);
        let (settings, learned) = (&ready.settings, ready.learned());
        let scene = Scene { manual: world.manual(), admissible: world.admissible(), situation, answers: &self.answers };
        let prompt = Prompt::of(&scene, settings.has_tools);
        let seen = self.seen[model.get()];
        let overhead = settings.prompt_overhead_tokens;
        let mut bound = prompt.token_bound(0) + overhead;
        if let Some(seen) = seen {
            bound = bound.min(seen.prompt_tokens + prompt.token_bound(seen.n_messages));
        }
        if let Some(smallest) = learned.smallest_prompt() {
            bound = bound.min(smallest + prompt.token_bound(1));
        }
        let prompt_tokens = learned.prompt_tokens(prompt.estimated_tokens).clamp(1, bound);
        let system = || prompt.request.messages.first().map_or(0, |message| count_tokens(&message.words()));
        let shareable_tokens = seen.map_or_else(system, |seen| seen.prompt_tokens).min(prompt_tokens);
        let quote = CallQuote {
            prompt_tokens,
            prompt_slack_tokens: bound - prompt_tokens,
            cached_tokens: learned.cached_tokens(shareable_tokens).min(prompt_tokens),
            expected_output_tokens: learned.output_tokens(TYPICAL_OUTPUT_TOKENS).min(settings.max_output_tokens),
            max_output_tokens: settings.max_output_tokens,
        };
        Quoted { step_idx: situation.turns.len(), prompt, quote, shareable_tokens }
    }

    fn call(&self, ready: &Ready, quoted: &Quoted) -> Result<Answer, ExecutorError> {
        let Quoted { step_idx, prompt, quote, .. } = quoted;
        let settings = &ready.settings;
        let mut request = prompt.request.clone();
        request.temperature = settings.temperature.and_then(serde_json::Number::from_f64);
        // Providers take seeds of 31 bits at the least.
        let seed_of =
            |seed: u64| (derive_seed(derive_seed(seed, self.seed), *step_idx as u64) & 0x7FFF_FFFF).cast_signed();
        request.seed = settings.seed.map(seed_of);
        request.extra.clone_from(&settings.extra);
        let failed = |reason: String| ExecutorError { model: ready.id.clone(), reason };
        let outgoing = ready.client.outgoing(&request, settings.max_output_tokens);
        let body = serde_json::to_vec(&outgoing).map_err(|error| failed(error.to_string()))?;
        let key = CallKey {
            episode: self.episode.clone(),
            step_idx: *step_idx as u32,
            request_digest: blake3::hash(&body).to_hex().to_string(),
        };
        let estimate = |response: &ChatResponse| estimate_usage(response, quote);
        let call = Call {
            request: &request,
            key: &key,
            max_prompt_tokens: quote.prompt_tokens + quote.prompt_slack_tokens,
            max_output_tokens: quote.max_output_tokens,
            estimate: settings.estimates_usage.then_some(&estimate),
        };
        self.models.upstream().complete(&ready.client, &call).map_err(|error| failed(error.to_string()))
    }
}

impl<W: TextWorld> Executor<W> for LiveExecutor {
    fn reset(&mut self, task: &Task, seed: u64) {
        // Policies that are compared on one seed share the answers to what they ask alike.
        self.episode = format!("{}/{seed:016x}", task.id);
        self.seed = seed;
        self.answers.clear();
        self.seen.fill(None);
        self.quoted.borrow_mut().fill(None);
    }

    fn quote(&self, environment: &W, model: ModelIndex, situation: &Situation<'_>) -> CallQuote {
        let quoted = self.make_quote(environment, model, situation);
        let quote = quoted.quote;
        self.quoted.borrow_mut()[model.get()] = Some(quoted);
        quote
    }

    fn complete(
        &mut self,
        environment: &W,
        model: ModelIndex,
        situation: &Situation<'_>,
    ) -> Result<Completion, ExecutorError> {
        let kept = self.quoted.get_mut()[model.get()].take().filter(|kept| kept.step_idx == situation.turns.len());
        let quoted = kept.unwrap_or_else(|| self.make_quote(environment, model, situation));
        let ready = self.models.model(model);
        let answer = self.call(ready, &quoted)?;
        let prompt_tokens = answer.usage.prompt_tokens();
        if answer.cost != AnswerCost::Estimated {
            ready.observe(&Observed {
                estimated_prompt: quoted.prompt.estimated_tokens,
                prompt: prompt_tokens,
                shareable: quoted.shareable_tokens,
                cached: answer.usage.cached_input_tokens,
                output: answer.usage.output_tokens,
            });
            self.seen[model.get()] = Some(SeenPrompt { n_messages: quoted.prompt.n_messages(), prompt_tokens });
        }
        let silence = || Message::text(Role::Assistant, "");
        let message = answer.response.choices.into_iter().next().map_or_else(silence, |choice| choice.message);
        let parsed = parse(&message, environment.admissible());
        let text = parsed.command.clone();
        self.answers.truncate(situation.turns.len());
        self.answers.push(parsed);
        let (cost_source, recorded_cost) = match answer.cost {
            AnswerCost::Metered => (CostSource::Metered, None),
            AnswerCost::Recorded(cost) => (CostSource::Recorded, Some(cost)),
            AnswerCost::Estimated => (CostSource::Estimated, None),
        };
        Ok(Completion { text, usage: answer.usage, latency_ms: answer.latency_ms, cost_source, recorded_cost })
    }
}

/// Usage for a provider that does not count: what was expected of the prompt, and a tokenizer's count of the answer.
fn estimate_usage(response: &ChatResponse, quote: &CallQuote) -> TokenUsage {
    let of_message = |message: &Message| {
        let calls = message.tool_calls.iter().map(|call| match &call.function.arguments {
            Some(Arguments::Text(text)) => count_tokens(text),
            Some(Arguments::Value(value)) => count_tokens(&value.to_string()),
            None => 0,
        });
        count_tokens(&message.words()) + calls.sum::<u32>() + 1
    };
    let output_tokens = response.choices.first().map_or(0, |choice| of_message(&choice.message));
    TokenUsage {
        input_tokens: quote.prompt_tokens,
        output_tokens: output_tokens.min(quote.max_output_tokens),
        ..TokenUsage::default()
    }
}
