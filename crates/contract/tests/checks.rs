//! What makes no sense is found, and what makes sense passes.

#![expect(clippy::unwrap_used, reason = "a test file: helpers fail as tests do")]

mod exhibits;

use exhibits::{episodes, evaluations, examples, frontier, labels, steps, tasks, training_log};
use tollgate_contract::{ArtifactKind, ArtifactRow, Checks, EpisodeRow, StepRow};
use tollgate_routing::{BoundaryLabel, Budget, Difficulty, EpisodeId, ModelIndex, NanoUsd, SftExample, Split, TaskId};

fn feed<R: ArtifactRow>(checks: &mut Checks, rows: &[R]) {
    checks.begin(R::KIND);
    for chunk in rows.chunks(2) {
        checks.feed(R::KIND, &R::to_batch(chunk).unwrap()).unwrap();
    }
}

#[track_caller]
fn check_found(checks: Checks, expected: &str) {
    let error = checks.finish().unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("\nhint: docs/contract/"), "{error}");
}

/// Feeds rows of one artifact alone, after a change.
#[track_caller]
fn check_alone<R: ArtifactRow>(mut rows: Vec<R>, change: impl Fn(&mut Vec<R>), expected: &str) {
    change(&mut rows);
    let mut checks = Checks::new(Some(2));
    feed(&mut checks, &rows);
    check_found(checks, &format!("{}: {expected}", R::KIND.file_name()));
}

/// Feeds episodes and their steps, after a change.
#[track_caller]
fn check_played(change: impl Fn(&mut Vec<EpisodeRow>, &mut Vec<StepRow>), expected: &str) {
    let (mut episodes, mut steps) = (episodes(), steps());
    change(&mut episodes, &mut steps);
    let mut checks = Checks::new(Some(2));
    feed(&mut checks, &episodes);
    feed(&mut checks, &steps);
    check_found(checks, expected);
}

#[test]
fn a_consistent_run_passes_and_is_summed_up() {
    let mut checks = Checks::new(Some(2));
    feed(&mut checks, &tasks());
    feed(&mut checks, &steps());
    feed(&mut checks, &episodes());
    feed(&mut checks, &labels());
    feed(&mut checks, &examples());
    feed(&mut checks, &training_log());
    feed(&mut checks, &evaluations());
    feed(&mut checks, &frontier()[..2]);
    let summary = checks.finish().unwrap();
    assert_eq!(summary.rows[&ArtifactKind::Steps], 4);
    assert_eq!(summary.totals[&ArtifactKind::Episodes]["total_cost_nano_usd"], 3_800_000);
    assert_eq!(summary.totals[&ArtifactKind::BoundaryLabels]["n_easy"], 1);
}

#[test]
fn rows_that_make_no_sense_alone_are_found() {
    check_alone(tasks(), |rows| rows[1].horizon = 0, "column `horizon` is 0 in row 1, expected at least 1");
    check_alone(episodes(), |rows| rows[3].score = 1.5, "column `score` is 1.5 in row 3, expected 0 to 1");
    check_alone(episodes(), |rows| rows[2].score = f32::NAN, "column `score` is NaN or infinite in row 2");
    check_alone(episodes(), |rows| rows[0].lambda = -0.1, "column `lambda` is -0.1 in row 0, expected 0 or more");
    check_alone(
        episodes(),
        |rows| rows[0].n_large_calls = 9,
        "column `n_large_calls` is 9 in row 0, expected at most `n_steps`, 2",
    );
    check_alone(
        episodes(),
        |rows| rows[3].episode_id = EpisodeId::new("e-0"),
        "column `episode_id` is `e-0` in row 3, expected a name of its own",
    );
    check_alone(steps(), |rows| rows[3].step.log_prob = 0.5, "column `log_prob` is 0.5 in row 3, expected 0 or less");
    check_alone(steps(), |rows| rows[1].step_idx = 2, "column `step_idx` is 2 in row 1, expected 1 in episode `e-0`");
    check_alone(
        steps(),
        |rows| rows[2].step.turn.observation.signals[0] = f32::INFINITY,
        "column `signals` is NaN or infinite in row 2",
    );
    check_alone(
        steps(),
        |rows| rows.swap(1, 2),
        "column `episode_id` is `e-0` in row 2, expected the steps of an episode to be neighbours",
    );
    check_alone(
        steps(),
        |rows| rows[3].model_id = "gpt-5".into(),
        "column `model_id` is `gpt-5` in row 3, expected `gpt-4.1-mini` as before for action 0",
    );
    check_alone(
        steps(),
        |rows| rows[2].step.turn.action = ModelIndex::new(2),
        "column `action` is 2 in row 2, expected an index of a pool of 2 models",
    );
    check_alone(
        evaluations(),
        |rows| rows[1].is_violation = true,
        "column `is_violation` is true in row 1, expected false for $0.002000 and 1 large calls under 2 large calls",
    );
    check_alone(
        evaluations(),
        |rows| rows[2].episode.total_cost = NanoUsd::new(1_000_001),
        "column `is_violation` is false in row 2, expected true",
    );
}

