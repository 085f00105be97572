//! The executor that plays the simulated models of a pool.

use tollgate_rollout::{CallQuote, Completion, Executor, ExecutorError, Situation};
use tollgate_routing::{ModelIndex, Task};

use super::minds::{Minds, TYPICAL_COMMAND_TOKENS};
use super::mistake::{Mistake, draw_mistake, write_mistake};
use super::profile::MIN_OUTPUT_TOKENS;
use super::prompt::SYSTEM_PROMPT;
use super::{SimulatedModelProfile, Skill};
use crate::chance::Chance;
use crate::household::{Effect, HouseholdEnvironment, Subgoal, TaskFamily};

/// The simulated models of a pool, in one episode at a time.
#[derive(Debug, Clone)]
pub struct SimulatedExecutor<'a> {
    minds: Minds<'a>,
}

impl<'a> SimulatedExecutor<'a> {
    /// The models that behave as `profiles`, in the pool's order.
    #[must_use]
    pub fn new(profiles: &'a [SimulatedModelProfile]) -> Self {
        Self { minds: Minds::new(profiles) }
    }

    /// Decides what a model does, writes the command, and keeps what it does to the history.
    fn act(&mut self, world: &HouseholdEnvironment, model: ModelIndex, situation: &Situation<'_>, text: &mut String) {
        let profile = self.minds.profile(model);
        let mut chance = self.minds.begin_step(situation.turns.len());
        if self.minds.fails(model, situation.turns.len()) {
            return;
        }
        // An answer of no use is nothing to say again.
        let last = situation.turns.last().map(|turn| turn.completion.as_str()).filter(|last| !last.is_empty());
        let advice = world.advice();
        let skill = skill_of(world, advice.subgoal);

        if advice.subgoal == Subgoal::Lost {
            let gives_up = chance.right < profile.resignation;
            let mistake = if gives_up { Mistake::Finish } else { draw_lost(&mut chance.rest) };
            write_mistake(mistake, world, advice.command, last, &mut chance.rest, text);
            self.minds.history.was_last_repeated = last == Some(text);
            return;
        }
        self.minds.see_through(model, &chance);
        if chance.right < self.minds.chance_of_right(model, profile.skill(skill), skill == Skill::Routine) {
            advice.command.write(world.scene(), text);
            self.minds.history.was_last_right = true;
            return;
        }
        let mistake = draw_mistake(profile, skill, self.minds.history, &mut chance.rest);
        write_mistake(mistake, world, advice.command, last, &mut chance.rest, text);
        self.minds.history.was_last_repeated = last == Some(text);
        // Looking round a bit more while searching teaches nothing wrong, most of the time.
        let gravity = match (mistake, skill) {
            (Mistake::Invalid | Mistake::Repeat, _) => 0.0,
            (Mistake::Wander, Skill::Routine) => 0.5,
            _ => 1.0,
        };
        self.minds.mislead(model, gravity, &chance);
    }
}

impl Executor<HouseholdEnvironment> for SimulatedExecutor<'_> {
    fn reset(&mut self, task: &Task, seed: u64) {
        self.minds.reset(SYSTEM_PROMPT, &task.instruction, task.seed, seed);
    }

    fn quote(&self, _environment: &HouseholdEnvironment, model: ModelIndex, situation: &Situation<'_>) -> CallQuote {
        self.minds.quote(model, situation)
    }

    fn complete(
        &mut self,
        environment: &HouseholdEnvironment,
        model: ModelIndex,
        situation: &Situation<'_>,
    ) -> Result<Completion, ExecutorError> {
        self.minds.read_history(environment.last_effect() == Effect::Refused, situation.turns.len());
        let quote = self.minds.quote(model, situation);
        let mut text = String::with_capacity(64);
        self.act(environment, model, situation, &mut text);
        Ok(self.minds.answer(model, quote, situation, text))
    }
}

const _: () = assert!(TYPICAL_COMMAND_TOKENS < MIN_OUTPUT_TOKENS);

