//! Supervision against a JVM that is none: a script that prints the port of a server in this test. No Java is needed.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tempfile::TempPath;

use super::error::ScienceWorldError;
use super::shared::{ScienceWorld, Worker};
use super::transitions::{Next, NodeId, SceneKey};
use super::{ScienceWorldSettings, ScienceWorldUsage};

/// What a JVM does when it is told its third command.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Third {
    Answers,
    Dies,
    Hangs,
    TalksNonsense,
    Throws,
}

/// A program that is started as a JVM, there until it is dropped. The first one started behaves as the first of `thirds`, and so on;
/// the last one's behaviour stays.
fn java(thirds: &'static [Third]) -> TempPath {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let third = thirds[number.min(thirds.len() - 1)];
            std::thread::spawn(move || serve(&stream.unwrap(), third));
        }
    });
    let mut script = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempfile().unwrap();
    write!(script, "#!/bin/sh\necho {port}\nread -r _\n").unwrap();
    // What is open for writing cannot be started.
    script.into_temp_path()
}

fn settings(script: &Path) -> ScienceWorldSettings {
    ScienceWorldSettings {
        jar: Some(script.to_owned()),
        java: Some(script.to_owned()),
        // Only a JVM that hangs may be given up for it, however busy the machine is.
        call_timeout: Duration::from_secs(5),
        ..ScienceWorldSettings::default()
    }
}

fn serve(mut stream: &TcpStream, third: Third) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let mut n_steps = 0;
    loop {
        let request: Vec<String> = lines.by_ref().take_while(|line| line != "e").collect();
        let Some(letter) = request.first() else { return };
        let answer = match (letter.as_str(), request.get(2).map_or("", String::as_str)) {
            ("i", _) | (_, "nullOutputStream" | "getTaskNames") => "!yro1".to_owned(),
            ("m", _) | (_, "setOut") => "!yv".to_owned(),
            (_, "join") => format!("!ys{}", ["type"; 30].join("\\n")),
            (_, "load") => "!ys".to_owned(),
            (_, "freeActionLook") => "!ysThis room is called the hall. In it, you see:".to_owned(),
            (_, "getTaskDescription") => "!ysDo it.".to_owned(),
            (_, "getScore") => "!yd0.25".to_owned(),
            (_, "getCompleted") => "!ybfalse".to_owned(),
            (_, "step") => {
                n_steps += 1;
                match (n_steps, third) {
                    (3, Third::Dies) => return,
                    (3, Third::Hangs) => {
                        lines.next();
                        return;
                    }
                    (3, Third::TalksNonsense) => "HTTP/1.1 400 Bad Request".to_owned(),
                    (3, Third::Throws) => "!xsjava.lang.OutOfMemoryError: Java heap space\\n\\tat somewhere".to_owned(),
                    _ => format!("!ysYou {}.", &request[3][1..]),
                }
            }
            _ => "!xsno such method".to_owned(),
        };
        if stream.write_all(format!("{answer}\n").as_bytes()).is_err() {
            return;
        }
    }
}

fn play(world: &ScienceWorld, held: &mut Option<Worker>) -> Result<Vec<String>, ScienceWorldError> {
    let scene = world.scene(&SceneKey { kind: "type".into(), variation: 0 });
    assert_eq!(world.opening(held, &scene)?.description, "Do it.");
    let mut node = NodeId::ROOT;
    let mut answers = Vec::new();
    for command in ["hop", "skip", "jump", "rest"] {
        let Next::To(child, answer) = world.advance(held, &scene, node, command)? else { panic!("refused") };
        answers.push(answer.text.clone());
        node = child;
    }
    Ok(answers)
}

const ANSWERS: [&str; 4] = ["You hop.", "You skip.", "You jump.", "You rest."];

