//! What the page shows, as numbers and text. No file format, no markup.

use tollgate_routing::{Budget, Difficulty, Ending, NanoUsd, Objective};

/// Everything that the page of a run shows.
#[derive(Debug, Clone)]
pub(crate) struct ReportInputs {
    /// The suite that was played, for example `household`.
    pub(crate) suite: String,
    /// What an episode is worth: whether it is solved, or its grade.
    pub(crate) objective: Objective,
    /// The pool, small first.
    pub(crate) models: Vec<ModelEntry>,
    /// What the evaluation covered.
    pub(crate) scope: EvaluationScope,
    /// The trained policy's family, for example `bopo`: the one that the page is about.
    pub(crate) main_family: String,
    /// The point chosen on the validation split, measured on the test split. `None` without a trained policy.
    pub(crate) operating_point: Option<OperatingPoint>,
    /// One entry per policy and budget, on the test split.
    pub(crate) policies: Vec<PolicySummary>,
    /// One entry per family, the exact references of a suite that has them included.
    pub(crate) frontiers: Vec<Frontier>,
    /// What carries over to tasks of kinds that training never saw. `None` when the task set has none.
    pub(crate) unseen: Option<UnseenKinds>,
    /// The classes of the tasks. `None` when nothing was probed.
    pub(crate) taxonomy: Option<TaxonomySummary>,
    /// One curve per trained variant and seed. Empty without a training log.
    pub(crate) training: Vec<TrainingCurve>,
    /// A few episodes, step by step.
    pub(crate) episodes: Vec<EpisodeTrace>,
    /// The exact configuration of the run, as TOML.
    pub(crate) configuration: String,
    /// What the seeds of the run are, by name.
    pub(crate) seeds: Vec<(String, String)>,
    /// Where the figures come from: contract version, program version.
    pub(crate) provenance: Vec<(String, String)>,
    /// The files that the page was made from.
    pub(crate) artifacts: Vec<ArtifactEntry>,
}

/// Figures on tasks of kinds that training never saw.
#[derive(Debug, Clone)]
pub(crate) struct UnseenKinds {
    /// How many tasks.
    pub(crate) n_tasks: usize,
    /// The operating point of the page, measured on them.
    pub(crate) operating_point: Option<OperatingPoint>,
    /// One entry per policy without a cap.
    pub(crate) policies: Vec<PolicySummary>,
}

/// A model of the pool. Prices in dollars per million tokens.
#[derive(Debug, Clone)]
pub(crate) struct ModelEntry {
    /// The name that its endpoint knows it by.
    pub(crate) id: String,
    /// Price of a prompt token.
    pub(crate) input_usd_per_million: f64,
    /// Price of a prompt token read from the cache.
    pub(crate) cached_usd_per_million: f64,
    /// Price of a generated token.
    pub(crate) output_usd_per_million: f64,
}

/// How much was evaluated.
#[derive(Debug, Clone)]
pub(crate) struct EvaluationScope {
    /// Tasks of the test split.
    pub(crate) n_tasks: usize,
    /// Episodes over all policies and budgets, test and validation.
    pub(crate) n_episodes: usize,
    /// Trained policies of the main variant.
    pub(crate) n_training_seeds: usize,
    /// Level of the intervals, for example 0.95.
    pub(crate) confidence: f64,
}

/// An estimate and its bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    /// The estimate.
    pub(crate) value: f64,
    /// Lower end.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

impl Interval {
    /// An estimate with its ends.
    pub(crate) const fn new(value: f64, low: f64, high: f64) -> Self {
        Self { value, low, high }
    }

