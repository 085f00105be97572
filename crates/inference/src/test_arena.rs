//! A world for tests: eight steps whose observations, completions and usage are set from outside or drawn by seed.

use tollgate_rollout::{
    Arena, CallQuote, Completion, Environment, EnvironmentError, Executor, ExecutorError, Outcome, RolloutError,
    RolloutRequest, RoutingPolicy, Situation, Transition, derive_seed, rollout,
};
use tollgate_routing::{
    Budget, Episode, EpisodeId, Model, ModelIndex, ModelPool, Observation, Prices, Split, Task, TaskId, TokenUsage,
};

pub(crate) const HORIZON: usize = 8;

/// Each call draws its prompt and output tokens by seed, at most 1,000 and 100. A task is solved when the sum of the
/// answering models' indices reaches the task's seed.
pub(crate) struct TestArena {
    pool: ModelPool,
    observations: Vec<String>,
    pub(crate) completions: Vec<String>,
}

impl TestArena {
    pub(crate) fn new(n_models: usize) -> Self {
        let model = |index: usize| {
            let scale = (1 + 4 * index) as f64;
            let prices = Prices::per_million_usd(0.4 * scale, 0.1 * scale, 0.5 * scale, 1.6 * scale).unwrap();
            Model::new(&format!("model-{index}"), prices).unwrap()
        };
        Self {
            pool: ModelPool::new((0..n_models).map(model).collect()).unwrap(),
            observations: (0..=HORIZON).map(|step| format!("room {step}")).collect(),
            completions: (0..HORIZON).map(|step| format!("go to room {step}")).collect(),
        }
    }

    /// The observation before each step; the last is also the final one.
    pub(crate) fn observing(mut self, observations: &[&str; HORIZON]) -> Self {
        self.observations = observations.iter().chain(&["the end"]).map(|&text| text.to_owned()).collect();
        self
    }
}

pub(crate) fn task(id: &str, difficulty: u64) -> Task {
    Task {
        id: TaskId::new(id),
        environment: "test".into(),
        split: Split::Test,
        seed: difficulty,
        instruction: "walk".into(),
        horizon: HORIZON as u32,
        kind: None,
        group: None,
    }
}

pub(crate) fn play(arena: &TestArena, policy: &mut dyn RoutingPolicy, seed: u64) -> Episode {
    try_play(arena, policy, Budget::Unlimited, seed).unwrap()
}

pub(crate) fn try_play(
    arena: &TestArena,
    policy: &mut dyn RoutingPolicy,
    budget: Budget,
    seed: u64,
) -> Result<Episode, RolloutError> {
    let request = RolloutRequest { episode_id: EpisodeId::new("e"), policy_id: "p".into(), seed, lambda: 0.0, budget };
    arena.play(&task("t", 4), &request, policy)
}

pub(crate) fn actions(episode: &Episode) -> Vec<usize> {
    episode.steps.iter().map(|step| step.turn.action.get()).collect()
}

impl Arena for TestArena {
    fn pool(&self) -> &ModelPool {
        &self.pool
    }

    fn n_signals(&self) -> usize {
        0
    }

    fn play(
        &self,
        task: &Task,
        request: &RolloutRequest,
        policy: &mut dyn RoutingPolicy,
    ) -> Result<Episode, RolloutError> {
        let mut world = World { observations: &self.observations, step_idx: 0, reached: 0, wanted: task.seed };
        let mut models = Models { completions: &self.completions, seed: request.seed };
        rollout(&mut world, &mut models, policy, &self.pool, task, request)
    }
}

struct World<'a> {
    observations: &'a [String],
    step_idx: usize,
    reached: u64,
    wanted: u64,
}

impl Environment for World<'_> {
    fn reset(&mut self, _task: &Task, _seed: u64) -> Result<Observation, EnvironmentError> {
        Ok(Observation::from_text(&self.observations[0]))
    }

    fn step(&mut self, completion: &str) -> Result<Transition, EnvironmentError> {
        self.step_idx += 1;
        self.reached += completion.rsplit(" by ").next().and_then(|by| by.parse().ok()).unwrap_or(0);
        let observation = Observation::from_text(&self.observations[self.step_idx]);
        Ok(Transition::new(observation, 0.0, false))
    }

    fn outcome(&self) -> Outcome {
        let is_success = self.reached >= self.wanted;
        Outcome { is_success, score: (self.reached as f32 / self.wanted.max(1) as f32).min(1.0) }
    }
}

struct Models<'a> {
    completions: &'a [String],
    seed: u64,
}

impl Models<'_> {
    /// A number below `bound` that depends on the step and on what it is for.
    fn draw(&self, situation: &Situation<'_>, stream: u64, bound: u32) -> u32 {
        let seed = derive_seed(derive_seed(self.seed, situation.turns.len() as u64), stream);
        (seed % u64::from(bound)) as u32
    }
}

impl Executor<World<'_>> for Models<'_> {
    fn reset(&mut self, _task: &Task, seed: u64) {
        self.seed = seed;
    }

    fn quote(&self, _world: &World<'_>, _model: ModelIndex, situation: &Situation<'_>) -> CallQuote {
        let prompt_tokens = 1 + self.draw(situation, 0, 1_000);
        CallQuote { prompt_tokens, expected_output_tokens: 10, max_output_tokens: 100, ..CallQuote::default() }
    }

    fn complete(
        &mut self,
        world: &World<'_>,
        model: ModelIndex,
        situation: &Situation<'_>,
    ) -> Result<Completion, ExecutorError> {
        let prompt_tokens = self.quote(world, model, situation).prompt_tokens;
        let cached = self.draw(situation, 1, prompt_tokens + 1);
        let written = self.draw(situation, 2, prompt_tokens - cached + 1);
        let words = &self.completions[situation.turns.len()];
        Ok(Completion::simulated(
            // Repeated words stay the same whoever says them; only the world's own commands carry the model.
            if words.starts_with("go to") { format!("{words} by {}", model.get()) } else { words.clone() },
            TokenUsage {
                input_tokens: prompt_tokens - cached - written,
                cached_input_tokens: cached,
                cache_write_tokens: written,
                output_tokens: self.draw(situation, 3, 101),
            },
            1,
        ))
    }
}
