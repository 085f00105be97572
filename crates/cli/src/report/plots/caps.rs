//! Success under each hard cap, grouped by cap, with intervals.

use anyhow::Result;
use tollgate_routing::Budget;

use super::{Plot, mark};
use crate::report::canvas::{Align, Canvas, Drawing, Frame, Size, Stroke, draw, range_of};
use crate::report::model::{PolicySummary, ReportInputs};
use crate::report::policies::{Look, Role, look};
use crate::report::theme::Paint;
use crate::report::wording;

/// Which kind of cap a panel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum CapKind {
    /// Calls of the large model.
    LargeCalls,
    /// Dollars.
    Usd,
}

impl CapKind {
    /// Both kinds, in the order of the page.
    pub(in crate::report) const ALL: [Self; 2] = [Self::LargeCalls, Self::Usd];

    /// What the panel is called.
    pub(in crate::report) const fn title(self) -> &'static str {
        match self {
            Self::LargeCalls => "Caps on large calls",
            Self::Usd => "Caps in dollars",
        }
    }

    const fn axis(self) -> &'static str {
        match self {
            Self::LargeCalls => "large calls allowed in a task",
            Self::Usd => "dollars allowed in a task",
        }
    }

    const fn holds(self, budget: Budget) -> bool {
        matches!((self, budget), (Self::LargeCalls, Budget::LargeCalls(_)) | (Self::Usd, Budget::Usd(_)))
    }
}

/// One cap and the policies that were played under it.
pub(in crate::report) struct CapGroup<'a> {
    /// The cap.
    pub(in crate::report) budget: Budget,
    /// Its policies in the order of their families, the main one first.
    pub(in crate::report) policies: Vec<(&'a PolicySummary, Look)>,
}

/// The groups of one kind, smallest cap first. Of a family with several parameters the best under the cap stands for all.
pub(in crate::report) fn groups(inputs: &ReportInputs, kind: CapKind) -> Vec<CapGroup<'_>> {
    let mut budgets: Vec<Budget> = Vec::new();
    for policy in inputs.policies.iter().filter(|policy| kind.holds(policy.budget)) {
        if !budgets.contains(&policy.budget) {
            budgets.push(policy.budget);
        }
    }
    budgets.sort_by_key(|&budget| match budget {
        Budget::Unlimited => 0,
        Budget::LargeCalls(calls) => u64::from(calls),
        Budget::Usd(cap) => cap.get(),
    });
    budgets.into_iter().map(|budget| CapGroup { budget, policies: best_of_families(inputs, budget) }).collect()
}

fn best_of_families(inputs: &ReportInputs, budget: Budget) -> Vec<(&PolicySummary, Look)> {
    let mut best: Vec<(&PolicySummary, Look)> = Vec::new();
    for policy in inputs.policies.iter().filter(|policy| policy.budget == budget) {
        match best.iter_mut().find(|(earlier, _)| earlier.family == policy.family) {
            Some((earlier, _)) if policy.value.value > earlier.value.value => *earlier = policy,
            Some(_) => {}
            None => best.push((policy, look(&policy.family, &inputs.main_family))),
        }
    }
    best.sort_by(|(_, one), (_, other)| (one.role, &one.label).cmp(&(other.role, &other.label)));
    best
}

/// The panel of one kind; `None` when no such cap was played.
pub(in crate::report) fn plot(inputs: &ReportInputs, kind: CapKind) -> Result<Option<Plot>> {
    let groups = groups(inputs, kind);
    if groups.is_empty() {
        return Ok(None);
    }
    let plot = Plot::of(Size::new(510, 330), Size::new(360, 320), |canvas, size| {
        paint(inputs, &groups, kind, canvas, size, (0.0, f64::from(size.width)))
    })?;
    Ok(Some(plot))
}

/// Both panels beside each other as one file, with a legend under them; `None` without caps.
pub(in crate::report) fn standalone(inputs: &ReportInputs) -> Result<Option<Drawing>> {
    let panels: Vec<_> = CapKind::ALL.map(|kind| (kind, groups(inputs, kind))).into();
    let panels: Vec<_> = panels.into_iter().filter(|(_, groups)| !groups.is_empty()).collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let looks = looks(inputs);
    let columns = if panels.len() == 1 { 2 } else { 4 };
    let whole = Size::new(500 * panels.len() as u32, 360 + 20 * looks.len().div_ceil(columns) as u32);
    let drawing = draw(whole, |canvas| {
        let size = Size::new(whole.width, 340);
        for (position, (kind, groups)) in panels.iter().enumerate() {
            let left = position as f64 * 500.0;
            paint(inputs, groups, *kind, canvas, size, (left, left + 500.0))?;
        }
        for (position, look) in looks.iter().enumerate() {
            let x = 24.0 + (position % columns) as f64 * 240.0;
            let y = 354.0 + (position / columns) as f64 * 20.0;
            mark(canvas, (x, y), look)?;
            canvas.text(&look.label, (x + 14.0, y), Align::Start, Paint::Ink, look.role == Role::Main)?;
        }
        Ok(())
    })?;
    Ok(Some(drawing))
}

