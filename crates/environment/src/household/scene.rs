//! The scene of a task: one room, what stands and lies in it, and the errand. All of it follows from the task's seed.

use std::fmt::Write;

use super::catalog::{ObjectKind, ReceptacleKind, Room};
use crate::chance::Chance;

/// The six kinds of errand, after the task families of ALFWorld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskFamily {
    /// Put an object somewhere.
    PickAndPlace,
    /// Look at an object in the light of the desk lamp.
    ExamineInLight,
    /// Wash an object and put it somewhere.
    Clean,
    /// Heat an object and put it somewhere.
    Heat,
    /// Cool an object and put it somewhere.
    Cool,
    /// Put two objects of a kind into the same place.
    PickTwo,
}

impl TaskFamily {
    /// Every family.
    pub const ALL: [Self; 6] =
        [Self::PickAndPlace, Self::ExamineInLight, Self::Clean, Self::Heat, Self::Cool, Self::PickTwo];

    /// The name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PickAndPlace => "pick-and-place",
            Self::ExamineInLight => "examine-in-light",
            Self::Clean => "clean",
            Self::Heat => "heat",
            Self::Cool => "cool",
            Self::PickTwo => "pick-two",
        }
    }

    /// The family of a task's seed, known without building its scene.
    #[must_use]
    pub fn of_seed(task_seed: u64) -> Self {
        Self::ALL[Chance::new(task_seed, FAMILY_STREAM).below(Self::ALL.len())]
    }
}

/// A receptacle of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ReceptacleId(pub(crate) u8);

/// An object of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ObjectId(pub(crate) u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receptacle {
    pub(crate) kind: ReceptacleKind,
    pub(crate) number: u8,
    pub(crate) is_open: bool,
}

impl Receptacle {
    pub(crate) fn is_accessible(self) -> bool {
        self.is_open || !self.kind.is_openable()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    At(ReceptacleId),
    Held,
    /// Broken or thrown away.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temperature {
    Ordinary,
    Hot,
    Cold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    pub(crate) number: u8,
    pub(crate) place: Place,
    pub(crate) is_clean: bool,
    pub(crate) temperature: Temperature,
}

/// What has to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Goal {
    pub(crate) family: TaskFamily,
    pub(crate) object: ObjectKind,
    /// Where to put it; without meaning for [`TaskFamily::ExamineInLight`].
    pub(crate) destination: ReceptacleKind,
    /// Which wording the instruction has.
    pub(crate) wording: u8,
}

impl Goal {
    /// What the instruction says before and after the object.
    fn words(self) -> (&'static str, &'static str) {
        let wordings: [(&str, &str); N_WORDINGS] = match self.family {
            TaskFamily::PickAndPlace => [("Bring ", ", leave it"), ("Find ", " and put it"), ("Fetch ", " and lay it")],
            TaskFamily::Clean => [
                ("Wash ", " and put it"),
                ("Find ", ", clean it, and put it"),
                ("Rinse ", " so that it is clean, then leave it"),
            ],
            TaskFamily::Heat => {
                [("Warm up ", " and put it"), ("Find ", ", heat it, and put it"), ("Get ", " hot, then leave it")]
            }
            TaskFamily::Cool => {
                [("Chill ", " and put it"), ("Find ", ", cool it, and put it"), ("Get ", " cold, then leave it")]
            }
            TaskFamily::PickTwo => [("Gather ", " and leave both"), ("Find ", " and put both"), ("Put ", " together")],
            TaskFamily::ExamineInLight => [
                ("Look at ", " by the light of the desklamp"),
                ("Hold ", " under the desklamp and look at it"),
                ("Use the desklamp to study ", ""),
            ],
        };
        wordings[usize::from(self.wording)]
    }
}

/// One room with its errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) room: Room,
    pub(crate) receptacles: Vec<Receptacle>,
    pub(crate) objects: Vec<Object>,
    pub(crate) goal: Goal,
    pub(crate) lamp: Option<ReceptacleId>,
    /// Where one would look for the goal's objects, likeliest first.
    pub(crate) search_order: Vec<ReceptacleId>,
}

const FAMILY_STREAM: u64 = 0xFA;
const SCENE_STREAM: u64 = 0x5C;

/// How often an errand is about an object with lookalikes, where the room has such objects.
const LOOKALIKE_SHARE: f32 = 0.42;

impl Scene {
    /// The scene of a task's seed.
    pub(crate) fn generate(task_seed: u64) -> Self {
        let family = TaskFamily::of_seed(task_seed);
        let mut chance = Chance::new(task_seed, SCENE_STREAM);
        let room = draw_room(family, &mut chance);
        let receptacles = draw_receptacles(room, &mut chance);
        let object = draw_target(family, room, &mut chance);
        let destination = draw_destination(family, object, room, &mut chance);
        let goal = Goal { family, object, destination, wording: chance.below(N_WORDINGS) as u8 };
        let objects = draw_objects(goal, room, &receptacles, &mut chance);
        let lamp = (family == TaskFamily::ExamineInLight)
            .then(|| {
                let stands: Vec<ReceptacleId> =
                    ids_where(&receptacles, |kind| matches!(kind, ReceptacleKind::Desk | ReceptacleKind::Sidetable));
                chance.pick(&stands)
            })
            .flatten();
        let search_order = draw_search_order(object, &receptacles, &mut chance);
        Self { room, receptacles, objects, goal, lamp, search_order }
    }

