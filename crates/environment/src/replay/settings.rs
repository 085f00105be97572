//! How a replay reads its logs: what makes two states alike, and how long the agent's memory was.

use regex_lite::Regex;

use super::ReplayError;

/// How a replay reads its logs. The default knows nothing of the domain: a step failed or it did not.
#[derive(Debug, Clone)]
pub struct ReplaySettings {
    /// What a step can come to; the first rule that holds names it. A step that no rule fits has failed or has not, by
    /// [`tollgate_rollout::reports_failure`].
    pub outcomes: Vec<OutcomeRule>,
    /// The last turn of each bucket of turns but the last, ascending: `[1, 3, 5]` makes 0-1, 2-3, 4-5 and 6 onward.
    pub turn_buckets: Vec<u32>,
    /// A class of states with fewer logged steps gives way to a wider one.
    pub min_donors: usize,
    /// How many messages of the history the logged agent kept in its prompt beside the first one; all of them without it.
    pub prompt_messages: Option<usize>,
    /// Text that is struck out before two texts are compared.
    pub ignored: Option<Regex>,
}

/// What a step has come to, told by what was said and what was seen.
#[derive(Debug, Clone)]
pub struct OutcomeRule {
    /// What the rule is called in messages.
    pub name: String,
    /// What the completion has to match.
    pub completion: Option<Regex>,
    /// What the observation that followed has to match.
    pub observation: Option<Regex>,
    /// Whether the agent knows more from then on: which of these have occurred is part of the state.
    pub informs: bool,
}

impl Default for ReplaySettings {
    fn default() -> Self {
        Self {
            outcomes: Vec::new(),
            turn_buckets: vec![0, 1, 3, 5],
            min_donors: 8,
            prompt_messages: None,
            ignored: None,
        }
    }
}

impl ReplaySettings {
    /// The most rules: what has occurred is kept in 64 bits, two of which are taken.
    pub const MAX_RULES: usize = 62;

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`ReplayError::Setting`] for the first setting that makes no sense.
    pub fn check(&self) -> Result<(), ReplayError> {
        let refuse = |key, found: String, expected| Err(ReplayError::Setting { key, found, expected });
        if self.outcomes.len() > Self::MAX_RULES {
            return refuse("outcomes", format!("{} rules", self.outcomes.len()), "at most 62");
        }
        if let Some(rule) = self.outcomes.iter().find(|rule| rule.completion.is_none() && rule.observation.is_none()) {
            return refuse(
                "outcomes",
                format!("`{}` without a pattern", rule.name),
                "`completion`, `observation` or both",
            );
        }
        if !self.turn_buckets.is_sorted_by(|earlier, later| earlier < later) {
            return refuse("turn_buckets", format!("{:?}", self.turn_buckets), "ascending turns");
        }
        if self.min_donors == 0 {
            return refuse("min_donors", "0".to_owned(), "1 or more");
        }
        if self.prompt_messages == Some(0) {
            return refuse("prompt_messages", "0".to_owned(), "1 or more, or no such key for all of them");
        }
        Ok(())
    }
}
