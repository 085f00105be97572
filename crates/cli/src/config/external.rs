//! `[experiment.external]`: where a world outside of this program is, and what is expected of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_environment::external::{Connection, ExternalSettings, OpenEnvFields, Timeouts};
use tollgate_environment::process::ProcessSpec;

use crate::failure::bad_input;

/// How a world is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// JSON-RPC over the standard input and output of `command`.
    #[default]
    JsonLines,
    /// The WebSocket sessions of an OpenEnv server, at `url` or served by `command`.
    #[serde(rename = "openenv")]
    OpenEnv,
}

/// The table as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExternalConfig {
    /// How the world is spoken to.
    pub(crate) transport: Transport,
    /// Program and arguments of the world.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<String>,
    /// Base URL of an OpenEnv server that runs already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Directory that `command` runs in; the pipeline's when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_dir: Option<PathBuf>,
    /// Environment variables of `command`, beside those of the pipeline.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, String>,
    /// What to install when the program is not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) install_hint: Option<String>,
    /// Numbers that each observation carries beside its text.
    pub(crate) n_signals: usize,
    /// From the start to the end of the handshake.
    pub(crate) start_timeout_secs: f64,
    /// A reset.
    pub(crate) reset_timeout_secs: f64,
    /// A step.
    pub(crate) step_timeout_secs: f64,
    /// What the world gets to end by itself before it is killed.
    pub(crate) close_timeout_secs: f64,
    /// How often a world that broke is replaced within one episode.
    pub(crate) max_restarts: u32,
    /// The longest message that is taken.
    pub(crate) max_message_bytes: usize,
    /// Sessions at once on the server at `url`.
    pub(crate) max_sessions: usize,
    /// What OpenEnv leaves open.
    pub(crate) openenv: OpenEnvConfig,
}

/// The table `openenv` in it: what OpenEnv leaves to each environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OpenEnvConfig {
    /// The action's field that takes the command. Default: its only text field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action_field: Option<String>,
    /// The observation's field that holds the text. Default: its only text field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observation_field: Option<String>,
    /// The observation's field that holds the info, if it has one.
    pub(crate) info_field: String,
    /// Whether the same seed, options and commands give the same observations.
    pub(crate) is_deterministic: bool,
}

impl Default for OpenEnvConfig {
    fn default() -> Self {
        let OpenEnvFields { action, observation, info, is_deterministic } = OpenEnvFields::default();
        Self { action_field: action, observation_field: observation, info_field: info, is_deterministic }
    }
}

impl Default for ExternalConfig {
    fn default() -> Self {
        let ExternalSettings { timeouts, n_signals, max_restarts, max_message_bytes, .. } =
            ExternalSettings::new(Connection::JsonLines(ProcessSpec::new::<&str>([])));
        Self {
            transport: Transport::default(),
            command: Vec::new(),
            url: None,
            current_dir: None,
            env: BTreeMap::new(),
            install_hint: None,
            n_signals,
            start_timeout_secs: timeouts.start.as_secs_f64(),
            reset_timeout_secs: timeouts.reset.as_secs_f64(),
            step_timeout_secs: timeouts.step.as_secs_f64(),
            close_timeout_secs: timeouts.close.as_secs_f64(),
            max_restarts,
            max_message_bytes,
            max_sessions: 1,
            openenv: OpenEnvConfig::default(),
        }
    }
}

impl ExternalConfig {
    /// What the table means.
    pub(crate) fn settings(&self) -> anyhow::Result<ExternalSettings> {
        Ok(ExternalSettings {
            connection: self.connection()?,
            timeouts: Timeouts {
                start: duration("start_timeout_secs", self.start_timeout_secs)?,
                reset: duration("reset_timeout_secs", self.reset_timeout_secs)?,
                step: duration("step_timeout_secs", self.step_timeout_secs)?,
                close: duration("close_timeout_secs", self.close_timeout_secs)?,
            },
            n_signals: self.n_signals,
            max_restarts: self.max_restarts,
            max_message_bytes: self.max_message_bytes,
        })
    }

