//! Artifacts written, read, refused.

#![expect(clippy::unwrap_used, reason = "a test file: helpers fail as tests do")]

#[expect(dead_code, reason = "shared with the museum, which shows more of it")]
#[path = "../../contract/tests/exhibits/mod.rs"]
mod exhibits;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use tempfile::TempDir;
use tollgate_contract::{
    ArtifactKind, ArtifactRow, CONTRACT_VERSION, Digest, EpisodeRow, ProductKind, RequestInput, Slot, StageRequest,
    StepRow, TaskRow,
};
use tollgate_trajectory::{
    ArtifactReader, ArtifactWriter, KIND_KEY, TrajectoryError, VERSION_KEY, read_rows, validate_slot, write_rows,
};

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Writes columns as another program would, with the footer keys given.
fn write_foreign(path: &Path, columns: Vec<(&str, ArrayRef)>, keys: &[(&str, &str)]) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let keys = keys.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned())).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(keys)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The exhibits' tasks with one column exchanged, added or, without an array, removed.
fn tasks_with(column: &'static str, array: Option<ArrayRef>) -> Vec<(&'static str, ArrayRef)> {
    let batch = TaskRow::to_batch(&exhibits::tasks()).unwrap();
    let mut columns: Vec<_> = ArtifactKind::Tasks
        .columns()
        .iter()
        .map(|known| (known.name, batch.column_by_name(known.name).unwrap().clone()))
        .filter(|(name, _)| *name != column)
        .collect();
    columns.extend(array.map(|array| (column, array)));
    columns
}

const TASK_KEYS: [(&str, &str); 2] = [(KIND_KEY, "tasks"), (VERSION_KEY, "1")];

#[track_caller]
fn check_refused(path: &Path, expected: &str) {
    let error = read_rows::<TaskRow>(path).unwrap_err().to_string();
    let shown = error.replace(path.to_str().unwrap(), "PATH");
    assert!(shown.starts_with(expected), "{shown}");
    assert!(shown.contains("\nhint: "), "{shown}");
}

