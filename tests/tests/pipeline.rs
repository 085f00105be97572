//! The whole pipeline with the real stages: one small run, and what must hold of it and around it.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use e2e_tests::{
    Ended, expect_published, names_in, output_digests, read_json, root, run, run_summary, slot_statuses, tollgate,
    xtask,
};
use tempfile::TempDir;

const ALL: [&str; 6] = ["simulate", "classify", "synthesize", "optimize", "evaluate", "report"];
/// Slots whose outputs may not depend on the machine, the threads or the moment.
const REPRODUCIBLE: [&str; 5] = ["simulate", "classify", "synthesize", "optimize", "evaluate"];
/// How long a condition is waited for before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

fn pipeline(config: &Path, run_dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(xtask());
    command.current_dir(root()).arg("pipeline").arg("--config").arg(config).arg("--run-dir").arg(run_dir);
    command.arg("--tollgate").arg(tollgate()).args(args).stdin(Stdio::null());
    command
}

/// The small run that the tests share; nobody may change it.
fn shared_run() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    RUN.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        run(&mut pipeline(&small(), dir.path(), &[])).expect(0, &["caps checked violations=0"]);
        dir
    })
    .path()
}

fn small() -> PathBuf {
    root().join("configs/small.toml")
}

/// A copy of the shared run's published slots.
fn copy_of_shared_run(slots: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for slot in slots {
        copy_dir(&shared_run().join(slot), &dir.path().join(slot));
    }
    dir
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names_in(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy_dir(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

#[track_caller]
fn expect_same_digests(run_dir: &Path, slots: &[&str]) {
    for slot in slots {
        let digests = output_digests(run_dir, slot);
        assert!(!digests.is_empty());
        assert_eq!(digests, output_digests(shared_run(), slot), "{slot}");
    }
}

#[test]
fn a_small_run_publishes_every_slot_and_violates_no_budget() {
    expect_published(shared_run(), &ALL);
    let summary = run_summary(shared_run());
    assert_eq!(summary["succeeded"], true);
    let figures = read_json(&shared_run().join("report/summary.json"));
    let policies = figures["policies"].as_array().unwrap();
    assert!(policies.iter().all(|policy| policy["violations"] == 0));
    assert!(policies.iter().any(|policy| policy["policy_id"] == "bopo" && policy["budget_kind"] == "large_calls"));
    let page = fs::read_to_string(shared_run().join("report/report.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("src=\"http"), "the page is not self-contained");
}

#[test]
fn the_oracle_is_ahead_of_every_policy_under_every_cap() {
    let summary = read_json(&shared_run().join("report/summary.json"));
    let policies = summary["policies"].as_array().unwrap();
    let capped = |policy: &&serde_json::Value| policy["budget_kind"] == "large_calls";
    let success = |policy: &serde_json::Value| policy["success_rate"].as_f64().unwrap();
    let oracle: Vec<_> = policies.iter().filter(capped).filter(|policy| policy["policy_id"] == "oracle").collect();
    assert_eq!(oracle.len(), 4);
    for best in oracle {
        let others = policies.iter().filter(capped).filter(|policy| policy["budget_value"] == best["budget_value"]);
        let others: Vec<f64> = others.map(success).collect();
        assert!(others.len() > 3 && others.iter().all(|&other| other <= success(best)), "{best} {others:?}");
    }
}

#[test]
fn a_study_writes_every_figure_with_its_interval_and_twice_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let study = |out: &Path| {
        let mut command = Command::new(tollgate());
        command.arg("study").arg("--config").arg(small()).arg("--run-dir").arg(shared_run()).arg("--out").arg(out);
        run(command.current_dir(root())).expect(0, &[]);
        fs::read_to_string(out.join("README.md")).unwrap()
    };
    let page = study(&dir.path().join("one"));
    assert_eq!(page, study(&dir.path().join("two")));
    for piece in [
        "## Frontier",
        "## Operating points",
        "## Success less",
        "## Giving up",
        "## Success under a hard cap",
        "## What trying would reach",
        "0 passed their cap",
    ] {
        assert!(page.contains(piece), "{piece}\n{page}");
    }
    // Money of both, share saved, success lost, share given up.
    let given_up = page.lines().skip_while(|line| *line != "## Giving up").find(|line| line.starts_with("| 0.3 |"));
    assert_eq!(given_up.map(|line| line.matches('(').count()), Some(5), "{page}");
    // Value, then its interval.
    let area = page.lines().find(|line| line.starts_with("| cascade |")).unwrap();
    assert!(area.matches('(').count() == 2 && area.matches(", ").count() == 2, "{area}");
    // Rival, BoPO, oracle and what is recovered, for the frontier and for every cap.
    let trying = page.lines().skip_while(|line| *line != "## What trying would reach");
    assert_eq!(trying.filter(|line| line.matches('(').count() == 4).count(), 8, "{page}");
    assert!(dir.path().join("one/frontier.svg").is_file() && dir.path().join("one/caps.svg").is_file());
}

#[test]
fn a_grid_of_runs_becomes_a_table_of_where_training_collapses() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(tollgate());
    let cell = |lambda: f64| format!("{lambda}:0.65:{}", shared_run().display());
    command.arg("collapse").args(["--cell", &cell(0.1), "--cell", &cell(1.0)]).arg("--out").arg(dir.path());
    run(&mut command).expect(0, &[]);
    let page = fs::read_to_string(dir.path().join("README.md")).unwrap();
    let cells: Vec<&str> = page.lines().filter(|line| line.starts_with("| 0.65 |")).collect();
    assert_eq!(cells.len(), 2, "{page}");
    // At a weight of 1 always-large is not worth its price.
    assert!(cells[0].contains('●') && !cells[1].contains('●') && cells[1].contains("of 1 |"), "{page}");
}

#[test]
fn a_policy_for_all_budgets_is_compared_with_one_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let specialists = |points: &[&str]| {
        let mut command = Command::new(tollgate());
        command.arg("specialists");
        for point in points {
            command.arg("--run").arg(format!("household:{point}:{}", shared_run().display()));
        }
        command.arg("--out").arg(dir.path());
        command
    };
    run(&mut specialists(&["lambda=0.3"])).expect(2, &["--run household:all:DIR"]);
    run(&mut specialists(&["all"])).expect(2, &["--run household:lambda=0.3:DIR"]);
    run(&mut specialists(&["all", "calls=3"])).expect(2, &["no episodes"]);
    run(&mut specialists(&["all", "lambda=0.3", "calls=5"])).expect(0, &[]);
    // The same run in both places: no difference.
    let page = fs::read_to_string(dir.path().join("README.md")).unwrap();
    assert_eq!(page.matches("| +0.000 (+0.000, +0.000) |").count(), 3, "{page}");
}

