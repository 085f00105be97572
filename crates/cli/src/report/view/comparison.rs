//! The sections that compare policies: frontier, hard caps, area.

use anyhow::Result;
use minijinja::Value;
use serde::Serialize;
use tollgate_routing::{Budget, Objective};

use super::{Estimate, Figure, LegendEntry, estimate, figure, legend};
use crate::report::model::{PolicySummary, ReportInputs};
use crate::report::plots::caps::{CapGroup, CapKind};
use crate::report::plots::{area as area_plot, caps as caps_plot, frontier as frontier_plot, key};
use crate::report::policies::{Role, look, main_label, policy_label};
use crate::report::wording::{self, count, counted, number, percent, rate, usd};

/// What the frontier plot shows.
pub(in crate::report) const FRONTIER_TITLE: &str =
    "Success against mean cost of a task for every policy. Whiskers are bootstrap intervals over tasks.";
/// What the plot of the caps shows.
pub(in crate::report) const CAPS_TITLE: &str =
    "Success under hard caps, grouped by cap. Whiskers are bootstrap intervals over tasks.";

/// The frontier section.
#[derive(Serialize)]
pub(super) struct FrontierView {
    figure: Option<Figure>,
    legend: Vec<LegendEntry>,
    rows: Vec<PolicyRow>,
}

/// A policy under one budget.
#[derive(Serialize)]
struct PolicyRow {
    key: Value,
    label: String,
    is_main: bool,
    lambda: String,
    budget: String,
    /// What an episode is worth on average.
    value: Estimate,
    /// Solved tasks where the grade counts, the grade where solved tasks count.
    other: String,
    cost: Estimate,
    total: String,
    large_calls: Estimate,
    steps: String,
    cap_share: String,
    n_episodes: String,
    n_seeds: usize,
    violations: usize,
}

/// The section of the hard caps.
#[derive(Serialize)]
pub(super) struct CapsView {
    legend: Vec<LegendEntry>,
    panels: Vec<CapPanel>,
    rows: Vec<PolicyRow>,
    statement: String,
    has_violations: bool,
}

/// One kind of cap.
#[derive(Serialize)]
struct CapPanel {
    title: String,
    figure: Figure,
    columns: Vec<String>,
    rows: Vec<CapRow>,
}

/// A family under every cap of a kind.
#[derive(Serialize)]
struct CapRow {
    key: Value,
    label: String,
    is_main: bool,
    cells: Vec<Option<CapCell>>,
}

/// A family under one cap.
#[derive(Serialize)]
struct CapCell {
    value: Estimate,
    is_best: bool,
}

/// The section of the area under the frontier.
#[derive(Serialize)]
pub(super) struct AreaView {
    main: String,
    figure: Option<Figure>,
    rows: Vec<AreaRow>,
}

/// A family's area.
#[derive(Serialize)]
struct AreaRow {
    key: Value,
    label: String,
    is_main: bool,
    area: Estimate,
    difference: Option<Estimate>,
    verdict: &'static str,
}

/// What carries over to tasks of unseen kinds.
#[derive(Serialize)]
pub(super) struct UnseenView {
    statement: String,
    rows: Vec<PolicyRow>,
}

pub(super) fn unseen(inputs: &ReportInputs) -> Result<Option<UnseenView>> {
    let Some(unseen) = &inputs.unseen else { return Ok(None) };
    let of_these = counted(unseen.n_tasks, "task");
    let statement = unseen.operating_point.as_ref().map_or_else(
        || format!("{of_these} of kinds that training never saw."),
        |point| {
            let share = |interval| estimate(interval, |share| percent(share, 1));
            let [value, cost] = [share(&point.success_of_large), share(&point.cost_of_large)];
            format!(
                "On {of_these} of kinds that training never saw, the same router at the same λ keeps {} {} of always\u{2011}large’s {} for {} {} of its cost.",
                value.value,
                value.ends,
                wording::value_noun(inputs.objective),
                cost.value,
                cost.ends
            )
        },
    );
    let rows = in_order(inputs, unseen.policies.iter()).into_iter().map(|policy| policy_row(inputs, policy));
    Ok(Some(UnseenView { statement, rows: rows.collect::<Result<_>>()? }))
}

/// The main policy first, then by role and cost.
fn in_order<'a>(inputs: &ReportInputs, policies: impl Iterator<Item = &'a PolicySummary>) -> Vec<&'a PolicySummary> {
    let mut policies: Vec<&PolicySummary> = policies.collect();
    policies.sort_by(|one, other| {
        let by_role = |policy: &PolicySummary| look(&policy.family, &inputs.main_family).role;
        let order = by_role(one).cmp(&by_role(other)).then_with(|| one.family.cmp(&other.family));
        order.then_with(|| one.mean_cost_usd.value.total_cmp(&other.mean_cost_usd.value))
    });
    policies
}

pub(super) fn frontier(inputs: &ReportInputs) -> Result<FrontierView> {
    let policies = in_order(inputs, inputs.policies.iter().filter(|policy| policy.budget == Budget::Unlimited));
    let plot = if inputs.policies.is_empty() { None } else { Some(frontier_plot::plot(inputs)?) };
    Ok(FrontierView {
        figure: plot.map(|plot| figure(&plot, "frontier", FRONTIER_TITLE)),
        legend: legend(&frontier_plot::families(inputs))?,
        rows: policies.into_iter().map(|policy| policy_row(inputs, policy)).collect::<Result<_>>()?,
    })
}

