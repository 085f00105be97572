use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn shell(script: &str) -> ChildProcess {
    ChildProcess::start(&ProcessSpec::new(["/bin/sh", "-c", script])).unwrap()
}

/// Whether the process goes away; a process whose parent was killed is reaped by somebody else, a moment later.
fn ends(pid: u32) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let is_gone = rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        // In a container nobody may reap it: a zombie has ended as well.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        if is_gone || stat.contains(") Z ") {
            return true;
        }
        thread::sleep(LOOK_EVERY);
    }
    false
}

#[test]
fn lines_go_in_and_out_however_they_are_cut() {
    let mut child =
        shell("while read -r line; do printf 'you said '; sleep 0.01; printf '%s\\nand\\n' \"$line\"; done");
    for text in ["hello", "", "grüße 雪"] {
        child.write_line(text, PATIENCE).unwrap();
        assert_eq!(child.read_line(PATIENCE), Ok(format!("you said {text}")));
        assert_eq!(child.read_line(PATIENCE), Ok("and".to_owned()));
    }
    assert_eq!(child.stop(PATIENCE).unwrap().code(), Some(0));
}

#[test]
fn a_long_line_passes_in_both_directions() {
    let mut child = ChildProcess::start(&ProcessSpec::new(["cat"])).unwrap();
    let line = "x".repeat(50_000);
    child.write_line(&line, PATIENCE).unwrap();
    assert_eq!(child.read_line(PATIENCE), Ok(line));
}

#[test]
fn a_program_that_is_not_there_is_told_with_what_to_install() {
    let spec = ProcessSpec { install_hint: "apt install it".to_owned(), ..ProcessSpec::new(["no-such-program"]) };
    let error = ChildProcess::start(&spec).unwrap_err();
    assert_eq!(error.to_string(), "`no-such-program` is not found\nhint: apt install it");
    let spec = ProcessSpec { current_dir: Some("/no/such/dir".into()), ..ProcessSpec::new(["cat"]) };
    let error = ChildProcess::start(&spec).unwrap_err();
    assert_eq!(error.to_string(), "`cat` cannot be started: its directory /no/such/dir does not exist");
    let error = ChildProcess::start(&ProcessSpec::new::<&str>([])).unwrap_err();
    assert_eq!(error.to_string(), "`` cannot be started: the command is empty");
}

#[test]
fn an_early_end_is_told_with_its_last_words() {
    let mut child = shell("echo 'no module named x' >&2; exit 3");
    let error = child.read_line(PATIENCE).unwrap_err();
    assert_eq!(error.to_string(), "`/bin/sh` exited with code 3; its last words on stderr:\nno module named x");
    let mut child = shell("kill -9 $$");
    assert_eq!(child.read_line(PATIENCE).unwrap_err().to_string(), "`/bin/sh` was ended by signal 9");
    assert!(!child.is_alive());
}

#[test]
fn silence_ends_with_the_deadline() {
    let mut child = shell("echo waiting >&2; sleep 60");
    let deadline = Instant::now() + PATIENCE;
    while child.stderr().is_empty() && Instant::now() < deadline {
        thread::sleep(LOOK_EVERY);
    }
    let error = child.read_line(Duration::from_millis(200)).unwrap_err();
    assert_eq!(error.to_string(), "`/bin/sh` did not answer within 0.2 s; its last words on stderr:\nwaiting");
}

#[test]
fn a_child_that_does_not_read_is_not_waited_for_for_ever() {
    let mut child = shell("sleep 60");
    let error = child.write_line(&"x".repeat(1 << 20), Duration::from_millis(100)).unwrap_err();
    assert_eq!(error.to_string(), "`/bin/sh` did not take its input in within 0.1 s");
}

