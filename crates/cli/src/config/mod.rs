//! The experiment's config: one strict TOML file with a table per slot.
//!
//! `[experiment]` says what is studied; `[<slot>]` configures one stage. Of a slot's table the host reads `type`, `command`
//! and `timeout_secs`; the rest is the stage's own.

mod external;
mod import_map;
mod live;
mod pool;
mod prices;
mod replay;
mod scienceworld;
mod shift;
mod stage;
mod strict;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollgate_contract::Slot;
use tollgate_routing::Objective;
use tollgate_taxonomy::Thresholds;

use crate::failure::{OrBadInput, bad_input};

pub(crate) use external::{ExternalConfig, Transport};
pub(crate) use import_map::ImportMap;
pub(crate) use live::{ExecutorKind, LiveConfig};
pub(crate) use pool::PoolFile;
pub(crate) use prices::{PinnedModel, PriceFile, TableSource};
pub(crate) use replay::ReplayConfig;
pub(crate) use scienceworld::ScienceWorldConfig;
pub(crate) use shift::ShiftConfig;
pub(crate) use stage::*;
pub(crate) use strict::read;

/// Keys of a slot's table that are the host's, not the stage's.
const HOST_KEYS: [&str; 3] = ["type", "command", "timeout_secs"];

/// Which environment is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Suite {
    /// The text world with simulated models.
    Household,
    /// The diagnostic environment with known optimum.
    SkillChain,
    /// An environment outside of this program.
    External,
    /// Imported logs, and what can be made of them where the router switches.
    Replay,
    /// The simulator of the Allen Institute for AI, with simulated models.
    #[serde(rename = "scienceworld")]
    ScienceWorld,
}

impl Suite {
    /// Every suite.
    const ALL: [Self; 5] = [Self::Household, Self::SkillChain, Self::External, Self::Replay, Self::ScienceWorld];

    /// The name in configs and files.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Household => "household",
            Self::Replay => "replay",
            Self::SkillChain => "skill-chain",
            Self::External => "external",
            Self::ScienceWorld => "scienceworld",
        }
    }

    /// The suite of that name.
    pub(crate) fn parse(name: &str) -> anyhow::Result<Self> {
        Self::ALL.into_iter().find(|suite| suite.as_str() == name).ok_or_else(|| {
            let known = Self::ALL.map(|suite| format!("`{}`", suite.as_str())).join(", ");
            bad_input(format!("suite `{name}` is not known\nhint: expected one of {known}"))
        })
    }
}

/// What an episode is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OutcomeKind {
    /// Whether the task was solved.
    Success,
    /// The environment's grade.
    Score,
}

impl From<OutcomeKind> for Objective {
    fn from(kind: OutcomeKind) -> Self {
        match kind {
            OutcomeKind::Success => Self::Success,
            OutcomeKind::Score => Self::Score,
        }
    }
}

/// What the whole experiment shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExperimentConfig {
    /// The environment.
    pub(crate) suite: Suite,
    /// Who answers the calls.
    pub(crate) executor: ExecutorKind,
    /// Endpoints and limits of live models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<LiveConfig>,
    /// TOML file of the models to choose from. Skill-chain has its own models and takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<PathBuf>,
    /// Parquet file of the tasks.
    pub(crate) tasks: PathBuf,
    /// Seed of every chance event.
    pub(crate) seed: u64,
    /// What counts: training rewards it, frontiers and the operating point are about it.
    pub(crate) outcome: OutcomeKind,
    /// Grade from which on an episode counts as solved, for environments that grade; without it their own word counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) score_threshold: Option<f32>,
    /// Where the environment of suite `external` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) external: Option<ExternalConfig>,
    /// The logs of suite `replay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replay: Option<ReplayConfig>,
    /// Where the simulator of suite `scienceworld` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scienceworld: Option<ScienceWorldConfig>,
    /// What has changed in the world since the router was trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shift: Option<ShiftConfig>,
}