/// The small config in a world where every price is five times as high, with the policies in `checkpoint`.
fn dearer(dir: &Path, checkpoint: &Path) -> PathBuf {
    let text = fs::read_to_string(small()).unwrap();
    let shift = ["gpt-4.1-mini", "gpt-4.1"].map(|id| format!("\"{id}\".price_factor = 5.0\n")).concat();
    let shift = format!("[experiment.shift.models]\n{shift}");
    let trained = "variants = [\"bopo\", \"sft\", \"grpo\", \"static\", \"bopo-no-early-stop\"]\ntrain_seeds = [1]";
    assert!(text.contains(trained));
    let text = text.replace(trained, &format!("from = \"{}\"", checkpoint.display()));
    let path = dir.join("dearer.toml");
    fs::write(&path, text.replace("[simulate]", &format!("{shift}\n[simulate]"))).unwrap();
    path
}

/// The success and cost of BoPO at every operating point.
fn points(run_dir: &Path) -> Vec<(f64, f64)> {
    let summary = read_json(&run_dir.join("report/summary.json"));
    let policies = summary["policies"].as_array().unwrap();
    let figures = |policy: &serde_json::Value| {
        (policy["success_rate"].as_f64().unwrap(), policy["mean_cost_usd"].as_f64().unwrap())
    };
    policies.iter().filter(|policy| policy["policy_id"] == "bopo").map(figures).collect()
}

