//! The formats that others write: one log of each by hand, and what becomes of it.

use std::path::PathBuf;

use tollgate_contract::{EpisodeRow, StepRow};
use tollgate_import::LogFormat;
use tollgate_routing::CostSource;
use tollgate_trajectory::read_rows;

use crate::support::Bench;

/// Episode, index, model, observation, completion, tokens (input, cached, written, output), cost in nano-dollars.
type ExpectedStep<'a> = (&'a str, u32, &'a str, &'a str, &'a str, [u32; 4], u64);

/// The steps of a log, which is imported without a skipped row.
#[track_caller]
fn check(format: LogFormat, log: &str, source: CostSource, expected: &[ExpectedStep<'_>]) {
    let mut bench = Bench::new(format);
    bench.log("log.jsonl", log);
    assert_eq!(bench.skipped(), [""; 0]);
    let steps: Vec<StepRow> = read_rows(&bench.options.out.join("steps.parquet")).unwrap();
    let found: Vec<_> = steps
        .iter()
        .map(|row| {
            let turn = &row.step.turn;
            let usage = turn.usage;
            let tokens = [usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens, usage.output_tokens];
            let (episode, model) = (row.episode_id.as_str(), &*row.model_id);
            (episode, row.step_idx, model, &*turn.observation.text, &*turn.completion, tokens, turn.cost.get())
        })
        .collect();
    assert_eq!(found, expected);
    assert!(steps.iter().all(|row| row.step.cost_source == source));
}

#[test]
fn pairs_of_request_and_response() {
    let log = r#"{"episode_id":"e1","task_id":"t1","success":true,"request":{"model":"small","messages":[{"role":"system","content":"s"},{"role":"user","content":"2+2?"}]},"response":{"id":"c1","object":"chat.completion","created":100,"model":"small","choices":[{"message":{"role":"assistant","content":"4"}}],"usage":{"prompt_tokens":100,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":40}}}}
{"episode_id":"e1","task_id":"t1","success":true,"request":{"model":"large","messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"},{"role":"user","content":"sure?"}]},"response":{"id":"c2","object":"chat.completion","created":200,"model":"large","choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"sum","arguments":"{\"a\":2}"}}]}}],"usage":{"prompt_tokens":50,"completion_tokens":1}}}
"#;
    check(
        LogFormat::OpenAiJsonl,
        log,
        CostSource::Metered,
        &[
            ("e1", 0, "small", "2+2?", "4", [60, 40, 0, 10], 170_000),
            ("e1", 1, "large", "sure?", "sum({\"a\":2})", [50, 0, 0, 1], 1_560_000),
        ],
    );
}

#[test]
fn batch_output_and_bare_responses() {
    let log = r#"{"id":"batch_1","custom_id":"t7","response":{"status_code":200,"request_id":"r","body":{"id":"c1","model":"small","choices":[{"message":{"role":"assistant","content":"yes"}}],"usage":{"prompt_tokens":10,"completion_tokens":1}}},"error":null,"score":1.0}
{"object":"chat.completion","id":"c2","model":"large","choices":[{"message":{"role":"assistant","content":"no"}}],"usage":{"prompt_tokens":10,"completion_tokens":1},"metadata":{"task_id":"t8","success":false,"cost_usd":0.5}}
"#;
    let mut bench = Bench::new(LogFormat::OpenAiJsonl);
    bench.log("log.jsonl", log);
    let report = bench.import().unwrap();
    let sources: Vec<_> = report.models.iter().map(|model| (&*model.model, model.cost_source)).collect();
    assert_eq!(sources, [("large", "recorded"), ("small", "metered")]);
    let episodes: Vec<EpisodeRow> = read_rows(&bench.options.out.join("episodes.parquet")).unwrap();
    let found: Vec<_> =
        episodes.iter().map(|row| (row.episode_id.as_str(), row.task_id.as_str(), row.is_success)).collect();
    assert_eq!(found, [("t7", "t7", true), ("row-2", "t8", false)]);
}