fn policy_row(inputs: &ReportInputs, policy: &PolicySummary) -> Result<PolicyRow> {
    let look = look(&policy.family, &inputs.main_family);
    Ok(PolicyRow {
        key: Value::from_safe_string(key(&look)?),
        label: policy_label(&policy.policy_id, &policy.family, &inputs.main_family),
        is_main: look.role == Role::Main,
        lambda: policy.lambda.map_or_else(|| "–".to_owned(), wording::lambda),
        budget: wording::budget(policy.budget, policy.budget_of_large),
        value: estimate(&policy.value, rate),
        other: rate(match inputs.objective {
            Objective::Success => policy.mean_score,
            Objective::Score => policy.success_rate,
        }),
        cost: estimate(&policy.mean_cost_usd, usd),
        total: usd(policy.total_cost_usd),
        large_calls: estimate(&policy.mean_large_calls, |calls| number(calls, 1)),
        steps: number(policy.mean_steps, 1),
        cap_share: policy.cap_share.map_or_else(|| "–".to_owned(), |share| percent(share, 0)),
        n_episodes: count(policy.n_episodes),
        n_seeds: policy.n_seeds,
        violations: policy.violations,
    })
}

pub(super) fn caps(inputs: &ReportInputs) -> Result<CapsView> {
    let mut panels = Vec::new();
    for kind in CapKind::ALL {
        if let Some(plot) = caps_plot::plot(inputs, kind)? {
            let id = match kind {
                CapKind::LargeCalls => "caps-calls",
                CapKind::Usd => "caps-usd",
            };
            let groups = caps_plot::groups(inputs, kind);
            panels.push(CapPanel {
                title: kind.title().to_owned(),
                figure: figure(&plot, id, &format!("{}. {CAPS_TITLE}", kind.title())),
                columns: groups.iter().map(column).collect(),
                rows: cap_rows(inputs, &groups)?,
            });
        }
    }
    let capped: Vec<_> = inputs.policies.iter().filter(|policy| policy.budget != Budget::Unlimited).collect();
    let n_episodes: usize = capped.iter().map(|policy| policy.n_episodes).sum();
    let n_violations: usize = capped.iter().map(|policy| policy.violations).sum();
    Ok(CapsView {
        legend: legend(&caps_plot::looks(inputs))?,
        panels,
        rows: capped.into_iter().map(|policy| policy_row(inputs, policy)).collect::<Result<_>>()?,
        statement: match n_violations {
            0 => format!("No episode passed its cap: 0 violations in {}.", counted(n_episodes, "capped episode")),
            _ => format!("{} of {} passed their cap.", count(n_violations), counted(n_episodes, "capped episode")),
        },
        has_violations: n_violations > 0,
    })
}

fn column(group: &CapGroup<'_>) -> String {
    let of_large = group.policies.iter().find_map(|(policy, _)| policy.budget_of_large);
    match (group.budget, of_large) {
        (Budget::Usd(cap), Some(share)) => format!("{} ({})", usd(cap.as_usd()), percent(share, 0)),
        (budget, _) => wording::budget(budget, None),
    }
}

fn cap_rows(inputs: &ReportInputs, groups: &[CapGroup<'_>]) -> Result<Vec<CapRow>> {
    let mut families: Vec<&str> = Vec::new();
    for (policy, _) in groups.iter().flat_map(|group| &group.policies) {
        if !families.contains(&policy.family.as_str()) {
            families.push(&policy.family);
        }
    }
    let rows = families.into_iter().map(|family| {
        let look = look(family, &inputs.main_family);
        let cells = groups.iter().map(|group| {
            let of_family = group.policies.iter().find(|(policy, _)| policy.family == family);
            of_family
                .map(|(policy, _)| CapCell { value: estimate(&policy.value, rate), is_best: is_best(group, policy) })
        });
        Ok(CapRow {
            key: Value::from_safe_string(key(&look)?),
            is_main: look.role == Role::Main,
            cells: cells.collect(),
            label: look.label,
        })
    });
    rows.collect()
}

/// Whether nothing but a reference does better under the cap.
fn is_best(group: &CapGroup<'_>, policy: &PolicySummary) -> bool {
    let rivals = group.policies.iter().filter(|(_, look)| look.role != Role::Reference);
    let best = rivals.map(|(rival, _)| rival.value.value).fold(f64::NEG_INFINITY, f64::max);
    policy.value.value >= best
        && group
            .policies
            .iter()
            .any(|(rival, look)| rival.policy_id == policy.policy_id && look.role != Role::Reference)
}

pub(super) fn area(inputs: &ReportInputs) -> Result<AreaView> {
    let mut frontiers: Vec<_> = inputs.frontiers.iter().collect();
    frontiers.sort_by(|one, other| other.area.value.total_cmp(&one.area.value));
    let rows = frontiers.into_iter().map(|frontier| {
        let look = look(&frontier.family, &inputs.main_family);
        Ok(AreaRow {
            key: Value::from_safe_string(key(&look)?),
            is_main: look.role == Role::Main,
            label: look.label,
            area: estimate(&frontier.area, rate),
            difference: frontier.main_minus_this.as_ref().map(|difference| estimate(difference, signed)),
            verdict: match frontier.main_minus_this {
                None => "",
                Some(difference) if !difference.is_clear_of_zero() => "level",
                Some(difference) if difference.value > 0.0 => "ahead",
                Some(_) => "behind",
            },
        })
    });
    let rows = rows.collect::<Result<_>>()?;
    let plot = area_plot::plot(inputs)?;
    let title =
        "Paired difference of the frontier area: the trained policy's minus each other's, with bootstrap intervals.";
    Ok(AreaView { main: main_label(&inputs.main_family), figure: plot.map(|plot| figure(&plot, "area", title)), rows })
}

fn signed(value: f64) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}", number(value, 3))
}
