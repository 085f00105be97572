//! What a household is made of: rooms, receptacles, kinds of objects.

/// A kind of room. A scene is one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Room {
    /// Stove, fridge, microwave, sink.
    Kitchen,
    /// Sink, bathtub.
    Bathroom,
    /// Bed, wardrobe, lamp.
    Bedroom,
    /// Desks, shelves, lamp.
    Study,
    /// Sofa, coffee table, lamp.
    Lounge,
}

impl Room {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kitchen => "kitchen",
            Self::Bathroom => "bathroom",
            Self::Bedroom => "bedroom",
            Self::Study => "study",
            Self::Lounge => "living room",
        }
    }

    /// Its receptacles, with the least and the greatest number of each.
    pub(crate) const fn furniture(self) -> &'static [(ReceptacleKind, u8, u8)] {
        use ReceptacleKind as R;
        match self {
            Self::Kitchen => &[
                (R::Countertop, 1, 3),
                (R::Cabinet, 2, 4),
                (R::Drawer, 1, 3),
                (R::Diningtable, 1, 1),
                (R::Shelf, 1, 2),
                (R::Stoveburner, 1, 2),
                (R::Fridge, 1, 1),
                (R::Microwave, 1, 1),
                (R::Sinkbasin, 1, 1),
                (R::Garbagecan, 1, 1),
            ],
            Self::Bathroom => &[
                (R::Countertop, 1, 2),
                (R::Cabinet, 1, 4),
                (R::Drawer, 1, 3),
                (R::Shelf, 1, 2),
                (R::Bathtub, 1, 1),
                (R::Towelrack, 1, 2),
                (R::Sinkbasin, 1, 2),
                (R::Garbagecan, 1, 1),
            ],
            Self::Bedroom => &[
                (R::Bed, 1, 2),
                (R::Desk, 1, 1),
                (R::Drawer, 2, 4),
                (R::Dresser, 1, 1),
                (R::Sidetable, 1, 2),
                (R::Shelf, 1, 3),
                (R::Wardrobe, 1, 1),
                (R::Garbagecan, 1, 1),
            ],
            Self::Study => &[
                (R::Desk, 1, 2),
                (R::Drawer, 2, 4),
                (R::Shelf, 2, 3),
                (R::Sidetable, 1, 2),
                (R::Armchair, 1, 1),
                (R::Safe, 1, 1),
                (R::Garbagecan, 1, 1),
            ],
            Self::Lounge => &[
                (R::Sofa, 1, 2),
                (R::Armchair, 1, 2),
                (R::Coffeetable, 1, 1),
                (R::Tvstand, 1, 1),
                (R::Sidetable, 1, 2),
                (R::Shelf, 1, 2),
                (R::Drawer, 1, 3),
                (R::Cabinet, 1, 2),
                (R::Garbagecan, 1, 1),
            ],
        }
    }
}

/// A kind of thing that holds objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ReceptacleKind {
    Countertop,
    Cabinet,
    Drawer,
    Diningtable,
    Shelf,
    Stoveburner,
    Fridge,
    Microwave,
    Sinkbasin,
    Garbagecan,
    Bathtub,
    Towelrack,
    Bed,
    Desk,
    Dresser,
    Sidetable,
    Wardrobe,
    Safe,
    Armchair,
    Sofa,
    Coffeetable,
    Tvstand,
}

impl ReceptacleKind {
    /// The word for it.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Countertop => "countertop",
            Self::Cabinet => "cabinet",
            Self::Drawer => "drawer",
            Self::Diningtable => "diningtable",
            Self::Shelf => "shelf",
            Self::Stoveburner => "stoveburner",
            Self::Fridge => "fridge",
            Self::Microwave => "microwave",
            Self::Sinkbasin => "sinkbasin",
            Self::Garbagecan => "garbagecan",
            Self::Bathtub => "bathtub",
            Self::Towelrack => "towelrack",
            Self::Bed => "bed",
            Self::Desk => "desk",
            Self::Dresser => "dresser",
            Self::Sidetable => "sidetable",
            Self::Wardrobe => "wardrobe",
            Self::Safe => "safe",
            Self::Armchair => "armchair",
            Self::Sofa => "sofa",
            Self::Coffeetable => "coffeetable",
            Self::Tvstand => "tvstand",
        }
    }

    /// Whether it has a door or lid that hides what is inside.
    #[must_use]
    pub(crate) const fn is_openable(self) -> bool {
        matches!(self, Self::Cabinet | Self::Drawer | Self::Fridge | Self::Microwave | Self::Wardrobe | Self::Safe)
    }

    /// `in` or `on`.
    pub(crate) const fn preposition(self) -> &'static str {
        if self.is_openable() || matches!(self, Self::Sinkbasin | Self::Garbagecan | Self::Bathtub) {
            "in"
        } else {
            "on"
        }
    }

    /// Whether an errand may ask to put something there.
    pub(crate) const fn can_be_destination(self) -> bool {
        !matches!(self, Self::Garbagecan | Self::Microwave | Self::Stoveburner)
    }
}

