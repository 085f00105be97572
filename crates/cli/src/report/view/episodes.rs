//! The episodes, step by step: which model acted, why, and what was left.

use anyhow::Result;
use serde::Serialize;
use tollgate_routing::{Budget, NanoUsd};

use super::{Figure, figure, model_role, shade};
use crate::report::model::{EpisodeTrace, OptionTrace, ReportInputs, StepTrace};
use crate::report::plots::spend;
use crate::report::policies::main_label;
use crate::report::wording::{self, counted, number, rate, usd};

/// Longer texts start folded. Bytes.
const FOLD_ABOVE: usize = 600;

/// An episode.
#[derive(Serialize)]
pub(super) struct EpisodeView {
    caption: String,
    task_id: String,
    instruction: String,
    difficulty: Option<&'static str>,
    is_success: bool,
    outcome: String,
    policy: String,
    lambda: String,
    budget: String,
    spent: String,
    calls: String,
    figure: Option<Figure>,
    steps: Vec<StepView>,
}

/// A step.
#[derive(Serialize)]
struct StepView {
    number: usize,
    role: String,
    model: String,
    shade: String,
    is_forced: bool,
    why: String,
    options: Vec<OptionView>,
    cost: String,
    spent: String,
    remaining: Option<String>,
    observation: String,
    is_long: bool,
    completion: String,
}

/// A model as an option of a step.
#[derive(Serialize)]
struct OptionView {
    role: String,
    is_chosen: bool,
    is_allowed: bool,
    probability: Option<String>,
    /// The probability as the style sheet reads it.
    width: String,
    worst_case: String,
}

pub(super) fn episodes(inputs: &ReportInputs) -> Result<Vec<EpisodeView>> {
    inputs.episodes.iter().enumerate().map(|(position, episode)| episode_view(inputs, position, episode)).collect()
}

fn episode_view(inputs: &ReportInputs, position: usize, episode: &EpisodeTrace) -> Result<EpisodeView> {
    let n_models = inputs.models.len();
    let large = n_models.saturating_sub(1);
    let title = format!("Spending of the episode on {} after each step, against its budget.", episode.task_id);
    let plot = spend::plot(episode, large)?;
    let total: NanoUsd = episode.steps.iter().map(|step| step.cost).sum();
    let n_large = episode.steps.iter().filter(|step| step.action == large).count();
    let result = if episode.is_success { "solved" } else { "not solved" };
    let ending = wording::ending(episode.ending);
    Ok(EpisodeView {
        caption: episode.caption.clone(),
        task_id: episode.task_id.clone(),
        instruction: episode.instruction.clone(),
        difficulty: episode.difficulty.map(tollgate_routing::Difficulty::as_str),
        is_success: episode.is_success,
        outcome: format!(
            "{result} (score {}), {ending} after {}",
            rate(episode.score),
            counted(episode.steps.len(), "step")
        ),
        policy: main_label(&episode.policy_id),
        lambda: wording::lambda(episode.lambda),
        budget: match episode.budget {
            Budget::Unlimited => wording::budget(Budget::Unlimited, None),
            cap => format!("cap: {}", wording::budget(cap, None)),
        },
        spent: usd(total.as_usd()),
        calls: counted(n_large, "large call"),
        figure: plot.map(|plot| figure(&plot, &format!("spend-{position}"), &title)),
        steps: steps(inputs, episode),
    })
}

fn steps(inputs: &ReportInputs, episode: &EpisodeTrace) -> Vec<StepView> {
    let n_models = inputs.models.len();
    let mut account =
        Account { budget: episode.budget, spent: NanoUsd::ZERO, large_calls: 0, large: n_models.saturating_sub(1) };
    let mut views = Vec::with_capacity(episode.steps.len());
    for (position, step) in episode.steps.iter().enumerate() {
        let why = why(step, &account, n_models);
        account.settle(step);
        views.push(StepView {
            number: position + 1,
            role: model_role(step.action, n_models),
            model: model_id(inputs, step.action),
            shade: shade(step.action, n_models),
            is_forced: is_forced(step),
            why,
            options: options(step, n_models),
            cost: usd(step.cost.as_usd()),
            spent: usd(account.spent.as_usd()),
            remaining: account.remaining(),
            observation: step.observation.clone(),
            is_long: step.observation.len() > FOLD_ABOVE,
            completion: step.completion.clone(),
        });
    }
    views
}

