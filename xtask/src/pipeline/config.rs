//! The experiment's TOML file, as far as the orchestrator reads it: which program fills each slot, and its timeout.
//!
//! `[experiment]` and a stage's own keys are passed on as they are; `tollgate check-config` checks them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};
use toml::Table;

use super::Slot;

/// One experiment: what to run and with what.
#[derive(Debug)]
pub(crate) struct ExperimentConfig {
    /// Name of the file without its ending; names the run directory.
    pub(crate) name: String,
    /// The file, absolute.
    pub(crate) path: PathBuf,
    /// The `[experiment]` table, with the seed that is in force.
    pub(crate) experiment: Map<String, Value>,
    /// Seed of every chance event.
    pub(crate) seed: u64,
    stages: BTreeMap<Slot, StageConfig>,
}

/// What fills a slot.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StageConfig {
    /// Replacement command, or `None` for the built-in stage.
    pub(crate) argv: Option<Vec<String>>,
    /// The stage's process group is ended after this long.
    pub(crate) timeout: Option<Duration>,
    /// The stage's own keys.
    pub(crate) own: Map<String, Value>,
}

/// Seed when the config gives none.
const DEFAULT_SEED: u64 = 1;
/// The suite when the config names none.
const DEFAULT_SUITE: &str = "household";
/// The pool of suites that choose from one.
const DEFAULT_POOL: &str = "datasets/pools/two.toml";
/// The suites, each with its files where the config does not name them.
const DEFAULT_PATHS: [(&str, &[(&str, &str)]); 5] = [
    (DEFAULT_SUITE, &[("tasks", "datasets/tasks/household.parquet"), ("pool", DEFAULT_POOL)]),
    ("external", &[("pool", DEFAULT_POOL)]),
    ("scienceworld", &[("pool", DEFAULT_POOL)]),
    ("skill-chain", &[]),
    ("replay", &[]),
];

impl ExperimentConfig {
    /// Reads a config file; `seed` takes the place of the file's.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or has a table, slot or orchestrator key that does not exist or has the wrong type.
    pub(crate) fn read(path: &Path, seed: Option<u64>) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| {
            format!("{}: cannot be read\nhint: --config names a TOML file; configs/ has examples", path.display())
        })?;
        Self::parse(&text, path, seed).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, path: &Path, seed: Option<u64>) -> Result<Self> {
        let mut file: Table = toml::from_str(text).map_err(|error| anyhow!("{}", error.to_string().trim_end()))?;
        let mut experiment = match file.remove("experiment") {
            None => Map::new(),
            Some(value) => to_object(table("experiment", value)?)?,
        };
        let seed = match (seed, experiment.get("seed")) {
            (Some(seed), _) => seed,
            (None, None) => DEFAULT_SEED,
            (None, Some(value)) => value.as_u64().ok_or_else(|| {
                anyhow!("`experiment.seed` is {value}, expected a whole number\nhint: for example `seed = 1`")
            })?,
        };
        experiment.insert("seed".into(), seed.into());
        for (key, default) in default_paths(&experiment).into_iter().flatten() {
            experiment.entry(*key).or_insert_with(|| (*default).into());
        }
        let mut stages = BTreeMap::new();
        for (key, value) in file {
            let slot = Slot::from_name(&key).ok_or_else(|| unknown_table(&key, &value))?;
            stages.insert(slot, stage(slot, table(&key, value)?)?);
        }
        let name = path.file_stem().context("the config's path has no file name")?.to_string_lossy().into_owned();
        Ok(Self { name, path: std::path::absolute(path)?, experiment, seed, stages })
    }

    /// What fills this slot; the built-in stage with its defaults when the config does not say.
    pub(crate) fn stage(&self, slot: Slot) -> StageConfig {
        self.stages.get(&slot).cloned().unwrap_or_default()
    }

    /// Files and folders that the config names and the stage of a slot does not take as an input, by their keys: its results depend
    /// on them as well.
    pub(crate) fn sources(&self, slot: Slot) -> Vec<(String, PathBuf)> {
        let path = |value: Option<&Value>| value.and_then(Value::as_str).map(PathBuf::from);
        let of_table = |table, key| path(self.experiment.get(table).and_then(|table: &Value| table.get(key)));
        let policies = self.stages.get(&slot).filter(|stage| slot == Slot::Optimize && stage.argv.is_none());
        let named = [
            ("experiment.pool", self.path_of("pool")),
            ("experiment.replay.logs", of_table("replay", "logs")),
            ("experiment.scienceworld.jar", of_table("scienceworld", "jar")),
            ("optimize.from", path(policies.and_then(|stage| stage.own.get("from")))),
        ];
        let named = named.into_iter().filter_map(|(key, path)| Some((key.to_owned(), path?)));
        named.chain(self.files_of_world()).collect()
    }

    /// The files among the words of the command that starts the world, which runs in its `current_dir`.
    fn files_of_world(&self) -> Vec<(String, PathBuf)> {
        let world = self.experiment.get("external");
        let value = |key| world.and_then(|world: &Value| world.get(key));
        let current_dir = Path::new(value("current_dir").and_then(Value::as_str).unwrap_or_default());
        let words = value("command").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let file = |(position, word): (usize, &str)| {
            let path = current_dir.join(word);
            path.is_file().then(|| (format!("experiment.external.command[{position}]"), path))
        };
        words.enumerate().filter_map(file).collect()
    }

    /// Whether the experiment's suite is one that there is.
    pub(crate) fn has_known_suite(&self) -> bool {
        default_paths(&self.experiment).is_some()
    }

    /// A path that `[experiment]` names under `key`.
    pub(crate) fn path_of(&self, key: &str) -> Option<PathBuf> {
        self.experiment.get(key).and_then(Value::as_str).map(PathBuf::from)
    }
}