#[test]
fn a_line_without_end_is_cut_short() {
    let spec = ProcessSpec { max_line_bytes: 1_000, ..ProcessSpec::new(["/bin/sh", "-c", "yes | tr -d '\\n'"]) };
    let error = ChildProcess::start(&spec).unwrap().read_line(PATIENCE).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("`/bin/sh` wrote a line of more than 1000 bytes, beginning with \"yyyy"), "{message}");
    let exact = ["/bin/sh", "-c", "printf '%1000d\\n' 1; printf '%1001d\\n' 1"];
    let mut child = ChildProcess::start(&ProcessSpec { max_line_bytes: 1_000, ..ProcessSpec::new(exact) }).unwrap();
    assert_eq!(child.read_line(PATIENCE).unwrap().len(), 1_000);
    assert!(matches!(child.read_line(PATIENCE), Err(ProcessError::LineTooLong { limit_bytes: 1_000, .. })));
}

#[test]
fn a_line_that_is_no_text_is_refused() {
    let error = shell("printf 'a\\377b\\n'").read_line(PATIENCE).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`/bin/sh` wrote a line that is not UTF-8: \"a\u{fffd}b\"\nhint: messages are UTF-8 text, one a line"
    );
}

#[test]
fn a_dropped_child_takes_its_children_along() {
    let mut child = shell("sleep 600 & echo $!; trap '' TERM; wait");
    let grandchild: u32 = child.read_line(PATIENCE).unwrap().parse().unwrap();
    let pid = child.id();
    drop(child);
    assert!(ends(grandchild) && ends(pid));
}

#[test]
fn a_child_that_leaves_the_group_is_killed_all_the_same() {
    for leaving in [&["setsid"][..], &["timeout", "600"]] {
        let argv = leaving.iter().chain(&["/bin/sh", "-c", "echo $$; exec sleep 600"]);
        let mut child = ChildProcess::start(&ProcessSpec::new(argv)).unwrap();
        let sleeper: u32 = child.read_line(PATIENCE).unwrap().parse().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        thread::spawn(move || {
            drop(child);
            tell.send(())
        });
        assert!(told.recv_timeout(PATIENCE).is_ok() && ends(sleeper), "{leaving:?}");
    }
}

#[test]
fn a_child_that_leaves_the_group_is_asked_to_end_all_the_same() {
    let mut child =
        ChildProcess::start(&ProcessSpec::new(["setsid", "/bin/sh", "-c", "echo; exec sleep 600"])).unwrap();
    child.read_line(PATIENCE).unwrap();
    assert_eq!(child.stop(Duration::from_secs(1)).unwrap().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_child_that_ignores_the_end_of_its_input_is_stopped_all_the_same() {
    let mut polite = shell("echo ready; sleep 600");
    polite.read_line(PATIENCE).unwrap();
    assert_eq!(polite.stop(Duration::from_secs(1)).unwrap().signal(), Some(Signal::TERM.as_raw()));
    let mut stubborn = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done");
    stubborn.read_line(PATIENCE).unwrap();
    let pid = stubborn.id();
    assert_eq!(stubborn.stop(Duration::from_millis(50)), None);
    assert!(ends(pid));
}

#[test]
fn a_child_is_in_the_watchdogs_group_from_its_first_moment() {
    let child = shell("sleep 600");
    let group = rustix::process::getpgid(Pid::from_raw(child.id().cast_signed())).unwrap();
    assert_eq!(group, child.watchdog.as_ref().unwrap().group());
}

#[test]
fn the_watchdog_ends_the_group_when_this_program_is_gone() {
    let mut child = shell("sleep 600 & echo $!; wait");
    let grandchild: u32 = child.read_line(PATIENCE).unwrap().parse().unwrap();
    // What the end of this program does, whatever ends it: the pipe to the watchdog closes.
    drop(child.watchdog.as_mut().unwrap().0.stdin.take());
    assert!(ends(grandchild));
    assert_eq!(child.wait(PATIENCE).unwrap().signal(), Some(Signal::KILL.as_raw()));
}
