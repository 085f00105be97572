//! What a model says next, and what comes of it: read from a log where one tells, drawn where none does.

use tollgate_rollout::derive_seed;
use tollgate_routing::{Provenance, Task, TaskId};

use super::donors::DonorQuery;
use super::history::History;
use super::logs::{ReplayLogs, StepRef};
use crate::chance::Chance;

/// Streams of an episode's seed.
const TRIAL_STREAM: u64 = 0x7E_57;
const FATE_STREAM: u64 = 0xFA_7E;
const DRAW_STREAM: u64 = 0xD2_A0;

/// A step that a log or chance has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NextStep {
    /// Whose words are said.
    pub(crate) step: StepRef,
    pub(crate) provenance: Provenance,
}

/// An episode of a replay as it grows.
#[derive(Debug, Clone)]
pub(crate) struct ReplayEpisode<'a> {
    logs: &'a ReplayLogs,
    pub(crate) task: Task,
    seed: u64,
    pub(crate) history: History,
    /// For each model of the pool, the log of this task that the episode goes by.
    own: Vec<Option<usize>>,
    /// For each model, whether it can solve the task in this episode: as its own log did, or decided by chance on its first
    /// call where it has none. Decided once, so that trying again does not make a failure a success.
    fates: Vec<Option<bool>>,
    /// The last step, when it was read from a log that the same model can follow.
    followed: Option<StepRef>,
    /// Whether every step so far is one model's own log from the start.
    is_logged: bool,
    last_model: Option<usize>,
    withheld: Option<TaskId>,
}

impl<'a> ReplayEpisode<'a> {
    pub(crate) fn new(logs: &'a ReplayLogs, task: &Task, seed: u64) -> Self {
        let own: Vec<Option<usize>> = (0..logs.models.len())
            .map(|model| {
                let trials = logs.trials(&task.id, model);
                Chance::new(derive_seed(seed, TRIAL_STREAM), model as u64).pick(trials)
            })
            .collect();
        Self {
            logs,
            task: task.clone(),
            seed,
            history: History::new(),
            fates: own.iter().map(|log| log.map(|log| logs.logs[log].is_success)).collect(),
            own,
            followed: None,
            is_logged: true,
            last_model: None,
            withheld: None,
        }
    }

    /// Plays on without what the logs of this task say about `model`; its fate as well, unless `keeps_fate`. For checks of how
    /// well the draws foretell what the log says.
    pub(crate) fn withhold(&mut self, model: usize, keeps_fate: bool) {
        self.own[model] = None;
        self.withheld = Some(self.task.id.clone());
        if !keeps_fate {
            self.fates[model] = None;
        }
    }

