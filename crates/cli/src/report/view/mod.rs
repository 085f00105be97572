//! The page as its template sees it: words and finished plots, no arithmetic left to do.

mod comparison;
mod episodes;
mod evidence;

use anyhow::Result;
use minijinja::Value;
use serde::Serialize;
use tollgate_routing::{Budget, Objective};

use super::model::{Interval, OperatingPoint, ReportInputs};
use super::plots::{Plot, key};
use super::policies::{Look, main_label};
use super::theme::Paint;
use super::wording::{self, counted, ends, number, percent, rate, usd};

pub(super) use comparison::{CAPS_TITLE, FRONTIER_TITLE};

/// The whole page.
#[derive(Serialize)]
pub(super) struct Page {
    title: String,
    words: Words,
    headline: Headline,
    frontier: comparison::FrontierView,
    unseen: Option<comparison::UnseenView>,
    caps: comparison::CapsView,
    area: comparison::AreaView,
    taxonomy: Option<evidence::TaxonomyView>,
    training: Vec<evidence::VariantView>,
    models: Vec<ModelView>,
    episodes: Vec<episodes::EpisodeView>,
    setup: Setup,
}

/// What an episode is worth, in words.
#[derive(Serialize)]
struct Words {
    value: &'static str,
    other: &'static str,
    axis: &'static str,
    noun: &'static str,
}

impl Words {
    const fn of(objective: Objective) -> Self {
        let (value, other) = match objective {
            Objective::Success => ("solved", "mean score"),
            Objective::Score => ("mean score", "solved"),
        };
        Self { value, other, axis: wording::value_axis(objective), noun: wording::value_noun(objective) }
    }
}

/// The first screen.
#[derive(Serialize)]
struct Headline {
    eyebrow: String,
    title: String,
    lede: String,
    facts: Vec<Fact>,
}

/// A figure with its name.
#[derive(Serialize)]
struct Fact {
    name: String,
    value: String,
    note: String,
}

/// An entry of a legend.
#[derive(Serialize)]
struct LegendEntry {
    key: Value,
    label: String,
    /// The number of the series' colour; `None` for marks that are never hidden.
    series: Option<usize>,
}

/// A plot in both sizes with what stands around it.
#[derive(Serialize)]
struct Figure {
    title: String,
    svg: Value,
}

/// A number with its interval, both in words.
#[derive(Serialize)]
struct Estimate {
    value: String,
    ends: String,
}

/// A model of the pool.
#[derive(Serialize)]
struct ModelView {
    id: String,
    role: String,
    shade: String,
    input: String,
    cached: String,
    output: String,
}

/// What the run was made from.
#[derive(Serialize)]
struct Setup {
    configuration: String,
    seeds: Vec<(String, String)>,
    provenance: Vec<(String, String)>,
    artifacts: Vec<(String, String, String)>,
    confidence: String,
}

/// Puts everything into words and plots.
///
/// # Errors
/// When a plot cannot be drawn.
pub(super) fn page(inputs: &ReportInputs) -> Result<Page> {
    Ok(Page {
        title: format!("Tollgate report: {}", inputs.suite),
        words: Words::of(inputs.objective),
        headline: headline(inputs),
        frontier: comparison::frontier(inputs)?,
        unseen: comparison::unseen(inputs)?,
        caps: comparison::caps(inputs)?,
        area: comparison::area(inputs)?,
        taxonomy: evidence::taxonomy(inputs)?,
        training: evidence::training(inputs)?,
        models: models(inputs),
        episodes: episodes::episodes(inputs)?,
        setup: setup(inputs),
    })
}

fn headline(inputs: &ReportInputs) -> Headline {
    let scope = &inputs.scope;
    let mut eyebrow =
        vec![inputs.suite.clone(), counted(inputs.models.len(), "model"), counted(scope.n_tasks, "test task")];
    if scope.n_training_seeds > 0 {
        eyebrow.push(counted(scope.n_training_seeds, "training seed"));
    }
    let (title, lede, mut facts) = match &inputs.operating_point {
        Some(point) => operating_point(inputs, point),
        None => (
            format!("What {} buy on {}", counted(n_families(inputs), "policy").replace("policys", "policies"), inputs.suite),
            "No trained policy is part of this run, so there is no operating point: the page compares the policies that were played."
                .to_owned(),
            Vec::new(),
        ),
    };
    facts.push(violations(inputs));
    Headline { eyebrow: eyebrow.join(" · "), title, lede, facts }
}

