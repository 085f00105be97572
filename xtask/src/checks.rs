//! `cargo xtask test`: everything that must hold before a change is taken, one line per part.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace;

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Nothing may be left out: what a developer's machine may lack is required. Set by CI=true as well
    #[arg(long)]
    ci: bool,
    /// Only the parts whose names contain this
    #[arg(value_name = "PART")]
    only: Option<String>,
}

/// One part of the checks.
struct Part {
    name: &'static str,
    commands: Vec<Command>,
}

/// Counts of cargo's `test result:` lines.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct TestCounts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// Runs every part, and tells which failed.
///
/// # Errors
/// When no part has the name that is asked for, `tollgate` cannot be built or a command cannot be started.
pub(crate) fn run(args: &TestArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let is_ci = args.ci || std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    let run_dir = std::env::temp_dir().join(format!("tollgate-small-run-{}", std::process::id()));
    let parts = selected(parts(&workspace::built_tollgate(), &run_dir, is_ci)?, args.only.as_deref())?;
    workspace::build_tollgate(&[])?;
    let mut counts = TestCounts::default();
    let mut failed = Vec::new();
    for part in parts {
        println!("== {}", part.name);
        let part_started = Instant::now();
        let is_ok = run_part(part.commands, &mut counts)?;
        let verdict = if is_ok { "ok" } else { "FAILED" };
        println!("== {:<16} {verdict:<8} {:>7.1} s", part.name, part_started.elapsed().as_secs_f64());
        if !is_ok {
            failed.push(part.name);
        }
    }
    // Left over only when the small pipeline was run; its failure is told above and its files are of no more use.
    let _ = std::fs::remove_dir_all(&run_dir);
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    let TestCounts { passed, failed: n_failed, ignored } = counts;
    println!(
        "\ntest result: {verdict}. {passed} passed; {n_failed} failed; {ignored} ignored; 0 measured; 0 filtered out; finished in {:.2}s",
        started.elapsed().as_secs_f64()
    );
    if failed.is_empty() {
        println!("everything holds");
        return Ok(ExitCode::SUCCESS);
    }
    println!("failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn parts(tollgate: &std::path::Path, run_dir: &std::path::Path, is_ci: bool) -> Result<Vec<Part>> {
    let xtask = || -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.current_dir(workspace::root()).stdin(Stdio::null());
        Ok(command)
    };
    let mut tidy = xtask()?;
    tidy.arg("tidy").arg("--tollgate").arg(tollgate);
    let mut pipeline = xtask()?;
    pipeline
        .args(["pipeline", "--config", "configs/small.toml", "--run-dir"])
        .arg(run_dir)
        .arg("--tollgate")
        .arg(tollgate);
    let mut doc = cargo(&["doc", "--quiet", "--release", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    // xtask apart: it turns on features of shared dependencies, and together with it all of them would be built once more.
    let all_but_xtask = ["test", "--release", "--no-fail-fast", "--workspace", "--exclude", "xtask"];
    let mut tests = cargo(&[&all_but_xtask[..], &["--all-targets"]].concat());
    if is_ci {
        tests.env("CI", "true");
    }
    let own_tests = cargo(&["test", "--release", "--no-fail-fast", "--package", "xtask"]);
    let doc_tests = cargo(&[&all_but_xtask[..], &["--doc"]].concat());
    let clippy = cargo(&["clippy", "--quiet", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"]);
    Ok(vec![
        Part { name: "formatting", commands: vec![cargo(&["fmt", "--all", "--check"])] },
        Part { name: "clippy", commands: vec![clippy] },
        Part { name: "documentation", commands: vec![doc] },
        Part { name: "tidy", commands: vec![tidy] },
        Part { name: "small pipeline", commands: vec![pipeline] },
        Part { name: "doc tests", commands: vec![doc_tests] },
        Part { name: "tests", commands: vec![tests, own_tests] },
    ])
}

/// The parts whose names contain `only`; all without it.
fn selected(mut parts: Vec<Part>, only: Option<&str>) -> Result<Vec<Part>> {
    let Some(only) = only else { return Ok(parts) };
    let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
    parts.retain(|part| part.name.contains(only));
    if parts.is_empty() {
        bail!("no part's name contains `{only}`\nhint: the parts are {}", names.join(", "));
    }
    Ok(parts)
}

fn cargo(args: &[&str]) -> Command {
    let mut command = workspace::cargo();
    command.args(args);
    command
}

/// Runs a part's commands, passing their output through and counting test results.
fn run_part(commands: Vec<Command>, counts: &mut TestCounts) -> Result<bool> {
    let mut is_ok = true;
    for mut command in commands {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", PathBuf::from(command.get_program()).display()))?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                writeln!(std::io::stdout(), "{line}")?;
                counts.add(&line);
            }
        }
        is_ok &= child.wait()?.success();
    }
    Ok(is_ok)
}

impl TestCounts {
    /// Adds up a line as `test result: ok. 3 passed; 0 failed; 1 ignored; ...`; other lines say nothing.
    fn add(&mut self, line: &str) {
        let Some((_, results)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for result in results.split("; ") {
            match result.split_once(' ').and_then(|(count, what)| Some((count.parse::<u64>().ok()?, what))) {
                Some((count, "passed")) => self.passed += count,
                Some((count, "failed")) => self.failed += count,
                Some((count, "ignored")) => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_no_part_has_in_its_name_is_refused_with_the_names() {
        let parts = || ["doc tests", "tests", "tidy"].map(|name| Part { name, commands: Vec::new() }).into();
        let names = |only| selected(parts(), only).map(|parts| parts.iter().map(|part| part.name).collect::<Vec<_>>());
        assert_eq!(names(Some("test")).unwrap(), ["doc tests", "tests"]);
        assert_eq!(names(None).unwrap().len(), 3);
        let message = names(Some("test-all")).unwrap_err().to_string();
        assert_eq!(message, "no part's name contains `test-all`\nhint: the parts are doc tests, tests, tidy");
    }

    #[test]
    fn test_results_of_all_programs_add_up() {
        let mut counts = TestCounts::default();
        counts.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s");
        counts
            .add("test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        counts.add("test a::b ... ok");
        assert_eq!(counts, TestCounts { passed: 13, failed: 2, ignored: 1 });
    }
}
