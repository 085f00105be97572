//! JSON read in place: an object's members as slices of its text, nothing allocated.
//!
//! Measured on agent logs against `serde_json` with borrowed raw values, `sonic-rs` and the tape of `simd-json`, this was
//! the fastest that hands over the raw text of every member, which is what unknown fields are kept as. It accepts exactly
//! what `serde_json` accepts; a test compares the two.

use std::str;

use memchr::memchr2;
use thiserror::Error;

/// How deep values may be nested. Beyond that a text is no log but an attack on the stack.
const MAX_DEPTH: u32 = 128;

/// Where and why a text is no JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{what} at byte {at}")]
pub(crate) struct JsonError {
    /// Byte from the beginning of the text.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) what: &'static str,
}

/// A JSON value as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Json<'a> {
    raw: &'a str,
}

impl<'a> Json<'a> {
    /// The value's own text.
    pub(crate) const fn raw(self) -> &'a str {
        self.raw
    }

    pub(crate) fn is_null(self) -> bool {
        self.raw == "null"
    }

    /// The characters of a string, escapes and all.
    pub(crate) fn as_text(self) -> Option<Text<'a>> {
        let inner = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text::Escaped(inner))
    }

    pub(crate) fn as_bool(self) -> Option<bool> {
        match self.raw {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn as_f64(self) -> Option<f64> {
        if self.is_number() { self.raw.parse().ok() } else { None }
    }

    pub(crate) fn is_number(self) -> bool {
        self.raw.starts_with(|first: char| first == '-' || first.is_ascii_digit())
    }

    pub(crate) fn is_object(self) -> bool {
        self.raw.starts_with('{')
    }

    pub(crate) fn is_array(self) -> bool {
        self.raw.starts_with('[')
    }

    /// Hands over the members of an object in their order; other values have none.
    pub(crate) fn each_member(self, mut take: impl FnMut(&'a str, Json<'a>)) {
        if self.is_object() {
            // The text was checked when it was read.
            let _checked = each_member(self.raw, &mut take);
        }
    }

    /// The elements of an array; other values have none.
    pub(crate) fn elements(self) -> Vec<Json<'a>> {
        let mut elements = Vec::new();
        if self.is_array() {
            let mut scanner = Scanner { text: self.raw, bytes: self.raw.as_bytes(), at: 0 };
            // The text was checked when it was read.
            let _checked = scanner.array(MAX_DEPTH, |element| elements.push(element));
        }
        elements
    }

    /// The members of an object; other values have none.
    pub(crate) fn members(self) -> Members<'a> {
        let mut members = Members::default();
        self.each_member(|name, value| members.0.push((name, value)));
        members
    }

    /// The member of that name, the last one where there are several; null is none.
    pub(crate) fn member(self, name: &str) -> Option<Json<'a>> {
        let mut found = None;
        self.each_member(|known, value| {
            if known == name {
                found = Some(value);
            }
        });
        found.filter(|value| !value.is_null())
    }

    /// The value at a path of member names.
    pub(crate) fn at(self, path: &[&str]) -> Option<Json<'a>> {
        path.iter().try_fold(self, |value, name| value.member(name))
    }
}

/// The members of an object, to look several up.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<(&'a str, Json<'a>)>);

impl<'a> Members<'a> {
    /// The member of that name, the last one where there are several; null is none.
    pub(crate) fn get(&self, name: &str) -> Option<Json<'a>> {
        let found = self.0.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value).filter(|value| !value.is_null())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, Json<'a>)> {
        self.0.iter().copied()
    }
}

/// Words of a log: as they stand in its JSON, or made from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    /// The inside of a JSON string, checked.
    Escaped(&'a str),
    /// The words themselves.
    Plain(&'a str),
}

impl Text<'_> {
    /// Adds the words to `out`.
    pub(crate) fn push_to(self, out: &mut String) {
        match self {
            Self::Plain(words) => out.push_str(words),
            Self::Escaped(escaped) => push_unescaped(escaped, out),
        }
    }

    /// The words.
    pub(crate) fn to_words(self) -> String {
        let mut words = String::new();
        self.push_to(&mut words);
        words
    }
}

