//! Rules about the text of our files: lengths, leftovers, names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Longest source file, in lines.
const MAX_LINES: usize = 620;
/// Longest file of an algorithm, in lines before its tests.
const MAX_ALGORITHM_LINES: usize = 400;
/// Crates whose files are algorithms, to be read from top to bottom beside a paper.
const ALGORITHM_CRATES: [&str; 6] = ["bopo", "inference", "ledger", "policy", "synthesis", "taxonomy"];
/// Folders that hold nothing of ours, or nothing to read.
const SKIPPED_DIRS: [&str; 6] = [".git", ".venv", "target", "runs", "__pycache__", "node_modules"];
/// Endings of files that people write.
const READ_EXTENSIONS: [&str; 10] = ["rs", "toml", "md", "py", "sh", "html", "css", "js", "j2", "yml"];
/// Leftovers of work in progress. In two pieces, so that this file does not find itself.
const LEFTOVERS: [(&str, &str); 5] = [("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("db", "g!("), ("to", "do!(")];
/// Words that the house calls otherwise, with the word to use. In two pieces as well.
const WORDS: [(&str, &str, &str); 7] = [
    ("weak", "_model", "small"),
    ("weak", " model", "small"),
    ("strong", "_model", "large"),
    ("strong", " model", "large"),
    ("cheap", "_model", "small"),
    ("expensive", "_model", "large"),
    ("/ho", "me/", "a path relative to the workspace"),
];
/// File names that say nothing.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "manager"];

/// Broken rules in the files under `root`.
pub(super) fn findings(root: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    collect(root, &mut paths)?;
    paths.sort();
    let mut findings = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
        let relative = path.strip_prefix(root).unwrap_or(&path);
        findings.extend(file_findings(relative, &text));
    }
    Ok(findings)
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("{}: cannot be read", dir.display()))? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if !SKIPPED_DIRS.contains(&name.as_ref()) && !name.ends_with(".partial") {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|ext| READ_EXTENSIONS.iter().any(|read| ext == *read)) {
            paths.push(path);
        }
    }
    Ok(())
}

fn file_findings(path: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let shown = path.display();
    let is_rust = path.extension().is_some_and(|ext| ext == "rs");
    let n_lines = text.lines().count();
    if is_rust && n_lines > MAX_LINES {
        findings.push(format!("{shown}: {n_lines} lines, more than {MAX_LINES}"));
    }
    let n_algorithm_lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    if is_rust && is_algorithm(path) && n_algorithm_lines > MAX_ALGORITHM_LINES {
        findings.push(format!(
            "{shown}: {n_algorithm_lines} lines before its tests, more than the {MAX_ALGORITHM_LINES} of an algorithm"
        ));
    }
    if path.file_stem().is_some_and(|stem| EMPTY_NAMES.iter().any(|name| stem == *name)) {
        findings.push(format!("{shown}: a name that says nothing\nhint: name the file for what it holds"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        for (first, second) in LEFTOVERS {
            if contains_word(line, &format!("{first}{second}")) {
                findings.push(format!("{shown}:{number}: leftover `{first}{second}`"));
            }
        }
        let lower = line.to_lowercase();
        for (first, second, instead) in WORDS {
            if contains_word(&lower, &format!("{first}{second}")) {
                findings.push(format!("{shown}:{number}: `{first}{second}`\nhint: say {instead}"));
            }
        }
    }
    findings
}

/// Whether `word` stands in the line and not inside of a longer word on its left.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| !line[..start].ends_with(|before: char| before.is_alphanumeric()))
}

fn is_algorithm(path: &Path) -> bool {
    ALGORITHM_CRATES.iter().any(|name| path.starts_with(Path::new("crates").join(name).join("src")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(file_findings(Path::new(path), text), expected);
    }

    #[test]
    fn leftovers_and_words_are_found_with_their_line() {
        let leftover = ["TO", "DO"].concat();
        let finding = format!("docs/a.md:2: leftover `{leftover}`");
        check("docs/a.md", &format!("fine\n{leftover}: later"), &[&finding]);
        let word = ["weak", "_model"].concat();
        check("a.rs", &format!("let {word} = 1;"), &[format!("a.rs:1: `{word}`\nhint: say small").as_str()]);
        check("a.rs", "a mastodon", &[]);
    }

    #[test]
    fn long_files_and_empty_names_are_found() {
        check("crates/a/src/b.rs", &"//\n".repeat(621), &["crates/a/src/b.rs: 621 lines, more than 620"]);
        let tested = format!("{}#[cfg(test)]\n{}", "//\n".repeat(400), "//\n".repeat(100));
        check("crates/bopo/src/b.rs", &tested, &[]);
        check(
            "crates/bopo/src/b.rs",
            &"//\n".repeat(401),
            &["crates/bopo/src/b.rs: 401 lines before its tests, more than the 400 of an algorithm"],
        );
        check(
            "crates/a/src/utils.rs",
            "",
            &["crates/a/src/utils.rs: a name that says nothing\nhint: name the file for what it holds"],
        );
    }
}
