//! The world: what a command does to the scene, and what the agent sees of it.

use tollgate_rollout::{Environment, EnvironmentError, Outcome, Transition};
use tollgate_routing::{Observation, Task};

use super::ENVIRONMENT;
use super::catalog::ReceptacleKind;
use super::command::Command;
use super::scene::{Goal, ObjectId, Place, ReceptacleId, Scene, TaskFamily, Temperature};
use super::text::WordsNow;
use super::wording::Wording;

/// What the last command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It was carried out, though perhaps to no avail.
    Done,
    /// It could not be carried out; the observation says so.
    Refused,
}

/// The household, one task at a time.
#[derive(Debug, Clone)]
pub struct HouseholdEnvironment {
    pub(super) scene: Scene,
    pub(super) location: Option<ReceptacleId>,
    pub(super) held: Option<ObjectId>,
    /// Bit `i` is set when the contents of receptacle `i` have been in sight.
    pub(super) seen: u32,
    is_lit: bool,
    has_finished: bool,
    progress: f32,
    last_effect: Effect,
    wording: Wording,
    pub(super) words_now: WordsNow,
}

impl Default for HouseholdEnvironment {
    fn default() -> Self {
        Self::in_scene(Scene::generate(0))
    }
}

impl HouseholdEnvironment {
    pub(super) fn in_scene(scene: Scene) -> Self {
        Self {
            scene,
            location: None,
            held: None,
            seen: 0,
            is_lit: false,
            has_finished: false,
            progress: 0.0,
            last_effect: Effect::Done,
            wording: Wording::Plain,
            words_now: WordsNow::default(),
        }
    }

    /// The same world, speaking in these words.
    #[must_use]
    pub fn with_wording(self, wording: Wording) -> Self {
        Self { wording, ..self }
    }

    pub(crate) fn scene(&self) -> &Scene {
        &self.scene
    }

    pub(crate) fn goal(&self) -> Goal {
        self.scene.goal
    }

    pub(crate) fn location(&self) -> Option<ReceptacleId> {
        self.location
    }

    pub(crate) fn held(&self) -> Option<ObjectId> {
        self.held
    }

    pub(crate) fn last_effect(&self) -> Effect {
        self.last_effect
    }

    /// The receptacle that the agent stands at, if its contents can be reached.
    pub(crate) fn reachable(&self) -> Option<ReceptacleId> {
        self.location.filter(|&here| self.scene.receptacle(here).is_accessible())
    }

    /// Whether an object is in the state that the goal asks for, wherever it is.
    pub(crate) fn is_prepared(&self, object: ObjectId) -> bool {
        let object = self.scene.object(object);
        match self.goal().family {
            TaskFamily::Clean => object.is_clean,
            TaskFamily::Heat => object.temperature == Temperature::Hot,
            TaskFamily::Cool => object.temperature == Temperature::Cold,
            TaskFamily::PickAndPlace | TaskFamily::PickTwo | TaskFamily::ExamineInLight => true,
        }
    }

    /// How many prepared goal objects lie in a receptacle.
    pub(super) fn n_placed(&self, receptacle: ReceptacleId) -> usize {
        let goal = self.goal().object;
        self.scene.contents(receptacle).filter(|&id| self.scene.object(id).kind == goal && self.is_prepared(id)).count()
    }

    /// The receptacle to deliver to: of the wanted kind, with the most goal objects already in it, else the first.
    pub(super) fn destination(&self) -> Option<ReceptacleId> {
        let wanted = self.goal().destination;
        // Of equals the last one wins, so the order is turned round.
        self.scene
            .receptacle_ids()
            .rev()
            .filter(|&id| self.scene.receptacle(id).kind == wanted)
            .max_by_key(|&id| self.n_placed(id))
    }

