//! `cargo xtask study`: the whole comparison of a suite, from its tasks to a document in docs/results/.
//!
//! A study is a pipeline run with more policies and training seeds, so it goes on where it was stopped, as any run does.

mod collapse;
mod robustness;
mod specialists;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use toml::{Table, Value};

use crate::pipeline::{self, PipelineArgs, Slot};
use crate::workspace;

const AFTER_HELP: &str = "\
A study that was stopped goes on where it was, and one whose config names more variants than before trains those that are new. \
configs/study/ has the settings. Suite `replay` needs imported logs and suite `scienceworld` the simulator; configs/study/ says how to get them.";

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct StudyArgs {
    /// What to compare on; may be repeated. Default: skill-chain, household
    #[arg(long, value_enum)]
    suite: Vec<Suite>,
    /// Training runs of every trained policy
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    seeds: u16,
    /// Trainings and episodes side by side; results do not depend on it. Default: all cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Make this row of the tables alone, and BoPO's, which it is compared with; may be repeated. In a run of its own
    #[arg(long, value_name = "NAME")]
    variant: Vec<String>,
    /// Directory of the documents, one folder per suite. Default: docs/results, or with `--variant` the run's directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Program to use instead of building `tollgate`
    #[arg(long, value_name = "PROGRAM")]
    tollgate: Option<PathBuf>,
}

/// What there is a study of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// The diagnostic environment, with its exact references
    SkillChain,
    /// The household text world
    Household,
    /// The household text world with a pool of three models
    HouseholdThreeModels,
    /// `ScienceWorld`, the simulator
    Scienceworld,
    /// Logs of SQL agents, replayed
    Replay,
    /// Where plain GRPO collapses: weight of the cost by share of hard tasks
    Collapse,
    /// The method less one part
    Ablations,
    /// What a step's advantage is estimated from
    Credit,
    /// What a trained router loses when prices, models, tasks or words change, and what brings it back
    Robustness,
    /// One policy for all budgets against a policy of its own for each
    Specialists,
}

impl Suite {
    const fn name(self) -> &'static str {
        match self {
            Self::SkillChain => "skill-chain",
            Self::Household => "household",
            Self::Scienceworld => "scienceworld",
            Self::Replay => "replay",
            Self::Collapse => "collapse",
            Self::Ablations => "ablations",
            Self::Credit => "credit",
            Self::Robustness => "robustness",
            Self::Specialists => "specialists",
            Self::HouseholdThreeModels => "household-three-models",
        }
    }

    /// The heading of its document.
    fn title(self) -> &'static str {
        match self {
            Self::SkillChain => "Skill-chain",
            Self::Household => "Household",
            Self::HouseholdThreeModels => "Household with three models",
            Self::Scienceworld => "ScienceWorld",
            Self::Replay => "InterCode SQL, replayed",
            Self::Ablations => "The method less one part",
            Self::Credit => "What a step's advantage is estimated from",
            // These documents have one heading of their own.
            Self::Collapse | Self::Robustness | Self::Specialists => self.name(),
        }
    }

    /// The settings in configs/study/.
    fn settings(self) -> Result<Table> {
        let path = PathBuf::from("configs/study").join(format!("{}.toml", self.name()));
        let text = fs::read_to_string(&path).with_context(|| {
            format!("{}: cannot be read\nhint: start in the root of the repository", path.display())
        })?;
        toml::from_str(&text).map_err(|error| anyhow!("{}: {}", path.display(), error.to_string().trim_end()))
    }
}

