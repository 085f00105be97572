//! The orchestrator, with a stand-in for `tollgate` and small shell scripts as stages.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use e2e_tests::{Ended, expect_published, fake_tollgate, is_running, names_in, run, run_summary, slot_statuses, xtask};
use tempfile::TempDir;

const ALL: [&str; 6] = ["simulate", "classify", "synthesize", "optimize", "evaluate", "report"];

/// A directory to run pipelines in.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new(config: &str) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        bench.write("tasks.parquet", "tasks");
        bench.write("pool.toml", "pool");
        bench.configure(config);
        bench
    }

    fn configure(&self, config: &str) {
        let experiment = "[experiment]\ntasks = \"tasks.parquet\"\npool = \"pool.toml\"\n";
        self.write("experiment.toml", &format!("{experiment}{config}"));
    }

    /// A bench whose slot `slot` is filled by this shell script, with `$2` the request and `$out` the output directory.
    fn with_stage(slot: &str, script: &str, more: &str) -> Self {
        let bench = Self::new(&format!("[{slot}]\ntype = \"command\"\ncommand.argv = [\"sh\", \"stage.sh\"]\n{more}"));
        bench.script(script);
        bench
    }

    fn script(&self, script: &str) {
        let out = "out=$(sed -n 's/^ *\"output_dir\": \"\\(.*\\)\",$/\\1/p' \"$2\")";
        self.write("stage.sh", &format!("{out}\ntollgate={}\n{script}\n", fake_tollgate().display()));
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run_dir(&self) -> PathBuf {
        self.path("runs/experiment")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(xtask());
        command.current_dir(self.dir.path()).args(["pipeline", "--config", "experiment.toml", "--tollgate"]);
        command.arg(fake_tollgate()).args(args).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        run(&mut self.command(args))
    }

    /// Starts a run and returns once its stage has opened the pipe `started`.
    fn start(&self) -> Child {
        let child = self.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        fs::File::open(self.path("started")).unwrap().read_to_end(&mut Vec::new()).unwrap();
        child
    }

    fn make_pipe(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.path(name)).status().unwrap().success());
    }

    /// Process id that a stage wrote into a file.
    fn pid(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap().trim().to_owned()
    }
}

