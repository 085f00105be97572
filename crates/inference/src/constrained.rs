//! A policy made to obey a hard budget.

use tollgate_ledger::{Ledger, LedgerError, Reservation};
use tollgate_rollout::{CallQuote, PolicyError, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::{
    ActionMask, Budget, BudgetView, CallAllowance, Ending, ModelIndex, ModelPool, NanoUsd, Task, Turn, UsdAllowance,
};

/// Plays `policy` within a budget that no episode can exceed, whatever the policy does.
///
/// Before each step the actions that do not fit are masked, and the policy is shown `lambda` and what is left:
/// - a cap of K large calls allows exactly K calls of the pool's last model;
/// - a cap in money allows the models whose worst case ([`CallQuote::worst_case`]) fits into what is left. The worst case of
///   the chosen one is reserved before the call, and settled at its true cost after it.
///
/// If nothing fits, the episode ends with [`Ending::BudgetExhausted`] before any call, and the policy is not asked.
///
/// A choice outside the mask is an error, not a silent change of mind (our design): the policy was shown the mask, its
/// `log_prob` would be that of another action, and no call has been made yet. A call that no one settles counts as spent. One that
/// costs more than was reserved is an error at the next step; after an episode's last call nobody asks, and it shows where the cap was
/// passed, which every evaluation checks.
///
/// Wrappers nest: what an outer one masks stays masked, and the policy sees both caps.
#[derive(Debug)]
pub struct BudgetConstrained<P> {
    policy: P,
    budget: Budget,
    lambda: f32,
    large_calls: u32,
    ledger: Option<Ledger>,
    reservation: Option<Reservation>,
    overrun: Option<LedgerError>,
}

impl<P: RoutingPolicy> BudgetConstrained<P> {
    /// `policy` within `budget` per episode, conditioned on `lambda`.
    #[must_use]
    pub fn new(policy: P, budget: Budget, lambda: f32) -> Self {
        Self { policy, budget, lambda, large_calls: 0, ledger: ledger_of(budget), reservation: None, overrun: None }
    }

    /// The policy inside.
    #[must_use]
    pub fn into_inner(self) -> P {
        self.policy
    }

    fn view(&self, outer: BudgetView) -> BudgetView {
        let mut view = BudgetView { lambda: self.lambda, ..outer };
        if let Budget::LargeCalls(cap) = self.budget {
            view.large_calls = Some(CallAllowance { cap, remaining: cap.saturating_sub(self.large_calls) });
        }
        if let Some(ledger) = &self.ledger {
            view.usd = Some(UsdAllowance { cap: ledger.limit(), remaining: ledger.remaining() });
        }
        view
    }

    fn mask(&self, context: &RoutingContext<'_>) -> ActionMask {
        match (self.budget, &self.ledger) {
            (Budget::LargeCalls(cap), _) if self.large_calls >= cap => context.allowed.without(context.pool.large()),
            (_, Some(ledger)) => {
                let remaining = ledger.remaining();
                context
                    .allowed
                    .iter()
                    .filter(|&model| worst_case(context.pool, context.quotes, model) <= remaining)
                    .fold(ActionMask::NONE, ActionMask::with)
            }
            _ => context.allowed,
        }
    }

    fn reserve(&mut self, context: &RoutingContext<'_>, action: ModelIndex) -> Result<(), LedgerError> {
        if action == context.pool.large() {
            self.large_calls += 1;
        }
        if let Some(ledger) = &self.ledger {
            self.reservation = Some(ledger.reserve(worst_case(context.pool, context.quotes, action))?);
        }
        Ok(())
    }
}

impl<P: RoutingPolicy> RoutingPolicy for BudgetConstrained<P> {
    fn begin(&mut self, task: &Task, seed: u64) {
        self.large_calls = 0;
        self.ledger = ledger_of(self.budget);
        self.reservation = None;
        self.overrun = None;
        self.policy.begin(task, seed);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        if let Some(LedgerError::AboveReservation { actual, reserved }) = self.overrun.take() {
            return Err(PolicyError::AboveReservation { step_idx: context.turns.len(), actual, reserved });
        }
        self.reservation = None;
        let allowed = self.mask(context);
        if allowed.is_empty() {
            return Ok(Verdict::Stop(Ending::BudgetExhausted));
        }
        let narrowed = RoutingContext { budget: self.view(context.budget), allowed, ..*context };
        let decision = match self.policy.decide(&narrowed)? {
            Verdict::Call(decision) => decision,
            stop @ Verdict::Stop(_) => return Ok(stop),
        };
        if !allowed.allows(decision.action) {
            return Err(disallowed(&narrowed, decision.action));
        }
        Ok(match self.reserve(context, decision.action) {
            Ok(()) => Verdict::Call(decision),
            Err(_does_not_fit) => Verdict::Stop(Ending::BudgetExhausted),
        })
    }

    fn settle(&mut self, turn: &Turn) {
        if let Some(reservation) = self.reservation.take() {
            self.overrun = reservation.settle(turn.cost).err();
        }
        self.policy.settle(turn);
    }
}

fn ledger_of(budget: Budget) -> Option<Ledger> {
    match budget {
        Budget::Usd(limit) => Some(Ledger::new(limit)),
        Budget::Unlimited | Budget::LargeCalls(_) => None,
    }
}

/// A model without a quote never fits.
fn worst_case(pool: &ModelPool, quotes: &[CallQuote], model: ModelIndex) -> NanoUsd {
    quotes.get(model.get()).map_or(NanoUsd::new(u64::MAX), |quote| quote.worst_case(&pool.model(model).prices))
}

fn disallowed(context: &RoutingContext<'_>, action: ModelIndex) -> PolicyError {
    let name = |model: ModelIndex| match context.pool.iter().nth(model.get()) {
        Some((_, model)) => model.id.to_string(),
        None => format!("number {} of a pool of {}", model.get(), context.pool.len()),
    };
    PolicyError::Disallowed {
        model: name(action),
        step_idx: context.turns.len(),
        allowed: context.allowed.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
#[path = "constrained_tests.rs"]
mod tests;
