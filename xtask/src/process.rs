//! Running a stage command so that it never outlives the run.
//!
//! Between the orchestrator and the command stands a supervisor: this same program, leader of a process group of its
//! own. The orchestrator ends the whole group on a timeout or an interrupt. Should the orchestrator itself be killed,
//! the supervisor sees its standard input close and ends the group. The supervisor also holds the run directory's lock
//! (its standard output *is* the lock file), so that a run killed a moment ago is still in use until its group is gone.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_current_process_group, kill_process, kill_process_group,
    test_kill_process_group, waitid,
};

/// Lines of a command's standard error that a failure repeats.
const N_LAST_LINES: usize = 20;
/// How long a command may take to end after TERM, before KILL.
const GRACE: Duration = Duration::from_secs(3);
/// How long what was killed may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// Longest piece of a line that is kept together; a command that prints no line break must not fill the memory.
const MAX_LINE_BYTES: u64 = 16 * 1024;
/// Exit code of the supervisor when the command cannot be started, as a shell has it.
pub(crate) const EXIT_NOT_STARTED: i32 = 127;

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Ctrl-C, TERM or HUP arrived.
    Interrupted,
    /// The supervised command with this process id ended.
    Ended(u32),
}

/// The channel on which interrupts and ended commands arrive.
pub(crate) struct Events {
    sender: Sender<Event>,
    receiver: Receiver<Event>,
}

/// What a program ends with that was interrupted.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Where interrupts go: to the run that began last.
static LISTENER: Mutex<Option<Sender<Event>>> = Mutex::new(None);

impl Events {
    /// Starts to catch Ctrl-C, TERM and HUP, for one run at a time: those that were installed before hear nothing any more. While no
    /// run is under way they end the program, as they would by themselves.
    pub(crate) fn install() -> Result<Self> {
        let (sender, receiver) = channel();
        let before = LISTENER.lock().unwrap_or_else(PoisonError::into_inner).replace(sender.clone());
        if before.is_none() {
            ctrlc::set_handler(|| {
                let listener = LISTENER.lock().unwrap_or_else(PoisonError::into_inner);
                let is_heard = listener.as_ref().is_some_and(|listener| listener.send(Event::Interrupted).is_ok());
                if !is_heard {
                    // Between the runs of a study nobody listens, and nothing is half done: the next start goes on from there.
                    std::process::exit(EXIT_INTERRUPTED.into());
                }
            })
            .context("cannot catch signals")?;
        }
        Ok(Self { sender, receiver })
    }

    /// Whether an interrupt arrived while nothing was running.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.receiver.try_iter().any(|event| event == Event::Interrupted)
    }
}

/// One command to run.
pub(crate) struct Job<'a> {
    /// Put before each line of its standard error.
    pub(crate) label: &'a str,
    /// Program and arguments.
    pub(crate) argv: &'a [OsString],
    /// Directory to run in.
    pub(crate) current_dir: &'a Path,
    /// Set in its environment.
    pub(crate) env: &'a [(&'static str, String)],
    /// Ended after this long.
    pub(crate) timeout: Option<Duration>,
    /// Receives a copy of its standard error.
    pub(crate) log: PathBuf,
    /// Lock that its supervisor keeps.
    pub(crate) lock: &'a File,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By itself, with this code; a command killed by signal `n` has `128 + n`.
    Exited(i32),
    /// It ran past its timeout and its group was ended.
    TimedOut,
    /// The run was interrupted and its group was ended.
    Interrupted,
}

/// An ended command.
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// The last lines of its standard error.
    pub(crate) last_lines: Vec<String>,
}

/// Runs a command to its end, its timeout or an interrupt; afterwards nothing of its process group is left.
///
/// # Errors
/// When the supervisor cannot be started.
pub(crate) fn run(job: &Job<'_>, events: &Events) -> Result<Ended> {
    let mut child = spawn_supervisor(job)?;
    let pid = child.id();
    let (last_lines, is_drained) = child.stderr.take().map(|stderr| forward_stderr(job, stderr)).unzip();
    notify_on_end(pid, events.sender.clone());

    let outcome = wait_for_end(pid, job.timeout, &events.receiver);
    // The leader is not reaped yet, so its id cannot name anybody else's group.
    signal_group(pid, Signal::KILL);
    let status = child.wait().context("cannot wait for the stage command")?;
    wait_until_gone(pid);
    if let Some(is_drained) = is_drained {
        // A process that left the group may keep the pipe open: what it still says is not waited for.
        let _ = is_drained.recv_timeout(Duration::from_secs(1));
    }
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let last_lines = last_lines.and_then(|lines| lines.lock().ok().map(|lines| lines.iter().cloned().collect()));
    Ok(Ended { outcome: outcome.unwrap_or(Outcome::Exited(code)), last_lines: last_lines.unwrap_or_default() })
}

fn spawn_supervisor(job: &Job<'_>) -> Result<Child> {
    // The link works even when the program's file was replaced by a newer build meanwhile.
    let link = PathBuf::from("/proc/self/exe");
    let program = if link.exists() { link } else { std::env::current_exe().context("cannot find this program")? };
    let lock = job.lock.try_clone().context("cannot pass the run directory's lock on")?;
    Command::new(program)
        .args(["supervise", "--"])
        .args(job.argv)
        .current_dir(job.current_dir)
        .envs(job.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::from(lock))
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("cannot start the supervisor of a stage command")
}

