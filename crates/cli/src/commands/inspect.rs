//! `tollgate inspect`: what is in an artifact.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{ContentArrangement, Table, presets};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use tollgate_contract::ArtifactKind;
use tollgate_trajectory::{ArtifactReader, KIND_KEY, TrajectoryError};

use crate::args::InspectArgs;
use crate::failure::OrBadInput;
use crate::output;

/// The longest text that a cell of the head shows.
const MAX_CELL_CHARS: usize = 48;

/// Runs the command.
pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let path = &args.file;
    let builder = open(path)?;
    let footer = builder.metadata().file_metadata();
    // The Arrow schema is in the footer too, as base64 that nobody reads.
    let keys = footer.key_value_metadata().into_iter().flatten().filter(|entry| entry.key != "ARROW:schema");
    let keys: Vec<(String, String)> =
        keys.map(|entry| (entry.key.clone(), entry.value.clone().unwrap_or_default())).collect();
    let kind = keys.iter().find(|(key, _)| key == KIND_KEY).and_then(|(_, value)| ArtifactKind::from_name(value));
    if let Some(kind) = kind {
        // A file that breaks its contract is told apart before its rows are shown.
        ArtifactReader::open(path, kind).or_bad_input()?;
    }
    let mut text = format!("{}: {} rows\n", path.display(), footer.num_rows());
    for (key, value) in keys {
        text.extend([&key, " = ", &value, "\n"]);
    }
    output::print(&text)?;
    output::print_table(&schema_table(kind, &builder))?;
    if args.rows > 0
        && let Some(batch) = head(path, builder, args.rows)?
    {
        output::print_table(&head_table(&batch)?)?;
    }
    Ok(())
}

/// The first rows, at most `n_rows`; `None` where there are none.
fn head(
    path: &Path,
    builder: ParquetRecordBatchReaderBuilder<File>,
    n_rows: usize,
) -> anyhow::Result<Option<RecordBatch>> {
    let read = || Ok(builder.with_batch_size(n_rows).build()?.next().transpose()?);
    // The decoder panics on some damaged pages, and on places of pages that cannot be.
    let head = catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("a page cannot be decoded".to_owned())));
    head.map_err(|source| TrajectoryError::Corrupt { path: path.to_owned(), source }).or_bad_input()
}

fn open(path: &Path) -> anyhow::Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display())).or_bad_input()?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| {
            anyhow::anyhow!("{}: {error}\nhint: only whole Parquet files can be inspected", path.display())
        })
        .or_bad_input()
}

fn schema_table(kind: Option<ArtifactKind>, builder: &ParquetRecordBatchReaderBuilder<File>) -> Table {
    let mut table = output::table(["column", "type", "nullable", "meaning"]);
    for field in builder.schema().fields() {
        let meaning = kind.and_then(|kind| kind.column(field.name())).map_or("", |column| column.meaning);
        table.add_row([
            field.name().clone(),
            field.data_type().to_string(),
            if field.is_nullable() { "yes" } else { "no" }.to_owned(),
            meaning.to_owned(),
        ]);
    }
    table
}

/// The rows of `batch`, one line per column: artifacts are wider than terminals.
fn head_table(batch: &RecordBatch) -> anyhow::Result<Table> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    let rows = (0..batch.num_rows()).map(|row| format!("row {row}"));
    table.set_header(std::iter::once("column".to_owned()).chain(rows));
    let options = FormatOptions::default().with_null("null");
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let formatter = ArrayFormatter::try_new(column, &options)?;
        let cells = (0..batch.num_rows()).map(|row| shortened(&formatter.value(row).to_string()));
        table.add_row(std::iter::once(field.name().clone()).chain(cells));
    }
    Ok(table)
}

fn shortened(text: &str) -> String {
    let line = text.replace('\n', " ");
    if line.chars().count() <= MAX_CELL_CHARS {
        return line;
    }
    let head: String = line.chars().take(MAX_CELL_CHARS - 1).collect();
    format!("{head}…")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tollgate_contract::TaskRow;
    use tollgate_routing::{Split, TaskId};

    use super::*;

    fn task(position: u64) -> TaskRow {
        TaskRow {
            id: TaskId::new(&format!("task-{position}")),
            environment: "household".into(),
            split: Split::Train,
            seed: position,
            instruction: "put a mug on the desk".into(),
            horizon: 30,
            kind: position.is_multiple_of(2).then(|| "put".into()),
            group: None,
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tasks.parquet");
        tollgate_trajectory::write_rows(&path, (0..4).map(task)).unwrap();
        let whole = fs::read(&path).unwrap();
        let head_of = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            head(&path, open(&path)?, 3)
        };
        assert_eq!(head_of(&whole).unwrap().map(|batch| batch.num_rows()), Some(3));
        for position in 4..whole.len() - 8 {
            let mut damaged = whole.clone();
            damaged[position] ^= 0xff;
            if let Err(error) = head_of(&damaged) {
                let error = error.to_string();
                assert!(error.contains("tasks.parquet: ") && error.contains("\nhint: "), "{error}");
            }
        }
    }
}
