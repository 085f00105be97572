//! Training on skill-chain, small: the same whatever the threads, resumable to the bit, and loud when it diverges.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use candle_core::Device;
use tollgate_bopo::{Advantage, TrainConfig, TrainError, TrainedPolicy, TrainingInputs, Variant, train};
use tollgate_environment::skill_chain::{SkillChainArena, TaskCounts, generate_tasks};
use tollgate_inference::BudgetConstrained;
use tollgate_policy::{Choice, LearnedPolicy};
use tollgate_rollout::{
    AlwaysLarge, AlwaysSmall, Arena, EnvironmentError, RolloutError, RolloutRequest, RoutingPolicy,
};
use tollgate_routing::{
    BoundaryLabel, Budget, Difficulty, Episode, EpisodeId, ModelPool, NanoUsd, Objective, ProbeStats, SftExample,
    Split, Task,
};

/// What the earlier stages would have collected on a handful of tasks.
struct Collected {
    tasks: Vec<Task>,
    labels: Vec<BoundaryLabel>,
    examples: Vec<SftExample>,
    episodes: Vec<Episode>,
}

fn probe(arena: &dyn Arena, task: &Task, policy_id: &str, policy: &mut dyn RoutingPolicy) -> Episode {
    let request = RolloutRequest {
        episode_id: EpisodeId::new(&format!("{}/{policy_id}", task.id)),
        policy_id: Arc::from(policy_id),
        seed: task.seed,
        lambda: 0.0,
        budget: Budget::Unlimited,
    };
    arena.play(task, &request, policy).unwrap()
}

fn stats(episode: &Episode) -> ProbeStats {
    let successes = u32::from(episode.is_success);
    ProbeStats { successes, episodes: 1, mean_cost: episode.total_cost(), mean_score: episode.score }
}

fn collect() -> Collected {
    let arena = SkillChainArena::new().unwrap();
    let mut tasks = generate_tasks(3, TaskCounts { train: 24, validation: 0, test: 0 });
    tasks.retain(|task| task.split == Split::Train);
    let mut collected = Collected { tasks, labels: Vec::new(), examples: Vec::new(), episodes: Vec::new() };
    for task in &collected.tasks {
        let small = probe(&arena, task, "always-small", &mut AlwaysSmall);
        let large = probe(&arena, task, "always-large", &mut AlwaysLarge);
        let difficulty = if small.is_success { Difficulty::Easy } else { Difficulty::Hard };
        collected.labels.push(BoundaryLabel {
            task_id: task.id.clone(),
            difficulty,
            is_contested: false,
            small: stats(&small),
            large: stats(&large),
        });
        collected.examples.extend(small.steps.iter().zip(0..).map(|(step, step_idx)| SftExample {
            task_id: task.id.clone(),
            episode_id: small.id.clone(),
            step_idx,
            difficulty,
            action: step.turn.action,
            weight: 1.0,
        }));
        collected.episodes.extend([small, large]);
    }
    collected
}

fn config() -> TrainConfig {
    let mut config = TrainConfig { n_hidden: 16, text_buckets: 0, save_every: 2, ..TrainConfig::default() };
    config.sft.epochs = 1;
    config.bopo.iterations = 5;
    config.bopo.episodes_per_iteration = 16;
    config.q_learning.rounds = 4;
    config.q_learning.episodes_per_round = 8;
    config
}

fn train_in(
    directory: &Path,
    arena: &dyn Arena,
    collected: &Collected,
    config: &TrainConfig,
    variant: Variant,
) -> Result<TrainedPolicy, TrainError> {
    let inputs = TrainingInputs {
        arena,
        tasks: &collected.tasks,
        labels: &collected.labels,
        examples: &collected.examples,
        objective: Objective::Success,
        episodes: &collected.episodes,
    };
    train(&inputs, config, variant, 1, directory, &Device::Cpu, &|_| ())
}

/// The bytes of the weights that a training leaves.
fn weights(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join("policy.safetensors")).unwrap()
}

