//! Worlds that hang, die, babble and lie: each with its message, and replayed where that is possible.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod counting_world;

use std::path::Path;
use std::time::Duration;

use tollgate_environment::TextWorld;
use tollgate_environment::external::conformance::{Verdict, check_environment};
use tollgate_environment::external::{Connection, ExternalArena, ExternalSettings, ExternalWorlds};
use tollgate_environment::process::ProcessSpec;
use tollgate_rollout::{AlwaysSmall, Arena, Environment, Outcome, RolloutRequest};
use tollgate_routing::{Budget, EpisodeId, Model, ModelPool, Prices, Task};

use counting_world::{play, root, task};

fn settings(argv: &[&str]) -> ExternalSettings {
    let mut process = ProcessSpec::new(argv);
    process.current_dir = Some(root());
    let mut settings = ExternalSettings::new(Connection::JsonLines(process));
    settings.max_message_bytes = 1 << 20;
    settings
}

/// A counting world that breaks in a way; with a marker file only in the process that finds none.
fn breaking(way: &str, marker: Option<&Path>) -> ExternalSettings {
    let mut argv = vec!["python3", "crates/environment/tests/fakes/broken_world.py", way];
    argv.extend(marker.map(|path| path.to_str().unwrap()));
    let mut settings = settings(&argv);
    // Nobody but a world that hangs may be given up for its slowness, however busy the machine is.
    settings.timeouts.step = Duration::from_secs(if way == "hangs" { 3 } else { 60 });
    settings
}

#[track_caller]
fn check_error(settings: ExternalSettings, n_seen: usize, expected: &str) {
    let (seen, outcome, _) = play(settings);
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains(expected), "expected `{expected}` in:\n{message}");
    assert_eq!(seen.len(), n_seen, "{seen:?}");
}

#[test]
fn a_world_is_played_to_its_end() {
    let (seen, outcome, n_restarts) = play(breaking("not-at-all", None));
    assert_eq!(seen, ["0", "1 a", "2 b", "3 c", "4 d", "5 e"]);
    assert_eq!((outcome, n_restarts), (Ok(Outcome { is_success: true, score: 1.0 }), 0));
}

#[test]
fn a_slow_world_is_waited_for() {
    let (seen, _, n_restarts) = play(breaking("slow", None));
    assert_eq!((seen.len(), n_restarts), (6, 0));
}

#[test]
fn what_breaks_once_is_replaced_and_the_episode_replayed() {
    for way in ["hangs", "dies", "babbles", "long-line", "not-utf8", "wrong-id", "not-a-number", "no-text", "score-2"] {
        let dir = tempfile::tempdir().unwrap();
        let (seen, outcome, n_restarts) = play(breaking(way, Some(&dir.path().join("marker"))));
        assert_eq!(seen, ["0", "1 a", "2 b", "3 c", "4 d", "5 e"], "{way}");
        assert_eq!((outcome, n_restarts), (Ok(Outcome { is_success: true, score: 1.0 }), 1), "{way}");
    }
    let dir = tempfile::tempdir().unwrap();
    let (seen, _, n_restarts) = play(breaking("dies-at-reset", Some(&dir.path().join("marker"))));
    assert_eq!((seen.len(), n_restarts), (6, 1));
}

#[test]
fn what_breaks_again_and_again_is_told() {
    let again = "hint: so it went after 2 restarts as well";
    check_error(breaking("dies", None), 3, again);
    check_error(breaking("dies", None), 3, "exited with code 3; its last words on stderr:\nout of memory, or so");
    check_error(breaking("hangs", None), 3, "`python3` did not answer within 2.");
    check_error(
        breaking("babbles", None),
        3,
        "answered `step` with \"debug: step 3\": expected value at line 1 column 1",
    );
    check_error(breaking("babbles", None), 3, "print anything else to standard error");
    check_error(breaking("long-line", None), 3, "wrote a line of more than 1048576 bytes, beginning with");
    check_error(breaking("not-utf8", None), 3, "wrote a line that is not UTF-8");
    check_error(breaking("wrong-id", None), 3, "its `id` is 77, expected");
    check_error(breaking("not-a-number", None), 3, "expected value");
    check_error(breaking("no-text", None), 3, "invalid type: integer `3`, expected a string");
    check_error(breaking("score-2", None), 3, "`info.score` is 2, expected a grade from 0 to 1");
}

