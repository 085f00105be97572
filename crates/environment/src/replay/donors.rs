//! Steps by the class of the state that they were taken in, and how a class that is too thin gives way to a wider one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_routing::{Split, Task, TaskId};

use super::logs::{Log, StepRef};
use super::state::StateClass;

/// Logged steps, by class.
///
/// Steps of different splits are kept apart: an episode of a test task never draws from the logs of training tasks, nor the
/// other way round.
#[derive(Debug, Clone)]
pub(crate) struct Donors {
    by_class: BTreeMap<DonorClass, Vec<StepRef>>,
}

/// What donors have in common. What a level does not look at is the same for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct DonorClass {
    level: usize,
    model: usize,
    split: Split,
    /// Whether the log that the step is from was solved.
    is_solved: bool,
    state: StateClass,
    kind: Option<Arc<str>>,
}

/// Whose steps are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DonorQuery<'a> {
    pub(crate) task: &'a Task,
    pub(crate) model: usize,
    pub(crate) state: StateClass,
    pub(crate) min_donors: usize,
    /// A task whose logs are to be left out.
    pub(crate) withheld: Option<&'a TaskId>,
}

/// From the narrowest class to the widest: first kinds of tasks are joined, then turns, then what is known, then all.
const N_LEVELS: usize = 5;

/// The last class that gives way to a wider one for being thin. What the last step came to matters more than numbers.
const LAST_THIN_LEVEL: usize = 2;

impl Donors {
    pub(crate) fn new(logs: &[Log]) -> Self {
        let mut by_class: BTreeMap<DonorClass, Vec<StepRef>> = BTreeMap::new();
        for (position, log) in logs.iter().enumerate() {
            for (step, logged) in log.steps.iter().enumerate() {
                for level in 0..N_LEVELS {
                    let class =
                        DonorClass::at(level, log.model, log.split, log.is_success, &logged.state, log.kind.as_ref());
                    by_class.entry(class).or_default().push(StepRef { log: position, step });
                }
            }
        }
        Self { by_class }
    }

    /// Steps that the model took in such a state, in logs that ended as `is_solved` says: of the narrowest class that has
    /// enough of them.
    pub(crate) fn find(&self, logs: &[Log], query: &DonorQuery<'_>, is_solved: bool) -> Vec<StepRef> {
        let mut found = Vec::new();
        for level in 0..N_LEVELS {
            found = self.at(level, logs, query, is_solved);
            if is_enough(level, found.len(), query) {
                break;
            }
        }
        found
    }

    /// Of the model's steps in such a state, the share whose log was solved in the end; 0 when there are none.
    pub(crate) fn solved_share(&self, logs: &[Log], query: &DonorQuery<'_>) -> f32 {
        let mut counts = [0, 0];
        for level in 0..N_LEVELS {
            counts = [false, true].map(|is_solved| self.at(level, logs, query, is_solved).len());
            if is_enough(level, counts[0] + counts[1], query) {
                break;
            }
        }
        counts[1] as f32 / (counts[0] + counts[1]).max(1) as f32
    }

    fn at(&self, level: usize, logs: &[Log], query: &DonorQuery<'_>, is_solved: bool) -> Vec<StepRef> {
        let Task { split, kind, .. } = query.task;
        let class = DonorClass::at(level, query.model, *split, is_solved, &query.state, kind.as_ref());
        let steps = self.by_class.get(&class).map_or(&[][..], Vec::as_slice);
        steps.iter().filter(|at| query.withheld != Some(&logs[at.log].task)).copied().collect()
    }
}

fn is_enough(level: usize, n_donors: usize, query: &DonorQuery<'_>) -> bool {
    n_donors >= if level > LAST_THIN_LEVEL { 1 } else { query.min_donors }
}

impl DonorClass {
    fn at(
        level: usize,
        model: usize,
        split: Split,
        is_solved: bool,
        state: &StateClass,
        kind: Option<&Arc<str>>,
    ) -> Self {
        let state = StateClass {
            turn_bucket: if level < 2 { state.turn_bucket } else { 0 },
            known: if level < 3 { state.known } else { 0 },
            last: state.last.filter(|_| level < 4),
        };
        Self { level, model, split, is_solved, state, kind: kind.filter(|_| level < 1).cloned() }
    }
}