    fn connection(&self) -> anyhow::Result<Connection> {
        match (self.transport, &self.url, self.command.is_empty()) {
            (_, None, true) => Err(bad_input(
                "`experiment.external` has neither `command` nor `url`\nhint: `command = [\"python3\", \"my_environment.py\"]` starts an environment; docs/guides/external-environment.md",
            )),
            (_, Some(_), false) => Err(bad_input(
                "`experiment.external` has both `command` and `url`, expected one of the two\nhint: `url` is for a server that runs already",
            )),
            (Transport::JsonLines, Some(_), true) => Err(bad_input(
                "`experiment.external.url` is set with transport \"json-lines\"\nhint: `transport = \"openenv\"` speaks to a server; JSON Lines needs a `command`",
            )),
            (Transport::OpenEnv, Some(_), true) if self.max_sessions == 0 => {
                Err(bad_input("`experiment.external.max_sessions` is 0, expected at least 1"))
            }
            (Transport::OpenEnv, Some(url), true) => Ok(Connection::OpenEnvUrl {
                url: url.clone(),
                max_sessions: self.max_sessions,
                fields: self.openenv_fields(),
            }),
            (Transport::JsonLines, None, false) => Ok(Connection::JsonLines(self.process())),
            (Transport::OpenEnv, None, false) => {
                Ok(Connection::OpenEnvCommand { process: self.process(), fields: self.openenv_fields() })
            }
        }
    }

    fn process(&self) -> ProcessSpec {
        let mut process = ProcessSpec::new(self.command.iter());
        process.env = self.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        process.current_dir.clone_from(&self.current_dir);
        if let Some(hint) = &self.install_hint {
            process.install_hint.clone_from(hint);
        }
        process
    }

    fn openenv_fields(&self) -> OpenEnvFields {
        OpenEnvFields {
            action: self.openenv.action_field.clone(),
            observation: self.openenv.observation_field.clone(),
            info: self.openenv.info_field.clone(),
            is_deterministic: self.openenv.is_deterministic,
        }
    }
}

fn duration(key: &str, secs: f64) -> anyhow::Result<Duration> {
    match Duration::try_from_secs_f64(secs) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(bad_input(format!("`experiment.external.{key}` is {secs}, expected a number of seconds above 0"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    fn settings(table: &str) -> anyhow::Result<ExternalSettings> {
        let text = format!("[experiment]\nsuite = \"external\"\n[experiment.external]\n{table}");
        ConfigFile::parse("c.toml", &text)?.experiment.external.unwrap_or_default().settings()
    }

    #[track_caller]
    fn check_refused(table: &str, expected: &str) {
        let message = settings(table).unwrap_err().to_string();
        assert_eq!(message.split("\nhint: ").next(), Some(expected));
    }

    #[test]
    fn a_command_or_a_url_says_where_the_world_is() {
        let found =
            settings("command = [\"python3\", \"world.py\"]\nenv = { A = \"1\" }\nstep_timeout_secs = 0.5").unwrap();
        let mut process = ProcessSpec::new(["python3", "world.py"]);
        process.env = vec![("A".into(), "1".into())];
        assert_eq!(found.connection, Connection::JsonLines(process));
        assert_eq!(found.timeouts.step, Duration::from_millis(500));
        let found = settings("transport = \"openenv\"\nurl = \"http://127.0.0.1:8000\"\nmax_sessions = 4").unwrap();
        assert_eq!(found.connection.max_sessions(), Some(4));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        check_refused("", "`experiment.external` has neither `command` nor `url`");
        let both = "command = [\"cat\"]\nurl = \"http://x\"";
        check_refused(both, "`experiment.external` has both `command` and `url`, expected one of the two");
        check_refused("url = \"http://x\"", "`experiment.external.url` is set with transport \"json-lines\"");
        check_refused(
            "command = [\"cat\"]\nstep_timeout_secs = 0",
            "`experiment.external.step_timeout_secs` is 0, expected a number of seconds above 0",
        );
        check_refused(
            "comand = [\"cat\"]",
            "c.toml: `experiment.external.comand`: unknown field `comand`, expected one of `transport`, `command`, `url`, `current_dir`, `env`, `install_hint`, `n_signals`, `start_timeout_secs`, `reset_timeout_secs`, `step_timeout_secs`, `close_timeout_secs`, `max_restarts`, `max_message_bytes`, `max_sessions`, `openenv`",
        );
    }
}
