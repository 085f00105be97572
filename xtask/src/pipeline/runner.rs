//! Planning and running the slots of one run.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

use super::config::{ExperimentConfig, StageConfig};
use super::digest;
use super::fingerprint::{Origin, Stamp};
use super::protocol::{Input, Manifest, RequestConfig, StageInfo, StageList, StageRequest};
use super::publish;
use super::slot::Slot;
use super::summary::{SlotStatus, SlotSummary};
use crate::process::{self, EXIT_INTERRUPTED, EXIT_NOT_STARTED, Ended, Events, Job, Outcome};

/// Exit code of a stage, and of this program, for bad input or config.
const EXIT_BAD_INPUT: u8 = 2;
const EXIT_FAILED: u8 = 1;
/// Lines of a failed stage's standard error that the closing message repeats.
const N_REPEATED_LINES: usize = 8;

/// Everything that the slots of one run share.
pub(crate) struct Pipeline<'a> {
    pub(crate) config: &'a ExperimentConfig,
    pub(crate) run_dir: &'a Path,
    pub(crate) tollgate: &'a Path,
    pub(crate) stages: &'a StageList,
    pub(crate) threads: Option<u16>,
    pub(crate) is_forced: bool,
    pub(crate) is_check: bool,
    pub(crate) is_json: bool,
    /// The run directory's lock; none where nothing may run.
    pub(crate) lock: Option<&'a File>,
    pub(crate) events: Events,
}

/// Why a run stopped.
pub(crate) struct Failure {
    pub(crate) slot: Slot,
    pub(crate) error: anyhow::Error,
    pub(crate) exit_code: u8,
}

/// A slot that is about to run, or to be skipped.
struct Planned<'a> {
    slot: Slot,
    stage: StageConfig,
    built_in: &'a StageInfo,
    request: StageRequest,
    origin: Origin,
    fingerprint: String,
    /// Of what an attempt must have been made from for this one to go on from it.
    resumption: String,
}

/// An error with the exit code that tells it.
struct Stop {
    error: anyhow::Error,
    exit_code: u8,
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self { error: error.into(), exit_code: EXIT_FAILED }
    }
}

