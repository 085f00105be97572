//! Collections from live models, played by a scripted server: end to end, to the limit, killed and gone on with.
#![expect(clippy::unwrap_used, reason = "what is missing fails its test")]

mod household_server;

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use household_server::{Experiment, Household, rows};
use tollgate_contract::{BoundaryLabelRow, EpisodeRow, StepRow};
use tollgate_routing::CostSource;
use tollgate_scripted_server::{Reply, ScriptedServer};

/// A step as the tables hold it, without what differs from run to run.
type Played = (String, u32, Option<String>, u64);

fn steps(experiment: &Experiment) -> Vec<StepRow> {
    rows(&experiment.path("simulate/steps.parquet"))
}

fn played(experiment: &Experiment) -> Vec<Played> {
    let of_step = |row: StepRow| {
        let turn = row.step.turn;
        (row.episode_id.to_string(), row.step_idx, Some(turn.completion), turn.cost.get())
    };
    steps(experiment).into_iter().map(of_step).collect()
}

/// Asserts that no request was answered twice.
#[track_caller]
fn check_no_call_twice(server: &ScriptedServer) {
    let mut answers: HashMap<String, usize> = HashMap::new();
    for seen in server.seen().into_iter().filter(|seen| seen.was_handed_over && seen.status == 200) {
        // Every step of every episode has a seed of its own, so two calls are never alike.
        *answers.entry(seen.asked.body).or_default() += 1;
    }
    assert!(
        answers.values().all(|&n| n == 1),
        "{} calls were answered twice",
        answers.values().filter(|&&n| n > 1).count()
    );
}

#[test]
fn a_collection_is_played_billed_and_classified() {
    let household = Household::new();
    let billed = household.billed();
    // No call is refused twice: it has two attempts, and its second may be any number.
    let refused: Mutex<HashSet<String>> = Mutex::default();
    let server = ScriptedServer::start(move |asked| {
        if asked.number % 17 == 4 && refused.lock().unwrap().insert(asked.body.clone()) {
            return Reply::too_many_requests("0");
        }
        household.answer(asked)
    })
    .unwrap();
    let experiment = Experiment::new();
    experiment.write_config(&server.base_url(), 5.0);
    let (code, told) = experiment.simulate();
    assert_eq!(code, 0, "{told}");

    let steps = steps(&experiment);
    let cost: u64 = steps.iter().map(|row| row.step.turn.cost.get()).sum();
    assert_eq!(cost, billed.load(Ordering::SeqCst), "what the tables say and what the server billed");
    assert!(steps.iter().all(|row| row.step.cost_source == CostSource::Metered));
    assert!(steps.iter().any(|row| row.step.turn.usage.cached_input_tokens > 0));
    assert!(told.contains("spent=$"), "{told}");
    assert!((2..=8).contains(&server.max_open()), "{} open at once", server.max_open());
    let episodes: Vec<EpisodeRow> = rows(&experiment.path("simulate/episodes.parquet"));
    let solved = |policy: &str| {
        let of_policy = || episodes.iter().filter(move |episode| &*episode.policy_id == policy);
        (of_policy().filter(|episode| episode.is_success).count(), of_policy().count())
    };
    assert_eq!(solved("always-large"), (12, 12));
    let (small, n) = solved("always-small");
    assert!(n == 12 && (1..12).contains(&small), "{small} of {n}");

    let output = experiment
        .tollgate(&["classify", "--episodes", "simulate/episodes.parquet", "--out", "classify"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let labels: Vec<BoundaryLabelRow> = rows(&experiment.path("classify/boundary_labels.parquet"));
    assert_eq!(labels.len(), 6);
}

#[test]
fn a_collection_that_reaches_its_limit_keeps_what_it_has_and_goes_on_with_a_higher_one() {
    let household = Household::new();
    let billed = household.billed();
    let server = ScriptedServer::start(move |asked| household.answer(asked)).unwrap();
    let experiment = Experiment::new();
    experiment.write_config(&server.base_url(), 0.02);
    let (code, told) = experiment.simulate();
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("the spending limit is reached"), "{told}");
    assert!(told.contains("hint: what was paid for is kept; raise `spending_limit_usd`"), "{told}");
    assert!(billed.load(Ordering::SeqCst) <= 20_000_000);
    assert!(!experiment.path("simulate").exists());
    let n_paid = server.n_asked();
    assert!(n_paid > 10);

    experiment.write_config(&server.base_url(), 5.0);
    let (code, told) = experiment.simulate();
    assert_eq!(code, 0, "{told}");
    check_no_call_twice(&server);
    assert_eq!(steps(&experiment).len(), server.n_asked());
    let cost: u64 = steps(&experiment).iter().map(|row| row.step.turn.cost.get()).sum();
    assert_eq!(cost, billed.load(Ordering::SeqCst));
}

/// A server that falls silent after so many answers, until it is told to go on, and says when it does.
fn falling_silent(n_answers: usize) -> (ScriptedServer, Arc<AtomicBool>, mpsc::Receiver<()>) {
    let household = Household::new();
    let goes_on = Arc::new(AtomicBool::new(n_answers == usize::MAX));
    let (sender, is_silent) = mpsc::channel();
    let (for_script, sender) = (goes_on.clone(), Mutex::new(sender));
    let server = ScriptedServer::start(move |asked| {
        if asked.number >= n_answers && !for_script.load(Ordering::SeqCst) {
            sender.lock().unwrap().send(()).unwrap();
            return Reply::silence();
        }
        household.answer(asked)
    });
    (server.unwrap(), goes_on, is_silent)
}

#[test]
fn a_collection_that_is_killed_goes_on_without_paying_twice() {
    let (undisturbed, _, _) = falling_silent(usize::MAX);
    let reference = Experiment::new();
    reference.write_config(&undisturbed.base_url(), 5.0);
    assert_eq!(reference.simulate().0, 0);

    let (server, goes_on, is_silent) = falling_silent(150);
    let experiment = Experiment::new();
    experiment.write_config(&server.base_url(), 5.0);
    let mut child = experiment.tollgate(&["simulate", "--out", "simulate"]).spawn().unwrap();
    is_silent.recv_timeout(Duration::from_mins(1)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = std::fs::read_to_string(experiment.path("simulate.partial/calls.jsonl")).unwrap();
    let [n_kept, n_reserved] = ["answered", "reserved"].map(|entry| journal.matches(&format!("\"{entry}\"")).count());
    assert!((140..=150).contains(&n_kept), "{n_kept}");
    assert!((1..=8).contains(&(n_reserved - n_kept)), "{n_reserved} attempts, {n_kept} answers");

    goes_on.store(true, Ordering::SeqCst);
    let (code, told) = experiment.simulate();
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("what an earlier attempt paid for is used"), "{told}");
    // Whoever was answered before the end has it in the journal, but for calls that were on the wire at the kill: the server may have
    // answered those to nobody, even after the kill, and they are asked again.
    let n_answered = server.seen().iter().filter(|seen| seen.was_handed_over).count();
    let n_steps = steps(&experiment).len();
    assert!(n_answered - n_steps <= n_reserved - n_kept, "{n_answered} answers for {n_steps} steps");
    assert_eq!(played(&experiment), played(&reference));
}

#[test]
fn an_interrupted_collection_lets_open_calls_end_and_goes_on_without_any_of_them() {
    let household = Household::new();
    let (sender, has_begun) = mpsc::channel();
    let sender = Mutex::new(sender);
    let server = ScriptedServer::start(move |asked| {
        if asked.number == 100 {
            sender.lock().unwrap().send(()).unwrap();
        }
        household.answer(asked).after(Duration::from_millis(5))
    })
    .unwrap();
    let experiment = Experiment::new();
    experiment.write_config(&server.base_url(), 5.0);
    let child = experiment.tollgate(&["simulate", "--out", "simulate"]).spawn().unwrap();
    has_begun.recv_timeout(Duration::from_mins(1)).unwrap();
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("stopped before the call was made"), "{told}");

    let (code, told) = experiment.simulate();
    assert_eq!(code, 0, "{told}");
    check_no_call_twice(&server);
    assert_eq!(steps(&experiment).len(), server.n_asked());
}

