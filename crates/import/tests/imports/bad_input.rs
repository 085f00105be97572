//! What is wrong with logs, and what becomes of the rest.

use std::fs;
use std::io::Write;

use crate::support::{Bench, episode, step};
use flate2::Compression;
use flate2::write::GzEncoder;
use tollgate_contract::{EpisodeRow, StepRow};
use tollgate_import::{LogFormat, Reason};
use tollgate_trajectory::read_rows;

fn bench() -> Bench {
    Bench::new(LogFormat::StepsJsonl)
}

/// Imports one good episode and `bad`: the good one is kept and `expected` is skipped; strictly, nothing is imported.
#[track_caller]
fn check(bad: impl AsRef<[u8]>, expected: &[&str]) {
    let good = episode("good", "small", 2);
    let mut bench = bench();
    bench.log("a.jsonl", [good.as_bytes(), bad.as_ref()].concat());
    assert_eq!(bench.skipped(), expected);
    let episodes: Vec<EpisodeRow> = read_rows(&bench.options.out.join("episodes.parquet")).unwrap();
    assert_eq!(episodes[0].episode_id.as_str(), "good@small#0");
    fs::remove_dir_all(&bench.options.out).unwrap();
    bench.options.is_strict = true;
    let first = bench.refused();
    assert!(first.starts_with(expected[0]), "{first}");
}

/// A step of the episode `bad` with a field written otherwise.
fn with(field: &str, value: &str) -> String {
    let step = step("bad", "small", 0, 1);
    let start = step.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
    let end = start + step[start..].find([',', '}']).unwrap();
    format!("{}{value}{}", &step[..start], &step[end..])
}

#[test]
fn rows_that_are_no_json() {
    check("not json\n", &["a.jsonl:3: not_json: expected an object at byte 0"]);
    check("{\"task_id\":\"bad\"\n", &["a.jsonl:3: not_json: expected `,` or `}` at byte 16"]);
    let nan = "a.jsonl:3: not_json: NaN and infinity are no JSON at byte 154";
    check(with("cost_usd", "NaN"), &[nan]);
}

#[test]
fn rows_that_are_no_utf8() {
    check(b"{\"task_id\":\"\xff\"}\n", &["a.jsonl:3: not_utf8: invalid UTF-8 at byte 12"]);
}

#[test]
fn values_that_cannot_be() {
    let skipped = |detail: &str| format!("a.jsonl:3: {detail}");
    let check_field = |field, value, detail: &str| check(with(field, value), &[&skipped(detail)]);
    check_field("prompt_tokens", "null", "missing_usage: has no count of prompt tokens");
    check_field("prompt_tokens", "-5", "bad_tokens: -5 prompt tokens, expected 0 to 2^31 - 1");
    check_field("completion_tokens", "1.5", "bad_value: `completion_tokens` is 1.5, expected a whole number");
    check_field("cost_usd", "-0.1", "bad_cost: `cost_usd` is -0.1, expected 0 or more");
    check_field("cost_usd", "\"NaN\"", "bad_cost: `cost_usd` is \"NaN\", expected a number");
    check_field("terminal_reward", "1e999", "bad_value: `terminal_reward` is 1e999, expected a finite number");
    check_field(
        "terminal_reward",
        "1e39",
        "bad_value: episode `bad@small#0` has score 1000000000000000000000000000000000000000, expected 0 to 1 (the map's `outcome.score_range`)",
    );
    check_field("step_index", "-1", "bad_value: `step_index` is -1, expected 0 to 2^31 - 1");
    check_field("success", "\"yes\"", "bad_value: `success` is \"yes\", expected true or false");
    check_field("task_id", "null", "missing_field: has no `task_id`");
}

#[test]
fn a_reward_that_is_infinite_in_single_precision() {
    let huge = step("bad", "small", 0, 1).replace("\"n_steps\"", "\"step_reward\":1e39,\"n_steps\"");
    check(huge, &["a.jsonl:3: bad_value: `step_reward` is 1e39, expected -3.4e38 to 3.4e38"]);
}

