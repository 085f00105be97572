//! How a slot's directory comes and goes: written beside, renamed into place, never seen half-written.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::Slot;
use super::fingerprint::Stamp;

/// The journal of calls that a stage with live models keeps in its directory. It was paid for, and it fits any later attempt:
/// what it holds is looked up by what was asked.
pub(crate) const JOURNAL: &str = "calls.jsonl";

/// Where a slot's published outputs are.
pub(crate) fn published_dir(run_dir: &Path, slot: Slot) -> PathBuf {
    run_dir.join(slot.name())
}

/// Where a stage writes.
pub(crate) fn partial_dir(run_dir: &Path, slot: Slot) -> PathBuf {
    run_dir.join(format!("{slot}.partial"))
}

/// Says which origin the attempt in `<slot>.partial` has; beside it, because a stage is promised an empty directory.
fn attempt_file(run_dir: &Path, slot: Slot) -> PathBuf {
    run_dir.join("requests").join(format!("{slot}.fingerprint"))
}

fn stale_dir(run_dir: &Path, slot: Slot) -> PathBuf {
    run_dir.join(format!("{slot}.stale"))
}

/// The fingerprint of what `<slot>.partial` was made from. A directory with a stamp says it itself: a run that was killed while it
/// published may have left there what was published before.
fn attempted(run_dir: &Path, slot: Slot, selection: &[String]) -> Option<String> {
    match Stamp::read(&partial_dir(run_dir, slot)) {
        Some(stamp) => stamp.origin.resumption(selection).ok(),
        None => fs::read_to_string(attempt_file(run_dir, slot)).ok(),
    }
}

/// Clears what an earlier attempt left of this slot. What `optimize` left is kept when it was made from the origin with this
/// fingerprint, because training resumes from its checkpoints. What was paid for is kept unless the run is forced. What was published
/// is put back where a run was killed in the moment that it was out of its place.
///
/// `selection` are the keys that the fingerprint leaves out ([`Origin::resumption`](super::fingerprint::Origin::resumption)).
///
/// # Errors
/// When a directory cannot be removed or renamed.
pub(crate) fn clear_leftovers(
    run_dir: &Path,
    slot: Slot,
    selection: &[String],
    resumable: Option<&str>,
    is_forced: bool,
) -> Result<()> {
    let (published, stale) = (published_dir(run_dir, slot), stale_dir(run_dir, slot));
    if stale.exists() && !published.exists() {
        rename(&stale, &published)?;
    }
    remove(&stale)?;
    let is_resumable =
        slot == Slot::Optimize && resumable.is_some() && attempted(run_dir, slot, selection).as_deref() == resumable;
    if is_resumable {
        return Ok(());
    }
    let partial = partial_dir(run_dir, slot);
    if is_forced || !partial.join(JOURNAL).exists() {
        return remove(&partial);
    }
    for entry in fs::read_dir(&partial).with_context(|| format!("{}: cannot be read", partial.display()))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != JOURNAL) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("{}: cannot be removed", path.display()))?;
        }
    }
    Ok(())
}

/// Makes the directory that a stage writes into, unless an attempt that this one goes on from left one.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn begin_attempt(run_dir: &Path, slot: Slot, fingerprint: &str) -> Result<PathBuf> {
    let partial = partial_dir(run_dir, slot);
    write_atomically(&attempt_file(run_dir, slot), fingerprint)?;
    fs::create_dir_all(&partial).with_context(|| format!("{}: cannot be created", partial.display()))?;
    Ok(partial)
}

/// Copies a file or directory of the published outputs into the attempt that begins, unless both or neither have it.
///
/// # Errors
/// When it cannot be copied.
pub(crate) fn carry_over(run_dir: &Path, slot: Slot, name: &Path) -> Result<()> {
    let (from, to) = (published_dir(run_dir, slot).join(name), partial_dir(run_dir, slot).join(name));
    if !from.exists() || to.exists() {
        return Ok(());
    }
    // In place with one rename: half a copy is never taken for what was there.
    let beside = to.with_extension("copy");
    copy(&from, &beside)?;
    rename(&beside, &to)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("{}: cannot be copied", from.display());
    if !from.is_dir() {
        return fs::copy(from, to).map(drop).with_context(context);
    }
    fs::create_dir_all(to).with_context(context)?;
    for entry in fs::read_dir(from).with_context(context)? {
        let entry = entry.with_context(context)?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Puts `<slot>.partial` in the place of `<slot>`, after its bytes are on the disk: at every moment the place holds the old directory
/// or the new one, whole. (Where the file system cannot exchange two directories there is a moment without either.)
///
/// # Errors
/// When the disk is full or the directory cannot be renamed.
pub(crate) fn publish(run_dir: &Path, slot: Slot) -> Result<()> {
    let (partial, published, stale) =
        (partial_dir(run_dir, slot), published_dir(run_dir, slot), stale_dir(run_dir, slot));
    sync(&partial)?;
    if !published.exists() {
        rename(&partial, &published)?;
    } else if renameat_with(CWD, &partial, CWD, &published, RenameFlags::EXCHANGE).is_ok() {
        // Out of the attempt's place at once: half-removed, it must not be taken for an attempt to go on from.
        rename(&partial, &stale)?;
    } else {
        rename(&published, &stale)?;
        rename(&partial, &published)?;
    }
    sync_one(run_dir)?;
    remove(&stale)
}

/// Removes a directory, if there is one.
///
/// # Errors
/// When it is there and cannot be removed.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file so that it is either the old one or the new one at any moment.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_atomically(path: &Path, text: &str) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let beside = PathBuf::from(beside);
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
        .with_context(|| format!("{}: cannot be written", path.display()))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("{}: cannot be renamed to {}", from.display(), to.display()))
}