#[test]
fn conversations_as_for_fine_tuning() {
    let log = r#"{"episode_id":"e1","success":true,"model":"small","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello","usage":{"prompt_tokens":10,"completion_tokens":1}},{"role":"user","content":"bye"},{"role":"assistant","model":"large","content":"ciao","usage":{"prompt_tokens":20,"completion_tokens":2}}]}
{"task_id":"t2","success":true,"model":"large","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}],"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}
"#;
    check(
        LogFormat::OpenAiJsonl,
        log,
        CostSource::Metered,
        &[
            ("e1", 0, "small", "hi", "hello", [10, 0, 0, 1], 17_000),
            ("e1", 1, "large", "bye", "ciao", [20, 0, 0, 2], 720_000),
            ("row-2", 0, "large", "hi", "hello", [10, 5, 0, 1], 510_000),
        ],
    );
}

#[test]
fn failed_calls_are_no_steps_and_do_not_break_their_episode() {
    let log = r#"{"custom_id":"t","success":true,"response":{"status_code":500,"body":{}}}
{"custom_id":"t","success":true,"response":{"status_code":200,"body":{"model":"small","choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}}}
{"custom_id":"u","success":true,"response":{"status_code":200,"body":{"model":"small","choices":[{"message":{"content":"a"}}]}}}
not json
"#;
    let mut bench = Bench::new(LogFormat::OpenAiJsonl);
    bench.log("log.jsonl", log);
    let expected = [
        "log.jsonl:1: not_a_step: the call failed with status 500",
        "log.jsonl:3: missing_usage: has no count of prompt tokens",
        "log.jsonl:4: not_json: expected an object at byte 0",
    ];
    assert_eq!(bench.skipped(), expected);
}

#[test]
fn spend_logs_and_standard_payloads_of_litellm() {
    let log = r#"{"request_id":"r2","call_type":"acompletion","spend":0.0002,"prompt_tokens":100,"completion_tokens":10,"startTime":"2025-01-31T10:00:05.5Z","endTime":"2025-01-31T10:00:06.25Z","model":"small","session_id":"s1","status":"success","metadata":"{\"spend_logs_metadata\":{\"task_id\":\"t1\",\"success\":true},\"usage_object\":{\"prompt_tokens\":100,\"completion_tokens\":10,\"prompt_tokens_details\":{\"cached_tokens\":40}}}","messages":"[{\"role\":\"user\",\"content\":\"again\"}]","response":"{\"choices\":[{\"message\":{\"content\":\"done\"}}]}"}
{"request_id":"r1","call_type":"acompletion","spend":0.003,"prompt_tokens":90,"completion_tokens":5,"startTime":"2025-01-31T10:00:01Z","endTime":"2025-01-31T10:00:02Z","model":"large","session_id":"s1","status":"success","metadata":{"spend_logs_metadata":{"task_id":"t1","success":true}},"messages":{},"response":{}}
"#;
    check(
        LogFormat::LiteLlm,
        log,
        CostSource::Metered,
        &[
            ("s1", 0, "large", "", "", [90, 0, 0, 5], 3_000_000),
            ("s1", 1, "small", "again", "done", [60, 40, 0, 10], 200_000),
        ],
    );
    let payload = r#"{"id":"p1","trace_id":"tr","call_type":"completion","response_cost":0.001,"status":"success","prompt_tokens":10,"completion_tokens":1,"startTime":1700000000.5,"endTime":1700000001.0,"model":"small","metadata":{"requester_metadata":{"task_id":"t1","score":1}},"messages":[{"role":"user","content":"hi"}],"response":{"choices":[{"message":{"content":"ho"}}]}}
"#;
    check(
        LogFormat::LiteLlm,
        payload,
        CostSource::Metered,
        &[("tr", 0, "small", "hi", "ho", [10, 0, 0, 1], 1_000_000)],
    );
}

#[test]
fn other_calls_of_litellm_are_no_steps() {
    let log = r#"{"id":"a","session_id":"s","call_type":"aembedding","status":"success","model":"e"}
{"id":"b","session_id":"s","call_type":"acompletion","status":"failure","model":"small"}
{"id":"c","session_id":"s","call_type":"acompletion","status":"success","model":"small","prompt_tokens":1,"completion_tokens":1,"response_cost":0.1,"metadata":{"success":true}}
"#;
    let mut bench = Bench::new(LogFormat::LiteLlm);
    bench.options.is_strict = true;
    bench.log("log.jsonl", log);
    let expected = [
        "log.jsonl:1: not_a_step: a call of type `aembedding`",
        "log.jsonl:2: not_a_step: the call's status is `failure`",
    ];
    assert_eq!(bench.skipped(), expected);
}

#[test]
fn spans_with_the_conventions_for_generative_ai() {
    let attribute = |key: &str, value: &str| format!("{{\"key\":\"{key}\",\"value\":{value}}}");
    let text = |key: &str, value: &str| attribute(key, &format!("{{\"stringValue\":{}}}", serde_json::json!(value)));
    let int = |key: &str, value: u32| attribute(key, &format!("{{\"intValue\":\"{value}\"}}"));
    let span = |id: &str, start: u64, attributes: &[String], events: &str| {
        format!(
            "{{\"traceId\":\"t\",\"spanId\":\"{id}\",\"startTimeUnixNano\":\"{start}\",\"endTimeUnixNano\":\"{}\",\"attributes\":[{}],\"events\":[{events}]}}",
            start + 2_000_000,
            attributes.join(",")
        )
    };
    let common = |model: &str, input: u32| {
        vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", model),
            text("gen_ai.conversation.id", "c1"),
            int("gen_ai.usage.input_tokens", input),
            int("gen_ai.usage.output_tokens", 10),
            attribute("tollgate.success", "{\"boolValue\":true}"),
        ]
    };
    let mut late = common("large", 100);
    late.push(int("gen_ai.usage.cache_read.input_tokens", 60));
    late.push(int("gen_ai.usage.cache_creation.input_tokens", 10));
    late.push(text("gen_ai.input.messages", r#"[{"role":"user","parts":[{"type":"text","content":"go on"}]}]"#));
    let output = r#"[{"role":"assistant","parts":[{"type":"text","content":"I read"},{"type":"tool_call","name":"read","arguments":{"a":1}}]}]"#;
    late.push(text("gen_ai.output.messages", output));
    let event = |name: &str, attributes: &str| format!("{{\"name\":\"{name}\",\"attributes\":[{attributes}]}}");
    let events = [
        event("gen_ai.user.message", &text("content", "start")),
        event("gen_ai.choice", &text("message", "{\"content\":\"begun\"}")),
    ];
    let spans = [span("s2", 2_000, &late, ""), span("s1", 1_000, &common("small", 50), &events.join(","))];
    let log = format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}\n", spans.join(","));
    check(
        LogFormat::OtelGenAi,
        &log,
        CostSource::Metered,
        &[
            ("c1", 0, "small", "start", "begun", [50, 0, 0, 10], 95_000),
            ("c1", 1, "large", "go on", "I read\nread({\"a\":1})", [30, 60, 10, 10], 3_600_000),
        ],
    );
    let tool = span("s0", 1, &[text("gen_ai.operation.name", "execute_tool")], "");
    let mut bench = Bench::new(LogFormat::OtelGenAi);
    bench.log("log.jsonl", format!("{tool}\n{log}"));
    assert_eq!(bench.skipped(), ["log.jsonl:1: not_a_step: a span of operation `execute_tool`"]);
}

const TAU2: &str = r#"{"timestamp":"x","info":{"agent_info":{"llm":"large"},"environment_info":{"domain_name":"telecom"}},
"tasks":[{"id":"t1"}],
"simulations":[
{"id":"s1","task_id":"t1","trial":0,"termination_reason":"user_stop","reward_info":{"reward":1.0},"messages":[
{"role":"assistant","content":"Hi!","usage":null,"cost":0.0},
{"role":"user","content":"It is broken.","usage":{"prompt_tokens":5,"completion_tokens":5},"cost":1.0},
{"role":"assistant","content":null,"tool_calls":[{"name":"look","arguments":{"id":1},"requestor":"assistant"}],"usage":{"prompt_tokens":100,"completion_tokens":10},"cost":0.00375},
{"role":"tool","content":"found","requestor":"assistant"},
{"role":"assistant","content":"Restart it.","usage":{"prompt_tokens":120,"completion_tokens":5},"cost":0.004},
{"role":"user","content":null,"tool_calls":[{"name":"restart","arguments":{},"requestor":"user"}]},
{"role":"tool","content":"the user's own","requestor":"user"},
{"role":"user","content":"Thanks."},
{"role":"assistant","content":"Bye.","usage":{"prompt_tokens":130,"completion_tokens":1},"cost":0.00396}]},
{"id":"s2","task_id":"t1","trial":1,"reward_info":{"reward":0.0},"messages":[]}]}
"#;

#[test]
fn simulations_of_tau2() {
    let mut bench = Bench::new(LogFormat::Tau2);
    bench.log("results.json", TAU2);
    assert_eq!(bench.skipped(), ["results.json:14: missing_usage: has no message of the agent with a usage"]);
    let steps: Vec<StepRow> = read_rows(&bench.options.out.join("steps.parquet")).unwrap();
    let found: Vec<_> = steps
        .iter()
        .map(|row| (&*row.step.turn.observation.text, &*row.step.turn.completion, row.step.turn.cost.get()))
        .collect();
    let expected = [
        ("It is broken.", "look({\"id\":1})", 3_750_000),
        ("found", "Restart it.", 4_000_000),
        ("Thanks.", "Bye.", 3_960_000),
    ];
    assert_eq!(found, expected);
    assert!(steps.iter().all(|row| row.step.cost_source == CostSource::Recorded));
}

#[test]
fn a_tau2_file_that_breaks_off_keeps_its_whole_simulations() {
    let mut bench = Bench::new(LogFormat::Tau2);
    bench.log("results.json", &TAU2[..TAU2.len() - 40]);
    assert_eq!(bench.skipped(), ["results.json:14: damaged_file: the text ends early"]);
    let mut bench = Bench::new(LogFormat::Tau2);
    bench.options.max_row_bytes = 500;
    bench.log("results.json", TAU2);
    assert!(bench.refused().contains("row_too_long"));
}

#[test]
fn a_tau2_file_without_info_has_no_model_of_the_file_before_it() {
    let nameless = TAU2.replacen("\"info\":", "\"other\":", 1).replace("\"s1\"", "\"s3\"").replace("\"s2\"", "\"s4\"");
    let mut bench = Bench::new(LogFormat::Tau2);
    bench.log("first.json", TAU2).log("second.json", nameless);
    let expected = [
        "first.json:14: missing_usage: has no message of the agent with a usage",
        "second.json:4: missing_field: has no `info.agent_info.llm`",
        "second.json:14: missing_field: has no `info.agent_info.llm`",
    ];
    assert_eq!(bench.skipped(), expected);
}

#[test]
fn what_follows_the_object_of_a_tau2_file_is_told() {
    let again = TAU2.replace("\"s1\"", "\"s3\"").replace("\"s2\"", "\"s4\"");
    let mut bench = Bench::new(LogFormat::Tau2);
    bench.log("results.json", format!("{TAU2}{again}"));
    let expected = [
        "results.json:14: missing_usage: has no message of the agent with a usage",
        "results.json:15: damaged_file: something follows the object",
    ];
    assert_eq!(bench.skipped(), expected);
}

/// Counts and times at which plain arithmetic would overflow: the rows beside them are kept.
#[test]
fn figures_that_no_number_holds_cost_their_row_at_most() {
    let call = |id: &str, usage: &str, time: &str| {
        format!(
            "{{\"id\":\"{id}\",\"session_id\":\"{id}\",\"call_type\":\"completion\",\"status\":\"success\",\"model\":\"small\",\"response_cost\":0.1,\"startTime\":{time},\"endTime\":1e300,\"metadata\":{{\"success\":true,\"usage_object\":{usage}}}}}\n"
        )
    };
    let huge = format!("{{\"input_tokens\":9,\"cache_read_input_tokens\":{},\"output_tokens\":1}}", i64::MAX);
    let good = "{\"prompt_tokens\":1,\"completion_tokens\":1}";
    let mut bench = Bench::new(LogFormat::LiteLlm);
    bench.log("log.jsonl", call("a", &huge, "0") + &call("b", good, "-1e300") + &call("c", good, "0"));
    let expected = "log.jsonl:1: bad_tokens: 9223372036854775807 prompt tokens, expected 0 to 2^31 - 1";
    assert_eq!(bench.skipped(), [expected]);
}

#[test]
fn the_sample_of_tau2_has_its_recorded_costs() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tau2/results_sample.json");
    if !path.exists() {
        eprintln!("{} is not there: its figures are not checked", path.display());
        return;
    }
    let mut bench = Bench::new(LogFormat::Tau2);
    bench.existing(path);
    let report = bench.import().unwrap();
    // By the file: 8 simulations, 118 calls of the agent, half of them solved; `agent_cost` adds up to $0.599886.
    let [model] = report.models.as_slice() else { panic!("{:?}", report.models) };
    assert_eq!((model.n_episodes, model.n_successes, model.n_steps), (8, 4, 118));
    assert_eq!((model.cost_source, model.total_cost_nano_usd), ("recorded", Some(599_886_000)));
    assert_eq!(&*model.model, "gpt-4.1");
}
