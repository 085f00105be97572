//! One table per stage: its keys, their defaults and their ranges.

use std::path::PathBuf;

use anyhow::Context;
use candle_core::Device;
use serde::Deserialize;
use tollgate_bopo::{TrainConfig, Variant};
use tollgate_synthesis::{Synthesis, SynthesisConfig};
use tollgate_taxonomy::{Thresholds, ThresholdsConfig};

use super::{ExperimentConfig, StageTable};
use crate::failure::{OrBadInput, bad_input};

/// `[simulate]`: what is played on the train tasks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SimulateConfig {
    /// K: probes of each boundary policy per task.
    pub(crate) n_probes: u32,
    /// Further probes of each boundary policy on contested tasks.
    pub(crate) n_extra_probes: u32,
    /// N: mixed episodes, with P(large) = k/N, on tasks that any threshold could call hard.
    pub(crate) n_sweep: u32,
    /// Play only the first so many train tasks.
    pub(crate) max_tasks: Option<usize>,
    /// End episodes after so many steps, sooner than their task does: to try live models out for little.
    pub(crate) max_steps: Option<u32>,
}

impl Default for SimulateConfig {
    fn default() -> Self {
        Self { n_probes: 5, n_extra_probes: 0, n_sweep: 10, max_tasks: None, max_steps: None }
    }
}

impl SimulateConfig {
    /// Refuses values that no run can be made of.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        at_least_one("simulate.n_probes", self.n_probes as usize)?;
        at_least_one("simulate.max_steps", self.max_steps.unwrap_or(1) as usize)?;
        at_least_one("simulate.max_tasks", self.max_tasks.unwrap_or(1))
    }
}

/// `[classify]`: where the classes begin and end.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClassifyConfig {
    /// Success rate of the small model from which on a task is easy.
    pub(crate) easy_success_rate: f64,
    /// Success rate that is as good as none: an unsolved task is contested until the probes rule it out.
    pub(crate) negligible_success_rate: f64,
    /// Half width of the Wilson intervals in standard errors.
    pub(crate) interval_z: f64,
}

impl Default for ClassifyConfig {
    fn default() -> Self {
        let ThresholdsConfig { easy_success_rate, negligible_success_rate, interval_z, .. } =
            ThresholdsConfig::default();
        Self { easy_success_rate, negligible_success_rate, interval_z }
    }
}

impl ClassifyConfig {
    /// The thresholds, checked.
    pub(crate) fn thresholds(&self, experiment: &ExperimentConfig) -> anyhow::Result<Thresholds> {
        let Self { easy_success_rate, negligible_success_rate, interval_z } = *self;
        let score_threshold = experiment.score_threshold;
        let config = ThresholdsConfig { easy_success_rate, negligible_success_rate, interval_z, score_threshold };
        Thresholds::new(config).or_bad_input()
    }
}

/// `[synthesize]`: which steps are imitated, and how often.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SynthesizeConfig {
    /// Whether the examples are boundary-guided. Off, every solved mixed episode is imitated as it was played.
    pub(crate) boundary_guided: bool,
    /// Share of the total weight for each class of tasks; any scale.
    pub(crate) class_ratio: ClassRatio,
    /// The most examples.
    pub(crate) max_examples: usize,
    /// The most that an example of one class may weigh against one of another.
    pub(crate) max_weight: f32,
}

/// A share for each class of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassRatio {
    /// Of easy tasks.
    pub(crate) easy: f32,
    /// Of hard tasks.
    pub(crate) hard: f32,
    /// Of intractable tasks.
    pub(crate) intractable: f32,
}

impl Default for SynthesizeConfig {
    fn default() -> Self {
        let SynthesisConfig { synthesis, class_ratio: [easy, hard, intractable], max_examples, max_weight } =
            SynthesisConfig::default();
        Self {
            boundary_guided: synthesis == Synthesis::BoundaryGuided,
            class_ratio: ClassRatio { easy, hard, intractable },
            max_examples,
            max_weight,
        }
    }
}

impl SynthesizeConfig {
    /// Refuses values that no examples can be made with.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.synthesis().check().context("`[synthesize]`").or_bad_input()
    }

    /// The same in the words of the synthesis.
    pub(crate) fn synthesis(&self) -> SynthesisConfig {
        let ClassRatio { easy, hard, intractable } = self.class_ratio;
        SynthesisConfig {
            synthesis: if self.boundary_guided { Synthesis::BoundaryGuided } else { Synthesis::Off },
            class_ratio: [easy, hard, intractable],
            max_examples: self.max_examples,
            max_weight: self.max_weight,
        }
    }
}

