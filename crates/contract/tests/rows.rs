//! Rows to batches and back, requests, and digests.

#![expect(clippy::unwrap_used, reason = "a test file: helpers fail as tests do")]

mod exhibits;

use std::fmt::Debug;
use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::not;
use arrow::datatypes::Float64Type;
use exhibits::{episodes, evaluations, examples, frontier, labels, steps, tasks, training_log};
use tollgate_contract::{
    ArtifactKind, ArtifactRow, ColumnType, ContractError, Digest, EpisodeRow, Manifest, ProductKind, Slot,
    StageRequest, StepRow, shortest_double,
};
use tollgate_routing::{Ending, Model, ModelPool, NanoUsd, Prices};

#[track_caller]
fn check_round_trip<R: ArtifactRow + Debug + PartialEq>(rows: &[R]) {
    let batch = R::to_batch(rows).unwrap();
    assert_eq!(batch.schema(), R::KIND.schema());
    assert_eq!(R::from_batch(&batch).unwrap(), rows);
    assert_eq!(R::from_batch(&R::to_batch(&[]).unwrap()).unwrap(), []);
}

#[test]
fn rows_of_every_artifact_survive_the_way_to_arrow_and_back() {
    check_round_trip(&tasks());
    check_round_trip(&episodes());
    check_round_trip(&steps());
    check_round_trip(&labels());
    check_round_trip(&examples());
    check_round_trip(&training_log());
    check_round_trip(&evaluations());
    check_round_trip(&frontier());
}

#[test]
fn the_columns_that_outside_checks_rely_on_are_there() {
    let required = [
        (ArtifactKind::Tasks, "task_id environment split seed instruction horizon"),
        (
            ArtifactKind::Evaluations,
            "episode_id task_id environment split policy_id seed lambda budget_kind budget_value n_steps n_large_calls is_success score terminated truncated total_cost_nano_usd is_violation",
        ),
        (
            ArtifactKind::Steps,
            "episode_id step_idx action model_id log_prob observation completion input_tokens cached_input_tokens cache_write_tokens output_tokens cost_nano_usd remaining_nano_usd latency_ms reward",
        ),
        (
            ArtifactKind::BoundaryLabels,
            "task_id difficulty is_contested small_successes small_episodes large_successes large_episodes small_mean_cost_nano_usd large_mean_cost_nano_usd",
        ),
        (ArtifactKind::SftExamples, "task_id episode_id step_idx difficulty action weight"),
    ];
    for (kind, names) in required {
        for name in names.split(' ') {
            assert!(kind.column(name).is_some(), "{kind}: {name}");
        }
    }
}

#[test]
fn names_that_join_artifacts_have_one_type_in_all_of_them() {
    for kind in ArtifactKind::ALL {
        for column in kind.columns().iter().filter(|column| column.name.ends_with("_id")) {
            assert_eq!(column.column_type, ColumnType::Id, "{kind}: {}", column.name);
        }
    }
}

#[test]
fn every_ending_is_read_back_and_one_that_contradicts_its_flags_is_refused() {
    for ending in Ending::ALL {
        check_round_trip(&[EpisodeRow { ending, ..episodes().remove(3) }]);
    }
    let batch = EpisodeRow::to_batch(&[EpisodeRow { ending: Ending::GaveUp, ..episodes().remove(3) }]).unwrap();
    let is_flag = |name: &str| ["terminated", "truncated"].contains(&name);
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| -> ArrayRef {
        if is_flag(field.name()) { Arc::new(not(column.as_boolean()).unwrap()) } else { column.clone() }
    });
    let flipped = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
    let error = EpisodeRow::from_batch(&flipped).unwrap_err().to_string();
    assert!(error.starts_with("column `ending` is `gave_up` in row 0, expected `terminated`"), "{error}");
}

#[test]
fn lambda_is_written_as_people_type_it() {
    let batch = EpisodeRow::to_batch(&episodes()).unwrap();
    let lambda = batch.column_by_name("lambda").unwrap().as_primitive::<Float64Type>().value(0);
    assert_eq!(lambda.to_bits(), 0.3_f64.to_bits());
    let mut value = 0.05_f32;
    while value < 1.3 {
        assert_eq!((shortest_double(value) as f32).to_bits(), value.to_bits());
        value *= 1.000_37;
    }
}

#[test]
fn a_count_or_amount_beyond_its_column_is_refused() {
    let mut rows = steps();
    rows[2].step.turn.usage.output_tokens = u32::MAX;
    let error = StepRow::to_batch(&rows).unwrap_err().to_string();
    assert!(error.starts_with("column `output_tokens` is 4294967295 in row 2, expected at most 2^31 - 1"), "{error}");
    let mut rows = steps();
    rows[1].step.turn.cost = NanoUsd::new(u64::MAX);
    let error = StepRow::to_batch(&rows).unwrap_err().to_string();
    assert!(error.ends_with("hint: money is integer nano-dollars; see docs/contract/steps.md"), "{error}");
}

