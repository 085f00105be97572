//! Which fields of an environment's own types hold the words.

use serde_json::{Map, Value};

use super::OpenEnvFields;

/// Fields that every type of OpenEnv has beside its own.
const OWN_FIELDS: [&str; 3] = ["metadata", "done", "reward"];

/// Names that hold the text by custom, tried in this order when several fields could.
const USUAL_NAMES: [&str; 3] = ["observation", "text", "message"];

/// The action's field that takes the command.
pub(super) fn action_field(schema: &Value, fields: &OpenEnvFields) -> Result<String, String> {
    choose(schema, "action", fields.action.as_deref(), "action_field")
}

/// Where an observation's text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObservationText {
    field: String,
}

impl ObservationText {
    pub(super) fn of(schema: &Value, fields: &OpenEnvFields) -> Result<Self, String> {
        let field = choose(schema, "observation", fields.observation.as_deref(), "observation_field")?;
        Ok(Self { field })
    }

    /// The text of an observation, or what is wrong with it.
    pub(super) fn read(&self, observation: &Value) -> Result<String, String> {
        match observation.get(&self.field) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(format!("`observation.{}` is {other}, expected a text", self.field)),
            None => Err(format!("`observation.{}` is missing", self.field)),
        }
    }
}

fn choose(schema: &Value, of: &str, configured: Option<&str>, key: &str) -> Result<String, String> {
    let properties = schema.get(of).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let Some(properties) = properties else {
        return Err(format!(
            "`/schema` has no properties of `{of}`\nhint: the server should speak as `openenv-core` 0.3 does"
        ));
    };
    let known = || properties.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if let Some(name) = configured {
        return if properties.contains_key(name) {
            Ok(name.to_owned())
        } else {
            Err(format!("its {of} has no field `{name}`\nhint: `{key}` names one of {}", known()))
        };
    }
    let texts = text_fields(properties);
    match texts.as_slice() {
        [] => Err(format!("its {of} has no text field, only {}\nhint: worlds of words only", known())),
        [only] => Ok((*only).to_owned()),
        several => USUAL_NAMES
            .into_iter()
            .find(|name| several.contains(name))
            .map(str::to_owned)
            .ok_or_else(|| format!("its {of} has several text fields\nhint: set `{key}` to one of {}", known())),
    }
}

fn text_fields(properties: &Map<String, Value>) -> Vec<&str> {
    let is_text = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("string");
    properties
        .iter()
        .filter(|(name, schema)| !OWN_FIELDS.contains(&name.as_str()) && is_text(schema))
        .map(|(name, _)| name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(properties: &Value, configured: Option<&str>, expected: Result<&str, &str>) {
        let schema = json!({"action": {"properties": properties}});
        let fields = OpenEnvFields { action: configured.map(str::to_owned), ..OpenEnvFields::default() };
        let found = action_field(&schema, &fields);
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn the_field_is_the_configured_the_only_or_the_usual_one() {
        let text = json!({"type": "string"});
        let only = json!({"command": text, "metadata": {"type": "object"}});
        check(&only, None, Ok("command"));
        check(&json!({"author": text, "message": text}), None, Ok("message"));
        check(&json!({"author": text, "line": text}), Some("line"), Ok("line"));
        let several = "its action has several text fields\nhint: set `action_field` to one of `author`, `line`";
        check(&json!({"author": text, "line": text}), None, Err(several));
        let missing = "its action has no field `word`\nhint: `action_field` names one of `command`, `metadata`";
        check(&only, Some("word"), Err(missing));
        check(
            &json!({"key": {"type": "integer"}}),
            None,
            Err("its action has no text field, only `key`\nhint: worlds of words only"),
        );
    }

    #[test]
    fn an_observation_without_text_is_told() {
        let text = ObservationText { field: "words".to_owned() };
        assert_eq!(text.read(&json!({"words": "hello"})), Ok("hello".to_owned()));
        assert_eq!(text.read(&json!({"words": 3})), Err("`observation.words` is 3, expected a text".to_owned()));
        assert_eq!(text.read(&json!({})), Err("`observation.words` is missing".to_owned()));
    }
}
