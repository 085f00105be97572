//! What an agent can say, as text and as a value.

use super::scene::{ObjectId, ReceptacleId, Scene};

/// A command that names only things of the scene. Whether it can be carried out is the world's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    GoTo(ReceptacleId),
    Open(ReceptacleId),
    Close(ReceptacleId),
    Take(ObjectId, ReceptacleId),
    Put(ObjectId, ReceptacleId),
    Clean(ObjectId, ReceptacleId),
    Heat(ObjectId, ReceptacleId),
    Cool(ObjectId, ReceptacleId),
    UseLamp,
    Look,
    Inventory,
    ExamineObject(ObjectId),
    ExamineReceptacle(ReceptacleId),
    Drop(ObjectId),
    ThrowAway(ObjectId),
    Finish,
}

impl Command {
    /// The command that `text` says, or `None` when it says none or names what is not there. Case, blanks around it and a
    /// final full stop do not matter; nothing after the first line is read.
    pub(crate) fn parse(text: &str, scene: &Scene) -> Option<Self> {
        let line = text.trim_start().lines().next()?.trim().trim_end_matches('.');
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is = |word: &str| verb.eq_ignore_ascii_case(word);
        if is("go") {
            return Some(Self::GoTo(receptacle(strip_word(rest, "to")?, scene)?));
        }
        if is("open") {
            return Some(Self::Open(receptacle(rest, scene)?));
        }
        if is("close") {
            return Some(Self::Close(receptacle(rest, scene)?));
        }
        if is("take") {
            return pair(rest, &["from"], scene).map(|(object, from)| Self::Take(object, from));
        }
        if is("put") {
            return pair(rest, &["in/on", "in", "on"], scene).map(|(object, to)| Self::Put(object, to));
        }
        if is("clean") {
            return pair(rest, &["with"], scene).map(|(object, with)| Self::Clean(object, with));
        }
        if is("heat") {
            return pair(rest, &["with"], scene).map(|(object, with)| Self::Heat(object, with));
        }
        if is("cool") {
            return pair(rest, &["with"], scene).map(|(object, with)| Self::Cool(object, with));
        }
        if is("examine") {
            return object(rest, scene)
                .map(Self::ExamineObject)
                .or_else(|| receptacle(rest, scene).map(Self::ExamineReceptacle));
        }
        if is("drop") {
            return object(rest, scene).map(Self::Drop);
        }
        if is("throw") {
            return object(strip_word(rest, "away")?, scene).map(Self::ThrowAway);
        }
        if is("use") && rest.trim().eq_ignore_ascii_case("desklamp") {
            return Some(Self::UseLamp);
        }
        if !rest.is_empty() {
            return None;
        }
        [("look", Self::Look), ("inventory", Self::Inventory), ("finish", Self::Finish)]
            .into_iter()
            .find_map(|(word, command)| is(word).then_some(command))
    }

    /// Appends the words that [`Self::parse`] reads back.
    pub(crate) fn write(self, scene: &Scene, out: &mut String) {
        match self {
            Self::GoTo(to) => write_one("go to ", to, scene, out),
            Self::Open(what) => write_one("open ", what, scene, out),
            Self::Close(what) => write_one("close ", what, scene, out),
            Self::ExamineReceptacle(what) => write_one("examine ", what, scene, out),
            Self::Take(object, from) => write_pair("take ", object, " from ", from, scene, out),
            Self::Put(object, to) => {
                let preposition = if scene.receptacle(to).kind.preposition() == "in" { " in " } else { " on " };
                write_pair("put ", object, preposition, to, scene, out);
            }
            Self::Clean(object, with) => write_pair("clean ", object, " with ", with, scene, out),
            Self::Heat(object, with) => write_pair("heat ", object, " with ", with, scene, out),
            Self::Cool(object, with) => write_pair("cool ", object, " with ", with, scene, out),
            Self::ExamineObject(object) => write_object("examine ", object, scene, out),
            Self::Drop(object) => write_object("drop ", object, scene, out),
            Self::ThrowAway(object) => write_object("throw away ", object, scene, out),
            Self::UseLamp => out.push_str("use desklamp"),
            Self::Look => out.push_str("look"),
            Self::Inventory => out.push_str("inventory"),
            Self::Finish => out.push_str("finish"),
        }
    }
}

