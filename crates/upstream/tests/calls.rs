//! Calls against a scripted server: what comes back, what is tried again, and what is booked.
#![expect(clippy::unwrap_used, reason = "what is missing fails its test")]

mod setup;

use std::collections::HashSet;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use setup::{Setup, config, endpoint, worst_case};
use tollgate_routing::{NanoUsd, TokenUsage};
use tollgate_scripted_server::{Reply, ScriptedServer};
use tollgate_upstream::{
    Account, AnswerCost, BlockingUpstream, CallKey, ClientConfig, Endpoint, MaxTokensField, StopSignal, UpstreamError,
};

fn setup_of(server: &ScriptedServer) -> Setup {
    Setup::new(endpoint(server), config(), Account::new(None))
}

#[test]
fn cost_is_usage_times_prices_to_the_nano_dollar() {
    let server = ScriptedServer::start(|_| {
        Reply::completion_with_usage(
            "look",
            &json!({"prompt_tokens": 987, "completion_tokens": 13, "total_tokens": 1000, "cache_creation_input_tokens": 100,
                    "prompt_tokens_details": {"cached_tokens": 512}}),
        )
    })
    .unwrap();
    let setup = setup_of(&server);
    let answer = setup.call(0).unwrap();
    let expected =
        TokenUsage { input_tokens: 375, cached_input_tokens: 512, cache_write_tokens: 100, output_tokens: 13 };
    assert_eq!((answer.usage, answer.cost), (expected, AnswerCost::Metered));
    assert_eq!(setup.spent(), NanoUsd::new(375 * 3_000 + 512 * 300 + 100 * 3_750 + 13 * 15_000));
    let asked = &server.seen()[0].asked.request;
    assert_eq!((asked.model.as_str(), asked.max_tokens, asked.stream), ("scripted-model", Some(100), None));
}

#[test]
fn a_recorded_cost_is_taken_unless_it_is_not_trusted() {
    let server = ScriptedServer::start(|_| {
        Reply::completion_with_usage("look", &json!({"prompt_tokens": 10, "completion_tokens": 1, "cost": 0.000_02}))
    })
    .unwrap();
    let setup = setup_of(&server);
    assert_eq!(setup.call(0).unwrap().cost, AnswerCost::Recorded(NanoUsd::new(20_000)));
    assert_eq!(setup.spent(), NanoUsd::new(20_000));
    let wary = Endpoint { trusts_recorded_cost: false, ..endpoint(&server) };
    let setup = Setup::new(wary, config(), Account::new(None));
    assert_eq!(setup.call(0).unwrap().cost, AnswerCost::Metered);
    assert_eq!(setup.spent(), NanoUsd::new(10 * 3_000 + 15_000));
}

/// How the cost of an answer of 10 prompt tokens and one more is known, where its usage says this beside.
#[track_caller]
fn check_cost(said: &Value, trusts_recorded_cost: bool, expected: AnswerCost) {
    let mut usage = json!({"prompt_tokens": 10, "completion_tokens": 1});
    usage.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    let server = in_order(vec![Reply::completion_with_usage("look", &usage)]);
    let endpoint = Endpoint { trusts_recorded_cost, ..endpoint(&server) };
    let setup = Setup::new(endpoint, config(), Account::new(None));
    assert_eq!(setup.call(0).unwrap().cost, expected);
    let booked = match expected {
        AnswerCost::Recorded(cost) => cost,
        _ => NanoUsd::new(10 * 3_000 + 15_000),
    };
    assert_eq!(setup.spent(), booked);
}

#[test]
fn a_recorded_cost_that_is_nothing_or_not_all_is_metered() {
    check_cost(&json!({"cost": 0}), true, AnswerCost::Metered);
    check_cost(&json!({"cost": 0.000_001, "is_byok": true}), true, AnswerCost::Metered);
    let own_key = json!({"cost": 0.000_001, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.000_02}});
    check_cost(&own_key, true, AnswerCost::Recorded(NanoUsd::new(21_000)));
}

#[test]
fn a_recorded_cost_that_makes_no_sense_matters_only_where_it_is_trusted() {
    check_cost(&json!({"cost": {"request_cost": 0.005}}), true, AnswerCost::Metered);
    check_cost(&json!({"cost": {"total_cost": 0.000_02}}), true, AnswerCost::Recorded(NanoUsd::new(20_000)));
    check_cost(&json!({"cost": -1}), false, AnswerCost::Metered);
    let negative = json!({"prompt_tokens": 10, "completion_tokens": 1, "cost": -1});
    check_fails(Reply::completion_with_usage("look", &negative), 1, true, &["the call cost -1 dollars"]);
}