impl Pipeline<'_> {
    /// A line for people: on standard output unless that is for the summary.
    pub(crate) fn say(&self, line: &str) {
        if self.is_json {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    }

    /// Plans and runs the slots from one to another; stops at the first that fails.
    pub(crate) fn slots(&self, from: Slot, until: Slot) -> (Vec<SlotSummary>, Option<Failure>) {
        let mut summaries = Vec::new();
        // With `--check`, slots whose outputs would be made anew, so that what reads them cannot be judged.
        let mut pending: Vec<Slot> = Vec::new();
        for slot in Slot::ALL.into_iter().filter(|slot| (from..=until).contains(slot)) {
            let started = Instant::now();
            match self.slot(slot, &pending) {
                Ok(mut summary) => {
                    if summary.status != SlotStatus::Skipped {
                        summary.seconds = started.elapsed().as_secs_f64();
                    }
                    if summary.status == SlotStatus::WouldRun {
                        pending.push(slot);
                    }
                    self.say(&describe(&summary));
                    summaries.push(summary);
                }
                Err(stop) => {
                    summaries.push(SlotSummary {
                        slot: slot.name(),
                        status: SlotStatus::Failed,
                        reason: String::new(),
                        seconds: started.elapsed().as_secs_f64(),
                        rows: None,
                        fingerprint: None,
                        error: Some(format!("{:#}", stop.error)),
                    });
                    return (summaries, Some(Failure { slot, error: stop.error, exit_code: stop.exit_code }));
                }
            }
        }
        (summaries, None)
    }

    fn slot(&self, slot: Slot, pending: &[Slot]) -> Result<SlotSummary, Stop> {
        if self.events.is_interrupted() {
            return Err(interrupted());
        }
        let built_in = self.stages.of(slot)?;
        if let Some(upstream) = self.pending_input(built_in, pending) {
            return Ok(would_run(slot, format!("its input from {upstream} will be made anew"), None));
        }
        let planned = self.plan(slot, built_in).map_err(bad_input)?;
        let published = publish::published_dir(self.run_dir, slot);
        let reason = match reason_to_run(&planned, &published, self.is_forced) {
            Ok(stamp) => return Ok(skipped(slot, &stamp)),
            Err(reason) => reason,
        };
        if self.is_check {
            return Ok(would_run(slot, reason, Some(planned.fingerprint)));
        }
        let stamp = self.execute(&planned)?;
        Ok(SlotSummary {
            slot: slot.name(),
            status: SlotStatus::Ran,
            reason,
            seconds: stamp.seconds,
            rows: Some(stamp.rows),
            fingerprint: Some(stamp.fingerprint),
            error: None,
        })
    }

    fn pending_input(&self, built_in: &StageInfo, pending: &[Slot]) -> Option<Slot> {
        pending.iter().copied().find(|slot| {
            let writes = |kind: &String| {
                self.stages.of(*slot).is_ok_and(|stage| stage.outputs.iter().any(|output| &output.kind == kind))
            };
            built_in.inputs.iter().any(writes)
        })
    }

    fn plan<'a>(&self, slot: Slot, built_in: &'a StageInfo) -> Result<Planned<'a>> {
        let stage = self.config.stage(slot);
        let inputs = built_in.inputs.iter().map(|kind| self.input(kind)).collect::<Result<Vec<_>>>()?;
        let digest = |(key, path): (String, PathBuf)| {
            let digest = if key == "experiment.pool" { digest::of_pool(&path)? } else { digest::of_path(&path)? };
            Ok((key.trim_start_matches("experiment.").to_owned(), digest))
        };
        let sources = self.config.sources(slot).into_iter().map(digest).collect::<Result<Vec<_>>>()?;
        let request = StageRequest {
            contract_version: self.stages.contract_version,
            slot: slot.name(),
            seed: self.config.seed,
            inputs,
            output_dir: publish::partial_dir(self.run_dir, slot),
            config: RequestConfig { experiment: self.config.experiment.clone(), stage: stage.own.clone() },
        };
        let origin = Origin::new(&request, &stage, built_in, &self.stages.operation, sources);
        let (fingerprint, resumption) = (origin.fingerprint()?, origin.resumption(&built_in.selection)?);
        Ok(Planned { slot, stage, built_in, request, origin, fingerprint, resumption })
    }

    /// An artifact by its kind: the experiment's own file, or what an earlier slot has published.
    fn input(&self, kind: &str) -> Result<Input> {
        let path = match self.config.path_of(kind) {
            Some(path) => std::path::absolute(path)?,
            None => self.published_artifact(kind)?,
        };
        Ok(Input { kind: kind.to_owned(), digest: digest::of_path(&path)?, path })
    }

    fn published_artifact(&self, kind: &str) -> Result<PathBuf> {
        for slot in Slot::ALL {
            let Some(output) = self.stages.of(slot)?.outputs.iter().find(|output| output.kind == kind) else {
                continue;
            };
            let path = publish::published_dir(self.run_dir, slot).join(&output.path);
            return if path.exists() {
                Ok(path)
            } else {
                Err(anyhow!("{}: does not exist\nhint: {slot} makes it; run without --from", path.display()))
            };
        }
        Err(anyhow!("no slot makes `{kind}`\nhint: xtask and tollgate are of different versions"))
    }

    /// Runs the stage, validates what it wrote and publishes it. On a failure nothing stays, but for what training resumes from.
    fn execute(&self, planned: &Planned<'_>) -> Result<Stamp, Stop> {
        let slot = planned.slot;
        let selection = &planned.built_in.selection;
        let resumable = (!self.is_forced).then_some(planned.resumption.as_str());
        publish::clear_leftovers(self.run_dir, slot, selection, resumable, self.is_forced)?;
        let result = self.execute_in_partial(planned);
        if let Err(stop) = &result {
            let keeps_checkpoints = slot == Slot::Optimize && stop.exit_code != EXIT_BAD_INPUT;
            let resumable = keeps_checkpoints.then_some(planned.resumption.as_str());
            publish::clear_leftovers(self.run_dir, slot, selection, resumable, false)?;
        }
        result
    }

    fn execute_in_partial(&self, planned: &Planned<'_>) -> Result<Stamp, Stop> {
        let started = Instant::now();
        let (requests, logs) = (self.run_dir.join("requests"), self.run_dir.join("logs"));
        for dir in [&requests, &logs] {
            fs::create_dir_all(dir).with_context(|| format!("{}: cannot be created", dir.display()))?;
        }
        let partial = publish::begin_attempt(self.run_dir, planned.slot, &planned.resumption)?;
        if !self.is_forced {
            self.carry_over(planned)?;
        }
        let request_path = requests.join(format!("{}.json", planned.slot));
        publish::write_atomically(&request_path, &serde_json::to_string_pretty(&planned.request)?)?;

        self.run_stage(planned, &request_path)?;
        self.validate(planned, &request_path, &partial)?;
        let outputs = planned
            .built_in
            .outputs
            .iter()
            .map(|output| Ok((output.path.clone(), digest::of_path(&partial.join(&output.path))?)));
        let stamp = Stamp {
            fingerprint: planned.fingerprint.clone(),
            origin: planned.origin.clone(),
            outputs: outputs.collect::<Result<_>>()?,
            rows: Manifest::read(&partial)?.n_rows(),
            seconds: started.elapsed().as_secs_f64(),
        };
        stamp.write(&partial)?;
        publish::publish(self.run_dir, planned.slot)?;
        Ok(stamp)
    }

    /// Takes from the published outputs what a new attempt does not have to make again: what was paid for, and finished trainings.
    fn carry_over(&self, planned: &Planned<'_>) -> Result<()> {
        publish::carry_over(self.run_dir, planned.slot, publish::JOURNAL.as_ref())?;
        if planned.slot != Slot::Optimize {
            return Ok(());
        }
        let published = publish::published_dir(self.run_dir, planned.slot);
        let Some(stamp) = Stamp::read(&published) else { return Ok(()) };
        let is_akin = stamp.origin.resumption(&planned.built_in.selection)? == planned.resumption;
        if is_akin && stamp.damaged_output(&published).is_none() {
            for output in planned.built_in.outputs.iter().filter(|output| output.kind == "checkpoint") {
                publish::carry_over(self.run_dir, planned.slot, &output.path)?;
            }
        }
        Ok(())
    }

    fn run_stage(&self, planned: &Planned<'_>, request: &Path) -> Result<(), Stop> {
        let slot = planned.slot;
        let mut argv: Vec<OsString> = match &planned.stage.argv {
            Some(argv) => argv.iter().map(OsString::from).collect(),
            None => vec![self.tollgate.into(), slot.name().into()],
        };
        argv.extend(["--request".into(), request.into()]);
        let ended = self.command(slot.name(), &argv, planned.stage.timeout, slot.name())?;
        let message = match ended.outcome {
            Outcome::Exited(0) => return Ok(()),
            Outcome::Interrupted => return Err(interrupted()),
            Outcome::TimedOut => format!(
                "ran longer than timeout_secs = {} and was ended with its whole process group",
                planned.stage.timeout.unwrap_or_default().as_secs_f64()
            ),
            Outcome::Exited(EXIT_NOT_STARTED) => "the stage command cannot be started".to_owned(),
            Outcome::Exited(code) if code > 128 => format!("the stage was ended by signal {}", code - 128),
            Outcome::Exited(code) => format!("the stage failed with exit code {code}"),
        };
        let exit_code =
            if ended.outcome == Outcome::Exited(EXIT_BAD_INPUT.into()) { EXIT_BAD_INPUT } else { EXIT_FAILED };
        Err(Stop { error: with_last_lines(&message, &ended, &self.log_path(slot.name())), exit_code })
    }

    fn validate(&self, planned: &Planned<'_>, request: &Path, partial: &Path) -> Result<(), Stop> {
        let argv = [
            self.tollgate.into(),
            "validate".into(),
            "--request".into(),
            request.into(),
            "--dir".into(),
            partial.into(),
        ];
        let log = format!("{}-validate", planned.slot);
        let ended = self.command(planned.slot.name(), &argv, None, &log)?;
        match ended.outcome {
            Outcome::Exited(0) => Ok(()),
            Outcome::Interrupted => Err(interrupted()),
            _ => Err(with_last_lines("what the stage wrote is not valid", &ended, &self.log_path(&log)).into()),
        }
    }

    fn command(
        &self,
        label: &str,
        argv: &[OsString],
        timeout: Option<std::time::Duration>,
        log: &str,
    ) -> Result<Ended> {
        let env: Vec<_> = self.threads.map(|threads| ("TOLLGATE_THREADS", threads.to_string())).into_iter().collect();
        let current_dir = std::env::current_dir().context("the current directory is gone")?;
        let job = Job {
            label,
            argv,
            current_dir: &current_dir,
            env: &env,
            timeout,
            log: self.log_path(log),
            lock: self.lock.context("nothing runs without the run directory's lock")?,
        };
        process::run(&job, &self.events)
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.run_dir.join("logs").join(format!("{name}.log"))
    }
}

