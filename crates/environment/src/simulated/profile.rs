//! What a simulated model is good at, what confuses it, and how much it talks.

use std::sync::Arc;

use crate::household::HouseholdError;
use crate::simulated_text::TextSkill;

/// What a step asks of a model. All of it can be read off the instruction, the observation and the last commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skill {
    /// Looking for an object, walking, opening: steps that every model knows.
    Routine,
    /// Taking an object that looks like no other.
    Grasp,
    /// Taking an object that is easily mistaken for another.
    Discriminate,
    /// With the object in hand, going to the sink or to the lamp.
    Plan,
    /// With the object in hand, going to the microwave or the fridge rather than to where it is wanted.
    PlanTemperature,
    /// Washing an object.
    Clean,
    /// Heating or cooling an object.
    Temperature,
    /// Switching on the lamp.
    Light,
    /// Putting the object where it is wanted.
    Place,
    /// Going on after the first of two objects is in its place.
    Continue,
    /// Getting rid of a wrong object.
    Recover,
}

impl Skill {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// Every skill, in the order of [`SimulatedModelProfile::skills`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Routine,
        Self::Grasp,
        Self::Discriminate,
        Self::Plan,
        Self::PlanTemperature,
        Self::Clean,
        Self::Temperature,
        Self::Light,
        Self::Place,
        Self::Continue,
        Self::Recover,
    ];
}

