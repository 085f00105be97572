//! Digests of files, directories and JSON values, as 64 hexadecimal digits of BLAKE3.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// Digest of a file's bytes, or of a directory's files with their relative paths.
///
/// # Errors
/// When the path does not exist or cannot be read.
pub(crate) fn of_path(path: &Path) -> Result<String> {
    Ok(if path.is_dir() { of_dir(path)? } else { of_file(path)? }.to_string())
}

/// Digest of a pool file, and of the price file that it refers to.
///
/// # Errors
/// When one of them cannot be read.
pub(crate) fn of_pool(path: &Path) -> Result<String> {
    let pool = of_path(path)?;
    // A pool that is no TOML is the stages' to complain about.
    let table = fs::read_to_string(path).ok().and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
    let Some(prices) = table.get("prices").and_then(toml::Value::as_str) else { return Ok(pool) };
    let prices = of_path(&path.with_file_name("").join(prices))?;
    Ok(blake3::hash(format!("{pool}{prices}").as_bytes()).to_string())
}

fn of_file(path: &Path) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut hasher))
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    Ok(hasher.finalize())
}

/// The same digest as the contract's, entry by entry in the order of their names.
fn of_dir(dir: &Path) -> Result<blake3::Hash> {
    let unreadable = || format!("{}: cannot be read", dir.display());
    let mut names = fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
        .with_context(unreadable)?;
    names.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for name in names {
        let entry = dir.join(&name);
        let (mark, hash) = if entry.is_dir() { (b'd', of_dir(&entry)?) } else { (b'f', of_file(&entry)?) };
        let name = name.as_encoded_bytes();
        hasher.update(&[mark]).update(&(name.len() as u64).to_le_bytes()).update(name).update(hash.as_bytes());
    }
    Ok(hasher.finalize())
}

/// Digest of a JSON value, whatever the order of its keys.
pub(crate) fn of_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    blake3::hash(text.as_bytes()).to_string()
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            text.push('{');
            for key in keys {
                text.push_str(&Value::String(key.clone()).to_string());
                text.push(':');
                write_canonical(&map[key], text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_order_does_not_change_a_digest_and_values_do() {
        let parse = |text: &str| of_json(&serde_json::from_str(text).unwrap());
        assert_eq!(parse(r#"{"a":1,"b":{"c":2,"d":3}}"#), parse(r#"{"b":{"d":3,"c":2},"a":1}"#));
        assert_ne!(parse(r#"{"a":1}"#), parse(r#"{"a":"1"}"#));
    }

    #[test]
    fn a_directory_s_digest_covers_names_and_bytes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("seed-1")).unwrap();
        fs::write(dir.path().join("seed-1/policy.json"), "1").unwrap();
        let before = of_path(dir.path()).unwrap();
        fs::write(dir.path().join("seed-1/policy.json"), "2").unwrap();
        let other_bytes = of_path(dir.path()).unwrap();
        fs::rename(dir.path().join("seed-1"), dir.path().join("seed-2")).unwrap();
        let other_name = of_path(dir.path()).unwrap();
        assert!(before != other_bytes && other_bytes != other_name);
    }

    #[test]
    fn the_price_file_of_a_pool_is_part_of_its_digest() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let plain = write("plain.toml", "models = []");
        assert_eq!(of_pool(&plain).unwrap(), of_path(&plain).unwrap());
        let pool = write("pool.toml", "prices = \"prices.toml\"");
        assert!(of_pool(&pool).unwrap_err().to_string().contains("prices.toml: cannot be read"));
        write("prices.toml", "a = 1");
        let before = of_pool(&pool).unwrap();
        write("prices.toml", "a = 2");
        assert_ne!(of_pool(&pool).unwrap(), before);
    }
}
