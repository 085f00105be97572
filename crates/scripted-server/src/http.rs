//! As much of HTTP/1.1 as a client of chat completions speaks.

use std::io::{self, BufRead};

/// The longest body that is read.
const MAX_BODY_BYTES: usize = 64 << 20;

/// Header fields, names in lower case.
pub(crate) type Headers = Vec<(String, String)>;

/// The header fields and the body of the next request; `None` when the client has closed the connection.
pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<(Headers, String)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = Headers::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    if length > MAX_BODY_BYTES {
        return Err(io::Error::other("a body above the limit"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((headers, String::from_utf8_lossy(&body).into_owned())))
}
