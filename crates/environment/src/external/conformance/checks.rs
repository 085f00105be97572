//! The checks, each a function from the subject to a verdict.

use tollgate_rollout::Environment;

use super::super::{ExternalWorlds, Session, SessionError, open_session};
use super::Subject;
use super::play::{MAX_STEPS, Played, play, repeat};
use crate::process::excerpt;

/// A check, and what to do when a call in it fails.
pub(super) struct NamedCheck {
    pub(super) name: &'static str,
    pub(super) hint: &'static str,
    pub(super) run: fn(&Subject<'_>) -> Result<Finding, SessionError>,
}

pub(super) const HANDSHAKE_HINT: &str =
    "answer `hello` with `protocol_version` and `name`; docs/environment-protocol.md shows the messages";

pub(super) const CHECKS: [NamedCheck; 14] = [
    NamedCheck {
        name: "reset gives an observation",
        hint: "answer `reset` with `observation`, a text, and `info`, an object",
        run: reset_gives_an_observation,
    },
    NamedCheck {
        name: "reset is repeatable",
        hint: "derive every chance event of the scene from `seed` and `options`",
        run: reset_is_repeatable,
    },
    NamedCheck {
        name: "a step follows a reset",
        hint: "answer `step` with `observation`, `reward`, `terminated`, `truncated` and `info`",
        run: a_step_follows_a_reset,
    },
    NamedCheck {
        name: "an episode is repeatable",
        hint: "set `is_deterministic` to false, or derive every chance event from `seed` and `options`",
        run: an_episode_is_repeatable,
    },
    NamedCheck {
        name: "episodes do not leak",
        hint: "`reset` has to begin anew, and two processes may not share state",
        run: episodes_do_not_leak,
    },
    NamedCheck {
        name: "the expert solves the task",
        hint: "leave `expert_command` out where it is not known to lead to the goal",
        run: the_expert_solves_the_task,
    },
    NamedCheck {
        name: "the end is final",
        hint: "after `terminated` answer `step` with an error, or with `terminated` again",
        run: the_end_is_final,
    },
    NamedCheck {
        name: "step before reset is an error",
        hint: "answer `step` before the first `reset` with an `error`",
        run: step_before_reset_is_an_error,
    },
    NamedCheck {
        name: "senseless commands are observed",
        hint: "answer what makes no sense with an observation that says so; the agent has to see it",
        run: senseless_commands_are_observed,
    },
    NamedCheck { name: "unicode passes", hint: "read and write UTF-8", run: unicode_passes },
    NamedCheck {
        name: "a long command passes",
        hint: "read whole lines, however long, or answer with an observation that says what is too long",
        run: a_long_command_passes,
    },
    NamedCheck {
        name: "a malformed message is an error",
        hint: "answer what is no JSON with an `error` whose `id` is null, and go on",
        run: a_malformed_message_is_an_error,
    },
    NamedCheck {
        name: "a killed world is replayed",
        hint: "set `is_deterministic` to false, or give the same observations in a new process",
        run: a_killed_world_is_replayed,
    },
    NamedCheck {
        name: "close ends it",
        hint: "after `close` answer, clean up and exit with code 0",
        run: close_ends_it,
    },
];

/// What a check found; what to do about it stands beside the check.
pub(super) enum Finding {
    Passed(String),
    Failed(String),
    Skipped(&'static str),
}

use Finding::{Failed, Passed, Skipped};

type Found = Result<Finding, SessionError>;

impl Subject<'_> {
    fn session(&self) -> Result<Box<dyn Session>, SessionError> {
        open_session(self.settings)
    }
}

fn reset_gives_an_observation(subject: &Subject<'_>) -> Found {
    let reply = subject.session()?.reset(&subject.scene)?;
    if reply.observation.trim().is_empty() {
        return Ok(Failed("the observation is empty, expected text".to_owned()));
    }
    Ok(Passed(excerpt(&reply.observation)))
}

fn reset_is_repeatable(subject: &Subject<'_>) -> Found {
    let mut session = subject.session()?;
    let first = session.reset(&subject.scene)?.observation;
    let second = session.reset(&subject.scene)?.observation;
    // A server may take one session at a time.
    drop(session);
    let elsewhere = subject.session()?.reset(&subject.scene)?.observation;
    for (other, place) in [(second, "a second reset"), (elsewhere, "a reset in another session")] {
        if other != first {
            let (other, first) = (excerpt(&other), excerpt(&first));
            return Ok(Failed(format!("{place} with the same seed gives {other}, expected {first}")));
        }
    }
    Ok(Passed("twice in one session and once in another".to_owned()))
}

fn a_step_follows_a_reset(subject: &Subject<'_>) -> Found {
    let mut session = subject.session()?;
    let played = play(&mut *session, &subject.scene, 1)?;
    let seen = played.observations.last().map_or("", String::as_str);
    Ok(Passed(format!("`{}` gives {}", played.commands.join(""), excerpt(seen))))
}

fn an_episode_is_repeatable(subject: &Subject<'_>) -> Found {
    if !subject.hello.is_deterministic {
        return Ok(Skipped("it does not call itself deterministic, so broken episodes cannot be replayed"));
    }
    let played = play(&mut *subject.session()?, &subject.scene, MAX_STEPS)?;
    let again = repeat(&mut *subject.session()?, &subject.scene, &played.commands)?;
    match played.difference(&again) {
        None => Ok(Passed(format!("{} steps in two sessions", played.commands.len()))),
        Some(difference) => Ok(Failed(difference)),
    }
}

fn episodes_do_not_leak(subject: &Subject<'_>) -> Found {
    if !subject.hello.is_deterministic {
        return Ok(Skipped("only told apart where it is deterministic"));
    }
    let played = play(&mut *subject.session()?, &subject.scene, 10)?;
    if subject.settings.connection.max_sessions() != Some(1) {
        // Two at a time, in turns.
        let (mut one, mut other) = (subject.session()?, subject.session()?);
        let (of_one, of_other) = in_turns(&mut *one, &mut *other, subject, &played.commands)?;
        for found in [of_one, of_other] {
            if let Some(difference) = played.difference(&found) {
                return Ok(Failed(format!("beside another session, {difference}")));
            }
        }
    }
    // One after the other: what the first left behind must not be seen in the second.
    let mut session = subject.session()?;
    play(&mut *session, &subject.scene, 10)?;
    let again = repeat(&mut *session, &subject.scene, &played.commands)?;
    match played.difference(&again) {
        None => Ok(Passed("two sessions at once, and two episodes in one session".to_owned())),
        Some(difference) => Ok(Failed(format!("after another episode, {difference}"))),
    }
}

fn in_turns(
    one: &mut dyn Session,
    other: &mut dyn Session,
    subject: &Subject<'_>,
    commands: &[String],
) -> Result<(Played, Played), SessionError> {
    let mut seen = (Played::default(), Played::default());
    seen.0.observations.push(one.reset(&subject.scene)?.observation);
    seen.1.observations.push(other.reset(&subject.scene)?.observation);
    for command in commands {
        seen.0.observations.push(one.step(command)?.observation);
        seen.1.observations.push(other.step(command)?.observation);
    }
    Ok(seen)
}

fn the_expert_solves_the_task(subject: &Subject<'_>) -> Found {
    let played = play(&mut *subject.session()?, &subject.scene, MAX_STEPS)?;
    if !played.is_expert {
        return Ok(Skipped("it has no `expert_command` for each step; only simulated models need one"));
    }
    let is_solved = played.is_success == Some(true) || played.score.is_some_and(|score| score >= 1.0);
    let n_steps = played.commands.len();
    if is_solved {
        return Ok(Passed(format!("in {n_steps} steps")));
    }
    let score = played.score.map_or_else(|| "none".to_owned(), |score| score.to_string());
    Ok(Failed(format!("not solved after {n_steps} of its steps; score: {score}")))
}

fn the_end_is_final(subject: &Subject<'_>) -> Found {
    let mut session = subject.session()?;
    let played = play(&mut *session, &subject.scene, MAX_STEPS)?;
    if !played.has_ended {
        return Ok(Skipped("no episode came to an end"));
    }
    let command = played.commands.last().map_or("look", String::as_str);
    match session.step(command) {
        Err(SessionError::Refused { .. }) => Ok(Passed("a further step is an error".to_owned())),
        Ok(reply) if reply.terminated || reply.truncated => Ok(Passed("a further step says so again".to_owned())),
        Ok(_) => Ok(Failed("a step after the end goes on as if nothing were".to_owned())),
        Err(error) => Err(error),
    }
}

fn step_before_reset_is_an_error(subject: &Subject<'_>) -> Found {
    let mut session = subject.session()?;
    match session.step("look") {
        Err(SessionError::Refused { message, .. }) => {
            session.reset(&subject.scene)?;
            Ok(Passed(excerpt(&message)))
        }
        Ok(reply) => {
            let reason = format!("it gives {}, expected an error", excerpt(&reply.observation));
            Ok(Failed(reason))
        }
        Err(error) => Err(error),
    }
}

/// Says something, and makes sure that the world is still there.
fn say(subject: &Subject<'_>, command: &str) -> Result<Result<String, String>, SessionError> {
    let mut session = subject.session()?;
    session.reset(&subject.scene)?;
    let answer = match session.step(command) {
        Ok(reply) => Ok(reply.observation),
        Err(SessionError::Refused { message, .. }) => Err(message),
        Err(error) => return Err(error),
    };
    session.reset(&subject.scene)?;
    Ok(answer)
}

fn senseless_commands_are_observed(subject: &Subject<'_>) -> Found {
    for command in ["", "colourless green ideas sleep furiously"] {
        if let Err(message) = say(subject, command)? {
            return Ok(Failed(format!("{} is answered by an error: {}", excerpt(command), excerpt(&message))));
        }
    }
    Ok(Passed("an empty one and a sentence".to_owned()))
}

fn unicode_passes(subject: &Subject<'_>) -> Found {
    let command = "grüße 雪 \u{1f600} \u{2028} \"quoted\" \\ back\nslash\ttab \u{1}";
    match say(subject, command)? {
        Ok(_) => Ok(Passed("umlauts, Chinese, an emoji, line breaks, quotes and control characters".to_owned())),
        Err(message) => Ok(Failed(format!("answered by an error: {}", excerpt(&message)))),
    }
}

fn a_long_command_passes(subject: &Subject<'_>) -> Found {
    let command = "very ".repeat(20_000);
    match say(subject, &command)? {
        Ok(_) => Ok(Passed(format!("{} bytes", command.len()))),
        Err(message) => Ok(Failed(format!("answered by an error: {}", excerpt(&message)))),
    }
}

fn a_malformed_message_is_an_error(subject: &Subject<'_>) -> Found {
    let mut session = subject.session()?;
    let message = session.send_malformed()?;
    session.reset(&subject.scene)?;
    Ok(Passed(excerpt(&message)))
}

fn a_killed_world_is_replayed(subject: &Subject<'_>) -> Found {
    if !subject.hello.is_deterministic {
        return Ok(Skipped("it does not call itself deterministic"));
    }
    let expected = play(&mut *subject.session()?, &subject.scene, 6)?;
    let Some((last, before)) = expected.commands.split_last() else { return Ok(Skipped("no step was played")) };
    let mut world = ExternalWorlds::new(subject.settings.clone()).environment();
    let mut found = Played::default();
    let mut replayed = || -> Result<bool, tollgate_rollout::EnvironmentError> {
        found.observations.push(world.set_scene(subject.scene.clone())?.text);
        for command in before {
            found.observations.push(world.step(command)?.observation.text);
        }
        let was_killed = world.kill_session();
        found.observations.push(world.step(last)?.observation.text);
        Ok(was_killed)
    };
    match replayed() {
        Ok(false) => Ok(Skipped("the server is not ours to kill")),
        Ok(true) => match expected.difference(&found) {
            None => Ok(Passed(format!("killed after {} steps", before.len()))),
            Some(difference) => Ok(Failed(difference)),
        },
        Err(error) => Ok(Failed(error.to_string())),
    }
}

fn close_ends_it(subject: &Subject<'_>) -> Found {
    let mut session = subject.session()?;
    session.reset(&subject.scene)?;
    session.close()?;
    Ok(Passed("in good order".to_owned()))
}