/// The default files of the experiment's suite; `None` where there is no such suite.
fn default_paths(experiment: &Map<String, Value>) -> Option<&'static [(&'static str, &'static str)]> {
    let suite = experiment.get("suite").map_or(Some(DEFAULT_SUITE), Value::as_str);
    DEFAULT_PATHS.into_iter().find(|(name, _)| Some(*name) == suite).map(|(_, paths)| paths)
}

fn stage(slot: Slot, mut own: Table) -> Result<StageConfig> {
    let kind = match own.remove("type") {
        None => "builtin".to_owned(),
        Some(toml::Value::String(kind)) => kind,
        Some(other) => return Err(wrong_type(slot, "type", &other, "a string", "type = \"builtin\"")),
    };
    let argv = match own.remove("command") {
        None => None,
        Some(toml::Value::Table(command)) => Some(argv(slot, command)?),
        Some(other) => return Err(wrong_type(slot, "command", &other, "a table", "command.argv = [\"program\"]")),
    };
    match (kind.as_str(), &argv) {
        ("builtin", None) | ("command", Some(_)) => {}
        ("builtin", Some(_)) => {
            bail!(
                "`{slot}.command` belongs to `type = \"command\"`\nhint: set `type = \"command\"`, or remove `command`"
            )
        }
        ("command", None) => {
            bail!("`{slot}.command.argv` is missing\nhint: for example `command.argv = [\"python3\", \"stage.py\"]`")
        }
        (other, _) => bail!("`{slot}.type` is \"{other}\"\nhint: it is \"builtin\" or \"command\""),
    }
    let timeout = match own.remove("timeout_secs") {
        None => None,
        Some(value) => Some(timeout(&value).ok_or_else(|| {
            wrong_type(slot, "timeout_secs", &value, "a number of seconds above 0", "timeout_secs = 600")
        })?),
    };
    Ok(StageConfig { argv, timeout, own: to_object(own)? })
}

