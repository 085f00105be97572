//! OpenEnv servers that hang, die, babble and hang up: each with its message, and replayed where that is possible.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod counting_world;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tollgate_environment::external::conformance::{Verdict, check_environment};
use tollgate_environment::external::{Connection, ExternalSettings, ExternalWorlds, OpenEnvFields};
use tollgate_environment::process::{ChildProcess, ProcessSpec, StdoutUse};
use tollgate_rollout::{Environment, Outcome};

use counting_world::{play, root, task};

fn fake(way: &str, marker: Option<&Path>) -> ProcessSpec {
    let mut argv = vec!["python3", "crates/environment/tests/fakes/openenv_server.py", way];
    argv.extend(marker.map(|path| path.to_str().unwrap()));
    ProcessSpec { current_dir: Some(root()), ..ProcessSpec::new(argv) }
}

fn settings_of(process: ProcessSpec) -> ExternalSettings {
    let fields = OpenEnvFields { is_deterministic: true, ..OpenEnvFields::default() };
    let mut settings = ExternalSettings::new(Connection::OpenEnvCommand { process, fields });
    settings.max_message_bytes = 1 << 20;
    settings
}

fn breaking(way: &str, marker: Option<&Path>) -> ExternalSettings {
    let mut settings = settings_of(fake(way, marker));
    settings.timeouts.step = Duration::from_secs(1);
    settings
}

/// A running server that is not the client's to start, and its URL.
fn serve(way: &str) -> (ChildProcess, String) {
    let port = free_port();
    let mut process = fake(way, None);
    process.env.push(("PORT".into(), port.to_string().into()));
    let server = ChildProcess::start(&process).unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    // The server is not ours, so nothing else waits for it to start.
    while ExternalWorlds::new(ExternalSettings::new(at(&url, 1))).environment().reset(&task(), 1).is_err() {
        std::thread::yield_now();
    }
    (server, url)
}

fn at(url: &str, max_sessions: usize) -> Connection {
    Connection::OpenEnvUrl { url: url.to_owned(), max_sessions, fields: OpenEnvFields::default() }
}

#[track_caller]
fn check_error(way: &str, n_seen: usize, expected: &str) {
    let mut settings = breaking(way, None);
    settings.max_restarts = 0;
    settings.timeouts.start = Duration::from_secs(if n_seen == 0 { 2 } else { 20 });
    let (seen, outcome, _) = play(settings);
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains(expected), "{way}: expected `{expected}` in:\n{message}");
    assert_eq!(seen.len(), n_seen, "{way}: {seen:?}");
}

#[test]
fn an_episode_is_played_and_pings_are_answered() {
    for way in ["not-at-all", "pings"] {
        let (seen, outcome, n_restarts) = play(breaking(way, None));
        assert_eq!(seen, ["0", "1 a", "2 b", "3 c", "4 d", "5 e"], "{way}");
        assert_eq!((outcome, n_restarts), (Ok(Outcome { is_success: true, score: 1.0 }), 0), "{way}");
    }
}

#[test]
fn a_server_that_breaks_once_is_replaced_and_the_episode_replayed() {
    for way in ["hangs", "dies", "hangs-up", "binary", "no-json", "too-long", "no-text"] {
        let dir = tempfile::tempdir().unwrap();
        let (seen, outcome, n_restarts) = play(breaking(way, Some(&dir.path().join("marker"))));
        assert_eq!(seen, ["0", "1 a", "2 b", "3 c", "4 d", "5 e"], "{way}: {outcome:?}");
        assert_eq!(n_restarts, 1, "{way}");
    }
}

#[test]
fn each_way_to_break_is_told() {
    check_error("hangs", 3, "did not answer `step` within 1 s");
    check_error("dies", 3, "`python3` exited with code 3; its last words on stderr:\nout of memory, or so");
    check_error("hangs-up", 3, "the server closed the connection after `step`: 1011 tired");
    check_error("binary", 3, "`step` was answered in binary");
    check_error("no-json", 3, "answered `step` with \"Internal Server Error\": expected value at line 1");
    check_error("too-long", 3, "`step` was answered by a message that is too long");
    check_error("no-text", 3, "`observation.text` is 3, expected a text");
    check_error("refuses", 3, "refused `step`: the lamp is broken (EXECUTION_ERROR)");
    check_error("full", 0, "hint: let the server take more sessions, or lower `max_sessions` in the config");
}

#[test]
fn a_server_that_is_none_is_told() {
    check_error("exits-at-start", 0, "ModuleNotFoundError: No module named 'openenv'");
    check_error("never-listens", 0, "its last words:\nwarming up");
    check_error("html", 0, "`/health` is not JSON");
    check_error("unhealthy", 0, "expected the status \"healthy\"");
    check_error("old", 0, "`/schema` answers 404 Not Found: \"nothing here\"");
    check_error("no-websocket", 0, "`/ws` does not open a WebSocket");
}