/// Hands over the members of the object that `text` is, in their order.
///
/// # Errors
/// The first place where `text` is no JSON object.
pub(crate) fn each_member<'a>(text: &'a str, mut take: impl FnMut(&'a str, Json<'a>)) -> Result<(), JsonError> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0 };
    scanner.skip_space();
    scanner.object(MAX_DEPTH, &mut take)?;
    scanner.skip_space();
    if scanner.at < text.len() { Err(scanner.error("something follows the object")) } else { Ok(()) }
}

/// The object that `text` is, checked.
///
/// # Errors
/// As [`each_member`].
pub(crate) fn object(text: &str) -> Result<Json<'_>, JsonError> {
    each_member(text, |_, _| ()).map(|()| Json { raw: text.trim() })
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    const fn error(&self, what: &'static str) -> JsonError {
        JsonError { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.error(what));
        }
        self.at += 1;
        Ok(())
    }

    fn object(&mut self, depth: u32, take: &mut dyn FnMut(&'a str, Json<'a>)) -> Result<(), JsonError> {
        self.expect(b'{', "expected an object")?;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            self.expect(b':', "expected `:`")?;
            let value = self.value(depth)?;
            take(name, value);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.error("expected `,` or `}`")),
            }
        }
    }

    fn array(&mut self, depth: u32, mut take: impl FnMut(Json<'a>)) -> Result<(), JsonError> {
        self.expect(b'[', "expected an array")?;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            take(self.value(depth)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.error("expected `,` or `]`")),
            }
        }
    }

    fn value(&mut self, depth: u32) -> Result<Json<'a>, JsonError> {
        self.skip_space();
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'{') if depth > 0 => self.object(depth - 1, &mut |_, _| ())?,
            Some(b'[') if depth > 0 => self.array(depth - 1, |_| ())?,
            Some(b'{' | b'[') => return Err(self.error("nested too deep")),
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'n') => self.literal("null")?,
            Some(b'N' | b'I') => return Err(self.error("NaN and infinity are no JSON")),
            Some(_) => return Err(self.error("expected a value")),
            None => return Err(self.error("the text ends early")),
        }
        Ok(Json { raw: &self.text[start..self.at] })
    }

    fn literal(&mut self, literal: &str) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(literal.as_bytes()) {
            return Err(self.error("expected a value"));
        }
        self.at += literal.len();
        Ok(())
    }

    /// `-? (0 | [1-9][0-9]*) (\. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.error("expected a digit")) } else { Ok(()) }
    }

    /// The inside of a string; its escapes are checked and stay as they are.
    fn string(&mut self) -> Result<&'a str, JsonError> {
        self.expect(b'"', "expected a string")?;
        let start = self.at;
        let end = self.end_of_string(start)?;
        self.at = end + 1;
        Ok(&self.text[start..end])
    }

    fn end_of_string(&self, start: usize) -> Result<usize, JsonError> {
        let at_error = |at, what| Err(JsonError { at, what });
        let mut at = start;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                return at_error(self.bytes.len(), "the text ends within a string");
            };
            if has_control(&rest[..found]) {
                return at_error(at, "a control character within a string, expected it escaped");
            }
            at += found;
            if self.bytes[at] == b'"' {
                return Ok(at);
            }
            match escape_length(&self.bytes[at..]) {
                Some(length) => at += length,
                None => return at_error(at, "no such escape in a string"),
            }
        }
    }
}

/// Whether there is a byte below a space; without an early end, so that it is done many bytes at a time.
fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().fold(u8::MAX, |least, &byte| least.min(byte)) < 0x20
}