#[test]
fn equal_rows_give_equal_bytes_however_they_are_handed_over() {
    let run = directory();
    let rows = || (0..10_000_u64).map(|seed| TaskRow { seed, ..exhibits::tasks()[0].clone() });
    let whole = write_rows(&run.path().join("a.parquet"), rows()).unwrap();
    let mut writer = ArtifactWriter::create(&run.path().join("b.parquet")).unwrap();
    writer.write_all(rows().take(5_000)).unwrap();
    rows().skip(5_000).for_each(|row| writer.write(row).unwrap());
    let parts = writer.finish().unwrap();
    assert_eq!((whole.digest, whole.rows, whole.bytes), (parts.digest, parts.rows, parts.bytes));
    assert_eq!(Digest::of_path(&whole.path).unwrap(), whole.digest);
    assert_eq!(fs::metadata(&whole.path).unwrap().len(), whole.bytes);
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing_and_the_old_file_alone() {
    let run = directory();
    let path = run.path().join("tasks.parquet");
    write_rows(&path, exhibits::tasks()).unwrap();
    let mut writer = ArtifactWriter::create(&path).unwrap();
    writer.write_all((0..9_000).map(|_| exhibits::tasks().remove(0))).unwrap();
    drop(writer);
    assert_eq!(names(run.path()), ["tasks.parquet"]);
    assert_eq!(read_rows::<TaskRow>(&path).unwrap(), exhibits::tasks());
}

#[test]
fn the_footer_says_what_the_file_is_in_plain_key_values() {
    let run = directory();
    let path = write_rows(&run.path().join("steps.parquet"), exhibits::steps()).unwrap().path;
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let metadata = reader.metadata();
    let keys = metadata.file_metadata().key_value_metadata().unwrap().iter();
    let keys: BTreeMap<_, _> = keys.map(|entry| (entry.key.as_str(), entry.value.as_deref().unwrap())).collect();
    assert_eq!((keys[KIND_KEY], keys[VERSION_KEY]), ("steps", "1"));
    let column = metadata.row_group(0).column(6);
    assert!(column.column_index_offset().is_some() && column.offset_index_offset().is_some());
    assert!(column.statistics().is_some());
    assert!(column.compression().to_string().starts_with("ZSTD"), "{}", column.compression());
}

#[test]
fn a_projection_reads_only_the_columns_it_names() {
    let run = directory();
    let path = write_rows(&run.path().join("steps.parquet"), exhibits::steps()).unwrap().path;
    let open = || ArtifactReader::open(&path, ArtifactKind::Steps).unwrap();
    let mut batches = open().with_columns(&["cost_nano_usd", "episode_id"]).unwrap().batches().unwrap();
    let batch = batches.next().unwrap().unwrap();
    let schema = batch.schema();
    assert_eq!(
        schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(),
        ["episode_id", "cost_nano_usd"]
    );
    assert_eq!((batch.num_rows(), open().n_rows()), (4, 4));
    let error = open().with_columns(&["cost_usd"]).err().unwrap().to_string();
    assert!(error.contains("steps has no column `cost_usd`"), "{error}");
}

#[test]
fn unknown_columns_are_ignored_and_missing_nullable_ones_read_as_null() {
    let run = directory();
    let path = run.path().join("tasks.parquet");
    write_foreign(&path, tasks_with("colour", Some(Arc::new(Int64Array::from(vec![1, 2])))), &TASK_KEYS);
    assert_eq!(read_rows::<TaskRow>(&path).unwrap(), exhibits::tasks());

    let batch = EpisodeRow::to_batch(&exhibits::episodes()[..2]).unwrap();
    let columns = batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let kept = columns.iter().filter(|name| *name != "ending");
    let columns = kept.map(|name| (name.as_str(), batch.column_by_name(name).unwrap().clone())).collect();
    let path = run.path().join("episodes.parquet");
    write_foreign(&path, columns, &[(KIND_KEY, "episodes"), (VERSION_KEY, "1")]);
    assert_eq!(read_rows::<EpisodeRow>(&path).unwrap(), exhibits::episodes()[..2]);
}

#[test]
fn text_may_be_stored_in_any_of_arrow_s_ways() {
    let run = directory();
    let path = run.path().join("tasks.parquet");
    let as_large = cast(&tasks_with("", None)[1].1, &DataType::LargeUtf8).unwrap();
    write_foreign(&path, tasks_with("environment", Some(as_large)), &TASK_KEYS);
    assert_eq!(read_rows::<TaskRow>(&path).unwrap(), exhibits::tasks());
    let as_view = Arc::new(StringViewArray::from(vec!["household"; 2]));
    write_foreign(&path, tasks_with("environment", Some(as_view)), &TASK_KEYS);
    assert_eq!(read_rows::<TaskRow>(&path).unwrap(), exhibits::tasks());
}

#[test]
fn a_column_that_is_missing_mistyped_or_null_is_named() {
    let run = directory();
    let path = run.path().join("tasks.parquet");
    write_foreign(&path, tasks_with("horizon", None), &TASK_KEYS);
    check_refused(&path, "PATH: column `horizon` is missing, expected type Int32\nhint: see docs/contract/tasks.md");
    let floats = Arc::new(Float64Array::from(vec![30.0, 30.0]));
    write_foreign(&path, tasks_with("horizon", Some(floats)), &TASK_KEYS);
    check_refused(&path, "PATH: column `horizon` has type Float64, expected Int32\nhint: see docs/contract/tasks.md");
    let view = Arc::new(StringViewArray::from(vec![Some("household"), None]));
    write_foreign(&path, tasks_with("environment", Some(view)), &TASK_KEYS);
    check_refused(&path, "PATH: column `environment` is null in row 1, expected a value in every row");
    let view = Arc::new(StringViewArray::from(vec!["train", "dev"]));
    write_foreign(&path, tasks_with("split", Some(view)), &TASK_KEYS);
    check_refused(&path, "PATH: column `split` is `dev` in row 1, expected `train`, `validation`, `test` or `unseen`");
}

#[test]
fn money_that_is_no_integer_is_refused_with_the_reason() {
    let run = directory();
    let path = run.path().join("steps.parquet");
    let batch = StepRow::to_batch(&exhibits::steps()).unwrap();
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| match field.name().as_str() {
        "cost_nano_usd" => ("cost_nano_usd", cast(array, &DataType::Float64).unwrap()),
        name => (name, array.clone()),
    });
    write_foreign(&path, columns.collect(), &[(KIND_KEY, "steps"), (VERSION_KEY, "1")]);
    let error = ArtifactReader::open(&path, ArtifactKind::Steps).err().unwrap().to_string();
    let expected = "steps.parquet: column `cost_nano_usd` has type Float64, expected Int64\nhint: money is integer nano-dollars; see docs/contract/steps.md";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn a_file_of_another_kind_version_or_origin_is_refused() {
    let run = directory();
    let path = run.path().join("tasks.parquet");
    write_rows(&path, exhibits::labels()).unwrap();
    check_refused(&path, "PATH: holds `boundary_labels`, expected `tasks`");
    write_foreign(&path, tasks_with("", None), &[(KIND_KEY, "tasks"), (VERSION_KEY, "2")]);
    check_refused(&path, "PATH: contract version is `2`, expected 1 to 1\nhint: a newer version of Tollgate wrote it");
    write_foreign(&path, tasks_with("", None), &[]);
    check_refused(&path, "PATH: footer has no key `tollgate.contract_version`");
}

#[test]
fn what_is_missing_foreign_or_cut_off_is_told_apart() {
    let run = directory();
    let path = run.path().join("tasks.parquet");
    check_refused(&path, "PATH: no such file, expected tasks\nhint: task sets come with the repository");
    fs::write(&path, "task_id,environment\n").unwrap();
    check_refused(&path, "PATH: not a Parquet file, expected tasks as Parquet");
    fs::write(&path, "").unwrap();
    check_refused(&path, "PATH: Parquet file is cut off after 0 bytes");
    write_rows(&path, exhibits::tasks()).unwrap();
    let whole = fs::read(&path).unwrap();
    for kept in [5, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..kept]).unwrap();
        check_refused(&path, &format!("PATH: Parquet file is cut off after {kept} bytes"));
    }
    let mut hollow = whole[..4].to_vec();
    hollow.extend_from_slice(&whole[whole.len() - 8..]);
    fs::write(&path, hollow).unwrap();
    check_refused(&path, "PATH: Parquet file is cut off after 12 bytes");
}

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let run = directory();
    let path = run.path().join("tasks.parquet");
    write_rows(&path, exhibits::tasks()).unwrap();
    let whole = fs::read(&path).unwrap();
    for position in (4..whole.len() - 8).step_by(3) {
        let mut damaged = whole.clone();
        damaged[position] ^= 0xff;
        fs::write(&path, damaged).unwrap();
        if let Err(error) = read_rows::<TaskRow>(&path) {
            assert!(error.to_string().contains("tasks.parquet: "), "{error}");
        }
    }
}