/// `[optimize]`: what is trained, how often, and on which device. Its other keys are the trainer's own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OptimizeConfig {
    /// Directory of trained policies that are taken as they are; then nothing is trained.
    pub(crate) from: Option<PathBuf>,
    /// What is trained.
    pub(crate) variants: Vec<Variant>,
    /// Each variant is trained once with each of them.
    pub(crate) train_seeds: Vec<u64>,
    /// Where the networks are trained.
    pub(crate) device: TrainDevice,
    /// The settings of the training.
    pub(crate) train: TrainConfig,
}

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TrainDevice {
    /// The processor.
    Cpu,
    /// The first NVIDIA card; needs the cargo feature `cuda`.
    Cuda,
    /// The first Apple card; needs the cargo feature `metal`.
    Metal,
}

impl TrainDevice {
    /// The device, ready to use.
    pub(crate) fn open(self) -> anyhow::Result<Device> {
        let (device, feature) = match self {
            Self::Cpu => return Ok(Device::Cpu),
            Self::Cuda => (Device::new_cuda(0), "cuda"),
            Self::Metal => (Device::new_metal(0), "metal"),
        };
        device.map_err(|error| {
            bad_input(format!("`optimize.device` is \"{feature}\": {error}\nhint: build with `--features {feature}` on a machine that has one, or use \"cpu\""))
        })
    }
}

/// The keys of `[optimize]` that are not the trainer's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OptimizeKeys {
    from: Option<PathBuf>,
    variants: Option<Vec<Variant>>,
    train_seeds: Option<Vec<u64>>,
    device: TrainDevice,
}

impl Default for OptimizeKeys {
    fn default() -> Self {
        Self { from: None, variants: None, train_seeds: None, device: TrainDevice::Cpu }
    }
}

impl OptimizeConfig {
    /// Keys that say which trainings there are, and nothing about any of them.
    pub(crate) const SELECTION: [&str; 2] = ["variants", "train_seeds"];

    /// Reads and checks the slot's table.
    pub(crate) fn read(table: &StageTable) -> anyhow::Result<Self> {
        let (own, trainer) = table.split(&["from", "variants", "train_seeds", "device"]);
        let OptimizeKeys { from, variants, train_seeds, device } = own.read()?;
        if from.is_some() && (variants.is_some() || train_seeds.is_some()) {
            let key = if variants.is_some() { "variants" } else { "train_seeds" };
            return Err(bad_input(format!(
                "`optimize.from` and `optimize.{key}` are both set, expected one of them\nhint: with `from` every policy of that directory is taken as it is, and nothing is trained"
            )));
        }
        let (variants, train_seeds) =
            (variants.unwrap_or_else(|| Variant::STANDARD.to_vec()), train_seeds.unwrap_or_else(|| vec![1]));
        let train: TrainConfig = trainer.read()?;
        train.check().or_bad_input()?;
        some_distinct("optimize.variants", &variants)?;
        some_distinct("optimize.train_seeds", &train_seeds)?;
        Ok(Self { from, variants, train_seeds, device, train })
    }
}

/// `[evaluate]`: which policies are played under which budgets.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EvaluateConfig {
    /// Weights of the cost that policies without a cap are asked for.
    pub(crate) lambdas: Vec<f32>,
    /// Weight of the cost under a hard cap. 0: only success counts, and the cap is there to be used.
    pub(crate) capped_lambda: f32,
    /// Caps on large calls.
    pub(crate) large_call_caps: Vec<u32>,
    /// Caps on money, as shares of always-large's mean cost on the train probes.
    pub(crate) usd_cap_shares: Vec<f64>,
    /// P(large) of the random baselines.
    pub(crate) random_p_large: Vec<f64>,
    /// Failures in a row after which the cascade baselines escalate; each is joined with each of `cascade_steps`.
    pub(crate) cascade_failures: Vec<u32>,
    /// Steps for which they stay with the dearer model.
    pub(crate) cascade_steps: Vec<u32>,
    /// Whether the oracle plays too, which tries every model from a copy of the state: a hundred episodes for one.
    pub(crate) oracle: bool,
    /// Episodes per validation task, policy and operating point.
    pub(crate) n_validation_episodes: u32,
    /// Episodes per test task, policy and operating point.
    pub(crate) n_test_episodes: u32,
    /// Play only the first so many validation tasks.
    pub(crate) max_validation_tasks: Option<usize>,
    /// Play only the first so many test tasks.
    pub(crate) max_test_tasks: Option<usize>,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            lambdas: vec![0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.2],
            capped_lambda: 0.0,
            large_call_caps: vec![2, 5, 10, 15],
            usd_cap_shares: vec![0.25, 0.5, 0.75],
            random_p_large: (1..=9).map(|tenth| f64::from(tenth) / 10.0).collect(),
            cascade_failures: vec![1, 2, 3],
            cascade_steps: vec![1, 3, 30],
            oracle: false,
            n_validation_episodes: 2,
            n_test_episodes: 1,
            max_validation_tasks: None,
            max_test_tasks: None,
        }
    }
}