/// How long the escape at the beginning of `bytes` is, if it is one. A surrogate needs its partner.
fn escape_length(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => match code_unit(bytes)? {
            0xD800..=0xDBFF => {
                let low = bytes.get(6..).filter(|rest| rest.starts_with(b"\\u")).and_then(code_unit)?;
                (0xDC00..=0xDFFF).contains(&low).then_some(12)
            }
            0xDC00..=0xDFFF => None,
            _ => Some(6),
        },
        _ => None,
    }
}

/// The code unit of `\uXXXX`.
fn code_unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.get(2..6)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
}

/// Adds what the inside of a checked JSON string says.
fn push_unescaped(escaped: &str, out: &mut String) {
    let mut rest = escaped;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let bytes = &rest.as_bytes()[at..];
        let Some(length) = escape_length(bytes) else { return };
        match bytes[1] {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => out.extend(unescaped_char(bytes)),
            other => out.push(char::from(other)),
        }
        rest = &rest[at + length..];
    }
    out.push_str(rest);
}

fn unescaped_char(bytes: &[u8]) -> Option<char> {
    let first = code_unit(bytes)?;
    if !(0xD800..=0xDBFF).contains(&first) {
        return char::from_u32(first);
    }
    let second = code_unit(bytes.get(6..)?)?;
    char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
}

/// Adds `words` as a JSON string with its quotes.
pub(crate) fn push_quoted(words: &str, out: &mut String) {
    out.push('"');
    for char in words.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                let code = u32::from(control);
                out.push_str("\\u00");
                for digit in [code >> 4, code & 15] {
                    out.extend(char::from_digit(digit, 16));
                }
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Result<Vec<(String, String)>, JsonError> {
        let mut members = Vec::new();
        each_member(text, |name, value| members.push((name.to_owned(), value.raw().to_owned())))?;
        Ok(members)
    }

    #[test]
    fn members_come_as_they_stand() {
        let found = members(r#" { "a" : 1.50 , "b":[1, {"c":"}"}] ,"d\"":"x\\" } "#).unwrap();
        let expected = [("a", "1.50"), ("b", r#"[1, {"c":"}"}]"#), (r#"d\""#, r#""x\\""#)];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[track_caller]
    fn check_words(json: &str) {
        let text = format!("{{\"a\":{json}}}");
        let mut found = String::new();
        each_member(&text, |_, value| value.as_text().unwrap().push_to(&mut found)).unwrap();
        assert_eq!(found, serde_json::from_str::<String>(json).unwrap());
    }

    #[test]
    fn words_are_what_serde_json_reads() {
        check_words(r#""plain""#);
        check_words(r#""a\"b\\c\/d\b\f\n\r\te\u00e9\u20ac\ud83d\ude00 é€😀""#);
        let mut quoted = String::new();
        push_quoted("a\"b\\c\n\u{1}é", &mut quoted);
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), "a\"b\\c\n\u{1}é");
    }

    /// Damages a document in every place in several ways: both parsers must agree on what is left of it.
    #[test]
    fn accepts_what_serde_json_accepts_and_nothing_else() {
        let document = r#"{"a":[1,-0.5e+3,0,true,false,null,{}],"b":{"c":"x\u00e9\ud83d\ude00\n","d":[]},"e":"" }"#;
        let agree = |text: &str| {
            let ours = each_member(text, |_, _| ());
            let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?} against {theirs:?}");
        };
        agree(document);
        for at in 0..document.len() {
            agree(&document[..at]);
            agree(&[&document[..at], &document[at + 1..]].concat());
            for damage in ["\"", "\\", "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", "N", " ", "\n", "\u{1}", "u"] {
                agree(&[&document[..at], damage, &document[at..]].concat());
                agree(&[&document[..at], damage, &document[at + 1..]].concat());
            }
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_is() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(members(&text).unwrap_err().what, "nested too deep");
    }

    #[test]
    fn nan_is_told_apart() {
        assert_eq!(members(r#"{"a":NaN}"#).unwrap_err(), JsonError { at: 5, what: "NaN and infinity are no JSON" });
    }
}