    /// What has been reached, 0 to 1; 1 is the goal.
    fn current_progress(&self) -> f32 {
        let goal = self.goal();
        let holds_goal_object = self.held.is_some_and(|id| self.scene.object(id).kind == goal.object);
        let held = f32::from(u8::from(holds_goal_object));
        if goal.family == TaskFamily::ExamineInLight {
            return if self.is_lit { 1.0 } else { held / 2.0 };
        }
        let n_placed = self.destination().map_or(0, |id| self.n_placed(id));
        match goal.family {
            TaskFamily::PickTwo => ((n_placed.min(2) * 2) as f32 + held).min(4.0) / 4.0,
            _ if n_placed > 0 => 1.0,
            TaskFamily::PickAndPlace => held / 2.0,
            _ => {
                let is_prepared = self.scene.object_ids().any(|id| {
                    let object = self.scene.object(id);
                    object.kind == goal.object && object.place != Place::Gone && self.is_prepared(id)
                });
                if is_prepared { 2.0 / 3.0 } else { held / 3.0 }
            }
        }
    }

    /// Carries out a command, and says what the agent sees.
    fn carry_out(&mut self, command: Command, out: &mut String) -> Effect {
        match command {
            Command::GoTo(to) => self.go_to(to, out),
            Command::Open(what) => self.open(what, out),
            Command::Close(what) => self.close(what, out),
            Command::Take(object, from) => self.take(object, from, out),
            Command::Put(object, to) => self.put(object, to, out),
            Command::Clean(object, with) => self.transform(object, with, ReceptacleKind::Sinkbasin, out),
            Command::Heat(object, with) => self.transform(object, with, ReceptacleKind::Microwave, out),
            Command::Cool(object, with) => self.transform(object, with, ReceptacleKind::Fridge, out),
            Command::UseLamp => self.use_lamp(out),
            Command::Look => {
                match self.location {
                    Some(here) => self.write_contents(here, out),
                    None => self.write_room(out),
                }
                Effect::Done
            }
            Command::Inventory => Effect::Done,
            Command::ExamineObject(object) => self.examine(object, out),
            Command::ExamineReceptacle(what) => {
                if self.location != Some(what) {
                    return refuse("you are too far away to look closely.", out);
                }
                self.write_contents(what, out);
                Effect::Done
            }
            Command::Drop(object) => self.drop(object, out),
            Command::ThrowAway(object) => self.throw_away(object, out),
            Command::Finish => {
                self.has_finished = true;
                out.push_str("You call it a day.");
                Effect::Done
            }
        }
    }

    fn go_to(&mut self, to: ReceptacleId, out: &mut String) -> Effect {
        if self.location == Some(to) {
            return refuse("you are there already.", out);
        }
        self.location = Some(to);
        out.push_str("You walk up to ");
        self.scene.write_receptacle(to, out);
        out.push_str(". ");
        self.write_contents(to, out);
        Effect::Done
    }

    fn open(&mut self, what: ReceptacleId, out: &mut String) -> Effect {
        let receptacle = &mut self.scene.receptacles[usize::from(what.0)];
        if self.location != Some(what) {
            return refuse("it is out of reach.", out);
        }
        if receptacle.is_accessible() {
            return refuse("there is nothing to open.", out);
        }
        receptacle.is_open = true;
        out.push_str("It opens. ");
        self.write_contents(what, out);
        Effect::Done
    }

    fn close(&mut self, what: ReceptacleId, out: &mut String) -> Effect {
        let receptacle = &mut self.scene.receptacles[usize::from(what.0)];
        if self.location != Some(what) || !receptacle.is_open {
            return refuse("there is nothing to close.", out);
        }
        receptacle.is_open = false;
        out.push_str("It falls shut.");
        Effect::Done
    }

    fn take(&mut self, object: ObjectId, from: ReceptacleId, out: &mut String) -> Effect {
        if self.held.is_some() {
            return refuse("your hands are full.", out);
        }
        if self.reachable() != Some(from) || self.scene.object(object).place != Place::At(from) {
            return refuse("it is not within reach.", out);
        }
        self.scene.objects[usize::from(object.0)].place = Place::Held;
        self.held = Some(object);
        out.push_str("You pick up ");
        self.scene.write_object(object, out);
        out.push('.');
        Effect::Done
    }

