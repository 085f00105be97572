//! What the end-to-end tests share: finding the programs, starting them, and reading what they leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The workspace's root.
///
/// # Panics
/// Never: this crate lies in the root's folder `tests`.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The orchestrator, built with optimizations.
#[must_use]
pub fn xtask() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("xtask", "xtask"))
}

/// The stages' program, built with optimizations.
#[must_use]
pub fn tollgate() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("tollgate-cli", "tollgate"))
}

/// Stands in for `tollgate` where only the orchestrator is tested.
#[must_use]
pub fn fake_tollgate() -> PathBuf {
    root().join("tests/fakes/tollgate.sh")
}

#[expect(clippy::expect_used, reason = "without the programs there is nothing to test")]
fn build(package: &str, program: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", package])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "building {package}: {}", String::from_utf8_lossy(&output.stderr));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir));
    target.join("release").join(program)
}

/// Whether a process runs; one that ended and waits for its parent does not.
#[must_use]
pub fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z') && !rest.starts_with('X'))
}

/// An ended program.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// Asserts the exit code and that each piece of text stands in standard error.
    ///
    /// # Panics
    /// When one does not hold.
    #[track_caller]
    pub fn expect(&self, code: i32, pieces: &[&str]) {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        for piece in pieces {
            assert!(self.stderr.contains(piece), "expected `{piece}` in:\n{}", self.stderr);
        }
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(command: &mut Command) -> Ended {
    #[expect(clippy::expect_used, reason = "a program that does not start fails the test")]
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    output.into()
}

/// Status of each slot of a run, in its order, from `run_summary.json`.
///
/// # Panics
/// When the summary is missing or something else.
#[must_use]
pub fn slot_statuses(run_dir: &Path) -> Vec<(String, String)> {
    let summary = run_summary(run_dir);
    let text = |slot: &Value, key: &str| slot[key].as_str().unwrap_or_default().to_owned();
    summary["slots"]
        .as_array()
        .map(|slots| slots.iter().map(|slot| (text(slot, "slot"), text(slot, "status"))).collect())
        .unwrap_or_default()
}

/// The run's summary.
///
/// # Panics
/// When it is missing or not JSON.
#[must_use]
pub fn run_summary(run_dir: &Path) -> Value {
    read_json(&run_dir.join("run_summary.json"))
}

/// A JSON file.
///
/// # Panics
/// When it is missing or not JSON.
#[must_use]
#[expect(clippy::expect_used, reason = "a missing file fails the test")]
pub fn read_json(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("the JSON file is there");
    serde_json::from_str(&text).expect("the file is JSON")
}

/// Digest of each output of a published slot by its file name, from its manifest.
///
/// # Panics
/// When the slot is not published.
#[must_use]
pub fn output_digests(run_dir: &Path, slot: &str) -> BTreeMap<String, String> {
    let manifest = read_json(&run_dir.join(slot).join("manifest.json"));
    let text = |output: &Value, key: &str| output[key].as_str().unwrap_or_default().to_owned();
    manifest["outputs"]
        .as_array()
        .map(|outputs| outputs.iter().map(|output| (text(output, "file_name"), text(output, "digest"))).collect())
        .unwrap_or_default()
}

/// Names in a directory, sorted; none when there is no such directory.
#[must_use]
pub fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// Asserts that the run directory holds nothing half-written and exactly these published slots.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn expect_published(run_dir: &Path, slots: &[&str]) {
    let names = names_in(run_dir);
    let is_leftover = |name: &String| name.contains(".partial") || name.contains(".stale");
    assert!(!names.iter().any(is_leftover), "left over: {names:?}");
    let mut expected: Vec<&str> = slots.to_vec();
    expected.sort_unstable();
    let all = ["simulate", "classify", "synthesize", "optimize", "evaluate", "report"];
    let published: Vec<&str> = names.iter().map(String::as_str).filter(|name| all.contains(name)).collect();
    assert_eq!(published, expected);
}
