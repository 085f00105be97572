//! Judging a body: a completion, or what is wrong with it.

use serde_json::Value;
use tollgate_wire::{ChatChunk, ChatResponse, ChunkAssembler, SseEvents, error_message};

use crate::ReplyFault;

/// Bytes of a body that a message repeats.
const SNIPPET_BYTES: usize = 200;

/// What a successful status brought.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    /// A completion; its usage is still to be judged.
    Completion(Box<ChatResponse>),
    /// An error in the clothes of a success, with the status that it names.
    Refusal { status: u16, message: String },
    /// Something else.
    Fault(ReplyFault),
}

/// Judges a body that came in one piece.
pub(crate) fn judge(body: &str, content_type: &str) -> Reply {
    if is_html(body, content_type) {
        return Reply::Fault(ReplyFault::Html);
    }
    match serde_json::from_str::<ChatResponse>(body) {
        Ok(response) => judge_response(response),
        Err(error) => match serde_json::from_str::<Value>(body) {
            // Some routers pass a provider's error on with status 200.
            Ok(value) if value.get("error").is_some_and(|error| !error.is_null()) => refusal(&value, body),
            _ if error.is_eof() => Reply::Fault(ReplyFault::Truncated(error.to_string())),
            _ => Reply::Fault(ReplyFault::Json(error.to_string())),
        },
    }
}

/// The beginning of a body on one line, as a message may show it: without the key, should the server repeat it.
pub(crate) fn snippet(body: &str, key: Option<&str>) -> String {
    let told = error_message(body).unwrap_or_else(|| body.split_whitespace().collect::<Vec<_>>().join(" "));
    let told = match key {
        Some(key) => told.replace(key, "[key]"),
        None => told,
    };
    if told.is_empty() {
        return "(nothing)".to_owned();
    }
    match told.char_indices().nth(SNIPPET_BYTES) {
        Some((end, _)) => format!("{}..", &told[..end]),
        None => told,
    }
}

fn is_html(body: &str, content_type: &str) -> bool {
    content_type.starts_with("text/html") || body.trim_start().starts_with('<')
}

fn judge_response(response: ChatResponse) -> Reply {
    if response.choices.is_empty() { Reply::Fault(ReplyFault::NoChoice) } else { Reply::Completion(Box::new(response)) }
}

fn refusal(value: &Value, body: &str) -> Reply {
    let code = value.pointer("/error/code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = code.filter(|code| (400..600).contains(code)).unwrap_or(500);
    Reply::Refusal { status, message: error_message(body).unwrap_or_else(|| body.to_owned()) }
}

/// Judges a body that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct StreamJudge {
    events: SseEvents,
    assembler: ChunkAssembler,
    is_done: bool,
    fault: Option<Reply>,
    /// What has come so far, for a message; and for servers that answer a request for a stream in one piece.
    text: Vec<u8>,
}

/// Bytes of a stream that are kept for a message.
const KEPT_BYTES: usize = 64 * 1024;

impl StreamJudge {
    /// Takes the next bytes in. False once nothing more is of interest.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> bool {
        let room = KEPT_BYTES.saturating_sub(self.text.len()).min(bytes.len());
        self.text.extend_from_slice(&bytes[..room]);
        for data in self.events.feed(bytes) {
            if data.trim() == "[DONE]" {
                self.is_done = true;
                continue;
            }
            match serde_json::from_str::<Value>(&data) {
                Ok(value) if value.get("error").is_some_and(|error| !error.is_null()) => {
                    self.fault = Some(refusal(&value, &data));
                }
                Ok(value) => match serde_json::from_value::<ChatChunk>(value) {
                    Ok(chunk) => self.assembler.push(chunk),
                    Err(error) => self.fault = Some(Reply::Fault(ReplyFault::Json(error.to_string()))),
                },
                Err(error) => self.fault = Some(Reply::Fault(ReplyFault::BrokenStream(error.to_string()))),
            }
        }
        self.fault.is_none() && !self.is_done
    }

    /// The beginning of the stream.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// The verdict once the stream has ended; `broken` says how, when it was not the server's wish.
    pub(crate) fn finish(self, content_type: &str, broken: Option<String>) -> Reply {
        let text = self.text();
        if is_html(&text, content_type) {
            return Reply::Fault(ReplyFault::Html);
        }
        if let Some(fault) = self.fault {
            return fault;
        }
        if text.trim_start().starts_with('{') {
            return judge(&text, content_type);
        }
        if self.is_done || (self.assembler.is_finished() && broken.is_none()) {
            return judge_response(self.assembler.finish());
        }
        Reply::Fault(ReplyFault::BrokenStream(broken.unwrap_or_else(|| "it ended without an end".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_fault(body: &str, content_type: &str, expected: &str) {
        match judge(body, content_type) {
            Reply::Fault(fault) => assert!(fault.to_string().contains(expected), "{fault}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_completion_is_told_apart() {
        check_fault("<!DOCTYPE html><html>", "application/json", "HTML page");
        check_fault("Welcome", "text/html; charset=utf-8", "HTML page");
        check_fault(r#"{"choices": [{"message": {"role": "assi"#, "application/json", "broke off");
        check_fault(r#"{"choices": []}"#, "application/json", "no choice");
        check_fault(
            r#"{"object": "list", "data": []}"#,
            "application/json",
            "no chat completion: missing field `choices`",
        );
        check_fault("OK", "text/plain", "no chat completion");
    }

    #[test]
    fn an_error_with_status_200_is_an_error() {
        let body = r#"{"error": {"message": "overloaded", "code": 529}}"#;
        assert_eq!(judge(body, "application/json"), Reply::Refusal { status: 529, message: "overloaded".into() });
    }

    #[test]
    fn a_snippet_is_one_short_line_without_the_key() {
        assert_eq!(snippet("bad key sk-1:\n  sk-1", Some("sk-1")), "bad key [key]: [key]");
        assert_eq!(snippet(r#"{"error": {"message": "no such model"}}"#, None), "no such model");
        assert_eq!(snippet("", None), "(nothing)");
        assert_eq!(snippet(&"ü".repeat(500), None).chars().count(), SNIPPET_BYTES + 2);
    }
}
