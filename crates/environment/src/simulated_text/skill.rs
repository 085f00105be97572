//! What a command asks of a model.

/// What a step asks of a model in a text world that others made. It is read off the first words of the expert's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextSkill {
    /// Walking about, doors.
    Navigate,
    /// Looking, reading, waiting.
    Observe,
    /// Picking things up and putting them somewhere.
    Handle,
    /// Using devices, wiring, pouring, mixing: where order and detail matter.
    Operate,
    /// Saying which thing it is about: what cannot be taken back.
    Commit,
    /// Making a valid but wrong command good.
    Recover,
}

/// First words of commands by the skill that they ask for; the longest that fits counts.
const VERBS: [(&str, TextSkill); 27] = [
    ("go", TextSkill::Navigate),
    ("teleport", TextSkill::Navigate),
    ("walk", TextSkill::Navigate),
    ("open door", TextSkill::Navigate),
    ("close door", TextSkill::Navigate),
    ("look", TextSkill::Observe),
    ("examine", TextSkill::Observe),
    ("inventory", TextSkill::Observe),
    ("read", TextSkill::Observe),
    ("wait", TextSkill::Observe),
    ("wait1", TextSkill::Observe),
    ("task", TextSkill::Observe),
    ("pick up", TextSkill::Handle),
    ("take", TextSkill::Handle),
    ("put", TextSkill::Handle),
    ("drop", TextSkill::Handle),
    ("move", TextSkill::Handle),
    ("open", TextSkill::Handle),
    ("close", TextSkill::Handle),
    ("use", TextSkill::Operate),
    ("activate", TextSkill::Operate),
    ("deactivate", TextSkill::Operate),
    ("connect", TextSkill::Operate),
    ("disconnect", TextSkill::Operate),
    ("pour", TextSkill::Operate),
    ("mix", TextSkill::Operate),
    ("focus on", TextSkill::Commit),
];

impl TextSkill {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Every skill, in the order of a profile's `text_skills`.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Navigate, Self::Observe, Self::Handle, Self::Operate, Self::Commit, Self::Recover];

    /// The skill of a command; `Operate` where the words are not known.
    #[must_use]
    pub fn of_command(command: &str) -> Self {
        let fits = |verb: &str| command.strip_prefix(verb).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        let longest = VERBS.iter().filter(|(verb, _)| fits(verb)).max_by_key(|(verb, _)| verb.len());
        longest.map_or(Self::Operate, |&(_, skill)| skill)
    }
}

/// The words of a command that say what is done: up to its first object.
pub(crate) fn verb_of(command: &str) -> &str {
    let fits = |verb: &&str| command.strip_prefix(verb).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    let longest = VERBS.iter().map(|(verb, _)| *verb).filter(fits).max_by_key(|verb| verb.len());
    longest.unwrap_or_else(|| command.split(' ').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(command: &str, skill: TextSkill, verb: &str) {
        assert_eq!((TextSkill::of_command(command), verb_of(command)), (skill, verb), "{command}");
    }

    #[test]
    fn the_longest_words_that_fit_say_what_a_command_asks_for() {
        check("go to kitchen", TextSkill::Navigate, "go");
        check("open door to kitchen", TextSkill::Navigate, "open door");
        check("open cupboard", TextSkill::Handle, "open");
        check("wait1", TextSkill::Observe, "wait1");
        check("pick up metal pot", TextSkill::Handle, "pick up");
        check("connect battery anode to red wire terminal 1", TextSkill::Operate, "connect");
        check("focus on egg", TextSkill::Commit, "focus on");
        check("sing a song", TextSkill::Operate, "sing");
        check("goad the goat", TextSkill::Operate, "goad");
    }
}
