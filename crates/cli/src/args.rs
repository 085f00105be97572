//! The command line: what `tollgate --help` teaches.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use tollgate_contract::{ArtifactKind, ProductKind};

use crate::commands::collapse::GridCell;
use crate::commands::robustness::ChangedWorld;
use crate::commands::specialists::TrainedFor;

/// Decides, before every step of an agent's task, which model answers it: the pipeline's stages as programs.
///
/// The stages run in this order: simulate, classify, synthesize, optimize, evaluate, report. `cargo xtask pipeline` plans
/// and runs them; each also works by hand.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, max_term_width = 110, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Threads to work with; results do not depend on it. Default: all cores.
    #[arg(long, global = true, value_name = "N", env = "TOLLGATE_THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 2 bad input or config, 1 any other failure.
Logs go to stderr (set TOLLGATE_LOG=debug for more), data to stdout.";

/// Every subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play the boundary probes and the mixed sweep on the train tasks.
    #[command(after_help = "Example:
  tollgate simulate --config configs/household.toml --tasks datasets/tasks/household.parquet --out runs/mine/simulate")]
    Simulate(SimulateArgs),
    /// Sort the train tasks into easy, hard and intractable by their probes.
    #[command(after_help = "Example:
  tollgate classify --episodes runs/mine/simulate/episodes.parquet --out runs/mine/classify")]
    Classify(ClassifyArgs),
    /// Turn difficulties and rollouts into steps worth imitating.
    #[command(after_help = "Example:
  tollgate synthesize --run-dir runs/mine --out runs/mine/synthesize")]
    Synthesize(SynthesizeArgs),
    /// Train the routers: SFT warm start, then boundary-guided policy optimization.
    #[command(after_help = "Example:
  tollgate optimize --run-dir runs/mine --sft-examples my_examples.parquet --out runs/mine/optimize")]
    Optimize(OptimizeArgs),
    /// Play every policy under every budget on the validation and the test tasks.
    #[command(after_help = "Example:
  tollgate evaluate --run-dir runs/mine --out runs/mine/evaluate")]
    Evaluate(EvaluateArgs),
    /// Write report.html and summary.json.
    #[command(after_help = "Example:
  tollgate report --run-dir runs/mine --out runs/mine/report")]
    Report(ReportArgs),
    /// List the stages with their versions, inputs and outputs.
    Stages(StagesArgs),
    /// Check a stage's output directory against the contract, and write its manifest.
    Validate(ValidateArgs),
    /// Check a config file, its model pool included, without running anything.
    CheckConfig(CheckConfigArgs),
    /// Write, or check, the documentation that is generated from the artifact contract.
    ContractDocs(ContractDocsArgs),
    /// Make a task set from a seed.
    Tasks(TasksArgs),
    /// Work with an environment outside of this program.
    Environment(EnvironmentArgs),
    /// Turn logs of real agents into episodes, steps and tasks.
    Import(ImportArgs),
    /// Pin models' prices: from LiteLLM's price table into a file that pools refer to.
    Prices(PricesArgs),
    /// Measure whether the simulated models behave as real logs do.
    Calibrate(CalibrateArgs),
    /// Fit trained policies to a world that has changed, from a few hundred logged episodes of it.
    Recalibrate(RecalibrateArgs),
    /// Write a finished run as a document: every policy with intervals over tasks and training runs.
    Study(StudyArgs),
    /// Write finished runs at several weights of the cost and shares of hard tasks as one table of where training collapses.
    Collapse(CollapseArgs),
    /// Write finished runs in changed worlds as one document: what a trained router loses there, and what brings it back.
    Robustness(RobustnessArgs),
    /// Write finished runs of one policy for all budgets, and of one for each, as one document.
    Specialists(SpecialistsArgs),
    /// Show an artifact: schema, footer keys and first rows.
    Inspect(InspectArgs),
    /// Measure the hot paths: environment steps, decisions, training steps.
    Bench(BenchArgs),
}