#[test]
fn a_stream_is_an_answer_like_any_other() {
    let usage = json!({"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24});
    let server = ScriptedServer::start(move |_| Reply::stream("go to shelf 1", &usage)).unwrap();
    let streamed =
        Endpoint { is_streamed: true, max_tokens_field: MaxTokensField::MaxCompletionTokens, ..endpoint(&server) };
    let setup = Setup::new(streamed, config(), Account::new(None));
    let answer = setup.call(0).unwrap();
    assert_eq!(answer.response.choices[0].message.words(), "go to shelf 1");
    assert_eq!(setup.spent(), NanoUsd::new(20 * 3_000 + 4 * 15_000));
    let asked = &server.seen()[0].asked.request;
    assert_eq!((asked.stream, asked.max_tokens, asked.max_completion_tokens), (Some(true), None, Some(100)));
    assert!(asked.stream_options.as_ref().unwrap().include_usage);
}

/// Answers in their order, the last one for ever.
fn in_order(replies: Vec<Reply>) -> ScriptedServer {
    ScriptedServer::start(move |asked| replies[asked.number.min(replies.len() - 1)].clone()).unwrap()
}

/// An answer that costs 10 prompt tokens and 2 output tokens.
fn good() -> Reply {
    Reply::completion("look", 10, 2)
}

const GOOD_COST: u64 = 10 * 3_000 + 2 * 15_000;

/// What passes is tried again; of the failed attempts, `n_booked` are booked at their worst case.
#[track_caller]
fn check_passes(failing: Reply, is_streamed: bool, config: ClientConfig, n_booked: u64) {
    let server = in_order(vec![
        failing.clone(),
        failing,
        if is_streamed { Reply::stream("look", &json!({"prompt_tokens": 10, "completion_tokens": 2})) } else { good() },
    ]);
    let setup = Setup::new(Endpoint { is_streamed, ..endpoint(&server) }, config, Account::new(None));
    setup.call(0).unwrap();
    assert_eq!(server.n_asked(), 3);
    assert_eq!(setup.spent(), NanoUsd::new(GOOD_COST + n_booked * worst_case().get()));
    assert_eq!(setup.upstream.account().statement().n_unknown, n_booked);
}

#[test]
fn refusals_that_pass_are_tried_again_for_nothing() {
    check_passes(Reply::too_many_requests("0"), false, config(), 0);
    check_passes(Reply::status(500, "oops"), false, config(), 0);
    check_passes(Reply::status(503, "{\"error\": \"overloaded\"}"), false, config(), 0);
    check_passes(Reply::json(200, &json!({"error": {"message": "too many", "code": 429}})), false, config(), 0);
}

#[test]
fn attempts_of_unknown_outcome_are_booked_at_their_worst_case() {
    check_passes(good().broken(), false, config(), 2);
    check_passes(Reply::status(502, "bad gateway"), false, config(), 2);
    check_passes(Reply::status(200, "{\"choices\": [{\"message\""), false, config(), 2);
    check_passes(Reply::json(200, &json!({"error": {"message": "overloaded", "code": 503}})), false, config(), 2);
    check_passes(Reply::json(200, &json!({"error": "overloaded"})), true, config(), 2);
    let stream = || Reply::stream("go to shelf 1", &json!({"prompt_tokens": 1, "completion_tokens": 1}));
    check_passes(stream().broken(), true, config(), 2);
    check_passes(stream().interrupted(&json!({"message": "too many requests", "code": 429})), true, config(), 2);
    let impatient = ClientConfig { timeout: Duration::from_millis(50), ..config() };
    check_passes(Reply::silence(), false, impatient, 2);
    check_passes(Reply::silence(), true, impatient, 2);
}

#[test]
fn an_error_in_the_middle_of_a_stream_is_booked_at_its_worst_case_and_told_without_the_key() {
    let key = std::env::var(KEY_VARIABLE).unwrap();
    let error = json!({"message": format!("{key} was cut off"), "code": 500});
    let server = in_order(vec![Reply::stream("go to shelf 1", &json!(null)).interrupted(&error)]);
    let with_key = Endpoint { is_streamed: true, api_key_env: Some(KEY_VARIABLE.to_owned()), ..endpoint(&server) };
    let setup = Setup::new(with_key, config(), Account::new(None));
    let message = setup.call(0).unwrap_err().to_string();
    assert_eq!(setup.spent(), NanoUsd::new(3 * worst_case().get()));
    assert!(message.contains("the server says: [key] was cut off (3 attempts)"), "{message}");
    assert!(!message.contains(&key), "{message}");
}

#[test]
fn a_long_answer_in_one_piece_is_an_answer_to_a_request_for_a_stream() {
    let words = "look ".repeat(40_000);
    let server = in_order(vec![Reply::completion(&words, 10, 2)]);
    let setup = Setup::new(Endpoint { is_streamed: true, ..endpoint(&server) }, config(), Account::new(None));
    assert_eq!(setup.call(0).unwrap().response.choices[0].message.words(), words);
    assert_eq!(setup.spent(), NanoUsd::new(GOOD_COST));
}

#[test]
fn only_attempts_of_one_call_have_one_idempotency_key() {
    let server = in_order(vec![Reply::too_many_requests("0"), good()]);
    let setup = setup_of(&server);
    let key =
        |episode: &str, step_idx| CallKey { episode: episode.to_owned(), step_idx, request_digest: "d".to_owned() };
    for key in [key("task/0", 0), key("task/1", 0), key("task/0", 1)] {
        setup.call_as(&key).unwrap();
    }
    let sent: Vec<_> =
        server.seen().iter().map(|seen| seen.asked.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!((sent.len(), &sent[0]), (4, &sent[1]));
    assert_eq!(sent.iter().collect::<HashSet<_>>().len(), 3, "{sent:?}");
}

#[track_caller]
fn check_fails(reply: Reply, n_asked: usize, is_booked: bool, expected: &[&str]) {
    let server = in_order(vec![reply]);
    let setup = setup_of(&server);
    let message = setup.call(0).unwrap_err().to_string();
    for part in expected.iter().copied().chain([server.base_url().as_str()]) {
        assert!(message.contains(part), "no {part} in: {message}");
    }
    assert_eq!(server.n_asked(), n_asked);
    let booked = if is_booked { worst_case().get() * n_asked as u64 } else { 0 };
    assert_eq!(setup.spent(), NanoUsd::new(booked));
}

#[test]
fn what_does_not_pass_is_told_plainly() {
    check_fails(Reply::html(), 1, false, &["status 200", "HTML page", "<!DOCTYPE html> <html>", "/v1"]);
    let refusal = json!({"error": {"message": "no model `scripted-model` here"}});
    check_fails(
        Reply::json(404, &refusal),
        1,
        false,
        &["status 404: no model `scripted-model` here", "hint: the base URL or"],
    );
    check_fails(Reply::status(500, "oops"), 3, false, &["status 500: oops (3 attempts)"]);
    let no_money = json!({"error": {"message": "you exceeded your quota", "code": "insufficient_quota"}});
    check_fails(Reply::json(429, &no_money), 1, false, &["status 429: you exceeded your quota"]);
    check_fails(Reply::json(200, &json!({"choices": [], "usage": {}})), 3, true, &["holds no choice (3 attempts)"]);
    check_fails(
        Reply::completion_with_usage("look", &json!(null)),
        1,
        true,
        &["usage has no `prompt_tokens`", "\"usage\": null"],
    );
    let wrong = json!({"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 11}});
    check_fails(
        Reply::completion_with_usage("look", &wrong),
        1,
        true,
        &["11 of 10 prompt tokens", "\"cached_tokens\":11"],
    );
    let negative = json!({"prompt_tokens": -10, "completion_tokens": 1});
    check_fails(Reply::completion_with_usage("look", &negative), 1, true, &["`prompt_tokens` is -10"]);
}

#[test]
fn counts_that_cannot_be_are_told_with_all_attempts() {
    let server = in_order(vec![Reply::status(500, "oops"), Reply::completion_with_usage("look", &json!(null))]);
    let message = setup_of(&server).call(0).unwrap_err().to_string();
    assert!(message.contains("(2 attempts)"), "{message}");
}

#[test]
fn usage_above_what_was_reserved_is_booked_whole_and_refused() {
    let server = in_order(vec![Reply::completion("look", 5_000, 2)]);
    let setup = setup_of(&server);
    let error = setup.call(0).unwrap_err();
    assert!(matches!(error, UpstreamError::AboveBound { prompt_tokens: 5_000, .. }), "{error}");
    assert_eq!(setup.spent(), NanoUsd::new(5_000 * 3_000 + 2 * 15_000));
}

#[test]
fn a_server_that_is_not_there_costs_nothing() {
    let server = in_order(vec![good()]);
    let endpoint = endpoint(&server);
    drop(server);
    let setup = Setup::new(endpoint, config(), Account::new(None));
    let error = setup.call(0).unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("(3 attempts)"), "{error}");
    assert_eq!(setup.spent(), NanoUsd::ZERO);
}

#[test]
fn retry_after_is_respected_in_seconds_and_as_a_date() {
    for is_date in [false, true] {
        let server = ScriptedServer::start(move |asked| match asked.number {
            0 if is_date => Reply::too_many_requests(&http_date_in(2)),
            0 => Reply::too_many_requests("1"),
            _ => good(),
        });
        let setup = setup_of(server.as_ref().unwrap());
        let started = Instant::now();
        setup.call(0).unwrap();
        // A date has no fractions of a second, so of two seconds at least one is left.
        assert!(started.elapsed() >= Duration::from_millis(990), "date {is_date}: {:?}", started.elapsed());
    }
    let server = in_order(vec![Reply::too_many_requests("3600"), good()]);
    let error = setup_of(&server).call(0).unwrap_err();
    assert!(matches!(error, UpstreamError::Status { status: 429, .. }), "an hour is too long: {error}");
}

/// A date as HTTP writes it, so many seconds from now.
fn http_date_in(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + seconds;
    let (days, second) = (now / 86_400, now % 86_400);
    // Civil date from days (Howard Hinnant's algorithm), for years after 1970.
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let (weekday, month) = (weekdays[(days % 7) as usize], months[(month - 1) as usize]);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// The only variable that every test program has; no test changes its environment, which other threads read.
const KEY_VARIABLE: &str = "CARGO_MANIFEST_DIR";

#[test]
fn keys_come_from_the_environment_and_are_shown_nowhere() {
    let key = std::env::var(KEY_VARIABLE).unwrap();
    let repeats = format!("{{\"error\": {{\"message\": \"wrong key: {key}\"}}}}");
    let server = in_order(vec![Reply::status(401, &repeats)]);
    let with_key = Endpoint { api_key_env: Some(KEY_VARIABLE.to_owned()), ..endpoint(&server) };
    let setup = Setup::new(with_key, config(), Account::new(None));
    let error = setup.call(0).unwrap_err();
    assert_eq!(server.seen()[0].asked.header("authorization"), Some(format!("Bearer {key}").as_str()));
    assert!(error.to_string().contains("wrong key: [key]"), "{error}");
    assert!(!format!("{error:?} {:?}", setup.client).contains(&key));

    let without = Endpoint { api_key_env: Some("TOLLGATE_NO_SUCH_KEY".to_owned()), ..endpoint(&server) };
    let error = setup.upstream.client(without).unwrap_err();
    assert!(error.to_string().starts_with("environment variable `TOLLGATE_NO_SUCH_KEY` is not set"), "{error}");
}

#[test]
fn the_first_failure_stops_all_later_calls() {
    let server = in_order(vec![Reply::html(), good()]);
    let setup = setup_of(&server);
    let first = setup.call(0).unwrap_err();
    assert_eq!(setup.call(1).unwrap_err(), first);
    assert_eq!(server.n_asked(), 1);
}

#[test]
fn a_stop_ends_the_wait_before_the_next_attempt() {
    // Once by our own wait, once by one that the server asks of all calls.
    for asked_wait in ["0", "100"] {
        let (sender, is_asked) = mpsc::channel();
        let sender = Mutex::new(sender);
        let server = ScriptedServer::start(move |_| {
            sender.lock().unwrap().send(()).unwrap();
            Reply::too_many_requests(asked_wait)
        })
        .unwrap();
        let mut config = config();
        config.retry.base_delay = Duration::from_secs(100);
        config.retry.max_delay = Duration::from_secs(100);
        config.retry.max_retry_after = Duration::from_secs(100);
        let stop = StopSignal::default();
        let upstream = BlockingUpstream::new(config, Account::new(None), stop.clone()).unwrap();
        let client = upstream.client(endpoint(&server)).unwrap();
        let setup = Setup { upstream, client };
        let started = Instant::now();
        std::thread::scope(|scope| {
            let call = scope.spawn(|| setup.call(0));
            is_asked.recv_timeout(Duration::from_secs(30)).unwrap();
            stop.stop(UpstreamError::Stopped);
            assert_eq!(call.join().unwrap(), Err(UpstreamError::Stopped));
        });
        assert!(started.elapsed() < Duration::from_secs(50), "{:?}", started.elapsed());
        assert_eq!((server.n_asked(), setup.spent()), (1, NanoUsd::ZERO));
    }
}

#[test]
fn no_more_calls_are_open_than_allowed() {
    let server = in_order(vec![good().after(Duration::from_millis(20))]);
    let setup = Setup::new(endpoint(&server), ClientConfig { concurrency: 3, ..config() }, Account::new(None));
    std::thread::scope(|scope| {
        for number in 0..12 {
            let setup = &setup;
            scope.spawn(move || setup.call(number).unwrap());
        }
    });
    assert_eq!((server.n_asked(), server.max_open()), (12, 3));
}
