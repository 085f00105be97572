//! Steps into tables: what every column holds, and the figures of real logs.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::support::{Bench, episode, step};
use arrow::array::{Array, AsArray};
use tollgate_contract::{ArtifactKind, EpisodeRow, StepRow, TaskRow};
use tollgate_import::{ImportPlan, LogFormat, SplitBy, SplitRule};
use tollgate_routing::{CostSource, Ending, NanoUsd, Provenance, Split};
use tollgate_trajectory::{ArtifactReader, read_rows};

fn bench() -> Bench {
    Bench::new(LogFormat::StepsJsonl)
}

/// One text column of an artifact.
fn column(bench: &Bench, kind: ArtifactKind, name: &str) -> Vec<Option<String>> {
    let reader = ArtifactReader::open(&bench.options.out.join(kind.file_name()), kind).unwrap();
    let mut values = Vec::new();
    for batch in reader.batches().unwrap() {
        let batch = batch.unwrap();
        let texts =
            arrow::compute::cast(batch.column_by_name(name).unwrap(), &arrow::datatypes::DataType::Utf8).unwrap();
        let texts = texts.as_string::<i32>();
        values.extend((0..texts.len()).map(|row| texts.is_valid(row).then(|| texts.value(row).to_owned())));
    }
    values
}

const INTERCODE: &str = r#"{"dataset":"intercode","task_id":"sql/3","domain":"sql","model":"large","scaffold":"try_again","trial":0,"step_index":0,"n_steps":2,"max_steps":10,"task_text":"Count the \"conductors\".","hardness":"easy","observation":null,"prev_reward":null,"action":"SELECT 1","action_valid":false,"step_reward":0.0,"next_observation":"Error: secret-of-the-future","prompt_tokens":530,"completion_tokens":16,"cost_usd":0.01686,"token_source":"estimated_cl100k","terminal_reward":1.0,"success":true,"group":"orchestra"}
{"dataset":"intercode","task_id":"sql/3","domain":"sql","model":"large","scaffold":"try_again","trial":0,"step_index":1,"n_steps":2,"max_steps":10,"task_text":null,"hardness":null,"observation":"Error: secret-of-the-future","prev_reward":0.123,"action":"SELECT 2","action_valid":true,"step_reward":0.987,"next_observation":"[(3,)]","prompt_tokens":617,"cached_tokens":500,"completion_tokens":9,"cost_usd":0.01905,"token_source":"estimated_cl100k","terminal_reward":1.0,"success":true,"group":"orchestra"}
"#;

#[test]
fn every_field_has_its_column() {
    let mut bench = bench();
    bench.log("a.jsonl", INTERCODE);
    let report = bench.import().unwrap();
    let out = &bench.options.out;
    let tasks: Vec<TaskRow> = read_rows(&out.join("tasks.parquet")).unwrap();
    let [task] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!(
        (task.id.as_str(), &*task.environment, &*task.instruction),
        ("sql/3", "intercode", "Count the \"conductors\".")
    );
    assert_eq!((task.horizon, task.kind.as_deref(), task.group.as_deref()), (10, Some("easy"), Some("orchestra")));
    let episodes: Vec<EpisodeRow> = read_rows(&out.join("episodes.parquet")).unwrap();
    let [episode] = episodes.as_slice() else { panic!("{episodes:?}") };
    assert_eq!((episode.episode_id.as_str(), &*episode.policy_id, episode.seed), ("sql/3@large#0", "always-large", 0));
    assert_eq!((episode.n_steps, episode.n_large_calls, episode.ending), (2, 2, Ending::Terminated));
    assert_eq!((episode.is_success, episode.total_cost), (true, NanoUsd::new(35_910_000)));
    let steps: Vec<StepRow> = read_rows(&out.join("steps.parquet")).unwrap();
    assert_eq!(steps[0].step.turn.observation.text, "Count the \"conductors\".");
    assert_eq!(steps[1].step.turn.observation.text, "Error: secret-of-the-future");
    let usage = steps[1].step.turn.usage;
    assert_eq!((usage.input_tokens, usage.cached_input_tokens, usage.output_tokens), (117, 500, 9));
    assert_eq!((steps[1].step.reward, &*steps[1].model_id), (0.987, "large"));
    assert!(steps.iter().all(|row| row.step.provenance == Provenance::Logged));
    assert!(steps.iter().all(|row| row.step.cost_source == CostSource::Estimated));
    assert_eq!(
        column(&bench, ArtifactKind::Steps, "source_model"),
        [Some("large".to_owned()), Some("large".to_owned())]
    );
    let extra = r#"{"prev_reward":0.123,"action_valid":true,"next_observation":"[(3,)]"}"#;
    assert_eq!(column(&bench, ArtifactKind::Steps, "extra")[1].as_deref(), Some(extra));
    let extra = r#"{"domain":"sql","scaffold":"try_again","token_source":"estimated_cl100k"}"#;
    assert_eq!(column(&bench, ArtifactKind::Episodes, "extra"), [Some(extra.to_owned())]);
    let model = &report.models[0];
    assert_eq!((model.n_off_price, model.rounding_usd.abs() < 1e-15), (0, true));
}

