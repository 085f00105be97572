//! One training from the artifacts of the earlier stages to a checkpoint.

use std::collections::HashMap;
use std::path::Path;

use candle_core::Device;
use tollgate_policy::{CheckpointSpec, FEATURE_VERSION, FeatureConfig, NetworkShape, RouterNetwork, save_checkpoint};
use tollgate_rollout::{Arena, derive_seed};
use tollgate_routing::{BoundaryLabel, Episode, Objective, SftExample, Task};

use crate::bopo::Bopo;
use crate::config::TrainConfig;
use crate::critic::N_REFERENCES;
use crate::error::TrainError;
use crate::experience::Guidance;
use crate::progress::{IterationMetrics, load_finished, save_finished};
use crate::q_learning::{QInputs, train_q};
use crate::reward::BoundaryCosts;
use crate::sft::{SftContext, sft_rows, warm_start};
use crate::static_router::{StaticInputs, train_static};
use crate::variant::Variant;

/// What the earlier stages have collected.
#[derive(Clone, Copy)]
pub struct TrainingInputs<'a> {
    /// Where the policy is rolled out.
    pub arena: &'a dyn Arena,
    /// The training tasks; each needs a label.
    pub tasks: &'a [Task],
    /// The boundary labels.
    pub labels: &'a [BoundaryLabel],
    /// The examples to imitate.
    pub examples: &'a [SftExample],
    /// The logged episodes: the boundary probes, and those that the examples refer to.
    pub episodes: &'a [Episode],
    /// What is rewarded.
    pub objective: Objective,
}

/// A finished training.
#[derive(Debug)]
pub struct TrainedPolicy {
    /// What the checkpoint says.
    pub spec: CheckpointSpec,
    /// The network.
    pub network: RouterNetwork,
    /// The metrics of every iteration, those before a resumption included.
    pub log: Vec<IterationMetrics>,
    /// Whether an earlier call had finished it.
    pub is_kept: bool,
}

/// Trains `variant` and writes its checkpoint into `directory`. Progress is saved there on the way; a training that was
/// stopped goes on from it and ends with the same weights as one that was not. One that was finished there with the same
/// settings is not repeated: the caller sees to it that the inputs are the same as well.
///
/// `observer` is called after every iteration, and with the iterations of a training that is not repeated.
///
/// # Errors
/// A [`TrainError`]; the checkpoint is then not written.
pub fn train(
    inputs: &TrainingInputs<'_>,
    config: &TrainConfig,
    variant: Variant,
    train_seed: u64,
    directory: &Path,
    device: &Device,
    observer: &(dyn Fn(&IterationMetrics) + Sync),
) -> Result<TrainedPolicy, TrainError> {
    let config = config.for_variant(variant);
    config.check()?;
    let setup = Setup::new(inputs, &config, variant, train_seed)?;
    let settings = format!("{config:?} {:?}", setup.spec);
    if let Some((network, log)) = load_finished(directory, &settings, device)? {
        log.iter().for_each(observer);
        return Ok(TrainedPolicy { spec: setup.spec, network, log, is_kept: true });
    }
    let network = RouterNetwork::new(setup.spec.shape, derive_seed(train_seed, Stream::Weights as u64), device)?;
    let log = match variant {
        Variant::Static => {
            setup.train_static(&network, device)?;
            Vec::new()
        }
        variant if variant.is_value_based() => {
            setup.train_q(&network, device)?;
            Vec::new()
        }
        _ => setup.train_stepwise(&network, directory, &settings, device, observer)?,
    };
    save_checkpoint(directory, &setup.spec, &network)?;
    save_finished(directory, &settings, &log)?;
    Ok(TrainedPolicy { spec: setup.spec, network, log, is_kept: false })
}

/// Streams of the training seed.
enum Stream {
    Weights = 1,
    Sft = 2,
    Rollouts = 3,
    Static = 5,
    QLearning = 6,
}

/// What every variant needs.
struct Setup<'a> {
    inputs: &'a TrainingInputs<'a>,
    config: &'a TrainConfig,
    variant: Variant,
    train_seed: u64,
    costs: BoundaryCosts,
    spec: CheckpointSpec,
    labels: HashMap<&'a str, &'a BoundaryLabel>,
}

