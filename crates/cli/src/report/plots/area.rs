//! How far the trained policy's frontier lies above each rival's: paired differences of the area.

use anyhow::Result;

use super::Plot;
use crate::report::canvas::{Align, Canvas, Frame, Size, Stroke, range_of};
use crate::report::model::{Interval, ReportInputs};
use crate::report::policies::{Look, Role, look};
use crate::report::theme::Paint;

/// One line per rival and ablation, largest difference first; `None` when there is nothing to compare.
pub(in crate::report) fn plot(inputs: &ReportInputs) -> Result<Option<Plot>> {
    let mut rows: Vec<(Look, Interval)> = inputs
        .frontiers
        .iter()
        .filter_map(|frontier| Some((look(&frontier.family, &inputs.main_family), frontier.main_minus_this?)))
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    rows.sort_by(|(_, one), (_, other)| other.value.total_cmp(&one.value));
    let height = 76 + 24 * rows.len() as u32;
    let plot = Plot::of(Size::new(456, height), Size::new(360, height), |canvas, size| paint(&rows, canvas, size))?;
    Ok(Some(plot))
}

fn paint(rows: &[(Look, Interval)], canvas: &Canvas<'_>, size: Size) -> Result<()> {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let wanted_ticks = if size.is_narrow() { 4 } else { 6 };
    let ends = rows.iter().flat_map(|(_, difference)| [difference.low, difference.high, difference.value]);
    let frame = Frame {
        edges: [182.0, 30.0, width - 22.0, height - 44.0],
        x: range_of(ends.chain([0.0]), wanted_ticks),
        y: rows.len() as f64 - 0.5..-0.5,
        x_title: "difference of the frontier area",
        y_title: "",
        n_ticks: (wanted_ticks, 0),
        x_is_usd: false,
    };
    let chart = canvas.chart(&frame)?;
    canvas.text("above 0: the trained policy reaches more", (4.0, 14.0), Align::Start, Paint::Muted, false)?;
    chart.line(&[(0.0, frame.y.start), (0.0, frame.y.end)], Stroke::solid(Paint::Ink, 1.0))?;
    for (position, (look, difference)) in rows.iter().enumerate() {
        let row = position as f64;
        let (x, y) = chart.at((difference.value, row));
        let paint = if look.role == Role::Ablation { Paint::Muted } else { look.paint };
        chart.level_whisker((difference.low, difference.high), row, Stroke::solid(paint, 1.5))?;
        canvas.marker((x, y), look.marker, paint, 4.5)?;
        canvas.text(&look.label, (frame.edges[0] - 10.0, y), Align::End, Paint::Ink, false)?;
    }
    Ok(())
}