#[test]
fn derived_rows_that_make_no_sense_alone_are_found() {
    let label = |change: fn(&mut BoundaryLabel), expected| check_alone(labels(), |rows| change(&mut rows[0]), expected);
    label(|row| row.small.episodes = 0, "column `small_episodes` is 0 in row 0, expected at least one probe");
    label(
        |row| row.large.successes = 2,
        "column `large_successes` is 2 in row 0, expected at most `large_episodes`, 1",
    );
    label(
        |row| row.difficulty = Difficulty::Intractable,
        "column `difficulty` is `intractable` in row 0, expected a task that no probe solved",
    );
    let example =
        |change: fn(&mut SftExample), expected| check_alone(examples(), |rows| change(&mut rows[1]), expected);
    example(|row| row.weight = 0.0, "column `weight` is 0 in row 1, expected above 0");
    example(|row| row.weight = 5.0, "column `weight` has mean 2.75, expected 1");
    example(
        |row| row.difficulty = Difficulty::Hard,
        "column `difficulty` is `hard` in row 1, expected `easy` as before",
    );
    example(
        |row| row.action = ModelIndex::new(2),
        "column `action` is 2 in row 1, expected an index of a pool of 2 models",
    );
    check_alone(training_log(), |rows| rows[2].iteration = 0, "column `iteration` is 0 in row 2, expected more than 0");
    check_alone(training_log(), |rows| rows[1].env_steps = u64::MAX / 2, "column `env_steps` is 5000000000 in row 2");
    check_alone(
        training_log(),
        |rows| rows[2].metrics.entropy = Some(f32::NAN),
        "column `entropy` is NaN or infinite in row 2",
    );
    check_alone(
        training_log(),
        |rows| rows[1].metrics.large_share = Some(1.5),
        "column `large_share` is 1.5 in row 1, expected 0 to 1",
    );
    check_alone(
        frontier(),
        |rows| rows[2].success_rate = 0.9,
        "column `success_rate` is 0.9 in row 2, expected within its interval, 0.25 to 0.75",
    );
}

#[test]
fn episodes_that_differ_from_their_steps_are_found() {
    check_played(
        |episodes, _| episodes[0].n_steps = 3,
        "episodes.parquet: episode `e-0`: column `n_steps` is 3, expected 2 by its rows in `steps`",
    );
    check_played(
        |episodes, _| episodes[1].total_cost = NanoUsd::new(1),
        "episode `e-1`: column `total_cost_nano_usd` is 1, expected 2000000",
    );
    check_played(|episodes, _| episodes[0].n_large_calls = 1, "episode `e-0`: column `n_large_calls` is 1, expected 0");
    check_played(
        |episodes, _| drop(episodes.remove(1)),
        "steps.parquet: episode `e-1` has steps, expected a row in `episodes`",
    );
    check_played(
        |_, steps| steps[3].step.remaining = None,
        "episode `e-2`: column `remaining_nano_usd` ends at null, expected at most 400000",
    );
    check_played(|_, steps| drop(steps.split_off(3)), "episode `e-2`: column `n_steps` is 1, expected 0");
}

