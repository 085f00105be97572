//! Models that have changed since the router was trained.

use super::SimulatedModelProfile;
use crate::household::HouseholdError;

/// How a model differs from its profile. Part of the simulated world: no real model was seen to change in just this way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelShift {
    /// Added to the log-odds of every skill chance: above 0 a better model, below 0 a worse one. -4 to 4.
    pub ability: f32,
    /// Chance per call that the answer is of no use. 0 to 1.
    pub failure_rate: f32,
    /// Factor on the time of every call. Above 0, at most 1,000.
    pub latency_factor: f32,
}

impl Default for ModelShift {
    /// The model as it was.
    fn default() -> Self {
        Self { ability: 0.0, failure_rate: 0.0, latency_factor: 1.0 }
    }
}

impl ModelShift {
    /// The profile of the changed model.
    ///
    /// # Errors
    /// [`HouseholdError::Profile`] for a figure that is out of its range.
    pub fn apply(&self, profile: SimulatedModelProfile) -> Result<SimulatedModelProfile, HouseholdError> {
        let error = |field, found: f32, expected| HouseholdError::Profile {
            profile: profile.name.to_string(),
            field,
            found: f64::from(found),
            expected,
        };
        if !(-4.0..=4.0).contains(&self.ability) {
            return Err(error("ability", self.ability, "log-odds from -4 to 4"));
        }
        if !(self.latency_factor > 0.0 && self.latency_factor <= 1_000.0) {
            return Err(error("latency_factor", self.latency_factor, "a factor above 0, at most 1,000"));
        }
        let shifted = SimulatedModelProfile {
            skills: profile.skills.map(|chance| self.shift_chance(chance)),
            text_skills: profile.text_skills.map(|chance| self.shift_chance(chance)),
            failure_rate: self.failure_rate,
            latency_ms: profile.latency_ms * self.latency_factor,
            token_latency_ms: profile.token_latency_ms * self.latency_factor,
            ..profile
        };
        shifted.validate()?;
        Ok(shifted)
    }

    fn shift_chance(&self, chance: f32) -> f32 {
        if self.ability == 0.0 {
            return chance;
        }
        let odds = chance / (1.0 - chance) * self.ability.exp();
        odds / (1.0 + odds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Skill;
    use super::*;

    #[test]
    fn a_model_that_has_not_changed_keeps_its_profile() {
        let profile = SimulatedModelProfile::small();
        assert_eq!(ModelShift::default().apply(profile.clone()).unwrap(), profile);
    }

    #[test]
    fn ability_moves_every_chance_by_its_log_odds() {
        let better =
            ModelShift { ability: 1.0, ..ModelShift::default() }.apply(SimulatedModelProfile::small()).unwrap();
        // 0.36 is odds of 0.5625; times e they are 1.529, a chance of 0.6046.
        assert!((better.skill(Skill::Discriminate) - 0.6046).abs() < 1e-4);
        let skills = SimulatedModelProfile::small().skills;
        assert!(better.skills.iter().zip(skills).all(|(&now, before)| before < now && now < 1.0));
    }

    #[track_caller]
    fn check_refused(shift: ModelShift, expected: &str) {
        assert_eq!(shift.apply(SimulatedModelProfile::large()).unwrap_err().to_string(), expected);
    }

    #[test]
    fn figures_out_of_range_are_named() {
        let plain = ModelShift::default();
        check_refused(
            ModelShift { ability: 5.0, ..plain },
            "simulated profile `large`: `ability` is 5, expected log-odds from -4 to 4",
        );
        check_refused(
            ModelShift { failure_rate: 20.0, ..plain },
            "simulated profile `large`: `failure_rate` is 20, expected a chance from 0 to 1",
        );
        check_refused(
            ModelShift { latency_factor: 0.0, ..plain },
            "simulated profile `large`: `latency_factor` is 0, expected a factor above 0, at most 1,000",
        );
    }
}