#[track_caller]
fn expect_statuses(bench: &Bench, expected: [&str; 6]) {
    let found = slot_statuses(&bench.run_dir());
    let expected: Vec<(String, String)> =
        ALL.iter().zip(expected).map(|(slot, status)| ((*slot).to_owned(), status.to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_second_run_skips_every_slot_and_both_end_with_the_table() {
    let bench = Bench::new("");
    for expected in [["ran"; 6], ["skipped"; 6]] {
        let ended = bench.run(&[]);
        ended.expect(0, &[]);
        expect_statuses(&bench, expected);
        expect_published(&bench.run_dir(), &ALL);
        for piece in ["simulate", "3 rows", "5 large calls", "always-large", "0.850", "0.00125", "4.50"] {
            assert!(ended.stdout.contains(piece), "expected `{piece}` in:\n{}", ended.stdout);
        }
    }
    assert_eq!(run_summary(&bench.run_dir())["succeeded"], true);
}

#[test]
fn a_change_runs_the_slots_that_depend_on_it_and_no_others() {
    let bench = Bench::new("");
    bench.run(&[]).expect(0, &[]);
    bench.configure("[evaluate]\nn_episodes = 2\n");
    bench.run(&[]).expect(0, &[]);
    expect_statuses(&bench, ["skipped", "skipped", "skipped", "skipped", "ran", "ran"]);
    bench.write("pool.toml", "another pool");
    bench.run(&[]).expect(0, &[]);
    // The stages' outputs do not depend on the pool here, yet each stage may read it.
    expect_statuses(&bench, ["ran"; 6]);
    bench.run(&["--seed", "2"]).expect(0, &[]);
    expect_statuses(&bench, ["ran"; 6]);
}

#[test]
fn a_slot_that_runs_again_with_equal_outputs_lets_the_later_ones_be() {
    let bench = Bench::new("");
    bench.run(&[]).expect(0, &[]);
    bench.run(&["--force", "--until", "simulate"]).expect(0, &[]);
    bench.run(&[]).expect(0, &[]);
    expect_statuses(&bench, ["skipped"; 6]);
}

#[test]
fn an_output_that_was_changed_after_its_publication_is_made_again() {
    let bench = Bench::new("");
    bench.run(&[]).expect(0, &[]);
    fs::write(bench.run_dir().join("classify/boundary_labels.parquet"), "cut off").unwrap();
    let ended = bench.run(&[]);
    ended.expect(0, &[]);
    assert!(ended.stdout.contains("its output boundary_labels.parquet is missing or was changed"), "{}", ended.stdout);
    expect_statuses(&bench, ["skipped", "ran", "skipped", "skipped", "skipped", "skipped"]);
}

#[test]
fn check_says_what_would_run_and_why_and_writes_nothing() {
    let bench = Bench::new("");
    bench.run(&["--check"]).expect(0, &[]);
    assert!(!bench.run_dir().exists());
    bench.run(&["--until", "classify"]).expect(0, &[]);
    bench.configure("[classify]\nthreshold = 1\n");
    let ended = bench.run(&["--check"]);
    ended.expect(0, &[]);
    for piece in [
        "simulate    skipped",
        "classify    would run  its config changed",
        "synthesize  would run  its input from classify will be made anew",
        "report      would run  its input from evaluate will be made anew",
    ] {
        assert!(ended.stdout.contains(piece), "expected `{piece}` in:\n{}", ended.stdout);
    }
    expect_published(&bench.run_dir(), &["simulate", "classify"]);
}

#[test]
fn from_takes_what_is_there_and_until_stops() {
    let bench = Bench::new("");
    bench.run(&["--from", "classify"]).expect(2, &["slot classify", "episodes.parquet", "hint: simulate makes it"]);
    bench.run(&["--from", "report", "--until", "classify"]).expect(2, &["--from report comes after --until classify"]);
    bench.run(&["--until", "synthesize"]).expect(0, &[]);
    expect_published(&bench.run_dir(), &["simulate", "classify", "synthesize"]);
    bench.configure("[simulate]\nn_probes = 7\n");
    bench.run(&["--from", "optimize"]).expect(0, &[]);
    let statuses = slot_statuses(&bench.run_dir());
    let slots: Vec<&str> = statuses.iter().map(|(slot, _)| slot.as_str()).collect();
    assert_eq!(slots, ["optimize", "evaluate", "report"]);
}

#[test]
fn the_summary_is_printed_as_json_and_nothing_else_on_standard_output() {
    let bench = Bench::new("");
    let ended = bench.run(&["--json", "--until", "classify"]);
    ended.expect(0, &["simulate", "classify"]);
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["slots"][1]["slot"], "classify");
    assert_eq!(summary["slots"][1]["rows"], 3);
    assert_eq!(summary["slots"][1]["fingerprint"].as_str().unwrap().len(), 64);
}

#[test]
fn a_mistake_in_the_config_is_told_before_anything_runs() {
    #[track_caller]
    fn check(config: &str, pieces: &[&str]) {
        let bench = Bench::new(config);
        bench.run(&[]).expect(2, pieces);
        assert!(!bench.run_dir().exists());
    }
    check("[clasify]\n", &["experiment.toml: unknown slot `clasify`", "hint: the tables are"]);
    check("[report]\ntimeout_secs = \"long\"\n", &["`report.timeout_secs` is \"long\" (string), expected a number"]);
    check("[classify]\nrefused_key = 1\n", &["error: ", "`classify.refused_key`: unknown field"]);
    check("[classify\n", &["experiment.toml: ", "line 4"]);
    check(
        "[report]\ntype = \"command\"\ncommand.argv = [\"no-such-program\"]\n",
        &["`report.command.argv`: program `no-such-program` does not exist", "hint: "],
    );
    let bench = Bench::new("");
    fs::remove_file(bench.path("tasks.parquet")).unwrap();
    bench.run(&[]).expect(2, &["`experiment.tasks`: tasks.parquet does not exist", "hint: "]);
}

#[test]
fn a_replaced_stage_passes_the_same_validator() {
    let bench = Bench::with_stage("classify", "echo labels > \"$out/boundary_labels.parquet\"", "");
    bench.run(&[]).expect(0, &[]);
    expect_published(&bench.run_dir(), &ALL);
    bench.script("touch \"$out/boundary_labels.parquet\"");
    let ended = bench.run(&[]);
    ended.expect(
        1,
        &["slot classify: what the stage wrote is not valid", "boundary_labels.parquet: not there", "hint: "],
    );
    expect_statuses_until_failure(&bench, &["skipped", "failed"]);
}

#[track_caller]
fn expect_statuses_until_failure(bench: &Bench, expected: &[&str]) {
    let statuses = slot_statuses(&bench.run_dir());
    let found: Vec<&str> = statuses.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(found, expected);
    let summary = run_summary(&bench.run_dir());
    assert_eq!(summary["succeeded"], false);
    assert_eq!(summary["failed_slot"].as_str(), Some(ALL[expected.len() - 1]));
}

#[test]
fn a_failing_stage_is_named_with_its_last_lines_and_leaves_nothing() {
    let script = "echo half > \"$out/episodes.parquet\"\necho 'the models are gone' >&2\nexit 3";
    let bench = Bench::with_stage("simulate", script, "");
    bench.run(&[]).expect(
        1,
        &[
            "[simulate] the models are gone",
            "slot simulate: the stage failed with exit code 3",
            "| the models are gone",
            "logs/simulate.log",
        ],
    );
    expect_statuses_until_failure(&bench, &["failed"]);
    expect_published(&bench.run_dir(), &[]);
}

#[test]
fn bad_input_of_a_stage_is_bad_input_of_the_run() {
    let bench = Bench::with_stage("classify", "exit 2", "");
    bench.run(&[]).expect(2, &["slot classify: the stage failed with exit code 2"]);
    expect_published(&bench.run_dir(), &["simulate"]);
}

#[test]
fn a_stage_whose_program_cannot_be_run_is_named() {
    let bench = Bench::new("[classify]\ntype = \"command\"\ncommand.argv = [\"./stage\"]\n");
    bench.write("stage", "not a program");
    bench.run(&[]).expect(1, &["slot classify: the stage command cannot be started", "cannot start `./stage`"]);
    expect_published(&bench.run_dir(), &["simulate"]);
}

#[test]
fn a_stage_that_hangs_is_ended_with_its_whole_process_group() {
    // Neither the stage nor what it started heeds TERM, so it takes KILL.
    let script = "trap '' TERM\nsleep 1000 &\necho $! > grandchild\necho $$ > child\nwait";
    let bench = Bench::with_stage("simulate", script, "timeout_secs = 0.2\n");
    bench.run(&[]).expect(1, &["slot simulate: ran longer than timeout_secs = 0.2", "whole process group"]);
    assert!(!is_running(&bench.pid("child")) && !is_running(&bench.pid("grandchild")));
    expect_published(&bench.run_dir(), &[]);
}

#[test]
fn what_a_finished_stage_left_running_is_ended() {
    let script = "sleep 1000 &\necho $! > grandchild\nsh \"$tollgate\" simulate \"$@\"";
    let bench = Bench::with_stage("simulate", script, "");
    bench.run(&["--until", "simulate"]).expect(0, &[]);
    assert!(!is_running(&bench.pid("grandchild")));
}

const HANGS_ONCE: &str = "if [ -p started ]; then\n\
    echo half > \"$out/boundary_labels.parquet\"\nsleep 1000 &\necho $! > grandchild\necho $$ > child\n\
    mv started opened\necho > opened\nwait\nfi\nsh \"$tollgate\" classify \"$@\"";

#[test]
fn a_run_that_is_killed_takes_its_stage_along_and_the_next_one_goes_on() {
    let bench = Bench::with_stage("classify", HANGS_ONCE, "");
    bench.make_pipe("started");
    let mut child = bench.start();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!names_in(&bench.run_dir()).contains(&"classify".to_owned()));
    // It waits for the lock until the killed run's processes are gone.
    bench.run(&[]).expect(0, &[]);
    assert!(!is_running(&bench.pid("child")) && !is_running(&bench.pid("grandchild")));
    expect_statuses(&bench, ["skipped", "ran", "ran", "ran", "ran", "ran"]);
    expect_published(&bench.run_dir(), &ALL);
}

#[test]
fn an_interrupted_run_ends_its_stage_and_leaves_nothing_half_written() {
    let bench = Bench::with_stage("classify", HANGS_ONCE, "");
    bench.make_pipe("started");
    let mut child = bench.start();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!is_running(&bench.pid("child")) && !is_running(&bench.pid("grandchild")));
    expect_published(&bench.run_dir(), &["simulate"]);
    expect_statuses_until_failure(&bench, &["ran", "failed"]);
    bench.run(&[]).expect(0, &[]);
}

