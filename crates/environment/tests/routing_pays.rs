//! In the household a router that reads nothing but text can match the large model at less than half of its cost, and the
//! simple rules cannot: there is something to learn.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use tollgate_environment::household::{HouseholdArena, SplitCounts, generate_tasks};
use tollgate_environment::simulated::SimulatedModelProfile;
use tollgate_rollout::{
    Arena, Decision, PolicyError, RolloutRequest, RoutingContext, RoutingPolicy, Verdict, derive_seed, reports_failure,
};
use tollgate_routing::{Budget, EpisodeId, Model, ModelIndex, ModelPool, Prices, Task};

/// Calls the large model where a rule says so.
struct Rule(fn(&RoutingContext<'_>) -> bool);

impl RoutingPolicy for Rule {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let action = if (self.0)(context) { context.pool.large() } else { ModelIndex::SMALL };
        Ok(Verdict::Call(Decision::certain(action)))
    }
}

const LOOKALIKES: [&str; 20] = [
    "cup",
    "glass",
    "pan",
    "pot",
    "fork",
    "spoon",
    "saltshaker",
    "peppershaker",
    "lettuce",
    "cabbage",
    "soapbar",
    "soapbottle",
    "towel",
    "handtowel",
    "book",
    "notebook",
    "pen",
    "pencil",
    "creditcard",
    "keycard",
];

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|found| found == word)
}

fn has_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| has_word(text, word))
}

fn is_about_temperature(instruction: &str) -> bool {
    has_any(instruction, &["Warm", "heat", "hot", "Chill", "cool", "cold"])
}

/// Right after a refusal, with the wrong object in hand, and where the errand turns difficult: an object with lookalikes comes into
/// sight, the object in hand has to be heated, cooled or lit, the first of two is in its place.
fn is_difficult(context: &RoutingContext<'_>) -> bool {
    let instruction = &*context.task.instruction;
    let (sight, hands) = context.observation.text.split_once(" You carry ").unwrap_or_default();
    let in_hand = hands.split(' ').next().unwrap_or_default();
    let is_free = in_hand.starts_with("nothing");
    let holds_wanted = !is_free && has_word(instruction, in_hand);
    let said = |words: &[&str]| {
        context.turns.iter().any(|turn| words.iter().any(|word| turn.observation.text.starts_with(word)))
    };
    let is_prepared =
        said(&["You warm up", "You chill"]) || sight.starts_with("You warm up") || sight.starts_with("You chill");
    reports_failure(sight)
        || (holds_wanted && is_about_temperature(instruction) && !is_prepared)
        || (holds_wanted && has_word(instruction, "desklamp"))
        || (!is_free && !holds_wanted)
        || (is_free && LOOKALIKES.iter().any(|word| has_word(instruction, word) && has_word(sight, word)))
        || (has_word(instruction, "two") && sight.starts_with("You set down"))
}

fn is_difficult_task(context: &RoutingContext<'_>) -> bool {
    let instruction = &*context.task.instruction;
    is_about_temperature(instruction) || has_word(instruction, "two") || has_any(instruction, &LOOKALIKES)
}

fn has_ever_failed(context: &RoutingContext<'_>) -> bool {
    reports_failure(&context.observation.text)
        || context.turns.iter().any(|turn| reports_failure(&turn.observation.text))
}

fn toss(context: &RoutingContext<'_>) -> bool {
    derive_seed(context.task.seed ^ u64::from(context.quotes[0].prompt_tokens), context.turns.len() as u64)
        .is_multiple_of(2)
}

/// Success rate and mean cost in dollars.
fn evaluate(arena: &HouseholdArena, tasks: &[Task], rule: fn(&RoutingContext<'_>) -> bool) -> (f64, f64) {
    let (mut n_solved, mut cost_usd, mut n_episodes) = (0.0, 0.0, 0.0);
    for task in tasks {
        for seed in 0..10 {
            let request = RolloutRequest {
                episode_id: EpisodeId::new("e"),
                policy_id: "rule".into(),
                seed,
                lambda: 0.0,
                budget: Budget::Unlimited,
            };
            let episode = arena.play(task, &request, &mut Rule(rule)).unwrap();
            n_solved += f64::from(u8::from(episode.is_success));
            cost_usd += episode.total_cost().as_usd();
            n_episodes += 1.0;
        }
    }
    (n_solved / n_episodes, cost_usd / n_episodes)
}

#[test]
fn a_router_that_reads_text_matches_large_at_half_the_cost_and_simple_rules_do_not() {
    let model = |id, input, output| {
        Model::new(id, Prices::per_million_usd(input, input / 4.0, input, output).unwrap()).unwrap()
    };
    let pool = ModelPool::new(vec![model("gpt-4.1-mini", 0.4, 1.6), model("gpt-4.1", 2.0, 8.0)]).unwrap();
    let profiles = vec![SimulatedModelProfile::small(), SimulatedModelProfile::large()];
    let arena = HouseholdArena::new(pool, profiles).unwrap();
    let tasks = generate_tasks(11, SplitCounts { train: 0, validation: 0, test: 300 }).unwrap();

    let large = evaluate(&arena, &tasks, |_| true);
    let relative = |name: &str, rule| {
        let (success, cost) = evaluate(&arena, &tasks, rule);
        let shares = (success / large.0, cost / large.1);
        println!("{name}: {:.3} of large's success for {:.3} of its cost", shares.0, shares.1);
        shares
    };
    let by_text = relative("text", is_difficult);
    assert!(by_text.0 >= 0.97 && by_text.1 <= 0.45, "{by_text:?}");
    let by_task = relative("static per task", is_difficult_task);
    assert!(by_task.1 > 0.7, "{by_task:?}");
    let cascade = relative("cascade, next step only", |context| reports_failure(&context.observation.text));
    assert!(cascade.0 < 0.85, "{cascade:?}");
    let cascade = relative("cascade, from then on", has_ever_failed);
    assert!(cascade.0 < 0.9 && cascade.1 > 0.55, "{cascade:?}");
    let mixing = relative("even mixing", toss);
    assert!(mixing.0 < 0.9 && mixing.1 > 0.6, "{mixing:?}");
}
