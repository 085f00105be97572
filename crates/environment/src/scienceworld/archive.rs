//! Answers kept from one process to the next.
//!
//! A step in the simulator takes milliseconds and the expert's path a second, while stages and repetitions of an experiment ask for
//! much the same. So there is a directory with one file per scene: compressed lines of JSON, the first about the scene, then one per
//! node of its tree. A file is replaced as a whole, so it is never half written, and of two processes the later one's stays. What
//! cannot be read, or comes from another simulator, is not used and asked for anew.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::error::{ScienceWorldError, VERSION};
use super::installation::Installation;
use super::simulator::Opening;
use super::transitions::{NodeRecord, Scene, SceneKey};

/// What the files look like; files of another format are not used.
const FORMAT: u32 = 1;

/// A scene is saved when it has so many new answers, or a quarter more.
const MIN_UNSAVED: usize = 64;

/// A directory of scenes.
#[derive(Debug)]
pub(crate) struct Archive {
    directory: PathBuf,
    /// Tells JARs apart.
    n_jar_bytes: u64,
}

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    simulator: String,
    n_jar_bytes: u64,
    kind: String,
    variation: i32,
    opening: Option<Opening>,
    solution: Option<Vec<String>>,
}

impl Archive {
    /// Makes the directory where it is missing.
    pub(crate) fn open(directory: &Path, installation: &Installation) -> Result<Self, ScienceWorldError> {
        let jar = fs::create_dir_all(directory).and_then(|()| fs::metadata(&installation.jar)).map_err(|error| {
            ScienceWorldError::NoArchive { directory: directory.to_owned(), reason: error.to_string() }
        })?;
        Ok(Self { directory: directory.to_owned(), n_jar_bytes: jar.len() })
    }

    /// A scene with all that is kept of it, which may be nothing.
    pub(crate) fn load(&self, key: &SceneKey, id: u64) -> Scene {
        let path = self.path(key);
        match self.read(&path, key, id) {
            Ok(scene) => scene,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Scene::new(key.clone(), id),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "answers that were kept cannot be used, the simulator is asked anew");
                Scene::new(key.clone(), id)
            }
        }
    }

    /// Saves a scene that has grown enough since it was saved last.
    pub(crate) fn save_grown(&self, scene: &Scene) {
        if scene.n_unsaved() >= MIN_UNSAVED.max(scene.n_nodes() / 4) {
            self.save(scene);
        }
    }

    /// Saves a scene if there is anything new. A failure costs time later and nothing else, so it is only told.
    pub(crate) fn save(&self, scene: &Scene) {
        if scene.n_unsaved() == 0 {
            return;
        }
        let path = self.path(&scene.key);
        if let Err(error) = self.write(&path, scene) {
            tracing::warn!(path = %path.display(), %error, "answers cannot be kept");
        }
    }

    fn path(&self, key: &SceneKey) -> PathBuf {
        self.directory.join(format!("{}-{}.jsonl.gz", key.kind, key.variation))
    }

    fn read(&self, path: &Path, key: &SceneKey, id: u64) -> io::Result<Scene> {
        let mut lines = BufReader::new(GzDecoder::new(BufReader::new(File::open(path)?))).lines();
        let header: Header = parse(&lines.next().ok_or(io::ErrorKind::UnexpectedEof)??)?;
        let found = (header.format, &*header.simulator, header.n_jar_bytes, &*header.kind, header.variation);
        let expected = (FORMAT, VERSION, self.n_jar_bytes, &*key.kind, key.variation);
        if found != expected {
            return Err(io::Error::other(format!("it is of {found:?}, expected {expected:?}")));
        }
        let records = lines.map(|line| parse::<NodeRecord>(&line?)).collect::<io::Result<Vec<_>>>()?;
        Scene::restore(key.clone(), id, header.opening, header.solution, records)
            .ok_or_else(|| io::Error::other("its answers are no tree"))
    }

    fn write(&self, path: &Path, scene: &Scene) -> io::Result<()> {
        let file = NamedTempFile::new_in(&self.directory)?;
        // First, so that what is found out from here on counts as new.
        let (records, n_taken) = scene.take_records();
        self.fill(file, scene, &records)
            .and_then(|file| file.persist(path).map_err(|error| error.error))
            .map(drop)
            .inspect_err(|_| scene.return_unsaved(n_taken))
    }

    fn fill(&self, file: NamedTempFile, scene: &Scene, records: &[NodeRecord]) -> io::Result<NamedTempFile> {
        let mut out = BufWriter::new(GzEncoder::new(file, Compression::fast()));
        let header = Header {
            format: FORMAT,
            simulator: VERSION.to_owned(),
            n_jar_bytes: self.n_jar_bytes,
            kind: scene.key.kind.to_string(),
            variation: scene.key.variation,
            opening: scene.opening.get().map(|opening| Opening::clone(opening)),
            solution: scene.solution.get().cloned(),
        };
        write_line(&mut out, &header)?;
        for record in records {
            write_line(&mut out, record)?;
        }
        let encoder = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        encoder.finish()
    }
}

fn parse<T: for<'de> Deserialize<'de>>(line: &str) -> io::Result<T> {
    Ok(serde_json::from_str(line)?)
}

fn write_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::super::simulator::Answer;
    use super::super::transitions::NodeId;
    use super::*;

    #[test]
    fn answers_that_could_not_be_saved_are_saved_when_that_is_possible() {
        let directory = tempfile::tempdir().unwrap();
        let jar = directory.path().join("scienceworld.jar");
        fs::write(&jar, "").unwrap();
        let archive = Archive::open(directory.path(), &Installation { jar, java: PathBuf::new() }).unwrap();
        let scene = Scene::new(SceneKey { kind: "find-plant".into(), variation: 1 }, 1);
        let answer = Answer { text: "You hop.".to_owned(), view: None, score: 0, is_complete: false };
        scene.remember(NodeId::ROOT, "hop", answer);

        // Nothing can be put in the place of a directory.
        let path = archive.path(&scene.key);
        fs::create_dir(&path).unwrap();
        archive.save(&scene);
        assert_eq!(scene.n_unsaved(), 1);

        fs::remove_dir(&path).unwrap();
        archive.save(&scene);
        assert_eq!((scene.n_unsaved(), archive.load(&scene.key, 2).n_nodes()), (0, 2));
    }
}