/// The families in either panel.
pub(in crate::report) fn looks(inputs: &ReportInputs) -> Vec<Look> {
    let mut looks: Vec<Look> = Vec::new();
    for group in CapKind::ALL.into_iter().flat_map(|kind| groups(inputs, kind)) {
        for (_, look) in group.policies {
            if look.role != Role::Ablation && !looks.iter().any(|earlier| earlier.label == look.label) {
                looks.push(look);
            }
        }
    }
    looks.sort_by(|one, other| (one.role, &one.label).cmp(&(other.role, &other.label)));
    looks
}

fn paint(
    inputs: &ReportInputs,
    groups: &[CapGroup<'_>],
    kind: CapKind,
    canvas: &Canvas<'_>,
    size: Size,
    (left, right): (f64, f64),
) -> Result<()> {
    let bounds = boundaries(inputs);
    let heights =
        groups.iter().flat_map(|group| &group.policies).flat_map(|(policy, _)| [policy.value.low, policy.value.high]);
    let y = range_of(heights.chain(bounds.iter().map(|(_, value)| *value)), 6);
    let height = f64::from(size.height);
    let frame = Frame {
        edges: [left + 40.0, 32.0, right - 14.0, height - 44.0],
        x: -0.5..groups.len() as f64 - 0.5,
        y: y.start.max(0.0)..y.end.min(1.0).max(y.start + 0.05),
        x_title: kind.axis(),
        y_title: wording::value_axis(inputs.objective),
        n_ticks: (0, 5),
        x_is_usd: false,
    };
    let chart = canvas.chart(&frame)?;
    for (label, value) in bounds {
        chart.line(&[(frame.x.start, value), (frame.x.end, value)], Stroke::solid(Paint::Muted, 1.0).dashed(3, 3))?;
        // Small caps solve little and large ones much: each label has the end of its line to itself.
        let (end, align) =
            if label == "always large" { (frame.x.start, Align::Start) } else { (frame.x.end, Align::End) };
        let (x, y) = chart.at((end, value));
        canvas.text(label, (x, y - 8.0), align, Paint::Muted, false)?;
    }
    let room = (chart.at((1.0, 0.0)).0 - chart.at((0.0, 0.0)).0) * 0.8;
    for (position, group) in groups.iter().enumerate() {
        let (x, _) = chart.at((position as f64, frame.y.start));
        let label = match group.budget {
            Budget::LargeCalls(calls) => calls.to_string(),
            Budget::Usd(cap) => wording::usd(cap.as_usd()),
            Budget::Unlimited => String::new(),
        };
        canvas.text(&label, (x, height - 30.0), Align::Middle, Paint::Ink, false)?;
        let shown: Vec<_> = group.policies.iter().filter(|(_, look)| look.role != Role::Ablation).collect();
        let pitch = (room / shown.len() as f64).min(22.0);
        for (number, (policy, look)) in shown.iter().enumerate() {
            let shift = (number as f64 - (shown.len() as f64 - 1.0) / 2.0) * pitch;
            let is_main = look.role == Role::Main;
            let stroke = Stroke::solid(look.paint, if is_main { 2.0 } else { 1.25 });
            chart.whisker(position as f64, (policy.value.low, policy.value.high), shift, stroke)?;
            let (x, y) = chart.at((position as f64, policy.value.value));
            canvas.marker((x + shift, y), look.marker, look.paint, if is_main { 5.5 } else { 4.0 })?;
        }
    }
    Ok(())
}

/// Success of the two boundary policies without a cap.
fn boundaries(inputs: &ReportInputs) -> Vec<(&'static str, f64)> {
    [("always-small", "always small"), ("always-large", "always large")]
        .into_iter()
        .filter_map(|(family, label)| {
            let is_it = |policy: &&PolicySummary| policy.family == family && policy.budget == Budget::Unlimited;
            inputs.policies.iter().find(is_it).map(|policy| (label, policy.value.value))
        })
        .collect()
}
