//! The mapping file of `tollgate import`: what a log leaves open, in strict TOML.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tollgate_import::{GivenOutcome, ImportPlan, OutcomeRule, SplitBy, SplitRule};
use tollgate_routing::{ModelPool, Split};

use super::pool::{ModelEntry, PoolFile, PriceEntry};
use super::prices::PriceFile;
use super::strict::read_toml;
use crate::failure::{OrBadInput, bad_input};

/// What no deployment shows to a router before it decides.
const NEVER_SHOWN: [&str; 7] =
    ["prev_reward", "step_reward", "terminal_reward", "reward", "score", "success", "next_observation"];

/// The file as written. Paths in it start from its own directory.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ImportMap {
    /// The environment's name; by default the log's `dataset`.
    environment: Option<String>,
    /// Horizon of every task; by default the log's.
    horizon: Option<u32>,
    /// The pool: a pool file, or its models.
    pool: Option<PoolTable>,
    /// Names in the log of models of the pool.
    models: HashMap<String, String>,
    /// A price file, for models of the pool that come without prices, and for costs that the log does not have.
    price_file: Option<PathBuf>,
    /// Prices of models that are in no pool, for costs that the log does not have.
    prices: HashMap<String, PriceEntry>,
    split: SplitTable,
    outcome: OutcomeTable,
    observation: ObservationTable,
    completion: CompletionTable,
}

/// A pool file, or its models.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PoolTable {
    File(PathBuf),
    Models(Vec<ModelEntry>),
}

/// Which task goes into which split.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SplitTable {
    /// `task`, `group` or `field`.
    by: Option<String>,
    /// The field, for `field`.
    field: Option<String>,
    /// Seed of the draw of what is not listed.
    seed: Option<u64>,
    /// Shares of what is not listed, by split.
    shares: Option<BTreeMap<String, f64>>,
    /// Names whose split is given, by split.
    lists: BTreeMap<String, Vec<String>>,
}

/// When an episode counts as solved.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OutcomeTable {
    /// The score from which on it does, whatever the log's own word.
    success_threshold: Option<f64>,
    /// The scores that become 0 and 1.
    score_range: Option<(f64, f64)>,
    /// JSON lines with `episode_id` or `task_id`, and `success` or `score`, for logs that have no outcome.
    file: Option<PathBuf>,
}

/// What the router sees beside the log's observation.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ObservationTable {
    /// Fields that are shown, behind the observation.
    show: Vec<String>,
    /// Fields that must never be: naming one under `show` as well is an error.
    hidden: Vec<String>,
}

/// What the model said beside the log's action.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CompletionTable {
    /// Fields that belong to it, such as its tool calls.
    append: Vec<String>,
}

impl ImportMap {
    /// Reads the file at `path` into a plan.
    pub(crate) fn open(path: &Path) -> anyhow::Result<ImportPlan> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| {
                anyhow::anyhow!("{origin}: {error}\nhint: --map names a mapping file; datasets/maps/ holds some")
            })
            .or_bad_input()?;
        let map: Self = read_toml(&origin, &text)?;
        map.plan(&origin, path.parent().unwrap_or(Path::new("")))
    }

    fn plan(self, origin: &str, directory: &Path) -> anyhow::Result<ImportPlan> {
        self.check_shown(origin)?;
        let pool =
            self.pool.as_ref().map(|pool| pool.read(origin, directory, self.price_file.as_deref())).transpose()?;
        for (name, id) in &self.models {
            let is_known = pool.iter().flat_map(ModelPool::iter).any(|(_, model)| *model.id == **id);
            if !is_known {
                return Err(bad_input(format!(
                    "{origin}: `models.\"{name}\"` is `{id}`, which is no model of the pool\nhint: the right side is an id of the pool, the left side a name in the log"
                )));
            }
        }
        let mut prices = HashMap::new();
        if let Some(path) = self.price_file.as_ref().map(|path| directory.join(path)) {
            let (file, origin) = (PriceFile::open(&path)?, path.display().to_string());
            for name in file.models.keys() {
                prices.insert(name.clone(), file.prices(&origin, name)?);
            }
        }
        for (name, entry) in &self.prices {
            prices.insert(name.clone(), entry.prices(origin, name)?);
        }
        Ok(ImportPlan {
            environment: self.environment.as_deref().map(Into::into),
            pool,
            is_pool_guessed: false,
            aliases: self.models,
            prices,
            horizon: self.horizon,
            split: self.split.rule(origin)?,
            outcome: self.outcome.rule(origin, directory)?,
            shown_fields: self.observation.show,
            completion_fields: self.completion.append,
        })
    }

    fn check_shown(&self, origin: &str) -> anyhow::Result<()> {
        let ObservationTable { show, hidden } = &self.observation;
        let shown = show.iter().map(|field| ("observation.show", field));
        let mut shown = shown.chain(self.completion.append.iter().map(|field| ("completion.append", field)));
        let is_hidden = |field: &String| NEVER_SHOWN.contains(&field.as_str()) || hidden.contains(field);
        match shown.find(|(_, field)| is_hidden(field)) {
            Some((key, field)) => Err(bad_input(format!(
                "{origin}: `{key}` names `{field}`, which a router must not see\nhint: rewards, outcomes and what comes after a decision are in no deployment; they stay in `extra` and `reward`"
            ))),
            None => Ok(()),
        }
    }
}

