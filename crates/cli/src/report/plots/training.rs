//! Training curves: one panel per metric, one line per seed.

use anyhow::Result;

use super::Plot;
use crate::report::canvas::{Canvas, Frame, Size, Stroke, range_of};
use crate::report::model::{TrainingCurve, TrainingPoint};
use crate::report::theme::Paint;

/// A metric of the training log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Metric {
    SuccessRate,
    MeanReturn,
    LargeShare,
    Kl,
    Entropy,
}

impl Metric {
    /// Every metric, in the order of the page.
    pub(in crate::report) const ALL: [Self; 5] =
        [Self::SuccessRate, Self::MeanReturn, Self::LargeShare, Self::Kl, Self::Entropy];

    /// What the panel is called.
    pub(in crate::report) const fn title(self) -> &'static str {
        match self {
            Self::SuccessRate => "share of episodes solved",
            Self::MeanReturn => "mean return",
            Self::LargeShare => "share of steps by the large model",
            Self::Kl => "KL to the reference policy, nats",
            Self::Entropy => "entropy, nats",
        }
    }

    /// The metric's value of an iteration.
    pub(in crate::report) const fn of(self, point: &TrainingPoint) -> f64 {
        match self {
            Self::SuccessRate => point.success_rate,
            Self::MeanReturn => point.mean_return,
            Self::LargeShare => point.large_share,
            Self::Kl => point.kl,
            Self::Entropy => point.entropy,
        }
    }
}

/// The panel of one metric over the curves of one variant; `None` when the log has no value of it.
pub(in crate::report) fn plot(curves: &[&TrainingCurve], metric: Metric) -> Result<Option<Plot>> {
    let has_values = curves.iter().flat_map(|curve| &curve.points).any(|point| metric.of(point).is_finite());
    if !has_values {
        return Ok(None);
    }
    let plot = Plot::of(Size::new(500, 230), Size::new(360, 220), |canvas, size| paint(curves, metric, canvas, size))?;
    Ok(Some(plot))
}

/// How the line of the seed at `position` is drawn: colour and dashes, so that seeds differ without colour.
pub(in crate::report) fn seed_stroke(position: usize) -> Stroke {
    let stroke = Stroke::solid(Paint::Series(position), 1.75);
    match position % 4 {
        0 => stroke,
        1 => stroke.dashed(7, 3),
        2 => stroke.dashed(2, 3),
        _ => stroke.dashed(12, 3),
    }
}

fn paint(curves: &[&TrainingCurve], metric: Metric, canvas: &Canvas<'_>, size: Size) -> Result<()> {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let last = points().map(|point| point.n_env_steps).fold(0.0, f64::max);
    let frame = Frame {
        edges: [48.0, 32.0, width - 22.0, height - 42.0],
        x: 0.0..last.max(1.0) / 1e3,
        y: range_of(points().map(|point| metric.of(point)), 4),
        x_title: "environment steps, thousands",
        y_title: metric.title(),
        n_ticks: (if size.is_narrow() { 4 } else { 6 }, 4),
        x_is_usd: false,
    };
    let chart = canvas.chart(&frame)?;
    for (position, curve) in curves.iter().enumerate() {
        let values: Vec<_> = curve.points.iter().map(|point| (point.n_env_steps / 1e3, metric.of(point))).collect();
        for part in values.split(|value| !value.1.is_finite()) {
            chart.line(part, seed_stroke(position))?;
        }
    }
    Ok(())
}