#[test]
fn three_hundred_thousand_steps_are_written_in_full() {
    let run = directory();
    let path = run.path().join("steps.parquet");
    let row = |n: u32| {
        let mut row = exhibits::steps().remove(0);
        row.episode_id = tollgate_routing::EpisodeId::new(&format!("episode-{}", n / 20));
        row.step_idx = n % 20;
        row.step.turn.observation.text =
            format!("In drawer {n} you see a fork {}.", n.wrapping_mul(2_654_435_761)).repeat(6);
        row
    };
    let written = write_rows(&path, (0..300_000).map(row)).unwrap();
    assert_eq!(written.rows, 300_000);
    let reader = ArtifactReader::open(&path, ArtifactKind::Steps).unwrap();
    let batches = reader.with_columns(&["step_idx"]).unwrap().batches().unwrap();
    assert_eq!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 300_000);
}

fn request(slot: Slot, inputs: &[(ArtifactKind, PathBuf)], output_dir: &Path) -> StageRequest {
    let input = |(kind, path): &(ArtifactKind, PathBuf)| RequestInput {
        kind: (*kind).into(),
        path: path.clone(),
        digest: Digest::of_path(path).unwrap(),
    };
    StageRequest {
        contract_version: CONTRACT_VERSION,
        slot,
        seed: 0,
        inputs: inputs.iter().map(input).collect(),
        output_dir: output_dir.to_owned(),
        config: serde_json::Value::Null,
    }
}

