//! Which policy is played under which budget.

use tollgate_inference::Cell;
use tollgate_routing::{Budget, NanoUsd};

use super::players::Player;
use crate::config::EvaluateConfig;
use crate::figures::family_of;

/// Every cell of the evaluation, in the order in which they are written. `large_cost` is always-large's mean cost: the
/// caps in money are shares of it.
pub(crate) fn cells(players: &[Player<'_>], config: &EvaluateConfig, large_cost: NanoUsd) -> Vec<Cell> {
    let caps = caps(config, large_cost);
    players.iter().flat_map(|player| player_cells(player, config, &caps)).collect()
}

fn player_cells(player: &Player<'_>, config: &EvaluateConfig, caps: &[Budget]) -> Vec<Cell> {
    let uncapped: &[f32] = match (player.plays.uncapped, player.is_conditioned) {
        (false, _) => &[],
        (true, false) => &[0.0],
        (true, true) => &config.lambdas,
    };
    let uncapped = uncapped.iter().map(|&lambda| cell(player, lambda, Budget::Unlimited));
    let lambda = if player.is_conditioned { config.capped_lambda } else { 0.0 };
    let is_played = |budget: &Budget| match budget {
        Budget::Unlimited => false,
        Budget::LargeCalls(_) => player.plays.capped_in_calls,
        Budget::Usd(_) => player.plays.capped_in_usd,
    };
    let capped = caps.iter().copied().filter(is_played).map(|budget| cell(player, lambda, budget));
    uncapped.chain(capped).collect()
}

fn cell(player: &Player<'_>, lambda: f32, budget: Budget) -> Cell {
    Cell {
        policy_id: player.policy_id.clone(),
        family: family_of(&player.policy_id).into(),
        lambda,
        budget,
        train_seed: player.train_seed,
    }
}

/// The hard caps: calls first, then money.
fn caps(config: &EvaluateConfig, large_cost: NanoUsd) -> Vec<Budget> {
    let calls = config.large_call_caps.iter().map(|&cap| Budget::LargeCalls(cap));
    let usd = config.usd_cap_shares.iter().map(|share| {
        // A cap is a round figure, not a bill: the last bit of a float is of no matter.
        Budget::Usd(NanoUsd::new((large_cost.get() as f64 * share).round() as u64))
    });
    calls.chain(usd).collect()
}

#[cfg(test)]
mod tests {
    use tollgate_rollout::AlwaysSmall;

    use super::*;

    #[test]
    fn a_conditioned_policy_plays_every_lambda_without_cap_and_one_under_each_cap() {
        let config = EvaluateConfig {
            lambdas: vec![0.1, 0.3],
            large_call_caps: vec![2],
            usd_cap_shares: vec![0.5],
            ..EvaluateConfig::default()
        };
        let points = |player: Player<'_>| -> Vec<(f32, Budget)> {
            cells(&[player], &config, NanoUsd::new(1_001)).iter().map(|cell| (cell.lambda, cell.budget)).collect()
        };
        let [calls, usd] = [Budget::LargeCalls(2), Budget::Usd(NanoUsd::new(501))];
        assert_eq!(
            points(Player::new("p", || AlwaysSmall).conditioned()),
            [(0.1, Budget::Unlimited), (0.3, Budget::Unlimited), (0.0, calls), (0.0, usd)]
        );
        assert_eq!(points(Player::new("p", || AlwaysSmall)), [(0.0, Budget::Unlimited), (0.0, calls), (0.0, usd)]);
    }
}