    pub(crate) fn receptacle(&self, id: ReceptacleId) -> &Receptacle {
        &self.receptacles[usize::from(id.0)]
    }

    pub(crate) fn object(&self, id: ObjectId) -> &Object {
        &self.objects[usize::from(id.0)]
    }

    pub(crate) fn receptacle_ids(&self) -> impl DoubleEndedIterator<Item = ReceptacleId> + use<> {
        (0..self.receptacles.len() as u8).map(ReceptacleId)
    }

    pub(crate) fn object_ids(&self) -> impl Iterator<Item = ObjectId> + use<> {
        (0..self.objects.len() as u8).map(ObjectId)
    }

    /// The objects in or on a receptacle.
    pub(crate) fn contents(&self, receptacle: ReceptacleId) -> impl Iterator<Item = ObjectId> {
        self.object_ids().filter(move |&id| self.object(id).place == Place::At(receptacle))
    }

    pub(crate) fn write_receptacle(&self, id: ReceptacleId, out: &mut String) {
        let receptacle = self.receptacle(id);
        write_numbered(receptacle.kind.name(), receptacle.number, out);
    }

    pub(crate) fn write_object(&self, id: ObjectId, out: &mut String) {
        let object = self.object(id);
        write_numbered(object.kind.name(), object.number, out);
    }

    /// The errand in words.
    pub(crate) fn instruction(&self) -> String {
        let object = self.goal.object.name();
        let (before, after) = self.goal.words();
        let mut text = String::with_capacity(80);
        text.push_str(before);
        text.push_str(if self.goal.family == TaskFamily::PickTwo { "two of the kind " } else { article(object) });
        text.push_str(object);
        text.push_str(after);
        if self.goal.family != TaskFamily::ExamineInLight {
            let destination = self.goal.destination;
            text.extend([" ", destination.preposition(), " ", article(destination.name()), destination.name()]);
        }
        text.push('.');
        text
    }

    /// A number that two tasks share only if scene and errand are the same, but for accidents of hashing.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        hash.add(self.room as u8);
        hash.add(self.goal.family as u8);
        hash.add(self.goal.object.0);
        hash.add(self.goal.destination as u8);
        hash.add(self.lamp.map_or(u8::MAX, |lamp| lamp.0));
        for receptacle in &self.receptacles {
            hash.add(receptacle.kind as u8);
            hash.add(receptacle.number);
            hash.add(u8::from(receptacle.is_open));
        }
        for object in &self.objects {
            hash.add(object.kind.0);
            if let Place::At(receptacle) = object.place {
                hash.add(receptacle.0);
            }
        }
        hash.0
    }
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo): the same on every machine and in every release, unlike the standard hasher.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
}

const N_WORDINGS: usize = 3;

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an " } else { "a " }
}

/// `name number`.
pub(crate) fn write_numbered(name: &str, number: u8, out: &mut String) {
    out.push_str(name);
    out.push(' ');
    if number < 10 {
        out.push(char::from(b'0' + number));
    } else {
        // Writing to a string cannot fail.
        let _ = write!(out, "{number}");
    }
}

fn ids_where(receptacles: &[Receptacle], mut is_wanted: impl FnMut(ReceptacleKind) -> bool) -> Vec<ReceptacleId> {
    (0..receptacles.len() as u8).map(ReceptacleId).filter(|id| is_wanted(receptacles[usize::from(id.0)].kind)).collect()
}

fn draw_room(family: TaskFamily, chance: &mut Chance) -> Room {
    let rooms: &[Room] = match family {
        TaskFamily::Heat | TaskFamily::Cool => &[Room::Kitchen],
        TaskFamily::Clean => &[Room::Kitchen, Room::Kitchen, Room::Bathroom],
        TaskFamily::ExamineInLight => &[Room::Bedroom, Room::Study, Room::Lounge],
        TaskFamily::PickAndPlace | TaskFamily::PickTwo => {
            &[Room::Kitchen, Room::Bathroom, Room::Bedroom, Room::Study, Room::Lounge]
        }
    };
    rooms[chance.below(rooms.len())]
}

fn draw_receptacles(room: Room, chance: &mut Chance) -> Vec<Receptacle> {
    let mut receptacles = Vec::with_capacity(24);
    for &(kind, least, most) in room.furniture() {
        let count = least + chance.below(usize::from(most - least) + 1) as u8;
        for number in 1..=count {
            let is_open = kind.is_openable() && chance.unit() < 0.1;
            receptacles.push(Receptacle { kind, number, is_open });
        }
    }
    receptacles
}