    fn put(&mut self, object: ObjectId, to: ReceptacleId, out: &mut String) -> Effect {
        if self.held != Some(object) {
            return refuse("you do not have it.", out);
        }
        if self.reachable() != Some(to) {
            return refuse("that place is out of reach or shut.", out);
        }
        self.scene.objects[usize::from(object.0)].place = Place::At(to);
        self.held = None;
        out.push_str("You set down ");
        self.scene.write_object(object, out);
        out.push_str(if self.scene.receptacle(to).kind.preposition() == "in" { " in " } else { " on " });
        self.scene.write_receptacle(to, out);
        out.push('.');
        Effect::Done
    }

    fn transform(&mut self, id: ObjectId, with: ReceptacleId, kind: ReceptacleKind, out: &mut String) -> Effect {
        if self.held != Some(id) {
            return refuse("you do not have it.", out);
        }
        if self.location != Some(with) {
            return refuse("that is out of reach.", out);
        }
        if self.scene.receptacle(with).kind != kind {
            return refuse("that is not what it is made for.", out);
        }
        let object = &mut self.scene.objects[usize::from(id.0)];
        let (text, is_clean, temperature) = match kind {
            ReceptacleKind::Microwave => ("You warm up ", object.is_clean, Temperature::Hot),
            ReceptacleKind::Fridge => ("You chill ", object.is_clean, Temperature::Cold),
            _ => ("You rinse ", true, object.temperature),
        };
        object.is_clean = is_clean;
        object.temperature = temperature;
        out.push_str(text);
        self.scene.write_object(id, out);
        out.push('.');
        Effect::Done
    }

    fn use_lamp(&mut self, out: &mut String) -> Effect {
        if self.scene.lamp.is_none() || self.scene.lamp != self.location {
            return refuse("there is no desklamp within reach.", out);
        }
        out.push_str("The desklamp sheds its light.");
        self.is_lit |= self.held.is_some_and(|id| self.scene.object(id).kind == self.goal().object);
        Effect::Done
    }

    fn examine(&mut self, object: ObjectId, out: &mut String) -> Effect {
        let is_near = match self.scene.object(object).place {
            Place::Held => true,
            Place::At(place) => self.reachable() == Some(place),
            Place::Gone => false,
        };
        if !is_near {
            return refuse("it is not in sight.", out);
        }
        let details = self.scene.object(object);
        out.push_str(if details.is_clean { "Spotless" } else { "In everyday use" });
        out.push_str(match details.temperature {
            Temperature::Ordinary => ", and as warm as the room.",
            Temperature::Hot => ", and hot.",
            Temperature::Cold => ", and cold.",
        });
        Effect::Done
    }

    fn drop(&mut self, object: ObjectId, out: &mut String) -> Effect {
        if self.held != Some(object) {
            return refuse("you do not have it.", out);
        }
        let place = match self.reachable() {
            Some(here) if !self.scene.object(object).kind.traits().is_fragile => Place::At(here),
            None if !self.scene.object(object).kind.traits().is_fragile => {
                return refuse("there is no place for it here.", out);
            }
            _ => Place::Gone,
        };
        self.scene.objects[usize::from(object.0)].place = place;
        self.held = None;
        self.scene.write_object(object, out);
        out.push_str(if place == Place::Gone { " falls and breaks." } else { " lands softly." });
        Effect::Done
    }

    fn throw_away(&mut self, object: ObjectId, out: &mut String) -> Effect {
        if self.held != Some(object) {
            return refuse("you do not have it.", out);
        }
        self.scene.objects[usize::from(object.0)].place = Place::Gone;
        self.held = None;
        self.scene.write_object(object, out);
        out.push_str(" is gone with the rubbish.");
        Effect::Done
    }

