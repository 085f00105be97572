//! The pool of models that a router chooses from.

use std::sync::Arc;

use thiserror::Error;

use crate::{ActionMask, Prices, TokenPrice};

/// What is wrong with a pool of models.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PoolError {
    /// A price that no whole number of pico-dollars per token is.
    #[error(
        "price `{bucket}` is ${usd_per_million} per million tokens, expected a whole number of pico-dollars per token, 0 or more\nhint: $0.40 per million tokens is 400,000 pico-dollars per token; the smallest step is $0.000001 per million"
    )]
    Price {
        /// The bucket of token usage that the price is for.
        bucket: &'static str,
        /// The refused price.
        usd_per_million: f64,
    },
    /// A model that would be free, which is far more often a forgotten price than a gift.
    #[error(
        "model `{model}` has no price for input or output, expected both above 0\nhint: an unpriced model would pass every budget; give its prices in dollars per million tokens"
    )]
    Unpriced {
        /// The model's id.
        model: String,
    },
    /// A model id that is empty.
    #[error("a model has an empty id\nhint: give the name that its endpoint knows it by")]
    EmptyId,
    /// Two models of one name.
    #[error("model `{model}` is in the pool twice\nhint: give each entry an id of its own")]
    Duplicate {
        /// The repeated id.
        model: String,
    },
    /// Too few or too many models.
    #[error("the pool has {found} models, expected 2 to {}", ModelPool::MAX_MODELS)]
    Size {
        /// How many models were given.
        found: usize,
    },
    /// Models that are not ordered by price.
    #[error(
        "model `{cheaper}` comes after `{dearer}` but its output price is lower\nhint: order the pool by price; the first model is `small`, the last is `large`"
    )]
    Order {
        /// The model that comes first and costs more.
        dearer: String,
        /// The model that comes second and costs less.
        cheaper: String,
    },
}

/// One model of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name that its endpoint knows it by.
    pub id: Arc<str>,
    /// What its tokens cost.
    pub prices: Prices,
}

impl Model {
    /// A model with a name and a price.
    ///
    /// # Errors
    /// [`PoolError::EmptyId`], or [`PoolError::Unpriced`] when input or output cost nothing.
    pub fn new(id: &str, prices: Prices) -> Result<Self, PoolError> {
        if id.is_empty() {
            return Err(PoolError::EmptyId);
        }
        if prices.output == TokenPrice::ZERO || prices.input == TokenPrice::ZERO {
            return Err(PoolError::Unpriced { model: id.to_owned() });
        }
        Ok(Self { id: Arc::from(id), prices })
    }
}

/// The router's action: the position of a model in its pool. 0 is the small model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelIndex(u8);

impl ModelIndex {
    /// The small boundary model, in every pool.
    pub const SMALL: Self = Self(0);

    /// The index at `position` of a pool.
    ///
    /// # Panics
    /// When `position` is beyond every pool ([`ModelPool::MAX_MODELS`]).
    #[must_use]
    pub const fn new(position: usize) -> Self {
        assert!(position < ModelPool::MAX_MODELS, "a pool has at most 8 models");
        Self(position as u8)
    }

    /// The position in the pool.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// The models that a router chooses from, ordered by price. The first is `small`, the last is `large`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPool {
    models: Vec<Model>,
}

impl ModelPool {
    /// The most models that a pool can hold.
    pub const MAX_MODELS: usize = 8;

    /// A pool of 2 to [`Self::MAX_MODELS`] models, ordered by output price.
    ///
    /// # Errors
    /// A [`PoolError`] for a wrong number of models, a repeated id, or a wrong order.
    pub fn new(models: Vec<Model>) -> Result<Self, PoolError> {
        if !(2..=Self::MAX_MODELS).contains(&models.len()) {
            return Err(PoolError::Size { found: models.len() });
        }
        for (position, model) in models.iter().enumerate() {
            if models[..position].iter().any(|earlier| earlier.id == model.id) {
                return Err(PoolError::Duplicate { model: model.id.to_string() });
            }
        }
        for pair in models.windows(2) {
            if pair[1].prices.output < pair[0].prices.output {
                return Err(PoolError::Order { dearer: pair[0].id.to_string(), cheaper: pair[1].id.to_string() });
            }
        }
        Ok(Self { models })
    }

    /// The number of models, which is the number of actions.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a pool is never empty")]
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// The boundary model at the low end.
    #[must_use]
    pub const fn small(&self) -> ModelIndex {
        ModelIndex::SMALL
    }

    /// The boundary model at the high end.
    #[must_use]
    pub fn large(&self) -> ModelIndex {
        ModelIndex::new(self.models.len() - 1)
    }

    /// The model at an index.
    ///
    /// # Panics
    /// When the index is of another, larger pool.
    #[must_use]
    pub fn model(&self, index: ModelIndex) -> &Model {
        &self.models[index.get()]
    }

    /// The models with their indices, small first.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ModelIndex, &Model)> {
        self.models.iter().enumerate().map(|(position, model)| (ModelIndex::new(position), model))
    }

    /// A mask that allows every model of the pool.
    #[must_use]
    pub fn all(&self) -> ActionMask {
        ActionMask::first(self.models.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str, output: f64) -> Model {
        Model::new(id, Prices::per_million_usd(0.4, 0.1, 0.4, output).unwrap()).unwrap()
    }

    #[track_caller]
    fn check_refused(models: Vec<Model>, expected: &PoolError) {
        assert_eq!(ModelPool::new(models).as_ref(), Err(expected));
    }

    #[test]
    fn a_pool_refuses_what_would_break_its_order() {
        check_refused(vec![model("a", 1.0)], &PoolError::Size { found: 1 });
        check_refused(vec![model("a", 1.0), model("a", 2.0)], &PoolError::Duplicate { model: "a".into() });
        check_refused(
            vec![model("a", 2.0), model("b", 1.0)],
            &PoolError::Order { dearer: "a".into(), cheaper: "b".into() },
        );
    }

    #[test]
    fn an_unpriced_model_is_an_error() {
        let free = Prices::per_million_usd(0.4, 0.1, 0.4, 0.0).unwrap();
        assert_eq!(Model::new("a", free), Err(PoolError::Unpriced { model: "a".into() }));
    }

    #[test]
    fn boundaries_are_first_and_last() {
        let pool = ModelPool::new(vec![model("a", 1.0), model("b", 2.0), model("c", 3.0)]).unwrap();
        assert_eq!((pool.small().get(), pool.large().get()), (0, 2));
    }
}