fn sync(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("{}: cannot be read", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            sync(&path)?;
        } else {
            sync_one(&path)?;
        }
    }
    sync_one(dir)
}

fn sync_one(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .with_context(|| format!("{}: cannot be brought to the disk", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_paid_for_outlives_attempts_but_not_a_forced_run() {
        let run = tempfile::tempdir().unwrap();
        fs::create_dir(run.path().join("requests")).unwrap();
        let begin = |fingerprint| {
            let partial = begin_attempt(run.path(), Slot::Simulate, fingerprint).unwrap();
            carry_over(run.path(), Slot::Simulate, Path::new(JOURNAL)).unwrap();
            partial
        };
        let partial = begin("a");
        fs::write(partial.join(JOURNAL), "paid\n").unwrap();
        fs::write(partial.join("steps.parquet"), "half").unwrap();
        fs::create_dir(partial.join("more")).unwrap();
        clear_leftovers(run.path(), Slot::Simulate, &[], None, false).unwrap();
        let names: Vec<_> = fs::read_dir(&partial).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [JOURNAL]);

        publish(run.path(), Slot::Simulate).unwrap();
        let partial = begin("b");
        assert_eq!(fs::read_to_string(partial.join(JOURNAL)).unwrap(), "paid\n");
        clear_leftovers(run.path(), Slot::Simulate, &[], None, true).unwrap();
        assert!(!partial.exists());
    }

    /// Writes a file into a slot's directory, which is made.
    fn fill(dir: &Path, text: &str) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("report.html"), text).unwrap();
    }

    fn read(dir: &Path) -> String {
        fs::read_to_string(dir.join("report.html")).unwrap()
    }

    #[test]
    fn what_is_published_takes_the_place_of_what_was_and_leaves_nothing_beside_it() {
        let run = tempfile::tempdir().unwrap();
        for text in ["first", "second"] {
            fill(&partial_dir(run.path(), Slot::Report), text);
            publish(run.path(), Slot::Report).unwrap();
            assert_eq!(read(&published_dir(run.path(), Slot::Report)), text);
        }
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_run_had_moved_out_of_its_place_is_put_back_unless_something_else_is_there() {
        let run = tempfile::tempdir().unwrap();
        let (published, stale) = (published_dir(run.path(), Slot::Report), stale_dir(run.path(), Slot::Report));
        fill(&stale, "first");
        clear_leftovers(run.path(), Slot::Report, &[], None, false).unwrap();
        assert_eq!(read(&published), "first");
        fill(&stale, "older");
        clear_leftovers(run.path(), Slot::Report, &[], None, false).unwrap();
        assert_eq!((read(&published).as_str(), stale.exists()), ("first", false));
    }

    #[test]
    fn what_was_published_from_another_origin_is_no_attempt_to_go_on_from() {
        let run = tempfile::tempdir().unwrap();
        fs::create_dir(run.path().join("requests")).unwrap();
        let earlier: Stamp = serde_json::from_value(serde_json::json!({
            "fingerprint": "", "outputs": {}, "rows": 0, "seconds": 0.0,
            "origin": {
                "stage": {"type": "builtin", "version": 1}, "contract_version": 1, "seed": 1, "experiment": {}, "config": {}, "inputs": {},
            },
        }))
        .unwrap();
        let own = earlier.origin.resumption(&[]).unwrap();
        // As a run that was killed right after the exchange leaves it.
        let partial = begin_attempt(run.path(), Slot::Optimize, "of the attempt that was published").unwrap();
        earlier.write(&partial).unwrap();
        clear_leftovers(run.path(), Slot::Optimize, &[], Some(&own), false).unwrap();
        assert!(partial.exists());
        clear_leftovers(run.path(), Slot::Optimize, &[], Some("of the attempt that was published"), false).unwrap();
        assert!(!partial.exists());
    }
}
