//! Putting a finished directory in its place, all at once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::TrajectoryError;
use crate::writer::sync_directory;

/// A directory that is being filled: `<name>.partial` beside the place that it is for. It stays where it is when the
/// program ends early, for inspection, and the next run starts over.
#[derive(Debug)]
pub struct PartialDirectory {
    partial: PathBuf,
    target: PathBuf,
}

impl PartialDirectory {
    /// An empty directory to fill, for a place at `target`. What an earlier attempt left is removed.
    ///
    /// # Errors
    /// [`TrajectoryError::Io`], also for a target like `/` that has no name of its own, or [`TrajectoryError::DiskFull`].
    pub fn create(target: &Path) -> Result<Self, TrajectoryError> {
        let partial = beside(target, ".partial")?;
        remove_directory(&partial)?;
        fs::create_dir_all(&partial).map_err(|source| TrajectoryError::io(&partial, source))?;
        Ok(Self { partial, target: target.to_owned() })
    }

    /// Where to write.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Puts the directory in its place, instead of whatever is there: at every moment the place holds the old directory or
    /// the new one, whole. (Where the file system cannot exchange two directories there is a moment without either.)
    ///
    /// # Errors
    /// [`TrajectoryError::Io`]; the old directory is still there then.
    pub fn publish(self) -> Result<(), TrajectoryError> {
        let io = |source: io::Error| TrajectoryError::io(&self.target, source);
        if !self.target.exists() {
            fs::rename(&self.partial, &self.target).map_err(io)?;
        } else if renameat_with(CWD, &self.partial, CWD, &self.target, RenameFlags::EXCHANGE).is_ok() {
            remove_directory(&self.partial)?;
        } else {
            let old = beside(&self.target, ".old")?;
            remove_directory(&old)?;
            fs::rename(&self.target, &old).map_err(io)?;
            fs::rename(&self.partial, &self.target).map_err(io)?;
            remove_directory(&old)?;
        }
        sync_directory(&self.target)
    }
}

/// The path with this at the end of its last name, whether or not a slash follows that.
fn beside(path: &Path, suffix: &str) -> Result<PathBuf, TrajectoryError> {
    let nameless = || TrajectoryError::io(path, io::Error::new(io::ErrorKind::InvalidInput, "names no directory"));
    let mut name = path.file_name().ok_or_else(nameless)?.to_owned();
    name.push(suffix);
    Ok(path.with_file_name(name))
}

fn remove_directory(path: &Path) -> Result<(), TrajectoryError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(TrajectoryError::io(path, source)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(target: &Path, file: &str) -> PartialDirectory {
        let directory = PartialDirectory::create(target).unwrap();
        fs::write(directory.path().join(file), file).unwrap();
        directory
    }

    fn names(directory: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_published_directory_replaces_the_old_one_and_leaves_nothing_beside_it() {
        let run = tempfile::tempdir().unwrap();
        let target = run.path().join("simulate");
        fill(&target, "first").publish().unwrap();
        fill(&target, "second").publish().unwrap();
        assert_eq!(names(&target), ["second"]);
        assert_eq!(names(run.path()), ["simulate"]);
    }

    #[test]
    fn a_slash_at_the_end_of_the_place_does_not_matter_and_a_place_without_a_name_is_refused() {
        let run = tempfile::tempdir().unwrap();
        let target = run.path().join("logs/");
        for file in ["first", "second"] {
            fill(&target, file).publish().unwrap();
            assert_eq!(names(&target), [file]);
        }
        assert_eq!(names(run.path()), ["logs"]);
        let error = PartialDirectory::create(&run.path().join("..")).unwrap_err().to_string();
        assert!(error.contains("names no directory"), "{error}");
    }

    #[test]
    fn an_unpublished_directory_leaves_the_old_one_alone_and_the_next_attempt_starts_over() {
        let run = tempfile::tempdir().unwrap();
        let target = run.path().join("simulate");
        fill(&target, "first").publish().unwrap();
        drop(fill(&target, "broken off"));
        assert_eq!(names(&target), ["first"]);
        assert_eq!(names(PartialDirectory::create(&target).unwrap().path()), [""; 0]);
    }
}
