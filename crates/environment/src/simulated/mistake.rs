//! Plausible wrong commands.

use super::minds::HistoryState;
use super::{SimulatedModelProfile, Skill};
use crate::chance::Chance;
use crate::household::{Command, HouseholdEnvironment, ObjectId, Place, write_numbered};

/// A kind of mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Walks somewhere else.
    Wander,
    /// Takes the wrong object, or puts the right one down too early.
    Misact,
    /// Says the last command again.
    Repeat,
    /// Says a command that cannot be carried out.
    Invalid,
    /// Declares the errand done.
    Finish,
    /// Breaks or discards what it carries.
    Ruin,
}

const KINDS: [Mistake; 6] =
    [Mistake::Wander, Mistake::Misact, Mistake::Repeat, Mistake::Invalid, Mistake::Finish, Mistake::Ruin];

/// Draws the kind of mistake that a step invites to.
pub(crate) fn draw_mistake(
    profile: &SimulatedModelProfile,
    skill: Skill,
    history: HistoryState,
    chance: &mut Chance,
) -> Mistake {
    // Wander, misact, invalid: how the step tempts any model. Finish, ruin: times the model's recklessness.
    let [wander, misact, invalid, finish, ruin] = match skill {
        Skill::Routine => [0.50, 0.15, 0.35, 0.3, 0.2],
        Skill::Grasp | Skill::Discriminate => [0.10, 0.50, 0.40, 0.1, 0.0],
        Skill::Plan | Skill::PlanTemperature => [0.25, 0.40, 0.35, 0.3, 0.7],
        Skill::Clean | Skill::Temperature | Skill::Light => [0.15, 0.30, 0.55, 0.3, 0.7],
        Skill::Place => [0.30, 0.20, 0.50, 0.7, 0.3],
        Skill::Continue => [0.30, 0.20, 0.50, 3.0, 0.0],
        Skill::Recover => [0.50, 0.10, 0.40, 0.5, 0.5],
    };
    let (repeat, invalid) = (history.repeat_weight(profile), history.invalid_weight(invalid));
    let weights = [wander, misact, repeat, invalid, finish * profile.recklessness, ruin * profile.recklessness];
    KINDS[chance.weighted(&weights)]
}

/// A mistake in words. `right` is the command that would have been right, and `last` the command before. A mistake that the
/// situation does not allow becomes a walk to somewhere else.
pub(crate) fn write_mistake(
    mistake: Mistake,
    world: &HouseholdEnvironment,
    right: Command,
    last: Option<&str>,
    chance: &mut Chance,
    out: &mut String,
) {
    let scene = world.scene();
    let command = match mistake {
        Mistake::Wander => None,
        Mistake::Misact => wrong_act(world, chance),
        Mistake::Repeat => {
            let mut expected = String::with_capacity(48);
            right.write(scene, &mut expected);
            match last {
                Some(last) if last != expected => {
                    out.push_str(last);
                    return;
                }
                _ => None,
            }
        }
        Mistake::Invalid => {
            write_invalid(world, right, chance, out);
            return;
        }
        Mistake::Finish => Some(Command::Finish),
        Mistake::Ruin => world.held().map(|object| {
            let is_fragile = scene.object(object).kind.traits().is_fragile;
            if is_fragile { Command::Drop(object) } else { Command::ThrowAway(object) }
        }),
    };
    command.unwrap_or_else(|| walk(world, right, chance)).write(scene, out);
}

/// A walk to any place but here and where the expert would go.
fn walk(world: &HouseholdEnvironment, right: Command, chance: &mut Chance) -> Command {
    let ids = || world.scene().receptacle_ids();
    let start = chance.below(world.scene().receptacles.len());
    ids()
        .skip(start)
        .chain(ids())
        .find(|&id| Some(id) != world.location() && right != Command::GoTo(id))
        .map_or(Command::Look, Command::GoTo)
}

/// Takes a wrong object within reach, a lookalike first; or puts down what is carried where it does not belong.
fn wrong_act(world: &HouseholdEnvironment, chance: &mut Chance) -> Option<Command> {
    let here = world.reachable()?;
    let scene = world.scene();
    let wanted = world.goal().object;
    if let Some(held) = world.held() {
        let is_wanted_here = scene.receptacle(here).kind == world.goal().destination;
        let is_right = scene.object(held).kind != wanted || (is_wanted_here && world.is_prepared(held));
        return (!is_right).then_some(Command::Put(held, here));
    }
    let is_wrong = |id: &ObjectId| scene.object(*id).kind != wanted;
    let is_lookalike = |id: &ObjectId| {
        let group = scene.object(*id).kind.traits().lookalike_group;
        group > 0 && group == wanted.traits().lookalike_group
    };
    let n_wrong = scene.contents(here).filter(is_wrong).count();
    let any = scene.contents(here).filter(is_wrong).nth(chance.below(n_wrong));
    scene.contents(here).filter(is_wrong).find(is_lookalike).or(any).map(|object| Command::Take(object, here))
}

/// A command that the world refuses.
fn write_invalid(world: &HouseholdEnvironment, right: Command, chance: &mut Chance, out: &mut String) {
    let scene = world.scene();
    match right {
        Command::Heat(object, station) | Command::Cool(object, station) | Command::Clean(object, station) => {
            // The right place with the wrong verb.
            let wrong = match (right, chance.unit() < 0.5) {
                (Command::Heat(..), true) | (Command::Clean(..), false) => Command::Cool(object, station),
                (Command::Cool(..) | Command::Clean(..), true) => Command::Heat(object, station),
                _ => Command::Clean(object, station),
            };
            wrong.write(scene, out);
        }
        Command::UseLamp => {
            out.push_str("use ");
            write_object_or(world.held(), world, out);
        }
        Command::Take(object, place) => {
            // The right kind of object, with a number that nothing has.
            out.push_str("take ");
            write_numbered(scene.object(object).kind.name(), 9, out);
            out.push_str(" from ");
            scene.write_receptacle(place, out);
        }
        Command::Put(object, place) => {
            // Something else, which is not in hand.
            let other = scene.object_ids().find(|&id| id != object && scene.object(id).place != Place::Held);
            Command::Put(other.unwrap_or(object), place).write(scene, out);
        }
        _ => match (world.held(), world.location()) {
            (Some(_), Some(here)) => {
                out.push_str("put ");
                write_numbered(world.goal().object.name(), 9, out);
                out.push_str(" in ");
                scene.write_receptacle(here, out);
            }
            (None, Some(here)) => {
                out.push_str("take ");
                write_numbered(world.goal().object.name(), 9, out);
                out.push_str(" from ");
                scene.write_receptacle(here, out);
            }
            _ => {
                out.push_str("open ");
                write_numbered(scene.receptacles[0].kind.name(), 9, out);
            }
        },
    }
}

fn write_object_or(held: Option<ObjectId>, world: &HouseholdEnvironment, out: &mut String) {
    match held {
        Some(object) => world.scene().write_object(object, out),
        None => out.push_str("lamp"),
    }
}
