//! `tollgate prices`: models' prices from LiteLLM's table into a pinned price file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::Serialize;
use tollgate_contract::Digest;
use tollgate_import::{PriceTable, TableModel, read_from_wheel};

use crate::args::PricesArgs;
use crate::config::{PinnedModel, PriceFile, TableSource};
use crate::failure::{OrBadInput, bad_input};
use crate::output;

/// The table in LiteLLM's package.
const TABLE_FILE: &str = "litellm/model_prices_and_context_window_backup.json";

/// Runs the command.
pub(crate) fn run(args: &PricesArgs) -> anyhow::Result<()> {
    let (origin, text, version) = read_table(args)?;
    let table = PriceTable::parse(&text).with_context(|| origin.clone()).or_bad_input()?;
    let digest = Digest::of_bytes(text.as_bytes()).to_string();
    let source = TableSource { name: "litellm".to_owned(), version, digest };
    if let Some(path) = &args.check {
        return check(path, &table, &origin);
    }
    let selection = select(&table, args, &origin)?;
    if let Some(path) = &args.out {
        let file = PriceFile { table: source, models: selection };
        fs::write(path, file.to_toml()).with_context(|| format!("{}: cannot be written", path.display()))?;
        return output::print(&format!("{}: {} models\n", path.display(), file.models.len()));
    }
    if args.json {
        return output::print_json(&PriceFile { table: source, models: selection });
    }
    print(&selection)
}

/// The table's name in messages, its text, and the version of the package that it came in.
fn read_table(args: &PricesArgs) -> anyhow::Result<(String, String, Option<String>)> {
    if let Some(python) = &args.python {
        return read_installed(python);
    }
    if let Some(wheel) = &args.wheel {
        let origin = wheel.display().to_string();
        let bytes = fs::read(wheel).with_context(|| origin.clone()).or_bad_input()?;
        let text = read_from_wheel(&bytes, TABLE_FILE).with_context(|| origin.clone()).or_bad_input()?;
        let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok((origin, text, name.split('-').nth(1).map(ToOwned::to_owned)));
    }
    let path =
        args.table.as_deref().ok_or_else(|| bad_input("no table is given\nhint: --table, --wheel or --python"))?;
    let origin = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| origin.clone()).or_bad_input()?;
    Ok((origin, text, None))
}

/// Asks a Python where its LiteLLM is, without importing it.
fn read_installed(python: &Path) -> anyhow::Result<(String, String, Option<String>)> {
    const ASK: &str = "import importlib.metadata as m, importlib.util as u; \
                       print(m.version('litellm')); print(u.find_spec('litellm').submodule_search_locations[0])";
    let origin = python.display().to_string();
    let output =
        Command::new(python).args(["-I", "-c", ASK]).output().with_context(|| origin.clone()).or_bad_input()?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = told.lines();
    let (true, Some(version), Some(directory)) = (output.status.success(), lines.next(), lines.next()) else {
        return Err(bad_input(format!(
            "{origin}: has no package `litellm`\nhint: install it there, or give its wheel with --wheel (`pip download --no-deps litellm`)"
        )));
    };
    let path = Path::new(directory).with_file_name(TABLE_FILE);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string()).or_bad_input()?;
    Ok((path.display().to_string(), text, Some(version.to_owned())))
}

/// The models that are asked for. One that is named and has no price is an error; of a pattern, those are left out aloud.
fn select(table: &PriceTable, args: &PricesArgs, origin: &str) -> anyhow::Result<BTreeMap<String, PinnedModel>> {
    for name in args.models.iter().filter(|name| !name.contains(['*', '?'])) {
        match table.get(name) {
            None => return Err(unknown(table, name, origin)),
            Some(model) if model.prices.is_none() => {
                return Err(bad_input(format!(
                    "{origin}: model `{name}` has no price per token\nhint: an unpriced model would pass every budget; write its prices into the pool by hand"
                )));
            }
            Some(_) => {}
        }
    }
    let mut selection = BTreeMap::new();
    let mut unpriced = Vec::new();
    for model in table.select(&args.models, args.provider.as_deref()).filter(|model| model.is_chat()) {
        match pinned(model) {
            Some(pinned) => drop(selection.insert(model.name.clone(), pinned)),
            None => unpriced.push(model.name.as_str()),
        }
    }
    if !unpriced.is_empty() {
        tracing::warn!(n_models = unpriced.len(), models = unpriced.join(", "), "left out: no price per token");
    }
    if selection.is_empty() {
        return Err(bad_input(format!(
            "{origin}: no priced chat model is selected, of {} models\nhint: `*` stands for any characters, as in 'gpt-4*' or 'gemini/*'",
            table.models.len()
        )));
    }
    Ok(selection)
}

fn pinned(model: &TableModel) -> Option<PinnedModel> {
    model.prices.as_ref().map(|prices| PinnedModel::new(&model.provider, prices, model.notes.clone()))
}

