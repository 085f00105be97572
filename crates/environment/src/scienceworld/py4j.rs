//! The wire of py4j, by which a program outside of a JVM calls the objects inside: one line of text per item, over TCP.
//!
//! A request is a command letter, its parts and `e`, each on a line of its own; `c`, target, method and arguments calls a
//! method, `i` and a class makes an object, `m`, `d` and a reference forgets one. The answer is one line: `!y` and a value, or
//! `!x` and what the JVM threw. A value's first letter is its type. In strings, backslash, `\r` and `\n` are escaped.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use thiserror::Error;

use crate::process::excerpt;

/// Longest answer that is taken. Bytes.
const MAX_ANSWER_BYTES: u64 = 16 << 20;

/// A conversation with a JVM that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Py4jError {
    /// Nothing listens, or the connection broke off.
    #[error("the connection to the JVM {0}")]
    Broken(String),
    /// No answer in time.
    #[error("the JVM did not answer `{method}` within {} s", waited.as_secs_f64())]
    TimedOut { method: String, waited: Duration },
    /// The answer is not py4j's, or not of the type that the method returns.
    #[error("the JVM answered `{method}` with {found}, expected {expected}")]
    Nonsense { method: String, found: String, expected: &'static str },
    /// The JVM threw an exception.
    #[error("`{method}` failed in the JVM: {message}")]
    Java { method: String, message: String },
}

/// A value as it travels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Integer(i64),
    Real(f64),
    Truth(bool),
    Reference(Reference),
}

/// An object inside of the JVM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference(String);

/// An argument of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument<'a> {
    Text(&'a str),
    Integer(i32),
    Truth(bool),
    Reference(&'a Reference),
}

/// A connection to a py4j gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    reader: BufReader<TcpStream>,
    timeout: Duration,
    request: String,
}

impl Gateway {
    /// Connects to the gateway that listens on `port` of this machine; every answer may take `timeout`.
    pub(crate) fn connect(port: u16, timeout: Duration) -> Result<Self, Py4jError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let connect = || {
            let stream = TcpStream::connect_timeout(&address, timeout)?;
            // A call is two small packets: with Nagle's algorithm each waits for the other's acknowledgement.
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            Ok::<_, std::io::Error>(stream)
        };
        let stream = connect().map_err(|error| Py4jError::Broken(format!("cannot be made: {error}")))?;
        Ok(Self { reader: BufReader::new(stream), timeout, request: String::new() })
    }

    /// Calls a method of an object.
    pub(crate) fn call(
        &mut self,
        target: &Reference,
        method: &str,
        arguments: &[Argument<'_>],
    ) -> Result<Value, Py4jError> {
        self.invoke("c", &[&target.0, method], method, arguments)
    }

    /// Calls a static method of a class, named in full.
    pub(crate) fn call_static(
        &mut self,
        class: &str,
        method: &str,
        arguments: &[Argument<'_>],
    ) -> Result<Value, Py4jError> {
        self.invoke("c", &[&format!("z:{class}"), method], method, arguments)
    }

    /// Makes an object of a class, named in full.
    pub(crate) fn construct(&mut self, class: &str, arguments: &[Argument<'_>]) -> Result<Reference, Py4jError> {
        self.invoke("i", &[class], class, arguments)?.into_reference(class)
    }

    /// Lets the JVM forget an object.
    pub(crate) fn forget(&mut self, reference: &Reference) -> Result<(), Py4jError> {
        self.invoke("m", &["d", &reference.0], "forget", &[]).map(|_| ())
    }

    fn invoke(
        &mut self,
        letter: &str,
        parts: &[&str],
        method: &str,
        arguments: &[Argument<'_>],
    ) -> Result<Value, Py4jError> {
        self.request.clear();
        for part in std::iter::once(&letter).chain(parts) {
            self.request.push_str(part);
            self.request.push('\n');
        }
        for argument in arguments {
            argument.write(&mut self.request);
        }
        self.request.push_str("e\n");
        let stream = self.reader.get_mut();
        stream.write_all(self.request.as_bytes()).map_err(|error| broken(method, self.timeout, &error))?;
        let mut line = Vec::new();
        let limited = &mut self.reader.by_ref().take(MAX_ANSWER_BYTES);
        limited.read_until(b'\n', &mut line).map_err(|error| broken(method, self.timeout, &error))?;
        if line.is_empty() {
            return Err(Py4jError::Broken(format!("broke off during `{method}`")));
        }
        read_answer(method, &line)
    }
}

impl Argument<'_> {
    fn write(self, out: &mut String) {
        match self {
            Self::Text(text) => {
                out.push('s');
                escape(text, out);
            }
            Self::Integer(number) => {
                out.push('i');
                out.push_str(&number.to_string());
            }
            Self::Truth(is_true) => out.push_str(if is_true { "btrue" } else { "bfalse" }),
            Self::Reference(reference) => {
                out.push('r');
                out.push_str(&reference.0);
            }
        }
        out.push('\n');
    }
}

impl Value {
    pub(crate) fn into_text(self, method: &str) -> Result<String, Py4jError> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.unexpected(method, "a string")),
        }
    }

    pub(crate) fn into_real(self, method: &str) -> Result<f64, Py4jError> {
        match self {
            Self::Real(number) => Ok(number),
            other => Err(other.unexpected(method, "a number")),
        }
    }

    pub(crate) fn into_truth(self, method: &str) -> Result<bool, Py4jError> {
        match self {
            Self::Truth(is_true) => Ok(is_true),
            other => Err(other.unexpected(method, "true or false")),
        }
    }

    pub(crate) fn into_integer(self, method: &str) -> Result<i64, Py4jError> {
        match self {
            Self::Integer(number) => Ok(number),
            other => Err(other.unexpected(method, "an integer")),
        }
    }

    pub(crate) fn into_reference(self, method: &str) -> Result<Reference, Py4jError> {
        match self {
            Self::Reference(reference) => Ok(reference),
            other => Err(other.unexpected(method, "an object")),
        }
    }

    fn unexpected(&self, method: &str, expected: &'static str) -> Py4jError {
        Py4jError::Nonsense { method: method.to_owned(), found: excerpt(&format!("{self:?}")), expected }
    }
}

