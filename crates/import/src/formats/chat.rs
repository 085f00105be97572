//! Chat messages as providers, harnesses and traces write them.

use crate::json::{Json, Members, Text};
use crate::record::LoggedTokens;
use crate::skips::Refusal;

use super::count;

/// Adds the words of a message's content: a string, or the texts of its parts.
pub(super) fn push_content(content: Json<'_>, out: &mut String) {
    if let Some(text) = content.as_text() {
        return text.push_to(out);
    }
    for part in content.elements() {
        let words = part.as_text().or_else(|| ["text", "content"].iter().find_map(|name| part.member(name)?.as_text()));
        if let Some(words) = words {
            separate(out, "\n");
            words.push_to(out);
        } else if let Some(kind) = part.member("type").and_then(Json::as_text) {
            separate(out, "\n");
            out.push('[');
            kind.push_to(out);
            out.push(']');
        }
    }
}

/// Adds what a model said: its words, and a line for each of its tool calls.
pub(super) fn push_answer(message: Json<'_>, out: &mut String) {
    let message = message.members();
    if let Some(content) = message.get("content").or_else(|| message.get("parts")) {
        push_content(content, out);
    }
    for call in message.get("tool_calls").map(Json::elements).unwrap_or_default() {
        let function = call.member("function").unwrap_or(call).members();
        separate(out, "\n");
        push_words(function.get("name"), out);
        out.push('(');
        push_words(function.get("arguments"), out);
        out.push(')');
    }
}

/// Adds a string's words, or another value as it stands.
pub(super) fn push_words(value: Option<Json<'_>>, out: &mut String) {
    match value.map(|value| (value, value.as_text())) {
        Some((_, Some(text))) => text.push_to(out),
        Some((value, None)) => out.push_str(value.raw()),
        None => {}
    }
}

/// Adds what arrived since the model spoke last: the messages behind its last one, the system's left out.
pub(super) fn push_news(messages: &[Json<'_>], out: &mut String) {
    let is_answer = |message: &Json<'_>| has_role(*message, &["assistant", "model"]);
    let first = messages.iter().rposition(is_answer).map_or(0, |position| position + 1);
    for message in &messages[first..] {
        if !has_role(*message, &["system", "developer"]) {
            push_message(*message, out);
        }
    }
}

/// Adds a message that the agent was sent.
pub(super) fn push_message(message: Json<'_>, out: &mut String) {
    let message = message.members();
    if let Some(content) = message.get("content").or_else(|| message.get("parts")) {
        separate(out, "\n\n");
        push_content(content, out);
    }
}

pub(super) fn has_role(message: Json<'_>, roles: &[&str]) -> bool {
    message.member("role").and_then(Json::as_text).is_some_and(|role| roles.contains(&role.to_words().as_str()))
}

fn separate(out: &mut String, separator: &str) {
    if !out.is_empty() {
        out.push_str(separator);
    }
}

/// Tokens of a `usage` object. OpenAI, LiteLLM and `DeepSeek` count cached tokens as part of the prompt; Anthropic's
/// `input_tokens` are only what is left of it.
pub(super) fn tokens(usage: Json<'_>) -> Result<LoggedTokens, Refusal> {
    let usage = usage.members();
    let counted = |value: Option<Json<'_>>, field| value.map_or(Ok(None), |value| count(field, value));
    let read = counted(usage.get("cache_read_input_tokens"), "cache_read_input_tokens")?;
    let written = counted(usage.get("cache_creation_input_tokens"), "cache_creation_input_tokens")?;
    let completion = usage.get("completion_tokens").or_else(|| usage.get("output_tokens"));
    let completion = counted(completion, "completion_tokens")?;
    let details = ["prompt_tokens_details", "input_tokens_details"];
    let detail = |field| counted(details.iter().find_map(|name| usage.get(name)?.member(field)), field);
    let hit = counted(usage.get("prompt_cache_hit_tokens"), "prompt_cache_hit_tokens")?;
    // Where the sum has no room, it stays out of the range of counts that are taken.
    let whole = |rest: i64| rest.saturating_add(read.unwrap_or(0)).saturating_add(written.unwrap_or(0));
    let prompt = match counted(usage.get("prompt_tokens"), "prompt_tokens")? {
        Some(prompt) => Some(prompt),
        None => counted(usage.get("input_tokens"), "input_tokens")?.map(whole),
    };
    Ok(LoggedTokens {
        prompt,
        cached: told_in_several_places([detail("cached_tokens")?, read, hit]),
        cache_write: told_in_several_places([detail("cache_creation_tokens")?, detail("cache_write_tokens")?, written]),
        completion,
    })
}

/// What a provider counts in several places: the greatest, for proxies fill in zeros, as `tollgate_wire::Usage` takes it. A count
/// below 0 stays, to be refused.
fn told_in_several_places(counts: [Option<i64>; 3]) -> Option<i64> {
    let told = counts.into_iter().flatten();
    told.clone().find(|&count| count < 0).or_else(|| told.max())
}

/// The first of these members that is there, as a name.
pub(super) fn first_name<'a>(places: &[&Members<'a>], names: &[&str]) -> Option<Text<'a>> {
    let found = names.iter().find_map(|name| places.iter().find_map(|place| place.get(name)))?;
    found.as_text().or_else(|| found.is_number().then(|| Text::Plain(found.raw())))
}

