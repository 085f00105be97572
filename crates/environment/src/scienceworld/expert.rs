//! The expert: the simulator's gold path, taken up again after a deviation.
//!
//! After each command that is not the expert's own it notes what would make it good: go back to where the path goes on, put down
//! what was picked up, close what was opened, switch off what was switched on, take what is connected apart. When a command of the
//! path no longer works, or the path ends without the task being solved, the expert has no advice: the episode is lost.

use std::sync::Arc;

use super::gold_path::{GoldPath, GoldStep};
use super::simulator::Answer;
use super::transitions::Next;

/// How often a command of the path may fail before the episode counts as lost.
const MAX_FAILURES: u32 = 2;
/// How often the expert waits for what takes longer than on the path.
const MAX_EXTRA_WAITS: u32 = 4;

/// An expert in one episode.
#[derive(Debug, Clone)]
pub(crate) struct Expert {
    path: Arc<GoldPath>,
    /// Steps of the path that are done.
    n_done: usize,
    /// What makes deviations good, the latest last.
    amends: Vec<String>,
    place: Arc<str>,
    n_failures: u32,
    n_extra_waits: u32,
    advice: Option<String>,
}

impl Expert {
    pub(crate) fn new(path: Arc<GoldPath>, place: Arc<str>) -> Self {
        let mut expert =
            Self { path, n_done: 0, amends: Vec::new(), place, n_failures: 0, n_extra_waits: 0, advice: None };
        expert.advice = expert.think();
        expert
    }

    /// The next command; `None` when the episode is lost.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// Takes in what a command led to. `place` is where the agent is afterwards.
    pub(crate) fn observe(&mut self, command: &str, next: &Next, place: &Arc<str>) {
        let is_own = self.advice.as_deref() == Some(command);
        let before = std::mem::replace(&mut self.place, place.clone());
        match next {
            Next::Refused if is_own => self.fail(),
            Next::Refused => {}
            Next::To(_, answer) if is_own => self.proceed(command, answer),
            Next::To(_, answer) => self.deviate(command, answer, &before),
        }
        self.skip_walks();
        self.advice = self.think();
    }

    fn think(&self) -> Option<String> {
        if let Some(amends) = self.amends.last() {
            return Some(amends.clone());
        }
        let Some(step) = self.path.steps.get(self.n_done) else {
            let is_waiting = self.path.steps.last().is_some_and(|step| step.command.starts_with("wait"));
            return (is_waiting && self.n_extra_waits < MAX_EXTRA_WAITS).then(|| "wait1".to_owned());
        };
        if self.n_failures > MAX_FAILURES {
            return None;
        }
        if step.place == self.place {
            return Some(step.command.clone());
        }
        // Where the path walks on to, rather than where it was left.
        let stay = self.path.steps[self.n_done..].iter().find(|step| !step.is_walk());
        Some(format!("teleport to {}", stay.unwrap_or(step).place))
    }

    /// An own command worked, or seemed to.
    fn proceed(&mut self, command: &str, answer: &Answer) {
        if self.amends.pop().is_some() {
            return;
        }
        match self.path.steps.get(self.n_done) {
            None => self.n_extra_waits += 1,
            Some(step) if step.command != command => {
                // A way back.
            }
            Some(step) if is_alike(step, answer) => {
                self.n_done += 1;
                self.n_failures = 0;
            }
            Some(_) => self.fail(),
        }
    }

    fn fail(&mut self) {
        if self.amends.pop().is_none() {
            self.n_failures += 1;
        }
    }

    fn deviate(&mut self, command: &str, answer: &Answer, before: &str) {
        if *before != *self.place {
            // A way back is thought of when it is needed.
            return;
        }
        let is_of_path = self.path.steps[self.n_done..].iter().any(|step| step.command == command);
        if !is_of_path {
            self.amends.extend(amends(command, &answer.text));
        }
    }

    /// Walks of the path that lead to where the agent is already.
    fn skip_walks(&mut self) {
        let rest = &self.path.steps[self.n_done..];
        let n_walks = rest.iter().take_while(|step| step.is_walk()).count();
        if n_walks == 0 || rest[0].place == self.place {
            return;
        }
        if let Some(arrived) = (1..=n_walks).rev().find(|&n| rest.get(n).is_some_and(|step| step.place == self.place)) {
            self.n_done += arrived;
        }
    }
}

/// Whether an answer begins like the one on the path: `You move the`, `the thermometer measures`.
fn is_alike(step: &GoldStep, answer: &Answer) -> bool {
    let beginning = |text: &str| text.split_whitespace().take(3).map(str::to_owned).collect::<Vec<_>>();
    step.answer.text == answer.text || beginning(&step.answer.text) == beginning(&answer.text)
}

/// What makes a command good again, where that can be said from its words and the answer's.
fn amends(command: &str, answer: &str) -> Option<String> {
    let object = |verb: &str| command.strip_prefix(verb);
    if let Some(thing) = object("pick up ") {
        return answer.ends_with("to the inventory.").then(|| format!("put down {thing}"));
    }
    if let Some(thing) = object("put down ").or_else(|| object("drop ")) {
        return answer.starts_with("You move").then(|| format!("pick up {thing}"));
    }
    if let Some(rest) = object("move ") {
        let thing = rest.split_once(" to ").map_or(rest, |(thing, _)| thing);
        return answer.starts_with("You move").then(|| format!("pick up {thing}"));
    }
    let pairs = [
        ("open ", "close ", "is now open"),
        ("close ", "open ", "is now closed"),
        ("activate ", "deactivate ", "is now activated"),
        ("deactivate ", "activate ", "is now deactivated"),
        ("connect ", "disconnect ", "is now connected"),
    ];
    pairs.iter().find_map(|(verb, reverse, done)| {
        let thing = object(verb)?;
        let thing = thing.split_once(" to ").map_or(thing, |(thing, _)| thing);
        answer.contains(done).then(|| format!("{reverse}{thing}"))
    })
}