#[test]
fn what_no_restart_mends_is_told_at_once() {
    check_error(breaking("refuses", None), 3, "external: `python3` refused `step`: the lamp is broken");
    check_error(breaking("version-7", None), 0, "speaks version 7 of the environment protocol, expected 1");
    check_error(breaking("signals", None), 0, "its observations carry 2 signals, expected 0");
    check_error(breaking("exits-at-start", None), 0, "ModuleNotFoundError: No module named 'world'");
    let mut silent = breaking("silent", None);
    silent.timeouts.start = Duration::from_secs(1);
    silent.max_restarts = 0;
    check_error(silent, 0, "`python3` did not answer within 0.");
    check_error(settings(&["no-such-program"]), 0, "`no-such-program` is not found\nhint: ");
}

#[test]
fn a_world_of_chance_is_not_replayed() {
    let expected =
        "hint: an environment that says `is_deterministic` in its `hello` is restarted, and the episode replayed";
    check_error(breaking("chancy", None), 3, expected);
}

#[test]
fn a_world_that_is_not_as_deterministic_as_it_says_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let settings = breaking("forgetful", Some(&dir.path().join("marker")));
    check_error(settings, 3, "after a restart, observation 1 of the replayed episode is \"1 a?\", expected \"1 a\"");
}

#[test]
fn a_task_of_another_environment_is_refused() {
    let mut world = ExternalWorlds::new(breaking("not-at-all", None)).environment();
    let error = world.reset(&Task { environment: "household".into(), ..task() }, 1).unwrap_err();
    assert!(error.to_string().starts_with("task `count` is of environment `household`, expected `external`"));
    assert!(world.step("a").unwrap_err().to_string().contains("outside of an episode"));
}

#[test]
fn a_model_without_a_profile_is_named() {
    let model = |id: &str| Model::new(id, Prices::per_million_usd(1.0, 1.0, 1.0, 1.0).unwrap()).unwrap();
    let pool = ModelPool::new(vec![model("small"), model("large")]).unwrap();
    let arena = ExternalArena::new(ExternalWorlds::new(settings(&["no-such-program"])), pool, Vec::new());
    let request = RolloutRequest {
        episode_id: EpisodeId::new("e"),
        policy_id: "always-small".into(),
        seed: 1,
        lambda: 0.0,
        budget: Budget::Unlimited,
    };
    let message = arena.play(&task(), &request, &mut AlwaysSmall).unwrap_err().to_string();
    assert!(message.starts_with("model `small` gave no answer: it has no simulated profile\nhint: "), "{message}");
}

#[test]
fn the_example_passes_every_check() {
    let report = check_environment(&settings(&["python3", "examples/environments/lights_out.py"]), 1);
    let not_passed: Vec<_> =
        report.checks.iter().filter(|check| !matches!(check.verdict, Verdict::Passed(_))).collect();
    assert!(not_passed.is_empty() && report.latency.is_some(), "{not_passed:?}");
}

#[test]
fn the_example_tells_commands_expert_and_score() {
    let mut world = ExternalWorlds::new(settings(&["python3", "examples/environments/lights_out.py"])).environment();
    world.reset(&task(), 1).unwrap();
    assert_eq!(world.admissible().len(), 10);
    let mut scores = vec![world.outcome().score];
    while let Some(command) = world.expert().map(str::to_owned) {
        let transition = world.step(&command).unwrap();
        scores.push(world.outcome().score);
        assert_eq!(transition.terminated, world.outcome().is_success);
    }
    assert!(scores.is_sorted() && scores.first() == Some(&0.0) && scores.last() == Some(&1.0), "{scores:?}");
}

#[test]
fn a_check_names_what_is_wrong() {
    let report = check_environment(&breaking("version-7", None), 1);
    assert_eq!((report.n_failed(), report.hello), (1, None));
    let report = check_environment(&breaking("dies", None), 1);
    let failed: Vec<_> = report
        .checks
        .iter()
        .filter(|check| matches!(check.verdict, Verdict::Failed { .. }))
        .map(|check| check.name)
        .collect();
    assert!(failed.contains(&"an episode is repeatable") && failed.contains(&"the end is final"), "{failed:?}");
    assert!(failed.contains(&"a malformed message is an error") && !failed.contains(&"close ends it"), "{failed:?}");
}
