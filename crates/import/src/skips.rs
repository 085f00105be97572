//! Rows that are left out: where, why, and all of them in a file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::ImportError;
use crate::json::push_quoted;

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// Which of the sources.
    pub(crate) source: u32,
    /// Its line, from 1.
    pub(crate) line: u64,
}

/// Why a row is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The file has no row at all.
    EmptyFile,
    /// The compressed or the JSON text breaks off, or is damaged.
    DamagedFile,
    /// The row is no UTF-8.
    NotUtf8,
    /// The row is no JSON object.
    NotJson,
    /// The row is longer than allowed.
    RowTooLong,
    /// A field that has to be there is not.
    MissingField,
    /// A field has a value that it cannot have.
    BadValue,
    /// No count of tokens.
    MissingUsage,
    /// A count of tokens below zero, or cached tokens that the prompt does not have.
    BadTokens,
    /// A cost that is no amount of money.
    BadCost,
    /// Neither a cost nor a price to reckon it with.
    NoPrice,
    /// The model is in no pool (refused under `--strict` only).
    UnknownModel,
    /// The same step once more.
    DuplicateStep,
    /// Two different steps of one index, or steps of two tasks in one episode.
    ConflictingStep,
    /// A step of an episode that is complete already, or had to be closed to make room.
    LateStep,
    /// An episode with a gap, or without its end.
    IncompleteEpisode,
    /// A good row of an episode that has a bad one.
    BrokenEpisode,
    /// An episode whose outcome nobody knows.
    NoOutcome,
    /// No answered call of a chat model: a failed one, or something else that such logs hold.
    NotAStep,
}

impl Reason {
    /// The name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EmptyFile => "empty_file",
            Self::DamagedFile => "damaged_file",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::RowTooLong => "row_too_long",
            Self::MissingField => "missing_field",
            Self::BadValue => "bad_value",
            Self::MissingUsage => "missing_usage",
            Self::BadTokens => "bad_tokens",
            Self::BadCost => "bad_cost",
            Self::NoPrice => "no_price",
            Self::UnknownModel => "unknown_model",
            Self::DuplicateStep => "duplicate_step",
            Self::ConflictingStep => "conflicting_step",
            Self::LateStep => "late_step",
            Self::IncompleteEpisode => "incomplete_episode",
            Self::BrokenEpisode => "broken_episode",
            Self::NoOutcome => "no_outcome",
            Self::NotAStep => "not_a_step",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::EmptyFile => "is it the right file?",
            Self::DamagedFile => "it was copied or written only in part; make it again, or copy it again",
            Self::NotUtf8 => "convert the log to UTF-8",
            Self::NotJson => "every row has to be one JSON object; is --format right?",
            Self::RowTooLong => "raise --max-row-bytes, or leave the row out",
            Self::MissingField | Self::BadValue => "docs/guides/import-logs.md lists the fields of each format",
            Self::MissingUsage => "a step without tokens has no cost; log the usage that the provider replies",
            Self::BadTokens => "cached tokens are part of the prompt's; all counts are 0 or more",
            Self::BadCost => "costs are dollars, 0 or more",
            Self::NoPrice => "an unpriced model would count as free; give its price in the map, under [prices]",
            Self::UnknownModel => "add it to the pool, or under [models] in the map",
            Self::DuplicateStep => "the first one is kept",
            Self::ConflictingStep => "an episode is one try of one task; tell tries apart by `trial` or `episode_id`",
            Self::LateStep => "the steps of an episode have to come within the reordering buffer",
            Self::IncompleteEpisode => "an episode counts only as a whole: a part has neither its cost nor its outcome",
            Self::BrokenEpisode => "mend the row that is named, and import again",
            Self::NoOutcome => "log `success` or a score, or name a file of outcomes in the map, under [outcome]",
            Self::NotAStep => "nothing is missing: episodes have steps only of answered calls",
        }
    }

    /// Whether nothing is lost by leaving the row out, so that even strict rules allow it.
    pub(crate) const fn is_harmless(self) -> bool {
        matches!(self, Self::DuplicateStep | Self::NotAStep)
    }
}

/// A reason with what is to be said about this case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedRow {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
    /// What is wrong with it.
    pub detail: String,
}

impl fmt::Display for SkippedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.reason.as_str(), self.detail)
    }
}

/// All that was left out: counted, the first few of each reason kept, every one in a file.
pub(crate) struct Skips {
    path: PathBuf,
    /// Where the rows are written; nowhere in a first look, whose rows come again.
    file: Option<BufWriter<File>>,
    line: String,
    sources: Vec<String>,
    is_strict: bool,
    counts: BTreeMap<Reason, u64>,
    first: Vec<SkippedRow>,
}

impl Skips {
    /// How many rows of one reason are kept for the report.
    const MAX_LISTED: u64 = 5;

    /// Everything that is skipped goes to the file at `path`; under `is_strict` the first one is an error.
    pub(crate) fn create(path: &Path, sources: Vec<String>, is_strict: bool) -> Result<Self, ImportError> {
        let file = File::create(path).map_err(|source| ImportError::write(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            file: Some(BufWriter::new(file)),
            line: String::new(),
            sources,
            is_strict,
            counts: BTreeMap::new(),
            first: Vec::new(),
        })
    }

    /// What is skipped is of no interest.
    pub(crate) fn uncounted(sources: Vec<String>) -> Self {
        let (path, line) = (PathBuf::new(), String::new());
        Self { path, file: None, line, sources, is_strict: false, counts: BTreeMap::new(), first: Vec::new() }
    }

    /// Notes a row.
    ///
    /// # Errors
    /// [`ImportError::Refused`] under strict rules, and those of the file.
    pub(crate) fn add(&mut self, place: Place, refusal: &Refusal) -> Result<(), ImportError> {
        let row = || SkippedRow {
            file: self.sources[place.source as usize].clone(),
            line: place.line,
            reason: refusal.reason,
            detail: refusal.detail.clone(),
        };
        if self.is_strict && !refusal.reason.is_harmless() {
            return Err(ImportError::Refused { row: row() });
        }
        let count = self.counts.entry(refusal.reason).or_insert(0);
        *count += 1;
        if *count <= Self::MAX_LISTED {
            let row = row();
            self.first.push(row);
        }
        self.write(place, refusal).map_err(|source| ImportError::write(&self.path, source))
    }

    fn write(&mut self, place: Place, refusal: &Refusal) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.line.clear();
        self.line.push_str("{\"file\":");
        push_quoted(&self.sources[place.source as usize], &mut self.line);
        self.line.push_str(",\"line\":");
        self.line.push_str(&place.line.to_string());
        self.line.push_str(",\"reason\":");
        push_quoted(refusal.reason.as_str(), &mut self.line);
        self.line.push_str(",\"detail\":");
        push_quoted(&refusal.detail, &mut self.line);
        self.line.push_str("}\n");
        file.write_all(self.line.as_bytes())
    }

    pub(crate) const fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// `file:line` of a place.
    pub(crate) fn name(&self, place: Place) -> String {
        format!("{}:{}", self.sources[place.source as usize], place.line)
    }

    /// Ends the file. Counts by reason, and the first rows.
    pub(crate) fn finish(mut self) -> Result<(BTreeMap<Reason, u64>, Vec<SkippedRow>), ImportError> {
        self.file.iter_mut().try_for_each(Write::flush).map_err(|source| ImportError::write(&self.path, source))?;
        Ok((self.counts, self.first))
    }
}
