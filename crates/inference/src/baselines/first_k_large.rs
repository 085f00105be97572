//! Spend the large calls at once.

use tollgate_rollout::AlwaysLarge;
use tollgate_routing::Budget;

use crate::BudgetConstrained;

/// The large model for the first `k` steps, then the dearest model below it: always-large under a cap of `k` large calls.
#[must_use]
pub fn first_k_large(k: u32, lambda: f32) -> BudgetConstrained<AlwaysLarge> {
    BudgetConstrained::new(AlwaysLarge, Budget::LargeCalls(k), lambda)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_arena::{TestArena, actions, play};

    #[test]
    fn the_first_k_steps_are_large_and_the_rest_is_the_next_below() {
        assert_eq!(actions(&play(&TestArena::new(2), &mut first_k_large(3, 0.0), 1)), [1, 1, 1, 0, 0, 0, 0, 0]);
        assert_eq!(actions(&play(&TestArena::new(3), &mut first_k_large(2, 0.0), 1)), [2, 2, 1, 1, 1, 1, 1, 1]);
    }
}