#[test]
fn recalibrated_policies_do_in_dearer_worlds_what_they_did_before() {
    let dir = tempfile::tempdir().unwrap();
    let trained = shared_run().join("optimize/checkpoint");
    let logs = dir.path().join("logs");
    let mut simulate = Command::new(tollgate());
    simulate.current_dir(root()).arg("simulate").arg("--config").arg(dearer(dir.path(), &trained));
    run(simulate.args(["--tasks", "datasets/tasks/household.parquet", "--out"]).arg(&logs)).expect(0, &[]);
    let recalibrated = dir.path().join("checkpoint");
    let recalibrate = || {
        let mut command = Command::new(tollgate());
        command.arg("recalibrate").arg("--checkpoint").arg(&trained).arg("--out").arg(&recalibrated);
        command.arg("--episodes").arg(logs.join("episodes.parquet"));
        command
    };
    run(&mut recalibrate()).expect(0, &[]);
    run(&mut recalibrate()).expect(2, &["exists already", "hint:"]);

    let run_dir = dir.path().join("run");
    run(&mut pipeline(&dearer(dir.path(), &recalibrated), &run_dir, &[])).expect(0, &["taken over"]);
    let (before, after) = (points(shared_run()), points(&run_dir));
    assert!(before.len() > 4 && before.len() == after.len());
    for ((success, cost), (success_after, cost_after)) in before.into_iter().zip(after) {
        assert!((success - success_after).abs() < 1e-9, "{success} {success_after}");
        assert!((5.0 * cost - cost_after).abs() < 1e-6, "{cost} {cost_after}");
    }

    // The same run in every place of a world: no difference between the routers.
    let world = dir.path().join("world");
    for place in ["kept", "recalibrated", "retrained"] {
        copy_dir(&run_dir.join("evaluate"), &world.join(place).join("evaluate"));
    }
    let mut document = Command::new(tollgate());
    document.arg("robustness").arg("--world").arg(format!("dearer:{}", world.display())).arg("--out").arg(dir.path());
    run(&mut document).expect(0, &[]);
    let page = fs::read_to_string(dir.path().join("README.md")).unwrap();
    assert!(page.contains("## Under a cap in dollars"), "{page}");
    assert_eq!(page.matches("| +0.000 (+0.000, +0.000) | +0.000 (+0.000, +0.000) |").count(), 3, "{page}");
}

#[test]
fn a_second_run_skips_all() {
    let dir = copy_of_shared_run(&ALL);
    run(&mut pipeline(&small(), dir.path(), &[])).expect(0, &[]);
    assert!(slot_statuses(dir.path()).iter().all(|(_, status)| status == "skipped"));
}

#[test]
fn one_thread_gives_the_same_bytes_as_all() {
    let dir = tempfile::tempdir().unwrap();
    run(&mut pipeline(&small(), dir.path(), &["--threads", "1", "--until", "evaluate"])).expect(0, &[]);
    expect_same_digests(dir.path(), &REPRODUCIBLE);
}

#[test]
fn another_seed_gives_other_bytes() {
    let dir = tempfile::tempdir().unwrap();
    run(&mut pipeline(&small(), dir.path(), &["--seed", "2", "--until", "simulate"])).expect(0, &[]);
    assert_ne!(output_digests(dir.path(), "simulate"), output_digests(shared_run(), "simulate"));
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    kill_when(dir.path(), |run_dir| run_dir.join("simulate.partial").exists());
    expect_not_published(dir.path(), "simulate");
    kill_when(dir.path(), |run_dir| has_progress(&run_dir.join("optimize.partial/checkpoint")));
    expect_not_published(dir.path(), "optimize");
    kill_when(dir.path(), |run_dir| run_dir.join("evaluate.partial").exists());
    expect_not_published(dir.path(), "evaluate");
    run(&mut pipeline(&small(), dir.path(), &[])).expect(0, &[]);
    expect_published(dir.path(), &ALL);
    expect_same_digests(dir.path(), &REPRODUCIBLE);
    let statuses: Vec<String> = slot_statuses(dir.path()).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["skipped", "skipped", "skipped", "skipped", "ran", "ran"]);
}

#[test]
fn a_variant_that_is_added_is_trained_alone_and_one_that_is_left_out_goes() {
    let dir = copy_of_shared_run(&["simulate", "classify", "synthesize", "optimize"]);
    let settings = fs::read_to_string(small()).unwrap();
    let config = dir.path().join("config.toml");
    let others = ", \"sft\", \"grpo\", \"static\", \"bopo-no-early-stop\"]";
    assert!(settings.contains(others));
    fs::write(&config, settings.replace(others, ", \"step-value\"]")).unwrap();
    run(&mut pipeline(&config, dir.path(), &["--until", "optimize"])).expect(0, &[]);

    let log = fs::read_to_string(dir.path().join("logs/optimize.log")).unwrap();
    for (variant, done) in [("bopo", "kept from an earlier run"), ("step-value", "trained")] {
        let line = log.lines().find(|line| line.contains(&format!("variant=\"{variant}\"")));
        assert!(line.is_some_and(|line| line.contains(done)), "{variant}: {log}");
    }
    let (checkpoint, shared) = (dir.path().join("optimize/checkpoint"), shared_run().join("optimize/checkpoint"));
    assert_eq!(names_in(&checkpoint), ["bopo", "step-value"]);
    for name in ["policy.json", "policy.safetensors", "finished.json"] {
        let read = |checkpoint: &Path| fs::read(checkpoint.join("bopo/seed-1").join(name)).unwrap();
        assert_eq!(read(&checkpoint), read(&shared), "{name}");
    }
}