fn broken(method: &str, waited: Duration, error: &std::io::Error) -> Py4jError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Py4jError::TimedOut { method: method.to_owned(), waited },
        _ => Py4jError::Broken(format!("broke off during `{method}`: {error}")),
    }
}

fn read_answer(method: &str, line: &[u8]) -> Result<Value, Py4jError> {
    let nonsense = |expected| Py4jError::Nonsense {
        method: method.to_owned(),
        found: excerpt(&String::from_utf8_lossy(line)),
        expected,
    };
    let text = std::str::from_utf8(line).map_err(|_| nonsense("UTF-8"))?;
    let text = text.strip_suffix('\n').ok_or_else(|| nonsense("a line of at most 16 MiB"))?;
    if let Some(thrown) = text.strip_prefix("!x") {
        // The trace's first line says what happened; the rest says where in the JVM.
        let message = unescape(thrown.strip_prefix('s').unwrap_or(thrown));
        let message = message.lines().next().unwrap_or_default().to_owned();
        return Err(Py4jError::Java { method: method.to_owned(), message });
    }
    let value = text.strip_prefix("!y").ok_or_else(|| nonsense("`!y` or `!x` first"))?;
    read_value(value).ok_or_else(|| nonsense("a value of py4j"))
}

fn read_value(value: &str) -> Option<Value> {
    let mut letters = value.chars();
    let kind = letters.next()?;
    let rest = letters.as_str();
    match kind {
        's' => Some(Value::Text(unescape(rest))),
        'i' | 'L' => rest.parse().ok().map(Value::Integer),
        'd' => rest.parse().ok().map(Value::Real),
        'b' if rest.eq_ignore_ascii_case("true") => Some(Value::Truth(true)),
        'b' if rest.eq_ignore_ascii_case("false") => Some(Value::Truth(false)),
        'v' | 'n' if rest.is_empty() => Some(Value::Null),
        'r' | 'l' | 't' | 'h' | 'a' | 'g' if !rest.is_empty() => Some(Value::Reference(Reference(rest.to_owned()))),
        _ => None,
    }
}

fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            _ => out.push(letter),
        }
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
#[path = "py4j_tests.rs"]
mod tests;
