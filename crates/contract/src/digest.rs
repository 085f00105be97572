//! BLAKE3 digests of what stages read and write.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ContractError;

/// The BLAKE3 digest of a file, or of a directory with all that is in it. Text form: 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest(blake3::Hash);

impl Digest {
    /// The digest of bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }

    /// The digest of a file's content, or of a directory: the relative paths in it and their contents, whatever the order
    /// in which the file system lists them.
    ///
    /// # Errors
    /// [`ContractError::Io`] with the path that cannot be read.
    pub fn of_path(path: &Path) -> Result<Self, ContractError> {
        let hash = if path.is_dir() { directory_hash(path) } else { file_hash(path) };
        hash.map(Self).map_err(|(path, source)| ContractError::Io { path, source })
    }
}

type PathError = (std::path::PathBuf, io::Error);

fn file_hash(path: &Path) -> Result<blake3::Hash, PathError> {
    let hash = || {
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(hasher.finalize())
    };
    hash().map_err(|source| (path.to_owned(), source))
}

fn directory_hash(path: &Path) -> Result<blake3::Hash, PathError> {
    let list = || fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
    let mut names = list().map_err(|source| (path.to_owned(), source))?;
    names.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for name in names {
        let entry = path.join(&name);
        let (mark, hash) = if entry.is_dir() { (b'd', directory_hash(&entry)?) } else { (b'f', file_hash(&entry)?) };
        // The length in front keeps names apart from what follows them.
        let name = name.as_encoded_bytes();
        hasher.update(&[mark]).update(&(name.len() as u64).to_le_bytes()).update(name).update(hash.as_bytes());
    }
    Ok(hasher.finalize())
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text)
            .map(Self)
            .map_err(|_| format!("digest is `{text}`, expected 64 hexadecimal digits of BLAKE3"))
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Passes bytes on and digests them on the way, so that a file need not be read again.
#[derive(Debug)]
pub struct DigestWriter<W> {
    inner: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> DigestWriter<W> {
    /// Digests what is written to `inner`.
    #[must_use]
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    /// The digest of the bytes so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(self.hasher.finalize())
    }

    /// The number of bytes so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
