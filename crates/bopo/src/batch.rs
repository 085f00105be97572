//! Steps as tensors.

use candle_core::{Device, Result, Tensor};
use tollgate_routing::{ActionMask, ModelIndex};

/// The steps of many episodes, one row each, in plain memory.
#[derive(Debug, Default)]
pub(crate) struct StepRows {
    pub(crate) n_features: usize,
    pub(crate) n_models: usize,
    /// `[n_rows, n_features]`, row by row.
    pub(crate) features: Vec<f32>,
    /// `[n_rows]`.
    pub(crate) actions: Vec<u32>,
    /// `[n_rows]`.
    pub(crate) allowed: Vec<ActionMask>,
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

    pub(crate) fn extend(&mut self, other: &Self) {
        self.features.extend_from_slice(&other.features);
        self.actions.extend_from_slice(&other.actions);
        self.allowed.extend_from_slice(&other.allowed);
    }

    /// Takes over one row of `other`.
    pub(crate) fn copy(&mut self, other: &Self, row: usize) {
        self.features.extend_from_slice(&other.features[row * other.n_features..][..other.n_features]);
        self.actions.push(other.actions[row]);
        self.allowed.push(other.allowed[row]);
    }

    /// `[rows.len(), n_features]`.
    pub(crate) fn features_of(&self, rows: &[usize], device: &Device) -> Result<Tensor> {
        gather_rows(&self.features, self.n_features, rows, device)
    }

    /// `[rows.len()]` of u32.
    pub(crate) fn actions_of(&self, rows: &[usize], device: &Device) -> Result<Tensor> {
        Tensor::from_vec(rows.iter().map(|&row| self.actions[row]).collect::<Vec<_>>(), rows.len(), device)
    }

    /// `[rows.len(), n_models]`, 1 where an action is allowed, else 0.
    pub(crate) fn allowed_of(&self, rows: &[usize], device: &Device) -> Result<Tensor> {
        let mut values = Vec::with_capacity(rows.len() * self.n_models);
        for &row in rows {
            values.extend(
                (0..self.n_models).map(|index| f32::from(u8::from(self.allowed[row].allows(ModelIndex::new(index))))),
            );
        }
        Tensor::from_vec(values, (rows.len(), self.n_models), device)
    }
}

/// `[rows.len()]`: the picked values of a column.
pub(crate) fn gather(column: &[f32], rows: &[usize], device: &Device) -> Result<Tensor> {
    Tensor::from_vec(rows.iter().map(|&row| column[row]).collect::<Vec<_>>(), rows.len(), device)
}

/// `[rows.len(), width]`: the picked rows of a table that is kept row by row.
pub(crate) fn gather_rows(table: &[f32], width: usize, rows: &[usize], device: &Device) -> Result<Tensor> {
    let mut values = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        values.extend_from_slice(&table[row * width..(row + 1) * width]);
    }
    Tensor::from_vec(values, (rows.len(), width), device)
}
