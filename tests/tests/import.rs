//! `tollgate import` and `tollgate prices` from outside: what stays when they are stopped, and what becomes of a log.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e_tests::{names_in, root, run, tollgate};
use serde_json::Value;

const MAP: &str = r#"
[[pool]]
id = "small"
input_usd_per_million = 1.0
cached_input_usd_per_million = 1.0
output_usd_per_million = 1.0
[[pool]]
id = "large"
input_usd_per_million = 10.0
cached_input_usd_per_million = 10.0
output_usd_per_million = 10.0
"#;

/// Both models on every task, two steps each; the words hardly compress.
fn log(n_tasks: u64) -> String {
    let mut log = String::new();
    for task in 0..n_tasks {
        for (model, cost) in [("small", 0.0001), ("large", 0.001)] {
            for step in 0..2_u64 {
                let number = |word: u64| (task * 97 + step * 31 + word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let words: String = (0..20).map(|word| number(word).to_string()).collect();
                let is_success = model == "large" || task % 2 == 0;
                let row = serde_json::json!({
                    "task_id": format!("t{task}"), "group": format!("g{}", task % 7), "model": model, "trial": 0,
                    "step_index": step, "n_steps": 2, "max_steps": 5, "observation": words, "action": "do",
                    "prompt_tokens": 90, "completion_tokens": 10, "cost_usd": cost, "token_source": "estimated",
                    "terminal_reward": u8::from(is_success), "success": is_success,
                });
                log.push_str(&row.to_string());
                log.push('\n');
            }
        }
    }
    log
}

fn import(directory: &Path, log: &str) -> Command {
    fs::write(directory.join("map.toml"), MAP).unwrap();
    let mut command = Command::new(tollgate());
    command.current_dir(directory).args([
        "import",
        "--format",
        "steps-jsonl",
        log,
        "--map",
        "map.toml",
        "--out",
        "out",
    ]);
    command
}

#[test]
fn an_imported_log_is_probes_for_classify() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("log.jsonl"), log(20)).unwrap();
    let ended = run(import(directory.path(), "log.jsonl").arg("--json"));
    ended.expect(0, &[]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["n_episodes"], &report["skipped"]), (&40.into(), &serde_json::json!({})));
    assert_eq!(
        names_in(&directory.path().join("out")),
        ["episodes.parquet", "skipped.jsonl", "steps.parquet", "tasks.parquet"]
    );
    let mut classify = Command::new(tollgate());
    classify.current_dir(root()).arg("classify").arg("--episodes").arg(directory.path().join("out/episodes.parquet"));
    run(classify.arg("--out").arg(directory.path().join("labels")))
        .expect(0, &["difficulty=\"easy\" n_tasks=10", "difficulty=\"hard\" n_tasks=10"]);
}

#[test]
fn an_import_that_is_killed_leaves_nothing_at_its_place_and_the_next_one_works() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = import(directory.path(), "-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(log(200).as_bytes()).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !directory.path().join("out.partial").exists() {
        assert!(Instant::now() < deadline, "the import never started");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stdin);
    assert!(!directory.path().join("out").exists());
    fs::write(directory.path().join("log.jsonl"), log(20)).unwrap();
    run(&mut import(directory.path(), "log.jsonl")).expect(0, &[]);
    assert_eq!(names_in(directory.path()), ["log.jsonl", "map.toml", "out"]);
}

#[test]
fn a_disk_that_is_full_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("log.jsonl"), log(3_000)).unwrap();
    let import = import(directory.path(), "log.jsonl");
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]).current_dir(directory.path());
    let ended = run(limited.arg(import.get_program()).args(import.get_args()));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("File too large") || ended.stderr.contains("no space left"), "{}", ended.stderr);
    assert_eq!(names_in(directory.path()), ["log.jsonl", "map.toml"]);
}

#[test]
fn bad_rows_are_told_with_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("log.jsonl"), log(2) + "{\"task_id\":\"t9\",\"model\":\"small\"}\nnonsense\n")
        .unwrap();
    let ended = run(&mut import(directory.path(), "log.jsonl"));
    ended.expect(0, &[]);
    for line in [
        "skipped: log.jsonl:9: missing_usage: has no count of prompt tokens",
        "skipped: log.jsonl:10: not_json: expected an object at byte 0",
    ] {
        assert!(ended.stdout.contains(line), "{}", ended.stdout);
    }
    fs::remove_dir_all(directory.path().join("out")).unwrap();
    let expected =
        ["error: log.jsonl:9: missing_usage: has no count of prompt tokens", "hint: a step without tokens has no cost"];
    run(import(directory.path(), "log.jsonl").arg("--strict")).expect(2, &expected);
    assert!(!directory.path().join("out").exists());
}

#[test]
fn prices_are_pinned_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let table = |input: &str| {
        let text = format!(
            "{{\"gpt-x\": {{\"litellm_provider\": \"openai\", \"mode\": \"chat\", \"input_cost_per_token\": {input}, \"output_cost_per_token\": 6e-07}}, \"free\": {{\"mode\": \"chat\"}}}}"
        );
        fs::write(directory.path().join("table.json"), text).unwrap();
    };
    table("1.5e-07");
    let prices = |args: &[&str]| {
        run(Command::new(tollgate()).current_dir(directory.path()).args(["prices", "--table", "table.json"]).args(args))
    };
    prices(&["gpt-x", "--out", "prices.toml"]).expect(0, &[]);
    prices(&["--check", "prices.toml"]).expect(0, &[]);
    table("2e-07");
    let drifted = prices(&["--check", "prices.toml"]);
    drifted.expect(2, &["differences to table.json"]);
    assert!(drifted.stdout.contains("input_usd_per_million") && drifted.stdout.contains("0.15"), "{}", drifted.stdout);
    prices(&["free"]).expect(
        2,
        &["error: table.json: model `free` has no price per token", "hint: an unpriced model would pass every budget"],
    );
    prices(&["gpt-y"]).expect(2, &["hint: did you mean `gpt-x`?"]);
}
