//! The page of a run: one self-contained HTML file, and two of its plots as files of their own.
//!
//! The report stage computes the figures that `summary.json` holds as well. [`gather()`] adds what only the page shows (it reads the
//! stage's other inputs and plays a few evaluated episodes again, because evaluations keep no steps), and [`write()`] leaves
//! `report.html`, `frontier.svg` and, where caps were played, `caps.svg` in the stage's output directory:
//!
//! ```ignore
//! let inputs = report::gather(&Sources { call, config: &config, arena: &*arena, evaluations: &evaluations, figures: &figures,
//!     optimum: optimum.as_ref() })?;
//! report::write(&inputs, &call.request.output_dir)?;
//! ```
//!
//! Empty parts are fine: no operating point, no caps, no training log, no episodes, no taxonomy each show a sentence instead.

mod canvas;
mod gather;
mod model;
mod page;
mod plots;
mod policies;
mod provenance;
mod recorder;
mod replay;
mod theme;
mod view;
mod wording;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub(crate) use gather::{Sources, gather};
pub(crate) use model::ReportInputs;

/// The files of a report.
pub(crate) struct Report {
    /// `report.html`.
    pub(crate) html: String,
    /// `frontier.svg`.
    pub(crate) frontier_svg: String,
    /// `caps.svg`; `None` when no cap was played.
    pub(crate) caps_svg: Option<String>,
}

/// Draws the page and its plots. The same inputs give the same bytes.
///
/// # Errors
/// When a plot cannot be drawn or a template does not fit its view; neither depends on the figures.
pub(crate) fn render(inputs: &ReportInputs) -> Result<Report> {
    Ok(Report {
        html: page::render(inputs)?,
        frontier_svg: plots::frontier::standalone(inputs)?.standalone(view::FRONTIER_TITLE),
        caps_svg: plots::caps::standalone(inputs)?.map(|drawing| drawing.standalone(view::CAPS_TITLE)),
    })
}

/// Writes the report's files into `directory`.
///
/// # Errors
/// When the page cannot be made or a file cannot be written.
pub(crate) fn write(inputs: &ReportInputs, directory: &Path) -> Result<()> {
    let report = render(inputs)?;
    let mut files = vec![("report.html", report.html), ("frontier.svg", report.frontier_svg)];
    files.extend(report.caps_svg.map(|svg| ("caps.svg", svg)));
    for (name, text) in files {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| {
            format!("{}: cannot be written\nhint: check the free space and the rights of its directory", path.display())
        })?;
    }
    Ok(())
}