impl ExperimentConfig {
    /// Tables, with those of their keys that say how a stage is run and nothing about what comes out.
    pub(crate) const OPERATION: [(&str, &[&str]); 2] =
        [("live", &LiveConfig::OPERATION), ("scienceworld", &ScienceWorldConfig::OPERATION)];

    /// Reads the table at `path` of `origin` and checks what the types cannot.
    pub(crate) fn read(origin: &str, path: &str, table: Value) -> anyhow::Result<Self> {
        let experiment = read(origin, path, table)?;
        ShiftConfig::check(&experiment, origin, path)?;
        Ok(experiment)
    }

    /// The thresholds of the taxonomy by default, with the experiment's own idea of a solved task.
    pub(crate) fn thresholds(&self) -> anyhow::Result<Thresholds> {
        ClassifyConfig::default().thresholds(self)
    }
}

impl Default for ExperimentConfig {
    fn default() -> Self {
        Self {
            suite: Suite::Household,
            executor: ExecutorKind::default(),
            live: None,
            pool: None,
            tasks: "datasets/tasks/household.parquet".into(),
            seed: 1,
            outcome: OutcomeKind::Success,
            score_threshold: None,
            external: None,
            replay: None,
            scienceworld: None,
            shift: None,
        }
    }
}

/// A stage's own part of the config, not read yet, with what is needed to name it in errors.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct StageTable {
    #[serde(skip)]
    origin: String,
    #[serde(skip)]
    slot: Slot,
    table: Map<String, Value>,
}

impl StageTable {
    /// The table of `slot`; `value` must be an object. `origin` names its file.
    pub(crate) fn new(origin: &str, slot: Slot, value: Value) -> anyhow::Result<Self> {
        match value {
            Value::Object(table) => Ok(Self { origin: origin.to_owned(), slot, table }),
            Value::Null => Ok(Self { origin: origin.to_owned(), slot, table: Map::new() }),
            other => Err(bad_input(format!("{origin}: `{slot}` is {other}, expected a table"))),
        }
    }

    /// Whether another program than the built-in stage fills the slot.
    pub(crate) fn is_command(&self) -> bool {
        self.table.get("type").and_then(Value::as_str) == Some("command")
    }

    /// Two tables: these keys, and all others.
    pub(crate) fn split(&self, keys: &[&str]) -> (Self, Self) {
        let (ours, others) = self.table.clone().into_iter().partition(|(key, _)| keys.contains(&key.as_str()));
        (Self { table: ours, ..self.clone() }, Self { table: others, ..self.clone() })
    }

    /// The stage's own keys as a `T`.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> anyhow::Result<T> {
        let mut table = self.table.clone();
        for key in HOST_KEYS {
            table.remove(key);
        }
        read(&self.origin, self.slot.as_str(), Value::Object(table))
    }

    fn check_type(&self) -> anyhow::Result<()> {
        match self.table.get("type") {
            None => Ok(()),
            Some(Value::String(kind)) if kind == "builtin" || kind == "command" => Ok(()),
            Some(other) => Err(bad_input(format!(
                "{}: `{}.type` is {other}, expected \"builtin\" or \"command\"",
                self.origin, self.slot
            ))),
        }
    }
}

/// A whole config file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConfigFile {
    /// What the experiment shares.
    pub(crate) experiment: ExperimentConfig,
    stages: Vec<StageTable>,
}

