//! One run per run directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;

/// How long to wait for the process group of a run that was killed to be gone.
const WAIT_FOR_KILLED_RUN: Duration = Duration::from_secs(5);

/// Takes the run directory, creating it; the lock is released when the file, and every copy of it, is closed.
///
/// # Errors
/// When another run uses the directory, or it cannot be created or written.
pub(crate) fn take(run_dir: &Path) -> Result<File> {
    fs::create_dir_all(run_dir).with_context(|| {
        format!("{}: run directory cannot be created\nhint: --run-dir names another", run_dir.display())
    })?;
    let path = run_dir.join(".lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{}: cannot be locked", path.display()));
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default().trim().parse::<u32>().ok();
                let is_ending = holder.is_some_and(|pid| !process::is_alive(pid));
                if !is_ending || started.elapsed() > WAIT_FOR_KILLED_RUN {
                    let by = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                    bail!(
                        "{}: in use by another run ({by})\nhint: wait for it to end, or give this run its own --run-dir",
                        run_dir.display()
                    );
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_refused_with_the_first_one_s_process_id() {
        let dir = tempfile::tempdir().unwrap();
        let held = take(dir.path()).unwrap();
        let message = format!("{:#}", take(dir.path()).unwrap_err());
        assert!(message.contains(&format!("in use by another run (process {})", std::process::id())), "{message}");
        assert!(message.contains("hint: "), "{message}");
        drop(held);
        take(dir.path()).unwrap();
    }
}
