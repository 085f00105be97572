//! What a mapping file says, checked.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tollgate_routing::{ModelIndex, ModelPool, Prices, Split};

/// The forms of logs that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per step, with the fields of Tollgate's own logs.
    StepsJsonl,
    /// Chat completions: one request with its response, or one conversation, per line.
    OpenAiJsonl,
    /// The result file of tau2-bench.
    Tau2,
    /// JSON lines of the OpenTelemetry protocol with the generative-AI semantic conventions.
    OtelGenAi,
    /// LiteLLM's spend logs or standard logging payloads, one per line.
    LiteLlm,
}

impl LogFormat {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::StepsJsonl, Self::OpenAiJsonl, Self::Tau2, Self::OtelGenAi, Self::LiteLlm];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StepsJsonl => "steps-jsonl",
            Self::OpenAiJsonl => "openai-jsonl",
            Self::Tau2 => "tau2",
            Self::OtelGenAi => "otel-genai",
            Self::LiteLlm => "litellm",
        }
    }
}

/// What to split tasks by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SplitBy {
    /// Each task by itself.
    #[default]
    Task,
    /// Tasks of one `group` together.
    Group,
    /// Tasks with one value of this field together.
    Field(String),
}

/// Which task goes into which split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitRule {
    /// What stays together.
    pub by: SplitBy,
    /// Names (of groups, tasks or values) whose split is given.
    pub listed: HashMap<String, Split>,
    /// Shares of the tasks that train, validation, test and unseen get of what is not listed. They add up to 1.
    pub shares: [f64; 4],
    /// Seed of the draw.
    pub seed: u64,
}

impl Default for SplitRule {
    fn default() -> Self {
        Self { by: SplitBy::Task, listed: HashMap::new(), shares: [0.6, 0.2, 0.2, 0.0], seed: 1 }
    }
}

/// An outcome that is known from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GivenOutcome {
    /// Whether the task was solved.
    pub success: Option<bool>,
    /// The grade.
    pub score: Option<f64>,
}

/// When an episode counts as solved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutcomeRule {
    /// The score from which on it does, whatever the log's own word. Without it the log's word counts, and where there is
    /// none, a score of 1.
    pub success_threshold: Option<f64>,
    /// The scores that become 0 and 1.
    pub score_range: Option<(f64, f64)>,
    /// Outcomes by episode or task, for logs that do not have them.
    pub given: HashMap<String, GivenOutcome>,
}

/// How to read logs into tables.
#[derive(Debug, Clone, Default)]
pub struct ImportPlan {
    /// The environment's name; by default the log's `dataset`, or `imported`.
    pub environment: Option<Arc<str>>,
    /// The models that a router chooses from. Without a pool the models of the log become one.
    pub pool: Option<ModelPool>,
    /// Whether the pool's prices only put its models in order, and price nothing.
    pub is_pool_guessed: bool,
    /// Names in the log of models of the pool.
    pub aliases: HashMap<String, String>,
    /// Prices by name in the log or id in the pool, for costs that the log does not have.
    pub prices: HashMap<String, Prices>,
    /// Horizon of every task; by default the log's, or else the steps of the longest episode.
    pub horizon: Option<u32>,
    /// The splits.
    pub split: SplitRule,
    /// The outcomes.
    pub outcome: OutcomeRule,
    /// Fields that are shown to the router, behind the observation.
    pub shown_fields: Vec<String>,
    /// Fields that belong to what the model said, behind it.
    pub completion_fields: Vec<String>,
}

/// How one import is to be done.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The form of the logs.
    pub format: LogFormat,
    /// Whether the first bad row ends the import.
    pub is_strict: bool,
    /// The longest row.
    pub max_row_bytes: usize,
    /// Where the tables go.
    pub out: PathBuf,
}

/// A model of the log, in the pool or not.
#[derive(Debug, Clone)]
pub(crate) struct KnownModel {
    pub(crate) name: Arc<str>,
    pub(crate) in_pool: Option<(ModelIndex, Arc<str>)>,
    pub(crate) prices: Option<Prices>,
}

impl ImportPlan {
    /// Finds a model by its name in the log.
    pub(crate) fn resolve(&self, name: &str) -> KnownModel {
        let id = self.aliases.get(name).map_or(name, String::as_str);
        let found = self.pool.iter().flat_map(ModelPool::iter).find(|(_, model)| *model.id == *id);
        let listed = || self.prices.get(name).or_else(|| self.prices.get(id)).copied();
        KnownModel {
            name: name.into(),
            in_pool: found.map(|(index, model)| (index, model.id.clone())),
            prices: found.filter(|_| !self.is_pool_guessed).map(|(_, model)| model.prices).or_else(listed),
        }
    }
}