/// With nothing left to gain a model walks about, or asks for what it cannot have.
fn draw_lost(chance: &mut Chance) -> Mistake {
    if chance.unit() < 0.7 { Mistake::Wander } else { Mistake::Invalid }
}

/// The skill that a step asks for.
fn skill_of(world: &HouseholdEnvironment, subgoal: Subgoal) -> Skill {
    let family = world.goal().family;
    match subgoal {
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

#[cfg(test)]
mod tests {
    use tollgate_rollout::{Arena, Decision, PolicyError, RolloutRequest, RoutingContext, RoutingPolicy, Verdict};
    use tollgate_routing::{Budget, Episode, EpisodeId, Model, ModelPool, Prices, TokenUsage};

    use super::*;
    use crate::household::{HouseholdArena, SplitCounts, generate_tasks};

    fn arena(names: &[&str]) -> HouseholdArena {
        arena_of(names, |profile| profile)
    }

    fn arena_of(names: &[&str], change: impl Fn(SimulatedModelProfile) -> SimulatedModelProfile) -> HouseholdArena {
        let models = (1_u8..).zip(names).map(|(price, name)| {
            let price = f64::from(price);
            Model::new(name, Prices::per_million_usd(price, price, price, price).unwrap()).unwrap()
        });
        let profiles = names.iter().map(|name| change(SimulatedModelProfile::named(name).unwrap())).collect();
        HouseholdArena::new(ModelPool::new(models.collect()).unwrap(), profiles).unwrap()
    }

    fn tasks() -> Vec<Task> {
        generate_tasks(5, SplitCounts { train: 60, validation: 0, test: 0 }).unwrap()
    }

    fn play(arena: &HouseholdArena, task: &Task, seed: u64, policy: &mut dyn RoutingPolicy) -> Episode {
        let request = RolloutRequest {
            episode_id: EpisodeId::new("e"),
            policy_id: "p".into(),
            seed,
            lambda: 0.0,
            budget: Budget::Unlimited,
        };
        arena.play(task, &request, policy).unwrap()
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
            let action = ModelIndex::new(context.turns.len() % context.pool.len());
            self.quoted.push(context.quotes[action.get()]);
            Ok(Verdict::Call(Decision::certain(action)))
        }

        fn settle(&mut self, turn: &tollgate_routing::Turn) {
            self.billed.push(turn.usage);
        }
    }

    /// Always the model at this place.
    struct Only(usize);

    impl RoutingPolicy for Only {
        fn begin(&mut self, _task: &Task, _seed: u64) {}

        fn decide(&mut self, _context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
            Ok(Verdict::Call(Decision::certain(ModelIndex::new(self.0))))
        }
    }

    #[test]
    fn usage_never_exceeds_the_quote_and_counts_the_true_text() {
        let arena = arena(&["small", "medium", "large"]);
        for task in tasks() {
            let mut policy = InTurn::default();
            let episode = play(&arena, &task, 3, &mut policy);
            let mut text = SYSTEM_PROMPT.to_owned() + &task.instruction;
            for (step_idx, (quote, usage)) in policy.quoted.iter().zip(&policy.billed).enumerate() {
                let turn = &episode.steps[step_idx].turn;
                text.push_str(&turn.observation.text);
                let expected = text.len().div_ceil(4) + 4 * (3 + 2 * step_idx);
                assert_eq!(usage.prompt_tokens() as usize, expected);
                text.push_str(&turn.completion);
                assert_eq!(usage.prompt_tokens(), quote.prompt_tokens);
                assert_eq!(usage.cached_input_tokens, quote.cached_tokens);
                assert!((1..=quote.max_output_tokens).contains(&usage.output_tokens));
            }
        }
    }

    #[test]
    fn a_model_pays_in_full_for_a_prefix_that_only_others_have_seen() {
        let mut policy = InTurn::default();
        let arena = arena(&["small", "large"]);
        let task = &tasks()[2];
        play(&arena, task, 1, &mut policy);
        let cached: Vec<u32> = policy.billed.iter().map(|usage| usage.cached_input_tokens).collect();
        assert_eq!(cached[..2], [0, 0]);
        // Each reads what it saw two steps before, in whole blocks.
        for (read, seen) in cached[2..].iter().zip(&policy.billed) {
            assert_eq!(*read, seen.prompt_tokens() / 128 * 128);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_episode_and_another_seed_another() {
        let arena = arena(&["small", "large"]);
        for task in tasks() {
            assert_eq!(play(&arena, &task, 9, &mut Only(0)), play(&arena, &task, 9, &mut Only(0)));
        }
        let differs = |task: &Task| {
            play(&arena, task, 1, &mut Only(0)).steps.len() != play(&arena, task, 2, &mut Only(0)).steps.len()
        };
        assert!(tasks().iter().any(differs));
    }

    #[test]
    fn a_model_behaves_alike_in_every_pool() {
        let (two, three) = (arena(&["small", "large"]), arena(&["small", "medium", "large"]));
        for task in tasks() {
            let words = |episode: &Episode| -> Vec<String> {
                episode.steps.iter().map(|step| step.turn.completion.clone()).collect()
            };
            let (of_two, of_three) = (play(&two, &task, 4, &mut Only(1)), play(&three, &task, 4, &mut Only(2)));
            assert_eq!(words(&of_two), words(&of_three), "{}", task.id);
        }
    }

    #[test]
    fn success_grows_with_the_model() {
        let arena = arena(&["small", "medium", "large"]);
        let rate = |model| {
            let solved =
                |task: &Task| (0..10).filter(|&seed| play(&arena, task, seed, &mut Only(model)).is_success).count();
            tasks().iter().map(solved).sum::<usize>() as f64 / 600.0
        };
        let rates = [rate(0), rate(1), rate(2)];
        assert!(rates[0] + 0.1 < rates[1] && rates[1] + 0.05 < rates[2], "{rates:?}");
    }

    #[test]
    fn failed_calls_say_nothing_are_paid_for_and_come_as_often_as_they_should() {
        let arena = arena_of(&["small", "large"], |profile| SimulatedModelProfile { failure_rate: 0.2, ..profile });
        let (mut n_calls, mut n_failed) = (0, 0);
        for (seed, task) in (0..).zip(tasks()) {
            for step in &play(&arena, &task, seed, &mut Only(1)).steps {
                n_calls += 1;
                n_failed += usize::from(step.turn.completion.is_empty());
                assert!(step.turn.usage.output_tokens > 0);
            }
        }
        let share = n_failed as f64 / f64::from(n_calls);
        assert!((share - 0.2).abs() < 0.04, "{share}");
    }

    #[test]
    fn slower_models_change_nothing_but_the_time() {
        // Prompt caches live for five minutes, longer than these episodes last.
        let slow = |profile: SimulatedModelProfile| SimulatedModelProfile {
            latency_ms: 3.0 * profile.latency_ms,
            token_latency_ms: 3.0 * profile.token_latency_ms,
            ..profile
        };
        let (plain, slow) = (arena(&["small", "large"]), arena_of(&["small", "large"], slow));
        for task in tasks() {
            let (plain, mut slow) =
                (play(&plain, &task, 8, &mut InTurn::default()), play(&slow, &task, 8, &mut InTurn::default()));
            for (step, of_slow) in plain.steps.iter().zip(&mut slow.steps) {
                assert!(of_slow.turn.latency_ms > step.turn.latency_ms);
                of_slow.turn.latency_ms = step.turn.latency_ms;
            }
            assert_eq!(plain, slow);
        }
    }

    #[test]
    fn what_the_router_sees_is_a_function_of_what_was_said() {
        // Replaying the commands in a fresh world gives the observations: nothing of the models' hidden state is in them.
        use tollgate_rollout::Environment;
        let arena = arena(&["small", "large"]);
        for task in tasks() {
            let episode = play(&arena, &task, 6, &mut Only(0));
            let mut world = HouseholdEnvironment::default();
            let mut seen = world.reset(&task, 12_345).unwrap();
            for step in &episode.steps {
                assert_eq!(seen, step.turn.observation);
                assert!(seen.signals.is_empty());
                seen = world.step(&step.turn.completion).unwrap().observation;
            }
        }
    }
}