/// Runs the studies one after the other.
///
/// # Errors
/// When a config is bad, something that a run needs cannot be had, or the document cannot be written. A failed slot is told by the
/// exit code.
pub(crate) fn run(args: &StudyArgs) -> Result<ExitCode> {
    let tollgate = workspace::tollgate(args.tollgate.as_deref(), &[])?;
    let suites = if args.suite.is_empty() { &[Suite::SkillChain, Suite::Household] } else { args.suite.as_slice() };
    for &suite in suites {
        let study = Study::new(suite, args, &tollgate);
        let code = match suite {
            Suite::Collapse | Suite::Robustness | Suite::Specialists if !args.variant.is_empty() => bail!(
                "--variant: the study `{}` has no rows of variants\nhint: leave it out, or choose another suite",
                suite.name()
            ),
            Suite::Collapse => collapse::run(&study)?,
            Suite::Robustness => robustness::run(&study)?,
            Suite::Specialists => specialists::run(&study)?,
            _ => study.compare()?,
        };
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The policy that the others are compared with.
const MAIN_VARIANT: &str = "bopo";

/// One study.
struct Study<'a> {
    suite: Suite,
    seeds: u16,
    jobs: Option<u16>,
    /// The trained policies that it is narrowed to; empty for all.
    variants: &'a [String],
    /// Directory of its pipeline runs.
    runs: PathBuf,
    /// Directory of its document.
    out: PathBuf,
    tollgate: &'a Path,
}

impl<'a> Study<'a> {
    fn new(suite: Suite, args: &'a StudyArgs, tollgate: &'a Path) -> Self {
        let suite_runs = PathBuf::from("runs/study").join(suite.name());
        let (runs, documents) = if args.variant.is_empty() {
            (suite_runs, PathBuf::from("docs/results"))
        } else {
            let runs = suite_runs.join(format!("only-{}", args.variant.join("+")));
            (runs.clone(), runs)
        };
        Self {
            suite,
            seeds: args.seeds,
            jobs: args.jobs,
            variants: &args.variant,
            runs,
            out: args.out.as_ref().unwrap_or(&documents).join(suite.name()),
            tollgate,
        }
    }

    /// The suite's settings, narrowed to the variants that were asked for.
    fn settings(&self) -> Result<Table> {
        let mut settings = self.suite.settings()?;
        if !self.variants.is_empty() {
            narrow(&mut settings, self.variants)?;
        }
        Ok(settings)
    }

    /// Plays and trains everything, and writes the document.
    fn compare(&self) -> Result<ExitCode> {
        let config = self.write_config("run", self.settings()?)?;
        let run_dir = self.runs.join("run");
        let code = self.pipeline(&config, &run_dir, Slot::Report)?;
        if code == ExitCode::SUCCESS {
            self.write_document(
                "study",
                [
                    OsStr::new("--config"),
                    config.as_ref(),
                    "--run-dir".as_ref(),
                    run_dir.as_ref(),
                    "--title".as_ref(),
                    self.suite.title().as_ref(),
                ],
            )?;
        }
        Ok(code)
    }

    /// Writes the config of a run with this study's training seeds.
    fn write_config(&self, name: &str, settings: Table) -> Result<PathBuf> {
        self.write_settings(name, &self.with_seeds(settings)?)
    }

    /// The settings with this study's training seeds.
    fn with_seeds(&self, mut settings: Table) -> Result<Table> {
        let seeds = (1..=i64::from(self.seeds)).map(Value::Integer).collect();
        set(&mut settings, &["optimize", "train_seeds"], Value::Array(seeds))?;
        Ok(settings)
    }

    /// Writes the config of a run.
    fn write_settings(&self, name: &str, settings: &Table) -> Result<PathBuf> {
        let path = self.runs.join(format!("{name}.toml"));
        let directory = path.parent().unwrap_or(&self.runs);
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        fs::write(&path, toml::to_string(settings)?).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Runs the slots of a config, the last one included.
    fn pipeline(&self, config: &Path, run_dir: &Path, until: Slot) -> Result<ExitCode> {
        pipeline::run(&PipelineArgs::of_run(config, run_dir, until, self.jobs, self.tollgate))
    }

    /// Lets `tollgate` write the document from finished runs.
    fn write_document<'b>(&self, command: &str, args: impl IntoIterator<Item = &'b OsStr>) -> Result<()> {
        let mut own = format!("cargo xtask study --suite {} --seeds {}", self.suite.name(), self.seeds);
        for variant in self.variants {
            own.extend([" --variant ", variant]);
        }
        let mut program = Command::new(self.tollgate);
        program.arg(command).args(args).arg("--out").arg(&self.out).args(["--command", &own]);
        workspace::run_to_end(&mut program, &format!("tollgate {command}"))
    }
}

/// Leaves of the settings' variants the one that all are compared with, and those of these names.
fn narrow(settings: &mut Table, names: &[String]) -> Result<()> {
    let variants = table(settings, "optimize")?.get_mut("variants").and_then(Value::as_array_mut);
    let variants = variants.context("`optimize.variants` is no list")?;
    let is_known = |name: &String| variants.iter().any(|variant| variant.as_str() == Some(name));
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        let known: Vec<&str> = variants.iter().filter_map(Value::as_str).collect();
        bail!("--variant: this study trains no `{unknown}`\nhint: it trains {}", known.join(", "));
    }
    variants.retain(|variant| {
        variant.as_str().is_some_and(|name| name == MAIN_VARIANT || names.iter().any(|asked| asked == name))
    });
    Ok(())
}

/// Gives `settings` this value at `path`: the tables that it is in, and its key.
fn set(settings: &mut Table, path: &[&str], value: Value) -> Result<()> {
    let (key, tables) = path.split_last().context("a setting without a name")?;
    let mut inner = settings;
    for name in tables {
        inner = table(inner, name)?;
    }
    inner.insert((*key).to_owned(), value);
    Ok(())
}

/// The table that `settings` have under this name, an empty one where there was none.
fn table<'a>(settings: &'a mut Table, name: &str) -> Result<&'a mut Table> {
    let table = settings.entry(name).or_insert_with(|| Table::new().into());
    table.as_table_mut().with_context(|| format!("`{name}` is no table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_is_made_with_the_one_that_it_is_compared_with() {
        let mut settings: Table = toml::from_str("[optimize]\nvariants = [\"bopo\", \"ppo\", \"sft\"]").unwrap();
        let error = narrow(&mut settings, &["pop".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "--variant: this study trains no `pop`\nhint: it trains bopo, ppo, sft");
        narrow(&mut settings, &["sft".to_owned()]).unwrap();
        assert_eq!(settings["optimize"]["variants"], Value::from(vec!["bopo", "sft"]));
    }
}