    /// What lies in or on the receptacle that the agent stands at. From now on it has been seen.
    fn write_contents(&mut self, here: ReceptacleId, out: &mut String) {
        let receptacle = self.scene.receptacle(here);
        if !receptacle.is_accessible() {
            out.push_str("It is shut.");
            return;
        }
        self.seen |= 1 << here.0;
        let receptacle = self.scene.receptacle(here);
        out.push_str(if receptacle.kind.preposition() == "in" { "Inside:" } else { "On top:" });
        let mut is_first = true;
        for object in self.scene.contents(here) {
            out.push_str(if is_first { " " } else { ", " });
            self.scene.write_object(object, out);
            is_first = false;
        }
        out.push_str(if is_first { " nothing." } else { "." });
        if self.scene.lamp == Some(here) {
            out.push_str(" The desklamp stands here.");
        }
    }

    fn write_room(&self, out: &mut String) {
        out.push_str("This is the ");
        out.push_str(self.scene.room.name());
        out.push_str(". Around you:");
        for (position, id) in self.scene.receptacle_ids().enumerate() {
            out.push_str(if position == 0 { " " } else { ", " });
            self.scene.write_receptacle(id, out);
        }
        out.push('.');
        if let Some(lamp) = self.scene.lamp {
            out.push_str(" A desklamp stands on ");
            self.scene.write_receptacle(lamp, out);
            out.push('.');
        }
    }

    fn write_hands(&self, out: &mut String) {
        out.push_str(" You carry ");
        match self.held {
            Some(object) => self.scene.write_object(object, out),
            None => out.push_str("nothing"),
        }
        out.push('.');
    }
}

impl Environment for HouseholdEnvironment {
    fn reset(&mut self, task: &Task, _seed: u64) -> Result<Observation, EnvironmentError> {
        if &*task.environment != ENVIRONMENT {
            return Err(EnvironmentError::WrongTask {
                task: task.id.to_string(),
                found: task.environment.to_string(),
                expected: ENVIRONMENT.to_owned(),
            });
        }
        let scene = Scene::generate(task.seed);
        let instruction = scene.instruction();
        if *task.instruction != *instruction {
            return Err(EnvironmentError::Failed {
                environment: ENVIRONMENT.to_owned(),
                reason: format!(
                    "task `{}` asks \"{}\", but the scene of its seed {} is made for \"{instruction}\"\nhint: the task set is of another version; generate it again",
                    task.id, task.instruction, task.seed
                ),
            });
        }
        *self = Self::in_scene(scene).with_wording(self.wording);
        let mut text = String::with_capacity(384);
        self.write_room(&mut text);
        self.write_hands(&mut text);
        Ok(Observation::from_text(self.wording.say(text)))
    }

    fn step(&mut self, completion: &str) -> Result<Transition, EnvironmentError> {
        let mut text = String::with_capacity(160);
        self.words_now = WordsNow::default();
        self.last_effect = match Command::parse(completion, &self.scene) {
            Some(command) if !self.has_finished => self.carry_out(command, &mut text),
            _ => refuse("nobody knows what that means.", &mut text),
        };
        self.write_hands(&mut text);
        let before = self.progress;
        self.progress = self.progress.max(self.current_progress());
        let terminated = self.has_finished || self.progress >= 1.0;
        Ok(Transition::new(Observation::from_text(self.wording.say(text)), self.progress - before, terminated))
    }

    fn outcome(&self) -> Outcome {
        Outcome { is_success: self.progress >= 1.0, score: self.progress }
    }
}

fn refuse(reason: &str, out: &mut String) -> Effect {
    out.push_str("That cannot be done: ");
    out.push_str(reason);
    Effect::Refused
}

#[cfg(test)]
mod tests {
    use tollgate_rollout::reports_failure;

    use super::*;
    use crate::household::{SplitCounts, generate_tasks};

