//! The client against a server that follows a script: no JVM is needed.

use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway that reads requests of `n_lines` lines each, answers them with `answers` in turn, waits until the client is gone
/// where an answer is `None`, and hands over what it read.
fn serve(n_lines: usize, answers: Vec<Option<&'static [u8]>>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut requests = Vec::new();
        for answer in answers {
            let mut request = String::new();
            for _ in 0..n_lines {
                reader.read_line(&mut request).unwrap();
            }
            requests.push(request);
            match answer {
                Some(answer) => stream.write_all(answer).unwrap(),
                None => {
                    let _ = reader.read_line(&mut String::new());
                }
            }
        }
        requests
    });
    (port, serving)
}

#[track_caller]
fn check(answer: &'static [u8], expected: &Result<Value, Py4jError>) {
    let (port, serving) = serve(4, vec![Some(answer)]);
    let mut gateway = Gateway::connect(port, PATIENCE).unwrap();
    let found = gateway.call(&Reference("o0".to_owned()), "step", &[]);
    drop(gateway);
    assert_eq!(found, *expected);
    assert_eq!(serving.join().unwrap(), ["c\no0\nstep\ne\n"]);
}

fn nonsense(found: &str, expected: &'static str) -> Py4jError {
    Py4jError::Nonsense { method: "step".to_owned(), found: found.to_owned(), expected }
}

#[test]
fn every_type_of_value_is_read() {
    check(b"!ysa\\tb\\\\n\\nc\n", &Ok(Value::Text("atb\\n\nc".to_owned())));
    check(b"!yi-7\n", &Ok(Value::Integer(-7)));
    check(b"!yL12345678901\n", &Ok(Value::Integer(12_345_678_901)));
    check(b"!yd-1.0\n", &Ok(Value::Real(-1.0)));
    check(b"!ybtrue\n", &Ok(Value::Truth(true)));
    check(b"!yv\n", &Ok(Value::Null));
    check(b"!ylo3\n", &Ok(Value::Reference(Reference("o3".to_owned()))));
}

#[test]
fn what_the_jvm_threw_is_told_without_its_trace() {
    let thrown = b"!xspy4j.Py4JException: Method fly([]) does not exist\\n\\tat py4j.Gateway.invoke(Gateway.java:1)\n";
    let message = "py4j.Py4JException: Method fly([]) does not exist".to_owned();
    check(thrown, &Err(Py4jError::Java { method: "step".to_owned(), message }));
}

#[test]
fn nonsense_is_told_from_answers() {
    check(b"HTTP/1.1 400 Bad Request\n", &Err(nonsense("\"HTTP/1.1 400 Bad Request\\n\"", "`!y` or `!x` first")));
    check(b"!yz1\n", &Err(nonsense("\"!yz1\\n\"", "a value of py4j")));
    check(b"!yiseven\n", &Err(nonsense("\"!yiseven\\n\"", "a value of py4j")));
    check(b"!ys\xff\n", &Err(nonsense("\"!ys\u{fffd}\\n\"", "UTF-8")));
    assert_eq!(Value::Truth(true).into_text("step"), Err(nonsense("\"Truth(true)\"", "a string")));
}

#[test]
fn arguments_are_escaped() {
    let (port, serving) = serve(8, vec![Some(b"!yv\n")]);
    let mut gateway = Gateway::connect(port, PATIENCE).unwrap();
    let target = Reference("o0".to_owned());
    let arguments =
        [Argument::Text("a\\b\r\nc"), Argument::Integer(-3), Argument::Truth(false), Argument::Reference(&target)];
    gateway.call_static("java.lang.Fake", "take", &arguments).unwrap();
    drop(gateway);
    assert_eq!(serving.join().unwrap(), ["c\nz:java.lang.Fake\ntake\nsa\\\\b\\r\\nc\ni-3\nbfalse\nro0\ne\n"]);
}

#[test]
fn a_jvm_that_hangs_or_dies_is_told_apart() {
    let (port, serving) = serve(4, vec![None]);
    let mut gateway = Gateway::connect(port, Duration::from_millis(100)).unwrap();
    let waited = Duration::from_millis(100);
    let target = Reference("o0".to_owned());
    assert_eq!(gateway.call(&target, "step", &[]), Err(Py4jError::TimedOut { method: "step".to_owned(), waited }));
    drop(gateway);
    serving.join().unwrap();

    let (port, serving) = serve(4, vec![Some(b"")]);
    let mut gateway = Gateway::connect(port, PATIENCE).unwrap();
    assert_eq!(gateway.call(&target, "step", &[]), Err(Py4jError::Broken("broke off during `step`".to_owned())));
    serving.join().unwrap();
}
