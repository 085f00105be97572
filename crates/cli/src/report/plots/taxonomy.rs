//! Where a policy's money goes: its mean cost, divided by the class of the task.

use anyhow::Result;
use tollgate_routing::Difficulty;

use super::Plot;
use crate::report::canvas::{Align, Canvas, Frame, Size, range_of};
use crate::report::model::{PolicySpending, ReportInputs};
use crate::report::policies::policy_label;
use crate::report::theme::Paint;
use crate::report::wording;

/// The colour of a class. None of them is the trained policy's.
pub(in crate::report) const fn class_paint(difficulty: Difficulty) -> Paint {
    match difficulty {
        Difficulty::Easy => Paint::Series(6),
        Difficulty::Hard => Paint::Series(4),
        Difficulty::Intractable => Paint::Series(3),
    }
}

/// One bar per policy; `None` when nothing is known of the spending.
pub(in crate::report) fn plot(inputs: &ReportInputs) -> Result<Option<Plot>> {
    let Some(taxonomy) = &inputs.taxonomy else { return Ok(None) };
    if taxonomy.spending.is_empty() {
        return Ok(None);
    }
    let height = 76 + 46 * taxonomy.spending.len() as u32;
    let plot = Plot::of(Size::new(1040, height), Size::new(360, height), |canvas, size| {
        paint(inputs, &taxonomy.spending, canvas, size)
    })?;
    Ok(Some(plot))
}

fn paint(inputs: &ReportInputs, spending: &[PolicySpending], canvas: &Canvas<'_>, size: Size) -> Result<()> {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let totals = spending.iter().map(total);
    let wanted_ticks = if size.is_narrow() { 3 } else { 8 };
    let frame = Frame {
        edges: [12.0, 30.0, width - if size.is_narrow() { 56.0 } else { 70.0 }, height - 44.0],
        x: 0.0..range_of(totals.chain([0.0]), wanted_ticks).end,
        y: spending.len() as f64..0.0,
        x_title: "mean cost of a task",
        y_title: "",
        n_ticks: (wanted_ticks, 0),
        x_is_usd: true,
    };
    let chart = canvas.chart(&frame)?;
    for (position, policy) in spending.iter().enumerate() {
        let row = position as f64;
        let (left, name_y) = chart.at((0.0, row + 0.2));
        let label = policy_label(&policy.policy_id, &policy.policy_id, &inputs.main_family);
        canvas.text(&label, (left, name_y), Align::Start, Paint::Ink, false)?;
        let mut from = 0.0;
        for class in &policy.by_class {
            let to = from + class.cost_usd_per_task;
            let (low, high) = (chart.at((from, row + 0.42)), chart.at((to, row + 0.88)));
            canvas.block(low, (high.0 - 1.5, high.1), class_paint(class.difficulty), 1.0)?;
            let word = class.difficulty.as_str();
            let middle = (f64::midpoint(low.0, high.0), f64::midpoint(low.1, high.1));
            if high.0 - low.0 > word.len() as f64 * 7.5 + 6.0 {
                canvas.text(word, middle, Align::Middle, Paint::Surface, true)?;
            } else if high.0 - low.0 > 14.0 {
                canvas.text(&word[..1].to_uppercase(), middle, Align::Middle, Paint::Surface, true)?;
            }
            from = to;
        }
        let (end, y) = chart.at((from, row + 0.65));
        canvas.text(&wording::usd(from), (end + 6.0, y), Align::Start, Paint::Ink, false)?;
    }
    Ok(())
}

fn total(policy: &PolicySpending) -> f64 {
    policy.by_class.iter().map(|class| class.cost_usd_per_task).sum()
}