/// What every stage takes: a request from a host, or flags from a person.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("by_hand").multiple(true).conflicts_with("request")))]
pub(crate) struct StageArgs {
    /// Stage request of a host, as JSON. All other flags are for use by hand.
    #[arg(long, value_name = "FILE", required_unless_present = "out")]
    pub(crate) request: Option<PathBuf>,
    /// Directory to write; it appears only when everything in it is complete and valid.
    #[arg(long, value_name = "DIR", group = "by_hand")]
    pub(crate) out: Option<PathBuf>,
    /// Experiment config. Default: configs/household.toml.
    #[arg(long, value_name = "FILE", group = "by_hand")]
    pub(crate) config: Option<PathBuf>,
    /// Seed of every chance event, instead of the config's.
    #[arg(long, value_name = "N", group = "by_hand")]
    pub(crate) seed: Option<u64>,
    /// Directory of a pipeline's run: where to find the inputs that no flag names.
    #[arg(long, value_name = "DIR", group = "by_hand")]
    pub(crate) run_dir: Option<PathBuf>,
}

macro_rules! stage_args {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:expr,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Args)]
        pub(crate) struct $name {
            #[command(flatten)]
            pub(crate) stage: StageArgs,
            $(
                $(#[$field_doc])*
                #[arg(long, value_name = "PATH", group = "by_hand", help_heading = "Inputs")]
                pub(crate) $field: Option<PathBuf>,
            )+
        }

        impl $name {
            /// The inputs that flags name.
            pub(crate) fn inputs(&self) -> Vec<(ProductKind, PathBuf)> {
                [$(($kind, self.$field.clone()),)+].into_iter().filter_map(|(kind, path)| Some((kind, path?))).collect()
            }
        }
    };
}

stage_args! {
    /// Flags of `simulate`.
    SimulateArgs {
        /// Task set. Default: the config's.
        tasks: ProductKind::Artifact(ArtifactKind::Tasks),
    }
}

stage_args! {
    /// Flags of `classify`.
    ClassifyArgs {
        /// Episodes of the boundary probes.
        episodes: ProductKind::Artifact(ArtifactKind::Episodes),
    }
}

stage_args! {
    /// Flags of `synthesize`.
    SynthesizeArgs {
        /// Episodes of probes and sweep.
        episodes: ProductKind::Artifact(ArtifactKind::Episodes),
        /// Their steps.
        steps: ProductKind::Artifact(ArtifactKind::Steps),
        /// Boundary labels.
        labels: ProductKind::Artifact(ArtifactKind::BoundaryLabels),
    }
}

stage_args! {
    /// Flags of `optimize`.
    OptimizeArgs {
        /// Task set. Default: the config's.
        tasks: ProductKind::Artifact(ArtifactKind::Tasks),
        /// Episodes that the SFT examples come from.
        episodes: ProductKind::Artifact(ArtifactKind::Episodes),
        /// Their steps.
        steps: ProductKind::Artifact(ArtifactKind::Steps),
        /// Boundary labels.
        labels: ProductKind::Artifact(ArtifactKind::BoundaryLabels),
        /// SFT examples.
        sft_examples: ProductKind::Artifact(ArtifactKind::SftExamples),
    }
}

stage_args! {
    /// Flags of `evaluate`.
    EvaluateArgs {
        /// Task set. Default: the config's.
        tasks: ProductKind::Artifact(ArtifactKind::Tasks),
        /// Boundary labels.
        labels: ProductKind::Artifact(ArtifactKind::BoundaryLabels),
        /// Directory of the trained policies.
        checkpoint: ProductKind::Checkpoint,
    }
}

stage_args! {
    /// Flags of `report`.
    ReportArgs {
        /// Task set. Default: the config's.
        tasks: ProductKind::Artifact(ArtifactKind::Tasks),
        /// Episodes of probes and sweep.
        episodes: ProductKind::Artifact(ArtifactKind::Episodes),
        /// Their steps.
        steps: ProductKind::Artifact(ArtifactKind::Steps),
        /// Boundary labels.
        labels: ProductKind::Artifact(ArtifactKind::BoundaryLabels),
        /// SFT examples.
        sft_examples: ProductKind::Artifact(ArtifactKind::SftExamples),
        /// Directory of the trained policies.
        checkpoint: ProductKind::Checkpoint,
        /// Training log.
        training_log: ProductKind::Artifact(ArtifactKind::TrainingLog),
        /// Evaluated episodes; a few of them are played again, step by step, for the page.
        evaluations: ProductKind::Artifact(ArtifactKind::Evaluations),
        /// Frontier points.
        frontier: ProductKind::Artifact(ArtifactKind::Frontier),
    }
}

