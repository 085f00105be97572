//! The simulator's own way to solve a task, without the steps that lead nowhere.

use std::sync::Arc;

use super::HORIZON;
use super::error::ScienceWorldError;
use super::shared::{ScienceWorld, Worker};
use super::simulator::Answer;
use super::transitions::{Next, NodeId, Scene};

/// A list of commands that is known to work, with what they lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoldPath {
    pub(crate) steps: Vec<GoldStep>,
    /// The score in the end, 0 to 100.
    pub(crate) score: i16,
}

/// One command of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoldStep {
    pub(crate) command: String,
    /// The simulator's answer on the path.
    pub(crate) answer: Arc<Answer>,
    /// The place where it is said.
    pub(crate) place: Arc<str>,
}

impl GoldStep {
    /// Whether it only walks.
    pub(crate) fn is_walk(&self) -> bool {
        self.answer.view.is_some()
    }
}

/// What is longer than an episode need not be played to its end.
const MAX_STEPS: usize = HORIZON as usize;

/// The path of a scene, asked for once and then remembered.
///
/// The simulator's path opens doors that are open already and looks around a lot, which its readers do not need: after a walk
/// they are shown where they are. Without those steps time passes differently, so what is left is played to see that it
/// works; if not, the whole path is taken.
pub(crate) fn gold_path(
    world: &ScienceWorld,
    held: &mut Option<Worker>,
    scene: &Scene,
) -> Result<Arc<GoldPath>, ScienceWorldError> {
    if let Some(path) = scene.gold_path.get() {
        return Ok(path.clone());
    }
    let whole = world.solution(held, scene)?;
    let short: Vec<String> = whole.iter().filter(|command| !is_idle(command)).take(MAX_STEPS).cloned().collect();
    let mut path = play(world, held, scene, &short)?;
    if path.score < 100 && whole.len() <= MAX_STEPS {
        let other = play(world, held, scene, whole)?;
        if other.score > path.score {
            path = other;
        }
    }
    Ok(scene.gold_path.get_or_init(|| Arc::new(path)).clone())
}

/// Plays commands until the task is complete.
fn play(
    world: &ScienceWorld,
    held: &mut Option<Worker>,
    scene: &Scene,
    commands: &[String],
) -> Result<GoldPath, ScienceWorldError> {
    let opening = world.opening(held, scene)?;
    let mut place = place_of(&opening.view);
    let mut node = NodeId::ROOT;
    let mut path = GoldPath { steps: Vec::with_capacity(commands.len()), score: 0 };
    for command in commands {
        let Next::To(child, answer) = world.advance(held, scene, node, command)? else { continue };
        node = child;
        let here = answer.view.as_deref().map(place_of);
        path.steps.push(GoldStep { command: command.clone(), answer: answer.clone(), place: place.clone() });
        place = here.unwrap_or(place);
        path.score = answer.score;
        if is_final(&answer) {
            break;
        }
    }
    Ok(path)
}

/// Whether a scene is over: solved, or beyond help.
pub(crate) fn is_final(answer: &Answer) -> bool {
    answer.is_complete || answer.score < 0 || answer.score >= 100
}

/// The name of the place in a view: `This room is called the kitchen. In it, you see: ..`.
pub(crate) fn place_of(view: &str) -> Arc<str> {
    let name = view.split_once(" is called the ").and_then(|(_, rest)| rest.split_once('.')).map(|(name, _)| name);
    name.unwrap_or_default().into()
}

/// What gains nothing where doors are open and walks end with a view.
fn is_idle(command: &str) -> bool {
    command == "look around" || command.starts_with("open door to ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_in_its_view() {
        assert_eq!(&*place_of("This room is called the art studio. In it, you see:\n\tthe agent"), "art studio");
        assert_eq!(&*place_of("This outside location is called the outside. Here you see:"), "outside");
        assert_eq!(&*place_of("It is dark."), "");
    }
}
