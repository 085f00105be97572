//! From what a model says to a command: as models say it, not as they were told to.

use std::borrow::Cow;

use serde_json::Value;
use tollgate_wire::Message;

/// The longest thought that later prompts repeat, in bytes.
const MAX_THOUGHT_BYTES: usize = 600;
/// The longest command that goes to a world, in bytes; an answer without a command is cut there as well.
const MAX_COMMAND_BYTES: usize = 400;

/// What an answer comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parsed {
    /// What the model thought before it acted.
    pub(super) thought: String,
    /// The command, or the answer itself when no command is in it.
    pub(super) command: String,
}

/// Reads an answer. Where the world says which commands it would take, one of them is returned in the world's own spelling.
pub(super) fn parse(message: &Message, admissible: &[String]) -> Parsed {
    let words = message.words();
    let words = without_thinking(&words);
    let called = message.tool_calls.iter().find_map(|call| {
        let arguments = call.function.arguments.as_ref()?;
        command_of_value(arguments.value()?.as_ref())
    });
    let found = match called {
        Some(command) => Some((words.clone().into_owned(), command)),
        None => labelled(&words).or_else(|| json_within(&words)),
    };
    if let Some((thought, command)) = found {
        let thought = cut(clean_thought(&thought), MAX_THOUGHT_BYTES);
        return Parsed { thought, command: finish(&command, admissible) };
    }
    // No label: a line that is a command, else all of it, for the world to refuse.
    let line = words.lines().map(bare).find(|line| admissible.iter().any(|known| same(known, line)));
    Parsed { thought: String::new(), command: finish(line.unwrap_or_else(|| bare(&words)), admissible) }
}

/// The answer without the thinking that some models show. Later prompts must not repeat it: other models refuse it.
fn without_thinking(words: &str) -> Cow<'_, str> {
    let start = words.find("<think>");
    let Some(end) = words.rfind("</think>") else {
        // Cut off while it was thinking: all of it is thought.
        return start.map_or(Cow::Borrowed(words.trim()), |start| Cow::Borrowed(words[..start].trim()));
    };
    let before = start.map_or("", |start| &words[..start.min(end)]);
    Cow::Owned(format!("{before}{}", &words[end + "</think>".len()..]).trim().to_owned())
}

/// The first line that is labelled as an action: models that go on to invent what happens next are not followed.
fn labelled(words: &str) -> Option<(String, String)> {
    let mut thought = String::new();
    let mut lines = words.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = after_label(line) {
            let below = || lines.map(str::trim).find(|line| !line.is_empty() && !line.starts_with("```"));
            // The label may stand on a line of its own, perhaps with a fence below it.
            let command = if rest.is_empty() { below().unwrap_or_default() } else { rest };
            return (!command.is_empty()).then(|| (thought, command.to_owned()));
        }
        // Thought and action on one line.
        if let Some((before, command)) = line.split_once("Action:").filter(|(_, command)| !command.trim().is_empty()) {
            thought.push_str(before);
            return Some((thought, command.trim().to_owned()));
        }
        thought.push_str(line);
        thought.push('\n');
    }
    None
}

/// What follows `Action:`, `**Action**:`, `Action 3:`, `Command:` and their like at the beginning of a line.
fn after_label(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || "*#>-`_".contains(c));
    let starts_with = |word: &&str| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let word = ["action", "command", "act"].into_iter().find(starts_with)?;
    let rest = line[word.len()..].trim_start_matches(|c: char| c.is_ascii_digit() || " *_".contains(c));
    Some(rest.strip_prefix(':')?.trim_start_matches(['*', '_', ' ']).trim_end())
}

/// A command in JSON, alone or within words, as models without tools write their calls.
fn json_within(words: &str) -> Option<(String, String)> {
    let start = words.find('{')?;
    let value = serde_json::Deserializer::from_str(&words[start..]).into_iter::<Value>().next()?.ok()?;
    let thought = words[..start].replace("<tool_call>", "").replace("```json", "");
    Some((thought, command_of_value(&value)?))
}

fn command_of_value(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => {
            let named =
                ["command", "action", "input", "arguments", "parameters"].iter().find_map(|name| map.get(*name));
            match named {
                Some(inner) => command_of_value(inner),
                None if map.len() == 1 => map.values().next().and_then(Value::as_str).map(str::to_owned),
                None => None,
            }
        }
        _ => None,
    }
}

