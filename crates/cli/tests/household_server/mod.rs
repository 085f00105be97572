//! A scripted server whose models play the household: one knows what to do, the other often does not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tollgate_contract::{ArtifactRow, TaskRow};
use tollgate_environment::TextWorld;
use tollgate_environment::household::HouseholdEnvironment;
use tollgate_rollout::Environment;
use tollgate_routing::{Prices, Task, TokenUsage};
use tollgate_scripted_server::{Asked, Reply};
use tollgate_trajectory::ArtifactReader;

/// Where the workspace begins.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All rows of a table.
pub(crate) fn rows<T: ArtifactRow>(path: &Path) -> Vec<T> {
    let reader = ArtifactReader::open(path, T::KIND).unwrap();
    reader.batches().unwrap().flat_map(|batch| T::from_batch(&batch.unwrap()).unwrap()).collect()
}

/// Answers as the models `small` and `large` would, and adds up what it bills.
pub(crate) struct Household {
    tasks: HashMap<String, Vec<Task>>,
    billed: Arc<AtomicU64>,
}

impl Household {
    pub(crate) fn new() -> Self {
        let path = workspace().join("datasets/tasks/household.parquet");
        let mut tasks: HashMap<String, Vec<Task>> = HashMap::new();
        for task in rows::<TaskRow>(&path) {
            tasks.entry(task.instruction.to_string()).or_default().push(task);
        }
        Self { tasks, billed: Arc::default() }
    }

    /// What was billed so far. Nano-dollars.
    pub(crate) fn billed(&self) -> Arc<AtomicU64> {
        self.billed.clone()
    }

    pub(crate) fn answer(&self, asked: &Asked) -> Reply {
        let messages = &asked.request.messages;
        let first = messages[1].words().into_owned();
        let (instruction, observation) = first.strip_prefix("Task: ").unwrap().split_once("\n\nObservation: ").unwrap();
        let observation = observation.split("\n\nCommands").next().unwrap();
        let mut world = self.world(instruction, observation);
        for message in messages.iter().filter(|message| message.role == tollgate_wire::Role::Assistant) {
            let words = message.words().into_owned();
            world.step(words.rsplit("Action: ").next().unwrap()).unwrap();
        }
        let n_turns = messages.len() / 2 - 1;
        let knows = asked.request.model == "large-model" || instruction.len() % 3 == 0 || n_turns % 4 == 3;
        let command = if knows { world.expert().unwrap_or("look").to_owned() } else { "look".to_owned() };
        // As large models say it, and as small ones do.
        let text =
            if knows { format!("Thought: I know.\nAction: {command}") } else { format!("**Action:** `{command}`") };
        let prompt = messages.iter().map(|message| message.words().len() as u32 / 4 + 4).sum::<u32>();
        let cached = if n_turns > 0 { prompt / 2 } else { 0 };
        let usage = TokenUsage {
            input_tokens: prompt - cached,
            cached_input_tokens: cached,
            cache_write_tokens: 0,
            output_tokens: 5 + n_turns as u32 % 7,
        };
        self.billed.fetch_add(prices(&asked.request.model).cost(&usage).get(), Ordering::SeqCst);
        Reply::completion_with_usage(
            &text,
            &json!({"prompt_tokens": prompt, "completion_tokens": usage.output_tokens,
                    "prompt_tokens_details": {"cached_tokens": cached}}),
        )
    }

    /// The world of the task that begins in these words.
    fn world(&self, instruction: &str, observation: &str) -> HouseholdEnvironment {
        let mut world = HouseholdEnvironment::default();
        let mut is_it = |task: &&Task| world.reset(task, 0).unwrap().text == observation;
        let task = self.tasks[instruction].iter().find(|task| is_it(task)).unwrap().clone();
        world.reset(&task, 0).unwrap();
        world
    }
}

fn prices(model: &str) -> Prices {
    let [input, cached, output] = if model == "large-model" { [2.0, 0.5, 8.0] } else { [0.4, 0.1, 1.6] };
    Prices::per_million_usd(input, cached, input, output).unwrap()
}

/// The other stages as small as they can be.
const TINY: &str = "[optimize]\nvariants = [\"bopo\"]\nn_hidden = 8\n[optimize.bopo]\niterations = 1\nepisodes_per_iteration = 8\n\
                    [evaluate]\nlambdas = [0.3]\nlarge_call_caps = [2]\nusd_cap_shares = [0.5]\nrandom_p_large = [0.5]\n\
                    cascade_failures = [1]\ncascade_steps = [3]\nn_validation_episodes = 1\nmax_validation_tasks = 2\n\
                    max_test_tasks = 2\n[report]\nn_resamples = 20\n";

/// A directory with a pool and a config for a server, and runs of `tollgate` in it.
pub(crate) struct Experiment {
    pub(crate) directory: tempfile::TempDir,
}

impl Experiment {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pool = "[[models]]\nid = \"small\"\ninput_usd_per_million = 0.4\ncached_input_usd_per_million = 0.1\noutput_usd_per_million = 1.6\n\
                    [[models]]\nid = \"large\"\ninput_usd_per_million = 2.0\ncached_input_usd_per_million = 0.5\noutput_usd_per_million = 8.0\n";
        std::fs::write(directory.path().join("pool.toml"), pool).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the config of a collection of a few tasks.
    pub(crate) fn write_config(&self, base_url: &str, spending_limit_usd: f64) {
        let model = |id: &str| {
            format!(
                "[experiment.live.models.{id}]\nbase_url = \"{base_url}\"\nmodel = \"{id}-model\"\nmax_output_tokens = 60\nseed = 3\n"
            )
        };
        let text = format!(
            "[experiment]\nsuite = \"household\"\nexecutor = \"live\"\npool = \"pool.toml\"\ntasks = \"{}\"\nseed = 5\n\
             [experiment.live]\nspending_limit_usd = {spending_limit_usd}\nconcurrency = 8\nmax_attempts = 2\nretry_delay_ms = 1\n\
             {}{}[simulate]\nmax_tasks = 6\nmax_steps = 28\nn_probes = 2\nn_sweep = 2\n{TINY}",
            workspace().join("datasets/tasks/household.parquet").display(),
            model("small"),
            model("large"),
        );
        std::fs::write(self.path("live.toml"), text).unwrap();
    }

    /// `tollgate <slot>` in the directory, ready to start.
    pub(crate) fn tollgate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(arguments).args(["--config", "live.toml"]).current_dir(self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// The exit code of `tollgate simulate`, and what it said.
    pub(crate) fn simulate(&self) -> (i32, String) {
        let output = self.tollgate(&["simulate", "--out", "simulate"]).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
