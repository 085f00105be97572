//! What happened when a policy played a task.

use std::fmt;
use std::sync::Arc;

use crate::{Budget, ModelIndex, NanoUsd, Observation, Task, TokenUsage};

/// The name of an episode, unique within a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpisodeId(Arc<str>);

impl EpisodeId {
    /// An episode's name.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of a step that the router may look back on: no reward, no outcome, nothing the environment keeps to itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// What was seen before acting.
    pub observation: Observation,
    /// The model that answered.
    pub action: ModelIndex,
    /// The model's answer.
    pub completion: String,
    /// Its tokens.
    pub usage: TokenUsage,
    /// Its price.
    pub cost: NanoUsd,
    /// How long the call took. Milliseconds.
    pub latency_ms: u32,
}

/// One step of a trajectory: the visible turn and what was recorded about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The visible part.
    pub turn: Turn,
    /// Natural logarithm of the probability with which the policy chose the action.
    pub log_prob: f32,
    /// What was left of a cap in money after this step was settled.
    pub remaining: Option<NanoUsd>,
    /// The environment's reward for the step.
    pub reward: f32,
    /// Whether the step happened as it is written.
    pub provenance: Provenance,
    /// How its cost is known.
    pub cost_source: CostSource,
}

/// Whether a step happened as it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// A model answered, and the environment took the answer.
    #[default]
    Played,
    /// It is read from the log of the very history that led to it.
    Logged,
    /// It is read from the log of another history of the same task that had come to the same state.
    Matched,
    /// It is drawn from steps of other tasks in a similar state: an assumption.
    Drawn,
}

impl Provenance {
    /// Every provenance.
    pub const ALL: [Self; 4] = [Self::Played, Self::Logged, Self::Matched, Self::Drawn];

    /// The name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Played => "played",
            Self::Logged => "logged",
            Self::Matched => "matched",
            Self::Drawn => "drawn",
        }
    }
}

/// How the cost of a step is known. Figures of different sources do not belong into one sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum CostSource {
    /// A simulated model's tokens, times list prices.
    #[default]
    Simulated,
    /// Tokens that were counted afterwards with a tokenizer, times list prices.
    Estimated,
    /// Tokens that the provider reported, times list prices.
    Metered,
    /// The provider's own figure.
    Recorded,
}

impl CostSource {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Simulated, Self::Estimated, Self::Metered, Self::Recorded];

    /// The name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Estimated => "estimated",
            Self::Metered => "metered",
            Self::Recorded => "recorded",
        }
    }
}

/// How an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The environment reached a final state.
    Terminated,
    /// The horizon was reached.
    Horizon,
    /// Not even the cheapest model fitted into what was left of the budget.
    BudgetExhausted,
    /// The router gave up on the task: no further call seemed worth its money.
    GaveUp,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 4] = [Self::Terminated, Self::Horizon, Self::BudgetExhausted, Self::GaveUp];

    /// The name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminated => "terminated",
            Self::Horizon => "horizon",
            Self::BudgetExhausted => "budget_exhausted",
            Self::GaveUp => "gave_up",
        }
    }
}

/// A finished episode with its trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Unique within a run.
    pub id: EpisodeId,
    /// The task that was played.
    pub task: Task,
    /// The policy that chose the models.
    pub policy_id: Arc<str>,
    /// Seed of the episode's chance events.
    pub seed: u64,
    /// Weight of the cost that the policy was conditioned on.
    pub lambda: f32,
    /// The hard limit it was played under.
    pub budget: Budget,
    /// Why it ended.
    pub ending: Ending,
    /// Whether the task was solved.
    pub is_success: bool,
    /// The environment's grade, 0 to 1.
    pub score: f32,
    /// The trajectory.
    pub steps: Vec<Step>,
}

impl Episode {
    /// What all its calls cost.
    #[must_use]
    pub fn total_cost(&self) -> NanoUsd {
        self.steps.iter().map(|step| step.turn.cost).sum()
    }

    /// How many steps `model` answered.
    #[must_use]
    pub fn n_calls(&self, model: ModelIndex) -> u32 {
        self.steps.iter().filter(|step| step.turn.action == model).count() as u32
    }

    /// Whether it spent more than its budget allows; `large` is the pool's large model.
    #[must_use]
    pub fn is_violation(&self, large: ModelIndex) -> bool {
        match self.budget {
            Budget::Unlimited => false,
            Budget::LargeCalls(cap) => self.n_calls(large) > cap,
            Budget::Usd(cap) => self.total_cost() > cap,
        }
    }
}