#[test]
fn costs_whose_sum_no_table_holds() {
    let dear = episode("bad", "small", 20).replace("0.00152", "1e9");
    let refused = |line| {
        format!(
            "a.jsonl:{line}: bad_cost: episode `bad@small#0` costs more than $9.2 billion, the most that a table holds"
        )
    };
    // The report lists the first five of a reason.
    let expected: Vec<String> = (3..8).map(refused).collect();
    check(dear, &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn scores_outside_of_their_range() {
    let detail = "bad_value: episode `bad@small#0` has score 87, expected 0 to 1 (the map's `outcome.score_range`)";
    check(with("terminal_reward", "87"), &[&format!("a.jsonl:3: {detail}")]);
}

#[test]
fn a_bad_row_takes_its_episode_along() {
    let steps = [
        step("bad", "small", 0, 3),
        with("prompt_tokens", "null").replace("x\":0", "x\":1"),
        step("bad", "small", 2, 3),
    ];
    let broken = "broken_episode: episode `bad@small#0` has a bad row: a.jsonl:4: missing_usage";
    check(
        steps.concat().replace("\"n_steps\":1,", "\"n_steps\":3,"),
        &[
            "a.jsonl:4: missing_usage: has no count of prompt tokens",
            &format!("a.jsonl:3: {broken}"),
            &format!("a.jsonl:5: {broken}"),
        ],
    );
}

#[test]
fn an_episode_without_its_end_or_with_a_gap_is_left_out() {
    let incomplete = "a.jsonl:3: incomplete_episode: episode `bad@small#0` has 1 of its 2 steps";
    check(step("bad", "small", 0, 2), &[incomplete]);
    let gap = "a.jsonl:3: incomplete_episode: episode `bad@small#0` has no step 0";
    check(step("bad", "small", 1, 2), &[gap]);
}

#[test]
fn the_same_step_twice_is_kept_once() {
    let mut bench = bench();
    let (first, second) = (step("t", "small", 0, 2), step("t", "small", 1, 2));
    bench.log("a.jsonl", [&*first, &*first, &*second, &*second].concat());
    let expected = [
        "a.jsonl:2: duplicate_step: the same step as in line 1",
        "a.jsonl:4: late_step: episode `t@small#0` is complete already",
    ];
    assert_eq!(bench.skipped(), expected);
    let steps: Vec<StepRow> = read_rows(&bench.options.out.join("steps.parquet")).unwrap();
    assert_eq!(steps.len(), 2);
}

#[test]
fn a_step_that_comes_again_after_an_earlier_one_is_kept_once() {
    let mut bench = bench();
    bench.log("a.jsonl", [0, 2, 1, 2, 3].map(|index| step("t", "small", index, 4)).concat());
    assert_eq!(bench.skipped(), ["a.jsonl:4: duplicate_step: the same step as in line 2"]);
    let steps: Vec<StepRow> = read_rows(&bench.options.out.join("steps.parquet")).unwrap();
    assert_eq!(steps.len(), 4);
}

/// A step of an episode that the log names.
fn of_episode(episode: &str, step: &str) -> String {
    step.replacen('{', &format!("{{\"episode_id\":\"{episode}\","), 1)
}

#[test]
fn steps_of_two_tasks_break_their_episode() {
    let [first, second] = ["one", "two"].map(|task| step(task, "small", u32::from(task == "two"), 2));
    let broken = "broken_episode: episode `e` has a bad row: a.jsonl:4: conflicting_step";
    check(
        of_episode("e", &first) + &of_episode("e", &second),
        &[
            "a.jsonl:4: conflicting_step: a step of task `two`, but the episode's steps before it are of `one`",
            &format!("a.jsonl:3: {broken}"),
        ],
    );
}

#[test]
fn a_step_that_names_no_task_is_of_its_episodes_task() {
    let row = |task: &str| {
        format!(
            "{{\"episode_id\":\"e\",{task}\"success\":true,\"choices\":[{{\"message\":{{\"content\":\"a\"}}}}],\"model\":\"small\",\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":1}}}}\n"
        )
    };
    let mut bench = Bench::new(LogFormat::OpenAiJsonl);
    bench.log("a.jsonl", row("") + &row("\"task_id\":\"t\",") + &row(""));
    assert_eq!(bench.skipped(), [""; 0]);
    let episodes: Vec<EpisodeRow> = read_rows(&bench.options.out.join("episodes.parquet")).unwrap();
    assert_eq!((episodes.len(), episodes[0].n_steps, episodes[0].task_id.as_str()), (1, 3, "t"));
}

