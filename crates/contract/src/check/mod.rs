//! Whether rows make sense, alone and together.

use std::fmt;

use crate::ArtifactKind;

/// One thing that does not make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The artifact.
    pub kind: ArtifactKind,
    /// What was looked at, what was expected and what was found.
    pub message: String,
}

/// What does not make sense: the first few findings and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The first findings, at most [`Findings::MAX_LISTED`].
    pub listed: Vec<Finding>,
    /// How many there are in all.
    pub n_total: usize,
}

impl Findings {
    /// How many findings are kept.
    pub const MAX_LISTED: usize = 8;
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.listed {
            writeln!(f, "{}: {}", finding.kind.file_name(), finding.message)?;
        }
        if self.n_total > self.listed.len() {
            writeln!(f, "and {} more", self.n_total - self.listed.len())?;
        }
        let page = self.listed.first().map_or("README", |finding| finding.kind.as_str());
        write!(f, "hint: see docs/contract/{page}.md for what the columns mean")
    }
}
