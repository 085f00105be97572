//! An episode whose steps are still coming in, in one piece of memory.

use std::ops::Range;

use tollgate_routing::{CostSource, TokenUsage};

use crate::decimal::ExactUsd;
use crate::json::Text;
use crate::record::{LoggedStep, LoggedTokens, Order};
use crate::skips::{Place, Reason, Refusal};

/// A step as it is kept: its words are in the episode's memory.
#[derive(Debug, Clone)]
pub(crate) struct OpenStep {
    pub(crate) order: Order,
    pub(crate) place: Place,
    pub(crate) step_id: Option<Range<usize>>,
    pub(crate) observation: Option<Range<usize>>,
    pub(crate) completion: Range<usize>,
    pub(crate) extra: Range<usize>,
    /// Position of the model among the models of the log.
    pub(crate) model: usize,
    pub(crate) usage: TokenUsage,
    pub(crate) cost: Option<ExactUsd>,
    pub(crate) source: Option<CostSource>,
    pub(crate) latency_ms: u32,
    pub(crate) reward: Option<f32>,
}

/// An episode in the making. It is used again for another one when it is done.
#[derive(Debug, Default)]
pub(crate) struct OpenEpisode {
    words: String,
    pub(crate) id: Range<usize>,
    pub(crate) task_id: Range<usize>,
    pub(crate) steps: Vec<OpenStep>,
    /// The greatest of the steps' orders.
    latest: Option<Order>,
    pub(crate) task_text: Option<Range<usize>>,
    pub(crate) group: Option<Range<usize>>,
    pub(crate) kind: Option<Range<usize>>,
    pub(crate) dataset: Option<Range<usize>>,
    pub(crate) split_field: Option<Range<usize>>,
    pub(crate) trial: Option<Range<usize>>,
    pub(crate) extra: Option<Range<usize>>,
    pub(crate) n_steps: Option<u32>,
    pub(crate) horizon: Option<u32>,
    pub(crate) success: Option<bool>,
    pub(crate) score: Option<f64>,
    pub(crate) is_truncated: Option<bool>,
    /// The row that makes it worthless, and why.
    pub(crate) broken: Option<(Place, Reason)>,
    /// Rows that it will not get any more, because they were bad.
    pub(crate) n_bad_rows: u32,
    /// When it came up and when it was last added to, in rows.
    pub(crate) first_row: u64,
    pub(crate) last_row: u64,
}

impl OpenEpisode {
    /// Makes it ready for an episode of that name.
    pub(crate) fn begin(&mut self, id: &str, row: u64) {
        let (words, steps) = (std::mem::take(&mut self.words), std::mem::take(&mut self.steps));
        *self = Self { words, steps, first_row: row, last_row: row, ..Self::default() };
        self.words.clear();
        self.steps.clear();
        self.id = self.keep(Text::Plain(id));
    }

    pub(crate) fn text(&self, range: &Range<usize>) -> &str {
        &self.words[range.clone()]
    }

    pub(crate) fn optional_text(&self, range: Option<&Range<usize>>) -> Option<&str> {
        range.map(|range| self.text(range))
    }

    /// The bytes that it holds.
    pub(crate) fn n_bytes(&self) -> usize {
        self.words.len() + self.steps.len() * size_of::<OpenStep>()
    }