    /// What is seen before the first step.
    pub(crate) fn opening(&self) -> &'a str {
        self.own.iter().flatten().next().map_or("", |&log| &self.logs.logs[log].opening)
    }

    /// Tokens of a prompt of `model` now.
    pub(crate) fn prompt_tokens(&self, model: usize) -> u32 {
        let first = self.own[model]
            .map_or(self.logs.models[model].first_prompt, |log| self.logs.logs[log].steps[0].usage.prompt_tokens());
        self.history.prompt_tokens(first, self.logs.settings.prompt_messages)
    }

    /// Whether the last step was a call of the same model.
    pub(crate) fn is_warm(&self, model: usize) -> bool {
        self.last_model == Some(model)
    }

    /// What comes of a call of `model`. `None` when there is no log to draw from.
    pub(crate) fn next_step(&self, model: usize) -> Option<NextStep> {
        if let Some(step) = self.followed_step(model) {
            let provenance = if self.is_logged { Provenance::Logged } else { Provenance::Matched };
            return Some(NextStep { step, provenance });
        }
        self.matching_step(model).or_else(|| self.draw(model))
    }

    /// Takes in a step of `model`.
    pub(crate) fn push(&mut self, model: usize, next: NextStep) {
        self.decide_fate(model);
        self.is_logged &= next.provenance == Provenance::Logged;
        self.followed = (next.provenance != Provenance::Drawn).then_some(next.step);
        self.last_model = Some(model);
        self.history.push(self.logs, next.step);
    }

    /// The step after the last in the log that is being followed; at the start, the first of the model's own log.
    fn followed_step(&self, model: usize) -> Option<StepRef> {
        let step = match (self.last_model, self.followed) {
            (None, _) => StepRef { log: self.own[model]?, step: 0 },
            (Some(last), Some(followed)) if last == model => StepRef { step: followed.step + 1, ..followed },
            _ => return None,
        };
        self.can_tell(step).then_some(step)
    }

    fn matching_step(&self, model: usize) -> Option<NextStep> {
        let log = self.own[model]?;
        let step = StepRef { log, step: self.history.matching_step(&self.logs.logs[log].steps)? };
        self.can_tell(step).then_some(NextStep { step, provenance: Provenance::Matched })
    }

    /// Whether a log tells what comes of the step, as far as anyone will ask.
    fn can_tell(&self, at: StepRef) -> bool {
        let is_last_turn = self.history.n_turns() + 1 >= self.task.horizon as usize;
        self.logs.logs[at.log].steps.get(at.step).is_some_and(|step| step.closes || step.next.is_some() || is_last_turn)
    }

    fn query(&self, model: usize) -> DonorQuery<'_> {
        DonorQuery {
            task: &self.task,
            model,
            state: self.history.state,
            min_donors: self.logs.settings.min_donors,
            withheld: self.withheld.as_ref(),
        }
    }

    fn fate(&self, model: usize) -> bool {
        self.fates[model].unwrap_or_else(|| {
            let chance = Chance::new(derive_seed(self.seed, FATE_STREAM), model as u64).unit();
            chance < self.logs.donors.solved_share(&self.logs.logs, &self.query(model))
        })
    }

    fn decide_fate(&mut self, model: usize) {
        self.fates[model] = Some(self.fate(model));
    }

    /// A step of the same class of states. Chance decides, as often as it happened in the logs, whether it ends the episode and what
    /// kind of step it is; the words are then those of the nearest log that holds such a step.
    fn draw(&self, model: usize) -> Option<NextStep> {
        let stream = (self.history.n_turns() * self.logs.models.len() + model) as u64;
        let mut chance = Chance::new(derive_seed(self.seed, DRAW_STREAM), stream);
        let fate = self.fate(model);
        let mut donors = self.logs.donors.find(&self.logs.logs, &self.query(model), fate);
        if donors.is_empty() {
            donors = self.logs.donors.find(&self.logs.logs, &self.query(model), !fate);
        }
        let drawn = chance.pick(&donors)?;
        let words = if self.logs.step(drawn).closes {
            self.nearest(model, &donors, drawn, |at| self.logs.step(at).closes)
        } else {
            let going_on: Vec<StepRef> =
                donors.iter().copied().filter(|&at| self.logs.step(at).next.is_some()).collect();
            match chance.pick(&going_on) {
                Some(kind) => {
                    let outcome = |at: StepRef| self.logs.step(at).next.as_ref().map(|next| next.outcome);
                    self.nearest(model, &going_on, kind, |at| outcome(at) == outcome(kind))
                }
                None => drawn,
            }
        };
        Some(NextStep { step: words, provenance: Provenance::Drawn })
    }

    /// Among the steps that `is_such`: one of the model's own log of the task that was not told yet, else one of `donors` from the same
    /// group of tasks, else `drawn`.
    fn nearest(&self, model: usize, donors: &[StepRef], drawn: StepRef, is_such: impl Fn(StepRef) -> bool) -> StepRef {
        let own = self.own[model]
            .into_iter()
            .flat_map(|log| (0..self.logs.logs[log].steps.len()).map(move |step| StepRef { log, step }));
        if let Some(step) = own.into_iter().find(|&at| is_such(at) && !self.history.has_used(at)) {
            return step;
        }
        let is_near = |at: &&StepRef| {
            self.task.group.is_some() && self.logs.logs[at.log].group == self.task.group && is_such(**at)
        };
        let near: Vec<StepRef> = donors.iter().filter(is_near).copied().collect();
        let offset = donors.iter().position(|&at| at == drawn).unwrap_or_default();
        if near.is_empty() { drawn } else { near[offset % near.len()] }
    }
}
