//! `[experiment.shift]`: a world that has changed since the router was trained. A simulated world can be changed at will; only the
//! household has one whose every part is ours.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tollgate_environment::household::Wording;
use tollgate_environment::simulated::ModelShift;
use tollgate_routing::Task;

use super::{ExecutorKind, ExperimentConfig, PoolFile, Suite};
use crate::failure::bad_input;

/// The table; without a key nothing is changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ShiftConfig {
    /// Changed models, by their ids in the pool.
    models: BTreeMap<String, ChangedModel>,
    /// In which words the world speaks.
    wording: WordingKind,
    /// Only tasks of these kinds are played. All without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_kinds: Option<Vec<String>>,
}

/// What has changed about one model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChangedModel {
    /// Factor on each of its prices.
    price_factor: f64,
    /// Added to the log-odds of all that it can do.
    ability: f32,
    /// Chance per call of an answer of no use, which is paid for.
    failure_rate: f32,
    /// Factor on the time of its calls.
    latency_factor: f32,
}

impl Default for ChangedModel {
    fn default() -> Self {
        let ModelShift { ability, failure_rate, latency_factor } = ModelShift::default();
        Self { price_factor: 1.0, ability, failure_rate, latency_factor }
    }
}

/// A wording by its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WordingKind {
    #[default]
    Plain,
    Other,
    Unmarked,
}

impl ShiftConfig {
    /// Refuses a shift of a world that is not ours to change. The experiment was read from the table at `path` of `origin`.
    pub(super) fn check(experiment: &ExperimentConfig, origin: &str, path: &str) -> anyhow::Result<()> {
        let found = match experiment.suite {
            _ if experiment.shift.is_none() => return Ok(()),
            Suite::Household if experiment.executor == ExecutorKind::Live => "live models",
            Suite::Household => return Ok(()),
            other => other.as_str(),
        };
        Err(bad_input(format!(
            "{origin}: `{path}.shift` is set, expected none for {found}\nhint: only suite `household` with simulated models can be changed; remove the table"
        )))
    }

    /// Gives the models of the pool at `path` their changed prices.
    pub(crate) fn change_prices(&self, pool: &mut PoolFile, path: &Path) -> anyhow::Result<()> {
        for (id, changed) in &self.models {
            let factor = changed.price_factor;
            if !(factor > 0.0 && factor <= 1e6) {
                return Err(bad_input(format!(
                    "`experiment.shift.models.{id}.price_factor` is {factor}, expected above 0, at most a million"
                )));
            }
            let Some(position) = pool.models.iter().position(|model| model.id == *id) else {
                let known: Vec<String> = pool.models.iter().map(|model| format!("`{}`", model.id)).collect();
                return Err(bad_input(format!(
                    "`experiment.shift.models.{id}`: {} has no such model, expected one of {}",
                    path.display(),
                    known.join(", ")
                )));
            };
            pool.models[position].multiply_prices(factor);
        }
        Ok(())
    }

    /// How the model of this id has changed.
    pub(crate) fn of_model(&self, id: &str) -> ModelShift {
        let ChangedModel { ability, failure_rate, latency_factor, .. } =
            self.models.get(id).copied().unwrap_or_default();
        ModelShift { ability, failure_rate, latency_factor }
    }

    /// In which words the world speaks.
    pub(crate) const fn wording(&self) -> Wording {
        match self.wording {
            WordingKind::Plain => Wording::Plain,
            WordingKind::Other => Wording::Other,
            WordingKind::Unmarked => Wording::Unmarked,
        }
    }

    /// Leaves out the tasks that are not played.
    pub(crate) fn filter(&self, tasks: &mut Vec<Task>, path: &Path) -> anyhow::Result<()> {
        let Some(wanted) = &self.task_kinds else { return Ok(()) };
        let has_kind = |task: &Task, kind: &String| task.kind.as_deref() == Some(kind);
        if let Some(missing) = wanted.iter().find(|kind| tasks.iter().all(|task| !has_kind(task, kind))) {
            let known: std::collections::BTreeSet<&str> =
                tasks.iter().filter_map(|task| task.kind.as_deref()).collect();
            return Err(bad_input(format!(
                "`experiment.shift.task_kinds`: {} has no task of kind `{missing}`, expected some of {}",
                path.display(),
                known.into_iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ")
            )));
        }
        tasks.retain(|task| wanted.iter().any(|kind| has_kind(task, kind)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    fn experiment(text: &str) -> anyhow::Result<ExperimentConfig> {
        Ok(ConfigFile::parse("c.toml", text)?.experiment)
    }

    #[test]
    fn what_is_not_changed_stays_as_it_was() {
        let text = "[experiment.shift.models.\"gpt-4.1\"]\nability = -1.5";
        let shift = experiment(text).unwrap().shift.unwrap();
        assert_eq!(shift.of_model("gpt-4.1"), ModelShift { ability: -1.5, ..ModelShift::default() });
        assert_eq!(shift.of_model("gpt-4.1-mini"), ModelShift::default());
        assert_eq!(shift.wording(), Wording::Plain);
    }

    #[test]
    fn prices_are_multiplied_and_unknown_models_refused() {
        let path = Path::new("../../datasets/pools/two.toml");
        let mut pool = PoolFile::open(path).unwrap();
        let text = "[experiment.shift.models.\"gpt-4.1\"]\nprice_factor = 0.5";
        experiment(text).unwrap().shift.unwrap().change_prices(&mut pool, path).unwrap();
        let pool = pool.pool("two.toml").unwrap();
        assert_eq!(pool.model(pool.large()).prices.output.get(), 4_000_000);

        let shift = experiment("[experiment.shift.models.large]\nability = 1.0").unwrap().shift.unwrap();
        let message = shift.change_prices(&mut PoolFile::open(path).unwrap(), path).unwrap_err().to_string();
        assert!(message.ends_with("has no such model, expected one of `gpt-4.1-mini`, `gpt-4.1`"), "{message}");
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let message = experiment(text).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }

    #[test]
    fn a_world_that_is_not_ours_is_not_changed() {
        check_refused(
            "[experiment]\nsuite = \"skill-chain\"\n[experiment.shift]\nwording = \"other\"",
            "c.toml: `experiment.shift` is set, expected none for skill-chain\nhint:",
        );
        check_refused(
            "[experiment.shift]\nwordng = \"other\"",
            "c.toml: `experiment.shift.wordng`: unknown field `wordng`",
        );
    }

    #[test]
    fn tasks_of_other_kinds_are_left_out_and_a_kind_that_nothing_has_is_refused() {
        let path = Path::new("../../datasets/tasks/household.parquet");
        let tasks: Vec<Task> = crate::artifact::read_rows(path).unwrap();
        let filter = |kind: &str| {
            let text = format!("[experiment.shift]\ntask_kinds = [\"{kind}\"]");
            let mut kept = tasks.clone();
            experiment(&text).unwrap().shift.unwrap().filter(&mut kept, path)?;
            anyhow::Ok(kept)
        };
        let kept = filter("heat").unwrap();
        assert!(!kept.is_empty() && kept.iter().all(|task| task.kind.as_deref() == Some("heat")));
        let message = filter("freeze").unwrap_err().to_string();
        assert!(message.contains("has no task of kind `freeze`, expected some of `clean`, `cool`"), "{message}");
    }
}