fn unknown(table: &PriceTable, name: &str, origin: &str) -> anyhow::Error {
    let nearest = table.models.iter().map(|model| (strsim::damerau_levenshtein(&model.name, name), &model.name)).min();
    let hint = nearest.map(|(_, nearest)| format!("\nhint: did you mean `{nearest}`?")).unwrap_or_default();
    bad_input(format!("{origin}: no model `{name}`{hint}"))
}

/// A price that is not what it was.
#[derive(Debug, Serialize, PartialEq)]
struct Drift {
    model: String,
    what: String,
    pinned: String,
    now: String,
}

/// Compares a pinned file with the table.
fn check(path: &Path, table: &PriceTable, origin: &str) -> anyhow::Result<()> {
    let file = PriceFile::open(path)?;
    let drifts = drifts(&file, table);
    if drifts.is_empty() {
        return output::print(&format!("{}: {} models, priced as in {origin}\n", path.display(), file.models.len()));
    }
    let mut view = output::table(["model", "what", "pinned", "now"]);
    for drift in &drifts {
        view.add_row([drift.model.clone(), drift.what.clone(), drift.pinned.clone(), drift.now.clone()]);
    }
    output::print_table(&view)?;
    Err(bad_input(format!(
        "{}: {} differences to {origin}\nhint: write the file anew with --out, and look at the difference",
        path.display(),
        drifts.len()
    )))
}

fn drifts(file: &PriceFile, table: &PriceTable) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for (name, pinned) in &file.models {
        let mut differs = |what: &str, before: String, now: String| {
            if before != now {
                drifts.push(Drift { model: name.clone(), what: what.to_owned(), pinned: before, now });
            }
        };
        let Some(now) = table.get(name).and_then(self::pinned) else {
            differs("model", "priced".to_owned(), "not priced".to_owned());
            continue;
        };
        for ((key, before), (_, now)) in pinned.by_key().into_iter().zip(now.by_key()) {
            differs(key, format!("{before}"), format!("{now}"));
        }
        differs("notes", pinned.notes.join("; "), now.notes.join("; "));
    }
    drifts
}

fn print(selection: &BTreeMap<String, PinnedModel>) -> anyhow::Result<()> {
    let mut view = output::table(["model", "provider", "input", "cached input", "cache write", "output", "notes"]);
    for (name, model) in selection {
        let [input, cached, written, output] = model.by_key().map(|(_, price)| format!("${price}"));
        let notes: Vec<String> = model.notes.iter().map(|note| shortened(note)).collect();
        let notes = notes.join("\n");
        view.add_row([name.clone(), model.provider.clone(), input, cached, written, output, notes]);
    }
    output::print_table(&view)?;
    output::print("prices in dollars per million tokens; --out FILE pins them\n")
}

/// A note as a table can show it; price files have it whole.
fn shortened(note: &str) -> String {
    const MOST: usize = 90;
    if note.chars().count() <= MOST {
        return note.to_owned();
    }
    note.chars().take(MOST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;
    use crate::args::Cli;

    const TABLE: &str = r#"{"a": {"litellm_provider": "p", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
        "cache_read_input_token_cost": 5e-7, "cache_creation_input_token_cost": 1e-6}}"#;

    #[test]
    fn a_check_is_of_the_whole_file_and_told_as_a_table() {
        let parse = |more: &[&str]| {
            let arguments = ["tollgate", "prices", "--table", "t.json", "--check", "prices.toml"];
            Cli::try_parse_from(arguments.iter().chain(more)).map(|_| ()).map_err(|error| error.kind())
        };
        assert_eq!(parse(&[]), Ok(()));
        for more in [&["--json"][..], &["gpt-4*"], &["--provider", "openai"]] {
            assert_eq!(parse(more), Err(ErrorKind::ArgumentConflict), "{more:?}");
        }
    }

    #[test]
    fn a_changed_price_is_drift() {
        let table = PriceTable::parse(TABLE).unwrap();
        let source = TableSource { name: "litellm".into(), version: None, digest: String::new() };
        let models = BTreeMap::from([("a".to_owned(), pinned(table.get("a").unwrap()).unwrap())]);
        let mut file = PriceFile { table: source, models };
        assert_eq!(drifts(&file, &table), []);
        let dearer = PriceTable::parse(&TABLE.replace("2e-6", "3e-6")).unwrap();
        let expected = Drift {
            model: "a".to_owned(),
            what: "output_usd_per_million".to_owned(),
            pinned: "2".to_owned(),
            now: "3".to_owned(),
        };
        assert_eq!(drifts(&file, &dearer), [expected]);
        let model = file.models.remove("a").unwrap();
        file.models.insert("gone".to_owned(), model);
        assert_eq!(drifts(&file, &table)[0].now, "not priced");
    }
}