#[test]
fn costs_that_no_sum_can_hold_are_summed_up_to_the_most_that_one_can() {
    let most = NanoUsd::new(i64::MAX.unsigned_abs());
    let dear = |step_idx| {
        let mut row = steps().remove(0);
        (row.step_idx, row.step.turn.cost) = (step_idx, most);
        row
    };
    check_played(
        |episodes, steps| {
            (episodes[0].n_steps, episodes[0].total_cost) = (3, most);
            drop(steps.splice(..2, (0..3).map(dear)));
        },
        "episode `e-0`: column `total_cost_nano_usd` is 9223372036854775807, expected 18446744073709551615",
    );

    let mut rows = episodes();
    for row in &mut rows {
        (row.budget, row.total_cost) = (Budget::Unlimited, most);
    }
    let mut checks = Checks::new(Some(2));
    feed(&mut checks, &rows);
    let totals = checks.finish().unwrap().totals;
    assert_eq!(totals[&ArtifactKind::Episodes]["total_cost_nano_usd"], u64::MAX);
}

#[test]
fn artifacts_that_contradict_each_other_are_found() {
    let with_tasks = |change: &dyn Fn(&mut Vec<EpisodeRow>), expected| {
        let mut rows = episodes();
        change(&mut rows);
        let mut checks = Checks::new(None);
        feed(&mut checks, &rows);
        feed(&mut checks, &tasks());
        check_found(checks, expected);
    };
    with_tasks(&|rows| rows[0].task_id = TaskId::new("x"), "episode `e-0`: task `x` is not among the tasks");
    with_tasks(
        &|rows| rows[0].split = Split::Test,
        "episode `e-0`: split `test` and environment `household`, expected `train` and `household`",
    );
    with_tasks(
        &|rows| rows[0].n_steps = 31,
        "episode `e-0`: column `n_steps` is 31, expected at most the task's horizon, 30",
    );

    let mut checks = Checks::new(None);
    feed(&mut checks, &episodes()[1..]);
    feed(&mut checks, &labels());
    check_found(
        checks,
        "task `household-train-0`: rests on 1 probes of `always-small`, expected at most the 0 in `episodes`",
    );

    let mut checks = Checks::new(None);
    feed(&mut checks, &episodes()[1..]);
    feed(&mut checks, &examples());
    check_found(checks, "step 1 of episode `e-0` of task `household-train-0` is not among the episodes");

    let mut checks = Checks::new(None);
    let mut easy = labels();
    easy[0].difficulty = Difficulty::Hard;
    feed(&mut checks, &easy);
    feed(&mut checks, &examples());
    check_found(checks, "column `difficulty` is `easy`, expected hard as in `boundary_labels`");

    let mut checks = Checks::new(None);
    feed(&mut checks, &evaluations()[..1]);
    feed(&mut checks, &frontier());
    check_found(checks, "frontier.parquet: row 1: policy `bopo` on split `train` has no row in `evaluations`");
}

#[test]
fn many_findings_are_counted_and_the_first_few_are_listed() {
    let rows: Vec<_> = (0..100)
        .map(|n| EpisodeRow {
            episode_id: EpisodeId::new(&n.to_string()),
            score: 2.0,
            budget: Budget::Unlimited,
            ..episodes()[0].clone()
        })
        .collect();
    check_alone(rows.clone(), |_| (), "column `score` is 2 in row 0");
    check_alone(rows, |_| (), "column `score` is 2 in row 7, expected 0 to 1\nand 92 more\nhint: ");
}