impl PoolTable {
    fn read(&self, origin: &str, directory: &Path, price_file: Option<&Path>) -> anyhow::Result<ModelPool> {
        match self {
            Self::File(path) => PoolFile::open_pool(&directory.join(path)),
            Self::Models(models) => {
                let mut file = PoolFile { prices: price_file.map(ToOwned::to_owned), models: models.clone() };
                file.look_up_prices(directory)?;
                file.pool(origin)
            }
        }
    }
}

impl SplitTable {
    fn rule(self, origin: &str) -> anyhow::Result<SplitRule> {
        let by = match (self.by.as_deref(), self.field) {
            (None | Some("task"), None) => SplitBy::Task,
            (Some("group"), None) => SplitBy::Group,
            (None | Some("field"), Some(field)) => SplitBy::Field(field),
            (by, field) => {
                let found = by.unwrap_or("task");
                let hint = "`task`, `group`, or `field` with `split.field`";
                let field = if field.is_some() { " with a field" } else { "" };
                return Err(bad_input(format!("{origin}: `split.by` is `{found}`{field}, expected {hint}")));
            }
        };
        let split = |name: &str, key: &str| {
            Split::ALL.into_iter().find(|split| split.as_str() == name).ok_or_else(|| {
                bad_input(format!(
                    "{origin}: `split.{key}.{name}` is no split\nhint: expected `train`, `validation`, `test` or `unseen`"
                ))
            })
        };
        let mut rule = SplitRule { by, ..SplitRule::default() };
        rule.seed = self.seed.unwrap_or(rule.seed);
        if let Some(shares) = self.shares {
            rule.shares = [0.0; 4];
            for (name, share) in &shares {
                rule.shares[split(name, "shares")? as usize] = *share;
            }
            let sum: f64 = rule.shares.iter().sum();
            if rule.shares.iter().any(|share| !(0.0..=1.0).contains(share)) || (sum - 1.0).abs() > 1e-6 {
                return Err(bad_input(format!(
                    "{origin}: `split.shares` add up to {sum}, expected shares from 0 to 1 that add up to 1"
                )));
            }
        }
        for (name, members) in self.lists {
            let split = split(&name, "lists")?;
            for member in members {
                if let Some(other) = rule.listed.insert(member.clone(), split).filter(|&other| other != split) {
                    let (one, other) = (split.as_str(), other.as_str());
                    return Err(bad_input(format!(
                        "{origin}: `split.lists` has `{member}` under `{one}` and `{other}`"
                    )));
                }
            }
        }
        Ok(rule)
    }
}

impl OutcomeTable {
    fn rule(self, origin: &str, directory: &Path) -> anyhow::Result<OutcomeRule> {
        if self.score_range.is_some_and(|(low, high)| !(low < high && low.is_finite() && high.is_finite())) {
            return Err(bad_input(format!("{origin}: `outcome.score_range` is not two numbers, the lower one first")));
        }
        let given = self.file.map(|path| read_outcomes(&directory.join(path))).transpose()?.unwrap_or_default();
        Ok(OutcomeRule { success_threshold: self.success_threshold, score_range: self.score_range, given })
    }
}

/// A line of a file of outcomes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeLine {
    episode_id: Option<String>,
    task_id: Option<String>,
    success: Option<bool>,
    score: Option<f64>,
}

