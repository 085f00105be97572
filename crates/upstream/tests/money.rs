//! The limit of a collection and its journal: nothing above the limit, nothing paid twice.
#![expect(clippy::unwrap_used, reason = "what is missing fails its test")]

mod setup;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use setup::{Setup, config, endpoint, prices, worst_case};
use tollgate_routing::{NanoUsd, TokenUsage};
use tollgate_scripted_server::{Reply, ScriptedServer};
use tollgate_upstream::{Account, ClientConfig, UpstreamError};

fn usage(prompt: u32, output: u32) -> TokenUsage {
    TokenUsage { input_tokens: prompt, output_tokens: output, ..TokenUsage::default() }
}

/// A server that bills by the book, and adds up what it bills: answers of many sizes, some of them with trouble before.
fn billing_server(billed: Arc<AtomicU64>) -> ScriptedServer {
    ScriptedServer::start(move |asked| {
        let number = asked.number as u32;
        let (prompt, output) = (100 + number * 37 % 900, 1 + number * 13 % 100);
        let bill = prices().cost(&usage(prompt, output)).get();
        match number % 8 {
            3 => return Reply::too_many_requests("0"),
            // Billed, and lost on the way.
            5 => {
                billed.fetch_add(bill, Ordering::SeqCst);
                return Reply::completion("look", prompt, output).broken();
            }
            _ => {}
        }
        billed.fetch_add(bill, Ordering::SeqCst);
        // The first take longer, so that many are open at a time also where a busy machine starts the callers one by one.
        let millis = if number < 64 { 50 } else { number % 5 };
        Reply::completion("look", prompt, output).after(Duration::from_millis(u64::from(millis)))
    })
    .unwrap()
}

#[test]
fn the_limit_holds_with_64_concurrent_calls_of_unknown_outcome() {
    let billed = Arc::new(AtomicU64::new(0));
    let server = billing_server(billed.clone());
    let limit = NanoUsd::new(600 * 1_000_000);
    let mut config = config();
    config.retry.max_attempts = 20;
    let setup = Setup::new(endpoint(&server), config, Account::new(Some(limit)));
    let n_answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..64 {
            let (setup, n_answered) = (&setup, &n_answered);
            scope.spawn(move || {
                for number in 0..1_000 {
                    match setup.call(thread * 1_000 + number) {
                        Ok(_) => n_answered.fetch_add(1, Ordering::SeqCst),
                        Err(UpstreamError::LimitReached { limit: found, .. }) => {
                            assert_eq!(found, limit);
                            return;
                        }
                        Err(other) => panic!("{other}"),
                    };
                }
            });
        }
    });
    let statement = setup.upstream.account().statement();
    let billed = billed.load(Ordering::SeqCst);
    assert!(billed <= statement.spent.get(), "billed {billed}, booked {}", statement.spent);
    assert!(statement.spent <= limit, "{} of {limit}", statement.spent);
    // It stops because nothing more fits, not because money was set aside and forgotten.
    assert!(limit - statement.spent < worst_case(), "{} of {limit}", statement.spent);
    assert_eq!(statement.spent + setup.upstream.account().remaining(), limit);
    assert_eq!(statement.n_paid, n_answered.into_inner());
    assert!(statement.n_unknown > 0 && server.max_open() > 16, "{statement:?}, {} open", server.max_open());
}

#[test]
fn a_call_waits_for_room_that_open_calls_will_make() {
    // Two worst cases do not fit at once, but thirty true costs do.
    let server = ScriptedServer::start(|_| Reply::completion("look", 10, 1).after(Duration::from_millis(2))).unwrap();
    let limit = NanoUsd::new(worst_case().get() * 3 / 2);
    let setup = Setup::new(endpoint(&server), config(), Account::new(Some(limit)));
    std::thread::scope(|scope| {
        for number in 0..30 {
            let setup = &setup;
            scope.spawn(move || setup.call(number).unwrap());
        }
    });
    assert_eq!((server.n_asked(), server.max_open()), (30, 1));
}