#[test]
fn a_slot_s_directory_is_described_for_its_manifest() {
    let run = directory();
    let tasks = write_rows(&run.path().join("tasks.parquet"), exhibits::tasks()).unwrap();
    let slot = run.path().join("simulate.partial");
    let episodes = write_rows(&slot.join("episodes.parquet"), exhibits::episodes()).unwrap();
    let steps = write_rows(&slot.join("steps.parquet"), exhibits::steps()).unwrap();
    let request = request(Slot::Simulate, &[(ArtifactKind::Tasks, tasks.path)], &slot);
    let contents = validate_slot(&request, &slot, Some(2)).unwrap();
    let outputs: Vec<_> = contents.outputs.iter().map(|output| (output.kind, output.digest, output.rows)).collect();
    let kind = ProductKind::Artifact;
    assert_eq!(
        outputs,
        [(kind(ArtifactKind::Episodes), episodes.digest, Some(4)), (kind(ArtifactKind::Steps), steps.digest, Some(4))]
    );
    let totals: Vec<_> = contents.totals.iter().map(|(name, &value)| (name.as_str(), value)).collect();
    assert_eq!(
        totals,
        [
            ("n_episodes", 4),
            ("n_large_calls", 1),
            ("n_steps", 4),
            ("n_successes", 1),
            ("n_tokens", 4 * 979),
            ("n_violations", 0),
            ("total_cost_nano_usd", 3_800_000)
        ]
    );
}

#[test]
fn a_slot_without_one_of_its_outputs_is_refused() {
    let run = directory();
    write_rows(&run.path().join("training_log.parquet"), exhibits::training_log()).unwrap();
    let request = request(Slot::Optimize, &[], run.path());
    let validate = || validate_slot(&request, run.path(), None);
    assert!(matches!(validate(), Err(TrajectoryError::Missing { what: ProductKind::Checkpoint, .. })));
    fs::create_dir(run.path().join("checkpoint")).unwrap();
    assert!(matches!(validate(), Err(TrajectoryError::Empty { what: ProductKind::Checkpoint, .. })));
    fs::write(run.path().join("checkpoint/policy.json"), "{}").unwrap();
    let contents = validate().unwrap();
    assert_eq!(
        contents.outputs.iter().map(|output| (output.bytes > 0, output.rows)).collect::<Vec<_>>(),
        [(true, None), (true, Some(3))]
    );
}

#[test]
fn labels_that_rest_on_more_probes_than_were_played_are_refused() {
    let run = directory();
    let episodes = write_rows(&run.path().join("episodes.parquet"), exhibits::episodes()).unwrap();
    let slot = run.path().join("classify.partial");
    let mut labels = exhibits::labels();
    labels[0].small.episodes = 5;
    write_rows(&slot.join("boundary_labels.parquet"), labels).unwrap();
    let request = request(Slot::Classify, &[(ArtifactKind::Episodes, episodes.path)], &slot);
    let error = validate_slot(&request, &slot, None).unwrap_err().to_string();
    let expected = "boundary_labels.parquet: task `household-train-0`: rests on 5 probes of `always-small`, expected at most the 1 in `episodes`";
    assert!(error.contains(expected), "{error}");
}
