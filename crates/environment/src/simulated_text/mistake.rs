//! Plausible wrong commands in any text world.

use tollgate_rollout::derive_seed;

use super::skill::{TextSkill, verb_of};
use crate::TextWorld;
use crate::chance::Chance;
use crate::simulated::{HistoryState, SimulatedModelProfile};

/// A kind of mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Walks or looks somewhere else.
    Wander,
    /// Does the right thing with the wrong object.
    Misact,
    /// Says the last command again.
    Repeat,
    /// Says a command that the world does not understand.
    Invalid,
    /// Does what cannot be taken back.
    Ruin,
}

const KINDS: [Mistake; 5] = [Mistake::Wander, Mistake::Misact, Mistake::Repeat, Mistake::Invalid, Mistake::Ruin];

/// Wrong ideas of one kind that a situation suggests. Few, for whoever is wrong about something is wrong in the same way again; and
/// so that what models do can be remembered, see [`SimulatedTextExecutor`](super::SimulatedTextExecutor).
const N_TEMPTATIONS: usize = 3;

/// Draws the kind of mistake that a step invites to.
pub(crate) fn draw_mistake(
    profile: &SimulatedModelProfile,
    skill: TextSkill,
    history: HistoryState,
    chance: &mut Chance,
) -> Mistake {
    // Wander, misact, invalid: how the step tempts any model. Ruin: times the model's recklessness.
    let [wander, misact, invalid, ruin] = match skill {
        TextSkill::Navigate => [0.55, 0.05, 0.40, 0.3],
        TextSkill::Observe => [0.50, 0.10, 0.40, 0.3],
        TextSkill::Handle => [0.20, 0.35, 0.45, 0.5],
        TextSkill::Operate => [0.15, 0.30, 0.55, 0.5],
        TextSkill::Commit => [0.35, 0.00, 0.65, 3.0],
        TextSkill::Recover => [0.50, 0.10, 0.40, 0.7],
    };
    let (repeat, invalid) = (history.repeat_weight(profile), history.invalid_weight(invalid));
    KINDS[chance.weighted(&[wander, misact, repeat, invalid, ruin * profile.recklessness])]
}

/// A mistake in words. `right` is what would have been right, if anything is, and `last` the command before. What the world
/// does not offer becomes a walk to somewhere else.
pub(crate) fn write_mistake(
    mistake: Mistake,
    world: &impl TextWorld,
    right: Option<&str>,
    last: Option<&str>,
    chance: &mut Chance,
) -> String {
    let wrong = right.unwrap_or_default();
    let idea = chance.below(N_TEMPTATIONS);
    let tempting = |is_tempting: &dyn Fn(&str) -> bool| tempting_command(world, wrong, idea, is_tempting);
    let wander = || tempting(&|command| is_harmless(command) && command != wrong);
    let command = match mistake {
        Mistake::Wander => None,
        Mistake::Misact => {
            let verb = verb_of(wrong);
            tempting(&|command| verb_of(command) == verb && command != wrong && !is_irreversible(command))
        }
        Mistake::Repeat => last.filter(|&last| last != wrong).map(str::to_owned),
        Mistake::Invalid => Some(invalid(right.or(last).unwrap_or("look around"), idea)),
        Mistake::Ruin => tempting(&|command| is_irreversible(command) && command != wrong),
    };
    command.or_else(wander).unwrap_or_else(|| "look around".to_owned())
}

/// One of the commands that the world offers; the same one for the same idea about the same situation.
fn tempting_command(
    world: &impl TextWorld,
    right: &str,
    idea: usize,
    is_tempting: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let offered = || world.admissible().iter().filter(|command| is_tempting(command));
    let n_offered = offered().count();
    if n_offered == 0 {
        return None;
    }
    let situation = right.bytes().fold(idea as u64, |hash, byte| derive_seed(hash, u64::from(byte)));
    offered().nth((situation % n_offered as u64) as usize).cloned()
}

fn is_harmless(command: &str) -> bool {
    matches!(verb_of(command), "go" | "teleport" | "walk" | "look" | "examine" | "inventory")
}

fn is_irreversible(command: &str) -> bool {
    matches!(verb_of(command), "focus on" | "eat" | "flush" | "throw" | "finish" | "reset")
}

/// The command in words that no parser takes.
fn invalid(command: &str, idea: usize) -> String {
    match idea {
        0 => format!("try to {command}"),
        1 => format!("{command} with both hands"),
        _ => format!("I will now {command}"),
    }
}