    /// Adds a step, unless it is there already.
    ///
    /// # Errors
    /// Bad tokens, a step of another task, or one that differs from the one of its index.
    pub(crate) fn add(&mut self, step: &LoggedStep<'_>, model: usize, place: Place) -> Result<(), Refusal> {
        let usage = usage(step.tokens)?;
        self.note_task(step.task_id)?;
        let n_words = self.words.len();
        let new = OpenStep {
            order: step.order,
            place,
            step_id: step.step_id.map(|id| self.keep(id)),
            observation: step.observation.map(|text| self.keep(text)),
            completion: self.keep(step.completion),
            extra: self.keep(Text::Plain(step.extra)),
            model,
            usage,
            cost: step.cost,
            source: step.source,
            latency_ms: step.latency_ms,
            reward: step.reward,
        };
        if let Some(earlier) = self.earlier(&new) {
            let is_same = self.is_same(earlier, &new);
            let at = earlier.place.line;
            self.words.truncate(n_words);
            return Err(if is_same {
                Refusal::new(Reason::DuplicateStep, format!("the same step as in line {at}"))
            } else {
                Refusal::new(
                    Reason::ConflictingStep,
                    format!("another step {} than in line {at}", describe(step.order)),
                )
            });
        }
        self.latest = self.latest.max(Some(new.order));
        self.steps.push(new);
        self.note_facts(step);
        Ok(())
    }

    /// Notes which task a step is of. One that is named as the episode is stands for none: formats name it so where the log does not.
    fn note_task(&mut self, task_id: Text<'_>) -> Result<(), Refusal> {
        let n_words = self.words.len();
        let named = self.keep(task_id);
        let is_none = |task: &Range<usize>| task.is_empty() || self.text(task) == self.text(&self.id);
        if is_none(&self.task_id) && !is_none(&named) || self.task_id.is_empty() {
            self.task_id = named;
            return Ok(());
        }
        let (known, found) = (self.text(&self.task_id), self.text(&named));
        let refused = if is_none(&named) || known == found {
            Ok(())
        } else {
            let detail = format!("a step of task `{found}`, but the episode's steps before it are of `{known}`");
            Err(Refusal::new(Reason::ConflictingStep, detail))
        };
        self.words.truncate(n_words);
        refused
    }

    /// The step of the same index or name.
    fn earlier(&self, new: &OpenStep) -> Option<&OpenStep> {
        if let Order::Index(index) = new.order {
            // Steps in order are the rule: then there is none.
            return match self.latest {
                Some(latest) if latest >= new.order => self.steps.iter().find(|step| step.order == Order::Index(index)),
                _ => None,
            };
        }
        let id = self.text(new.step_id.as_ref()?);
        self.steps.iter().find(|step| self.optional_text(step.step_id.as_ref()) == Some(id))
    }

    fn is_same(&self, one: &OpenStep, other: &OpenStep) -> bool {
        self.optional_text(one.observation.as_ref()) == self.optional_text(other.observation.as_ref())
            && self.text(&one.completion) == self.text(&other.completion)
            && (one.model, one.usage, one.cost) == (other.model, other.usage, other.cost)
    }

    fn note_facts(&mut self, step: &LoggedStep<'_>) {
        let facts = &step.facts;
        if self.steps.len() == 1 {
            self.trial = step.trial.map(|text| self.keep(text));
            self.dataset = facts.dataset.map(|text| self.keep(text));
        }
        if self.task_text.is_none() {
            self.task_text = facts.task_text.map(|text| self.keep(text));
        }
        if self.group.is_none() {
            self.group = facts.group.map(|text| self.keep(text));
        }
        if self.kind.is_none() {
            self.kind = facts.kind.map(|text| self.keep(text));
        }
        if self.split_field.is_none() {
            self.split_field = facts.split_field.map(|text| self.keep(text));
        }
        if self.extra.is_none() && !facts.extra.is_empty() {
            self.extra = Some(self.keep(Text::Plain(facts.extra)));
        }
        self.n_steps = self.n_steps.or(facts.n_steps);
        self.horizon = self.horizon.or(facts.horizon);
        self.success = facts.success.or(self.success);
        self.score = facts.score.or(self.score);
        self.is_truncated = facts.is_truncated.or(self.is_truncated);
    }

