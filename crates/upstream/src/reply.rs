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
    /// An error in the clothes of a success, with the status that it names. Unless that says that the request was refused, a model
    /// may have worked on it.
    Refusal { status: u16, message: String, may_be_billed: bool },
    /// An error in the middle of an answer.
    Interrupted { message: String },
    /// Something else.
    Fault(ReplyFault),
}

/// The longest answer in one piece that is read, in bytes: no chat completion comes near it.
pub(crate) const MAX_BODY_BYTES: usize = 16 << 20;

/// Judges a body that came in one piece.
pub(crate) fn judge(body: &str, content_type: &str) -> Reply {
    if body.len() > MAX_BODY_BYTES {
        return Reply::Fault(ReplyFault::TooLong { max_bytes: MAX_BODY_BYTES });
    }
    if is_html(body, content_type) {
        return Reply::Fault(ReplyFault::Html);
    }
    match serde_json::from_str::<ChatResponse>(body) {
        Ok(response) => judge_response(response),
        Err(error) => match serde_json::from_str::<Value>(body) {
            // Some routers pass a provider's error on with status 200.
            Ok(value) if is_error(&value) => refusal(&value, body),
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

fn is_error(value: &Value) -> bool {
    value.get("error").is_some_and(|error| !error.is_null())
}

fn refusal(value: &Value, body: &str) -> Reply {
    let code = value.pointer("/error/code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| (400..600).contains(code));
    Reply::Refusal {
        status: code.unwrap_or(500),
        message: message_of(body),
        may_be_billed: code.is_none_or(|code| code >= 500),
    }
}

fn message_of(body: &str) -> String {
    error_message(body).unwrap_or_else(|| body.to_owned())
}

/// Judges a body that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct StreamJudge {
    events: SseEvents,
    assembler: ChunkAssembler,
    /// A chunk had a choice, so that a model is at work.
    has_begun: bool,
    is_done: bool,
    fault: Option<Reply>,
    /// What has come so far: the beginning of a stream, for a message; all of an answer in one piece, as some servers give it to a
    /// request for a stream.
    text: Vec<u8>,
}

/// Bytes of a stream that are kept for a message.
const KEPT_BYTES: usize = 64 * 1024;

impl StreamJudge {
    /// Takes the next bytes in. False once nothing more is of interest.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> bool {
        // White space before the answer only keeps the connection alive.
        let said = if self.text.is_empty() { bytes.trim_ascii_start() } else { bytes };
        if self.is_one_piece() || (self.text.is_empty() && said.starts_with(b"{")) {
            self.text.extend_from_slice(said);
            return self.text.len() <= MAX_BODY_BYTES;
        }
        let room = KEPT_BYTES.saturating_sub(self.text.len()).min(said.len());
        self.text.extend_from_slice(&said[..room]);
        for data in self.events.feed(bytes) {
            self.take(&data);
        }
        self.fault.is_none() && !self.is_done
    }

    /// The beginning of the stream, or all of what came in one piece.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// No event begins like that.
    fn is_one_piece(&self) -> bool {
        self.text.starts_with(b"{")
    }

    /// Takes the data of one event in.
    fn take(&mut self, data: &str) {
        if data.trim() == "[DONE]" {
            self.is_done = true;
            return;
        }
        match serde_json::from_str::<Value>(data) {
            Ok(value) if is_error(&value) => self.fault = Some(self.error_event(&value, data)),
            Ok(value) => match serde_json::from_value::<ChatChunk>(value) {
                Ok(chunk) => {
                    self.has_begun |= !chunk.choices.is_empty();
                    self.assembler.push(chunk);
                }
                Err(error) => self.fault = Some(Reply::Fault(ReplyFault::Json(error.to_string()))),
            },
            Err(error) => self.fault = Some(Reply::Fault(ReplyFault::BrokenStream(error.to_string()))),
        }
    }

    /// An error before the answer has begun is a refusal; later, or in a piece of the answer, what came before it may be billed.
    fn error_event(&self, value: &Value, data: &str) -> Reply {
        let is_piece = value.get("choices").and_then(Value::as_array).is_some_and(|choices| !choices.is_empty());
        if self.has_begun || is_piece { Reply::Interrupted { message: message_of(data) } } else { refusal(value, data) }
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
        if self.is_one_piece() {
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
        let message = "overloaded".to_owned();
        let expected = Reply::Refusal { status: 529, message, may_be_billed: true };
        assert_eq!(judge(body, "application/json"), expected);
    }

    #[track_caller]
    fn check_may_be_billed(error: &str, expected: bool) {
        match judge(&format!("{{\"error\": {error}}}"), "application/json") {
            Reply::Refusal { may_be_billed, .. } => assert_eq!(may_be_billed, expected),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_an_error_that_names_a_refusal_is_billed_by_nobody() {
        check_may_be_billed(r#"{"message": "slow down", "code": 429}"#, false);
        check_may_be_billed(r#"{"message": "oops", "code": 500}"#, true);
        check_may_be_billed(r#"{"message": "oops", "code": "server_error"}"#, true);
        check_may_be_billed(r#"{"message": "oops", "code": 7}"#, true);
        check_may_be_billed(r#""oops""#, true);
    }

    /// What a stream comes to whose bytes arrive in pieces of that many.
    fn judge_stream(text: &str, piece: usize) -> Reply {
        let mut stream = StreamJudge::default();
        let mut pieces = text.as_bytes().chunks(piece);
        while pieces.next().is_some_and(|bytes| stream.feed(bytes)) {}
        stream.finish("text/event-stream", None)
    }

    const PIECE: &str = "data: {\"choices\": [{\"delta\": {\"role\": \"assistant\", \"content\": \"lo\"}}]}\n\n";
    const ERROR: &str = "data: {\"error\": {\"message\": \"overloaded\", \"code\": 429}}\n\n";

    #[test]
    fn an_error_is_a_refusal_until_the_answer_has_begun() {
        let message = || "overloaded".to_owned();
        let refused = Reply::Refusal { status: 429, message: message(), may_be_billed: false };
        assert_eq!(judge_stream(ERROR, 7), refused);
        assert_eq!(judge_stream(&format!("{PIECE}{ERROR}"), 7), Reply::Interrupted { message: message() });
        let last_piece =
            r#"data: {"choices": [{"delta": {}, "finish_reason": "error"}], "error": {"message": "overloaded"}}"#;
        assert_eq!(judge_stream(&format!("{last_piece}\n\n"), 7), Reply::Interrupted { message: message() });
    }

    /// A completion of so many bytes of words.
    fn long_completion(n_bytes: usize) -> String {
        format!(r#"{{"choices": [{{"message": {{"role": "assistant", "content": "{}"}}}}]}}"#, "a".repeat(n_bytes))
    }

    #[test]
    fn an_answer_in_one_piece_to_a_request_for_a_stream_is_read_whole() {
        let n_bytes = 3 * KEPT_BYTES;
        for before in ["", " \r\n\n"] {
            match judge_stream(&format!("{before}{}", long_completion(n_bytes)), 1_000) {
                Reply::Completion(response) => assert_eq!(response.choices[0].message.words().len(), n_bytes),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_answer_without_an_end_is_read_to_a_limit() {
        let too_long = Reply::Fault(ReplyFault::TooLong { max_bytes: MAX_BODY_BYTES });
        let body = long_completion(MAX_BODY_BYTES);
        assert_eq!(judge_stream(&body, KEPT_BYTES), too_long);
        assert_eq!(judge(&body, "application/json"), too_long);
    }

    #[test]
    fn a_snippet_is_one_short_line_without_the_key() {
        assert_eq!(snippet("bad key sk-1:\n  sk-1", Some("sk-1")), "bad key [key]: [key]");
        assert_eq!(snippet(r#"{"error": {"message": "no such model"}}"#, None), "no such model");
        assert_eq!(snippet("", None), "(nothing)");
        assert_eq!(snippet(&"ü".repeat(500), None).chars().count(), SNIPPET_BYTES + 2);
    }
}
