//! What an episode came to: its grade, and what its steps cost.

use tollgate_routing::{CostSource, Ending, NanoUsd};

use crate::decimal::ExactUsd;
use crate::open_episode::{OpenEpisode, OpenStep};
use crate::plan::{KnownModel, OutcomeRule};
use crate::skips::{Reason, Refusal};

/// The score from which on an episode counts as solved where neither log nor map says anything.
const SOLVED: f64 = 1.0;

/// What an episode came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) is_success: bool,
    pub(crate) score: f32,
    /// Whether success was read off the score for want of a word of the log.
    pub(crate) is_inferred: bool,
}

/// Grades an episode.
///
/// # Errors
/// [`Reason::NoOutcome`], or a score outside of its range.
pub(crate) fn outcome(episode: &OpenEpisode, rule: &OutcomeRule) -> Result<Outcome, Refusal> {
    let given = [&episode.id, &episode.task_id].into_iter().find_map(|name| rule.given.get(episode.text(name)));
    let success = episode.success.or(given.and_then(|given| given.success));
    let raw = episode.score.or(given.and_then(|given| given.score));
    let (low, high) = rule.score_range.unwrap_or((0.0, 1.0));
    let score = raw.map(|raw| (raw - low) / (high - low));
    if let Some(score) = score.filter(|score| !(0.0..=1.0).contains(score)) {
        let detail = format!(
            "episode `{}` has score {}, expected {low} to {high} (the map's `outcome.score_range`)",
            episode.text(&episode.id),
            raw.unwrap_or(score),
        );
        return Err(Refusal::new(Reason::BadValue, detail));
    }
    let (is_success, is_inferred) = match (rule.success_threshold, raw, success) {
        (Some(threshold), Some(raw), _) => (raw >= threshold, false),
        (_, _, Some(success)) => (success, false),
        (_, Some(_), None) => (score.is_some_and(|score| score >= SOLVED), true),
        (_, None, None) => {
            let detail = format!("episode `{}` has neither `success` nor a score", episode.text(&episode.id));
            return Err(Refusal::new(Reason::NoOutcome, detail));
        }
    };
    let score = score.unwrap_or(if is_success { 1.0 } else { 0.0 });
    Ok(Outcome { is_success, score: score as f32, is_inferred })
}

/// How it ended: at its horizon, where the log says so, or where it is not solved after as many steps as it could have.
pub(crate) fn ending(episode: &OpenEpisode, horizon: Option<u32>, is_success: bool) -> Ending {
    let is_at_horizon = || horizon.is_some_and(|horizon| episode.steps.len() >= horizon as usize);
    let is_truncated = episode.is_truncated.unwrap_or_else(|| !is_success && is_at_horizon());
    if is_truncated { Ending::Horizon } else { Ending::Terminated }
}

/// What the steps of an episode cost together.
///
/// # Errors
/// [`Reason::BadCost`]: more than the tables can hold.
pub(crate) fn total_cost(episode: &OpenEpisode, costs: &[StepCost]) -> Result<NanoUsd, Refusal> {
    let total = costs.iter().try_fold(0_u64, |total, cost| total.checked_add(cost.nano_usd.get()));
    total.filter(|&total| i64::try_from(total).is_ok()).map(NanoUsd::new).ok_or_else(|| {
        let detail = format!(
            "episode `{}` costs more than $9.2 billion, the most that a table holds",
            episode.text(&episode.id)
        );
        Refusal::new(Reason::BadCost, detail)
    })
}

/// What a step cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StepCost {
    pub(crate) nano_usd: NanoUsd,
    /// The log's own figure, unrounded.
    pub(crate) logged: Option<ExactUsd>,
    pub(crate) source: CostSource,
    /// How far the log is from tokens times price, where that is what it says it is. Nano-dollars.
    pub(crate) off_price: Option<u64>,
}

/// Takes the log's figure, or else reckons with the model's price.
///
/// # Errors
/// [`Reason::NoPrice`]: there is neither, or the log says that tokens cost nothing.
pub(crate) fn step_cost(step: &OpenStep, model: &KnownModel) -> Result<StepCost, Refusal> {
    let at_price = model.prices.map(|prices| prices.cost(&step.usage));
    let has_tokens = step.usage.prompt_tokens() > 0 || step.usage.output_tokens > 0;
    let logged = step.cost.filter(|cost| *cost > ExactUsd::default() || !has_tokens);
    match (logged, at_price) {
        (Some(logged), at_price) => {
            let nano_usd = logged.nano_usd();
            let source = step.source.unwrap_or(CostSource::Recorded);
            let is_reckoned = source != CostSource::Recorded;
            let off_price = at_price.filter(|_| is_reckoned).map(|price| price.get().abs_diff(nano_usd.get()));
            // Logs round to the nearest nano-dollar, prices up.
            Ok(StepCost { nano_usd, logged: Some(logged), source, off_price: off_price.filter(|&off| off > 1) })
        }
        (None, Some(nano_usd)) => {
            let is_counted_afterwards = step.source == Some(CostSource::Estimated);
            let source = if is_counted_afterwards { CostSource::Estimated } else { CostSource::Metered };
            Ok(StepCost { nano_usd, logged: None, source, off_price: None })
        }
        (None, None) => {
            let found = if step.cost.is_some() { "costs $0 in the log" } else { "has no cost in the log" };
            let detail = format!("a step of model `{}` {found}, and the model has no price", model.name);
            Err(Refusal::new(Reason::NoPrice, detail))
        }
    }
}