#[track_caller]
fn expect_not_published(run_dir: &Path, slot: &str) {
    assert!(!run_dir.join(slot).exists(), "{slot} was published before the kill");
}

/// Starts a run and kills the orchestrator (which takes its stage along) as soon as the condition holds.
#[track_caller]
fn kill_when(run_dir: &Path, holds: impl Fn(&Path) -> bool) {
    let mut child = pipeline(&small(), run_dir, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !holds(run_dir) {
        assert!(child.try_wait().unwrap().is_none(), "the run ended first");
        assert!(started.elapsed() < PATIENCE, "the moment never came");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Whether some training has saved its progress.
fn has_progress(checkpoint: &Path) -> bool {
    let seeds = names_in(checkpoint).into_iter().map(|variant| checkpoint.join(variant).join("seed-1"));
    seeds.into_iter().any(|seed| names_in(&seed).iter().any(|name| name.starts_with("progress-")))
}

// What is wrong in a config, a pool or an input is told before or instead of a run.

#[track_caller]
fn check_config(config: &str, pieces: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    fs::write(&path, config).unwrap();
    let run_dir = dir.path().join("run");
    run(&mut pipeline(&path, &run_dir, &[])).expect(2, pieces);
    assert!(!run_dir.exists());
}

#[test]
fn an_unknown_key_or_a_wrong_type_is_told_with_its_place_before_anything_runs() {
    check_config("[simulate]\nn_prob = 3\n", &["bad.toml", "`simulate.n_prob`", "hint: did you mean `n_probes`?"]);
    check_config("[simulate]\nn_probes = \"three\"\n", &["bad.toml", "`simulate.n_probes`", "string \"three\""]);
    check_config("[experiment]\nsuite = \"houshold\"\n", &["`experiment.suite`", "hint: did you mean `household`?"]);
    check_config(
        "[optimize]\nbopo.iteration = 3\n",
        &["`optimize.bopo.iteration`", "hint: did you mean `iterations`?"],
    );
    check_config("[report]\nn_resamples = 0\n", &["`report.n_resamples` is 0, expected at least 1"]);
}

#[test]
fn a_pool_without_a_price_or_with_a_negative_one_is_refused() {
    #[track_caller]
    fn check(from: &str, to: &str, pieces: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let pool = fs::read_to_string(root().join("datasets/pools/two.toml")).unwrap();
        assert!(pool.contains(from));
        let path = dir.path().join("pool.toml");
        fs::write(&path, pool.replacen(from, to, 1)).unwrap();
        check_config(&format!("[experiment]\npool = \"{}\"\n", path.display()), pieces);
    }
    check("output_usd_per_million = 1.60\n", "", &["pool.toml", "output_usd_per_million", "hint: "]);
    check("output_usd_per_million = 1.60", "output_usd_per_million = -1.60", &["pool.toml", "-1.6", "hint: "]);
}

/// Runs a stage by hand in a directory of its own and asserts that it leaves nothing.
#[track_caller]
fn check_stage(args: &[&str], pieces: &[&str]) {
    let out = tempfile::tempdir().unwrap();
    let ended: Ended = run(Command::new(tollgate())
        .current_dir(root())
        .args(args)
        .arg("--config")
        .arg(small())
        .arg("--out")
        .arg(out.path().join("out")));
    ended.expect(2, pieces);
    assert_eq!(names_in(out.path()), Vec::<String>::new());
}

#[test]
fn a_missing_or_truncated_input_is_named() {
    check_stage(&["classify", "--episodes", "nowhere.parquet"], &["nowhere.parquet: ", "hint: "]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("episodes.parquet");
    let bytes = fs::read(shared_run().join("simulate/episodes.parquet")).unwrap();
    let episodes = ["classify", "--episodes", path.to_str().unwrap()];
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    check_stage(&episodes, &["episodes.parquet: ", "hint: "]);
    fs::write(&path, "").unwrap();
    check_stage(&episodes, &["episodes.parquet: ", "cut off", "hint: "]);
    fs::copy(shared_run().join("simulate/steps.parquet"), &path).unwrap();
    check_stage(&episodes, &["episodes.parquet: ", "`steps`", "`episodes`"]);
}

#[test]
fn a_checkpoint_of_another_feature_version_is_refused() {
    let dir = copy_of_shared_run(&["optimize", "classify"]);
    let path = dir.path().join("optimize/checkpoint/bopo/seed-1/policy.json");
    let mut policy = read_json(&path);
    assert!(policy["feature_version"].is_u64(), "{policy}");
    policy["feature_version"] = 999.into();
    fs::write(&path, policy.to_string()).unwrap();
    let (checkpoint, labels) =
        (dir.path().join("optimize/checkpoint"), dir.path().join("classify/boundary_labels.parquet"));
    let args = ["evaluate", "--checkpoint", checkpoint.to_str().unwrap(), "--labels", labels.to_str().unwrap()];
    check_stage(&args, &["policy.json", "999", "hint: "]);
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    // A limit of 64 KiB on the size of files stands for the full disk; the orchestrator's own test has a real one.
    let dir = tempfile::tempdir().unwrap();
    let command = pipeline(&small(), dir.path(), &["--until", "simulate"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]).current_dir(root());
    limited.arg(command.get_program()).args(command.get_args());
    run(&mut limited).expect(1, &["slot simulate", ".parquet", "hint: "]);
    expect_published(dir.path(), &[]);
}

// What needs Python with DuckDB and pyarrow: required where CI is set, said and left out elsewhere.

/// The interpreter that has both; `.ci/run` makes it.
#[expect(clippy::print_stdout, reason = "what is left out is said")]
fn python() -> Option<PathBuf> {
    let python = root().join(".venv/bin/python");
    let has_both =
        python.is_file() && run(Command::new(&python).args(["-c", "import duckdb, pyarrow"])).code == Some(0);
    assert!(
        has_both || std::env::var_os("CI").is_none(),
        "no Python with duckdb and pyarrow in .venv; .ci/run makes it"
    );
    if !has_both {
        println!("left out: needs .venv with tests/interop/requirements.txt");
    }
    has_both.then_some(python)
}

fn script(name: &str) -> PathBuf {
    root().join("tests/interop").join(name)
}

#[test]
fn duckdb_and_pyarrow_read_every_file_and_agree_with_the_summary() {
    let Some(python) = python() else { return };
    let tasks = root().join("datasets/tasks/household.parquet");
    let ended = run(Command::new(python).arg(script("check_run.py")).arg(tasks).arg(shared_run()));
    ended.expect(0, &[]);
    assert!(ended.stdout.contains("8 files read by DuckDB"), "{}", ended.stdout);
}

#[test]
fn a_stage_in_python_takes_the_place_of_a_built_in_one() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let small = fs::read_to_string(small()).unwrap();
    let stage = format!(
        "\n[classify]\ntype = \"command\"\ncommand.argv = [{:?}, {:?}]\neasy_success_rate = 0.6\n",
        python,
        script("classify.py")
    );
    let config = dir.path().join("replaced.toml");
    fs::write(&config, small + &stage).unwrap();
    let run_dir = dir.path().join("run");
    run(&mut pipeline(&config, &run_dir, &[])).expect(0, &["[classify] labelled 120 tasks"]);
    expect_published(&run_dir, &ALL);
}

#[test]
fn a_column_of_another_type_a_missing_one_and_missing_probes_are_named() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("episodes.parquet");
    let check = |damage: &str, pieces: &[&str]| {
        let source = shared_run().join("simulate/episodes.parquet");
        run(Command::new(&python).arg(script("damage.py")).arg(damage).arg(source).arg(&path)).expect(0, &[]);
        check_stage(&["classify", "--episodes", path.to_str().unwrap()], pieces);
    };
    check(
        "retype-cost",
        &[
            "episodes.parquet: column `total_cost_nano_usd` has type Float64, expected Int64",
            "hint: money is integer nano-dollars",
        ],
    );
    check("drop-success", &["episodes.parquet: column `is_success` is missing", "hint: "]);
    check("drop-probes", &["task `household-train-0000` has no probe episode of `always-large`", "hint: "]);
}