/// The names of what a training leaves, ordered.
fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_variant_trains_and_leaves_nothing_but_its_checkpoint() {
    let (arena, collected) = (SkillChainArena::new().unwrap(), collect());
    for variant in Variant::ALL {
        let directory = tempfile::tempdir().unwrap();
        let trained = train_in(directory.path(), &arena, &collected, &config(), variant).unwrap();
        assert_eq!(trained.spec.policy_id, variant.as_str());
        let names = names_in(directory.path());
        assert_eq!(names, ["finished.json", "policy.json", "policy.safetensors"], "{}", variant.as_str());
        let n_iterations = if variant.is_offline() { 0 } else { 5 };
        assert_eq!(trained.spec.shape.early_stop, variant.may_give_up(), "{}", variant.as_str());
        assert_eq!(trained.log.len(), n_iterations, "{}", variant.as_str());
    }
}

/// An arena in which no task is ever solved.
struct Hopeless(SkillChainArena);

impl Arena for Hopeless {
    fn pool(&self) -> &ModelPool {
        self.0.pool()
    }

    fn n_signals(&self) -> usize {
        self.0.n_signals()
    }

    fn play(
        &self,
        task: &Task,
        request: &RolloutRequest,
        policy: &mut dyn RoutingPolicy,
    ) -> Result<Episode, RolloutError> {
        Ok(Episode { is_success: false, score: 0.0, ..self.0.play(task, request, policy)? })
    }
}

#[test]
fn a_router_learns_to_give_up_what_no_model_solves_and_not_what_one_does() {
    let collected = collect();
    let mut config = config();
    config.bopo.iterations = 20;
    config.bopo.episodes_per_iteration = 32;
    config.bopo.minibatch_size = 64;
    config.bopo.conditions.lambda_high = 0.2;
    let given_up = |arena: &dyn Arena| {
        let directory = tempfile::tempdir().unwrap();
        let trained = train_in(directory.path(), arena, &collected, &config, Variant::Bopo).unwrap();
        trained.log.iter().map(|metrics| metrics.given_up_share).collect::<Vec<_>>()
    };
    let arena = SkillChainArena::new().unwrap();
    let solvable = given_up(&arena);
    let hopeless = given_up(&Hopeless(arena));
    assert!(hopeless[0] < 0.3 && hopeless[15..].iter().all(|&share| share > 0.9), "{hopeless:?}");
    // A sixth of these tasks is impossible, and after so little training and under caps more of them look so.
    assert!(solvable[15..].iter().sum::<f32>() / 5.0 < 0.5, "{solvable:?}");
}

/// The weights that a training with so many threads comes to.
fn weights_with_threads(n_threads: usize, collected: &Collected, config: &TrainConfig, variant: Variant) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let arena = SkillChainArena::new().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    pool.install(|| train_in(directory.path(), &arena, collected, config, variant).unwrap());
    weights(directory.path())
}

#[test]
fn weights_do_not_depend_on_the_number_of_threads() {
    let collected = collect();
    for variant in [Variant::Bopo, Variant::BopoWarmStart, Variant::BopoForked] {
        let run = |n_threads| weights_with_threads(n_threads, &collected, &config(), variant);
        assert_eq!(run(1), run(3), "{}", variant.as_str());
    }
}

#[test]
fn words_that_episodes_are_kept_from_change_what_is_learnt_and_not_by_the_number_of_threads() {
    let collected = collect();
    let run = |n_threads, word_dropout| {
        let mut config = TrainConfig { text_buckets: 16, ..config() };
        config.bopo.word_dropout = word_dropout;
        weights_with_threads(n_threads, &collected, &config, Variant::Bopo)
    };
    let hidden = run(1, 0.5);
    assert_eq!(hidden, run(3, 0.5));
    assert_ne!(hidden, run(1, 0.0));
}

#[test]
fn a_router_leans_once_its_training_is_over_and_learns_nothing_else_by_it() {
    let collected = collect();
    let last_bias = |lean| {
        let mut config = config();
        config.bopo.lean = lean;
        let directory = tempfile::tempdir().unwrap();
        let arena = SkillChainArena::new().unwrap();
        let trained = train_in(directory.path(), &arena, &collected, &config, Variant::Bopo).unwrap();
        let (_, bias) = trained.network.variables().iter().find(|(name, _)| name == "policy.2.bias").unwrap();
        let returns = trained.log.iter().map(|metrics| metrics.mean_return).collect::<Vec<_>>();
        (returns, bias.to_vec1::<f32>().unwrap())
    };
    let ((returns, upright), (leaning_returns, leaning)) = (last_bias(0.0), last_bias(2.0));
    assert_eq!(returns, leaning_returns);
    let raised = upright.iter().zip(&leaning).map(|(before, after)| after - before).collect::<Vec<_>>();
    assert!(
        raised[0] == 0.0 && (raised[1] - 2.0).abs() < 1e-5 && raised[2..].iter().all(|&by| by == 0.0),
        "{raised:?}"
    );
}

