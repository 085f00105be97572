//! Strict reading of tables: an unknown key or a wrong type is an error that names the file, the key and what was meant.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};

use crate::failure::bad_input;

/// Reads `document` as a `T`. `origin` names the file in errors, `table` is the key path of the document within it.
pub(crate) fn read<'de, T, D>(origin: &str, table: &str, document: D) -> anyhow::Result<T>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
    D::Error: std::fmt::Display,
{
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = key_path(table, &error.path().to_string());
        let told = error.inner().to_string();
        // TOML's errors go on to say where, which the path says already.
        let told = told.lines().next().unwrap_or_default();
        let hint = match nearest_key(told) {
            Some(key) => format!("\nhint: did you mean `{key}`?"),
            None if told.starts_with("missing field") => "\nhint: this key has no default; write it out".to_owned(),
            None => String::new(),
        };
        bad_input(format!("{origin}: `{path}`: {told}{hint}"))
    })
}

/// Parses TOML text as a table whose keys are still to be read.
pub(crate) fn parse_toml(origin: &str, text: &str) -> anyhow::Result<toml::Table> {
    text.parse::<toml::Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        bad_input(format!(
            "{origin}:{line}: {}\nhint: the file is not valid TOML; strings need quotes, tables are [name]",
            error.message()
        ))
    })
}

/// Reads a whole TOML file as a `T`.
pub(crate) fn read_toml<T: DeserializeOwned>(origin: &str, text: &str) -> anyhow::Result<T> {
    read(origin, "", toml::Value::Table(parse_toml(origin, text)?))
}

fn key_path(table: &str, path: &str) -> String {
    match (table, path) {
        ("", path) => path.to_owned(),
        (table, "." | "") => table.to_owned(),
        (table, path) => format!("{table}.{path}"),
    }
}

/// From serde's "unknown field `x`, expected one of `a`, `b`": the known name that looks most like the unknown one.
fn nearest_key(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let (distance, nearest) = names.map(|known| (strsim::damerau_levenshtein(unknown, known), known)).min()?;
    // Further apart than half of the word, it is another word, not a slip.
    (distance <= unknown.len().div_ceil(2)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only reading it matters")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading them matters")]
    struct Inner {
        n_probes: u32,
        seed: u64,
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(read_toml::<Outer>("x.toml", text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_path_and_the_nearest_known_key() {
        check(
            "[inner]\nn_probs = 5",
            "x.toml: `inner.n_probs`: unknown field `n_probs`, expected `n_probes` or `seed`\nhint: did you mean `n_probes`?",
        );
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path() {
        check("[inner]\nn_probes = \"five\"", "x.toml: `inner.n_probes`: invalid type: string \"five\", expected u32");
    }

    #[test]
    fn broken_toml_is_named_with_its_line() {
        let message = read_toml::<Outer>("x.toml", "[inner]\nseed = five").unwrap_err().to_string();
        assert!(message.starts_with("x.toml:2: "), "{message}");
    }
}
