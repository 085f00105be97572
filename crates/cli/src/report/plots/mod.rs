//! The plots of the page, one file each.

pub(super) mod area;
pub(super) mod caps;
pub(super) mod frontier;
pub(super) mod spend;
pub(super) mod taxonomy;
pub(super) mod training;

use anyhow::Result;

use super::canvas::{Canvas, Drawing, Size, Stroke, draw};
use super::policies::Look;
use super::theme::Paint;

/// One plot in two sizes: the style sheet shows the one that fits the screen.
pub(super) struct Plot {
    /// For a desk.
    pub(super) wide: Drawing,
    /// For a phone.
    pub(super) narrow: Drawing,
}

impl Plot {
    /// Draws both sizes with the same code.
    fn of(wide: Size, narrow: Size, paint: impl Fn(&Canvas<'_>, Size) -> Result<()>) -> Result<Self> {
        Ok(Self {
            wide: draw(wide, |canvas| paint(canvas, wide))?,
            narrow: draw(narrow, |canvas| paint(canvas, narrow))?,
        })
    }

    /// Both sizes as elements of the page.
    pub(super) fn inline(&self, id: &str, title: &str) -> String {
        let wide = self.wide.inline(&format!("{id}-wide"), "wide", title);
        wide + &self.narrow.inline(&format!("{id}-narrow"), "narrow", title)
    }
}

/// The mark of a family as a small picture for legends and tables.
pub(super) fn key(look: &Look) -> Result<String> {
    let width = if look.dash.is_some() { 26 } else { 16 };
    let drawing = draw(Size::new(width, 16), |canvas| mark(canvas, (f64::from(width) / 2.0, 8.0), look))?;
    Ok(drawing.key())
}

/// The mark of a family in a legend, on a piece of its line where that is dashed.
fn mark(canvas: &Canvas<'_>, (x, y): (f64, f64), look: &Look) -> Result<()> {
    if let Some((dash, gap)) = look.dash {
        canvas.path(&[(x - 12.0, y), (x + 12.0, y)], Stroke::solid(Paint::Muted, 1.5).dashed(dash, gap))?;
    }
    canvas.marker((x, y), look.marker, look.paint, if look.dash.is_some() { 3.5 } else { 5.0 })
}