/// Waits without reaping, so that the process id stays ours until the group is gone.
fn notify_on_end(pid: u32, sender: Sender<Event>) {
    thread::spawn(move || {
        if let Some(leader) = to_pid(pid) {
            while let Err(rustix::io::Errno::INTR) =
                waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            {}
        }
        let _ = sender.send(Event::Ended(pid));
    });
}

/// `None` when the command ended by itself.
fn wait_for_end(pid: u32, timeout: Option<Duration>, receiver: &Receiver<Event>) -> Option<Outcome> {
    // A timeout beyond what the clock can tell is none.
    let mut deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut outcome = None;
    loop {
        let event = match deadline {
            Some(deadline) => receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => receiver.recv().map_err(RecvTimeoutError::from),
        };
        match event {
            Ok(Event::Ended(ended)) if ended == pid => return outcome,
            Ok(Event::Ended(_)) => {}
            // Asked twice, or silent past the grace: no more waiting.
            Ok(Event::Interrupted) | Err(RecvTimeoutError::Timeout) if outcome.is_some() => {
                signal_group(pid, Signal::KILL);
                deadline = None;
            }
            Ok(Event::Interrupted) => {
                outcome = Some(Outcome::Interrupted);
                deadline = Some(Instant::now() + GRACE);
                signal_group(pid, Signal::TERM);
            }
            Err(RecvTimeoutError::Timeout) => {
                outcome = Some(Outcome::TimedOut);
                deadline = Some(Instant::now() + GRACE);
                signal_group(pid, Signal::TERM);
            }
            Err(RecvTimeoutError::Disconnected) => return outcome,
        }
    }
}

type LastLines = Arc<Mutex<VecDeque<String>>>;

/// Shows the command's standard error line by line under its label, copies it to the log and keeps the last lines.
fn forward_stderr(job: &Job<'_>, stderr: ChildStderr) -> (LastLines, Receiver<()>) {
    let last_lines = LastLines::default();
    let kept = Arc::clone(&last_lines);
    let (sender, is_drained) = channel();
    let label = job.label.to_owned();
    // A log that cannot be written (a full disk) must not be what fails a run.
    let mut log = File::create(&job.log).ok();
    thread::spawn(move || {
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        while let Ok(1..) = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            if let Some(log) = &mut log {
                let _ = log.write_all(&line);
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let _ = writeln!(std::io::stderr(), "[{label}] {text}");
            if let Ok(mut kept) = kept.lock() {
                kept.push_back(text);
                if kept.len() > N_LAST_LINES {
                    kept.pop_front();
                }
            }
            line.clear();
        }
        let _ = sender.send(());
    });
    (last_lines, is_drained)
}

fn signal_group(pid: u32, signal: Signal) {
    if let Some(leader) = to_pid(pid) {
        // Fails only when the group is gone already, which is what is wanted.
        let _ = kill_process_group(leader, signal);
    }
}

/// Waits for the last of a killed group: a KILL has been sent before its process is gone.
fn wait_until_gone(pid: u32) {
    let deadline = Instant::now() + KILL_PATIENCE;
    while to_pid(pid).is_some_and(|leader| test_kill_process_group(leader).is_ok()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}

fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Whether a process with this id exists.
pub(crate) fn is_alive(pid: u32) -> bool {
    to_pid(pid).is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[derive(Args)]
pub(crate) struct SuperviseArgs {
    /// Program and arguments
    #[arg(last = true, required = true)]
    argv: Vec<OsString>,
}

/// The supervisor's side: runs the command, passes its exit code on, and ends the group when standard input closes.
///
/// # Errors
/// When signals cannot be caught or standard error cannot be shared.
pub(crate) fn supervise(args: &SuperviseArgs) -> Result<ExitCode> {
    // TERM reaches the command through the group; the supervisor stays until it has ended, to pass its exit code on.
    ctrlc::set_handler(|| {}).context("cannot catch signals")?;
    let stdout = std::io::stderr().as_fd().try_clone_to_owned().context("cannot share standard error")?;
    let spawned =
        Command::new(&args.argv[0]).args(&args.argv[1..]).stdin(Stdio::null()).stdout(Stdio::from(stdout)).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("cannot start `{}`: {error}", args.argv[0].to_string_lossy());
            return Ok(exit_code(EXIT_NOT_STARTED));
        }
    };
    thread::spawn(|| {
        let mut stdin = std::io::stdin().lock();
        while let Ok(1..) = stdin.read(&mut [0; 64]) {}
        let _ = kill_current_process_group(Signal::KILL);
    });
    let status = child.wait().context("cannot wait for the stage command")?;
    if status.signal() == Some(Signal::KILL.as_raw()) {
        let _ = kill_process(rustix::process::getpid(), Signal::KILL);
    }
    Ok(exit_code(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))))
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_beyond_what_the_clock_can_tell_is_none() {
        let (sender, receiver) = channel();
        // No process has this id, so none is ended should this fail.
        sender.send(Event::Ended(u32::MAX)).unwrap();
        assert_eq!(wait_for_end(u32::MAX, Some(Duration::MAX), &receiver), None);
    }

    #[test]
    fn a_program_may_make_several_runs_one_after_the_other() {
        for _ in 0..2 {
            assert!(!Events::install().unwrap().is_interrupted());
        }
    }
}
