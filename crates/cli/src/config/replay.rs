//! `[experiment.replay]`: which logs are replayed, and what makes two of their states alike.

use std::path::PathBuf;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use tollgate_environment::replay::{OutcomeRule, ReplaySettings};

use crate::failure::{OrBadInput, bad_input};

/// The table as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayConfig {
    /// Folder that `tollgate import` wrote.
    pub(crate) logs: PathBuf,
    /// The last turn of each bucket of turns but the last.
    #[serde(default = "default_turn_buckets")]
    turn_buckets: Vec<u32>,
    /// A class of states with fewer logged steps gives way to a wider one.
    #[serde(default = "default_min_donors")]
    min_donors: usize,
    /// How many messages of the history the logged agent kept in its prompt beside the first; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_messages: Option<usize>,
    /// Pattern of text that is struck out before two texts are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ignored: Option<String>,
    /// What a step can come to; the first that holds.
    #[serde(default)]
    outcomes: Vec<OutcomeConfig>,
}

/// A rule for what a step has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeConfig {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<String>,
    /// Whether the agent knows more from then on.
    #[serde(default)]
    informs: bool,
}

fn default_turn_buckets() -> Vec<u32> {
    ReplaySettings::default().turn_buckets
}

fn default_min_donors() -> usize {
    ReplaySettings::default().min_donors
}

impl ReplayConfig {
    /// The settings, with their patterns read.
    pub(crate) fn settings(&self) -> anyhow::Result<ReplaySettings> {
        let rule = |rule: &OutcomeConfig| {
            let key = |pattern| format!("outcomes: {}: {pattern}", rule.name);
            Ok(OutcomeRule {
                name: rule.name.clone(),
                completion: pattern(&key("completion"), rule.completion.as_ref())?,
                observation: pattern(&key("observation"), rule.observation.as_ref())?,
                informs: rule.informs,
            })
        };
        let settings = ReplaySettings {
            outcomes: self.outcomes.iter().map(rule).collect::<anyhow::Result<_>>()?,
            turn_buckets: self.turn_buckets.clone(),
            min_donors: self.min_donors,
            prompt_messages: self.prompt_messages,
            ignored: pattern("ignored", self.ignored.as_ref())?,
        };
        settings.check().or_bad_input()?;
        Ok(settings)
    }
}

fn pattern(key: &str, text: Option<&String>) -> anyhow::Result<Option<Regex>> {
    let read = |text: &String| {
        Regex::new(text).map_err(|error| {
            bad_input(format!("`experiment.replay.{key}` is `{text}`, expected a regular expression: {error}"))
        })
    };
    text.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ReplayConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_settings_are_those_of_the_table() {
        let config = read(
            "logs = \"l\"\nprompt_messages = 5\noutcomes = [{ name = \"tables\", completion = \"^SHOW\", informs = true }]",
        );
        let settings = config.settings().unwrap();
        assert_eq!((settings.min_donors, settings.prompt_messages), (8, Some(5)));
        assert!(
            settings.outcomes[0].informs && settings.outcomes[0].completion.as_ref().unwrap().is_match("SHOW TABLES")
        );
    }

    #[test]
    fn the_shipped_config_is_good() {
        let text = include_str!("../../../../configs/replay-intercode-sql.toml");
        let config = crate::config::ConfigFile::parse("replay-intercode-sql.toml", text).unwrap();
        assert_eq!(config.experiment.replay.unwrap().settings().unwrap().outcomes.len(), 3);
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_refused_by_its_key() {
        let message = read("logs = \"l\"\nignored = \"(\"").settings().unwrap_err().to_string();
        assert!(message.starts_with("`experiment.replay.ignored` is `(`, expected a regular expression"), "{message}");
        let message = read("logs = \"l\"\noutcomes = [{ name = \"any\" }]").settings().unwrap_err().to_string();
        assert!(message.starts_with("`experiment.replay.outcomes` is `any` without a pattern"), "{message}");
    }
}
