//! Tasks of external environments: written down by a person, or listed by the environment.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use tollgate_contract::TaskRow;
use tollgate_environment::external::{TaskDescription, open_session};

use crate::config::ConfigFile;
use crate::failure::{OrBadInput, bad_input};

const NOT_LISTED: &str = "the environment does not list its tasks\nhint: write them down, one JSON object a line, and use `tollgate tasks --from tasks.jsonl`";

/// Reads one JSON object a line.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<TaskRow>> {
    let file = File::open(path).map_err(|error| bad_input(format!("{}: {error}", path.display())))?;
    let mut tasks = TaskSet::default();
    for (line, number) in BufReader::new(file).lines().zip(1..) {
        let origin = format!("{}:{number}", path.display());
        let line = line.map_err(|error| bad_input(format!("{origin}: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let described: TaskDescription = serde_json::from_str(&line).map_err(|error| {
            // The error's own line is always the first of one.
            let told = error.to_string();
            let told = told.split(" at line ").next().unwrap_or_default().to_owned();
            bad_input(format!("{origin}: {told}\nhint: {FORM}"))
        })?;
        tasks.add(&origin, &described)?;
    }
    tasks.finish(&path.display().to_string())
}

/// Asks the environment of an experiment.
pub(super) fn ask(config: Option<&Path>) -> anyhow::Result<Vec<TaskRow>> {
    let path = config.ok_or_else(|| bad_input("suite `external` needs --config, or --from with a file of tasks"))?;
    let experiment = ConfigFile::open(path)?.experiment;
    let mut session = open_session(&experiment.external.unwrap_or_default().settings()?).or_bad_input()?;
    let origin = session.hello().name.clone();
    let described = session.tasks().or_bad_input()?.ok_or_else(|| bad_input(NOT_LISTED))?;
    let mut tasks = TaskSet::default();
    for (described, number) in described.iter().zip(1..) {
        tasks.add(&format!("{origin}, task {number}"), described)?;
    }
    tasks.finish(&origin)
}

const FORM: &str = r#"{"task_id": "a-1", "split": "train", "seed": 1, "instruction": "..", "horizon": 30}"#;

/// Tasks with names of their own.
#[derive(Default)]
struct TaskSet {
    tasks: Vec<TaskRow>,
    ids: BTreeSet<String>,
}

impl TaskSet {
    fn add(&mut self, origin: &str, described: &TaskDescription) -> anyhow::Result<()> {
        let task = described.to_task().map_err(|reason| bad_input(format!("{origin}: {reason}")))?;
        if !self.ids.insert(described.task_id.clone()) {
            return Err(bad_input(format!("{origin}: a task `{}` came before", described.task_id)));
        }
        self.tasks.push(task);
        Ok(())
    }

    fn finish(self, origin: &str) -> anyhow::Result<Vec<TaskRow>> {
        if self.tasks.is_empty() {
            return Err(bad_input(format!("{origin}: no task, expected at least one\nhint: {FORM}")));
        }
        Ok(self.tasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> anyhow::Result<Vec<TaskRow>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tasks.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let message = read_text(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    const GOOD: &str =
        r#"{"task_id": "a", "split": "train", "seed": 1, "instruction": "Go.", "horizon": 9, "kind": "k"}"#;

    #[test]
    fn each_line_is_a_task() {
        let tasks = read_text(&format!("{GOOD}\n\n{}\n", GOOD.replace("\"a\"", "\"b\""))).unwrap();
        let seen: Vec<_> = tasks.iter().map(|task| (task.id.as_str(), task.horizon, task.kind.as_deref())).collect();
        assert_eq!(seen, [("a", 9, Some("k")), ("b", 9, Some("k"))]);
        assert!(tasks.iter().all(|task| &*task.environment == "external"));
    }

    #[test]
    fn a_bad_line_is_told_with_its_number() {
        check_refused(&format!("{GOOD}\n{GOOD}"), "tasks.jsonl:2: a task `a` came before");
        check_refused(
            &format!("{GOOD}\n{{\"task_id\": 3}}"),
            "tasks.jsonl:2: invalid type: integer `3`, expected a string",
        );
        check_refused(&GOOD.replace("train", "practice"), "tasks.jsonl:1: `split` is `practice`, expected `train`");
        check_refused(&GOOD.replace("\"horizon\": 9", "\"horizon\": 0"), "tasks.jsonl:1: `horizon` is 0");
        check_refused(&GOOD.replace("seed", "sead"), "unknown field `sead`");
        check_refused("", "tasks.jsonl: no task, expected at least one");
    }
}
