//! The plots of the page, one file each.

pub(super) mod area;
pub(super) mod caps;
pub(super) mod frontier;
pub(super) mod spend;
pub(super) mod taxonomy;
pub(super) mod training;

use anyhow::Result;

use super::canvas::{Drawing, Size, draw};
use super::policies::Look;

/// One plot in two sizes: the style sheet shows the one that fits the screen.
pub(super) struct Plot {
    /// For a desk.
    pub(super) wide: Drawing,
    /// For a phone.
    pub(super) narrow: Drawing,
}

impl Plot {
    /// Draws both sizes with the same code.
    fn of(wide: Size, narrow: Size, paint: impl Fn(&super::canvas::Canvas<'_>, Size) -> Result<()>) -> Result<Self> {
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
    let drawing = draw(Size::new(16, 16), |canvas| canvas.marker((8.0, 8.0), look.marker, look.paint, 5.0))?;
    Ok(drawing.key())
}