/// The log does not say how many steps an episode has: whether it was whole when it had to be closed shows only later.
#[test]
fn an_episode_of_unknown_length_that_goes_on_after_it_had_to_be_closed_is_left_out() {
    let unsaid = |task: &str, index| step(task, "small", index, 1).replace("\"n_steps\":1,", "");
    let others: String = (0..4096).map(|task| unsaid(&format!("t{task}"), 0)).collect();
    let mut bench = bench();
    bench.log("a.jsonl", unsaid("cut", 0) + &others + &unsaid("cut", 1));
    let expected = [
        "a.jsonl:1: broken_episode: episode `cut@small#0` has a bad row: a.jsonl:4098: late_step",
        "a.jsonl:4098: late_step: episode `cut@small#0` had to be closed to make room",
    ];
    assert_eq!(bench.skipped(), expected);
    let episodes: Vec<EpisodeRow> = read_rows(&bench.options.out.join("episodes.parquet")).unwrap();
    assert_eq!(episodes.len(), 4096);
    assert!(episodes.iter().all(|row| row.episode_id.as_str() != "cut@small#0"));
    let steps: Vec<StepRow> = read_rows(&bench.options.out.join("steps.parquet")).unwrap();
    assert_eq!(steps.len(), 4096);
}

#[test]
fn two_steps_of_one_index_break_their_episode() {
    let other = step("bad", "small", 0, 2).replace("do 0", "do something else");
    let broken = "broken_episode: episode `bad@small#0` has a bad row: a.jsonl:4: conflicting_step";
    check(
        [step("bad", "small", 0, 2), other, step("bad", "small", 1, 2)].concat(),
        &[
            "a.jsonl:4: conflicting_step: another step 0 than in line 3",
            &format!("a.jsonl:3: {broken}"),
            &format!("a.jsonl:5: {broken}"),
        ],
    );
}

#[test]
fn steps_out_of_order_and_interleaved_episodes_are_put_in_order() {
    let mut steps: Vec<String> =
        (0..5).flat_map(|index| [step("a", "small", index, 5), step("b", "large", index, 5)]).collect();
    steps.reverse();
    let mut bench = bench();
    bench.log("a.jsonl", steps.concat());
    assert_eq!(bench.skipped(), [""; 0]);
    let steps: Vec<StepRow> = read_rows(&bench.options.out.join("steps.parquet")).unwrap();
    let found: Vec<(&str, u32, &str)> =
        steps.iter().map(|row| (row.episode_id.as_str(), row.step_idx, &*row.step.turn.completion)).collect();
    let of = |episode| (0..5).map(move |index| (episode, index));
    let expected: Vec<(&str, u32)> = of("b@large#0").chain(of("a@small#0")).collect();
    assert_eq!(found.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>(), expected);
    assert!(found.iter().all(|row| row.2 == format!("do {}", row.1)));
}

#[test]
fn an_unknown_model_keeps_its_rows_and_is_refused_strictly() {
    let mut bench = bench();
    bench.log("a.jsonl", episode("t", "gpt-x", 2) + &episode("t", "small", 1));
    let report = bench.import().unwrap();
    assert_eq!((report.n_episodes, report.skipped.len()), (2, 0));
    let expected = "2 steps of 1 models that are not in the pool: gpt-x; their `action` and `model_id` are null";
    assert_eq!(report.warnings, [expected]);
    fs::remove_dir_all(&bench.options.out).unwrap();
    bench.options.is_strict = true;
    let message = bench.refused();
    assert!(
        message.starts_with("a.jsonl:1: unknown_model: model `gpt-x` is not in the pool\nhint: add it"),
        "{message}"
    );
}

