//! One child process: its lines in and out with deadlines, and its end.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};

use super::error::{ProcessError, excerpt};
use super::last_words::LastWords;

/// How long an ended child may take to be reaped, and its last words to arrive.
const LAST_WORDS_PATIENCE: Duration = Duration::from_millis(500);
/// Pause between two looks at whether a child has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What is read at once.
const READ_BYTES: usize = 64 * 1024;
/// Waits until its standard input closes, which happens when this program ends, and ends the group that it is in.
const WATCHDOG: &str = "read -r _; kill -KILL 0";

/// What to start, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Program and arguments. The program is looked up in `PATH`, or is a path relative to `current_dir`.
    pub argv: Vec<OsString>,
    /// Set in its environment, beside what this program has.
    pub env: Vec<(OsString, OsString)>,
    /// Directory to run in; this program's when there is none.
    pub current_dir: Option<PathBuf>,
    /// What to install when the program is not found.
    pub install_hint: String,
    /// What its standard output is for.
    pub stdout: StdoutUse,
    /// Longest line that is taken from its standard output. Bytes.
    pub max_line_bytes: usize,
}

/// What a child's standard output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdoutUse {
    /// Lines that are read.
    Conversation,
    /// A log, kept for error messages as standard error is.
    Log,
}

impl ProcessSpec {
    /// A command in this program's directory, with lines of at most 16 MiB.
    #[must_use]
    pub fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            current_dir: None,
            install_hint: "check the command's spelling, and that the program is installed and in PATH".to_owned(),
            stdout: StdoutUse::Conversation,
            max_line_bytes: 16 << 20,
        }
    }

    /// The program, as errors name it.
    #[must_use]
    pub fn program(&self) -> String {
        self.argv.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// A running child process that speaks in lines.
///
/// Standard input and output are the conversation; of standard error the last lines are kept for error messages. Dropping
/// it kills the child and everything that it started, unless that left the child's process group.
#[derive(Debug)]
pub struct ChildProcess {
    program: String,
    max_line_bytes: usize,
    child: Child,
    group: Option<Pid>,
    /// `None` where there is no shell: then a child that ignores the end of its input outlives a killed `tollgate`.
    watchdog: Option<Watchdog>,
    stdin: Option<ChildStdin>,
    /// `None` where it is a log.
    stdout: Option<ChildStdout>,
    last_words: LastWords,
    /// Read and not yet handed over.
    unread: Vec<u8>,
    /// How much of `unread` is known to hold no line break.
    n_searched: usize,
}

impl ChildProcess {
    /// Starts a child.
    ///
    /// # Errors
    /// [`ProcessError::NotFound`] or [`ProcessError::NotStarted`].
    pub fn start(spec: &ProcessSpec) -> Result<Self, ProcessError> {
        let program = spec.program();
        let not_started = |reason: String| ProcessError::NotStarted { program: program.clone(), reason };
        let Some((name, arguments)) = spec.argv.split_first() else {
            return Err(not_started("the command is empty".to_owned()));
        };
        let mut command = Command::new(name);
        command.args(arguments).envs(spec.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &spec.current_dir {
            if !dir.is_dir() {
                return Err(not_started(format!("its directory {} does not exist", dir.display())));
            }
            command.current_dir(dir);
        }
        // It is in the watchdog's group from its first moment, so that it cannot outlive a `tollgate` that is killed in the next.
        let watchdog = Watchdog::start();
        let group = watchdog.as_ref().map(Watchdog::group);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(group.map_or(0, |leader| leader.as_raw_nonzero().get()));
        let mut child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => ProcessError::NotFound { program: program.clone(), hint: spec.install_hint.clone() },
            _ => not_started(error.to_string()),
        })?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(not_started("it has no pipes".to_owned()));
        };
        let (stdout, log) = match spec.stdout {
            StdoutUse::Conversation => (Some(stdout), None),
            StdoutUse::Log => (None, Some(stdout)),
        };
        let started = Self {
            program: program.clone(),
            max_line_bytes: spec.max_line_bytes,
            group: group.or_else(|| Some(Pid::from_child(&child))),
            child,
            watchdog,
            stdin: Some(stdin),
            stdout,
            last_words: LastWords::listen(stderr, log),
            unread: Vec::new(),
            n_searched: 0,
        };
        started.make_nonblocking().map_err(|error| not_started(error.to_string()))?;
        Ok(started)
    }

    /// The program, as errors name it.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The child's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The last lines of its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.last_words.text(Duration::ZERO)
    }

    /// Writes `line` and a line break to its standard input.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] or, when it does not take the line in, [`ProcessError::TimedOut`].
    pub fn write_line(&mut self, line: &str, timeout: Duration) -> Result<(), ProcessError> {
        let deadline = Instant::now() + timeout;
        let mut message = Vec::with_capacity(line.len() + 1);
        message.extend_from_slice(line.as_bytes());
        message.push(b'\n');
        let mut rest = &message[..];
        while !rest.is_empty() {
            let Some(stdin) = &mut self.stdin else { return Err(self.ended()) };
            match stdin.write(rest) {
                Ok(n_written) => rest = &rest[n_written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !is_ready(stdin, PollFlags::OUT, deadline) {
                        return Err(self.timed_out("take its input in", timeout));
                    }
                }
                Err(_) => return Err(self.ended()),
            }
        }
        Ok(())
    }

    /// Reads the next line of its standard output, without its line break.
    ///
    /// # Errors
    /// A [`ProcessError`]; none of them leaves the child in a state to go on with.
    pub fn read_line(&mut self, timeout: Duration) -> Result<String, ProcessError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(at) = self.unread[self.n_searched..].iter().position(|&byte| byte == b'\n') {
                let end = self.n_searched + at;
                self.n_searched = 0;
                return if end > self.max_line_bytes { Err(self.too_long()) } else { self.take_line(end) };
            }
            self.n_searched = self.unread.len();
            if self.unread.len() > self.max_line_bytes {
                return Err(self.too_long());
            }
            match self.read_some() {
                Ok(0) => return Err(self.ended()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.stdout.as_ref().is_some_and(|stdout| is_ready(stdout, PollFlags::IN, deadline)) {
                        return Err(self.timed_out("answer", timeout));
                    }
                }
                Err(_) => return Err(self.ended()),
            }
        }
    }

    /// Ends it in good order: closes its standard input and waits, then TERM and waits, then KILL, for the whole group.
    /// Each wait is at most `grace`. `None` when it had to be killed or cannot be waited for.
    #[must_use]
    pub fn stop(&mut self, grace: Duration) -> Option<ExitStatus> {
        self.stdin = None;
        self.wait(grace).or_else(|| {
            self.terminate();
            let status = self.wait(grace);
            self.kill();
            status
        })
    }

    /// Asks it and its whole group to end, with TERM.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Kills it and its whole group, as an accident would.
    pub fn kill(&mut self) {
        // As long as the watchdog lives, the group's id cannot become anybody else's; afterwards it may.
        self.signal(Signal::KILL);
        self.group = None;
        drop(self.watchdog.take());
        self.stdin = None;
        // Wherever it went, so that waiting for it ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// An error that says how the child ended, for what found it gone: waits for its last words.
    #[must_use]
    pub fn ended(&mut self) -> ProcessError {
        let how = match self.wait(LAST_WORDS_PATIENCE) {
            Some(status) => describe(status),
            None => "closed its standard output".to_owned(),
        };
        ProcessError::Ended { program: self.program.clone(), how, stderr: self.last_words.text(LAST_WORDS_PATIENCE) }
    }

    /// How it ended, if it does within a moment: what is gone may not be known to be gone at once.
    pub fn ended_just_now(&mut self) -> Option<ProcessError> {
        self.wait(LAST_WORDS_PATIENCE).map(|_| self.ended())
    }

    fn read_some(&mut self) -> std::io::Result<usize> {
        let Some(stdout) = &mut self.stdout else { return Ok(0) };
        let n_before = self.unread.len();
        self.unread.resize(n_before + READ_BYTES, 0);
        let read = stdout.read(&mut self.unread[n_before..]);
        self.unread.truncate(n_before + read.as_ref().copied().unwrap_or(0));
        read
    }

    fn take_line(&mut self, end: usize) -> Result<String, ProcessError> {
        let rest = self.unread.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.unread, rest);
        line.truncate(end);
        String::from_utf8(line).map_err(|error| ProcessError::NotText {
            program: self.program.clone(),
            line: excerpt(&String::from_utf8_lossy(error.as_bytes())),
        })
    }

    fn too_long(&self) -> ProcessError {
        let beginning = &self.unread[..self.unread.len().min(1_024)];
        ProcessError::LineTooLong {
            program: self.program.clone(),
            limit_bytes: self.max_line_bytes,
            beginning: excerpt(&String::from_utf8_lossy(beginning)),
        }
    }

    fn timed_out(&self, what: &'static str, waited: Duration) -> ProcessError {
        ProcessError::TimedOut { program: self.program.clone(), what, waited, stderr: self.stderr() }
    }

    /// Waits for its end; `None` when it has not ended by then.
    fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK_EVERY),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Signals the group, and the one that the child leads where it left, as `timeout` and `setsid` do.
    fn signal(&mut self, signal: Signal) {
        let own = Pid::from_child(&self.child);
        // Until a child is waited for, its id is nobody else's.
        let may_have_left = self.group != Some(own) && self.is_alive();
        for group in self.group.into_iter().chain(may_have_left.then_some(own)) {
            // Fails only when there is no such group, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Reading and writing then never wait by themselves: the deadlines do.
    fn make_nonblocking(&self) -> rustix::io::Result<()> {
        let set = |fd: rustix::fd::BorrowedFd<'_>| fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK);
        if let Some(stdin) = &self.stdin {
            set(stdin.as_fd())?;
        }
        match &self.stdout {
            Some(stdout) => set(stdout.as_fd()),
            None => Ok(()),
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The shell that leads the group, and ends it when this program ends.
#[derive(Debug)]
struct Watchdog(Child);

impl Watchdog {
    fn start() -> Option<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCHDOG]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0).spawn().ok().map(Self)
    }

    /// Its process id, which is also its group's.
    fn group(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether it becomes ready before the deadline. A hang-up counts as ready: reading or writing then says so.
fn is_ready(fd: &impl AsFd, events: PollFlags, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        match poll(&mut [PollFd::new(fd, events)], Some(&left)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
