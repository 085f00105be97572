//! How well the draws foretell what logs show: where two models' logs share a beginning, the one can be asked what the other
//! would do, and the other's log answers.

use tollgate_routing::{Episode, ModelIndex, Provenance, Task};

use super::continuation::{NextStep, ReplayEpisode};
use super::logs::{ReplayLogs, StepRef};

/// Predicted and observed outcomes of switches, over the tasks on which two logs share a beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchCheck {
    /// For each task: the chance to solve it that was predicted, and whether the log did.
    pub outcomes: Vec<(f64, bool)>,
}

/// What a check may know of the log that it predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// Neither its steps nor its end: the prediction is from other tasks alone.
    StepsAndFate,
    /// Its steps only: whether the model can solve the task is known, how and when is drawn.
    Steps,
}

impl SwitchCheck {
    /// Mean of the predictions.
    #[must_use]
    pub fn predicted(&self) -> f64 {
        self.outcomes.iter().map(|(predicted, _)| predicted).sum::<f64>() / self.outcomes.len().max(1) as f64
    }

    /// Share of the logs that solved their task.
    #[must_use]
    pub fn observed(&self) -> f64 {
        self.outcomes.iter().filter(|(_, is_solved)| *is_solved).count() as f64 / self.outcomes.len().max(1) as f64
    }
}

impl ReplayLogs {
    /// For each task on which the logs of `from` and `to` begin alike: after the turns that they share, what the replay would draw for a
    /// switch to `to` if the log of `to` were not there, against that log. `n_draws` episodes per task.
    #[must_use]
    pub fn check_switches(
        &self,
        episodes: &[Episode],
        from: ModelIndex,
        to: ModelIndex,
        withheld: Withheld,
        n_draws: u32,
    ) -> SwitchCheck {
        let mut tasks: Vec<&Task> = episodes.iter().map(|episode| &episode.task).collect();
        tasks.sort_by(|a, b| a.id.cmp(&b.id));
        tasks.dedup_by(|a, b| a.id == b.id);
        let check = |task: &&Task| {
            let first = |model: ModelIndex| self.trials(&task.id, model.get()).first().copied();
            let (from_log, to_log) = (first(from)?, first(to)?);
            let n_shared = self.n_shared_turns(from_log, to_log);
            if n_shared == 0 {
                return None;
            }
            let solved = (0..n_draws).filter(|&draw| {
                let mut episode = ReplayEpisode::new(self, task, u64::from(draw));
                for step in 0..n_shared {
                    let step = StepRef { log: from_log, step };
                    episode.push(from.get(), NextStep { step, provenance: Provenance::Logged });
                }
                episode.withhold(to.get(), withheld == Withheld::Steps);
                self.is_solved_by(&mut episode, to.get())
            });
            Some((solved.count() as f64 / f64::from(n_draws.max(1)), self.logs[to_log].is_success))
        };
        SwitchCheck { outcomes: tasks.iter().filter_map(check).collect() }
    }

    /// How many turns two logs share from the start, the last of neither among them.
    fn n_shared_turns(&self, one: usize, other: usize) -> usize {
        let print = |log: usize, step: usize| {
            self.logs[log].steps.get(step).and_then(|step| Some((step.completion_print, step.next.as_ref()?.print)))
        };
        let n_steps = self.logs[one].steps.len();
        (0..n_steps).take_while(|&step| print(one, step).is_some() && print(one, step) == print(other, step)).count()
    }

    fn is_solved_by(&self, episode: &mut ReplayEpisode<'_>, model: usize) -> bool {
        while episode.history.n_turns() < episode.task.horizon as usize {
            let Some(next) = episode.next_step(model) else { return false };
            if self.step(next.step).closes {
                return self.logs[next.step.log].is_success;
            }
            episode.push(model, next);
        }
        false
    }
}
