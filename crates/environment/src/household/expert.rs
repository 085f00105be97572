//! The expert: the next command of an agent that knows what to do, but not where things are.
//!
//! It knows what it has seen, and looks for an object where such objects are usually kept, likeliest kind of place first.
//! What it knows is a function of the world's state, so it can take over from anyone at any moment.

use super::catalog::ReceptacleKind;
use super::command::Command;
use super::scene::{ObjectId, Place, ReceptacleId, TaskFamily};
use super::world::HouseholdEnvironment;

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subgoal {
    /// Find an object of the wanted kind.
    Search,
    /// Take it.
    Take,
    /// Bring it to where it is prepared: sink, microwave, fridge, lamp.
    Carry,
    /// Prepare it.
    Transform,
    /// Bring it to its destination.
    Deliver,
    /// Put it down there.
    Place,
    /// Leave the first of two objects and turn to the second.
    Continue,
    /// Get rid of a wrong object.
    Recover,
    /// Nothing leads to the goal any more.
    Lost,
}

/// The expert's next command, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) command: Command,
    pub(crate) subgoal: Subgoal,
}

const fn advice(command: Command, subgoal: Subgoal) -> Advice {
    Advice { command, subgoal }
}

impl HouseholdEnvironment {
    /// What the expert would do now.
    pub(crate) fn advice(&self) -> Advice {
        let goal = self.goal();
        let needed = if goal.family == TaskFamily::PickTwo { 2 } else { 1 };
        let is_left = |&id: &ObjectId| {
            let object = self.scene.object(id);
            object.kind == goal.object && object.place != Place::Gone
        };
        if self.scene.object_ids().filter(is_left).nth(needed - 1).is_none() {
            return advice(Command::Finish, Subgoal::Lost);
        }
        match self.held {
            Some(object) if self.scene.object(object).kind == goal.object => self.advice_with(object),
            Some(object) => self.advice_to_get_rid_of(object),
            None => self.advice_with_free_hands(),
        }
    }

    /// The expert's next command in words.
    #[must_use]
    pub fn expert_command(&self) -> String {
        let mut text = String::new();
        self.advice().command.write(&self.scene, &mut text);
        text
    }

    fn advice_with(&self, object: ObjectId) -> Advice {
        if self.goal().family == TaskFamily::ExamineInLight {
            return match self.scene.lamp {
                Some(lamp) if self.location != Some(lamp) => advice(Command::GoTo(lamp), Subgoal::Carry),
                _ => advice(Command::UseLamp, Subgoal::Transform),
            };
        }
        if !self.is_prepared(object) {
            return self.advice_to_prepare(object);
        }
        let Some(destination) = self.destination() else {
            return advice(Command::Finish, Subgoal::Lost);
        };
        if self.location != Some(destination) {
            advice(Command::GoTo(destination), Subgoal::Deliver)
        } else if self.scene.receptacle(destination).is_accessible() {
            advice(Command::Put(object, destination), Subgoal::Place)
        } else {
            advice(Command::Open(destination), Subgoal::Deliver)
        }
    }

    fn advice_to_prepare(&self, object: ObjectId) -> Advice {
        let station = match self.goal().family {
            TaskFamily::Heat => ReceptacleKind::Microwave,
            TaskFamily::Cool => ReceptacleKind::Fridge,
            _ => ReceptacleKind::Sinkbasin,
        };
        let is_station = |id: &ReceptacleId| self.scene.receptacle(*id).kind == station;
        if let Some(here) = self.location.filter(is_station) {
            let command = match station {
                ReceptacleKind::Microwave => Command::Heat(object, here),
                ReceptacleKind::Fridge => Command::Cool(object, here),
                _ => Command::Clean(object, here),
            };
            return advice(command, Subgoal::Transform);
        }
        match self.scene.receptacle_ids().find(is_station) {
            Some(there) => advice(Command::GoTo(there), Subgoal::Carry),
            None => advice(Command::Finish, Subgoal::Lost),
        }
    }