#[test]
fn an_episode_and_its_rows_say_the_same() {
    let model = |id, output| Model::new(id, Prices::per_million_usd(0.4, 0.1, 0.4, output).unwrap()).unwrap();
    let pool = ModelPool::new(vec![model("gpt-4.1-mini", 1.6), model("gpt-4.1", 8.0)]).unwrap();
    let of_first = || steps().into_iter().filter(|row| row.episode_id.as_str() == "e-0").collect::<Vec<_>>();
    let episode = episodes().remove(0).into_episode(tasks().remove(0), of_first());
    assert_eq!(EpisodeRow::of(&episode, pool.large()), episodes()[0]);
    assert_eq!(StepRow::of(&episode, &pool).collect::<Vec<_>>(), of_first());
}

fn request_json() -> serde_json::Value {
    let digest = Digest::of_bytes(b"episodes").to_string();
    serde_json::json!({
        "contract_version": 1, "slot": "classify", "seed": u64::MAX,
        "inputs": [{"kind": "episodes", "path": "run/simulate/episodes.parquet", "digest": digest}],
        "output_dir": "run/classify.partial", "config": {"stage": {"easy": 0.6}},
    })
}

fn read(json: &serde_json::Value) -> Result<StageRequest, ContractError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("request.json");
    fs::write(&path, json.to_string()).unwrap();
    StageRequest::read(&path)
}

#[test]
fn a_request_leads_to_a_manifest_that_reads_back() {
    let request = read(&request_json()).unwrap();
    request.check_slot(Slot::Classify).unwrap();
    assert_eq!(request.seed, u64::MAX);
    assert_eq!(request.input(ArtifactKind::Episodes).unwrap().to_str(), Some("run/simulate/episodes.parquet"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&request.to_json().unwrap()).unwrap(), request_json());
    let manifest = Manifest::of(&request, 3, Vec::new(), [("n_easy".to_owned(), 2)].into());
    let directory = tempfile::tempdir().unwrap();
    manifest.write(directory.path()).unwrap();
    assert_eq!(Manifest::read(directory.path()).unwrap(), manifest);
}

#[track_caller]
fn check_request_refused(key: &str, value: serde_json::Value, expected: &str) {
    let mut json = request_json();
    json[key] = value;
    let error = read(&json).unwrap_err().to_string();
    assert!(error.contains(expected) && error.contains("\nhint: "), "{error}");
}

#[test]
fn a_request_that_is_not_one_is_refused() {
    check_request_refused("sed", 1.into(), "unknown field `sed`");
    check_request_refused("seed", "1".into(), "expected u64");
    check_request_refused("contract_version", 2.into(), "contract version is 2, expected 1 to 1");
    let input = |kind: &str, digest: &str| serde_json::json!([{"kind": kind, "path": "p", "digest": digest}]);
    check_request_refused("inputs", input("episode", &"0".repeat(64)), "kind is `episode`, expected one of `tasks`");
    check_request_refused("inputs", input("episodes", "12"), "digest is `12`, expected 64 hexadecimal digits");
}

#[test]
fn a_request_for_another_slot_or_without_an_input_is_refused() {
    let mut request = read(&request_json()).unwrap();
    assert!(matches!(
        request.check_slot(Slot::Simulate),
        Err(ContractError::WrongSlot { found: Slot::Classify, expected: Slot::Simulate })
    ));
    request.inputs.clear();
    assert!(matches!(request.check_slot(Slot::Classify), Err(ContractError::MissingInput { .. })));
}

#[test]
fn every_input_of_a_slot_but_the_tasks_comes_from_an_earlier_slot() {
    for slot in Slot::ALL {
        for &input in slot.inputs() {
            match Slot::producer(input) {
                Some(producer) => assert!(producer < slot, "{slot} reads {input} of {producer}"),
                None => assert_eq!(input, ProductKind::Artifact(ArtifactKind::Tasks)),
            }
        }
    }
}

#[test]
fn a_directory_s_digest_covers_names_and_contents() {
    let digest = |files: &[(&str, &str)]| {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Digest::of_path(directory.path()).unwrap()
    };
    let reference = digest(&[("a", "1"), ("b/c", "2")]);
    assert_eq!(digest(&[("b/c", "2"), ("a", "1")]), reference);
    for other in [&[("a", "1"), ("b/d", "2")], &[("a", "1"), ("b/c", "3")], &[("a", "2"), ("b/c", "1")]] {
        assert_ne!(digest(other), reference);
    }
}
