//! What a provider says went wrong, in the forms that providers have for it.

use serde_json::Value;

/// The message of an error's body: OpenAI's `{"error": {"message"}}`, and the forms of others (`{"error": ".."}`,
/// `{"message"}`, `{"detail"}`, a list of one of them). `None` where none can be found.
#[must_use]
pub fn error_message(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(&value);
    let error = value.get("error").unwrap_or(value);
    let message = ["message", "detail", "error_description"].iter().find_map(|name| error.get(name));
    match message.unwrap_or(error) {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        other if message.is_some() => Some(other.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<&str>) {
        assert_eq!(error_message(body).as_deref(), expected);
    }

    #[test]
    fn the_message_is_found_in_every_form() {
        check(r#"{"error": {"message": "no such model", "type": "invalid_request_error"}}"#, Some("no such model"));
        check(r#"{"error": "no such model"}"#, Some("no such model"));
        check(r#"{"message": "no such model", "object": "error"}"#, Some("no such model"));
        check(r#"{"detail": "Not Found"}"#, Some("Not Found"));
        check(r#"{"detail": [{"msg": "field required"}]}"#, Some(r#"[{"msg":"field required"}]"#));
        check(r#"[{"error": {"message": "quota", "code": 429}}]"#, Some("quota"));
        check("<html>", None);
        check("{}", None);
    }
}
