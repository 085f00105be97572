//! Steps as tensors.

use candle_core::{Device, Result, Tensor};
use tollgate_policy::NetworkShape;
use tollgate_routing::{ActionMask, ModelIndex};

/// The steps of many episodes, one row each, in plain memory.
#[derive(Debug, Default)]
pub(crate) struct StepRows {
    pub(crate) n_features: usize,
    pub(crate) n_models: usize,
    /// `[n_rows, n_features]`, row by row.
    pub(crate) features: Vec<f32>,
    /// Index of a model, or the number of models for giving up. `[n_rows]`.
    pub(crate) actions: Vec<u32>,
    /// `[n_rows]`.
    pub(crate) allowed: Vec<ActionMask>,
}

/// What the mask says of giving up, beside the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopColumn {
    /// The network cannot.
    Absent,
    /// The network can, but could not have in these rows.
    Closed,
    /// It was possible in every row.
    Open,
}

impl StopColumn {
    /// Possible in every row, if the network can.
    pub(crate) const fn open(shape: NetworkShape) -> Self {
        if shape.early_stop { Self::Open } else { Self::Absent }
    }

    /// Possible in no row, even if the network can.
    pub(crate) const fn closed(shape: NetworkShape) -> Self {
        if shape.early_stop { Self::Closed } else { Self::Absent }
    }

    const fn value(self) -> Option<f32> {
        match self {
            Self::Absent => None,
            Self::Closed => Some(0.0),
            Self::Open => Some(1.0),
        }
    }
}

impl StepRows {
    pub(crate) fn new(n_features: usize, n_models: usize) -> Self {
        Self { n_features, n_models, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.actions.len()
    }

    pub(crate) fn push(&mut self, features: &[f32], action: ModelIndex, allowed: ActionMask) {
        self.features.extend_from_slice(features);
        self.actions.push(action.get() as u32);
        self.allowed.push(allowed);
    }

    /// The decision to give up.
    pub(crate) fn push_stop(&mut self, features: &[f32], allowed: ActionMask) {
        self.features.extend_from_slice(features);
        self.actions.push(self.n_models as u32);
        self.allowed.push(allowed);
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.features.extend_from_slice(&other.features);
        self.actions.extend_from_slice(&other.actions);
        self.allowed.extend_from_slice(&other.allowed);
    }

    /// `[rows.len(), n_features]`.
    pub(crate) fn features_of(&self, rows: &[usize], device: &Device) -> Result<Tensor> {
        let mut values = Vec::with_capacity(rows.len() * self.n_features);
        for &row in rows {
            values.extend_from_slice(&self.features[row * self.n_features..(row + 1) * self.n_features]);
        }
        Tensor::from_vec(values, (rows.len(), self.n_features), device)
    }

    /// `[rows.len()]` of u32.
    pub(crate) fn actions_of(&self, rows: &[usize], device: &Device) -> Result<Tensor> {
        Tensor::from_vec(rows.iter().map(|&row| self.actions[row]).collect::<Vec<_>>(), rows.len(), device)
    }

    /// `[rows.len(), n_actions]`, 1 where an action is allowed, else 0.
    pub(crate) fn allowed_of(&self, rows: &[usize], stop: StopColumn, device: &Device) -> Result<Tensor> {
        let n_actions = self.n_models + usize::from(stop != StopColumn::Absent);
        let mut values = Vec::with_capacity(rows.len() * n_actions);
        for &row in rows {
            values.extend(
                (0..self.n_models).map(|index| f32::from(u8::from(self.allowed[row].allows(ModelIndex::new(index))))),
            );
            values.extend(stop.value());
        }
        Tensor::from_vec(values, (rows.len(), n_actions), device)
    }
}

/// `[rows.len()]`: the picked values of a column.
pub(crate) fn gather(column: &[f32], rows: &[usize], device: &Device) -> Result<Tensor> {
    Tensor::from_vec(rows.iter().map(|&row| column[row]).collect::<Vec<_>>(), rows.len(), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_allowed(stop: StopColumn, expected: &[Vec<f32>]) {
        let mut rows = StepRows::new(1, 2);
        rows.push(&[0.0], ModelIndex::SMALL, ActionMask::first(1));
        rows.push_stop(&[0.0], ActionMask::first(2));
        assert_eq!(rows.actions, [0, 2]);
        assert_eq!(rows.allowed_of(&[0, 1], stop, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap(), expected);
    }

    #[test]
    fn giving_up_is_a_column_of_its_own_after_the_models() {
        check_allowed(StopColumn::Absent, &[vec![1.0, 0.0], vec![1.0, 1.0]]);
        check_allowed(StopColumn::Closed, &[vec![1.0, 0.0, 0.0], vec![1.0, 1.0, 0.0]]);
        check_allowed(StopColumn::Open, &[vec![1.0, 0.0, 1.0], vec![1.0, 1.0, 1.0]]);
    }
}
