//! Live models in the household, against a scripted server: what they are asked, what they are quoted, what they cost.
#![expect(clippy::unwrap_used, reason = "what is missing fails its test")]

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tollgate_environment::TextWorld;
use tollgate_environment::household::{HouseholdEnvironment, SplitCounts, generate_tasks};
use tollgate_environment::live::{LiveArena, LiveModel, LiveModels};
use tollgate_rollout::{
    Arena, CallQuote, Decision, Environment, PolicyError, RolloutError, RolloutRequest, RoutingContext, RoutingPolicy,
    Verdict,
};
use tollgate_routing::{
    Budget, CostSource, Episode, EpisodeId, Model, ModelIndex, ModelPool, NanoUsd, Prices, Task, TokenUsage, Turn,
};
use tollgate_scripted_server::{Asked, Reply, ScriptedServer};
use tollgate_upstream::{Account, BlockingUpstream, ClientConfig, Endpoint, MaxTokensField, StopSignal};
use tollgate_wire::{Extra, Role};

fn pool() -> ModelPool {
    let model = |id, output| Model::new(id, Prices::per_million_usd(0.4, 0.1, 0.5, output).unwrap()).unwrap();
    ModelPool::new(vec![model("small", 1.6), model("large", 8.0)]).unwrap()
}

fn settings(server: &ScriptedServer, model: &Model) -> LiveModel {
    let endpoint = Endpoint {
        base_url: server.base_url(),
        model: model.id.to_string(),
        api_key_env: None,
        prices: model.prices,
        max_tokens_field: MaxTokensField::default(),
        is_streamed: false,
        trusts_recorded_cost: true,
    };
    LiveModel {
        endpoint,
        has_tools: false,
        temperature: Some(0.5),
        seed: Some(1),
        max_output_tokens: 50,
        prompt_overhead_tokens: 64,
        estimates_usage: false,
        extra: Extra::new(),
    }
}

/// Calls the models in turn, and keeps what it was quoted and what it was billed.
#[derive(Default)]
struct InTurn {
    quoted: Vec<CallQuote>,
    billed: Vec<TokenUsage>,
}

impl RoutingPolicy for InTurn {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let action = ModelIndex::new(context.turns.len() / 2 % context.pool.len());
        self.quoted.push(context.quotes[action.get()]);
        Ok(Verdict::Call(Decision::certain(action)))
    }

    fn settle(&mut self, turn: &Turn) {
        self.billed.push(turn.usage);
    }
}

/// Plays one task with models that are set up by `change`.
fn play(
    server: &ScriptedServer,
    change: impl Fn(&mut LiveModel),
    policy: &mut InTurn,
) -> Result<Episode, RolloutError> {
    let upstream = BlockingUpstream::new(ClientConfig::default(), Account::new(None), StopSignal::default()).unwrap();
    let changed = |(_, model): (ModelIndex, &Model)| {
        let mut settings = settings(server, model);
        change(&mut settings);
        settings
    };
    let models = LiveModels::new(upstream, &pool(), pool().iter().map(changed).collect()).unwrap();
    let arena = LiveArena::new(pool(), Arc::new(models), HouseholdEnvironment::default);
    let request = RolloutRequest {
        episode_id: EpisodeId::new("e"),
        policy_id: "p".into(),
        seed: 4,
        lambda: 0.0,
        budget: Budget::Unlimited,
    };
    arena.play(&task(), &request, policy)
}

fn task() -> Task {
    generate_tasks(5, SplitCounts { train: 1, validation: 0, test: 0 }).unwrap().remove(0)
}

/// What the expert does after the commands that a conversation shows.
fn expert_after(asked: &Asked) -> String {
    let mut world = HouseholdEnvironment::default();
    world.reset(&task(), 0).unwrap();
    for message in asked.request.messages.iter().filter(|message| message.role == Role::Assistant) {
        let command = match message.tool_calls.first() {
            Some(call) => {
                call.function.arguments.as_ref().unwrap().value().unwrap()["command"].as_str().unwrap().to_owned()
            }
            None => message.words().rsplit("Action: ").next().unwrap().to_owned(),
        };
        world.step(&command).unwrap();
    }
    world.expert().unwrap_or("look").to_owned()
}

/// One token per byte and a wide frame: no tokenizer is as greedy.
fn greedy_count(asked: &Asked) -> usize {
    asked.request.messages.iter().map(|message| message.words().len() + 12).sum::<usize>() + 40
}