/// The agent was shown the reward; no deployment has one.
#[test]
fn rewards_never_reach_what_a_router_reads() {
    let mut bench = bench();
    bench.log("a.jsonl", INTERCODE);
    bench.import().unwrap();
    let steps: Vec<StepRow> = read_rows(&bench.options.out.join("steps.parquet")).unwrap();
    for row in steps {
        let turn = row.step.turn;
        for reward in ["0.123", "0.987", "reward"] {
            assert!(!turn.observation.text.contains(reward) && !turn.completion.contains(reward));
        }
        assert!(turn.observation.signals.is_empty());
        assert!(row.step_idx > 0 || !turn.observation.text.contains("secret-of-the-future"));
    }
}

#[test]
fn fields_that_the_map_names_stand_behind_the_words() {
    let mut bench = bench();
    bench.plan.shown_fields = vec!["obs_error".to_owned()];
    bench.plan.completion_fields = vec!["tool_names".to_owned()];
    let fields = "\"obs_error\":\"no \\\"such\\\" file\",\"tool_names\":[\"read\"],\"n_steps\"";
    bench.log("a.jsonl", step("t", "small", 0, 1).replace("\"n_steps\"", fields));
    bench.import().unwrap();
    let steps: Vec<StepRow> = read_rows(&bench.options.out.join("steps.parquet")).unwrap();
    assert_eq!(steps[0].step.turn.observation.text, "seen 0\nobs_error: no \"such\" file");
    assert_eq!(steps[0].step.turn.completion, "do 0\ntool_names: [\"read\"]");
}

#[test]
fn costs_of_different_sources_stay_apart() {
    let mut bench = bench();
    let recorded = episode("b", "small", 1).replace("estimated", "recorded").replace("0.00152", "0.5");
    bench.log("a.jsonl", episode("a", "small", 1) + &recorded);
    let report = bench.import().unwrap();
    let found: Vec<_> = report.models.iter().map(|model| (model.cost_source, model.total_cost_nano_usd)).collect();
    assert_eq!(found, [("estimated", Some(1_520_000)), ("recorded", Some(500_000_000))]);
    let mut bench = self::bench();
    let mixed = step("a", "small", 0, 2) + &step("a", "small", 1, 2).replace("estimated", "recorded");
    bench.log("a.jsonl", mixed);
    let report = bench.import().unwrap();
    assert_eq!((report.models[0].cost_source, report.models[0].mean_cost_usd), ("mixed", None));
}

#[test]
fn an_estimate_that_is_not_tokens_times_price_is_reported() {
    let mut bench = bench();
    bench.log("a.jsonl", episode("a", "small", 2).replacen("0.00152", "0.00153", 1));
    let report = bench.import().unwrap();
    let expected =
        "1 of 2 estimated steps of `small` do not cost tokens times price; the most is 10000 nano-dollars off";
    assert_eq!(report.warnings, [expected]);
}

#[test]
fn without_a_map_the_models_are_the_pool_by_price() {
    let mut bench = bench();
    bench.plan.pool = None;
    bench.log("a.jsonl", episode("a", "large", 1) + &episode("a", "small", 1));
    let report = bench.import().unwrap();
    assert_eq!(report.pool, ["small", "large"]);
    assert!(report.assumptions[0].starts_with("no pool was named: the log's models by mean price per token"));
    let episodes: Vec<EpisodeRow> = read_rows(&bench.options.out.join("episodes.parquet")).unwrap();
    let policies: Vec<&str> = episodes.iter().map(|episode| &*episode.policy_id).collect();
    assert_eq!(policies, ["always-large", "always-small"]);
}