/// Flags of `stages`.
#[derive(Debug, Args)]
pub(crate) struct StagesArgs {
    /// As JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The request that the stage answered.
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// The directory that the stage wrote.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// Flags of `check-config`.
#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// Experiment config.
    #[arg(value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// Flags of `contract-docs`.
#[derive(Debug, Args)]
pub(crate) struct ContractDocsArgs {
    /// Only compare; fail when a page is missing or out of date.
    #[arg(long)]
    pub(crate) check: bool,
    /// Directory of the pages.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// Flags of `tasks`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate tasks --suite household --seed 1 --out datasets/tasks
  tollgate tasks --suite scienceworld --seed 1 --counts 96 4 32 --out datasets/tasks
  tollgate tasks --suite external --config configs/external-example.toml --out datasets/tasks/lights-out.parquet
  tollgate tasks --from my_tasks.jsonl --out datasets/tasks/mine.parquet")]
pub(crate) struct TasksArgs {
    /// Environment to make tasks for: `household`, `skill-chain`, `scienceworld`, or `external`, which is asked for its own.
    #[arg(long, required_unless_present = "from", conflicts_with = "from")]
    pub(crate) suite: Option<String>,
    /// Tasks of an external environment that are written down already: JSON, one object a line, with `task_id`, `split`,
    /// `seed`, `instruction`, `horizon`, and `kind` and `group` where there are such.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Experiment config that says where the external environment is.
    #[arg(long, value_name = "FILE", required_if_eq("suite", "external"))]
    pub(crate) config: Option<PathBuf>,
    /// Seed of the task set.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// File to write, if its name ends in `.parquet`; else the directory to write `<suite>.parquet` into.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: PathBuf,
    /// Number of train, validation and test tasks; of each task type in `scienceworld`. Default: the suite's own.
    #[arg(long, num_args = 3, value_names = ["TRAIN", "VALIDATION", "TEST"])]
    pub(crate) counts: Option<Vec<u32>>,
    /// Share of the tasks that are not easy, 0 to 1, in suite `skill-chain`. Default: the suite's own, 0.65.
    #[arg(long, value_name = "SHARE")]
    pub(crate) hard_share: Option<f64>,
}

/// Flags of `environment`.
#[derive(Debug, Args)]
pub(crate) struct EnvironmentArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub(crate) command: EnvironmentCommand,
}

/// Every subcommand of `environment`.
#[derive(Debug, Subcommand)]
pub(crate) enum EnvironmentCommand {
    /// Check whether an environment keeps to the protocol: exit code 0 if it does, 2 if not.
    #[command(after_help = "Examples:
  tollgate environment check -- python3 examples/environments/lights_out.py
  tollgate environment check --openenv -- python3 my_server.py --port {port}
  tollgate environment check --url http://127.0.0.1:8000 --json")]
    Check(EnvironmentCheckArgs),
}

/// Flags of `environment check`.
#[derive(Debug, Args)]
pub(crate) struct EnvironmentCheckArgs {
    /// Base URL of an OpenEnv server that runs already.
    #[arg(long, value_name = "URL", conflicts_with = "argv")]
    pub(crate) url: Option<String>,
    /// The command serves OpenEnv on a port: `{port}` in its arguments, PORT in its environment.
    #[arg(long)]
    pub(crate) openenv: bool,
    /// Experiment config whose `[experiment.external]` says the rest: timeouts, signals, fields.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Seed of the scene, for an environment that lists no tasks.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// As JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// The environment's program and arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) argv: Vec<String>,
}

/// Flags of `import`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  tollgate import --format steps-jsonl runs/*.jsonl.gz --map datasets/maps/intercode_sql.toml --out runs/logs")]
pub(crate) struct ImportArgs {
    /// Form of the logs: `steps-jsonl`, `openai-jsonl`, `tau2`, `otel-genai` or `litellm`.
    #[arg(long)]
    pub(crate) format: String,
    /// Logs, plain or compressed with gzip or Zstandard; `-` is standard input.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Directory to write; it appears only when everything in it is complete and valid.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// TOML file that maps models to a pool, and says what else the log leaves open.
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Refuse the whole import at the first bad row, instead of leaving such rows out.
    #[arg(long)]
    pub(crate) strict: bool,
    /// The longest row that is read, or simulation of a tau2 file. Bytes.
    #[arg(long, value_name = "N", default_value_t = 16 << 20, value_parser = clap::value_parser!(u32).range(1024..))]
    pub(crate) max_row_bytes: u32,
    /// As JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `prices`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("source").required(true)), after_help = "Examples:
  tollgate prices --python .venv/bin/python 'gpt-4.1*'
  tollgate prices --wheel litellm-1.109.1-py3-none-any.whl --provider openai 'gpt-4.1*' --out prices.toml
  tollgate prices --table model_prices_and_context_window.json --check prices.toml")]
pub(crate) struct PricesArgs {
    /// LiteLLM's price table, as JSON.
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) table: Option<PathBuf>,
    /// A wheel of the Python package `litellm`, which has its table in it.
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) wheel: Option<PathBuf>,
    /// A Python that has the package `litellm`.
    #[arg(long, value_name = "PROGRAM", group = "source")]
    pub(crate) python: Option<PathBuf>,
    /// Models, by name or by pattern: `*` stands for any characters. Default: all chat models.
    #[arg(value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// Only models of this provider.
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Write a price file.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub(crate) out: Option<PathBuf>,
    /// Compare a price file with the table; exit code 2 when they differ.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["models", "provider", "json"])]
    pub(crate) check: Option<PathBuf>,
    /// As JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `calibrate`.
#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// Experiment config whose pool and task set are measured.
    #[arg(long, value_name = "FILE", default_value = "configs/household.toml")]
    pub(crate) config: PathBuf,
    /// As JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `recalibrate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  tollgate recalibrate --checkpoint runs/household/optimize/checkpoint --episodes runs/now/simulate/episodes.parquet --out runs/now/checkpoint")]
pub(crate) struct RecalibrateArgs {
    /// Directory of the trained policies.
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: PathBuf,
    /// Logged episodes of the changed world; those of always-small and always-large are read.
    #[arg(long, value_name = "FILE")]
    pub(crate) episodes: PathBuf,
    /// Directory to write the fitted policies into.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// As JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `study`.
#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    /// Config of the run.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Directory of the run.
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: PathBuf,
    /// Directory to write README.md and its plots into.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Heading of the document. Default: the suite's name.
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// The command that the document names as the one that makes it. Default: this one.
    #[arg(long, value_name = "TEXT")]
    pub(crate) command: Option<String>,
}

/// Flags of `collapse`.
#[derive(Debug, Args)]
pub(crate) struct CollapseArgs {
    /// A finished run and its place in the grid, as `LAMBDA:HARD_SHARE:RUN_DIR`.
    #[arg(long = "cell", value_name = "CELL", required = true)]
    pub(crate) cells: Vec<GridCell>,
    /// Directory to write README.md into.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The command that the document names as the one that makes it.
    #[arg(long, value_name = "TEXT", default_value = "tollgate collapse")]
    pub(crate) command: String,
}

/// Flags of `robustness`.
#[derive(Debug, Args)]
pub(crate) struct RobustnessArgs {
    /// A world as `LABEL:DIR`: finished runs `kept`, `recalibrated` and `retrained` in that directory.
    #[arg(long = "world", value_name = "WORLD", required = true)]
    pub(crate) worlds: Vec<ChangedWorld>,
    /// Directory to write README.md into.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The command that the document names as the one that makes it.
    #[arg(long, value_name = "TEXT", default_value = "tollgate robustness")]
    pub(crate) command: String,
}

/// Flags of `specialists`.
#[derive(Debug, Args)]
pub(crate) struct SpecialistsArgs {
    /// A finished run as `SUITE:POINT:RUN_DIR`; POINT is what its policy was trained for: `all`, `lambda=L` or `calls=N`.
    #[arg(long = "run", value_name = "RUN", required = true)]
    pub(crate) runs: Vec<TrainedFor>,
    /// Directory to write README.md into.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The command that the document names as the one that makes it.
    #[arg(long, value_name = "TEXT", default_value = "tollgate specialists")]
    pub(crate) command: String,
}

/// Flags of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Artifact file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Rows to show.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(crate) rows: usize,
}

/// Flags of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// What to measure instead.
    #[command(subcommand)]
    pub(crate) command: Option<BenchCommand>,
    /// Repetitions of each measurement; the median is shown.
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) repetitions: u16,
    /// As JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Every subcommand of `bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// The import of a large log, made by repetition of a small one and deleted afterwards.
    Import(BenchImportArgs),
}

/// Flags of `bench import`.
#[derive(Debug, Args)]
pub(crate) struct BenchImportArgs {
    /// Plain steps-jsonl to repeat.
    #[arg(value_name = "FILE")]
    pub(crate) log: PathBuf,
    /// Map of the import. With a pool in it, the log is read once.
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Size of the log. Millions of bytes.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) megabytes: u32,
    /// Directory for the log and its tables.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) dir: PathBuf,
    /// As JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}
