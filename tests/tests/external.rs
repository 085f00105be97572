//! Environments outside of the program: the check, the task set, a whole pipeline, and nothing left behind.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e_tests::{Ended, expect_published, is_running, read_json, root, run, run_summary, tollgate, xtask};
use serde_json::Value;

const LIGHTS_OUT: [&str; 2] = ["python3", "examples/environments/lights_out.py"];
/// How long a condition is waited for before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

fn in_root(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

fn check(argv: &[&str]) -> Ended {
    run(in_root(tollgate()).args(["environment", "check", "--json", "--"]).args(argv))
}

fn report(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn a_whole_pipeline_runs_on_the_python_example() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = in_root(xtask());
    command.args(["pipeline", "--config", "configs/external-example.toml", "--run-dir"]).arg(dir.path());
    run(command.arg("--tollgate").arg(tollgate())).expect(0, &["caps checked violations=0"]);
    expect_published(dir.path(), &["simulate", "classify", "synthesize", "optimize", "evaluate", "report"]);
    assert_eq!(run_summary(dir.path())["succeeded"], true);
    assert_eq!(read_json(&dir.path().join("report/summary.json"))["suite"], "external");
}

#[test]
fn an_environment_that_keeps_to_the_protocol_is_told_so() {
    let ended = check(&LIGHTS_OUT);
    ended.expect(0, &[]);
    let report = report(&ended);
    assert_eq!(report["hello"]["name"], "lights-out");
    assert_eq!(report["n_failed"], 0);
    assert!(report["latency"]["step_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn an_environment_that_does_not_is_told_what_to_do() {
    let ended = check(&["sh", "-c", "echo Welcome; cat"]);
    ended.expect(2, &["1 of 15 checks failed", "hint: "]);
    let handshake = &report(&ended)["checks"][0];
    assert_eq!(handshake["verdict"], "FAILED");
    assert!(handshake["hint"].as_str().unwrap().starts_with("standard output is the conversation"), "{handshake}");
    let ended = check(&["no-such-program"]);
    ended.expect(2, &[]);
    assert_eq!(report(&ended)["checks"][0]["detail"], "`no-such-program` is not found");
    run(in_root(tollgate()).args(["environment", "check"])).expect(2, &["there is nothing to check", "hint: "]);
}

#[test]
fn the_shipped_tasks_are_those_that_the_example_lists() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.parquet");
    let mut command = in_root(tollgate());
    command.args(["tasks", "--suite", "external", "--config", "configs/external-example.toml", "--out"]).arg(&path);
    run(&mut command).expect(0, &[]);
    let shipped = fs::read(root().join("datasets/tasks/lights-out.parquet")).unwrap();
    assert!(fs::read(&path).unwrap() == shipped, "list them anew, and commit datasets/tasks/");
}

#[test]
fn a_killed_stage_leaves_no_environment_behind() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    // It never answers, and does not notice that nobody listens any more.
    let script = format!("echo $$ > {}; exec sleep 600", pid_file.display());
    let config = dir.path().join("config.toml");
    let text = format!(
        "[experiment]\nsuite = \"external\"\ntasks = \"datasets/tasks/lights-out.parquet\"\n[experiment.external]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n"
    );
    fs::write(&config, text).unwrap();
    let mut command = in_root(tollgate());
    command.args(["--threads", "1", "simulate", "--config"]).arg(&config).arg("--out").arg(dir.path().join("out"));
    let mut stage = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let pid = loop {
        match fs::read_to_string(&pid_file) {
            Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
            _ => assert!(started.elapsed() < PATIENCE, "the environment never started"),
        }
        std::thread::yield_now();
    };
    stage.kill().unwrap();
    stage.wait().unwrap();
    while is_running(&pid) {
        assert!(started.elapsed() < PATIENCE, "process {pid} outlived the stage");
        std::thread::yield_now();
    }
}
