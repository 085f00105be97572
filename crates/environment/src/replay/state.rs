//! The class of a state: what of a history decides how well a model goes on from there.

use std::hash::{DefaultHasher, Hash, Hasher};

use tollgate_rollout::reports_failure;

use super::settings::ReplaySettings;

/// What a step has come to: a rule of the settings, or one of the two that every replay knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StepOutcome(u8);

impl StepOutcome {
    const FAILED: u8 = 0;
    const WENT_ON: u8 = 1;
    const FIRST_RULE: u8 = 2;

    const fn bit(self) -> u64 {
        1 << self.0
    }
}

/// What two histories have in common when a model goes on alike from both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StateClass {
    /// Which bucket of turns.
    pub(crate) turn_bucket: u8,
    /// What the last step came to; `None` at the start.
    pub(crate) last: Option<StepOutcome>,
    /// Which informing outcomes have occurred.
    pub(crate) known: u64,
}

impl StateClass {
    /// The class of the start.
    pub(crate) const START: Self = Self { turn_bucket: 0, last: None, known: 0 };

    /// Whether the two differ in the turn at most.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        (self.last, self.known) == (other.last, other.known)
    }
}

/// Reads steps by the rules of the settings.
#[derive(Debug, Clone)]
pub(crate) struct Classifier<'a> {
    settings: &'a ReplaySettings,
    informing: u64,
}

impl<'a> Classifier<'a> {
    pub(crate) fn new(settings: &'a ReplaySettings) -> Self {
        let rules = settings.outcomes.iter().zip(StepOutcome::FIRST_RULE..);
        let informing =
            rules.filter(|(rule, _)| rule.informs).fold(0, |bits, (_, index)| bits | StepOutcome(index).bit());
        // Without a word from the settings, everything that did not fail is worth knowing.
        let informing = if informing == 0 { StepOutcome(StepOutcome::WENT_ON).bit() } else { informing };
        Self { settings, informing }
    }

    /// The class after `n_turns` turns, the last of which led from `before` to `outcome`.
    pub(crate) fn after(&self, before: StateClass, outcome: StepOutcome, n_turns: usize) -> StateClass {
        let turn_bucket = self.settings.turn_buckets.iter().filter(|&&last| n_turns > last as usize).count() as u8;
        StateClass { turn_bucket, last: Some(outcome), known: before.known | (outcome.bit() & self.informing) }
    }

    /// What a step came to.
    pub(crate) fn outcome(&self, completion: &str, observation: &str) -> StepOutcome {
        let holds = |pattern: &Option<regex_lite::Regex>, text: &str| pattern.as_ref().is_none_or(|p| p.is_match(text));
        let rule = self
            .settings
            .outcomes
            .iter()
            .position(|rule| holds(&rule.completion, completion) && holds(&rule.observation, observation));
        match rule {
            Some(position) => StepOutcome(StepOutcome::FIRST_RULE + position as u8),
            None if reports_failure(observation) => StepOutcome(StepOutcome::FAILED),
            None => StepOutcome(StepOutcome::WENT_ON),
        }
    }

    /// Whether the agent knows more after such a step.
    pub(crate) const fn informs(&self, outcome: StepOutcome) -> bool {
        outcome.bit() & self.informing != 0
    }

    /// A number that is the same for texts that differ in case, spaces and what the settings ignore.
    pub(crate) fn fingerprint(&self, text: &str) -> u64 {
        let text = match &self.settings.ignored {
            Some(ignored) => ignored.replace_all(text, ""),
            None => text.into(),
        };
        let mut hasher = DefaultHasher::new();
        for word in text.split_whitespace() {
            word.to_ascii_lowercase().hash(&mut hasher);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;

    use super::super::settings::OutcomeRule;
    use super::*;

    fn settings() -> ReplaySettings {
        let rule = |name: &str, completion: &str| OutcomeRule {
            name: name.to_owned(),
            completion: Some(Regex::new(completion).unwrap()),
            observation: None,
            informs: true,
        };
        ReplaySettings {
            outcomes: vec![rule("tables", "(?i)^show tables"), rule("columns", "(?i)^desc")],
            ignored: Some(Regex::new("b?'").unwrap()),
            ..ReplaySettings::default()
        }
    }

    #[test]
    fn the_first_rule_that_holds_names_the_outcome_and_what_informs_is_kept() {
        let settings = settings();
        let classifier = Classifier::new(&settings);
        let tables = classifier.outcome("SHOW TABLES", "song");
        let columns = classifier.outcome("DESC song", "Title");
        let failed = classifier.outcome("SELECT x", "Error executing query");
        let state = classifier.after(StateClass::START, tables, 1);
        let state = classifier.after(state, columns, 2);
        let state = classifier.after(state, failed, 3);
        assert_eq!(state.known.count_ones(), 2);
        assert_eq!((state.turn_bucket, state.last), (2, Some(failed)));
        assert!(!classifier.informs(failed) && !classifier.informs(classifier.outcome("SELECT 1", "[(1,)]")));
    }

    #[test]
    fn texts_that_differ_in_form_only_have_one_fingerprint() {
        let settings = settings();
        let classifier = Classifier::new(&settings);
        assert_eq!(classifier.fingerprint("('Id',  b'int')"), classifier.fingerprint("('id', 'INT')"));
        assert_ne!(classifier.fingerprint("('Id', 'int')"), classifier.fingerprint("('Id', 'text')"));
    }
}