impl EvaluateConfig {
    /// Refuses values that no run can be made of.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        at_least_one("evaluate.n_validation_episodes", self.n_validation_episodes as usize)?;
        at_least_one("evaluate.n_test_episodes", self.n_test_episodes as usize)?;
        at_least_one("evaluate.max_validation_tasks", self.max_validation_tasks.unwrap_or(1))?;
        at_least_one("evaluate.max_test_tasks", self.max_test_tasks.unwrap_or(1))?;
        for &lambda in &self.lambdas {
            in_range("evaluate.lambdas", f64::from(lambda), 0.0, 1e6)?;
        }
        in_range("evaluate.capped_lambda", f64::from(self.capped_lambda), 0.0, 1e6)?;
        for &share in &self.usd_cap_shares {
            share_in_range("evaluate.usd_cap_shares", share, 0.0, 1e3)?;
        }
        for &p_large in &self.random_p_large {
            share_in_range("evaluate.random_p_large", p_large, 0.0, 1.0)?;
        }
        self.check_distinct()?;
        self.cascade_failures.iter().try_for_each(|&n| at_least_one("evaluate.cascade_failures", n as usize))?;
        self.cascade_steps.iter().try_for_each(|&n| at_least_one("evaluate.cascade_steps", n as usize))
    }

    /// A value that is repeated would be played twice under one name.
    fn check_distinct(&self) -> anyhow::Result<()> {
        some_distinct("evaluate.lambdas", &self.lambdas)?;
        distinct("evaluate.large_call_caps", &self.large_call_caps)?;
        distinct("evaluate.usd_cap_shares", &self.usd_cap_shares)?;
        distinct("evaluate.random_p_large", &self.random_p_large)?;
        distinct("evaluate.cascade_failures", &self.cascade_failures)?;
        distinct("evaluate.cascade_steps", &self.cascade_steps)
    }
}

/// `[report]`: how the figures are condensed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReportConfig {
    /// Resamples of the tasks for each interval.
    pub(crate) n_resamples: u32,
    /// Probability that an interval covers.
    pub(crate) confidence: f64,
    /// Share of always-large's success that the operating point must keep on the validation tasks.
    pub(crate) min_success_of_large: f64,
    /// By how many standard errors it must clear that share: validation tasks are few.
    pub(crate) margin_standard_errors: f64,
    /// Episodes that the page shows step by step.
    pub(crate) n_traces: usize,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self {
            n_resamples: 1_000,
            confidence: 0.95,
            min_success_of_large: 0.97,
            margin_standard_errors: 0.0,
            n_traces: 6,
        }
    }
}

impl ReportConfig {
    /// Refuses values that no interval can be made of.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        at_least_one("report.n_resamples", self.n_resamples as usize)?;
        share_in_range("report.confidence", self.confidence, 0.5, 0.999)?;
        share_in_range("report.min_success_of_large", self.min_success_of_large, 0.01, 1.0)?;
        in_range("report.margin_standard_errors", self.margin_standard_errors, 0.0, 10.0)
    }
}

fn some_distinct<T: PartialEq + std::fmt::Debug>(key: &str, values: &[T]) -> anyhow::Result<()> {
    at_least_one(key, values.len())?;
    distinct(key, values)
}

/// Refuses repeated values; there may be none at all.
fn distinct<T: PartialEq + std::fmt::Debug>(key: &str, values: &[T]) -> anyhow::Result<()> {
    let repeated = values.iter().enumerate().find(|(position, value)| values[..*position].contains(value));
    match repeated {
        None => Ok(()),
        Some((_, value)) => Err(bad_input(format!("`{key}` holds {value:?} twice, expected distinct values"))),
    }
}

