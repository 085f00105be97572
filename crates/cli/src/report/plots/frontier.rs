//! Success against mean cost: every policy with its interval, the trained policy's hull, the operating point.

use std::ops::Range;

use anyhow::Result;
use tollgate_routing::Budget;

use super::{Plot, mark};
use crate::report::canvas::{Align, Canvas, Chart, Drawing, Frame, Marker, Size, Stroke, draw, range_of};
use crate::report::model::{PolicySummary, ReportInputs};
use crate::report::policies::{Look, Role, look};
use crate::report::theme::Paint;
use crate::report::wording;

/// Width of the legend of the standalone file, CSS pixels.
const LEGEND_WIDTH: u32 = 220;

/// The plot for the page, whose legend is markup beside it.
pub(in crate::report) fn plot(inputs: &ReportInputs) -> Result<Plot> {
    Plot::of(Size::new(1040, 500), Size::new(360, 400), |canvas, size| paint(inputs, canvas, size))
}

/// The plot as a file of its own, with a legend in it.
pub(in crate::report) fn standalone(inputs: &ReportInputs) -> Result<Drawing> {
    let (plot, whole) = (Size::new(760, 470), Size::new(760 + LEGEND_WIDTH, 470));
    draw(whole, |canvas| {
        paint(inputs, canvas, plot)?;
        let mut y = 48.0;
        let x = f64::from(plot.width) + 24.0;
        for look in families(inputs) {
            mark(canvas, (x, y), &look)?;
            canvas.text(&look.label, (x + 14.0, y), Align::Start, Paint::Ink, look.role == Role::Main)?;
            y += 22.0;
        }
        Ok(())
    })
}

