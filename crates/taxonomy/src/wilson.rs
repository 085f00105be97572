//! How far a success rate may be from what a few probes show.

/// An interval of success rates, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `rate` lies strictly inside.
    #[must_use]
    pub fn straddles(&self, rate: f64) -> bool {
        self.low < rate && rate < self.high
    }
}

/// Wilson's score interval for `successes` out of `trials`, `z` standard errors wide on each side; 0 to 1 without trials.
///
/// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
/// Statistical Association 22 (1927): `(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`. Unlike the normal
/// approximation it is not of zero width at 0 or n successes, which is where five probes mostly are.
#[must_use]
pub fn wilson_interval(successes: u32, trials: u32, z: f64) -> Interval {
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let n = f64::from(trials);
    let p = f64::from(successes) / n;
    let z_squared = z * z;
    let scale = 1.0 + z_squared / n;
    let center = (p + z_squared / (2.0 * n)) / scale;
    let half_width = z / scale * (p * (1.0 - p) / n + z_squared / (4.0 * n * n)).sqrt();
    Interval { low: (center - half_width).max(0.0), high: (center + half_width).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(successes: u32, trials: u32, z: f64, low: f64, high: f64) {
        let interval = wilson_interval(successes, trials, z);
        assert!((interval.low - low).abs() < 5e-4 && (interval.high - high).abs() < 5e-4, "{interval:?}");
    }

    #[test]
    fn wilson_intervals_match_values_computed_by_hand() {
        // At 0 of n the upper end is z^2 / (n + z^2); at n of n the lower end is n / (n + z^2).
        check(0, 5, 1.96, 0.0, 0.4345);
        check(5, 5, 1.96, 0.5655, 1.0);
        check(4, 5, 1.2816, 0.5135, 0.9381);
        check(5, 10, 1.96, 0.2366, 0.7634);
        check(0, 0, 1.96, 0.0, 1.0);
    }
}