#[test]
fn a_server_at_a_url_is_shared_by_its_sessions_and_players_beyond_them_wait() {
    let (_server, url) = serve("not-at-all");
    let mut settings = ExternalSettings::new(at(&url, 2));
    settings.timeouts.start = Duration::from_secs(5);
    let worlds = ExternalWorlds::new(settings);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut world = worlds.environment();
                assert_eq!(world.reset(&task(), 1).unwrap().text, "0");
                assert_eq!(world.step("a").unwrap().observation.text, "1 a");
            });
        }
    });
    let (_, nobody, _) = play(ExternalSettings::new(at("http://127.0.0.1:1", 2)));
    assert!(nobody.unwrap_err().to_string().contains("http://127.0.0.1:1: `/health`: "));
    let (_, elsewhere, _) = play(ExternalSettings::new(at("ftp://127.0.0.1", 2)));
    assert!(elsewhere.is_err());
}

#[test]
fn a_session_is_over_at_the_server_before_the_next_one_begins() {
    let (_server, url) = serve("one-at-a-time");
    for _ in 0..5 {
        let (seen, outcome, _) = play(ExternalSettings::new(at(&url, 1)));
        assert_eq!(seen.len(), 6, "{outcome:?}");
    }
}

#[test]
fn a_server_of_one_session_passes_every_check() {
    let (_server, url) = serve("one-at-a-time");
    let fields = OpenEnvFields { is_deterministic: true, ..OpenEnvFields::default() };
    let settings = ExternalSettings::new(Connection::OpenEnvUrl { url, max_sessions: 1, fields });
    check_example(&settings, &["the expert solves the task", "a killed world is replayed"]);
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Python with the package, if there is one: the project's own, or the one in `PATH`.
fn python_with(module: &str) -> Option<String> {
    let own = root().join(".venv/bin/python");
    let candidates = [own.to_str().unwrap().to_owned(), "python3".to_owned()];
    let found = candidates.into_iter().find(|python| {
        let import = Command::new(python).args(["-c", &format!("import {module}")]).output();
        import.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        let is_ci = std::env::var_os("CI").is_some();
        assert!(!is_ci, "Python has no module `{module}`; tests/interop/requirements.txt names its package");
        let _ = writeln!(std::io::stderr(), "not checked: Python has no module `{module}`");
    }
    found
}

/// Asserts that every check passed, but for those that may be skipped.
#[track_caller]
fn check_example(settings: &ExternalSettings, may_skip: &[&str]) {
    let report = check_environment(settings, 1);
    let not_passed: Vec<_> = report
        .checks
        .iter()
        .filter(|check| !matches!(check.verdict, Verdict::Passed(_)))
        .filter(|check| !(matches!(check.verdict, Verdict::Skipped(_)) && may_skip.contains(&check.name)))
        .collect();
    assert!(not_passed.is_empty() && report.latency.is_some(), "{not_passed:?}");
}

#[test]
fn the_example_on_a_real_openenv_server_passes_every_check() {
    let Some(python) = python_with("openenv.core.env_server") else { return };
    let port = free_port();
    let mut process = ProcessSpec::new([&python, "examples/environments/openenv_lights_out.py"]);
    process.current_dir = Some(root());
    process.stdout = StdoutUse::Log;
    process.env.push(("PORT".into(), port.to_string().into()));
    let mut server = ChildProcess::start(&process).unwrap();
    // One server for all checks, because the package takes seconds to load.
    let connection = Connection::OpenEnvUrl {
        url: format!("http://127.0.0.1:{port}"),
        max_sessions: 8,
        fields: OpenEnvFields { is_deterministic: true, ..OpenEnvFields::default() },
    };
    let settings = ExternalSettings::new(connection);
    while ExternalWorlds::new(settings.clone()).environment().reset(&task(), 1).is_err() {
        assert!(server.is_alive(), "{}", server.ended());
        std::thread::yield_now();
    }
    check_example(&settings, &["a killed world is replayed"]);
}

#[test]
fn the_gymnasium_examples_pass_every_check() {
    let Some(python) = python_with("gymnasium") else { return };
    for environment in ["FrozenLake-v1", "Taxi-v4"] {
        let argv = [&python, "examples/environments/gymnasium_text.py", environment];
        let process = ProcessSpec { current_dir: Some(root()), ..ProcessSpec::new(argv) };
        check_example(&ExternalSettings::new(Connection::JsonLines(process)), &[]);
    }
}
