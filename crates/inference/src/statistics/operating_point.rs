//! Which lambda to run with: chosen on validation tasks, reported on others.

use std::cmp::Ordering;
use std::sync::Arc;

use tollgate_routing::Budget;

use super::bootstrap::{Estimate, Resamples, mean};
use super::outcomes::{Boundaries, Metric, OutcomeGroup};
use crate::InferenceError;

/// What an operating point has to keep of always-large's success.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatingPointRule {
    /// The share to keep, above 0.
    pub success_share: f64,
    /// By how many standard errors of the paired difference the success has to clear that share, 0 or more: validation
    /// tasks are few, and the cheapest point that just clears the share there falls short of it elsewhere half of the time.
    pub margin_standard_errors: f64,
}

impl Default for OperatingPointRule {
    fn default() -> Self {
        Self { success_share: 0.97, margin_standard_errors: 0.0 }
    }
}

/// The chosen operating point.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatingPoint {
    /// The policy, with its parameter.
    pub policy_id: Arc<str>,
    /// Weight of the cost, shown to the policy.
    pub lambda: f32,
    /// The hard limit.
    pub budget: Budget,
    /// Whether it is what was asked for. If no candidate is, the one that comes nearest is chosen.
    pub is_met: bool,
    /// Its success as a share of always-large's, on the tasks it was chosen on.
    pub success_of_large: f64,
    /// Its mean cost as a share of always-large's, on the tasks it was chosen on.
    pub cost_of_large: f64,
}

/// A policy measured against always-large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RelativeToLarge {
    /// Its success as a share of always-large's.
    pub success_of_large: Estimate,
    /// Its mean cost as a share of always-large's.
    pub cost_of_large: Estimate,
}

/// The cheapest of `candidates` that keeps what `rule` asks for; all are outcomes on validation tasks. If none does, the most
/// successful.
///
/// # Errors
/// [`InferenceError::NoEpisodes`] without candidates, [`InferenceError::Setting`] for a rule outside its range.
pub fn choose_operating_point(
    candidates: &[&OutcomeGroup],
    boundaries: &Boundaries<'_>,
    rule: &OperatingPointRule,
) -> Result<OperatingPoint, InferenceError> {
    check("success_share", rule.success_share, "above 0", rule.success_share > 0.0)?;
    check("margin_standard_errors", rule.margin_standard_errors, "0 or more", rule.margin_standard_errors >= 0.0)?;
    let large = boundaries.large();
    choose(candidates, large, |group| keeps(group, large, rule), by_cost, by_success)
}

/// The most successful of `candidates` whose mean cost is at most `cost_share` of always-large's; all are outcomes on validation tasks.
/// If none is that cheap, the cheapest, which is then not met.
///
/// # Errors
/// [`InferenceError::NoEpisodes`] without candidates, [`InferenceError::Setting`] for a share that is not above 0.
pub fn choose_within_cost(
    candidates: &[&OutcomeGroup],
    boundaries: &Boundaries<'_>,
    cost_share: f64,
) -> Result<OperatingPoint, InferenceError> {
    check("cost_share", cost_share, "above 0", cost_share > 0.0)?;
    let large = boundaries.large();
    let most = cost_share * cost(large) * (1.0 + ROUNDING);
    choose(candidates, large, |group| cost(group) <= most, by_success, by_cost)
}

fn check(name: &'static str, value: f64, expected: &'static str, is_good: bool) -> Result<(), InferenceError> {
    if is_good { Ok(()) } else { Err(InferenceError::Setting { name, value, expected }) }
}

type Order = fn(&OutcomeGroup, &OutcomeGroup) -> Ordering;

/// The first by `order` of those that are as asked, or of all by `order_of_rest` where none is.
fn choose(
    candidates: &[&OutcomeGroup],
    large: &OutcomeGroup,
    is_as_asked: impl Fn(&OutcomeGroup) -> bool,
    order: Order,
    order_of_rest: Order,
) -> Result<OperatingPoint, InferenceError> {
    let asked = candidates.iter().filter(|group| is_as_asked(group)).min_by(|left, right| order(left, right));
    let rest = || candidates.iter().min_by(|left, right| order_of_rest(left, right));
    let chosen = asked.or_else(rest).ok_or(InferenceError::NoEpisodes)?;
    Ok(OperatingPoint {
        policy_id: chosen.policy_id.clone(),
        lambda: chosen.lambda,
        budget: chosen.budget,
        is_met: asked.is_some(),
        success_of_large: success(chosen) / success(large),
        cost_of_large: cost(chosen) / cost(large),
    })
}

fn cost(group: &OutcomeGroup) -> f64 {
    group.mean(Metric::CostUsd)
}

fn success(group: &OutcomeGroup) -> f64 {
    group.mean(Metric::Value)
}

/// The cheaper first, of equally cheap ones the more successful.
fn by_cost(left: &OutcomeGroup, right: &OutcomeGroup) -> Ordering {
    cost(left).total_cmp(&cost(right)).then(success(right).total_cmp(&success(left)))
}

/// The more successful first, of equally successful ones the cheaper.
fn by_success(left: &OutcomeGroup, right: &OutcomeGroup) -> Ordering {
    success(right).total_cmp(&success(left)).then(cost(left).total_cmp(&cost(right)))
}

