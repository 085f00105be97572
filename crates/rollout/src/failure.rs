//! Failures that anyone can see: the environment says that a command came to nothing.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// What an observation says when a command came to nothing, across the environments that we know.
const FAILURE_PHRASES: [&str; 9] =
    ["nothing happens", "error", "failed", "invalid", "cannot", "can't", "no such", "not found", "no known action"];

#[expect(clippy::expect_used, reason = "nine short literals always build an automaton")]
static FAILURES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder().ascii_case_insensitive(true).build(FAILURE_PHRASES).expect("the phrases are valid patterns")
});

/// Whether an observation reads like the answer to a command that came to nothing. It is what a user at the screen would
/// say, not the truth: a wrong step that looks fine passes, and a text that merely mentions an error does not.
#[must_use]
pub fn reports_failure(observation: &str) -> bool {
    FAILURES.is_match(observation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_recognised_in_any_case() {
        assert!(reports_failure("NOTHING happens."));
        assert!(reports_failure("Error executing query: no such column"));
        assert!(!reports_failure("You open the fridge. You see a mug."));
    }
}
