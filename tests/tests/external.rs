//! Environments outside of the program: the check, the task set, a whole pipeline, and nothing left behind.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e_tests::{Ended, root, run, tollgate};
use serde_json::Value;

const LIGHTS_OUT: [&str; 2] = ["python3", "examples/environments/lights_out.py"];

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