#[test]
fn an_import_of_the_same_log_gives_the_same_bytes() {
    let log: String = (0..300).map(|task| episode(&format!("t{task}"), "small", 1 + task % 5)).collect();
    let bytes = || {
        let mut bench = bench();
        bench.log("a.jsonl", &log);
        bench.import().unwrap();
        ["tasks", "episodes", "steps"]
            .map(|name| std::fs::read(bench.options.out.join(format!("{name}.parquet"))).unwrap())
    };
    assert!(bytes() == bytes());
}

#[test]
fn groups_are_split_as_a_whole() {
    let mut bench = bench();
    bench.plan.split = SplitRule {
        by: SplitBy::Group,
        listed: HashMap::from([("g0".to_owned(), Split::Unseen)]),
        ..SplitRule::default()
    };
    let row = |task: u32| {
        let group = format!("\"group\":\"g{}\",\"n_steps\"", task % 6);
        step(&format!("t{task}"), "small", 0, 1).replace("\"n_steps\"", &group)
    };
    bench.log("a.jsonl", (0..60).map(row).collect::<String>());
    let report = bench.import().unwrap();
    let found: Vec<_> = report.splits.iter().map(|split| (split.split, split.n_tasks)).collect();
    assert_eq!(found, [("train", 30), ("validation", 10), ("test", 10), ("unseen", 10)]);
    let tasks: Vec<TaskRow> = read_rows(&bench.options.out.join("tasks.parquet")).unwrap();
    let episodes: Vec<EpisodeRow> = read_rows(&bench.options.out.join("episodes.parquet")).unwrap();
    let mut by_group: HashMap<_, Split> = HashMap::new();
    for (task, episode) in tasks.iter().zip(&episodes) {
        assert_eq!((&task.id, task.split), (&episode.task_id, episode.split));
        assert_eq!(*by_group.entry(task.group.clone()).or_insert(task.split), task.split);
    }
    assert_eq!(by_group[&Some("g0".into())], Split::Unseen);
}

/// Development data beside the workspace, where it is.
fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(path);
    if !path.exists() {
        eprintln!("{} is not there: its figures are not checked", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn the_figures_of_intercode_are_those_of_its_readme() {
    let Some(path) = shared("intercode_sql/dev_steps.jsonl.gz") else { return };
    let mut bench = bench();
    bench.plan = ImportPlan::default();
    bench.options.is_strict = true;
    bench.existing(path);
    let report = bench.import().unwrap();
    assert_eq!((report.n_rows, report.n_steps, report.n_episodes, report.n_tasks), (7094, 7094, 1120, 560));
    let found: Vec<String> = report
        .models
        .iter()
        .map(|model| {
            let cost = model.mean_cost_usd.unwrap();
            format!("{} {} {} {:.3} ${cost:.6}", model.model, model.cost_source, model.n_episodes, model.success_rate)
        })
        .collect();
    assert_eq!(found, ["gpt-3.5-turbo estimated 560 0.480 $0.003085", "gpt-4 estimated 560 0.746 $0.139817"]);
    assert!(report.models.iter().all(|model| model.rounding_usd.abs() < 1e-12));
    assert_eq!(report.pool, ["gpt-3.5-turbo", "gpt-4"]);
    let episodes: Vec<EpisodeRow> = read_rows(&bench.options.out.join("episodes.parquet")).unwrap();
    let solved = |policy: &str| -> HashMap<&str, bool> {
        let of_policy = episodes.iter().filter(|episode| *episode.policy_id == *policy);
        of_policy.map(|episode| (episode.task_id.as_str(), episode.is_success)).collect()
    };
    let (small, large) = (solved("always-small"), solved("always-large"));
    let count =
        |by_small, by_large| small.iter().filter(|(task, by)| **by == by_small && large[*task] == by_large).count();
    assert_eq!([count(true, true), count(false, true), count(true, false), count(false, false)], [247, 171, 22, 120]);
}

#[test]
fn agentdojo_keeps_models_without_a_price_out() {
    let Some(path) = shared("agentdojo/dev_steps.jsonl.gz") else { return };
    let mut bench = bench();
    bench.existing(path);
    let report = bench.import().unwrap();
    assert_eq!(report.n_rows, 5583);
    assert_eq!(report.n_steps + report.skipped.values().sum::<u64>(), 5583);
    assert!(report.models.iter().all(|model| model.mean_cost_usd.unwrap() > 0.0));
    assert!(report.models.iter().all(|model| model.rounding_usd.abs() < 1e-6));
}
