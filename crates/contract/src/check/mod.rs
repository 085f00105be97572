//! Whether rows make sense, alone and together: a streaming checker that any stage's output has to pass.

mod cross;
mod derived;
mod findings;
mod played;
mod steps;

use std::collections::BTreeMap;
use std::mem;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type};

pub use findings::{Finding, Findings};

use crate::{ArtifactKind, ArtifactRow, ContractError};
use derived::{ExampleTable, FrontierTable, LabelTable, TrainingTable};
use findings::RowReport;
use played::{EpisodeTable, StepTable, TaskTable};
use steps::StepFacts;

/// Checks the artifacts of a slot. Feed every batch of each, in the order of the file; artifacts may come in any order, and
/// what depends on two of them is checked at the end where both were fed.
///
/// ```
/// use tollgate_contract::{ArtifactKind, ArtifactRow, Checks, TaskRow};
/// # use tollgate_routing::{Split, TaskId};
/// # let task = TaskRow { id: TaskId::new("t"), environment: "e".into(), split: Split::Train, seed: 0,
/// #     instruction: "".into(), horizon: 30, kind: None, group: None };
///
/// let mut checks = Checks::new(None);
/// checks.feed(ArtifactKind::Tasks, &TaskRow::to_batch(&[task.clone(), task])?)?;
/// let error = checks.finish().unwrap_err();
/// assert!(error.to_string().starts_with("tasks.parquet: column `task_id` is `t` in row 1, expected a name of its own"));
/// # Ok::<(), tollgate_contract::ContractError>(())
/// ```
#[derive(Debug, Default)]
pub struct Checks {
    /// Models in the pool, where it is known.
    n_models: Option<usize>,
    /// Whether steps may be of models in no pool, as imported ones are.
    is_import: bool,
    rows: BTreeMap<ArtifactKind, u64>,
    findings: Findings,
    tasks: TaskTable,
    episodes: EpisodeTable,
    steps: StepTable,
    labels: LabelTable,
    examples: ExampleTable,
    training: TrainingTable,
    evaluations: EpisodeTable,
    frontier: FrontierTable,
}

/// What was fed, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckSummary {
    /// Rows of each artifact.
    pub rows: BTreeMap<ArtifactKind, u64>,
    /// Sums over each artifact, for the manifest: `n_episodes`, `total_cost_nano_usd` and the like.
    pub totals: BTreeMap<ArtifactKind, BTreeMap<&'static str, u64>>,
}

impl Checks {
    /// Nothing fed yet. With the number of models in the pool, actions and large calls are checked against it.
    #[must_use]
    pub fn new(n_models: Option<usize>) -> Self {
        Self { n_models, ..Self::default() }
    }

    /// As [`Checks::new`], for logs: a step whose model is in no pool has neither `action` nor `model_id`.
    #[must_use]
    pub fn of_import(n_models: Option<usize>) -> Self {
        Self { n_models, is_import: true, ..Self::default() }
    }

    /// Notes that an artifact is there, even if it has no rows.
    pub fn begin(&mut self, kind: ArtifactKind) {
        self.rows.entry(kind).or_insert(0);
    }

    /// Looks at a batch.
    ///
    /// # Errors
    /// A [`ContractError`] where it cannot be read as rows at all: a column is missing or has another type, a value is null
    /// or outside of its column's domain. What can be read and makes no sense is collected for [`Checks::finish`].
    pub fn feed(&mut self, kind: ArtifactKind, batch: &RecordBatch) -> Result<(), ContractError> {
        kind.check_schema(&batch.schema())?;
        let first_row = self.rows.get(&kind).copied().unwrap_or(0);
        self.check_finite(kind, batch, first_row);
        let fed = match kind {
            ArtifactKind::Tasks => self.each(batch, first_row, |checks, row, report| checks.tasks.row(row, report)),
            ArtifactKind::Episodes => {
                self.each(batch, first_row, |checks, row, report| checks.episodes.row(row, report))
            }
            ArtifactKind::Steps => self.each_step(batch, first_row),
            ArtifactKind::BoundaryLabels => {
                self.each(batch, first_row, |checks, row, report| checks.labels.row(row, report))
            }
            ArtifactKind::SftExamples => {
                self.each(batch, first_row, |checks, row, report| checks.examples.row(&row, checks.n_models, report))
            }
            ArtifactKind::TrainingLog => {
                self.each(batch, first_row, |checks, row, report| checks.training.row(&row, report))
            }
            ArtifactKind::Evaluations => {
                self.each(batch, first_row, |checks, row, report| checks.evaluations.evaluation(row, report))
            }
            ArtifactKind::Frontier => {
                self.each(batch, first_row, |checks, row, report| checks.frontier.row(row, report))
            }
        };
        fed.map_err(|error| error.offset_row(first_row as usize))?;
        self.rows.insert(kind, first_row + batch.num_rows() as u64);
        Ok(())
    }