/// The name of a model, empty where its role says as much.
fn model_id(inputs: &ReportInputs, position: usize) -> String {
    let id = inputs.models.get(position).map_or("", |model| model.id.as_str());
    if id == model_role(position, inputs.models.len()) { String::new() } else { id.to_owned() }
}

/// What an episode has spent so far.
struct Account {
    budget: Budget,
    spent: NanoUsd,
    large_calls: u32,
    large: usize,
}

impl Account {
    fn settle(&mut self, step: &StepTrace) {
        self.spent += step.cost;
        self.large_calls += u32::from(step.action == self.large);
    }

    fn remaining(&self) -> Option<String> {
        match self.budget {
            Budget::Unlimited => None,
            Budget::LargeCalls(cap) => {
                Some(format!("{} left", counted(cap.saturating_sub(self.large_calls) as usize, "large call")))
            }
            Budget::Usd(cap) => Some(format!("{} left", usd(cap.saturating_sub(self.spent).as_usd()))),
        }
    }
}

fn is_forced(step: &StepTrace) -> bool {
    step.options.iter().filter(|option| option.is_allowed).count() == 1
}

/// Why the model was called: what follows the word "chosen" or "forced".
fn why(step: &StepTrace, account: &Account, n_models: usize) -> String {
    let left = account.remaining();
    if is_forced(step) {
        let reason = match account.budget {
            Budget::Unlimited => "it is the only model that can be called".to_owned(),
            Budget::LargeCalls(_) if account.large_calls > 0 => "every large call of the cap is used".to_owned(),
            Budget::LargeCalls(_) => "the cap allows no large call".to_owned(),
            Budget::Usd(_) => {
                let next = step.options.iter().enumerate().find(|(_, option)| !option.is_allowed);
                let left = left.unwrap_or_default();
                next.map_or_else(String::new, |(position, option)| {
                    let role = model_role(position, n_models);
                    format!("a {role} call could cost {}, {left}", usd(option.worst_case.as_usd()))
                })
            }
        };
        return reason;
    }
    let ruled_out: Vec<String> = step
        .options
        .iter()
        .enumerate()
        .filter(|(_, option)| !option.is_allowed)
        .map(|(position, _)| model_role(position, n_models))
        .collect();
    let mut why = match step.options.get(step.action).and_then(|option| option.probability) {
        Some(probability) if is_likeliest(step, probability) => format!("as the likeliest, {}", number(probability, 2)),
        Some(probability) => format!("by chance, its probability {}", number(probability, 2)),
        None => "by the policy".to_owned(),
    };
    if let Some(left) = left {
        why.extend([", ", left.as_str()]);
    }
    if !ruled_out.is_empty() {
        why.extend(["; the budget ruled out ", ruled_out.join(" and ").as_str()]);
    }
    why
}

fn is_likeliest(step: &StepTrace, probability: f64) -> bool {
    step.options.iter().filter_map(|option| option.probability).all(|other| other <= probability)
}

fn options(step: &StepTrace, n_models: usize) -> Vec<OptionView> {
    let view = |(position, option): (usize, &OptionTrace)| OptionView {
        role: model_role(position, n_models),
        is_chosen: position == step.action,
        is_allowed: option.is_allowed,
        probability: option.probability.map(|probability| number(probability, 2)),
        width: format!("{:.0}%", 100.0 * option.probability.unwrap_or(0.0).clamp(0.0, 1.0)),
        worst_case: usd(option.worst_case.as_usd()),
    };
    step.options.iter().enumerate().map(view).collect()
}
