//! A whole comparison as a document: every policy of a run, with intervals over tasks and training runs.
//!
//! Rivals with settings are tuned as the trained policy is: where one of a family's settings has to be picked, the validation tasks
//! pick it, separately for each operating point and each training run.

mod comparison;
mod page;
mod recovered;
mod robustness;
mod specialists;

#[cfg(test)]
mod fixture;

use std::fs;
use std::path::Path;

use anyhow::Context;

pub(crate) use comparison::{Asked, Comparison, GivingUp};
pub(crate) use page::{Origin, figure, page};
pub(crate) use robustness::{WorldFigures, robustness_page};
pub(crate) use specialists::{Point, SuiteFigures, specialists_page};

/// Writes a document as README.md into `directory`, which is made, and says where it is.
pub(crate) fn write(directory: &Path, text: &str) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let path = directory.join("README.md");
    fs::write(&path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
    crate::output::print(&format!("{}\n", path.display()))
}

/// The processor's name where the system tells it, and how many of its cores there are.
pub(crate) fn hardware() -> String {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{n_cores} cores, {}", name.map_or(std::env::consts::ARCH, |(_, name)| name.trim()))
}
