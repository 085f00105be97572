//! Budgets, what is left of them, and the actions they leave.

use std::fmt;

use crate::{ModelIndex, NanoUsd};

/// A hard limit on one episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Budget {
    /// No limit: only `lambda` weighs the cost.
    Unlimited,
    /// At most this many calls of the large model.
    LargeCalls(u32),
    /// At most this much money.
    Usd(NanoUsd),
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("no cap"),
            Self::LargeCalls(calls) => write!(f, "{calls} large calls"),
            Self::Usd(amount) => amount.fmt(f),
        }
    }
}

/// A cap on large calls, and how many of them are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallAllowance {
    /// The cap of the episode.
    pub cap: u32,
    /// Calls that are still allowed.
    pub remaining: u32,
}

/// A cap on money, and how much of it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsdAllowance {
    /// The cap of the episode.
    pub cap: NanoUsd,
    /// What is neither spent nor reserved.
    pub remaining: NanoUsd,
}

/// What a policy knows of the operating point: how much cost weighs, and what is left of each cap.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BudgetView {
    /// Weight of the cost against success: the reward is `success - lambda * normalised cost`. 0 or more.
    pub lambda: f32,
    /// The cap on large calls, if there is one.
    pub large_calls: Option<CallAllowance>,
    /// The cap on money, if there is one.
    pub usd: Option<UsdAllowance>,
}

/// The set of actions that are allowed at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActionMask(u8);

impl ActionMask {
    /// No action at all.
    pub const NONE: Self = Self(0);

    /// The first `n` actions, small first.
    #[must_use]
    pub const fn first(n: usize) -> Self {
        Self(((1_u16 << n) - 1) as u8)
    }

    /// The same set with `action` in it.
    #[must_use]
    pub const fn with(self, action: ModelIndex) -> Self {
        Self(self.0 | 1 << action.get())
    }

    /// The same set without `action`.
    #[must_use]
    pub const fn without(self, action: ModelIndex) -> Self {
        Self(self.0 & !(1 << action.get()))
    }

    /// Whether `action` is allowed.
    #[must_use]
    pub const fn allows(self, action: ModelIndex) -> bool {
        self.0 & 1 << action.get() != 0
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many actions are allowed.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The allowed actions, small first.
    pub fn iter(self) -> impl Iterator<Item = ModelIndex> {
        (0..8).map(ModelIndex::new).filter(move |&action| self.allows(action))
    }

    /// The allowed action that is nearest to `wanted`: itself, else the dearest below it, else the cheapest above it.
    #[must_use]
    pub fn nearest(self, wanted: ModelIndex) -> Option<ModelIndex> {
        let below = self.iter().take_while(|&action| action <= wanted).last();
        below.or_else(|| self.iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_prefers_the_dearest_model_below_the_wanted_one() {
        let [small, medium, large] = [0, 1, 2].map(ModelIndex::new);
        let all = ActionMask::first(3);
        assert_eq!(all.nearest(large), Some(large));
        assert_eq!(all.without(large).nearest(large), Some(medium));
        assert_eq!(ActionMask::NONE.with(large).nearest(small), Some(large));
        assert_eq!(ActionMask::NONE.nearest(small), None);
    }

    #[test]
    fn masks_count_and_list_their_actions() {
        let mask = ActionMask::first(8).without(ModelIndex::new(3));
        assert_eq!(mask.len(), 7);
        assert_eq!(mask.iter().map(ModelIndex::get).collect::<Vec<_>>(), [0, 1, 2, 4, 5, 6, 7]);
    }
}