/// The families in the plot, the main one first. Ablations are left to the table: their points lie on top of the trained policy's.
pub(in crate::report) fn families(inputs: &ReportInputs) -> Vec<Look> {
    let mut families: Vec<&str> = Vec::new();
    let hulls = inputs.frontiers.iter().map(|frontier| frontier.family.as_str());
    for family in inputs.policies.iter().map(|policy| policy.family.as_str()).chain(hulls) {
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let mut looks: Vec<Look> = families.into_iter().map(|family| look(family, &inputs.main_family)).collect();
    looks.retain(|look| look.role != Role::Ablation);
    looks.sort_by(|one, other| (one.role, &one.label).cmp(&(other.role, &other.label)));
    looks
}

fn paint(inputs: &ReportInputs, canvas: &Canvas<'_>, size: Size) -> Result<()> {
    let shown: Vec<&PolicySummary> = shown(inputs);
    let (x, y) = ranges(inputs, &shown, size);
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let frame = Frame {
        edges: [40.0, 32.0, width - 18.0, height - 44.0],
        x,
        y,
        x_title: "mean cost of a task",
        y_title: wording::value_axis(inputs.objective),
        n_ticks: (if size.is_narrow() { 4 } else { 8 }, 6),
        x_is_usd: true,
    };
    let chart = canvas.chart(&frame)?;
    paint_hulls(inputs, &chart, frame.x.end)?;
    for policy in &shown {
        let look = look(&policy.family, &inputs.main_family);
        let is_minor = look.role == Role::Baseline && is_crowded(&shown, &policy.family) && !is_corner(inputs, policy);
        paint_policy(canvas, &chart, policy, &look, is_minor)?;
    }
    paint_labels(inputs, canvas, &chart, &shown)
}

/// Policies without a cap; under caps the trained policy, whose frontier covers both sweeps, and first-K-large, which exists only
/// there. Other capped policies are in the plot of the caps.
fn shown(inputs: &ReportInputs) -> Vec<&PolicySummary> {
    let is_shown = |policy: &PolicySummary, role| match policy.budget {
        _ if role == Role::Ablation => false,
        Budget::Unlimited => true,
        Budget::LargeCalls(_) => role == Role::Main || policy.family == "first-k-large",
        Budget::Usd(_) => role == Role::Main,
    };
    let with_role = |policy: &PolicySummary| look(&policy.family, &inputs.main_family).role;
    let mut shown: Vec<(&PolicySummary, Role)> =
        inputs.policies.iter().map(|policy| (policy, with_role(policy))).collect();
    shown.retain(|(policy, role)| is_shown(policy, *role));
    // The main family is drawn last, on top, and its sweep of lambda on top of its caps.
    shown.sort_by_key(|(policy, role)| std::cmp::Reverse((*role, policy.budget != Budget::Unlimited)));
    shown.into_iter().map(|(policy, _)| policy).collect()
}

fn ranges(inputs: &ReportInputs, shown: &[&PolicySummary], size: Size) -> (Range<f64>, Range<f64>) {
    let costs = shown.iter().map(|policy| policy.mean_cost_usd.value);
    let corners = inputs.frontiers.iter().flat_map(|frontier| &frontier.hull);
    let x = range_of(costs.chain(corners.map(|corner| corner.0)).chain([0.0]), if size.is_narrow() { 3 } else { 14 });
    let heights = shown.iter().flat_map(|policy| [policy.value.low, policy.value.high, policy.value.value]);
    let y = range_of(heights, 8);
    (0.0..x.end, y.start.max(0.0)..y.end.min(1.0).max(y.start + 0.05))
}

fn paint_hulls(inputs: &ReportInputs, chart: &Chart<'_, '_>, right: f64) -> Result<()> {
    for frontier in &inputs.frontiers {
        let look = look(&frontier.family, &inputs.main_family);
        let stroke = match look.role {
            Role::Main => Stroke::solid(look.paint, 2.5),
            Role::Reference => Stroke { dash: look.dash, ..Stroke::solid(Paint::Muted, 1.5) },
            Role::Boundary | Role::Baseline | Role::Ablation => continue,
        };
        // The origin is a corner of every hull (whoever does nothing pays nothing), but it would only stretch the axis.
        let mut corners: Vec<_> = frontier.hull.iter().copied().filter(|corner| *corner != (0.0, 0.0)).collect();
        if let Some(last) = corners.last().copied() {
            corners.push((right, last.1));
        }
        chart.line(&corners, stroke)?;
    }
    Ok(())
}

/// Whether a family has so many settings that their intervals would hide each other.
fn is_crowded(shown: &[&PolicySummary], family: &str) -> bool {
    shown.iter().filter(|policy| policy.family == family).count() > 10
}

/// Whether a policy is a corner of its family's hull.
fn is_corner(inputs: &ReportInputs, policy: &PolicySummary) -> bool {
    let close = |one: f64, other: f64| (one - other).abs() <= 1e-9 * other.abs();
    inputs
        .frontiers
        .iter()
        .filter(|frontier| frontier.family == policy.family)
        .flat_map(|frontier| &frontier.hull)
        .any(|&(cost, success)| close(cost, policy.mean_cost_usd.value) && close(success, policy.value.value))
}

/// A minor policy gets a small mark and no interval.
fn paint_policy(
    canvas: &Canvas<'_>,
    chart: &Chart<'_, '_>,
    policy: &PolicySummary,
    look: &Look,
    is_minor: bool,
) -> Result<()> {
    let (cost, success) = (policy.mean_cost_usd, policy.value);
    if is_minor {
        return canvas.marker(chart.at((cost.value, success.value)), look.marker, look.paint, 2.5);
    }
    // A ring of the main series is a cap; its intervals are in the plot of the caps.
    if look.role == Role::Main && policy.budget != Budget::Unlimited {
        return canvas.marker(chart.at((cost.value, success.value)), Marker::Ring, look.paint, 4.0);
    }
    if look.role != Role::Reference {
        let stroke = Stroke::solid(look.paint, 1.0).faint(0.55);
        chart.whisker(cost.value, (success.low, success.high), 0.0, stroke)?;
    }
    let radius = match look.role {
        Role::Main => 4.5,
        Role::Boundary => 5.5,
        Role::Baseline | Role::Ablation => 4.0,
        Role::Reference => 3.0,
    };
    canvas.marker(chart.at((cost.value, success.value)), look.marker, look.paint, radius)
}

fn paint_labels(
    inputs: &ReportInputs,
    canvas: &Canvas<'_>,
    chart: &Chart<'_, '_>,
    shown: &[&PolicySummary],
) -> Result<()> {
    for policy in shown.iter().filter(|policy| policy.family.starts_with("always-")) {
        let (x, y) = chart.at((policy.mean_cost_usd.value, policy.value.value));
        let look = look(&policy.family, &inputs.main_family);
        let (shift, align) = if policy.family == "always-small" { (10.0, Align::Start) } else { (-10.0, Align::End) };
        canvas.text(&look.label, (x + shift, y + 16.0), align, Paint::Ink, false)?;
    }
    let Some(point) = &inputs.operating_point else { return Ok(()) };
    let value = (point.mean_cost_usd.value, point.value.value);
    let stroke = Stroke::solid(Paint::Series(0), 1.5);
    chart.level_whisker((point.mean_cost_usd.low, point.mean_cost_usd.high), value.1, stroke)?;
    chart.whisker(value.0, (point.value.low, point.value.high), 0.0, stroke)?;
    let (x, y) = chart.at(value);
    canvas.marker((x, y), Marker::Disc, Paint::Surface, 10.0)?;
    canvas.marker((x, y), Marker::Ring, Paint::Series(0), 9.0)?;
    canvas.marker((x, y), Marker::Disc, Paint::Series(0), 5.0)?;
    canvas.text("operating point", (x - 12.0, y - 14.0), Align::End, Paint::Series(0), true)
}