fn write_one(verb: &str, receptacle: ReceptacleId, scene: &Scene, out: &mut String) {
    out.push_str(verb);
    scene.write_receptacle(receptacle, out);
}

fn write_object(verb: &str, object: ObjectId, scene: &Scene, out: &mut String) {
    out.push_str(verb);
    scene.write_object(object, out);
}

fn write_pair(
    verb: &str,
    object: ObjectId,
    preposition: &str,
    receptacle: ReceptacleId,
    scene: &Scene,
    out: &mut String,
) {
    write_object(verb, object, scene, out);
    out.push_str(preposition);
    scene.write_receptacle(receptacle, out);
}

/// `text` after its first word, if that is `word`.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = text.trim_start().split_once(' ')?;
    first.eq_ignore_ascii_case(word).then_some(rest)
}

/// `<object> <number> <preposition> <receptacle> <number>`.
fn pair(text: &str, prepositions: &[&str], scene: &Scene) -> Option<(ObjectId, ReceptacleId)> {
    let mut words = text.split_ascii_whitespace();
    let (name, number) = (words.next()?, words.next()?);
    let preposition = words.next()?;
    prepositions.iter().find(|known| preposition.eq_ignore_ascii_case(known))?;
    let (place, place_number) = (words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    Some((find_object(name, number, scene)?, find_receptacle(place, place_number, scene)?))
}

fn object(text: &str, scene: &Scene) -> Option<ObjectId> {
    let (name, number) = numbered(text)?;
    find_object(name, number, scene)
}

fn receptacle(text: &str, scene: &Scene) -> Option<ReceptacleId> {
    let (name, number) = numbered(text)?;
    find_receptacle(name, number, scene)
}

fn numbered(text: &str) -> Option<(&str, &str)> {
    let (name, number) = text.trim().split_once(' ')?;
    Some((name, number.trim_start()))
}

fn find_object(name: &str, number: &str, scene: &Scene) -> Option<ObjectId> {
    let number: u8 = number.parse().ok()?;
    scene.object_ids().find(|&id| {
        let object = scene.object(id);
        object.number == number && object.kind.name().eq_ignore_ascii_case(name)
    })
}

fn find_receptacle(name: &str, number: &str, scene: &Scene) -> Option<ReceptacleId> {
    let number: u8 = number.parse().ok()?;
    scene.receptacle_ids().find(|&id| {
        let receptacle = scene.receptacle(id);
        receptacle.number == number && receptacle.kind.name().eq_ignore_ascii_case(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_a_scene_reads_back_as_itself() {
        let scene = Scene::generate(3);
        let mut commands = vec![Command::UseLamp, Command::Look, Command::Inventory, Command::Finish];
        for receptacle in scene.receptacle_ids() {
            commands.extend([
                Command::GoTo(receptacle),
                Command::Open(receptacle),
                Command::Close(receptacle),
                Command::ExamineReceptacle(receptacle),
            ]);
            for object in scene.object_ids() {
                commands.extend([
                    Command::Take(object, receptacle),
                    Command::Put(object, receptacle),
                    Command::Clean(object, receptacle),
                    Command::Heat(object, receptacle),
                    Command::Cool(object, receptacle),
                    Command::ExamineObject(object),
                    Command::Drop(object),
                    Command::ThrowAway(object),
                ]);
            }
        }
        for command in commands {
            let mut text = String::new();
            command.write(&scene, &mut text);
            assert_eq!(Command::parse(&text, &scene), Some(command), "{text}");
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Option<Command>) {
        assert_eq!(Command::parse(text, &Scene::generate(3)), expected, "{text}");
    }

    #[test]
    fn commands_are_read_as_a_model_may_write_them() {
        check("  Look.\nI want to see more.", Some(Command::Look));
        check("USE desklamp", Some(Command::UseLamp));
        check("", None);
        check("go to", None);
        check("go to moon 1", None);
        check("take", None);
        check("take mug from shelf", None);
        check("look around", None);
        check("put x 1 in/on y 256", None);
    }
}