fn at_least_one(key: &str, found: usize) -> anyhow::Result<()> {
    if found == 0 { Err(bad_input(format!("`{key}` is {found}, expected at least 1"))) } else { Ok(()) }
}

fn in_range(key: &str, found: f64, low: f64, high: f64) -> anyhow::Result<()> {
    let is_in_range = (low..=high).contains(&found);
    if is_in_range { Ok(()) } else { Err(bad_input(out_of_range(key, found, low, high))) }
}

fn share_in_range(key: &str, found: f64, low: f64, high: f64) -> anyhow::Result<()> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    let message = out_of_range(key, found, low, high);
    Err(bad_input(format!("{message}\nhint: shares and probabilities are 0 to 1, never percent")))
}

fn out_of_range(key: &str, found: f64, low: f64, high: f64) -> String {
    format!("`{key}` holds {found}, expected {low} to {high}")
}

#[cfg(test)]
mod tests {
    use tollgate_contract::Slot;

    use super::*;

    #[test]
    fn percentages_are_refused_where_shares_are_meant() {
        let config = EvaluateConfig { random_p_large: vec![50.0], ..EvaluateConfig::default() };
        let message = config.check().unwrap_err().to_string();
        assert!(message.starts_with("`evaluate.random_p_large` holds 50, expected 0 to 1\nhint:"), "{message}");
        let config = ClassifyConfig { easy_success_rate: 60.0, ..ClassifyConfig::default() };
        let message = config.thresholds(&ExperimentConfig::default()).unwrap_err().to_string();
        assert!(message.starts_with("threshold `easy_success_rate` is 60"), "{message}");
    }

    #[track_caller]
    fn check_refused(change: impl Fn(&mut EvaluateConfig), expected: &str) {
        let mut config = EvaluateConfig::default();
        change(&mut config);
        assert_eq!(config.check().unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_weight_is_named_by_its_own_key_and_is_no_share() {
        check_refused(|config| config.lambdas[0] = -1.0, "`evaluate.lambdas` holds -1, expected 0 to 1000000");
        check_refused(|config| config.capped_lambda = -1.0, "`evaluate.capped_lambda` holds -1, expected 0 to 1000000");
    }

    #[test]
    fn repeated_values_are_refused_and_empty_lists_are_not_but_for_weights() {
        let twice = |key: &str, value: &str| format!("`evaluate.{key}` holds {value} twice, expected distinct values");
        check_refused(|config| config.lambdas = vec![0.3, 0.0, 0.3], &twice("lambdas", "0.3"));
        check_refused(|config| config.large_call_caps = vec![2, 2], &twice("large_call_caps", "2"));
        check_refused(|config| config.usd_cap_shares = vec![0.5, 0.5], &twice("usd_cap_shares", "0.5"));
        check_refused(|config| config.random_p_large = vec![0.5, 0.5], &twice("random_p_large", "0.5"));
        check_refused(|config| config.cascade_failures = vec![1, 1], &twice("cascade_failures", "1"));
        check_refused(|config| config.cascade_steps = vec![3, 1, 3], &twice("cascade_steps", "3"));
        check_refused(|config| config.lambdas = Vec::new(), "`evaluate.lambdas` is 0, expected at least 1");
        let config = EvaluateConfig {
            large_call_caps: Vec::new(),
            usd_cap_shares: Vec::new(),
            random_p_large: Vec::new(),
            cascade_failures: Vec::new(),
            cascade_steps: Vec::new(),
            ..EvaluateConfig::default()
        };
        config.check().unwrap();
    }

    #[test]
    fn policies_are_either_taken_or_trained() {
        let read = |table: serde_json::Value| OptimizeConfig::read(&StageTable::new("c.toml", Slot::Optimize, table)?);
        let taken = read(serde_json::json!({"from": "runs/a"})).unwrap();
        assert_eq!(taken.from.as_deref(), Some(std::path::Path::new("runs/a")));
        let message = read(serde_json::json!({"from": "runs/a", "train_seeds": [1]})).unwrap_err().to_string();
        assert!(message.starts_with("`optimize.from` and `optimize.train_seeds` are both set"), "{message}");
    }

    #[test]
    fn no_probes_are_refused() {
        let config = SimulateConfig { n_probes: 0, ..SimulateConfig::default() };
        assert_eq!(config.check().unwrap_err().to_string(), "`simulate.n_probes` is 0, expected at least 1");
    }
}