#[test]
fn training_and_evaluation_spend_only_what_they_are_told_to() {
    let household = Household::new();
    let server = ScriptedServer::start(move |asked| household.answer(asked)).unwrap();
    let experiment = Experiment::new();
    experiment.write_config(&server.base_url(), 5.0);
    let run = |slot: &str| {
        let output = experiment.tollgate(&[slot, "--run-dir", ".", "--out", slot]).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(experiment.simulate().0, 0);
    for slot in ["classify", "synthesize"] {
        let (code, told) = run(slot);
        assert_eq!(code, 0, "{slot}: {told}");
    }
    let n_collected = server.n_asked();
    let (code, told) = run("optimize");
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("`experiment.live.optimize_spending_limit_usd` is missing"), "{told}");
    assert_eq!(server.n_asked(), n_collected);

    let text = std::fs::read_to_string(experiment.path("live.toml")).unwrap();
    let limits = "optimize_spending_limit_usd = 5.0\nevaluate_spending_limit_usd = 5.0\nconcurrency";
    std::fs::write(experiment.path("live.toml"), text.replacen("concurrency", limits, 1)).unwrap();
    for slot in ["optimize", "evaluate", "report"] {
        let n_asked = server.n_asked();
        let (code, told) = run(slot);
        assert_eq!(code, 0, "{slot}: {told}");
        assert_eq!(server.n_asked() > n_asked, slot != "report", "{slot}");
    }
    assert!(experiment.path("report/report.html").exists());
}

#[test]
fn a_server_that_answers_in_html_is_told_plainly() {
    let server = ScriptedServer::start(|_| Reply::html()).unwrap();
    let experiment = Experiment::new();
    experiment.write_config(&server.base_url(), 5.0);
    let (code, told) = experiment.simulate();
    assert_eq!(code, 1);
    let url = format!("{}/chat/completions: status 200: the answer is an HTML page", server.base_url());
    assert!(told.contains(&url), "{told}");
}