/// The stamp of published outputs that can be kept, or why the slot has to run.
fn reason_to_run(planned: &Planned<'_>, published: &Path, is_forced: bool) -> Result<Stamp, String> {
    let Some(stamp) = Stamp::read(published) else { return Err("it has no published outputs".to_owned()) };
    if is_forced {
        return Err("--force".to_owned());
    }
    if let Some(difference) = planned.origin.difference(&stamp.origin) {
        return Err(difference);
    }
    match stamp.damaged_output(published) {
        Some(path) => Err(format!("its output {} is missing or was changed", path.display())),
        None => Ok(stamp),
    }
}

fn with_last_lines(message: &str, ended: &Ended, log: &Path) -> anyhow::Error {
    let first = ended.last_lines.len().saturating_sub(N_REPEATED_LINES);
    let lines: Vec<&str> =
        std::iter::once(message).chain(ended.last_lines[first..].iter().map(String::as_str)).collect();
    anyhow!("{}\nhint: all of its messages are in {}", lines.join("\n  | "), log.display())
}

fn bad_input(error: anyhow::Error) -> Stop {
    Stop { error, exit_code: EXIT_BAD_INPUT }
}

fn interrupted() -> Stop {
    Stop {
        error: anyhow!("interrupted\nhint: the same command goes on from here; what was published stays"),
        exit_code: EXIT_INTERRUPTED,
    }
}