    fn keep(&mut self, text: Text<'_>) -> Range<usize> {
        let start = self.words.len();
        text.push_to(&mut self.words);
        start..self.words.len()
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_complete(&self) -> bool {
        self.n_steps.is_some_and(|n_steps| self.steps.len() as u32 + self.n_bad_rows >= n_steps)
    }

    /// Puts the steps in order.
    ///
    /// # Errors
    /// A gap.
    pub(crate) fn put_in_order(&mut self) -> Result<(), Refusal> {
        if !self.steps.is_sorted_by_key(|step| step.order) {
            self.steps.sort_by_key(|step| step.order);
        }
        let incomplete = |detail| Err(Refusal::new(Reason::IncompleteEpisode, detail));
        let id = self.text(&self.id);
        let position =
            |(at, step): &(usize, &OpenStep)| matches!(step.order, Order::Index(index) if index as usize != *at);
        if let Some((missing, _)) = self.steps.iter().enumerate().find(position) {
            return incomplete(format!("episode `{id}` has no step {missing}"));
        }
        match self.n_steps {
            Some(n_steps) if self.steps.len() < n_steps as usize => {
                incomplete(format!("episode `{id}` has {} of its {n_steps} steps", self.steps.len()))
            }
            Some(n_steps) if self.steps.len() > n_steps as usize => Err(Refusal::new(
                Reason::ConflictingStep,
                format!("episode `{id}` has {} steps, expected `n_steps`, {n_steps}", self.steps.len()),
            )),
            _ => Ok(()),
        }
    }
}

fn describe(order: Order) -> String {
    match order {
        Order::Index(index) => index.to_string(),
        Order::Time(_) | Order::Arrival => "of that id".to_owned(),
    }
}

/// The four buckets: what the cache had is no input any more.
fn usage(tokens: LoggedTokens) -> Result<TokenUsage, Refusal> {
    let (Some(prompt), Some(completion)) = (tokens.prompt, tokens.completion) else {
        let field = if tokens.prompt.is_none() { "prompt" } else { "completion" };
        return Err(Refusal::new(Reason::MissingUsage, format!("has no count of {field} tokens")));
    };
    let (cached, written) = (tokens.cached.unwrap_or(0), tokens.cache_write.unwrap_or(0));
    for (name, count) in [("prompt", prompt), ("completion", completion), ("cached", cached), ("cache write", written)]
    {
        if !(0..=i64::from(i32::MAX)).contains(&count) {
            return Err(Refusal::new(Reason::BadTokens, format!("{count} {name} tokens, expected 0 to 2^31 - 1")));
        }
    }
    if cached + written > prompt {
        let detail = format!("{cached} cached and {written} written tokens of a prompt of {prompt}");
        return Err(Refusal::new(Reason::BadTokens, detail));
    }
    Ok(TokenUsage {
        input_tokens: (prompt - cached - written) as u32,
        cached_input_tokens: cached as u32,
        cache_write_tokens: written as u32,
        output_tokens: completion as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cache_had_is_no_input() {
        let tokens = LoggedTokens { prompt: Some(100), cached: Some(60), cache_write: Some(30), completion: Some(7) };
        let expected =
            TokenUsage { input_tokens: 10, cached_input_tokens: 60, cache_write_tokens: 30, output_tokens: 7 };
        assert_eq!(usage(tokens), Ok(expected));
    }

    #[track_caller]
    fn check_refused(tokens: LoggedTokens, reason: Reason, detail: &str) {
        assert_eq!(usage(tokens), Err(Refusal::new(reason, detail)));
    }

    #[test]
    fn tokens_that_cannot_be_are_refused() {
        let good = LoggedTokens { prompt: Some(10), completion: Some(1), ..LoggedTokens::default() };
        check_refused(LoggedTokens { prompt: None, ..good }, Reason::MissingUsage, "has no count of prompt tokens");
        let detail = "-1 completion tokens, expected 0 to 2^31 - 1";
        check_refused(LoggedTokens { completion: Some(-1), ..good }, Reason::BadTokens, detail);
        let detail = "11 cached and 0 written tokens of a prompt of 10";
        check_refused(LoggedTokens { cached: Some(11), ..good }, Reason::BadTokens, detail);
    }
}