fn argv(slot: Slot, mut command: Table) -> Result<Vec<String>> {
    let example = "command.argv = [\"python3\", \"stage.py\"]";
    let value = command.remove("argv").ok_or_else(|| anyhow!("`{slot}.command.argv` is missing\nhint: {example}"))?;
    if let Some(key) = command.keys().next() {
        bail!("unknown key `{slot}.command.{key}`\nhint: a command has `argv` only");
    }
    let words = value
        .as_array()
        .and_then(|words| words.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
    match words {
        Some(words) if !words.is_empty() && !words[0].is_empty() => Ok(words),
        _ => Err(wrong_type(slot, "command.argv", &value, "a list of strings, the program first", example)),
    }
}

fn timeout(value: &toml::Value) -> Option<Duration> {
    let seconds = match value {
        toml::Value::Integer(seconds) => *seconds as f64,
        toml::Value::Float(seconds) => *seconds,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero())
}

fn table(key: &str, value: toml::Value) -> Result<Table> {
    match value {
        toml::Value::Table(table) => Ok(table),
        other => {
            bail!("`{key}` is a {}, expected a table\nhint: write `[{key}]` on a line of its own", other.type_str())
        }
    }
}

fn unknown_table(key: &str, value: &toml::Value) -> anyhow::Error {
    let slots = Slot::ALL.map(Slot::name).join(", ");
    if value.is_table() {
        anyhow!("unknown slot `{key}`\nhint: the tables are experiment, {slots}")
    } else {
        anyhow!("unknown key `{key}`\nhint: keys stand in a table: experiment, {slots}")
    }
}

fn wrong_type(slot: Slot, key: &str, found: &toml::Value, expected: &str, example: &str) -> anyhow::Error {
    anyhow!("`{slot}.{key}` is {found} ({}), expected {expected}\nhint: for example `{example}`", found.type_str())
}

fn to_object(table: Table) -> Result<Map<String, Value>> {
    match serde_json::to_value(table)? {
        Value::Object(object) => Ok(object),
        other => bail!("a table became {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ExperimentConfig> {
        ExperimentConfig::parse(text, Path::new("configs/example.toml"), None)
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(format!("{:#}", parse(text).unwrap_err()), expected);
    }

    #[test]
    fn a_stage_keeps_its_own_keys_and_loses_the_orchestrators() {
        let config =
            parse("[classify]\ntype = \"command\"\ncommand.argv = [\"a\", \"b\"]\ntimeout_secs = 1.5\nx = 1").unwrap();
        let expected = StageConfig {
            argv: Some(vec!["a".into(), "b".into()]),
            timeout: Some(Duration::from_millis(1500)),
            own: Map::from_iter([("x".to_owned(), Value::from(1))]),
        };
        assert_eq!(config.stage(Slot::Classify), expected);
        assert_eq!(config.stage(Slot::Report), StageConfig::default());
        assert_eq!((config.name.as_str(), config.seed), ("example", 1));
    }

    #[test]
    fn policies_that_are_taken_over_are_a_source_of_that_slot_alone() {
        let config = parse("[experiment]\npool = \"p.toml\"\n[optimize]\nfrom = \"runs/a\"").unwrap();
        let keys = |slot| config.sources(slot).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(Slot::Simulate), ["experiment.pool"]);
        assert_eq!(keys(Slot::Optimize), ["experiment.pool", "optimize.from"]);
    }

    #[test]
    fn the_files_of_the_command_that_starts_a_world_are_sources_and_its_other_words_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("world.py");
        fs::write(&script, "").unwrap();
        let sources = |current_dir: &Path, word: &str| {
            let table = format!("command = [\"python3\", {word:?}]\ncurrent_dir = {current_dir:?}");
            let text = format!("[experiment]\nsuite = \"replay\"\n[experiment.external]\n{table}");
            parse(&text).unwrap().sources(Slot::Simulate)
        };
        let expected = [("experiment.external.command[1]".to_owned(), script.clone())];
        assert_eq!(sources(directory.path(), "world.py"), expected);
        assert_eq!(sources(Path::new("elsewhere"), script.to_str().unwrap()), expected);
        assert_eq!(sources(directory.path(), "no-file"), []);
    }

    #[test]
    fn the_simulator_and_the_pool_that_a_suite_takes_by_default_are_sources() {
        let sources = |text: &str| parse(text).unwrap().sources(Slot::Evaluate);
        let pool = || ("experiment.pool".to_owned(), PathBuf::from(DEFAULT_POOL));
        let jar = ("experiment.scienceworld.jar".to_owned(), PathBuf::from("world.jar"));
        let simulator = "[experiment]\nsuite = \"scienceworld\"\nscienceworld.jar = \"world.jar\"";
        assert_eq!(sources(simulator), [pool(), jar]);
        assert_eq!(sources("[experiment]\nsuite = \"external\""), [pool()]);
        assert_eq!(sources(""), [pool()]);
        assert_eq!(sources("[experiment]\nsuite = \"skill-chain\""), []);
    }

    #[test]
    fn the_seed_of_the_invocation_takes_the_place_of_the_files() {
        let config = ExperimentConfig::parse("[experiment]\nseed = 5", Path::new("a.toml"), Some(9)).unwrap();
        assert_eq!((config.seed, &config.experiment["seed"]), (9, &Value::from(9)));
    }

    #[test]
    fn what_does_not_exist_or_has_the_wrong_type_is_named() {
        check_error(
            "[clasify]\nx = 1",
            "unknown slot `clasify`\nhint: the tables are experiment, simulate, classify, synthesize, optimize, evaluate, report",
        );
        check_error(
            "seed = 1",
            "unknown key `seed`\nhint: keys stand in a table: experiment, simulate, classify, synthesize, optimize, evaluate, report",
        );
        check_error(
            "[report]\ntimeout_secs = \"1\"",
            "`report.timeout_secs` is \"1\" (string), expected a number of seconds above 0\nhint: for example `timeout_secs = 600`",
        );
        check_error("[report]\ntype = \"wasm\"", "`report.type` is \"wasm\"\nhint: it is \"builtin\" or \"command\"");
        check_error(
            "[report]\ntype = \"command\"",
            "`report.command.argv` is missing\nhint: for example `command.argv = [\"python3\", \"stage.py\"]`",
        );
        check_error(
            "[report]\ntype = \"command\"\ncommand.argv = [\"a\"]\ncommand.shell = true",
            "unknown key `report.command.shell`\nhint: a command has `argv` only",
        );
        check_error(
            "report = 1",
            "`report` is a integer, expected a table\nhint: write `[report]` on a line of its own",
        );
        check_error(
            "[experiment]\nseed = \"one\"",
            "`experiment.seed` is \"one\", expected a whole number\nhint: for example `seed = 1`",
        );
    }
}
