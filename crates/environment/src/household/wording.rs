//! The household's observations in other words: what becomes of a router that reads text when the text changes.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// In which words the household speaks. Commands and the names of things are the same in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wording {
    /// The words that the task sets were made with.
    #[default]
    Plain,
    /// Every sentence rephrased; a refusal says `Nothing happens: ..`, which reads as a failure
    /// ([`tollgate_rollout::reports_failure`]).
    Other,
    /// Every sentence rephrased; a refusal says no word that reads as a failure.
    Unmarked,
}

/// What a refusal begins with.
const REFUSAL: &str = "That cannot be done: ";

/// Sentences and their parts, and how [`Wording::Other`] and [`Wording::Unmarked`] say them.
const PHRASES: [(&str, &str); 41] = [
    ("You walk up to ", "Now you stand before "),
    ("Inside:", "It holds"),
    ("On top:", "There lies on it"),
    ("It is shut.", "Its door is closed."),
    ("It opens. ", "You pull the door. "),
    ("It falls shut.", "You push the door to."),
    ("You pick up ", "Into your grasp goes "),
    ("You set down ", "Left behind: "),
    ("You warm up ", "It is hot now: "),
    ("You chill ", "It is cold now: "),
    ("You rinse ", "It is washed now: "),
    ("The desklamp sheds its light.", "Bright light falls from the desklamp."),
    (" The desklamp stands here.", " Here is also the desklamp."),
    ("Spotless", "Clean as new"),
    ("In everyday use", "It was used before"),
    (", and as warm as the room.", ", neither hot nor cold."),
    (", and hot.", ", with steam rising."),
    (", and cold.", ", with frost on it."),
    (" falls and breaks.", " is in pieces on the floor."),
    (" lands softly.", " comes to rest."),
    (" is gone with the rubbish.", " has been taken by the refuse collectors."),
    ("This is the ", "You find yourself in the "),
    (". Around you:", ". All there is to go to:"),
    (" A desklamp stands on ", " Some light comes from a desklamp on "),
    (" You carry ", " In your grasp: "),
    ("You call it a day.", "That will be all."),
    ("you are too far away to look closely.", "step closer to see details."),
    ("you are there already.", "this is where you stand."),
    ("it is out of reach.", "step closer to do so."),
    ("there is nothing to open.", "either it has no door, or the door stands open."),
    ("there is nothing to close.", "either it has no door, or the door is far or closed."),
    ("your hands are full.", "you hold something else."),
    ("it is not within reach.", "look where it lies."),
    ("you do not have it.", "take it before."),
    ("that place is out of reach or shut.", "go there, and see to its door."),
    ("that is out of reach.", "go there before."),
    ("that is not what it is made for.", "it serves another purpose."),
    ("there is no desklamp within reach.", "look for the desklamp."),
    ("it is not in sight.", "nobody sees it."),
    ("there is no place for it here.", "put it somewhere."),
    ("nobody knows what that means.", "say it otherwise."),
];

#[expect(clippy::expect_used, reason = "some short literals always build an automaton")]
static PLAIN_PHRASES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let phrases = PHRASES.iter().map(|(plain, _)| *plain).chain([REFUSAL]);
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(phrases)
        .expect("the phrases are valid patterns")
});

impl Wording {
    /// An observation in these words.
    pub(super) fn say(self, plain: String) -> String {
        let refusal = match self {
            Self::Plain => return plain,
            Self::Other => "Nothing happens: ",
            Self::Unmarked => "Hm: ",
        };
        let mut said = String::with_capacity(plain.len() + 64);
        PLAIN_PHRASES.replace_all_with(&plain, &mut said, |found, _, out| {
            let others = PHRASES.iter().map(|(_, other)| *other).chain([refusal]);
            out.extend(others.skip(found.pattern().as_usize()).take(1));
            true
        });
        said
    }
}

#[cfg(test)]
mod tests {
    use tollgate_rollout::{Environment, reports_failure};

    use super::*;
    use crate::household::{HouseholdEnvironment, SplitCounts, generate_tasks};

    /// What is seen along the expert's way and after nonsense, in these words.
    fn seen(wording: Wording) -> Vec<String> {
        let mut seen = Vec::new();
        for task in generate_tasks(4, SplitCounts { train: 12, validation: 0, test: 0 }).unwrap() {
            let mut world = HouseholdEnvironment::default().with_wording(wording);
            seen.push(world.reset(&task, 0).unwrap().text);
            while !world.outcome().is_success {
                for command in ["dance", "look", "open desk 1", "use desklamp", &world.expert_command()] {
                    seen.push(world.step(command).unwrap().observation.text);
                }
            }
        }
        seen
    }

    #[test]
    fn every_sentence_is_rephrased_and_the_things_keep_their_names() {
        let plain = seen(Wording::Plain);
        let other = seen(Wording::Other);
        assert_eq!(plain.len(), other.len());
        for (plain, other) in plain.iter().zip(&other) {
            for (phrase, _) in PHRASES {
                assert!(!other.contains(phrase), "`{phrase}` in `{other}`");
            }
            let numbers = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
            assert_eq!(numbers(plain), numbers(other));
            assert_ne!(plain, other);
        }
    }

    #[track_caller]
    fn check_failures(wording: Wording, is_marked: bool) {
        let plain = seen(Wording::Plain);
        let n_failures = plain.iter().filter(|text| reports_failure(text)).count();
        assert!(n_failures > 20);
        for (plain, other) in plain.iter().zip(seen(wording)) {
            assert_eq!(reports_failure(&other), is_marked && reports_failure(plain), "{plain} / {other}");
        }
    }

    #[test]
    fn refusals_read_as_failures_in_the_other_words_and_not_in_the_unmarked_ones() {
        check_failures(Wording::Other, true);
        check_failures(Wording::Unmarked, false);
    }
}
