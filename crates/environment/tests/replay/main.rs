//! Whether a replay is honest: what it says exactly, what it assumes, and how well the assumptions foretell real logs.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and shows its figures"
)]

mod leak;
mod logs;

use std::collections::BTreeMap;

use logs::{hand_made_logs, pool, shared_logs, sql_pool, sql_settings, total_cost};
use tollgate_environment::replay::{ReplayArena, ReplaySettings, Withheld};
use tollgate_inference::RandomMixing;
use tollgate_rollout::{
    AlwaysLarge, AlwaysSmall, Arena, Decision, PolicyError, RolloutRequest, RoutingContext, RoutingPolicy, Verdict,
};
use tollgate_routing::{Budget, Episode, EpisodeId, ModelIndex, ModelPool, Provenance, Task, TaskId};

const SQL_MODELS: [&str; 2] = ["gpt-3.5-turbo", "gpt-4"];

/// The small model for so many steps, then the large one.
struct SmallThenLarge(usize);

impl RoutingPolicy for SmallThenLarge {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let is_small = context.turns.len() < self.0;
        let action = if is_small { context.pool.small() } else { context.pool.large() };
        Ok(Verdict::Call(Decision::certain(action)))
    }
}

fn arena(episodes: &[Episode]) -> ReplayArena {
    ReplayArena::new(sql_pool(), episodes, sql_settings()).unwrap()
}

fn tasks(episodes: &[Episode]) -> Vec<&Task> {
    let by_id: BTreeMap<&TaskId, &Task> = episodes.iter().map(|episode| (&episode.task.id, &episode.task)).collect();
    by_id.into_values().collect()
}

fn play(arena: &ReplayArena, task: &Task, seed: u64, policy: &mut dyn RoutingPolicy) -> Episode {
    let request = RolloutRequest {
        episode_id: EpisodeId::new("e"),
        policy_id: "p".into(),
        seed,
        lambda: 0.0,
        budget: Budget::Unlimited,
    };
    arena.play(task, &request, policy).unwrap()
}

/// Every log the tests have, with the pool and the settings to replay it with.
fn all_logs() -> Vec<(&'static str, ModelPool, ReplaySettings, Vec<Episode>)> {
    let mut all = vec![("by hand", sql_pool(), sql_settings(), hand_made_logs())];
    if let Some(sql) = shared_logs("intercode_sql", SQL_MODELS) {
        all.push(("intercode_sql", sql_pool(), sql_settings(), sql));
    }
    let models = ["gpt-3.5-turbo-0125", "gpt-4o-2024-05-13"];
    if let Some(tools) = shared_logs("agentdojo", models) {
        let pool = pool([(models[0], 0.5, 1.5), (models[1], 5.0, 15.0)]);
        all.push(("agentdojo", pool, ReplaySettings::default(), tools));
    }
    all
}

#[test]
fn the_boundary_policies_are_the_logs_word_for_word() {
    for (name, pool, settings, logs) in all_logs() {
        let arena = ReplayArena::new(pool, &logs, settings).unwrap();
        for (model, policy) in [(0, &mut AlwaysSmall as &mut dyn RoutingPolicy), (1, &mut AlwaysLarge)] {
            let of_model: Vec<&Episode> =
                logs.iter().filter(|log| log.steps[0].turn.action == ModelIndex::new(model)).collect();
            let mut n_solved = 0;
            for log in &of_model {
                let played = play(&arena, &log.task, 7, policy);
                n_solved += u32::from(played.is_success);
                assert_eq!((played.is_success, played.score), (log.is_success, log.score), "{}", log.id);
                assert_eq!(played.ending, log.ending, "{}", log.id);
                assert_eq!(played.steps.len(), log.steps.len(), "{}", log.id);
                for (step_idx, (played, logged)) in played.steps.iter().zip(&log.steps).enumerate() {
                    assert_eq!(played.provenance, Provenance::Logged);
                    assert_eq!(played.turn.completion, logged.turn.completion);
                    // What is seen first does not depend on who will be called; logs of different models may word it differently.
                    assert!(step_idx == 0 || played.turn.observation == logged.turn.observation);
                    assert_eq!(played.turn.usage, logged.turn.usage);
                    assert_eq!(played.reward.to_bits(), logged.reward.to_bits());
                }
            }
            let n = of_model.len() as f64;
            eprintln!(
                "{name}, model {model}: {n} episodes, success {:.3}, mean cost ${:.6}",
                f64::from(n_solved) / n,
                total_cost(of_model.iter().copied()).as_usd() / n
            );
        }
    }
}

#[test]
fn the_costs_of_the_logs_are_those_of_their_authors() {
    let Some(logs) = shared_logs("intercode_sql", SQL_MODELS) else { return };
    for (model, expected) in [(0, 0.003_085), (1, 0.139_817)] {
        let of_model = logs.iter().filter(|log| log.steps[0].turn.action == ModelIndex::new(model));
        let found = total_cost(of_model.clone()).as_usd() / of_model.count() as f64;
        assert!((found - expected).abs() < 1e-6, "{found}");
    }
}