/// The homes of a kind that the room has and that are not the destination.
fn homes_in(kind: ObjectKind, room: Room, destination: Option<ReceptacleKind>) -> impl Iterator<Item = ReceptacleKind> {
    let homes = kind.traits().homes.iter().copied();
    homes.filter(move |&home| {
        Some(home) != destination && room.furniture().iter().any(|&(furniture, _, _)| furniture == home)
    })
}

fn draw_target(family: TaskFamily, room: Room, chance: &mut Chance) -> ObjectKind {
    let wants_lookalike = chance.unit() < LOOKALIKE_SHARE;
    let candidates: Vec<ObjectKind> = ObjectKind::all()
        .filter(|kind| {
            let traits = kind.traits();
            let fits = match family {
                TaskFamily::Heat => traits.can_be_heated,
                TaskFamily::Cool => traits.can_be_cooled,
                TaskFamily::Clean => traits.can_be_cleaned,
                TaskFamily::PickAndPlace | TaskFamily::PickTwo | TaskFamily::ExamineInLight => true,
            };
            fits && traits.rooms.contains(&room)
                && kind.has_lookalikes() == wants_lookalike
                // One home may become the destination; another has to be left.
                && homes_in(*kind, room, None).nth(1).is_some()
        })
        .collect();
    // Every room has a fitting object of either sort; the first of the catalogue would be a mug.
    chance.pick(&candidates).unwrap_or(ObjectKind(0))
}

fn draw_destination(family: TaskFamily, object: ObjectKind, room: Room, chance: &mut Chance) -> ReceptacleKind {
    let station = match family {
        TaskFamily::Clean => Some(ReceptacleKind::Sinkbasin),
        TaskFamily::Cool => Some(ReceptacleKind::Fridge),
        TaskFamily::PickAndPlace | TaskFamily::PickTwo | TaskFamily::ExamineInLight | TaskFamily::Heat => None,
    };
    let candidates: Vec<ReceptacleKind> = room
        .furniture()
        .iter()
        .map(|&(kind, _, _)| kind)
        .filter(|&kind| {
            kind.can_be_destination() && Some(kind) != station && homes_in(object, room, Some(kind)).next().is_some()
        })
        .collect();
    chance.pick(&candidates).unwrap_or(room.furniture()[0].0)
}

fn draw_objects(goal: Goal, room: Room, receptacles: &[Receptacle], chance: &mut Chance) -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::with_capacity(32);
    let needed = if goal.family == TaskFamily::PickTwo { 2 } else { 1 };
    let n_targets = needed + usize::from(chance.unit() < 0.3);
    let destination = (goal.family != TaskFamily::ExamineInLight).then_some(goal.destination);
    for _ in 0..n_targets {
        add_object(goal.object, destination, room, receptacles, &mut objects, chance);
    }
    // A lookalike lies beside the first target, so that telling them apart is part of the errand.
    let lookalikes: Vec<ObjectKind> = goal.object.lookalikes().collect();
    if let Some(lookalike) = chance.pick(&lookalikes) {
        let place = objects[0].place;
        add_object(lookalike, None, room, receptacles, &mut objects, chance);
        if let Some(object) = objects.last_mut() {
            object.place = place;
        }
    }
    let others: Vec<ObjectKind> =
        ObjectKind::all().filter(|kind| *kind != goal.object && kind.traits().rooms.contains(&room)).collect();
    for _ in 0..8 + chance.below(6) {
        if let Some(kind) = chance.pick(&others) {
            add_object(kind, None, room, receptacles, &mut objects, chance);
        }
    }
    objects
}

fn add_object(
    kind: ObjectKind,
    destination: Option<ReceptacleKind>,
    room: Room,
    receptacles: &[Receptacle],
    objects: &mut Vec<Object>,
    chance: &mut Chance,
) {
    let homes: Vec<ReceptacleKind> = homes_in(kind, room, destination).collect();
    // The earlier of two draws: the catalogue lists the likeliest home first.
    let position = chance.below(homes.len()).min(chance.below(homes.len()));
    let places = match homes.get(position).copied() {
        Some(home) => ids_where(receptacles, |kind| kind == home),
        None => ids_where(receptacles, |kind| Some(kind) != destination),
    };
    let number = 1 + objects.iter().filter(|object| object.kind == kind).count() as u8;
    if let Some(place) = chance.pick(&places) {
        let place = Place::At(place);
        objects.push(Object { kind, number, place, is_clean: false, temperature: Temperature::Ordinary });
    }
}

fn draw_search_order(object: ObjectKind, receptacles: &[Receptacle], chance: &mut Chance) -> Vec<ReceptacleId> {
    let homes = object.traits().homes;
    let mut order: Vec<ReceptacleId> = (0..receptacles.len() as u8).map(ReceptacleId).collect();
    chance.shuffle(&mut order);
    order.sort_by_key(|id| {
        let kind = receptacles[usize::from(id.0)].kind;
        homes.iter().position(|&home| home == kind).unwrap_or(homes.len())
    });
    order
}
