//! What goes wrong, told to the caller: an exit code for programs, a message and a hint for people.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// Exit code of a run that stopped at bad input or config.
const BAD_INPUT: u8 = 2;
/// Exit code of a run that failed for any other reason.
const FAILED: u8 = 1;

/// Marks an error as the caller's to mend: the input or the config is wrong, not the program.
#[derive(Debug)]
struct BadInput(anyhow::Error);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for BadInput {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Says that a failure lies in what was given.
pub(crate) trait OrBadInput<T> {
    /// The same result, with its error marked as bad input.
    fn or_bad_input(self) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrBadInput<T> for Result<T, E> {
    fn or_bad_input(self) -> anyhow::Result<T> {
        self.map_err(blame_input)
    }
}

/// The same error, marked as bad input.
pub(crate) fn blame_input(error: impl Into<anyhow::Error>) -> anyhow::Error {
    BadInput(error.into()).into()
}

/// An error that is the caller's to mend. Lines that begin with `hint: ` are shown apart.
pub(crate) fn bad_input(message: impl Into<String>) -> anyhow::Error {
    blame_input(anyhow::Error::msg(message.into()))
}

/// Shows the error on stderr and returns the exit code that belongs to it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    // A reader that closed stderr cannot be told anything; the exit code still speaks.
    let _ignored = std::io::stderr().lock().write_all(message(error).as_bytes());
    ExitCode::from(exit_code(error))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(<dyn std::error::Error>::is::<BadInput>) { BAD_INPUT } else { FAILED }
}

/// The chain of causes on the `error:` line, each hint on a line of its own.
fn message(error: &anyhow::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let (told, rest) = match text.split_once("\nhint: ") {
            Some((told, rest)) => (told.to_owned(), Some(rest.to_owned())),
            None => (text, None),
        };
        // Transparent errors repeat their source's message word by word.
        if !causes.iter().any(|earlier| earlier.contains(&told)) {
            causes.push(told);
        }
        for hint in rest.iter().flat_map(|rest| rest.split("\nhint: ")) {
            if !hints.iter().any(|earlier| earlier == hint) {
                hints.push(hint.to_owned());
            }
        }
    }
    let mut message = format!("error: {}\n", causes.join(": "));
    for hint in hints {
        message.push_str("hint: ");
        message.push_str(&hint);
        message.push('\n');
    }
    message
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn hints_of_every_cause_follow_the_whole_message() {
        let error =
            Err::<(), _>(bad_input("price is -1\nhint: prices are 0 or more")).context("pool.toml").unwrap_err();
        assert_eq!(message(&error), "error: pool.toml: price is -1\nhint: prices are 0 or more\n");
    }

    #[test]
    fn bad_input_is_known_by_its_exit_code_under_any_context() {
        let bad = Err::<(), _>(bad_input("no such key")).context("config").context("evaluate").unwrap_err();
        assert_eq!(exit_code(&bad), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("the disk is full")), 1);
        let marked = Err::<(), _>(std::io::Error::other("truncated")).or_bad_input().unwrap_err();
        assert_eq!(exit_code(&marked), 2);
    }
}