/// A kind of object: a position in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ObjectKind(pub(crate) u8);

/// What is known of a kind of object.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing about an object, independent of the others")]
pub(crate) struct ObjectTraits {
    pub(crate) name: &'static str,
    pub(crate) rooms: &'static [Room],
    pub(crate) homes: &'static [ReceptacleKind],
    /// Kinds with the same number above 0 are easily mistaken for each other.
    pub(crate) lookalike_group: u8,
    /// Whether it breaks when dropped.
    pub(crate) is_fragile: bool,
    pub(crate) can_be_heated: bool,
    pub(crate) can_be_cooled: bool,
    pub(crate) can_be_cleaned: bool,
}

impl ObjectKind {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..OBJECTS.len() as u8).map(Self)
    }

    pub(crate) fn traits(self) -> &'static ObjectTraits {
        &OBJECTS[usize::from(self.0)]
    }

    /// The word for it.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        self.traits().name
    }

    /// Whether another kind is easily mistaken for it.
    #[must_use]
    pub(crate) fn has_lookalikes(self) -> bool {
        self.traits().lookalike_group > 0
    }

    /// The kinds that are easily mistaken for it.
    pub(crate) fn lookalikes(self) -> impl Iterator<Item = Self> {
        let group = self.traits().lookalike_group;
        Self::all().filter(move |&other| group > 0 && other != self && other.traits().lookalike_group == group)
    }
}

/// Flags of [`ObjectTraits`], so that the table below stays one line an object.
const FRAGILE: u8 = 1;
const HEAT: u8 = 2;
const COOL: u8 = 4;
const CLEAN: u8 = 8;

const fn object(
    name: &'static str,
    rooms: &'static [Room],
    homes: &'static [ReceptacleKind],
    lookalike_group: u8,
    flags: u8,
) -> ObjectTraits {
    ObjectTraits {
        name,
        rooms,
        homes,
        lookalike_group,
        is_fragile: flags & FRAGILE != 0,
        can_be_heated: flags & HEAT != 0,
        can_be_cooled: flags & COOL != 0,
        can_be_cleaned: flags & CLEAN != 0,
    }
}

const KITCHEN: &[Room] = &[Room::Kitchen];
const BATHROOM: &[Room] = &[Room::Bathroom];
const LAMP_ROOMS: &[Room] = &[Room::Bedroom, Room::Study, Room::Lounge];

use ReceptacleKind as R;
const SURFACES: &[R] = &[R::Countertop, R::Diningtable, R::Shelf];
const DISHES: &[R] = &[R::Cabinet, R::Countertop, R::Diningtable, R::Shelf, R::Sinkbasin];
const CUTLERY: &[R] = &[R::Drawer, R::Countertop, R::Diningtable, R::Sinkbasin];
const COOKWARE: &[R] = &[R::Stoveburner, R::Cabinet, R::Countertop];
const FOOD: &[R] = &[R::Fridge, R::Countertop, R::Diningtable, R::Sinkbasin];
const SPICES: &[R] = &[R::Cabinet, R::Drawer, R::Countertop, R::Shelf];
const BATH: &[R] = &[R::Cabinet, R::Drawer, R::Countertop, R::Shelf, R::Bathtub];
const TOWELS: &[R] = &[R::Towelrack, R::Bathtub, R::Cabinet];
const PAPERS: &[R] = &[R::Desk, R::Shelf, R::Bed, R::Sidetable, R::Sofa, R::Coffeetable];
const SMALL_THINGS: &[R] = &[R::Drawer, R::Desk, R::Sidetable, R::Dresser, R::Coffeetable, R::Tvstand];
const DECORATION: &[R] = &[R::Shelf, R::Dresser, R::Sidetable, R::Tvstand, R::Coffeetable, R::Desk];
const SOFT: &[R] = &[R::Bed, R::Sofa, R::Armchair, R::Wardrobe];
const VALUABLES: &[R] = &[R::Safe, R::Drawer, R::Dresser, R::Desk, R::Cabinet, R::Sidetable];