fn read_outcomes(path: &Path) -> anyhow::Result<HashMap<String, GivenOutcome>> {
    let origin = path.display();
    let file = File::open(path).map_err(|error| bad_input(format!("{origin}: {error}")))?;
    let mut outcomes = HashMap::new();
    for (position, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| bad_input(format!("{origin}:{}: {error}", position + 1)))?;
        if line.trim().is_empty() {
            continue;
        }
        let outcome: OutcomeLine = serde_json::from_str(&line).map_err(|error| {
            bad_input(format!(
                "{origin}:{}: {error}\nhint: a line has `episode_id` or `task_id`, and `success` or `score`",
                position + 1
            ))
        })?;
        let OutcomeLine { episode_id, task_id, success, score } = outcome;
        match episode_id.or(task_id) {
            Some(name) if success.is_some() || score.is_some() => {
                outcomes.insert(name, GivenOutcome { success, score });
            }
            _ => {
                let hint = "expected `episode_id` or `task_id`, and `success` or `score`";
                return Err(bad_input(format!("{origin}:{}: no outcome\nhint: {hint}", position + 1)));
            }
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> anyhow::Result<ImportPlan> {
        read_toml::<ImportMap>("m.toml", text)?.plan("m.toml", Path::new("."))
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        assert_eq!(plan(text).unwrap_err().to_string().lines().next(), Some(expected));
    }

    const POOL: &str = r#"
        [[pool]]
        id = "small"
        input_usd_per_million = 1.5
        cached_input_usd_per_million = 1.5
        output_usd_per_million = 2
        [[pool]]
        id = "large"
        input_usd_per_million = 30
        cached_input_usd_per_million = 30
        output_usd_per_million = 60
    "#;

    #[test]
    fn a_whole_map_is_read() {
        let text = format!(
            r#"environment = "intercode-sql"
            horizon = 10
            [models]
            "gpt-4-0613" = "large"
            [split]
            by = "group"
            seed = 7
            shares = {{ train = 0.5, test = 0.5 }}
            [split.lists]
            validation = ["pets"]
            [outcome]
            success_threshold = 0.5
            [observation]
            show = ["obs_error"]
            hidden = ["secret"]
            {POOL}"#
        );
        let plan = plan(&text).unwrap();
        assert_eq!(plan.pool.unwrap().len(), 2);
        assert_eq!(plan.aliases["gpt-4-0613"], "large");
        assert_eq!(plan.split.by, SplitBy::Group);
        assert_eq!((plan.split.seed, plan.split.shares), (7, [0.5, 0.0, 0.5, 0.0]));
        assert_eq!(plan.split.listed["pets"], Split::Validation);
        assert_eq!(plan.shown_fields, ["obs_error"]);
    }

    #[test]
    fn what_a_router_must_not_see_cannot_be_shown() {
        let expected = |key, field| format!("m.toml: `{key}` names `{field}`, which a router must not see");
        check_refused("[observation]\nshow = [\"prev_reward\"]", &expected("observation.show", "prev_reward"));
        check_refused("[completion]\nappend = [\"step_reward\"]", &expected("completion.append", "step_reward"));
        check_refused("[observation]\nshow = [\"a\"]\nhidden = [\"a\"]", &expected("observation.show", "a"));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        check_refused(
            "[models]\n\"gpt-4\" = \"large\"",
            "m.toml: `models.\"gpt-4\"` is `large`, which is no model of the pool",
        );
        check_refused(
            "[split]\nby = \"field\"",
            "m.toml: `split.by` is `field`, expected `task`, `group`, or `field` with `split.field`",
        );
        check_refused(
            "[split.shares]\ntrain = 0.5",
            "m.toml: `split.shares` add up to 0.5, expected shares from 0 to 1 that add up to 1",
        );
        check_refused("[split.lists]\ndev = [\"a\"]", "m.toml: `split.lists.dev` is no split");
        check_refused(
            "[split.lists]\ntrain = [\"a\"]\ntest = [\"a\"]",
            "m.toml: `split.lists` has `a` under `train` and `test`",
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        check_refused(
            "enviroment = \"x\"",
            "m.toml: `enviroment`: unknown field `enviroment`, expected one of `environment`, `horizon`, `pool`, `models`, `price_file`, `prices`, `split`, `outcome`, `observation`, `completion`",
        );
    }
}
