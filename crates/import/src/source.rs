//! Log files: plain, gzip or Zstandard, told apart by their first bytes; and standard input.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::ImportError;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Where to read a log from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSource {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl LogSource {
    /// The source that an argument names: `-` is standard input.
    #[must_use]
    pub fn from_argument(argument: &Path) -> Self {
        if argument == Path::new("-") { Self::Stdin } else { Self::File(argument.to_owned()) }
    }

    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "stdin".to_owned(),
        }
    }

    /// The decompressed bytes.
    pub(crate) fn open(&self) -> Result<Box<dyn Read>, ImportError> {
        let open = || -> io::Result<Box<dyn Read>> {
            match self {
                Self::File(path) => decompressed(File::open(path)?),
                Self::Stdin => decompressed(io::stdin().lock()),
            }
        };
        open().map_err(|source| ImportError::Open { name: self.name(), source })
    }
}

fn decompressed(mut stream: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::with_capacity(ZSTD.len());
    stream.by_ref().take(ZSTD.len() as u64).read_to_end(&mut magic)?;
    let is_zstd = magic.starts_with(ZSTD);
    let is_gzip = magic.starts_with(GZIP);
    let whole = Cursor::new(magic).chain(stream);
    if is_gzip {
        Ok(Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, whole))))
    } else if is_zstd {
        Ok(Box::new(zstd::stream::read::Decoder::new(whole)?))
    } else {
        Ok(Box::new(whole))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[track_caller]
    fn check(bytes: Vec<u8>, expected: &str) {
        let mut text = String::new();
        decompressed(Cursor::new(bytes)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compression_is_known_by_its_first_bytes() {
        check(b"{}\n".to_vec(), "{}\n");
        check(Vec::new(), "");
        check(gzip("first\n"), "first\n");
        check([gzip("first\n"), gzip("second\n")].concat(), "first\nsecond\n");
        check(zstd::encode_all("packed\n".as_bytes(), 1).unwrap(), "packed\n");
    }
}
