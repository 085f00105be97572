//! One large JSON object, a piece at a time: the elements of one of its arrays, and few members as a whole. The rest is passed
//! over without being kept.

use std::io::{self, Read};

use thiserror::Error;

const CHUNK: usize = 1 << 16;

/// A piece of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A kept member, or an element of the streamed one, whose text is in [`Document::text`].
    Value {
        /// The member's name.
        member: &'static str,
        /// The line that it begins in.
        line: u64,
    },
    /// A value that is longer than allowed; it was passed over.
    TooLong {
        /// The line that it begins in.
        line: u64,
        /// Its length.
        bytes: u64,
    },
}

/// Why a document cannot be read on.
#[derive(Debug, Error)]
pub(crate) enum DocumentError {
    #[error("cannot be read on: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Syntax(&'static str),
}

/// Where in the document the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    InObject { is_first: bool },
    InArray { is_first: bool },
    End,
}

/// Reads a document.
pub(crate) struct Document<R> {
    stream: R,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    pub(crate) line: u64,
    pub(crate) n_bytes: u64,
    state: State,
    kept: &'static [&'static str],
    streamed: &'static str,
    max_value_bytes: usize,
    value: Vec<u8>,
}

impl<R: Read> Document<R> {
    /// Keeps the members that `kept` names, and the elements of `streamed`.
    pub(crate) fn new(
        stream: R,
        kept: &'static [&'static str],
        streamed: &'static str,
        max_value_bytes: usize,
    ) -> Self {
        Self {
            stream,
            buffer: vec![0; CHUNK],
            at: 0,
            end: 0,
            line: 1,
            n_bytes: 0,
            state: State::Start,
            kept,
            streamed,
            max_value_bytes,
            value: Vec::new(),
        }
    }

    /// The text of the last piece.
    pub(crate) fn text(&self) -> &[u8] {
        &self.value
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// Those of the stream, and text that is no JSON object.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, DocumentError> {
        loop {
            self.skip_space()?;
            match self.state {
                State::End => match self.peek()? {
                    None => return Ok(None),
                    Some(_) => return Err(DocumentError::Syntax("something follows the object")),
                },
                State::Start => match self.peek()? {
                    None => return Ok(None),
                    Some(b'{') => {
                        self.bump()?;
                        self.state = State::InObject { is_first: true };
                    }
                    Some(_) => return Err(DocumentError::Syntax("expected one JSON object")),
                },
                State::InObject { is_first } => {
                    if self.separator(is_first, b'}')? {
                        self.state = State::End;
                    } else if let Some(piece) = self.member()? {
                        return Ok(Some(piece));
                    }
                }
                State::InArray { is_first } => {
                    if self.separator(is_first, b']')? {
                        self.state = State::InObject { is_first: false };
                    } else {
                        self.state = State::InArray { is_first: false };
                        return self.piece(self.streamed).map(Some);
                    }
                }
            }
        }
    }

    /// Goes to the next member or element; whether there is none, but the end.
    fn separator(&mut self, is_first: bool, end: u8) -> Result<bool, DocumentError> {
        match self.peek()? {
            Some(byte) if byte == end => {
                self.bump()?;
                Ok(true)
            }
            Some(b',') if !is_first => {
                self.bump()?;
                self.skip_space()?;
                Ok(false)
            }
            Some(_) if is_first => Ok(false),
            Some(_) => Err(DocumentError::Syntax("expected `,` or the end of an object or array")),
            None => Err(DocumentError::Syntax("the text ends early")),
        }
    }

    /// Reads a member's name, and its value where it is kept.
    fn member(&mut self) -> Result<Option<Piece>, DocumentError> {
        self.state = State::InObject { is_first: false };
        if self.peek()? != Some(b'"') {
            return Err(DocumentError::Syntax("expected the name of a member"));
        }
        self.value(self.max_value_bytes)?;
        let name = std::mem::take(&mut self.value);
        self.skip_space()?;
        if self.peek()? != Some(b':') {
            return Err(DocumentError::Syntax("expected `:`"));
        }
        self.bump()?;
        self.skip_space()?;
        let is =
            |known: &str| name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")) == Some(known.as_bytes());
        if is(self.streamed) && self.peek()? == Some(b'[') {
            self.bump()?;
            self.state = State::InArray { is_first: true };
            return Ok(None);
        }
        match self.kept.iter().copied().find(|kept| is(kept)) {
            Some(kept) => self.piece(kept).map(Some),
            None => self.value(0).map(|_| None),
        }
    }

    fn piece(&mut self, member: &'static str) -> Result<Piece, DocumentError> {
        let line = self.line;
        let bytes = self.value(self.max_value_bytes)?;
        let is_whole = bytes == self.value.len() as u64;
        Ok(if is_whole { Piece::Value { member, line } } else { Piece::TooLong { line, bytes } })
    }

    /// Reads a value, of which it keeps `most` bytes, and returns its length. What is in it is checked by whoever reads it.
    fn value(&mut self, most: usize) -> Result<u64, DocumentError> {
        self.value.clear();
        let mut n_bytes = 0_u64;
        let (mut depth, mut is_in_string, mut is_escaped) = (0_u32, false, false);
        loop {
            let Some(byte) = self.peek()? else { return Err(DocumentError::Syntax("the text ends early")) };
            let is_scalar_end =
                depth == 0 && !is_in_string && matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b':');
            if is_scalar_end {
                return if n_bytes > 0 { Ok(n_bytes) } else { Err(DocumentError::Syntax("expected a value")) };
            }
            self.bump()?;
            n_bytes += 1;
            if self.value.len() < most {
                self.value.push(byte);
            }
            if is_in_string {
                let is_end = byte == b'"' && !is_escaped;
                is_escaped = byte == b'\\' && !is_escaped;
                is_in_string = !is_end;
                if is_end && depth == 0 {
                    return Ok(n_bytes);
                }
                continue;
            }
            match byte {
                b'"' => is_in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(n_bytes);
                    }
                }
                _ => {}
            }
        }
    }

    fn skip_space(&mut self) -> io::Result<()> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek()? {
            self.bump()?;
        }
        Ok(())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        while self.at == self.end {
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Ok(None),
                Ok(n) => (self.at, self.end) = (0, n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(self.buffer[self.at]))
    }

    fn bump(&mut self) -> io::Result<()> {
        if let Some(byte) = self.peek()? {
            self.line += u64::from(byte == b'\n');
            self.at += 1;
            self.n_bytes += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, most: usize) -> Result<Vec<(String, u64)>, String> {
        let mut document = Document::new(text.as_bytes(), &["info"], "runs", most);
        let mut pieces = Vec::new();
        while let Some(piece) = document.next().map_err(|error| error.to_string())? {
            pieces.push(match piece {
                Piece::Value { member, line } => {
                    (format!("{member} {}", String::from_utf8_lossy(document.text())), line)
                }
                Piece::TooLong { line, bytes } => (format!("{bytes} bytes"), line),
            });
        }
        Ok(pieces)
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, u64)]) {
        let found = pieces(text, 30).unwrap();
        let found: Vec<(&str, u64)> = found.iter().map(|(piece, line)| (piece.as_str(), *line)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn elements_and_kept_members_come_one_by_one() {
        let text = "{\n \"other\": [{\"runs\": [1]}], \"info\": {\"a\": \"}]\\\"\"},\n \"runs\": [\n {\"b\": 1},\n 2, \"x\" ]\n}\n";
        check(text, &[("info {\"a\": \"}]\\\"\"}", 2), ("runs {\"b\": 1}", 4), ("runs 2", 5), ("runs \"x\"", 5)]);
        check("{}", &[]);
        check("", &[]);
        check("{\"runs\": []}", &[]);
    }

    #[test]
    fn a_value_that_is_too_long_is_passed_over() {
        let long = "x".repeat(100);
        check(&format!("{{\"runs\": [1, \"{long}\", 2]}}"), &[("runs 1", 1), ("102 bytes", 1), ("runs 2", 1)]);
    }

    #[test]
    fn broken_documents_are_told_apart() {
        assert_eq!(pieces("[]", 30), Err("expected one JSON object".to_owned()));
        assert_eq!(pieces("{\"runs\": [1", 30), Err("the text ends early".to_owned()));
        assert_eq!(pieces("{\"runs\" [1]}", 30), Err("expected `:`".to_owned()));
        assert_eq!(pieces("{\"runs\": [1 2]}", 30).unwrap_err(), "expected `,` or the end of an object or array");
        assert_eq!(pieces("{\"runs\": [1]}\n{\"runs\": [2]}", 30), Err("something follows the object".to_owned()));
    }
}