#[test]
fn a_jvm_that_dies_hangs_or_talks_nonsense_is_replaced_and_brought_to_the_same_place() {
    let java = java(&[Third::Dies, Third::Hangs, Third::TalksNonsense, Third::Answers]);
    let world = ScienceWorld::new(settings(&java)).unwrap();
    assert_eq!(play(&world, &mut None).unwrap(), ANSWERS);
    // Three replacements, and each played two commands again.
    let expected = ScienceWorldUsage { n_recalled: 0, n_stepped: 4, n_replayed: 6, n_loaded: 4, n_started: 4 };
    assert_eq!(world.usage(), expected);
    assert_eq!(play(&world, &mut None).unwrap(), ANSWERS);
    assert_eq!(world.usage(), ScienceWorldUsage { n_recalled: 4, ..expected });
}

#[test]
fn a_jvm_that_always_fails_is_given_up_with_what_it_said() {
    let java = java(&[Third::Throws]);
    let world = ScienceWorld::new(settings(&java)).unwrap();
    let error = play(&world, &mut None).unwrap_err();
    assert_eq!(error.to_string(), "`step` failed in the JVM: java.lang.OutOfMemoryError: Java heap space");
    assert_eq!(world.usage().n_started, 4);
}

#[test]
fn answers_that_are_kept_need_no_jvm_and_damaged_ones_are_asked_anew() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("new/answers");
    let java = java(&[Third::Answers]);
    let settings = ScienceWorldSettings { answers: Some(kept.clone()), ..settings(&java) };
    let usage = || {
        let world = ScienceWorld::new(settings.clone()).unwrap();
        assert_eq!(play(&world, &mut None).unwrap(), ANSWERS);
        world.usage()
    };
    let asked = ScienceWorldUsage { n_stepped: 4, n_loaded: 1, n_started: 1, ..ScienceWorldUsage::default() };
    let recalled = ScienceWorldUsage { n_recalled: 4, ..ScienceWorldUsage::default() };
    assert_eq!((usage(), usage()), (asked, recalled));

    let file = kept.join("type-0.jsonl.gz");
    let bytes = std::fs::read(&file).unwrap();
    for damage in [&bytes[..bytes.len() / 2], b"", b"no archive"] {
        std::fs::write(&file, damage).unwrap();
        assert_eq!((usage(), usage()), (asked, recalled), "{damage:?}");
    }

    // Another JAR may answer otherwise.
    let jar = kept.with_file_name("other.jar");
    std::fs::write(&jar, "newer").unwrap();
    let other = ScienceWorld::new(ScienceWorldSettings { jar: Some(jar), ..settings.clone() }).unwrap();
    play(&other, &mut None).unwrap();
    assert_eq!(other.usage(), asked);
}

#[test]
fn where_answers_cannot_be_saved_the_run_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let answers = Some(directory.path().to_owned());
    let java = java(&[Third::Answers]);
    let settings = ScienceWorldSettings { answers, ..settings(&java) };
    let world = ScienceWorld::new(settings).unwrap();
    drop(directory);
    assert_eq!(play(&world, &mut None).unwrap(), ANSWERS);
}

#[test]
fn a_place_where_no_answers_can_be_kept_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let answers = file.path().join("answers");
    let settings = ScienceWorldSettings { answers: Some(answers.clone()), ..settings(file.path()) };
    let error = ScienceWorld::new(settings).unwrap_err().to_string();
    let expected = format!("answers of the simulator cannot be kept in `{}`: Not a directory", answers.display());
    assert!(error.starts_with(&expected) && error.contains("hint: name another directory"), "{error}");
}

#[test]
fn without_java_the_error_says_what_to_install() {
    let jar = std::env::current_exe().unwrap();
    let settings = ScienceWorldSettings { java: Some("/nonexistent/java".into()), ..settings(&jar) };
    let error = play(&ScienceWorld::new(settings).unwrap(), &mut None).unwrap_err().to_string();
    assert!(error.starts_with("`/nonexistent/java` is not found\nhint: `cargo xtask setup scienceworld`"), "{error}");
}