    fn world_of(family: TaskFamily) -> (Task, HouseholdEnvironment) {
        let tasks = generate_tasks(1, SplitCounts { train: 12, validation: 0, test: 0 }).unwrap();
        let task = tasks.into_iter().find(|task| TaskFamily::of_seed(task.seed) == family).unwrap();
        let mut world = HouseholdEnvironment::default();
        world.reset(&task, 0).unwrap();
        (task, world)
    }

    /// Lets the expert act until it would say a command that begins with `verb`, and returns that command.
    fn advance_to(world: &mut HouseholdEnvironment, verb: &str) -> String {
        loop {
            let command = world.expert_command();
            if command.starts_with(verb) {
                return command;
            }
            world.step(&command).unwrap();
        }
    }

    #[test]
    fn every_refusal_reads_as_a_failure_and_nothing_else_does() {
        let (_, mut world) = world_of(TaskFamily::Heat);
        for nonsense in ["", "dance", "take moon 1 from sky 2", "open countertop 1", "use desklamp", "drop mug 1"] {
            let text = world.step(nonsense).unwrap().observation.text;
            assert!(reports_failure(&text), "{nonsense}: {text}");
            assert_eq!(world.last_effect(), Effect::Refused);
        }
        while !world.outcome().is_success {
            let command = world.expert_command();
            let text = world.step(&command).unwrap().observation.text;
            assert!(!reports_failure(&text), "{command}: {text}");
        }
    }

    #[test]
    fn progress_is_graded_and_never_lost() {
        let (_, mut world) = world_of(TaskFamily::Heat);
        advance_to(&mut world, "heat");
        assert!((world.outcome().score - 1.0 / 3.0).abs() < 1e-6);
        let command = world.expert_command();
        world.step(&command).unwrap();
        assert!((world.outcome().score - 2.0 / 3.0).abs() < 1e-6);
        let object = world.held().unwrap();
        let mut text = String::new();
        Command::ThrowAway(object).write(world.scene(), &mut text);
        assert!(!world.step(&text).unwrap().terminated);
        assert!((world.outcome().score - 2.0 / 3.0).abs() < 1e-6);
        assert!(!world.outcome().is_success);
    }

    #[test]
    fn the_goal_ends_the_episode_with_the_rewards_adding_up_to_one() {
        for family in TaskFamily::ALL {
            let (task, mut world) = world_of(family);
            let mut total = 0.0;
            loop {
                let command = world.expert_command();
                let transition = world.step(&command).unwrap();
                total += transition.reward;
                if transition.terminated {
                    break;
                }
            }
            assert_eq!(world.outcome(), Outcome { is_success: true, score: 1.0 }, "{}", task.instruction);
            assert!((total - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn finish_ends_the_episode_without_success() {
        let (_, mut world) = world_of(TaskFamily::PickTwo);
        assert!(world.step("finish").unwrap().terminated);
        assert!(!world.outcome().is_success);
    }

    #[test]
    fn heating_takes_away_cold() {
        let (_, mut world) = world_of(TaskFamily::Cool);
        let cool = advance_to(&mut world, "cool");
        world.step(&cool).unwrap();
        let object = world.held().unwrap();
        assert!(world.is_prepared(object));
        world.step("go to microwave 1").unwrap();
        let mut heat = String::from("heat ");
        world.scene().write_object(object, &mut heat);
        world.step(&(heat + " with microwave 1")).unwrap();
        assert!(!world.is_prepared(object));
    }

    #[test]
    fn a_task_of_another_version_or_environment_is_refused() {
        let (mut task, mut world) = world_of(TaskFamily::Clean);
        task.instruction = "Do the dishes.".into();
        let error = world.reset(&task, 0).unwrap_err().to_string();
        assert!(error.contains("asks \"Do the dishes.\"") && error.contains("hint:"), "{error}");
        task.environment = "moon".into();
        assert!(matches!(world.reset(&task, 0), Err(EnvironmentError::WrongTask { .. })));
    }
}
