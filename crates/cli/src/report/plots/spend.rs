//! What an episode has spent after each step, against its budget.

use anyhow::Result;
use tollgate_routing::Budget;

use super::Plot;
use crate::report::canvas::{Align, Canvas, Frame, Marker, Size, Stroke, range_of};
use crate::report::model::EpisodeTrace;
use crate::report::theme::Paint;
use crate::report::wording;

/// Money by step for a cap in dollars or none, large calls by step for a cap on calls. `None` for an episode without steps.
pub(in crate::report) fn plot(episode: &EpisodeTrace, large: usize) -> Result<Option<Plot>> {
    if episode.steps.is_empty() {
        return Ok(None);
    }
    let plot = Plot::of(Size::new(1000, 210), Size::new(340, 210), |canvas, size| paint(episode, large, canvas, size))?;
    Ok(Some(plot))
}

fn paint(episode: &EpisodeTrace, large: usize, canvas: &Canvas<'_>, size: Size) -> Result<()> {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let counts_calls = matches!(episode.budget, Budget::LargeCalls(_));
    let mut spent = vec![0.0];
    for step in &episode.steps {
        let before = spent[spent.len() - 1];
        let more = if counts_calls { f64::from(u8::from(step.action == large)) } else { step.cost.as_usd() };
        spent.push(before + more);
    }
    let cap = match episode.budget {
        Budget::Unlimited => None,
        Budget::LargeCalls(calls) => Some(f64::from(calls)),
        Budget::Usd(cap) => Some(cap.as_usd()),
    };
    let n_steps = episode.steps.len() as f64;
    let frame = Frame {
        edges: [60.0, 32.0, width - 20.0, height - 44.0],
        x: 0.0..n_steps,
        y: 0.0..range_of(spent.iter().copied().chain(cap.map(|cap| cap * 1.12)).chain([0.0]), 4).end,
        x_title: "step",
        y_title: if counts_calls { "large calls so far" } else { "dollars so far" },
        n_ticks: (if size.is_narrow() { 5 } else { 12 }, 3),
        x_is_usd: false,
    };
    let chart = canvas.chart(&frame)?;
    if let Some(cap) = cap {
        chart.line(&[(0.0, cap), (n_steps, cap)], Stroke::solid(Paint::Ink, 1.5).dashed(6, 4))?;
        let (x, y) = chart.at((n_steps, cap));
        let word = format!("cap: {}", wording::budget(episode.budget, None));
        canvas.text(&word, (x, y - 9.0), Align::End, Paint::Ink, false)?;
    }
    let mut corners = vec![(0.0, 0.0)];
    for (position, pair) in spent.windows(2).enumerate() {
        let after = position as f64 + 1.0;
        corners.extend([(after, pair[0]), (after, pair[1])]);
    }
    chart.line(&corners, Stroke::solid(Paint::Series(0), 2.0))?;
    for (position, step) in episode.steps.iter().enumerate() {
        let after = position as f64 + 1.0;
        if step.action > 0 {
            let marker = if step.action == large { Marker::Disc } else { Marker::Ring };
            canvas.marker(chart.at((after, spent[position + 1])), marker, Paint::Series(0), 4.0)?;
        }
    }
    Ok(())
}
