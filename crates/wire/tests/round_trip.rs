//! What is read and written again says the same, known or not.
#![expect(clippy::unwrap_used, reason = "a body that cannot be read fails its test")]

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tollgate_wire::{ChatChunk, ChatRequest, ChatResponse, Content, Role, Usage};

#[track_caller]
fn check<T: DeserializeOwned + Serialize>(body: &str) -> T {
    let parsed: T = serde_json::from_str(body).unwrap();
    let written = serde_json::to_value(&parsed).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(body).unwrap());
    parsed
}

#[test]
fn a_request_keeps_what_it_does_not_know() {
    let request: ChatRequest = check(
        r#"{"model": "gpt-4.1-mini", "temperature": 0, "max_tokens": 100, "seed": 7, "top_p": 0.5,
            "response_format": {"type": "json_object"}, "reasoning_effort": "low", "n": 1,
            "messages": [
              {"role": "developer", "content": "Be brief."},
              {"role": "user", "content": [
                {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
              {"role": "assistant", "content": null, "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "act", "arguments": "{\"command\": \"look\"}"}}]},
              {"role": "tool", "tool_call_id": "t1", "content": "A mug."},
              {"role": "critic", "content": "Hm.", "weight": 1}],
            "tools": [{"type": "function", "function": {"name": "act", "description": "Acts.", "strict": true,
              "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}}}],
            "tool_choice": {"type": "function", "function": {"name": "act"}}}"#,
    );
    assert_eq!(request.messages[1].words(), "What is it?");
    assert_eq!(request.messages[2].content, Some(Content::Null));
    assert_eq!(request.messages[4].role, Role::Other("critic".into()));
    assert_eq!(request.extra["reasoning_effort"], "low");
    assert_eq!(request.output_limit(), Some(100));
}

#[test]
fn a_response_keeps_what_it_does_not_know() {
    let response: ChatResponse = check(
        r#"{"id": "c1", "object": "chat.completion", "created": 1754000000, "model": "gpt-4.1-mini-2025-04-14",
            "system_fingerprint": "fp", "choices": [{"index": 0, "logprobs": null, "finish_reason": "stop",
              "message": {"role": "assistant", "content": "look", "refusal": null, "annotations": [],
                "reasoning_content": "Hm."}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "cost": 0.25,
              "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
              "completion_tokens_details": {"reasoning_tokens": 0, "accepted_prediction_tokens": 0}}}"#,
    );
    assert_eq!(response.choices[0].message.words(), "look");
    assert_eq!(response.usage.unwrap().cost, Some(Value::from(0.25)));
}

#[test]
fn a_cost_of_any_form_is_kept() {
    let usage: Usage = check(
        r#"{"prompt_tokens": 9, "completion_tokens": 1, "cost": {"request_cost": 0.005, "total_cost": 0.006}, "is_byok": true,
            "cost_details": {"upstream_inference_cost": 0.5}}"#,
    );
    assert_eq!(usage.prompt_tokens, Some(9));
}

#[test]
fn a_chunk_keeps_what_it_does_not_know() {
    let chunk: ChatChunk = check(
        r#"{"id": "c1", "object": "chat.completion.chunk", "created": 1, "choices": [
              {"index": 0, "delta": {"content": "lo", "reasoning_content": "Hm."}, "logprobs": null, "finish_reason": null}]}"#,
    );
    assert_eq!(chunk.choices[0].delta.content.as_deref(), Some("lo"));
}

#[test]
fn a_null_list_of_tools_is_an_empty_one() {
    let body =
        r#"{"model": "m", "tools": null, "messages": [{"role": "assistant", "content": "a", "tool_calls": null}]}"#;
    let request: ChatRequest = serde_json::from_str(body).unwrap();
    assert!(request.tools.is_empty() && request.messages[0].tool_calls.is_empty());
}
