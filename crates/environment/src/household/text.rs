//! The household as a world of words: its manual, the commands that it takes now, and the expert's.

use std::cell::OnceCell;

use super::catalog::ReceptacleKind;
use super::command::Command;
use super::expert::Subgoal;
use super::scene::{ObjectId, ReceptacleId};
use super::world::HouseholdEnvironment;
use crate::TextWorld;

const MANUAL: &str = include_str!("manual.txt");

/// What is put into words only for those who ask: simulated models never do.
#[derive(Debug, Clone, Default)]
pub(super) struct WordsNow {
    admissible: OnceCell<Vec<String>>,
    expert: OnceCell<Option<String>>,
}

impl TextWorld for HouseholdEnvironment {
    /// Every command that is carried out now and is not plainly of no use, such as closing what was opened. None of them
    /// names what the agent has not seen.
    fn admissible(&self) -> &[String] {
        self.words_now
            .admissible
            .get_or_init(|| self.admissible_commands().map(|command| self.in_words(command)).collect())
    }

    fn manual(&self) -> &str {
        MANUAL
    }

    fn expert(&self) -> Option<&str> {
        let advice = || Some(self.advice()).filter(|advice| advice.subgoal != Subgoal::Lost);
        self.words_now.expert.get_or_init(|| advice().map(|advice| self.in_words(advice.command))).as_deref()
    }
}

impl HouseholdEnvironment {
    fn in_words(&self, command: Command) -> String {
        let mut text = String::new();
        command.write(&self.scene, &mut text);
        text
    }

    fn admissible_commands(&self) -> impl Iterator<Item = Command> + '_ {
        let elsewhere = self.scene.receptacle_ids().filter(|&id| self.location != Some(id)).map(Command::GoTo);
        let shut = self.location.filter(|&here| !self.scene.receptacle(here).is_accessible()).map(Command::Open);
        let takes = self
            .reachable()
            .filter(|_| self.held.is_none())
            .into_iter()
            .flat_map(|here| self.scene.contents(here).map(move |object| Command::Take(object, here)));
        let with_held = self.held.into_iter().flat_map(|object| self.commands_with(object));
        let lamp = self.scene.lamp.filter(|_| self.scene.lamp == self.location).map(|_| Command::UseLamp);
        takes.chain(with_held).chain(lamp).chain(shut).chain(elsewhere).chain([Command::Look])
    }

    fn commands_with(&self, object: ObjectId) -> impl Iterator<Item = Command> + use<> {
        let put = self.reachable().map(|here| Command::Put(object, here));
        let transform = |here: ReceptacleId| match self.scene.receptacle(here).kind {
            ReceptacleKind::Microwave => Some(Command::Heat(object, here)),
            ReceptacleKind::Fridge => Some(Command::Cool(object, here)),
            ReceptacleKind::Sinkbasin => Some(Command::Clean(object, here)),
            _ => None,
        };
        put.into_iter().chain(self.location.and_then(transform))
    }
}

#[cfg(test)]
mod tests {
    use tollgate_rollout::Environment;

    use super::*;
    use crate::household::{Effect, SplitCounts, generate_tasks};

    #[test]
    fn admissible_commands_are_carried_out_and_the_experts_is_among_them() {
        for task in generate_tasks(3, SplitCounts { train: 60, validation: 0, test: 0 }).unwrap() {
            let mut world = HouseholdEnvironment::default();
            world.reset(&task, 0).unwrap();
            while !world.outcome().is_success {
                let expert = world.expert().unwrap().to_owned();
                assert!(world.admissible().contains(&expert), "{expert}: {:?}", world.admissible());
                for command in world.admissible() {
                    let mut tried = world.clone();
                    tried.step(command).unwrap();
                    assert_eq!(tried.last_effect(), Effect::Done, "{command}");
                }
                world.step(&expert).unwrap();
            }
        }
    }
}