impl ConfigFile {
    /// Reads the file at `path`.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| {
                anyhow::anyhow!("{origin}: {error}\nhint: name a config file with --config; configs/ holds some")
            })
            .or_bad_input()?;
        Self::parse(&origin, &text)
    }

    /// Reads `text`; `origin` names it in errors.
    pub(crate) fn parse(origin: &str, text: &str) -> anyhow::Result<Self> {
        let mut tables = to_json(origin, strict::parse_toml(origin, text)?)?;
        let experiment = match tables.remove("experiment") {
            Some(table) => ExperimentConfig::read(origin, "experiment", table)?,
            None => ExperimentConfig::default(),
        };
        let mut stages = Vec::with_capacity(Slot::ALL.len());
        for slot in Slot::ALL {
            let stage = StageTable::new(origin, slot, tables.remove(slot.as_str()).unwrap_or_default())?;
            stage.check_type()?;
            stages.push(stage);
        }
        match tables.keys().next() {
            None => Ok(Self { experiment, stages }),
            Some(unknown) => {
                let known = || Slot::ALL.into_iter().map(Slot::as_str).chain(["experiment"]);
                let nearest = known().min_by_key(|name| strsim::damerau_levenshtein(name, unknown)).unwrap_or_default();
                Err(bad_input(format!(
                    "{origin}: `{unknown}`: unknown table, expected one of {}\nhint: did you mean `{nearest}`?",
                    known().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                )))
            }
        }
    }

    /// The table of `slot`; empty when the file has none.
    pub(crate) fn stage(&self, slot: Slot) -> StageTable {
        self.stages[slot as usize].clone()
    }
}

fn to_json(origin: &str, table: toml::Table) -> anyhow::Result<Map<String, Value>> {
    match serde_json::to_value(table) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(bad_input(format!("{origin}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        assert_eq!(ConfigFile::parse("c.toml", text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn an_empty_file_is_the_default_experiment() {
        let config = ConfigFile::parse("c.toml", "").unwrap();
        assert_eq!(config.experiment, ExperimentConfig::default());
        assert_eq!(config.stage(Slot::Simulate).read::<SimulateConfig>().unwrap(), SimulateConfig::default());
    }

    #[test]
    fn an_unknown_table_is_refused_with_the_nearest_known_one() {
        check_refused(
            "[simulat]",
            "c.toml: `simulat`: unknown table, expected one of `simulate`, `classify`, `synthesize`, `optimize`, `evaluate`, `report`, `experiment`\nhint: did you mean `simulate`?",
        );
    }

    #[test]
    fn keys_of_operation_and_selection_are_keys() {
        let selection = OptimizeConfig::SELECTION.map(|key| ("optimize", key));
        let operation =
            ExperimentConfig::OPERATION.iter().flat_map(|(table, keys)| keys.iter().map(move |key| (*table, *key)));
        for (table, key) in operation.chain(selection) {
            let path = if table == "optimize" { table.to_owned() } else { format!("experiment.{table}") };
            // None of them takes a boolean: what is known is refused for its type.
            let error = ConfigFile::parse("c.toml", &format!("[{path}]\n{key} = false"))
                .and_then(|config| OptimizeConfig::read(&config.stage(Slot::Optimize)).map(drop))
                .unwrap_err();
            assert!(error.to_string().contains("invalid type"), "{error}");
        }
    }

    #[test]
    fn an_unknown_suite_is_refused() {
        check_refused(
            "[experiment]\nsuite = \"houshold\"",
            "c.toml: `experiment.suite`: unknown variant `houshold`, expected one of `household`, `skill-chain`, `external`, `replay`, `scienceworld`\nhint: did you mean `household`?",
        );
    }

    #[test]
    fn an_unknown_type_of_stage_is_refused() {
        check_refused(
            "[evaluate]\ntype = \"shell\"",
            "c.toml: `evaluate.type` is \"shell\", expected \"builtin\" or \"command\"",
        );
    }

    #[test]
    fn the_keys_of_the_host_are_not_the_stages() {
        let text = "[simulate]\ntype = \"builtin\"\ntimeout_secs = 60\nn_probes = 3";
        let stage = ConfigFile::parse("c.toml", text).unwrap().stage(Slot::Simulate);
        assert_eq!(stage.read::<SimulateConfig>().unwrap().n_probes, 3);
    }

    #[test]
    fn a_stages_unknown_key_is_refused_with_its_path() {
        let stage = ConfigFile::parse("c.toml", "[simulate]\nn_probs = 3").unwrap().stage(Slot::Simulate);
        let message = stage.read::<SimulateConfig>().unwrap_err().to_string();
        assert!(message.starts_with("c.toml: `simulate.n_probs`: unknown field `n_probs`"), "{message}");
        assert!(message.ends_with("hint: did you mean `n_probes`?"), "{message}");
    }
}
