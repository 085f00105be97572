//! Rows of a log: lines, in a buffer that never grows beyond the longest row that is allowed.

use std::io::{self, Read};

use memchr::memchr;

/// Bytes read at once.
const CHUNK: usize = 1 << 18;

/// A line of a log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line, without its end.
    Row(&'a [u8]),
    /// A line that is longer than allowed; it was passed over.
    TooLong {
        /// Its length.
        bytes: u64,
    },
}

/// Reads line by line.
pub(crate) struct Lines<R> {
    stream: R,
    buffer: Vec<u8>,
    /// What is not handed out yet lies in `start..end`, and holds no line end before `searched`.
    start: usize,
    searched: usize,
    end: usize,
    max_row_bytes: usize,
    is_at_end: bool,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(stream: R, max_row_bytes: usize) -> Self {
        let buffer = vec![0; CHUNK];
        Self { stream, buffer, start: 0, searched: 0, end: 0, max_row_bytes, is_at_end: false }
    }

    /// The next line, or `None` after the last one.
    ///
    /// # Errors
    /// Those of the stream. What was read before was handed out; the line that the error broke is not.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[self.searched..self.end]) {
                let (from, to) = (self.start, self.searched + at);
                (self.start, self.searched) = (to + 1, to + 1);
                return Ok(Some(self.row(from, to)));
            }
            self.searched = self.end;
            if self.is_at_end {
                let (from, to) = (self.start, self.end);
                self.start = to;
                return Ok(if from == to { None } else { Some(self.row(from, to)) });
            }
            if self.end - self.start > self.max_row_bytes {
                return self.pass_over().map(|bytes| Some(Line::TooLong { bytes }));
            }
            self.fill()?;
        }
    }

    fn row(&self, from: usize, to: usize) -> Line<'_> {
        let row = &self.buffer[from..to];
        if row.len() > self.max_row_bytes { Line::TooLong { bytes: row.len() as u64 } } else { Line::Row(row) }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.end + CHUNK / 2 {
            self.buffer.resize((self.end * 2).min(self.max_row_bytes + CHUNK).max(self.end + CHUNK / 2), 0);
        }
        match self.stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.is_at_end = true,
            Ok(n) => self.end += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Skips to the end of a line that does not fit, and returns its length.
    fn pass_over(&mut self) -> io::Result<u64> {
        let mut bytes = 0;
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[self.start..self.end]) {
                bytes += at as u64;
                self.start += at + 1;
                self.searched = self.start;
                return Ok(bytes);
            }
            bytes += (self.end - self.start) as u64;
            (self.start, self.searched, self.end) = (0, 0, 0);
            if self.is_at_end {
                return Ok(bytes);
            }
            self.fill()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(3).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[track_caller]
    fn check(text: &str, max_row_bytes: usize, expected: &[Result<&str, u64>]) {
        for is_trickle in [false, true] {
            let stream: Box<dyn Read> =
                if is_trickle { Box::new(Trickle(text.as_bytes())) } else { Box::new(text.as_bytes()) };
            let mut lines = Lines::new(stream, max_row_bytes);
            let mut found = Vec::new();
            while let Some(line) = lines.next().unwrap() {
                found.push(match line {
                    Line::Row(row) => Ok(String::from_utf8(row.to_vec()).unwrap()),
                    Line::TooLong { bytes } => Err(bytes),
                });
            }
            let found: Vec<Result<&str, u64>> = found.iter().map(|line| line.as_deref().map_err(|&n| n)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn lines_end_with_a_line_feed_or_with_the_file() {
        check("one\ntwo\n", 10, &[Ok("one"), Ok("two")]);
        check("one\n\ntwo", 10, &[Ok("one"), Ok(""), Ok("two")]);
        check("", 10, &[]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        check("one\n0123456789abc\ntwo\n", 10, &[Ok("one"), Err(13), Ok("two")]);
        check("one\n0123456789abc", 10, &[Ok("one"), Err(13)]);
        check("0123456789\n", 10, &[Ok("0123456789")]);
    }

    #[test]
    fn the_buffer_stays_as_small_as_the_longest_row_allowed() {
        let long = "x".repeat(20 * CHUNK);
        let text = format!("one\n{long}\ntwo\n");
        let mut lines = Lines::new(text.as_bytes(), 2 * CHUNK);
        assert_eq!(lines.next().unwrap(), Some(Line::Row(b"one")));
        assert_eq!(lines.next().unwrap(), Some(Line::TooLong { bytes: long.len() as u64 }));
        assert_eq!(lines.next().unwrap(), Some(Line::Row(b"two")));
        assert!(lines.buffer.len() <= 3 * CHUNK);
    }

    #[test]
    fn rows_longer_than_a_chunk_are_whole() {
        let long = "x".repeat(3 * CHUNK);
        check(&format!("{long}\n{long}"), 4 * CHUNK, &[Ok(&long), Ok(&long)]);
    }
}