    /// Whether 0 lies outside.
    pub(crate) fn is_clear_of_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The policy and weight that a user would run.
#[derive(Debug, Clone)]
pub(crate) struct OperatingPoint {
    /// The policy, for example `bopo`.
    pub(crate) policy_id: String,
    /// Weight of the cost.
    pub(crate) lambda: f64,
    /// The hard limit.
    pub(crate) budget: Budget,
    /// Whether it keeps, on the validation tasks, what was asked of it. Otherwise it is only the best there was.
    pub(crate) is_met: bool,
    /// What an episode is worth on average, 0 to 1.
    pub(crate) value: Interval,
    /// Mean cost of a task, dollars.
    pub(crate) mean_cost_usd: Interval,
    /// Mean calls of the large model in a task.
    pub(crate) mean_large_calls: f64,
    /// Worth divided by always-large's.
    pub(crate) success_of_large: Interval,
    /// Cost divided by always-large's.
    pub(crate) cost_of_large: Interval,
    /// Share of the gap between always-small's success and always-large's that is closed.
    pub(crate) gap_recovered: Option<f64>,
}

/// One policy under one budget.
#[derive(Debug, Clone)]
pub(crate) struct PolicySummary {
    /// The policy, for example `random-0.3`.
    pub(crate) policy_id: String,
    /// The id up to its parameter, for example `random-mixing`.
    pub(crate) family: String,
    /// Weight of the cost, where the policy has one.
    pub(crate) lambda: Option<f64>,
    /// The hard limit.
    pub(crate) budget: Budget,
    /// The share of always-large's mean cost that a cap in dollars was set to, 0 to 1.
    pub(crate) budget_of_large: Option<f64>,
    /// What an episode is worth on average, 0 to 1: one of the next two.
    pub(crate) value: Interval,
    /// Share of tasks solved, 0 to 1.
    pub(crate) success_rate: f64,
    /// Mean grade, 0 to 1.
    pub(crate) mean_score: f64,
    /// Mean cost of a task, dollars.
    pub(crate) mean_cost_usd: Interval,
    /// Cost of all its episodes, dollars.
    pub(crate) total_cost_usd: f64,
    /// Mean calls of the large model in a task.
    pub(crate) mean_large_calls: Interval,
    /// Mean steps of a task.
    pub(crate) mean_steps: f64,
    /// Mean share of the cap that was used, 0 to 1. `None` without a cap.
    pub(crate) cap_share: Option<f64>,
    /// Episodes behind the figures.
    pub(crate) n_episodes: usize,
    /// Trained policies behind the figures; 1 for a policy that is not trained.
    pub(crate) n_seeds: usize,
    /// Episodes that spent more than their cap.
    pub(crate) violations: usize,
}

/// What a family of policies can reach.
#[derive(Debug, Clone)]
pub(crate) struct Frontier {
    /// The family.
    pub(crate) family: String,
    /// Corners of the non-decreasing concave hull: mean cost in dollars, success. Ordered by cost.
    pub(crate) hull: Vec<(f64, f64)>,
    /// Area under the hull, 1 for always-large's success over the whole axis.
    pub(crate) area: Interval,
    /// Paired difference: the main family's area minus this one's. `None` for the main family itself.
    pub(crate) main_minus_this: Option<Interval>,
}

/// The classes of the tasks and what they cost.
#[derive(Debug, Clone)]
pub(crate) struct TaxonomySummary {
    /// Easy, hard, intractable: on the training tasks, from the boundary probes.
    pub(crate) classes: Vec<ClassSummary>,
    /// Where the money of a policy goes, by class.
    pub(crate) spending: Vec<PolicySpending>,
    /// Which tasks `spending` is about and how they got their class, as a sentence.
    pub(crate) spending_scope: String,
}

/// The probed tasks of one class.
#[derive(Debug, Clone)]
pub(crate) struct ClassSummary {
    /// The class.
    pub(crate) difficulty: Difficulty,
    /// Tasks in it.
    pub(crate) n_tasks: usize,
    /// Tasks whose interval straddles a threshold.
    pub(crate) n_contested: usize,
    /// Share of solved probes of always-small, 0 to 1.
    pub(crate) small_success: f64,
    /// Share of solved probes of always-large, 0 to 1.
    pub(crate) large_success: f64,
    /// Mean cost of a probe of always-small, dollars.
    pub(crate) small_mean_cost_usd: f64,
    /// Mean cost of a probe of always-large, dollars.
    pub(crate) large_mean_cost_usd: f64,
}

/// What one policy spends on each class.
#[derive(Debug, Clone)]
pub(crate) struct PolicySpending {
    /// The policy.
    pub(crate) policy_id: String,
    /// One entry per class.
    pub(crate) by_class: Vec<ClassSpending>,
}

/// What a policy spends on the tasks of one class.
#[derive(Debug, Clone)]
pub(crate) struct ClassSpending {
    /// The class.
    pub(crate) difficulty: Difficulty,
    /// Tasks in it.
    pub(crate) n_tasks: usize,
    /// Share of them solved, 0 to 1.
    pub(crate) success: f64,
    /// What its tasks cost, divided by the tasks of *all* classes: the entries of a policy add up to its mean cost.
    pub(crate) cost_usd_per_task: f64,
}

/// The training log of one variant and seed.
#[derive(Debug, Clone)]
pub(crate) struct TrainingCurve {
    /// The variant, for example `bopo` or `grpo`.
    pub(crate) variant: String,
    /// Which of the trained policies.
    pub(crate) seed: u64,
    /// One entry per iteration.
    pub(crate) points: Vec<TrainingPoint>,
}

/// One iteration of training. A metric is NaN where the log has none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrainingPoint {
    /// Environment steps so far.
    pub(crate) n_env_steps: f64,
    /// Mean return.
    pub(crate) mean_return: f64,
    /// Share of episodes solved, 0 to 1.
    pub(crate) success_rate: f64,
    /// Share of steps that the large model answered, 0 to 1.
    pub(crate) large_share: f64,
    /// Divergence from the reference policy, nats.
    pub(crate) kl: f64,
    /// Entropy of the policy, nats.
    pub(crate) entropy: f64,
}