impl<'a> Setup<'a> {
    fn new(
        inputs: &'a TrainingInputs<'a>,
        config: &'a TrainConfig,
        variant: Variant,
        train_seed: u64,
    ) -> Result<Self, TrainError> {
        let labels: HashMap<&str, &BoundaryLabel> =
            inputs.labels.iter().map(|label| (label.task_id.as_str(), label)).collect();
        if let Some(task) = inputs.tasks.iter().find(|task| !labels.contains_key(task.id.as_str())) {
            return Err(TrainError::Missing {
                what: "a boundary label",
                detail: format!("task `{}` has none", task.id),
                hint: "classify, synthesize and optimize must read the same task set",
            });
        }
        let costs =
            BoundaryCosts::of_suite(inputs.labels).filter(|_| !inputs.tasks.is_empty()).ok_or(TrainError::Missing {
                what: "the training set",
                detail: "no task with a boundary label was given".to_owned(),
                hint: "the task set needs tasks with split `train`",
            })?;
        let pool = inputs.arena.pool();
        let features = feature_config(config, pool.len(), inputs.arena.n_signals(), costs.high.get());
        let learns_by_acting = !variant.is_offline();
        let spec = CheckpointSpec {
            feature_version: FEATURE_VERSION,
            features,
            shape: NetworkShape {
                n_features: features.n_features(),
                n_hidden: config.n_hidden,
                n_models: pool.len(),
                early_stop: config.early_stop,
                n_privileged: if learns_by_acting && config.bopo.knows_references() { N_REFERENCES } else { 0 },
            },
            policy_id: variant.as_str().to_owned(),
            train_seed,
            models: pool.iter().map(|(_, model)| model.id.to_string()).collect(),
            cost_spread_nano_usd: costs.spread().get(),
            iterations: if learns_by_acting { config.bopo.iterations } else { 0 },
        };
        Ok(Self { inputs, config, variant, train_seed, costs, spec, labels })
    }

    fn train_static(&self, network: &RouterNetwork, device: &Device) -> Result<(), TrainError> {
        let mut probes = HashMap::new();
        for episode in self.probes() {
            probes.entry(episode.task.id.as_str()).or_insert(episode);
        }
        let inputs = StaticInputs {
            probes: &probes,
            labels: self.inputs.labels,
            pool: self.inputs.arena.pool(),
            features: self.spec.features,
            conditions: &self.config.bopo.conditions,
            objective: self.inputs.objective,
            costs: self.costs,
        };
        train_static(network, &inputs, device, derive_seed(self.train_seed, Stream::Static as u64))
    }

    fn train_q(&self, network: &RouterNetwork, device: &Device) -> Result<(), TrainError> {
        if self.inputs.episodes.is_empty() {
            return Err(TrainError::Missing {
                what: "the logged episodes",
                detail: "none was given".to_owned(),
                hint: "offline Q-learning learns from what `simulate` has played",
            });
        }
        let inputs = QInputs {
            episodes: self.inputs.episodes,
            pool: self.inputs.arena.pool(),
            features: self.spec.features,
            conditions: &self.config.bopo.conditions,
            objective: self.inputs.objective,
            costs: self.costs,
            policy_id: self.variant.as_str(),
        };
        let seed = derive_seed(self.train_seed, Stream::QLearning as u64);
        train_q(network, &inputs, &self.config.q_learning, device, seed)
    }

    fn train_stepwise(
        &self,
        network: &RouterNetwork,
        directory: &Path,
        settings: &str,
        device: &Device,
        observer: &(dyn Fn(&IterationMetrics) + Sync),
    ) -> Result<Vec<IterationMetrics>, TrainError> {
        let is_conditioned = self.variant != Variant::BopoNoConditioning;
        if self.config.sft.epochs > 0 {
            let by_id: HashMap<&str, &Episode> =
                self.inputs.episodes.iter().map(|episode| (episode.id.as_str(), episode)).collect();
            let context = SftContext {
                pool: self.inputs.arena.pool(),
                features: self.spec.features,
                conditions: &self.config.bopo.conditions,
                large_cost: self.costs.high,
                is_conditioned,
            };
            let seed = derive_seed(self.train_seed, Stream::Sft as u64);
            let rows = sft_rows(self.inputs.examples, &by_id, &context, self.config.sft.max_examples, seed)?;
            let loss = warm_start(network, &rows, self.variant.as_str(), &self.config.sft, device, seed)?;
            tracing::debug!(variant = self.variant.as_str(), examples = rows.weights.len(), loss, "warm start done");
        }
        if self.config.bopo.iterations == 0 {
            return Ok(Vec::new());
        }
        let labels = self.inputs.tasks.iter().map(|task| self.labels[task.id.as_str()]).collect();
        let guidance = Guidance { labels, costs: self.costs, is_conditioned };
        let seed = derive_seed(self.train_seed, Stream::Rollouts as u64);
        Bopo::new(self.inputs, self.config, &self.spec, guidance, network, device, seed)?
            .run(directory, settings, observer)
    }

    /// The logged episodes of the boundary policies.
    fn probes(&self) -> impl Iterator<Item = &'a Episode> {
        self.inputs.episodes.iter().filter(|episode| matches!(&*episode.policy_id, "always-small" | "always-large"))
    }
}

/// Features for the arena: its signals, and as much text as the settings allow, divided 1 : 2 : 1 : 1 between
/// instruction, observation, completion and history, and the first words of completions.
fn feature_config(config: &TrainConfig, n_models: usize, n_signals: usize, cost_scale_nano_usd: u64) -> FeatureConfig {
    let part = config.text_buckets / 5;
    FeatureConfig {
        n_models,
        n_signals,
        instruction_buckets: part,
        observation_buckets: 2 * part,
        completion_buckets: part,
        history_buckets: part,
        verb_buckets: config.verb_buckets,
        hidden: config.hidden,
        cost_scale_nano_usd,
    }
}