fn operating_point(inputs: &ReportInputs, point: &OperatingPoint) -> (String, String, Vec<Fact>) {
    let noun = wording::value_noun(inputs.objective);
    let title = format!(
        "{} of always‑large’s {noun} for {} of its cost",
        percent(point.success_of_large.value, 1),
        percent(point.cost_of_large.value, 0)
    );
    let chosen = match (point.is_met, point.budget) {
        (false, _) => format!(" (the best on the validation tasks, where none kept enough of always-large’s {noun})"),
        (true, Budget::Unlimited) => " (chosen on the validation tasks)".to_owned(),
        (true, budget) => {
            format!(" under a cap of {} (chosen on the validation tasks)", wording::budget(budget, None))
        }
    };
    let lede = format!(
        "On {} that training never saw, the router {} at λ = {}{chosen} chooses a model before every step. {} for {} each.",
        counted(inputs.scope.n_tasks, "task"),
        main_label(&point.policy_id),
        wording::lambda(point.lambda),
        match inputs.objective {
            Objective::Success => format!("It solves {} of the tasks", percent(point.value.value, 1)),
            Objective::Score => format!("It reaches a mean score of {}", rate(point.value.value)),
        },
        usd(point.mean_cost_usd.value),
    );
    let of_large = |share: &Interval, decimals| {
        let word = |share| number(share * 100.0, decimals);
        format!("{}\u{a0}% {} of always\u{2011}large’s", word(share.value), ends(share, word))
    };
    let mut facts = vec![
        fact(wording::value_name(inputs.objective), rate(point.value.value), of_large(&point.success_of_large, 1)),
        fact("mean cost of a task", usd(point.mean_cost_usd.value), of_large(&point.cost_of_large, 0)),
        fact("large calls per task", number(point.mean_large_calls, 1), "mean over the test tasks".to_owned()),
    ];
    if let Some(gap) = point.gap_recovered {
        let note = "of the way from always\u{2011}small to always\u{2011}large";
        facts.push(fact("gap recovered", percent(gap, 0), note.to_owned()));
    }
    (title, lede, facts)
}

fn violations(inputs: &ReportInputs) -> Fact {
    let capped = || inputs.policies.iter().filter(|policy| policy.budget != Budget::Unlimited);
    let n_episodes: usize = capped().map(|policy| policy.n_episodes).sum();
    let n_violations: usize = capped().map(|policy| policy.violations).sum();
    fact(
        "cap violations",
        wording::count(n_violations),
        format!("in {} under a cap", counted(n_episodes, "test episode")),
    )
}

fn n_families(inputs: &ReportInputs) -> usize {
    let mut families: Vec<_> = inputs.policies.iter().map(|policy| &policy.family).collect();
    families.sort();
    families.dedup();
    families.len()
}

fn models(inputs: &ReportInputs) -> Vec<ModelView> {
    let n_models = inputs.models.len();
    let views = inputs.models.iter().enumerate().map(|(position, model)| ModelView {
        id: model.id.clone(),
        role: model_role(position, n_models),
        shade: shade(position, n_models),
        input: usd(model.input_usd_per_million),
        cached: usd(model.cached_usd_per_million),
        output: usd(model.output_usd_per_million),
    });
    views.collect()
}

/// `small`, `large`, and what lies between.
fn model_role(position: usize, n_models: usize) -> String {
    match position {
        0 => "small".to_owned(),
        _ if position + 1 == n_models => "large".to_owned(),
        _ if n_models == 3 => "medium".to_owned(),
        _ => format!("medium {position}"),
    }
}

/// How far a model is from small to large: 0 % to 100 %, as the style sheet mixes colours.
fn shade(position: usize, n_models: usize) -> String {
    format!("{:.0}%", 100.0 * position as f64 / n_models.saturating_sub(1).max(1) as f64)
}

fn setup(inputs: &ReportInputs) -> Setup {
    let n_episodes = ("evaluated episodes".to_owned(), wording::count(inputs.scope.n_episodes));
    Setup {
        configuration: inputs.configuration.clone(),
        seeds: inputs.seeds.clone(),
        provenance: inputs.provenance.iter().cloned().chain([n_episodes]).collect(),
        artifacts: inputs
            .artifacts
            .iter()
            .map(|artifact| (artifact.kind.clone(), artifact.path.clone(), artifact.digest.clone()))
            .collect(),
        confidence: percent(inputs.scope.confidence, 0),
    }
}

fn fact(name: &str, value: String, note: String) -> Fact {
    Fact { name: name.to_owned(), value, note }
}

fn estimate(interval: &Interval, word: impl Fn(f64) -> String) -> Estimate {
    Estimate { value: word(interval.value), ends: ends(interval, &word) }
}

fn figure(plot: &Plot, id: &str, title: &str) -> Figure {
    Figure { title: title.to_owned(), svg: Value::from_safe_string(plot.inline(id, title)) }
}

fn legend(looks: &[Look]) -> Result<Vec<LegendEntry>> {
    let entries = looks.iter().map(|look| {
        let series = match look.paint {
            Paint::Series(number) => Some(number),
            Paint::Ink | Paint::Muted | Paint::Grid | Paint::Surface => None,
        };
        Ok(LegendEntry { key: Value::from_safe_string(key(look)?), label: look.label.clone(), series })
    });
    entries.collect()
}