/// An episode with the reasons for its decisions.
#[derive(Debug, Clone)]
pub(crate) struct EpisodeTrace {
    /// Why it is shown, as a short phrase.
    pub(crate) caption: String,
    /// The task.
    pub(crate) task_id: String,
    /// The request in words.
    pub(crate) instruction: String,
    /// The class of the task, where it is known.
    pub(crate) difficulty: Option<Difficulty>,
    /// The policy.
    pub(crate) policy_id: String,
    /// Weight of the cost.
    pub(crate) lambda: f64,
    /// The hard limit.
    pub(crate) budget: Budget,
    /// How it ended.
    pub(crate) ending: Ending,
    /// Whether the task was solved.
    pub(crate) is_success: bool,
    /// The grade, 0 to 1.
    pub(crate) score: f64,
    /// What happened.
    pub(crate) steps: Vec<StepTrace>,
}

/// One step and its decision.
#[derive(Debug, Clone)]
pub(crate) struct StepTrace {
    /// Position of the model that answered.
    pub(crate) action: usize,
    /// What the router knew of each model before the step, small first.
    pub(crate) options: Vec<OptionTrace>,
    /// What the call cost.
    pub(crate) cost: NanoUsd,
    /// What the agent saw. Untrusted text.
    pub(crate) observation: String,
    /// What the model answered. Untrusted text.
    pub(crate) completion: String,
}

/// One model as an option of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OptionTrace {
    /// Whether the budget allowed it.
    pub(crate) is_allowed: bool,
    /// The policy's probability for it, 0 to 1, where it is known.
    pub(crate) probability: Option<f64>,
    /// The most that the call could have cost: what the budget reserves.
    pub(crate) worst_case: NanoUsd,
}

/// A file that the page was made from.
#[derive(Debug, Clone)]
pub(crate) struct ArtifactEntry {
    /// The artifact kind, for example `evaluations`.
    pub(crate) kind: String,
    /// Its path relative to the run directory.
    pub(crate) path: String,
    /// Its digest.
    pub(crate) digest: String,
}
