//! What the server answers, and how it goes wrong.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// An answer, and how it is handed over.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    status: u16,
    content_type: &'static str,
    headers: Vec<(String, String)>,
    pieces: Vec<Vec<u8>>,
    delay: Duration,
    delivery: Delivery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// In one piece.
    Whole,
    /// In one piece, of which the end is missing.
    Truncated,
    /// In pieces.
    Stream,
    /// In pieces, of which the last are missing.
    BrokenStream,
    /// Not at all.
    Silence,
}

impl Reply {
    /// A completion of words, with OpenAI's counts of its tokens.
    #[must_use]
    pub fn completion(text: &str, prompt_tokens: u32, completion_tokens: u32) -> Self {
        Self::completion_with_usage(
            text,
            &json!({
                "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            }),
        )
    }

    /// A completion of words, with counts of any kind; null for none.
    #[must_use]
    pub fn completion_with_usage(text: &str, usage: &Value) -> Self {
        let message = json!({"role": "assistant", "content": text});
        Self::message(&message, "stop", usage)
    }

    /// A completion that calls a tool.
    #[must_use]
    pub fn tool_call(name: &str, arguments: &Value, usage: &Value) -> Self {
        let function = json!({"name": name, "arguments": arguments.to_string()});
        let message = json!({
            "role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        });
        Self::message(&message, "tool_calls", usage)
    }

    /// A completion of any message.
    #[must_use]
    pub fn message(message: &Value, finish_reason: &str, usage: &Value) -> Self {
        let mut body = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        });
        if !usage.is_null() {
            body["usage"] = usage.clone();
        }
        Self::json(200, &body)
    }

    /// A completion of words that is streamed, a word at a time, with the usage in the last chunk.
    #[must_use]
    pub fn stream(text: &str, usage: &Value) -> Self {
        let chunk = |delta: Value, finish_reason: Value| json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]});
        let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        events.extend(text.split_inclusive(' ').map(|word| chunk(json!({"content": word}), Value::Null)));
        events.push(chunk(json!({}), json!("stop")));
        if !usage.is_null() {
            events.push(json!({"object": "chat.completion.chunk", "choices": [], "usage": usage}));
        }
        let mut pieces: Vec<Vec<u8>> = events.iter().map(|event| format!("data: {event}\n\n").into_bytes()).collect();
        pieces.push(b"data: [DONE]\n\n".to_vec());
        Self { content_type: "text/event-stream", pieces, delivery: Delivery::Stream, ..Self::json(200, &Value::Null) }
    }

    /// A body of JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::status(status, &body.to_string())
    }

    /// A status with any body, sent as JSON.
    #[must_use]
    pub fn status(status: u16, body: &str) -> Self {
        Self {
            status,
            content_type: "application/json",
            headers: Vec::new(),
            pieces: vec![body.as_bytes().to_vec()],
            delay: Duration::ZERO,
            delivery: Delivery::Whole,
        }
    }

    /// Too many requests; to be tried again after what `retry_after` says.
    #[must_use]
    pub fn too_many_requests(retry_after: &str) -> Self {
        Self::json(429, &json!({"error": {"message": "too many requests", "type": "rate_limit_error"}}))
            .with_header("retry-after", retry_after)
    }

    /// A page for people.
    #[must_use]
    pub fn html() -> Self {
        let page = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>It works!</body></html>";
        Self { content_type: "text/html; charset=utf-8", ..Self::status(200, page) }
    }

    /// No answer: the connection stays open until the client gives up.
    #[must_use]
    pub fn silence() -> Self {
        Self { delivery: Delivery::Silence, ..Self::status(0, "") }
    }

    /// The same, with a header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, after a while.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The same, but the connection breaks half way.
    #[must_use]
    pub fn broken(self) -> Self {
        let delivery = if self.delivery == Delivery::Stream { Delivery::BrokenStream } else { Delivery::Truncated };
        Self { delivery, ..self }
    }

    /// The same stream, but half way an event tells of an error, and nothing follows.
    #[must_use]
    pub fn interrupted(mut self, error: &Value) -> Self {
        self.pieces.truncate(self.pieces.len() / 2);
        self.pieces.push(format!("data: {}\n\n", json!({"error": error})).into_bytes());
        self
    }

    pub(crate) const fn status_code(&self) -> u16 {
        self.status
    }

    /// Lets pass what passes before the answer goes out: its delay, or, where there is none, the client's patience.
    pub(crate) fn wait(&self, mut stream: &TcpStream) {
        if !self.delay.is_zero() {
            thread::sleep(self.delay);
        }
        if self.delivery == Delivery::Silence {
            // Ends when the client closes the connection.
            let _closed = stream.read(&mut [0; 1]);
        }
    }

    /// Hands the answer over. False when the connection is of no more use.
    pub(crate) fn write(&self, mut stream: &TcpStream) -> io::Result<bool> {
        match self.delivery {
            Delivery::Silence => Ok(false),
            Delivery::Whole | Delivery::Truncated => {
                let body = self.pieces.concat();
                let is_whole = self.delivery == Delivery::Whole;
                let mut out = self.head(&format!("content-length: {}", body.len()));
                out.extend_from_slice(if is_whole { &body } else { &body[..body.len() / 2] });
                stream.write_all(&out)?;
                Ok(is_whole)
            }
            Delivery::Stream | Delivery::BrokenStream => {
                stream.write_all(&self.head("transfer-encoding: chunked"))?;
                let is_whole = self.delivery == Delivery::Stream;
                let n_pieces = if is_whole { self.pieces.len() } else { self.pieces.len() / 2 };
                for piece in &self.pieces[..n_pieces] {
                    stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                    stream.write_all(piece)?;
                    stream.write_all(b"\r\n")?;
                }
                if is_whole {
                    stream.write_all(b"0\r\n\r\n")?;
                }
                Ok(is_whole)
            }
        }
    }

    fn head(&self, length: &str) -> Vec<u8> {
        let mut head =
            format!("HTTP/1.1 {} Scripted\r\ncontent-type: {}\r\n{length}\r\n", self.status, self.content_type);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}