#[test]
fn a_model_never_solves_what_its_own_log_failed() {
    for (name, pool, settings, logs) in all_logs() {
        let arena = ReplayArena::new(pool, &logs, settings).unwrap();
        let solved: BTreeMap<(&TaskId, ModelIndex), bool> =
            logs.iter().map(|log| ((&log.task.id, log.steps[0].turn.action), log.is_success)).collect();
        let (mut n_steps, mut n_solved, mut n_episodes) = (BTreeMap::new(), 0_u32, 0_u32);
        for task in tasks(&logs) {
            for seed in 0..6_u32 {
                let mut policy = RandomMixing::of_boundaries(f64::from(seed % 3 + 1) / 4.0, 2).unwrap();
                let played = play(&arena, task, u64::from(seed), &mut policy);
                let last = played.steps.last().unwrap().turn.action;
                // A model without a log of the task may do either.
                let can = solved.get(&(&task.id, last)).copied().unwrap_or(true);
                assert!(!played.is_success || can, "{name}: {}", task.id);
                n_episodes += 1;
                n_solved += u32::from(played.is_success);
                for step in &played.steps {
                    *n_steps.entry(step.provenance.as_str()).or_insert(0) += 1;
                }
            }
        }
        eprintln!(
            "{name}, mixed at random: success {:.3}, steps {n_steps:?}",
            f64::from(n_solved) / f64::from(n_episodes)
        );
    }
}

#[test]
fn steps_are_marked_and_the_same_seed_gives_the_same_episode() {
    for (name, pool, settings, logs) in all_logs() {
        let arena = ReplayArena::new(pool, &logs, settings).unwrap();
        for task in tasks(&logs) {
            let played = play(&arena, task, 3, &mut SmallThenLarge(2));
            assert_eq!(played, play(&arena, task, 3, &mut SmallThenLarge(2)), "{name}: {}", task.id);
            for (step_idx, step) in played.steps.iter().enumerate() {
                assert_eq!(step.provenance == Provenance::Logged, step_idx < 2, "{name}: {} {step_idx}", task.id);
            }
        }
    }
}

#[test]
fn episodes_of_a_split_hold_nothing_of_another() {
    let logs = hand_made_logs();
    let arena = arena(&logs);
    for task in tasks(&logs) {
        let foreign: Vec<&Episode> = logs.iter().filter(|log| log.task.split != task.split).collect();
        for seed in 0..4 {
            let played = play(&arena, task, seed, &mut RandomMixing::of_boundaries(0.5, 2).unwrap());
            for step in &played.steps {
                let is_foreign = |log: &&Episode| {
                    // Only what names its task can tell where it is from.
                    let told = &step.turn.completion;
                    told != "SHOW TABLES" && log.steps.iter().any(|logged| logged.turn.completion == *told)
                };
                assert!(!foreign.iter().any(is_foreign), "{}: {}", task.id, step.turn.completion);
            }
        }
    }
}

#[test]
fn what_is_predicted_for_a_switch_is_what_the_log_shows() {
    for (name, pool, settings, logs) in all_logs() {
        let arena = ReplayArena::new(pool, &logs, settings).unwrap();
        let (small, large) = (ModelIndex::new(0), ModelIndex::new(1));
        for (from, to, switch) in [(small, large, "small to large"), (large, small, "large to small")] {
            for withheld in [Withheld::StepsAndFate, Withheld::Steps] {
                let check = arena.logs().check_switches(&logs, from, to, withheld, 200);
                let n = check.outcomes.len() as f64;
                let (predicted, observed) = (check.predicted(), check.observed());
                // Two standard errors of the observed share, and half a task for shares near 0 or 1.
                let margin = 1.96 * (observed * (1.0 - observed) / n).sqrt() + 0.5 / n;
                eprintln!(
                    "{name}, {switch} on {n} shared beginnings, {withheld:?} withheld: predicted {predicted:.3}, observed {observed:.3} +- {margin:.3}"
                );
                assert!(n >= 10.0 && (predicted - observed).abs() <= margin);
            }
        }
    }
}

#[test]
fn prompts_after_a_switch_are_as_long_as_the_text_they_hold() {
    let logs = hand_made_logs();
    let settings = ReplaySettings { prompt_messages: None, ..sql_settings() };
    let arena = ReplayArena::new(sql_pool(), &logs, settings).unwrap();
    for task in tasks(&logs) {
        let played = play(&arena, task, 1, &mut SmallThenLarge(1));
        for (step_idx, step) in played.steps.iter().enumerate() {
            // Every turn of these logs takes 60 tokens.
            assert_eq!(step.turn.usage.prompt_tokens(), 500 + 60 * step_idx as u32);
        }
    }
}