/// One simulated model. All figures are our own design, tuned so that [`calibrate`](crate::calibration::calibrate) finds in
/// the result what real logs show.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedModelProfile {
    /// Name of the profile: `small`, `medium` or `large`.
    pub name: Arc<str>,
    /// Chance to take the expert's command with a clear head and average aptitude, for each of [`Skill::ALL`]. Between 0 and 1.
    pub skills: [f32; Skill::COUNT],
    /// The same in text worlds that others made, for each of [`TextSkill::ALL`]. Between 0 and 1.
    pub text_skills: [f32; TextSkill::COUNT],
    /// Standard deviation of the hidden aptitude for a task, in logits of the chance; routine steps are not affected. 0 or more.
    pub aptitude_spread: f32,
    /// Logits lost per mistake in a row that anyone can see: a refused or a repeated command. At most three count. 0 or more.
    pub confusion: f32,
    /// Chance that a valid but wrong command of this model leaves a wrong belief in the history. 0 to 1.
    pub misbelief: f32,
    /// Factor on the chance to take the expert's command while the history holds a wrong belief. 0 to 1.
    pub sway: f32,
    /// Chance per step to see through a wrong belief. 0 to 1.
    pub insight: f32,
    /// Chance per mistake that it cannot be undone: `finish`, a broken or a discarded object. Multiplied by what the step
    /// invites to. 0 to 1.
    pub recklessness: f32,
    /// Chance per mistake to say the last command again; three times as much right after a visible mistake. 0 to 1.
    pub stubbornness: f32,
    /// Chance per step to give up, with `finish`, once nothing leads to the goal any more. 0 to 1.
    pub resignation: f32,
    /// Mean tokens of a completion beyond the command itself.
    pub verbosity_tokens: f32,
    /// Share of `verbosity_tokens` added per visible mistake in a row. At most three count. 0 or more.
    pub rambling: f32,
    /// Share of `verbosity_tokens` added per squared logit of aptitude that it lacks for the task beyond the first logit: what is
    /// really hard takes many words. 0 or more.
    pub effort: f32,
    /// Chance per call that the answer is of no use: reasons without a command, paid for as any other. 0 to 1, and 0 in the
    /// shipped profiles.
    pub failure_rate: f32,
    /// Tokens at which a completion is cut.
    pub max_output_tokens: u32,
    /// Time before the first token. Milliseconds.
    pub latency_ms: f32,
    /// Time per token of a completion. Milliseconds.
    pub token_latency_ms: f32,
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

    /// A small, cheap model: as good as any at routine, poor at telling things apart, at planning ahead and at getting out of trouble.
    #[must_use]
    pub fn small() -> Self {
        Self {
            name: "small".into(),
            skills: [0.988, 0.97, 0.36, 0.94, 0.42, 0.92, 0.42, 0.82, 0.96, 0.38, 0.30],
            text_skills: [0.985, 0.97, 0.915, 0.64, 0.52, 0.42],
            aptitude_spread: 1.3,
            confusion: 1.8,
            misbelief: 0.95,
            sway: 0.15,
            insight: 0.01,
            recklessness: 0.08,
            stubbornness: 0.35,
            resignation: 0.01,
            verbosity_tokens: 14.0,
            rambling: 2.0,
            effort: 30.0,
            failure_rate: 0.0,
            max_output_tokens: 800,
            latency_ms: 250.0,
            token_latency_ms: 7.0,
        }
    }

    /// Between the two. No provider sells it: it stands in for any third model.
    #[must_use]
    pub fn medium() -> Self {
        Self {
            name: "medium".into(),
            skills: [0.988, 0.97, 0.72, 0.95, 0.74, 0.94, 0.74, 0.89, 0.96, 0.74, 0.60],
            text_skills: [0.985, 0.97, 0.925, 0.77, 0.74, 0.62],
            aptitude_spread: 1.0,
            confusion: 0.8,
            misbelief: 0.85,
            sway: 0.15,
            insight: 0.011,
            recklessness: 0.08,
            stubbornness: 0.15,
            resignation: 0.02,
            verbosity_tokens: 120.0,
            rambling: 1.0,
            effort: 8.0,
            failure_rate: 0.0,
            max_output_tokens: 400,
            latency_ms: 400.0,
            token_latency_ms: 10.0,
        }
    }

    /// A large, dear and talkative model: good at everything, hardly confused by an error message, yet swayed by a wrong belief in
    /// the history.
    #[must_use]
    pub fn large() -> Self {
        Self {
            name: "large".into(),
            skills: [0.988, 0.97, 0.89, 0.96, 0.89, 0.95, 0.89, 0.92, 0.96, 0.89, 0.80],
            text_skills: [0.985, 0.97, 0.93, 0.84, 0.83, 0.76],
            aptitude_spread: 1.0,
            confusion: 0.2,
            misbelief: 0.75,
            sway: 0.15,
            insight: 0.012,
            recklessness: 0.06,
            stubbornness: 0.05,
            resignation: 0.03,
            verbosity_tokens: 350.0,
            rambling: 0.1,
            effort: 0.1,
            failure_rate: 0.0,
            max_output_tokens: 448,
            latency_ms: 600.0,
            token_latency_ms: 14.0,
        }
    }

    /// Its chance with a skill, before anything about the task or the episode.
    #[must_use]
    pub fn skill(&self, skill: Skill) -> f32 {
        self.skills[skill as usize]
    }

    /// Its chance with a skill in text worlds that others made.
    #[must_use]
    pub fn text_skill(&self, skill: TextSkill) -> f32 {
        self.text_skills[skill as usize]
    }

    /// Checks every figure against its range.
    ///
    /// # Errors
    /// [`HouseholdError::Profile`] for the first figure that is out of range.
    pub fn validate(&self) -> Result<(), HouseholdError> {
        let error = |field: &'static str, found: f32, expected: &'static str| HouseholdError::Profile {
            profile: self.name.to_string(),
            field,
            found: f64::from(found),
            expected,
        };
        if let Some(&chance) = self.skills.iter().find(|&&chance| !(chance > 0.0 && chance < 1.0)) {
            return Err(error("skills", chance, "a chance above 0 and below 1"));
        }
        if let Some(&chance) = self.text_skills.iter().find(|&&chance| !(chance > 0.0 && chance < 1.0)) {
            return Err(error("text_skills", chance, "a chance above 0 and below 1"));
        }
        for (field, chance) in [
            ("misbelief", self.misbelief),
            ("sway", self.sway),
            ("insight", self.insight),
            ("recklessness", self.recklessness),
            ("stubbornness", self.stubbornness),
            ("resignation", self.resignation),
            ("failure_rate", self.failure_rate),
        ] {
            if !(0.0..=1.0).contains(&chance) {
                return Err(error(field, chance, "a chance from 0 to 1"));
            }
        }
        for (field, figure) in [
            ("aptitude_spread", self.aptitude_spread),
            ("confusion", self.confusion),
            ("verbosity_tokens", self.verbosity_tokens),
            ("rambling", self.rambling),
            ("effort", self.effort),
            ("latency_ms", self.latency_ms),
            ("token_latency_ms", self.token_latency_ms),
        ] {
            if !(0.0..=1e6).contains(&figure) {
                return Err(error(field, figure, "0 to a million"));
            }
        }
        if self.max_output_tokens < MIN_OUTPUT_TOKENS {
            return Err(error(
                "max_output_tokens",
                self.max_output_tokens as f32,
                "at least 16, the length of a command",
            ));
        }
        Ok(())
    }
}

/// The longest command, in tokens: what a completion is never cut below.
pub(crate) const MIN_OUTPUT_TOKENS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_profiles_are_valid_and_ordered() {
        let [small, medium, large] =
            ["small", "medium", "large"].map(|name| SimulatedModelProfile::named(name).unwrap());
        for profile in [&small, &medium, &large] {
            assert_eq!(profile.validate(), Ok(()));
        }
        for skill in Skill::ALL {
            assert!(
                small.skill(skill) <= medium.skill(skill) && medium.skill(skill) <= large.skill(skill),
                "{skill:?}"
            );
        }
        assert_eq!(SimulatedModelProfile::named("huge"), None);
    }

    #[test]
    fn figures_out_of_range_are_named() {
        let mut profile = SimulatedModelProfile::small();
        profile.sway = 1.5;
        assert_eq!(
            profile.validate().unwrap_err().to_string(),
            "simulated profile `small`: `sway` is 1.5, expected a chance from 0 to 1"
        );
        profile = SimulatedModelProfile::small();
        profile.skills[2] = f32::NAN;
        assert!(matches!(profile.validate(), Err(HouseholdError::Profile { field: "skills", .. })));
    }
}