    /// Checks what depends on more than a row, and sums up.
    ///
    /// # Errors
    /// [`ContractError::Semantics`] with everything that makes no sense.
    pub fn finish(mut self) -> Result<CheckSummary, ContractError> {
        self.cross_check();
        if self.findings.n_total > 0 {
            return Err(ContractError::Semantics(self.findings));
        }
        let totals = self.rows.keys().map(|&kind| (kind, self.totals(kind))).collect();
        Ok(CheckSummary { rows: self.rows, totals })
    }

    fn totals(&self, kind: ArtifactKind) -> BTreeMap<&'static str, u64> {
        match kind {
            ArtifactKind::Episodes => self.episodes.totals(),
            ArtifactKind::Evaluations => self.evaluations.totals(),
            ArtifactKind::Steps => self.steps.totals(),
            ArtifactKind::BoundaryLabels => self.labels.totals(),
            ArtifactKind::Tasks | ArtifactKind::SftExamples | ArtifactKind::TrainingLog | ArtifactKind::Frontier => {
                BTreeMap::new()
            }
        }
    }

    fn each<R: ArtifactRow>(
        &mut self,
        batch: &RecordBatch,
        first_row: u64,
        check: impl Fn(&mut Self, R, &mut RowReport<'_>),
    ) -> Result<(), ContractError> {
        let rows = R::from_batch(batch)?;
        // The findings are taken out for the while, so that a table can be changed beside them.
        let mut findings = mem::take(&mut self.findings);
        for (row, position) in rows.into_iter().zip(first_row..) {
            check(self, row, &mut RowReport { findings: &mut findings, kind: R::KIND, row: position });
        }
        self.findings = findings;
        Ok(())
    }

    /// Steps are checked without their words, which are most of them.
    fn each_step(&mut self, batch: &RecordBatch, first_row: u64) -> Result<(), ContractError> {
        let steps = StepFacts::from_batch(batch, self.is_import)?;
        for (step, row) in steps.into_iter().zip(first_row..) {
            let report = &mut RowReport { findings: &mut self.findings, kind: ArtifactKind::Steps, row };
            self.steps.row(step, self.n_models, report);
        }
        Ok(())
    }

    /// No number of any column may be NaN or infinite: a mean over one such value is lost without a trace.
    fn check_finite(&mut self, kind: ArtifactKind, batch: &RecordBatch, first_row: u64) {
        for column in kind.columns() {
            let Some(array) = batch.column_by_name(column.name) else { continue };
            if !column.column_type.is_measured() {
                continue;
            }
            let is_finite = |row: usize| match array.data_type() {
                DataType::Float32 => array.as_primitive::<Float32Type>().value(row).is_finite(),
                DataType::Float64 => array.as_primitive::<Float64Type>().value(row).is_finite(),
                DataType::List(_) => is_finite_list(&array.as_list::<i32>().value(row)),
                DataType::LargeList(_) => is_finite_list(&array.as_list::<i64>().value(row)),
                _ => true,
            };
            if let Some(row) = (0..array.len()).find(|&row| array.is_valid(row) && !is_finite(row)) {
                let mut report = RowReport { findings: &mut self.findings, kind, row: first_row + row as u64 };
                report.expect(false, column, "NaN or infinite", "a finite number");
            }
        }
    }
}

fn is_finite_list(values: &dyn Array) -> bool {
    values.as_primitive_opt::<Float32Type>().is_none_or(|values| values.iter().flatten().all(f32::is_finite))
}
