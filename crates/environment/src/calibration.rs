//! Whether the simulated models behave as real logs do: each fact, its source, its target range and the measured value.

use std::ops::RangeInclusive;

use rayon::prelude::*;
use tollgate_rollout::{
    AlwaysLarge, AlwaysSmall, Arena, Decision, Environment, PolicyError, RolloutError, RolloutRequest, RoutingContext,
    RoutingPolicy, Verdict, derive_seed,
};
use tollgate_routing::{Budget, Episode, EpisodeId, ModelIndex, Task};

use crate::chance::Chance;
use crate::household::{Effect, HouseholdArena, HouseholdEnvironment};

/// One measured fact.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationFact {
    /// What is measured.
    pub name: &'static str,
    /// Where the target comes from.
    pub source: &'static str,
    /// What the measured value should lie in.
    pub target: RangeInclusive<f64>,
    /// The measured value; not a number where nothing could be measured.
    pub measured: f64,
}

impl CalibrationFact {
    /// Whether the measured value lies in the target range.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.target.contains(&self.measured)
    }
}

/// Plays `n_trials` episodes each of always-small, always-large and even random mixing on each of `tasks`, and continues each
/// always-small episode with the large model from right after its first mistake; then measures every fact. Two trials at least;
/// 10 give the class of a task two probings of five. The result does not depend on the number of threads.
///
/// # Errors
/// A [`RolloutError`] of the first episode that could not be played.
pub fn calibrate(
    arena: &HouseholdArena,
    tasks: &[Task],
    n_trials: u32,
    seed: u64,
) -> Result<Vec<CalibrationFact>, RolloutError> {
    let trials: Vec<Vec<Trial>> = tasks
        .par_iter()
        .map(|task| {
            let task_seed = derive_seed(seed, task.seed);
            (0..n_trials.max(2))
                .map(|trial| play_trial(arena, task, derive_seed(task_seed, u64::from(trial))))
                .collect()
        })
        .collect::<Result<_, RolloutError>>()?;
    Ok(facts(&trials))
}

/// One seed of one task, played by everybody.
struct Trial {
    small: Play,
    large: Play,
    mixed: Play,
    fork: Option<Fork>,
}

#[derive(Clone, Copy)]
struct Play {
    is_success: bool,
    cost_usd: f64,
}

/// The first mistake of the small model, and whether the errand was done when the large one took over right after it.
struct Fork {
    is_refused: bool,
    has_large_finished: bool,
}

impl From<&Episode> for Play {
    fn from(episode: &Episode) -> Self {
        Self { is_success: episode.is_success, cost_usd: episode.total_cost().as_usd() }
    }
}

fn play_trial(arena: &HouseholdArena, task: &Task, seed: u64) -> Result<Trial, RolloutError> {
    let request = RolloutRequest {
        episode_id: EpisodeId::new("calibration"),
        policy_id: "calibration".into(),
        seed,
        lambda: 0.0,
        budget: Budget::Unlimited,
    };
    let small = arena.play(task, &request, &mut AlwaysSmall)?;
    let large = arena.play(task, &request, &mut AlwaysLarge)?;
    let mixed = arena.play(task, &request, &mut EvenMixing(Chance::new(0, 0)))?;
    let fork = match first_mistake(task, &small)? {
        Some((step_idx, is_refused)) => {
            let continued = arena.play(task, &request, &mut LargeFrom(step_idx + 1))?;
            Some(Fork { is_refused, has_large_finished: continued.is_success })
        }
        None => None,
    };
    Ok(Trial { small: (&small).into(), large: (&large).into(), mixed: (&mixed).into(), fork })
}

/// The first command that is not the expert's, and whether the world refused it. `None` when there is none, or when it was the
/// episode's last, so that nothing could be continued.
fn first_mistake(task: &Task, episode: &Episode) -> Result<Option<(usize, bool)>, RolloutError> {
    let mut world = HouseholdEnvironment::default();
    world.reset(task, episode.seed)?;
    for (step_idx, step) in episode.steps.iter().enumerate() {
        let is_right = step.turn.completion == world.expert_command();
        let transition = world.step(&step.turn.completion)?;
        if !is_right {
            let is_refused = world.last_effect() == Effect::Refused;
            return Ok((!transition.terminated && step_idx + 1 < episode.steps.len()).then_some((step_idx, is_refused)));
        }
    }
    Ok(None)
}

/// Small up to a step, large from there on.
struct LargeFrom(usize);

impl RoutingPolicy for LargeFrom {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let is_large = context.turns.len() >= self.0;
        let action = if is_large { context.pool.large() } else { ModelIndex::SMALL };
        Ok(Verdict::Call(Decision::certain(action)))
    }
}

/// Either boundary model with an even chance.
struct EvenMixing(Chance);

impl RoutingPolicy for EvenMixing {
    fn begin(&mut self, _task: &Task, seed: u64) {
        self.0 = Chance::new(seed, 0xE0E0);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let action = if self.0.unit() < 0.5 { context.pool.large() } else { ModelIndex::SMALL };
        Ok(Verdict::Call(Decision { action, log_prob: -std::f32::consts::LN_2 }))
    }
}

const SECTION: &str = "method, section 7";
const INTERCODE: &str = "InterCode SQL, gpt-3.5-turbo and gpt-4";
const MINI_SWE: &str = "mini-SWE-agent, random mixing";