#[test]
fn a_run_directory_in_use_is_refused_with_the_process_that_uses_it() {
    let bench = Bench::with_stage("classify", HANGS_ONCE, "");
    bench.make_pipe("started");
    let mut child = bench.start();
    bench.run(&[]).expect(2, &[&format!("in use by another run (process {})", child.id()), "hint: "]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn training_resumes_from_its_own_checkpoints_only() {
    let script = "if [ ! -e \"$out/checkpoint/policy.json\" ]; then\n\
        mkdir -p \"$out/checkpoint\"\necho half > \"$out/checkpoint/policy.json\"\nexit 1\nfi\n\
        cat \"$out/checkpoint/policy.json\" > \"$out/training_log.parquet\"";
    let bench = Bench::with_stage("optimize", script, "");
    bench.run(&[]).expect(1, &["slot optimize"]);
    // Another seed must not go on from here; it begins, and fails, anew.
    bench.run(&["--seed", "2"]).expect(1, &["slot optimize"]);
    bench.run(&["--seed", "2"]).expect(0, &[]);
    assert_eq!(fs::read_to_string(bench.run_dir().join("optimize/training_log.parquet")).unwrap(), "half\n");
    expect_published(&bench.run_dir(), &ALL);
}

#[test]
fn finished_trainings_are_there_for_a_config_that_adds_or_removes_some_and_for_no_other() {
    let bench = Bench::new("[optimize]\nvariants = [\"a\"]\n");
    let attempts = |config: &str, args: &[&str]| {
        bench.configure(config);
        bench.run(args).expect(0, &[]);
        fs::read_to_string(bench.run_dir().join("optimize/checkpoint/attempts")).unwrap().lines().count()
    };
    assert_eq!(attempts("[optimize]\nvariants = [\"a\"]\n", &[]), 1);
    assert_eq!(attempts("[optimize]\nvariants = [\"a\", \"b\"]\n", &[]), 2);
    assert_eq!(attempts("[optimize]\nvariants = [\"b\"]\ntrain_seeds = [1, 2]\n", &[]), 3);
    assert_eq!(attempts("[optimize]\nvariants = [\"b\"]\nn_hidden = 8\n", &[]), 1);
    assert_eq!(attempts("[optimize]\nvariants = [\"c\"]\nn_hidden = 8\n", &[]), 2);
    assert_eq!(attempts("[optimize]\nvariants = [\"a\"]\nn_hidden = 8\n", &["--force"]), 1);
    // What was changed after its publication is nothing to go on from.
    fs::write(bench.run_dir().join("optimize/checkpoint/policy.json"), "cut off").unwrap();
    assert_eq!(attempts("[optimize]\nvariants = [\"b\"]\nn_hidden = 8\n", &[]), 1);
}

#[test]
fn what_was_paid_for_is_there_for_the_next_attempt_unless_it_is_forced() {
    let script = "cat \"$out/calls.jsonl\" > episodes.seen || true\necho paid >> \"$out/calls.jsonl\"\nsh \"$tollgate\" simulate \"$@\"";
    let bench = Bench::with_stage("simulate", script, "");
    let found = |args: &[&str]| {
        bench.run(args).expect(0, &[]);
        fs::read_to_string(bench.path("episodes.seen")).unwrap()
    };
    assert_eq!(found(&[]), "");
    assert_eq!(found(&["--seed", "2"]), "paid\n");
    assert_eq!(found(&["--force"]), "");
}

#[test]
fn a_full_disk_fails_the_slot_and_leaves_nothing_half_written() {
    let script = "head -c 1000000 /dev/zero > \"$out/episodes.parquet\" && sh \"$tollgate\" simulate \"$@\"";
    let bench = Bench::with_stage("simulate", script, "");
    let run_dir = bench.run_dir();
    fs::create_dir_all(&run_dir).unwrap();
    // A file system of its own, of 256 KiB, that is gone when the command has ended.
    let inside = "mount -t tmpfs -o size=256k none \"$0\" || exit 77\n\"$@\"; code=$?\nls \"$0\"; exit $code";
    let pipeline = bench.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", inside]).arg(&run_dir);
    command.arg(pipeline.get_program()).args(pipeline.get_args()).current_dir(bench.dir.path());
    let mut ended = run(&mut command);
    if !ended.stderr.contains("slot simulate") {
        // Where no file system can be mounted, a limit on the size of files has to do.
        let limited = "trap '' XFSZ\nulimit -f 64\n\"$0\" \"$@\"; code=$?\nls runs/experiment; exit $code";
        let mut command = Command::new("sh");
        command
            .args(["-c", limited])
            .arg(pipeline.get_program())
            .args(pipeline.get_args())
            .current_dir(bench.dir.path());
        ended = run(&mut command);
    }
    ended.expect(1, &["slot simulate: the stage failed with exit code", "hint: "]);
    let left: Vec<&str> = ended.stdout.lines().filter(|line| ALL.iter().any(|slot| line.starts_with(slot))).collect();
    assert_eq!(left, Vec::<&str>::new());
}