/// The first of these members that is there.
pub(super) fn first<'a>(places: &[&Members<'a>], names: &[&str]) -> Option<Json<'a>> {
    names.iter().find_map(|name| places.iter().find_map(|place| place.get(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::object;

    #[track_caller]
    fn check_tokens(usage: &str, expected: [Option<i64>; 4]) {
        let tokens = tokens(object(usage).unwrap()).unwrap();
        assert_eq!([tokens.prompt, tokens.cached, tokens.cache_write, tokens.completion], expected, "{usage}");
    }

    #[test]
    fn every_provider_s_usage_becomes_one_prompt_with_its_cached_part() {
        check_tokens(r#"{"prompt_tokens":9,"completion_tokens":2}"#, [Some(9), None, None, Some(2)]);
        check_tokens(
            r#"{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}"#,
            [Some(9), Some(4), None, Some(2)],
        );
        check_tokens(
            r#"{"input_tokens":9,"output_tokens":2,"input_tokens_details":{"cached_tokens":4}}"#,
            [Some(9), Some(4), None, Some(2)],
        );
        check_tokens(
            r#"{"input_tokens":9,"cache_read_input_tokens":4,"cache_creation_input_tokens":1,"output_tokens":2}"#,
            [Some(14), Some(4), Some(1), Some(2)],
        );
        check_tokens(
            r#"{"prompt_tokens":14,"cache_read_input_tokens":4,"cache_creation_input_tokens":1,"completion_tokens":2}"#,
            [Some(14), Some(4), Some(1), Some(2)],
        );
        check_tokens(
            r#"{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3}}"#,
            [Some(9), Some(4), Some(3), Some(2)],
        );
        check_tokens(r#"{"total_tokens":3}"#, [None; 4]);
    }

    #[test]
    fn zeros_that_a_proxy_filled_in_hide_no_count() {
        check_tokens(
            r#"{"prompt_tokens":9,"completion_tokens":2,"cache_read_input_tokens":4,"cache_creation_input_tokens":0,
            "prompt_tokens_details":{"cached_tokens":0,"cache_creation_tokens":0,"cache_write_tokens":3}}"#,
            [Some(9), Some(4), Some(3), Some(2)],
        );
        check_tokens(
            r#"{"input_tokens":9,"output_tokens":2,"cache_read_input_tokens":0,"input_tokens_details":{"cached_tokens":4}}"#,
            [Some(9), Some(4), None, Some(2)],
        );
        check_tokens(
            r#"{"prompt_tokens":9,"completion_tokens":2,"cache_read_input_tokens":-1,"prompt_tokens_details":{"cached_tokens":4}}"#,
            [Some(9), Some(-1), None, Some(2)],
        );
    }

    #[test]
    fn counts_whose_sum_has_no_room_stay_out_of_range() {
        let usage = format!("{{\"input_tokens\":9,\"cache_read_input_tokens\":{},\"output_tokens\":2}}", i64::MAX);
        check_tokens(&usage, [Some(i64::MAX), Some(i64::MAX), None, Some(2)]);
    }

    #[test]
    fn news_is_what_came_since_the_last_answer() {
        let text = r#"{"m":[{"role":"system","content":"be good"},{"role":"user","content":"hi"},
            {"role":"assistant","content":"hello"},{"role":"tool","content":[{"type":"text","text":"a"},{"type":"image_url"}]},
            {"role":"user","content":"go on"}]}"#;
        let messages = object(text).unwrap().member("m").unwrap().elements();
        let mut news = String::new();
        push_news(&messages, &mut news);
        assert_eq!(news, "a\n[image_url]\n\ngo on");
        let mut news = String::new();
        push_news(&messages[..2], &mut news);
        assert_eq!(news, "hi");
    }

    #[test]
    fn tool_calls_are_part_of_what_was_said() {
        let text = r#"{"content":"I look","tool_calls":[{"function":{"name":"read","arguments":"{\"a\":1}"}},
            {"name":"write","arguments":{"b":2}}]}"#;
        let mut said = String::new();
        push_answer(object(text).unwrap(), &mut said);
        assert_eq!(said, "I look\nread({\"a\":1})\nwrite({\"b\":2})");
    }
}