fn skipped(slot: Slot, stamp: &Stamp) -> SlotSummary {
    SlotSummary {
        slot: slot.name(),
        status: SlotStatus::Skipped,
        reason: "unchanged".to_owned(),
        seconds: 0.0,
        rows: Some(stamp.rows),
        fingerprint: Some(stamp.fingerprint.clone()),
        error: None,
    }
}

fn would_run(slot: Slot, reason: String, fingerprint: Option<String>) -> SlotSummary {
    SlotSummary {
        slot: slot.name(),
        status: SlotStatus::WouldRun,
        reason,
        seconds: 0.0,
        rows: None,
        fingerprint,
        error: None,
    }
}

fn describe(summary: &SlotSummary) -> String {
    let rows = summary.rows.filter(|&rows| rows > 0).map_or_else(String::new, |rows| format!("{rows} rows"));
    let (slot, reason) = (summary.slot, &summary.reason);
    match summary.status {
        SlotStatus::Skipped => format!("{slot:<10}  skipped    {rows:>12}  {reason}"),
        SlotStatus::WouldRun => format!("{slot:<10}  would run  {reason}"),
        SlotStatus::Ran | SlotStatus::Failed => format!("{slot:<10}  {:>7.1} s  {rows:>12}  {reason}", summary.seconds),
    }
}
