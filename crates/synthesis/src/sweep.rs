//! Which mixed rollouts to play on a task, so that the cheapest success among them is cheap.

use std::fmt;

use crate::SynthesisError;

/// One rollout of the sweep: at every step, model `i` is called with probability `probabilities[i]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRollout {
    /// Position in the sweep, 1 to `n`.
    pub k: u32,
    /// Rollouts of the sweep.
    pub n: u32,
    /// Probability of each model, small first; they add up to 1.
    pub probabilities: Vec<f64>,
}

/// The policy's id: `sweep-<k>-of-<n>`.
impl fmt::Display for SweepRollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sweep-{}-of-{}", self.k, self.n)
    }
}

/// The `n_rollouts` mixed rollouts of a task, one per stratum `q = k/N`, k = 1..=N. With two models that is
/// `P(large) = k/N` as published; k = 0 is left to the boundary probes.
///
/// With more models (our design) each of the `n_models - 1` rungs above small is climbed with probability `q`, so the model
/// is binomial: every model has its turn, the mean rung grows evenly along the sweep, and both ends are pure.
///
/// # Errors
/// [`SynthesisError::Setting`] without rollouts or with fewer than two models.
pub fn sweep_plan(n_rollouts: u32, n_models: usize) -> Result<Vec<SweepRollout>, SynthesisError> {
    if n_rollouts == 0 {
        return Err(SynthesisError::Setting { name: "sweep_rollouts", value: 0.0, expected: "1 or more" });
    }
    if n_models < 2 {
        return Err(SynthesisError::Setting { name: "n_models", value: n_models as f64, expected: "2 or more" });
    }
    Ok((1..=n_rollouts)
        .map(|k| SweepRollout {
            k,
            n: n_rollouts,
            probabilities: binomial(n_models - 1, f64::from(k) / f64::from(n_rollouts)),
        })
        .collect())
}

/// Probability of 0 to `n_trials` successes, by Pascal's rule one trial at a time.
fn binomial(n_trials: usize, q: f64) -> Vec<f64> {
    let mut probabilities = vec![0.0; n_trials + 1];
    probabilities[0] = 1.0;
    for trial in 0..n_trials {
        for successes in (0..=trial).rev() {
            let stay = probabilities[successes];
            probabilities[successes + 1] += stay * q;
            probabilities[successes] = stay * (1.0 - q);
        }
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_models_sweep_the_share_of_large_in_even_strata() {
        let plan = sweep_plan(10, 2).unwrap();
        let shares: Vec<f64> = plan.iter().map(|rollout| rollout.probabilities[1]).collect();
        assert_eq!(shares, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]);
        assert_eq!(plan[2].to_string(), "sweep-3-of-10");
    }

    #[test]
    fn three_models_are_all_covered_and_both_ends_are_pure() {
        let plan = sweep_plan(4, 3).unwrap();
        assert_eq!(plan[1].probabilities, [0.25, 0.5, 0.25]);
        assert_eq!(plan[3].probabilities, [0.0, 0.0, 1.0]);
        for rollout in sweep_plan(10, 5).unwrap() {
            assert!((rollout.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn an_empty_sweep_is_refused() {
        assert_eq!(
            sweep_plan(0, 2).unwrap_err().to_string().lines().next(),
            Some("`sweep_rollouts` is 0, expected 1 or more")
        );
    }
}