static OBJECTS: [ObjectTraits; 50] = [
    object("mug", KITCHEN, DISHES, 0, FRAGILE | HEAT | COOL | CLEAN),
    object("plate", KITCHEN, DISHES, 0, FRAGILE | HEAT | COOL | CLEAN),
    object("bowl", KITCHEN, DISHES, 0, FRAGILE | HEAT | COOL | CLEAN),
    object("cup", KITCHEN, DISHES, 1, FRAGILE | HEAT | COOL | CLEAN),
    object("glass", KITCHEN, DISHES, 1, FRAGILE | COOL | CLEAN),
    object("pan", KITCHEN, COOKWARE, 2, COOL | CLEAN),
    object("pot", KITCHEN, COOKWARE, 2, COOL | CLEAN),
    object("knife", KITCHEN, CUTLERY, 0, CLEAN),
    object("spatula", KITCHEN, CUTLERY, 0, CLEAN),
    object("ladle", KITCHEN, CUTLERY, 0, CLEAN),
    object("fork", KITCHEN, CUTLERY, 3, CLEAN),
    object("spoon", KITCHEN, CUTLERY, 3, CLEAN),
    object("saltshaker", KITCHEN, SPICES, 4, 0),
    object("peppershaker", KITCHEN, SPICES, 4, 0),
    object("kettle", KITCHEN, SURFACES, 0, CLEAN),
    object("apple", KITCHEN, FOOD, 0, HEAT | COOL | CLEAN),
    object("potato", KITCHEN, FOOD, 0, HEAT | COOL | CLEAN),
    object("tomato", KITCHEN, FOOD, 0, HEAT | COOL | CLEAN),
    object("egg", KITCHEN, FOOD, 0, FRAGILE | HEAT | COOL | CLEAN),
    object("bread", KITCHEN, FOOD, 0, HEAT | COOL),
    object("lettuce", KITCHEN, FOOD, 5, COOL | CLEAN),
    object("cabbage", KITCHEN, FOOD, 5, HEAT | COOL | CLEAN),
    object("dishcloth", KITCHEN, &[R::Sinkbasin, R::Drawer, R::Countertop], 0, CLEAN),
    object("jar", KITCHEN, SPICES, 0, FRAGILE | COOL),
    object("soapbar", BATHROOM, BATH, 6, CLEAN),
    object("soapbottle", BATHROOM, BATH, 6, 0),
    object("towel", BATHROOM, TOWELS, 7, 0),
    object("handtowel", BATHROOM, TOWELS, 7, 0),
    object("toiletpaper", BATHROOM, BATH, 0, 0),
    object("spraybottle", BATHROOM, BATH, 0, 0),
    object("candle", BATHROOM, BATH, 0, 0),
    object("sponge", BATHROOM, BATH, 0, CLEAN),
    object("razor", BATHROOM, BATH, 0, CLEAN),
    object("book", LAMP_ROOMS, PAPERS, 8, 0),
    object("notebook", LAMP_ROOMS, PAPERS, 8, 0),
    object("newspaper", LAMP_ROOMS, PAPERS, 0, 0),
    object("letter", LAMP_ROOMS, PAPERS, 0, 0),
    object("pen", LAMP_ROOMS, SMALL_THINGS, 9, 0),
    object("pencil", LAMP_ROOMS, SMALL_THINGS, 9, 0),
    object("creditcard", LAMP_ROOMS, VALUABLES, 10, 0),
    object("keycard", LAMP_ROOMS, VALUABLES, 10, 0),
    object("cellphone", LAMP_ROOMS, SMALL_THINGS, 0, FRAGILE),
    object("laptop", LAMP_ROOMS, PAPERS, 0, FRAGILE),
    object("alarmclock", LAMP_ROOMS, DECORATION, 0, FRAGILE),
    object("keychain", LAMP_ROOMS, VALUABLES, 0, 0),
    object("watch", LAMP_ROOMS, VALUABLES, 0, FRAGILE),
    object("vase", LAMP_ROOMS, DECORATION, 0, FRAGILE),
    object("statue", LAMP_ROOMS, DECORATION, 0, 0),
    object("pillow", LAMP_ROOMS, SOFT, 0, 0),
    object(
        "remotecontrol",
        LAMP_ROOMS,
        &[R::Sofa, R::Armchair, R::Coffeetable, R::Tvstand, R::Bed, R::Sidetable],
        0,
        0,
    ),
];