/// The command as the world gets it.
fn finish(command: &str, admissible: &[String]) -> String {
    let command = bare(command.trim().lines().next().unwrap_or_default());
    // Said alone, or followed by more: a second command, a reason.
    let begins_with = |known: &&String| {
        let rest = command
            .get(..known.len())
            .filter(|start| start.eq_ignore_ascii_case(known))
            .map(|_| &command[known.len()..]);
        rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    let exact = admissible.iter().find(|known| same(known, command));
    match exact.or_else(|| admissible.iter().filter(begins_with).max_by_key(|known| known.len())) {
        Some(known) => known.clone(),
        None => cut(command, MAX_COMMAND_BYTES),
    }
}

/// Without quotes, fences, list marks and the call that some models wrap round it.
fn bare(text: &str) -> &str {
    let text = text.trim().trim_matches(|c: char| "`\"'*".contains(c)).trim();
    let inner = ["act(", "action(", "command("].iter().find_map(|call| text.strip_prefix(call)?.strip_suffix(')'));
    let text = match inner {
        Some(inner) => inner.trim_start_matches("command").trim_start_matches([' ', '=', ':']),
        None => text.strip_prefix("- ").or_else(|| text.strip_prefix("> ")).unwrap_or(text),
    };
    text.trim().trim_matches(|c: char| "`\"'*".contains(c)).trim()
}

fn same(known: &str, said: &str) -> bool {
    known.trim().eq_ignore_ascii_case(said.trim_end_matches(['.', '!']).trim())
}

fn clean_thought(text: &str) -> &str {
    let text = text.trim().trim_start_matches('*');
    let starts_with = |label: &&&str| text.get(..label.len()).is_some_and(|start| start.eq_ignore_ascii_case(label));
    let label = ["thought:", "think:"].iter().find(starts_with);
    text[label.map_or(0, |label| label.len())..].trim_start_matches('*').trim()
}

fn cut(text: &str, n_bytes: usize) -> String {
    text[..text.floor_char_boundary(n_bytes)].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_wire::Role;

    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: &str) {
        let admissible = ["go to shelf 1".to_owned(), "take mug 1 from shelf 1".to_owned()];
        assert_eq!(parse(&Message::text(Role::Assistant, answer), &admissible).command, expected);
    }

    #[test]
    fn commands_are_found_as_models_say_them() {
        check("Thought: The mug may be there.\nAction: go to shelf 1", "go to shelf 1");
        check("**Thought:** Hm.\n**Action:** `Go to Shelf 1.`", "go to shelf 1");
        check("Thought 1: Hm.\nAction 1: go to shelf 1\nObservation 1: A mug.\nAction 2: take mug 1", "go to shelf 1");
        check("Action:\n```\ntake mug 1 from shelf 1\n```", "take mug 1 from shelf 1");
        check("action: act(\"go to shelf 1\")", "go to shelf 1");
        check("Action: act(command=\"go to shelf 1\")", "go to shelf 1");
        check("<think>Shelf?\nAction: open shelf 1</think>\n\nAction: go to shelf 1", "go to shelf 1");
        check("I will look there.\n- go to shelf 1", "go to shelf 1");
        check("go to shelf 1", "go to shelf 1");
        check("> Go to shelf 1", "go to shelf 1");
        check("{\"action\": \"go to shelf 1\"}", "go to shelf 1");
        check(
            "<tool_call>\n{\"name\": \"act\", \"arguments\": {\"command\": \"go to shelf 1\"}}\n</tool_call>",
            "go to shelf 1",
        );
        check("Thought: It is there. Action: take mug 1 from shelf 1; go to shelf ", "take mug 1 from shelf 1");
        check("Action: go to shelf 1, then take the mug", "go to shelf 1");
        check("Action: go to shelf 12", "go to shelf 12");
        check("Action: dance on the table", "dance on the table");
    }

    #[test]
    fn an_answer_without_a_command_is_passed_on() {
        check("I am sorry, but I cannot help with that.", "I am sorry, but I cannot help with that.");
        check("", "");
        check("<think>It is", "");
        check("Action:", "Action:");
        assert_eq!(parse(&Message::text(Role::Assistant, "é".repeat(900)), &[]).command.len(), MAX_COMMAND_BYTES);
    }

    #[test]
    fn the_first_of_several_actions_is_the_command() {
        check("Action: look\nAction: go to shelf 1", "look");
    }

    #[test]
    fn tool_calls_are_read_with_the_thought_beside_them() {
        let call = |arguments: Value| -> Message {
            let function = json!({"name": "act", "arguments": arguments});
            let calls = json!([{"id": "1", "type": "function", "function": function}]);
            serde_json::from_value(json!({"role": "assistant", "content": "Thought: Look there.", "tool_calls": calls}))
                .unwrap()
        };
        let expected = Parsed { thought: "Look there.".into(), command: "go to shelf 1".into() };
        for arguments in [
            json!("{\"command\": \"go to shelf 1\"}"),
            json!({"command": "go to shelf 1"}),
            json!("{\"where\": \"go to shelf 1\"}"),
        ] {
            assert_eq!(parse(&call(arguments), &[]), expected);
        }
        // Arguments that are no JSON say nothing; the words beside them may.
        assert_eq!(parse(&call(json!("{\"command\": \"go")), &[]).command, "Thought: Look there.");
    }
}