/// An arena that breaks after a number of episodes.
struct Breaking {
    arena: SkillChainArena,
    n_left: AtomicU32,
}

impl Arena for Breaking {
    fn pool(&self) -> &ModelPool {
        self.arena.pool()
    }

    fn n_signals(&self) -> usize {
        self.arena.n_signals()
    }

    fn play(
        &self,
        task: &Task,
        request: &RolloutRequest,
        policy: &mut dyn RoutingPolicy,
    ) -> Result<Episode, RolloutError> {
        let left = self.n_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            let (environment, reason) = ("skill-chain".to_owned(), "out of order".to_owned());
            return Err(EnvironmentError::Failed { environment, reason }.into());
        }
        self.arena.play(task, request, policy)
    }
}

#[track_caller]
fn check_resumed(variant: Variant) {
    let collected = collect();
    let undisturbed = tempfile::tempdir().unwrap();
    let expected =
        train_in(undisturbed.path(), &SkillChainArena::new().unwrap(), &collected, &config(), variant).unwrap();

    let directory = tempfile::tempdir().unwrap();
    // Four iterations of 16 episodes, then a failure in the fifth: progress was saved after the fourth.
    let breaking = Breaking { arena: SkillChainArena::new().unwrap(), n_left: AtomicU32::new(4 * 16 + 3) };
    let error = train_in(directory.path(), &breaking, &collected, &config(), variant).unwrap_err();
    assert_eq!(error.to_string(), "skill-chain: out of order");
    assert!(!directory.path().join("policy.json").exists());
    assert!(directory.path().join("progress-000004").is_dir());

    // Sixteen episodes are enough only for the iteration that is left.
    let rest = Breaking { arena: SkillChainArena::new().unwrap(), n_left: AtomicU32::new(16) };
    let resumed = train_in(directory.path(), &rest, &collected, &config(), variant).unwrap();
    assert_eq!(resumed.log, expected.log);
    assert_eq!(weights(directory.path()), weights(undisturbed.path()));
}

#[test]
fn a_training_that_broke_off_resumes_to_the_same_weights() {
    check_resumed(Variant::Bopo);
    check_resumed(Variant::BopoWarmStart);
}

#[test]
fn a_training_that_was_finished_is_not_repeated_unless_it_is_another() {
    let (arena, collected) = (SkillChainArena::new().unwrap(), collect());
    let directory = tempfile::tempdir().unwrap();
    let finished = train_in(directory.path(), &arena, &collected, &config(), Variant::Bopo).unwrap();
    let expected = weights(directory.path());
    let idle = Breaking { arena, n_left: AtomicU32::new(0) };
    let again = train_in(directory.path(), &idle, &collected, &config(), Variant::Bopo).unwrap();
    assert!(again.is_kept && !finished.is_kept);
    assert_eq!((again.log, weights(directory.path())), (finished.log, expected));

    let mut longer = config();
    longer.bopo.iterations += 1;
    let error = train_in(directory.path(), &idle, &collected, &longer, Variant::Bopo).unwrap_err();
    assert_eq!(error.to_string(), "skill-chain: out of order");
    // What says that it is finished is damaged: told, not taken for one that was never begun.
    std::fs::write(directory.path().join("finished.json"), "{").unwrap();
    let error = train_in(directory.path(), &idle, &collected, &config(), Variant::Bopo).unwrap_err().to_string();
    assert!(error.contains("finished.json") && error.contains("\nhint: "), "{error}");
}