#[test]
fn what_was_paid_for_is_recalled_and_counts_against_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("calls.jsonl");
    let server = ScriptedServer::start(|asked| Reply::completion(&format!("answer {}", asked.number), 10, 2)).unwrap();
    let open = |limit| Setup::new(endpoint(&server), config(), Account::open(&path, limit).unwrap());

    let setup = open(None);
    let first: Vec<_> = (0..5).map(|number| setup.call(number).unwrap()).collect();
    let spent = setup.spent();
    drop(setup);

    let setup = open(Some(NanoUsd::new(spent.get() + worst_case().get() - 1)));
    assert_eq!(setup.spent(), spent);
    let again: Vec<_> = (0..5).map(|number| setup.call(number).unwrap()).collect();
    assert_eq!(again, first);
    assert_eq!(server.n_asked(), 5);
    assert_eq!(setup.upstream.account().statement().n_recalled, 5);
    let error = setup.call(5).unwrap_err();
    assert!(matches!(error, UpstreamError::LimitReached { .. }), "{error}");
    assert!(error.to_string().contains("raise `spending_limit_usd`"), "{error}");
}

#[test]
fn equal_calls_at_the_same_time_are_paid_for_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("calls.jsonl");
    let server = ScriptedServer::start(|asked| {
        Reply::completion(&format!("answer {}", asked.number), 10, 2).after(Duration::from_millis(20))
    })
    .unwrap();
    let setup = Setup::new(endpoint(&server), config(), Account::open(&path, None).unwrap());
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| setup.call(0).unwrap())).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let statement = setup.upstream.account().statement();
    assert_eq!((server.n_asked(), statement.n_paid, statement.n_recalled), (1, 1, 7));
    assert_eq!(statement.spent, prices().cost(&usage(10, 2)));
}

#[test]
fn of_two_answers_to_one_call_the_journal_keeps_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("calls.jsonl");
    let server = ScriptedServer::start(|_| Reply::completion("first", 10, 2)).unwrap();
    let open = || Setup::new(endpoint(&server), config(), Account::open(&path, None).unwrap());
    let first = open().call(0).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let later = text.replace("\"attempt\":1", "\"attempt\":2").replace("first", "later");
    fs::write(&path, format!("{text}{later}")).unwrap();
    let setup = open();
    assert_eq!(setup.call(0).unwrap(), first);
    assert_eq!((setup.upstream.account().statement().n_paid, server.n_asked()), (2, 1));
}

#[test]
fn an_attempt_that_was_in_flight_at_the_end_counts_at_its_worst_case() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("calls.jsonl");
    let server = ScriptedServer::start(|_| Reply::completion("look", 10, 2)).unwrap();
    let setup = Setup::new(endpoint(&server), config(), Account::open(&path, None).unwrap());
    setup.call(0).unwrap();
    let spent = setup.spent();
    drop(setup);
    // The program was killed after it reserved for a second attempt, and while it wrote a third line.
    let mut text = fs::read_to_string(&path).unwrap();
    let n_lines = text.lines().count();
    text.push_str("{\"reserved\":{\"attempt\":77,\"nano_usd\":123}}\n{\"answered\":{\"attempt\":77,\"cost_na");
    fs::write(&path, &text).unwrap();

    let account = Account::open(&path, None).unwrap();
    assert_eq!(account.statement().spent, NanoUsd::new(spent.get() + 123));
    assert_eq!((account.statement().unknown, account.statement().n_unknown), (NanoUsd::new(123), 1));
    let setup = Setup::new(endpoint(&server), config(), account);
    setup.call(0).unwrap();
    setup.call(1).unwrap();
    assert_eq!(server.n_asked(), 2);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), n_lines + 3, "{text}");
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
    assert!(text.contains("\"attempt\":78"), "{text}");
}

#[test]
fn a_damaged_journal_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("calls.jsonl");
    fs::write(&path, "{\"reserved\":{\"attempt\":1,\"nano_usd\":5}}\nnonsense\n").unwrap();
    let message = Account::open(&path, None).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: line 2: ", path.display())), "{message}");
}

#[test]
fn two_runs_cannot_write_one_journal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("calls.jsonl");
    let _first = Account::open(&path, None).unwrap();
    let message = Account::open(&path, None).unwrap_err().to_string();
    assert!(message.contains("in use by another run"), "{message}");
}

#[test]
fn refused_attempts_leave_nothing_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("calls.jsonl");
    let server = ScriptedServer::start(|_| Reply::status(500, "oops")).unwrap();
    let limited = ClientConfig { concurrency: 1, ..config() };
    let setup = Setup::new(endpoint(&server), limited, Account::open(&path, Some(worst_case())).unwrap());
    setup.call(0).unwrap_err();
    assert_eq!(setup.upstream.account().remaining(), worst_case());
    drop(setup);
    assert_eq!(Account::open(&path, None).unwrap().statement().spent, NanoUsd::ZERO);
}
