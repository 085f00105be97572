//! What checks find.

use std::fmt::{self, Display};

use crate::{ArtifactKind, Column};

/// One thing that does not make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The artifact.
    pub kind: ArtifactKind,
    /// Where it is, what was found and what was expected.
    pub message: String,
}

/// What does not make sense: the first few findings, and how many there are.
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

    pub(super) fn add(&mut self, kind: ArtifactKind, message: impl FnOnce() -> String) {
        self.n_total += 1;
        if self.listed.len() < Self::MAX_LISTED {
            self.listed.push(Finding { kind, message: message() });
        }
    }
}

impl Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, finding) in self.listed.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{}: {}", finding.kind.file_name(), finding.message)?;
        }
        if self.n_total > self.listed.len() {
            write!(f, "\nand {} more", self.n_total - self.listed.len())?;
        }
        let page = self.listed.first().map_or("README", |finding| finding.kind.as_str());
        write!(f, "\nhint: docs/contract/{page}.md says what each column means")
    }
}

/// A row that is looked at, and where its findings go.
pub(super) struct RowReport<'a> {
    pub(super) findings: &'a mut Findings,
    pub(super) kind: ArtifactKind,
    pub(super) row: u64,
}

impl RowReport<'_> {
    /// Notes that a value is not what it has to be, unless `is_right`.
    pub(super) fn expect(&mut self, is_right: bool, column: &Column, found: impl Display, expected: impl Display) {
        if !is_right {
            let row = self.row;
            self.findings
                .add(self.kind, || format!("column `{}` is {found} in row {row}, expected {expected}", column.name));
        }
    }

    pub(super) fn expect_share(&mut self, column: &Column, value: f64) {
        self.expect((0.0..=1.0).contains(&value), column, value, "0 to 1");
    }
}