/// Success and cost of `group` as shares of always-large's, resampled together; for the test tasks.
///
/// # Errors
/// [`InferenceError::ResampledTasks`] when the resamples are not of their tasks.
pub fn relative_to_large(
    group: &OutcomeGroup,
    boundaries: &Boundaries<'_>,
    resamples: &Resamples,
) -> Result<RelativeToLarge, InferenceError> {
    let large = boundaries.large();
    group.check(resamples)?;
    large.check(resamples)?;
    let ratio = |metric: Metric| {
        let own = resamples.means(group.per_task(metric));
        let of_large = resamples.means(large.per_task(metric));
        let ratios = own.into_iter().zip(of_large).map(|(own, of_large)| own / of_large).collect();
        resamples.estimate(group.mean(metric) / large.mean(metric), ratios)
    };
    Ok(RelativeToLarge { success_of_large: ratio(Metric::Value), cost_of_large: ratio(Metric::CostUsd) })
}

/// Whether the mean over tasks of `success - share * large's success` clears 0 by the margin.
fn keeps(group: &OutcomeGroup, large: &OutcomeGroup, rule: &OperatingPointRule) -> bool {
    let surplus: Vec<f64> = group
        .per_task(Metric::Value)
        .iter()
        .zip(large.per_task(Metric::Value))
        .map(|(own, of_large)| own - rule.success_share * of_large)
        .collect();
    let surplus_mean = mean(&surplus);
    let variance = surplus.iter().map(|value| (value - surplus_mean).powi(2)).sum::<f64>()
        / surplus.len().saturating_sub(1).max(1) as f64;
    let standard_error = (variance / surplus.len() as f64).sqrt();
    surplus_mean >= rule.margin_standard_errors * standard_error - ROUNDING
}

/// A policy that keeps exactly the share must not miss it by the last bit of a mean.
const ROUNDING: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use super::super::test_outcomes::table;
    use super::*;

    /// `n_solved` of 10 tasks, all for the same price.
    fn solving(n_solved: usize, cost_usd: u64) -> Vec<(bool, u64)> {
        (0..10).map(|task| (task < n_solved, cost_usd)).collect()
    }

    /// Checks what is chosen from 8, 7 and 6 of 10 solved for 6, 4 and 2 dollars, where always-large solves 8 for 10.
    #[track_caller]
    fn check_chosen(
        choose: impl Fn(&[&OutcomeGroup], &Boundaries<'_>) -> Result<OperatingPoint, InferenceError>,
        lambda: f32,
        is_met: bool,
    ) {
        let outcomes: Vec<_> =
            [(4, 1), (8, 10), (8, 6), (7, 4), (6, 2)].map(|(solved, cost)| solving(solved, cost)).into();
        let table = table(&[
            ("always-small", 0.0, &outcomes[0]),
            ("always-large", 0.0, &outcomes[1]),
            ("bopo", 0.1, &outcomes[2]),
            ("bopo", 0.3, &outcomes[3]),
            ("bopo", 0.6, &outcomes[4]),
        ]);
        let chosen = choose(&table.family("bopo"), &table.boundaries().unwrap()).unwrap();
        assert_eq!((chosen.lambda, chosen.is_met), (lambda, is_met));
    }

    #[track_caller]
    fn check(rule: OperatingPointRule, lambda: f32, is_met: bool) {
        check_chosen(|candidates, boundaries| choose_operating_point(candidates, boundaries, &rule), lambda, is_met);
    }

    #[track_caller]
    fn check_within(cost_share: f64, lambda: f32, is_met: bool) {
        check_chosen(|candidates, boundaries| choose_within_cost(candidates, boundaries, cost_share), lambda, is_met);
    }

    #[test]
    fn the_most_successful_point_within_the_cost_is_chosen() {
        check_within(1.0, 0.1, true);
        check_within(0.5, 0.3, true);
        // 4 of 10 dollars is exactly 0.4.
        check_within(0.4, 0.3, true);
        check_within(0.39, 0.6, true);
    }

    #[test]
    fn without_a_point_within_the_cost_the_cheapest_one_is_chosen() {
        check_within(0.1, 0.6, false);
    }

    fn rule(success_share: f64, margin_standard_errors: f64) -> OperatingPointRule {
        OperatingPointRule { success_share, margin_standard_errors }
    }

    #[test]
    fn the_cheapest_point_that_keeps_the_share_is_chosen() {
        check(rule(0.97, 0.0), 0.1, true);
        check(rule(0.8, 0.0), 0.3, true);
        // 6 of 8 is exactly 0.75.
        check(rule(0.75, 0.0), 0.6, true);
    }

    #[test]
    fn a_margin_asks_for_more_than_the_share() {
        // Surplus of lambda 0.3: 0.2 on 7 tasks, -0.8 on one, 0 on two; mean 0.06, standard error 0.097.
        check(rule(0.8, 1.0), 0.1, true);
        check(rule(0.8, 0.5), 0.3, true);
    }

    #[test]
    fn without_a_point_that_keeps_the_share_the_most_successful_one_is_chosen() {
        check(rule(1.1, 0.0), 0.1, false);
    }

    #[test]
    fn shares_of_large_are_ratios_of_means() {
        let (large, own) = (solving(8, 10), solving(6, 4));
        let table = table(&[("always-small", 0.0, &own), ("always-large", 0.0, &large), ("bopo", 0.3, &own)]);
        let resamples = Resamples::draw(10, 500, 0.95, 1).unwrap();
        let relative = relative_to_large(&table.groups()[2], &table.boundaries().unwrap(), &resamples).unwrap();
        assert!((relative.success_of_large.value - 0.75).abs() < 1e-12);
        assert!((relative.cost_of_large.value - 0.4).abs() < 1e-12);
        assert!((relative.cost_of_large.low - 0.4).abs() < 1e-12 && relative.success_of_large.low < 0.75);
    }
}