fn facts(trials: &[Vec<Trial>]) -> Vec<CalibrationFact> {
    let all = || trials.iter().flatten();
    let fact = |name, source, target, measured| CalibrationFact { name, source, target, measured };
    let small = success_rate(all().map(|trial| trial.small));
    let large = success_rate(all().map(|trial| trial.large));
    let mixed = success_rate(all().map(|trial| trial.mixed));
    let cost_of_small = mean(all().map(|trial| trial.small.cost_usd));
    let cost_of_large = mean(all().map(|trial| trial.large.cost_usd));
    let [after_refused, after_valid] = [true, false].map(|is_refused| uplift(trials, is_refused));
    vec![
        fact("success of always-small", SECTION, 0.35..=0.55, small),
        fact("success of always-large", SECTION, 0.75..=0.90, large),
        fact("cost per episode, large over small", SECTION, 5.0..=30.0, cost_of_large / cost_of_small),
        fact("tasks whose class two probings agree on", SECTION, 0.60..=0.90, share_of_stable_tasks(trials)),
        fact("share of small's outcome variance between trials", SECTION, 0.40..=0.60, share_of_trial_noise(trials)),
        fact(
            "cost of failed over solved episodes, small",
            SECTION,
            1.05..=10.0,
            failed_over_solved(|| all().map(|trial| trial.small)),
        ),
        fact(
            "cost of failed over solved episodes, large",
            SECTION,
            1.05..=10.0,
            failed_over_solved(|| all().map(|trial| trial.large)),
        ),
        fact("tasks on which small costs more than large", SECTION, 0.002..=0.10, share_of_inverted_costs(trials)),
        fact("gain of calling large after a refused command", INTERCODE, 0.30..=0.80, after_refused),
        fact("gain of calling large after a valid but wrong command", INTERCODE, -0.25..=0.20, after_valid),
        fact("first gain less the second", INTERCODE, 0.25..=1.0, after_refused - after_valid),
        fact("where even mixing lands between the two", MINI_SWE, 0.10..=0.90, (mixed - small) / (large - small)),
    ]
}

/// Not a number for an empty sequence.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

fn indicator(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}

fn success_rate(plays: impl Iterator<Item = Play>) -> f64 {
    mean(plays.map(|play| indicator(play.is_success)))
}

/// How much likelier the errand is done when large takes over right after small's first mistake, compared with small going on.
fn uplift(trials: &[Vec<Trial>], is_refused: bool) -> f64 {
    mean(trials.iter().flatten().filter_map(|trial| {
        let fork = trial.fork.as_ref().filter(|fork| fork.is_refused == is_refused)?;
        Some(indicator(fork.has_large_finished) - indicator(trial.small.is_success))
    }))
}

fn failed_over_solved<I: Iterator<Item = Play>>(plays: impl Fn() -> I) -> f64 {
    let mean_cost = |is_success| mean(plays().filter(|play| play.is_success == is_success).map(|play| play.cost_usd));
    mean_cost(false) / mean_cost(true)
}

fn share_of_inverted_costs(trials: &[Vec<Trial>]) -> f64 {
    mean(trials.iter().map(|task| {
        let small: f64 = task.iter().map(|trial| trial.small.cost_usd).sum();
        let large: f64 = task.iter().map(|trial| trial.large.cost_usd).sum();
        indicator(small > large)
    }))
}

/// A task's class by the default thresholds of the taxonomy: 0 easy, 1 hard, 2 intractable.
fn class(trials: &[Trial]) -> u8 {
    let small = success_rate(trials.iter().map(|trial| trial.small));
    let large = success_rate(trials.iter().map(|trial| trial.large));
    if small >= 0.6 {
        0
    } else if small + large > 0.0 {
        1
    } else {
        2
    }
}

/// Share of tasks that get one and the same class from the first and from the second half of the trials.
fn share_of_stable_tasks(trials: &[Vec<Trial>]) -> f64 {
    mean(trials.iter().map(|task| {
        let (first, second) = task.split_at(task.len() / 2);
        indicator(class(first) == class(second))
    }))
}

/// Mean variance within a task over the variance of all outcomes of always-small.
fn share_of_trial_noise(trials: &[Vec<Trial>]) -> f64 {
    let within = mean(trials.iter().map(|task| {
        let n_trials = task.len() as f64;
        let rate = success_rate(task.iter().map(|trial| trial.small));
        // Bessel's correction: few trials understate the variance.
        rate * (1.0 - rate) * n_trials / (n_trials - 1.0)
    }));
    let rate = success_rate(trials.iter().flatten().map(|trial| trial.small));
    within / (rate * (1.0 - rate))
}

#[cfg(test)]
mod tests {
    use tollgate_routing::{Model, ModelPool, Prices};

    use super::*;
    use crate::household::{SplitCounts, generate_tasks};
    use crate::simulated::SimulatedModelProfile;

    #[test]
    fn shipped_profiles_meet_every_fact() {
        let tasks = generate_tasks(1, SplitCounts { train: 300, validation: 0, test: 0 }).unwrap();
        let facts = calibrate(&arena(), &tasks, 10, 1).unwrap();
        for fact in &facts {
            println!("{:>55}: {:.3} in {:?}", fact.name, fact.measured, fact.target);
        }
        let missed: Vec<_> = facts.iter().filter(|fact| !fact.is_met()).collect();
        assert!(missed.is_empty(), "{missed:#?}");
    }

    fn arena() -> HouseholdArena {
        let small = Model::new("gpt-4.1-mini", Prices::per_million_usd(0.40, 0.10, 0.40, 1.60).unwrap()).unwrap();
        let large = Model::new("gpt-4.1", Prices::per_million_usd(2.00, 0.50, 2.00, 8.00).unwrap()).unwrap();
        let pool = ModelPool::new(vec![small, large]).unwrap();
        HouseholdArena::new(pool, vec![SimulatedModelProfile::small(), SimulatedModelProfile::large()]).unwrap()
    }
}
