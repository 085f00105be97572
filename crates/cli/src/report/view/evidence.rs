//! The sections behind the comparison: classes of tasks, training.

use anyhow::Result;
use minijinja::Value;
use serde::Serialize;

use super::{Figure, figure};
use crate::report::canvas::{Size, draw};
use crate::report::model::{ReportInputs, TrainingCurve};
use crate::report::plots::taxonomy::class_paint;
use crate::report::plots::training::{Metric, seed_stroke};
use crate::report::plots::{taxonomy as taxonomy_plot, training as training_plot};
use crate::report::policies::{look, policy_label};
use crate::report::theme::Paint;
use crate::report::wording::{self, count, number, percent, rate, usd};

/// The section of the classes.
#[derive(Serialize)]
pub(super) struct TaxonomyView {
    classes: Vec<ClassView>,
    n_tasks: String,
    figure: Option<Figure>,
    spending_scope: String,
    spending: Vec<SpendingRow>,
}

/// A class of tasks.
#[derive(Serialize)]
struct ClassView {
    name: &'static str,
    meaning: &'static str,
    series: usize,
    n_tasks: String,
    /// Share of the tasks as the style sheet reads it.
    width: String,
    share: String,
    contested: String,
    contested_share: String,
    small_success: String,
    large_success: String,
    small_cost: String,
    large_cost: String,
}

/// A policy's spending on one class.
#[derive(Serialize)]
struct SpendingRow {
    policy: String,
    class: &'static str,
    n_tasks: String,
    success: String,
    cost: String,
    share: String,
}

/// The curves of one trained variant.
#[derive(Serialize)]
pub(super) struct VariantView {
    label: String,
    is_main: bool,
    seeds: Vec<SeedKey>,
    figures: Vec<Figure>,
    rows: Vec<LastIteration>,
}

/// A seed and how its line looks.
#[derive(Serialize)]
struct SeedKey {
    key: Value,
    seed: String,
}

/// Where training ended.
#[derive(Serialize)]
struct LastIteration {
    seed: String,
    steps: String,
    values: Vec<String>,
}

pub(super) fn taxonomy(inputs: &ReportInputs) -> Result<Option<TaxonomyView>> {
    let Some(taxonomy) = &inputs.taxonomy else { return Ok(None) };
    let n_tasks: usize = taxonomy.classes.iter().map(|class| class.n_tasks).sum();
    let share_of = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let classes = taxonomy.classes.iter().map(|class| ClassView {
        name: class.difficulty.as_str(),
        meaning: wording::meaning(class.difficulty),
        series: match class_paint(class.difficulty) {
            Paint::Series(number) => number,
            Paint::Ink | Paint::Muted | Paint::Grid | Paint::Surface => 0,
        },
        n_tasks: count(class.n_tasks),
        width: format!("{:.2}%", 100.0 * share_of(class.n_tasks, n_tasks)),
        share: percent(share_of(class.n_tasks, n_tasks), 0),
        contested: count(class.n_contested),
        contested_share: percent(share_of(class.n_contested, class.n_tasks), 0),
        small_success: rate(class.small_success),
        large_success: rate(class.large_success),
        small_cost: usd(class.small_mean_cost_usd),
        large_cost: usd(class.large_mean_cost_usd),
    });
    let title = "Mean cost of a task for each policy, divided by the class of the task that it was spent on.";
    Ok(Some(TaxonomyView {
        classes: classes.collect(),
        n_tasks: count(n_tasks),
        figure: taxonomy_plot::plot(inputs)?.map(|plot| figure(&plot, "spending", title)),
        spending_scope: taxonomy.spending_scope.clone(),
        spending: spending(inputs),
    }))
}

fn spending(inputs: &ReportInputs) -> Vec<SpendingRow> {
    let policies = inputs.taxonomy.iter().flat_map(|taxonomy| &taxonomy.spending);
    let rows = policies.flat_map(|policy| {
        let total: f64 = policy.by_class.iter().map(|class| class.cost_usd_per_task).sum();
        policy.by_class.iter().map(move |class| SpendingRow {
            policy: policy_label(&policy.policy_id, &policy.policy_id, &inputs.main_family),
            class: class.difficulty.as_str(),
            n_tasks: count(class.n_tasks),
            success: rate(class.success),
            cost: usd(class.cost_usd_per_task),
            share: percent(if total > 0.0 { class.cost_usd_per_task / total } else { 0.0 }, 0),
        })
    });
    rows.collect()
}

pub(super) fn training(inputs: &ReportInputs) -> Result<Vec<VariantView>> {
    let mut variants: Vec<&str> = Vec::new();
    for curve in &inputs.training {
        if !variants.contains(&curve.variant.as_str()) {
            variants.push(&curve.variant);
        }
    }
    variants.sort_by_key(|variant| *variant != inputs.main_family);
    variants.into_iter().map(|variant| variant_view(inputs, variant)).collect()
}

fn variant_view(inputs: &ReportInputs, variant: &str) -> Result<VariantView> {
    let curves: Vec<&TrainingCurve> = inputs.training.iter().filter(|curve| curve.variant == variant).collect();
    let mut figures = Vec::new();
    for metric in Metric::ALL {
        if let Some(plot) = training_plot::plot(&curves, metric)? {
            let id = format!("training-{variant}-{metric:?}").to_lowercase();
            figures.push(figure(
                &plot,
                &id,
                &format!("{variant}: {} over training, one line per seed.", metric.title()),
            ));
        }
    }
    let seeds = curves.iter().enumerate().map(|(position, curve)| {
        let drawing = draw(Size::new(28, 12), |canvas| canvas.path(&[(0.0, 6.0), (28.0, 6.0)], seed_stroke(position)))?;
        Ok(SeedKey { key: Value::from_safe_string(drawing.key()), seed: curve.seed.to_string() })
    });
    let rows = curves.iter().filter_map(|curve| {
        let last = curve.points.last()?;
        Some(LastIteration {
            seed: curve.seed.to_string(),
            steps: count(last.n_env_steps as usize),
            values: Metric::ALL.iter().map(|metric| number(metric.of(last), 3)).collect(),
        })
    });
    Ok(VariantView {
        label: look(variant, &inputs.main_family).label,
        is_main: variant == inputs.main_family,
        seeds: seeds.collect::<Result<_>>()?,
        figures,
        rows: rows.collect(),
    })
}