    fn advice_to_get_rid_of(&self, object: ObjectId) -> Advice {
        let command = match self.location {
            Some(here) if self.scene.receptacle(here).is_accessible() => Command::Put(object, here),
            Some(here) => Command::Open(here),
            None => Command::GoTo(self.scene.search_order[0]),
        };
        advice(command, Subgoal::Recover)
    }

    fn advice_with_free_hands(&self) -> Advice {
        let goal = self.goal();
        let first_pile = if goal.family == TaskFamily::PickTwo {
            self.destination().filter(|&id| self.n_placed(id) > 0)
        } else {
            None
        };
        let known = self.scene.object_ids().filter_map(|id| {
            let object = self.scene.object(id);
            match object.place {
                Place::At(place) if object.kind == goal.object && self.has_seen(place) && Some(place) != first_pile => {
                    Some((id, place))
                }
                _ => None,
            }
        });
        // What lies here saves a walk; what is prepared already saves more.
        let best = known.max_by_key(|&(id, place)| (self.is_prepared(id), Some(place) == self.location));
        let command = match best {
            Some((object, place)) if self.location == Some(place) => {
                if self.scene.receptacle(place).is_accessible() {
                    return advice(Command::Take(object, place), Subgoal::Take);
                }
                Command::Open(place)
            }
            Some((_, place)) => Command::GoTo(place),
            None => match self.search() {
                Some(command) => command,
                None => return advice(Command::Finish, Subgoal::Lost),
            },
        };
        let has_just_placed = first_pile.is_some() && self.location == first_pile;
        advice(command, if has_just_placed { Subgoal::Continue } else { Subgoal::Search })
    }

    fn search(&self) -> Option<Command> {
        if let Some(here) = self.location.filter(|&here| !self.has_seen(here)) {
            return Some(Command::Open(here));
        }
        let next = self.scene.search_order.iter().copied().find(|&place| !self.has_seen(place))?;
        Some(Command::GoTo(next))
    }

    fn has_seen(&self, receptacle: ReceptacleId) -> bool {
        self.seen & (1 << receptacle.0) != 0
    }
}

#[cfg(test)]
mod tests {
    use tollgate_rollout::Environment;

    use super::*;
    use crate::chance::Chance;
    use crate::household::{HORIZON, SplitCounts, generate_tasks};

    #[test]
    fn the_expert_solves_every_task_of_every_family_with_half_of_the_horizon_to_spare() {
        let tasks = generate_tasks(1, SplitCounts::default()).unwrap();
        let mut solved = [0; 6];
        for task in &tasks {
            let mut world = HouseholdEnvironment::default();
            world.reset(task, 0).unwrap();
            let mut n_steps = 0;
            while !world.outcome().is_success {
                let command = world.expert_command();
                world.step(&command).unwrap();
                n_steps += 1;
                assert!(n_steps <= HORIZON / 2, "{}: {}", task.id, task.instruction);
            }
            solved[world.goal().family as usize] += 1;
        }
        // 100 and 200 are no multiples of 6, so two families have one task more.
        assert_eq!(solved, [151, 151, 150, 150, 149, 149]);
    }

    #[test]
    fn the_expert_takes_over_after_any_blunder_that_can_be_undone() {
        for task in generate_tasks(2, SplitCounts { train: 120, validation: 0, test: 0 }).unwrap() {
            let mut world = HouseholdEnvironment::default();
            world.reset(&task, 0).unwrap();
            let mut chance = Chance::new(task.seed, 1);
            for _ in 0..25 {
                let place = ReceptacleId(chance.below(world.scene.receptacles.len()) as u8);
                let object = ObjectId(chance.below(world.scene.objects.len()) as u8);
                let here = world.location.unwrap_or(place);
                let command = [
                    Command::GoTo(place),
                    Command::Open(here),
                    Command::Close(here),
                    Command::Take(object, here),
                    Command::Put(object, here),
                ][chance.below(5)];
                let mut text = String::new();
                command.write(&world.scene, &mut text);
                world.step(&text).unwrap();
            }
            for _ in 0..60 {
                if !world.outcome().is_success {
                    let command = world.expert_command();
                    world.step(&command).unwrap();
                }
            }
            assert!(world.outcome().is_success, "{}: {}", task.id, task.instruction);
        }
    }
}
