//! Features of logged episodes: what the policy would have seen, had it been there.

use tollgate_policy::{FeatureConfig, RouterFeatures};
use tollgate_rollout::RoutingContext;
use tollgate_routing::{
    ActionMask, Budget, BudgetView, CallAllowance, Episode, ModelIndex, ModelPool, NanoUsd, Turn, UsdAllowance,
};

use crate::OperatingPoint;
use crate::batch::StepRows;

/// Rows for the steps of a logged episode, as if it had been played at `point`. Each row's action is the logged one.
/// Steps after the point's cap is used up are left out: nobody could have been there.
pub(crate) fn replay(episode: &Episode, point: OperatingPoint, pool: &ModelPool, config: FeatureConfig) -> StepRows {
    let mut extractor = RouterFeatures::new(config);
    extractor.begin(&episode.task);
    let turns: Vec<Turn> = episode.steps.iter().map(|step| step.turn.clone()).collect();
    let mut rows = StepRows::new(config.n_features(), config.n_models);
    let mut features = Vec::with_capacity(config.n_features());
    let mut account = Account { point, n_large: 0, spent: NanoUsd::ZERO };
    for (step_idx, turn) in turns.iter().enumerate() {
        let Some(budget) = account.view() else { break };
        let allowed = account.allowed(pool);
        if !allowed.allows(turn.action) {
            break;
        }
        let context = RoutingContext {
            task: &episode.task,
            turns: &turns[..step_idx],
            observation: &turn.observation,
            pool,
            quotes: &[],
            budget,
            allowed,
        };
        extractor.extract(&context, &mut features);
        rows.push(&features, turn.action, allowed);
        account.settle(turn, pool.large());
    }
    rows
}

/// What is left of the caps along a logged episode.
struct Account {
    point: OperatingPoint,
    n_large: u32,
    spent: NanoUsd,
}

impl Account {
    /// `None` once more was spent than the cap allows.
    fn view(&self) -> Option<BudgetView> {
        let mut view = BudgetView { lambda: self.point.lambda, ..BudgetView::default() };
        match self.point.budget {
            Budget::Unlimited => {}
            Budget::LargeCalls(cap) => {
                view.large_calls = Some(CallAllowance { cap, remaining: cap.saturating_sub(self.n_large) });
            }
            Budget::Usd(cap) => view.usd = Some(UsdAllowance { cap, remaining: cap.checked_sub(self.spent)? }),
        }
        Some(view)
    }

    fn allowed(&self, pool: &ModelPool) -> ActionMask {
        match self.point.budget {
            Budget::LargeCalls(cap) if self.n_large >= cap => pool.all().without(pool.large()),
            _ => pool.all(),
        }
    }

    fn settle(&mut self, turn: &Turn, large: ModelIndex) {
        self.n_large += u32::from(turn.action == large);
        self.spent += turn.cost;
    }
}