#[test]
fn a_training_that_diverges_stops_with_a_hint_and_writes_no_checkpoint() {
    let (arena, collected) = (SkillChainArena::new().unwrap(), collect());
    let directory = tempfile::tempdir().unwrap();
    let mut config = config();
    config.bopo.learning_rate = 1e12;
    let error = train_in(directory.path(), &arena, &collected, &config, Variant::Bopo).unwrap_err().to_string();
    assert!(error.contains("training of `bopo` diverged at iteration 0") && error.contains("\nhint: "), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_task_without_a_label_is_named() {
    let (arena, mut collected) = (SkillChainArena::new().unwrap(), collect());
    let removed = collected.labels.remove(5);
    let directory = tempfile::tempdir().unwrap();
    let error = train_in(directory.path(), &arena, &collected, &config(), Variant::Bopo).unwrap_err().to_string();
    assert!(error.contains(&format!("task `{}` has none\nhint: ", removed.task_id)), "{error}");
}

#[test]
fn equal_boundary_costs_do_not_divide_by_zero() {
    let (arena, mut collected) = (SkillChainArena::new().unwrap(), collect());
    for label in &mut collected.labels {
        label.small.mean_cost = NanoUsd::new(1_000_000_000);
        label.large.mean_cost = NanoUsd::new(1_000_000_000);
    }
    let mut config = config();
    config.bopo.cost_normalisation = tollgate_bopo::CostNormalisation::Task;
    for advantage in [Advantage::ReferenceCritic, Advantage::Union] {
        config.bopo.advantage = advantage;
        let directory = tempfile::tempdir().unwrap();
        let trained = train_in(directory.path(), &arena, &collected, &config, Variant::Bopo).unwrap();
        assert!(trained.log.iter().all(|metrics| metrics.mean_return.is_finite()));
    }
}

#[test]
fn progress_of_other_settings_makes_way() {
    let collected = collect();
    let directory = tempfile::tempdir().unwrap();
    let breaking = Breaking { arena: SkillChainArena::new().unwrap(), n_left: AtomicU32::new(4 * 16 + 3) };
    train_in(directory.path(), &breaking, &collected, &config(), Variant::Bopo).unwrap_err();
    assert!(directory.path().join("progress-000004").is_dir());

    let mut other = config();
    other.n_hidden = 8;
    train_in(directory.path(), &SkillChainArena::new().unwrap(), &collected, &other, Variant::Bopo).unwrap();
    assert_eq!(names_in(directory.path()), ["finished.json", "policy.json", "policy.safetensors"]);
}

/// Far more than a step of the world costs, so that no cap of the test forbids a call. Nano-dollars.
const COST_OF_LARGE: u64 = 100_000_000_000;

#[test]
fn the_static_router_takes_the_model_that_the_probes_speak_for_at_every_weight() {
    let (arena, mut collected) = (SkillChainArena::new().unwrap(), collect());
    for label in &mut collected.labels {
        let probes = |successes, cost| ProbeStats {
            successes,
            episodes: 10,
            mean_cost: NanoUsd::new(cost),
            mean_score: successes as f32 / 10.0,
        };
        // Large is worth 0.4 more and costs one unit more: from a weight of 0.4 on it is not worth its price.
        (label.small, label.large) = (probes(4, COST_OF_LARGE / 5), probes(8, COST_OF_LARGE));
    }
    let directory = tempfile::tempdir().unwrap();
    let config = TrainConfig { n_hidden: 16, text_buckets: 0, ..TrainConfig::default() };
    let trained = train_in(directory.path(), &arena, &collected, &config, Variant::Static).unwrap();
    let network = Arc::new(trained.network.freeze().unwrap());
    let dollars = |nano_usd| Budget::Usd(NanoUsd::new(nano_usd));
    for (lambda, budget, n_large_expected) in [
        (0.0, Budget::Unlimited, 24),
        (0.1, Budget::Unlimited, 24),
        (0.9, Budget::Unlimited, 0),
        (1.2, Budget::Unlimited, 0),
        (0.0, Budget::LargeCalls(8), 24),
        (0.0, dollars(COST_OF_LARGE / 2), 0),
    ] {
        let chosen = |task: &Task| {
            let policy = LearnedPolicy::new("static", network.clone(), trained.spec.features, Choice::Greedy);
            let mut policy = BudgetConstrained::new(policy, budget, lambda);
            let request = RolloutRequest {
                episode_id: EpisodeId::new("e"),
                policy_id: Arc::from("static"),
                seed: 1,
                lambda,
                budget,
            };
            arena.play(task, &request, &mut policy).unwrap().steps[0].turn.action
        };
        let n_large = collected.tasks.iter().filter(|&task| chosen(task) == arena.pool().large()).count();
        assert_eq!(n_large, n_large_expected, "at a weight of {lambda} under {budget}");
    }
}
