//! Answers that come in pieces: server-sent events, the chunks in them, and the answer that they add up to.

use serde::{Deserialize, Serialize};

use crate::message::null_is_empty;
use crate::{Arguments, ChatResponse, Choice, Content, Extra, FunctionCall, Message, Role, ToolCall, Usage};

/// One piece of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// The provider's name for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What is new; none in the chunk that counts the tokens.
    #[serde(default)]
    pub choices: Vec<ChunkChoice>,
    /// What was counted, in the last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is new in one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// The answer's place among the answers.
    #[serde(default)]
    pub index: u32,
    /// What is new.
    #[serde(default)]
    pub delta: Delta,
    /// Why it ended, in its last chunk.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// Who says it, in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Words to append.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Pieces of tool calls.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallDelta>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A piece of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCallDelta {
    /// Which call of the message it belongs to.
    #[serde(default)]
    pub index: u32,
    /// The call's name, in its first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`, in its first piece.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What is new.
    #[serde(default)]
    pub function: FunctionCallDelta,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A piece of a function's name and arguments.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FunctionCallDelta {
    /// The function, in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Text to append to the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Splits the bytes of a `text/event-stream` into the data of its events, however the bytes arrive.
#[derive(Debug, Default)]
pub struct SseEvents {
    pending: Vec<u8>,
    data: Option<String>,
}

impl SseEvents {
    /// Takes bytes in, and hands out the data of every event that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        self.pending.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            events.extend(self.take_line(line.trim_end_matches(['\n', '\r'])));
        }
        events
    }

    fn take_line(&mut self, line: &str) -> Option<String> {
        if line.is_empty() {
            return self.data.take();
        }
        // Comments begin with a colon; event names, ids and retry times are of no use here.
        let data = line.strip_prefix("data:")?;
        let data = data.strip_prefix(' ').unwrap_or(data);
        match &mut self.data {
            Some(earlier) => {
                earlier.push('\n');
                earlier.push_str(data);
            }
            none => *none = Some(data.to_owned()),
        }
        None
    }
}

/// Adds up the first answer of a stream.
#[derive(Debug, Default)]
pub struct ChunkAssembler {
    id: Option<String>,
    model: Option<String>,
    role: Option<Role>,
    content: Option<String>,
    tool_calls: Vec<ToolCall>,
    finish_reason: Option<String>,
    usage: Option<Usage>,
    has_choice: bool,
}

impl ChunkAssembler {
    /// Takes the next chunk in.
    pub fn push(&mut self, chunk: ChatChunk) {
        self.id = self.id.take().or(chunk.id);
        self.model = self.model.take().or(chunk.model);
        self.usage = chunk.usage.or(self.usage.take());
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            self.has_choice = true;
            self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
            self.role = self.role.take().or(choice.delta.role);
            if let Some(words) = choice.delta.content {
                self.content.get_or_insert_default().push_str(&words);
            }
            for piece in choice.delta.tool_calls {
                self.push_tool_call(piece);
            }
        }
    }

    /// Whether the answer has come to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// The answer as if it had come in one piece; without a choice when no chunk had one.
    #[must_use]
    pub fn finish(self) -> ChatResponse {
        let message = Message {
            content: Some(self.content.map_or(Content::Null, Content::Text)),
            tool_calls: self.tool_calls,
            ..Message::text(self.role.unwrap_or(Role::Assistant), "")
        };
        let choice = Choice { index: 0, message, finish_reason: self.finish_reason, extra: Extra::new() };
        ChatResponse {
            id: self.id,
            model: self.model,
            choices: if self.has_choice { vec![choice] } else { Vec::new() },
            usage: self.usage,
            extra: Extra::new(),
        }
    }

    fn push_tool_call(&mut self, piece: ToolCallDelta) {
        // Calls come in their order; an index far beyond them would be an allocation that the stream chooses.
        let position = (piece.index as usize).min(self.tool_calls.len());
        if position == self.tool_calls.len() {
            let function = FunctionCall { name: String::new(), arguments: None, extra: Extra::new() };
            self.tool_calls.push(ToolCall { id: None, kind: None, function, extra: Extra::new() });
        }
        let call = &mut self.tool_calls[position];
        call.id = call.id.take().or(piece.id);
        call.kind = call.kind.take().or(piece.kind);
        call.function.name.push_str(&piece.function.name.unwrap_or_default());
        if let Some(text) = piece.function.arguments {
            match &mut call.function.arguments {
                Some(Arguments::Text(earlier)) => earlier.push_str(&text),
                other => *other = Some(Arguments::Text(text)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = concat!(
        ": keep-alive\r\n\r\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "event: message\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"gehe zur Tür\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"act\",\"arguments\":\"{\\\"comm\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"and\\\": \\\"look\\\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n",
        "data: [DONE]\n\n",
    );

    fn assemble(pieces: impl Iterator<Item = Vec<u8>>) -> (ChatResponse, bool) {
        let (mut events, mut assembler, mut is_done) = (SseEvents::default(), ChunkAssembler::default(), false);
        for data in pieces.flat_map(|piece| events.feed(&piece)) {
            if data == "[DONE]" {
                is_done = true;
            } else {
                assembler.push(serde_json::from_str(&data).unwrap());
            }
        }
        (assembler.finish(), is_done)
    }

    #[test]
    fn a_stream_adds_up_to_the_answer_however_its_bytes_arrive() {
        for size in [1, 2, 3, 7, 4_096] {
            let (response, is_done) = assemble(STREAM.as_bytes().chunks(size).map(<[u8]>::to_vec));
            assert!(is_done);
            let message = &response.choices[0].message;
            assert_eq!(message.words(), "gehe zur Tür");
            let call = &message.tool_calls[0];
            assert_eq!((call.id.as_deref(), call.function.name.as_str()), (Some("t1"), "act"));
            let arguments = call.function.arguments.as_ref().unwrap().value().unwrap().into_owned();
            assert_eq!(arguments["command"], "look");
            assert_eq!(response.choices[0].finish_reason.as_deref(), Some("tool_calls"));
            assert_eq!(response.usage.unwrap().prompt_tokens, Some(7));
        }
    }

    #[test]
    fn data_over_several_lines_is_one_event() {
        assert_eq!(SseEvents::default().feed(b"data: a\ndata: b\n\ndata:c\n\ndata: open"), ["a\nb", "c"]);
    }

    #[test]
    fn a_tool_call_of_a_huge_index_is_the_next_one() {
        let mut assembler = ChunkAssembler::default();
        let chunk = r#"{"choices": [{"delta": {"tool_calls": [{"index": 4000000000, "function": {"name": "act"}}]}}]}"#;
        assembler.push(serde_json::from_str(chunk).unwrap());
        assert_eq!(assembler.finish().choices[0].message.tool_calls.len(), 1);
    }
}