#[test]
fn no_count_of_a_tokenizer_passes_its_quote_and_expectations_are_learned() {
    // (tokens per byte, in percent): a coarse tokenizer, an ordinary one, and one token per byte.
    for percent in [15, 30, 100] {
        let server = ScriptedServer::start(move |asked| {
            let prompt = greedy_count(asked) * percent / 100;
            let cached = if asked.request.messages.len() > 2 { prompt / 2 } else { 0 };
            let text = format!("Thought: Next.\nAction: {}", expert_after(asked));
            Reply::completion_with_usage(&text, &json!({"prompt_tokens": prompt, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": cached}}))
        })
        .unwrap();
        let mut policy = InTurn::default();
        let episode = play(&server, |_| {}, &mut policy).unwrap();
        assert!(episode.is_success && episode.steps.len() > 4);
        for (step, (quote, usage)) in policy.quoted.iter().zip(&policy.billed).enumerate() {
            let bound = quote.prompt_tokens + quote.prompt_slack_tokens;
            assert!(usage.prompt_tokens() <= bound, "{percent} %, step {step}: {} of {bound}", usage.prompt_tokens());
            assert!(quote.cached_tokens <= quote.prompt_tokens);
        }
        // The second call in a row of the large model knows how it counts, and bounds by bytes only what is new.
        let (quote, usage) = (policy.quoted[3], policy.billed[3]);
        let error = f64::from(quote.prompt_tokens) / f64::from(usage.prompt_tokens()) - 1.0;
        assert!(error.abs() < 0.1, "{percent} %: quoted {}, billed {}", quote.prompt_tokens, usage.prompt_tokens());
        assert!(quote.prompt_slack_tokens < 1_500, "{quote:?}");
        assert!(quote.cached_tokens > 0, "{quote:?}");
    }
}

#[test]
fn a_hidden_prompt_is_refused_unless_it_is_declared() {
    let server = ScriptedServer::start(|asked| {
        Reply::completion(&format!("Action: {}", expert_after(asked)), greedy_count(asked) as u32 / 4 + 20_000, 8)
    })
    .unwrap();
    let message = play(&server, |_| {}, &mut InTurn::default()).unwrap_err().to_string();
    assert!(message.contains("declare it with `prompt_overhead_tokens`"), "{message}");
    let declared = |settings: &mut LiveModel| settings.prompt_overhead_tokens = 20_100;
    assert!(play(&server, declared, &mut InTurn::default()).unwrap().is_success);
}

#[test]
fn models_with_tools_act_by_calling_one_and_see_what_others_did() {
    let usage = json!({"prompt_tokens": 400, "completion_tokens": 9});
    let server = ScriptedServer::start(move |asked| {
        let command = expert_after(asked);
        if asked.request.model == "large" {
            Reply::tool_call("act", &json!({"command": command}), &usage)
        } else {
            Reply::completion_with_usage(&format!("Action: {command}"), &usage)
        }
    })
    .unwrap();
    let only_large = |settings: &mut LiveModel| settings.has_tools = settings.endpoint.model == "large";
    let episode = play(&server, only_large, &mut InTurn::default()).unwrap();
    assert!(episode.is_success);
    let seen = server.seen();
    let third = &seen[2].asked.request;
    assert_eq!((third.model.as_str(), third.tools.len()), ("large", 1));
    assert_eq!(third.messages[2].tool_calls.len(), 1, "what the small model said, as a call");
    let fifth = &seen[4].asked.request;
    assert_eq!((fifth.model.as_str(), fifth.tools.len()), ("small", 0));
    assert!(fifth.messages.iter().all(|message| message.tool_calls.is_empty()));
    let seeds: Vec<_> = seen.iter().map(|seen| seen.asked.request.seed.unwrap()).collect();
    assert!(seeds.windows(2).all(|pair| pair[0] != pair[1]), "{seeds:?}");
}

#[test]
fn an_answer_without_a_command_goes_to_the_world_which_says_so() {
    let n_asked = Mutex::new(0);
    let server = ScriptedServer::start(move |asked| {
        let mut n_asked = n_asked.lock().unwrap();
        *n_asked += 1;
        let text = if *n_asked == 1 { "I am not sure.".to_owned() } else { format!("Action: {}", expert_after(asked)) };
        Reply::completion(&text, 300, 6)
    })
    .unwrap();
    let episode = play(&server, |_| {}, &mut InTurn::default()).unwrap();
    assert_eq!(episode.steps[0].turn.completion, "I am not sure.");
    assert!(episode.steps[1].turn.observation.text.contains("nobody knows what that means"));
    assert!(episode.is_success);
}

#[test]
fn costs_say_where_they_come_from() {
    let of_usage = |usage: Value, estimates: bool| {
        let server = ScriptedServer::start(move |asked| {
            Reply::completion_with_usage(&format!("Action: {}", expert_after(asked)), &usage)
        })
        .unwrap();
        let episode = play(&server, |settings| settings.estimates_usage = estimates, &mut InTurn::default());
        episode.map(|episode| (episode.steps[0].cost_source, episode.steps[0].turn.clone()))
    };
    let (source, turn) = of_usage(json!({"prompt_tokens": 300, "completion_tokens": 6}), false).unwrap();
    assert_eq!((source, turn.cost), (CostSource::Metered, NanoUsd::new(300 * 400 + 6 * 1_600)));
    let recorded = json!({"prompt_tokens": 300, "completion_tokens": 6, "cost": 0.000_05});
    let (source, turn) = of_usage(recorded, false).unwrap();
    assert_eq!((source, turn.cost), (CostSource::Recorded, NanoUsd::new(50_000)));
    let (source, turn) = of_usage(Value::Null, true).unwrap();
    assert_eq!(source, CostSource::Estimated);
    assert!((200..600).contains(&turn.usage.input_tokens) && (3..20).contains(&turn.usage.output_tokens), "{turn:?}");
    assert!(of_usage(Value::Null, false).unwrap_err().to_string().contains("usage has no `prompt_tokens`"));
}