#[test]
fn a_model_without_cost_and_price_is_never_free() {
    for cost in ["null", "0", "0.0"] {
        let mut bench = bench();
        let unpriced = with("cost_usd", cost).replace("\"small\"", "\"gpt-x\"");
        bench.log("a.jsonl", episode("t", "small", 1) + &unpriced);
        let skipped = bench.skipped();
        assert!(skipped[0].starts_with("a.jsonl:2: no_price: a step of model `gpt-x` "), "{skipped:?}");
    }
    // With a price it is reckoned.
    let mut bench = bench();
    bench.log("a.jsonl", with("cost_usd", "null"));
    let report = bench.import().unwrap();
    assert_eq!((report.models[0].total_cost_nano_usd, report.models[0].cost_source), (Some(1_520_000), "estimated"));
}

#[test]
fn an_episode_whose_outcome_nobody_knows_is_left_out() {
    let unknown = with("success", "null").replace("\"terminal_reward\":1.0", "\"terminal_reward\":null");
    check(unknown, &["a.jsonl:3: no_outcome: episode `bad@small#0` has neither `success` nor a score"]);
}

#[test]
fn a_row_that_is_too_long_is_passed_over() {
    // Longer than any buffer, and 50 MB as real logs have had.
    let words = "x".repeat(50 << 20);
    let mut bench = bench();
    bench.log("a.jsonl", format!("{{\"observation\":\"{words}\"}}\n") + &episode("t", "small", 1));
    let expected = format!("a.jsonl:1: row_too_long: row of {} bytes, expected at most 65536", words.len() + 18);
    assert_eq!(bench.skipped(), [expected]);
    fs::remove_dir_all(&bench.options.out).unwrap();
    let long = step("t", "large", 0, 1).replace("seen 0", &words);
    bench.log("b.jsonl", long);
    bench.options.max_row_bytes = 64 << 20;
    let report = bench.import().unwrap();
    assert_eq!(report.n_episodes, 2);
    let steps: Vec<StepRow> = read_rows(&bench.options.out.join("steps.parquet")).unwrap();
    assert!(steps.iter().any(|row| row.step.turn.observation.text.len() == words.len()));
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn of_a_truncated_archive_whole_episodes_are_kept() {
    // Random-looking words, so that compressed bytes are spread over the rows.
    let noisy = |task: u32| {
        let words: String = (0..200_u64)
            .flat_map(|word| {
                let word = (u64::from(task) * 1_000 + word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                [word.to_string(), " ".to_owned()]
            })
            .collect();
        (0..2).map(|index| step(&format!("t{task}"), "small", index, 2).replace("seen", &words)).collect::<String>()
    };
    let text: String = (0..50).map(noisy).collect();
    for (name, whole) in [("a.jsonl.gz", gzip(&text)), ("a.jsonl.zst", zstd::encode_all(text.as_bytes(), 1).unwrap())] {
        let mut bench = bench();
        bench.log(name, &whole[..whole.len() / 2]);
        let report = bench.import().unwrap();
        assert!((5..45).contains(&report.n_episodes), "{}", report.n_episodes);
        assert_eq!(report.skipped.get(&Reason::DamagedFile), Some(&1));
        let damage = report.first_skipped.iter().find(|row| row.reason == Reason::DamagedFile).unwrap();
        assert!(damage.line > 10 && damage.detail.starts_with("cannot be read on: "), "{damage}");
        fs::remove_dir_all(&bench.options.out).unwrap();
        bench.options.is_strict = true;
        assert!(bench.refused().contains(": damaged_file: cannot be read on: "));
    }
}

#[test]
fn an_empty_file_is_named_and_nothing_is_written() {
    let mut bench = bench();
    bench.log("empty.jsonl", "");
    let message = bench.refused();
    assert!(message.contains("the first: empty.jsonl:1: empty_file: has no row"), "{message}");
    bench.log("a.jsonl", episode("t", "small", 1));
    assert_eq!(bench.skipped(), ["empty.jsonl:1: empty_file: has no row"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut bench = bench();
    let path = bench.path().join("missing.jsonl");
    bench.existing(path);
    assert!(bench.refused().starts_with("missing.jsonl: No such file"));
}

#[test]
fn an_import_never_overwrites() {
    let mut bench = bench();
    bench.log("a.jsonl", episode("t", "small", 1));
    bench.import().unwrap();
    let message = bench.import().unwrap_err().to_string();
    assert!(message.contains("exists already"), "{message}");
}
