//! AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv 1711.05101) with a norm limit on the
//! gradient.
//!
//! Candle has an AdamW, but it hides its moments, and training that resumes exactly has to save them. This one also
//! updates each variable in one pass over plain slices.

use std::collections::HashMap;
use std::path::Path;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The optimizer with its moments.
#[derive(Debug)]
pub(crate) struct AdamW {
    variables: Vec<(String, Var)>,
    moments: Vec<Moments>,
    weight_decay: f64,
    max_grad_norm: f32,
    n_updates: i32,
}

#[derive(Debug)]
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl AdamW {
    pub(crate) fn new(variables: &[(String, Var)], weight_decay: f64, max_grad_norm: f32) -> Self {
        let moments = variables
            .iter()
            .map(|(_, variable)| Moments {
                first: vec![0.0; variable.elem_count()],
                second: vec![0.0; variable.elem_count()],
            })
            .collect();
        Self { variables: variables.to_vec(), moments, weight_decay, max_grad_norm, n_updates: 0 }
    }

    /// One update. Returns the norm of the gradient before it was limited; a norm that is not finite changes nothing.
    pub(crate) fn update(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<f32> {
        let mut flat = Vec::with_capacity(self.variables.len());
        let mut squared_norm = 0.0_f32;
        for (_, variable) in &self.variables {
            let gradient = match gradients.get(variable.as_tensor()) {
                Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>()?,
                None => Vec::new(),
            };
            squared_norm += gradient.iter().map(|value| value * value).sum::<f32>();
            flat.push(gradient);
        }
        let norm = squared_norm.sqrt();
        if !norm.is_finite() {
            return Ok(norm);
        }
        let shrink = if norm > self.max_grad_norm { self.max_grad_norm / norm } else { 1.0 };
        self.n_updates += 1;
        let step_size = learning_rate / (1.0 - BETA_1.powi(self.n_updates));
        let bias_2 = (1.0 - BETA_2.powi(self.n_updates)).sqrt() as f32;
        let decay = (1.0 - learning_rate * self.weight_decay) as f32;
        for (((_, variable), moments), gradient) in self.variables.iter().zip(&mut self.moments).zip(&flat) {
            if gradient.is_empty() {
                continue;
            }
            let mut values = variable.flatten_all()?.to_vec1::<f32>()?;
            moments.apply(&mut values, gradient, shrink, step_size as f32, bias_2, decay);
            variable.set(&Tensor::from_vec(values, variable.shape(), variable.device())?)?;
        }
        Ok(norm)
    }

    /// Writes the moments, so that training can go on exactly where it stopped.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = HashMap::new();
        for ((name, variable), moments) in self.variables.iter().zip(&self.moments) {
            tensors.insert(
                format!("{name}.first"),
                Tensor::from_slice(&moments.first, variable.elem_count(), &Device::Cpu)?,
            );
            tensors.insert(
                format!("{name}.second"),
                Tensor::from_slice(&moments.second, variable.elem_count(), &Device::Cpu)?,
            );
        }
        tensors.insert("n_updates".to_owned(), Tensor::new(&[i64::from(self.n_updates)], &Device::Cpu)?);
        candle_core::safetensors::save(&tensors, path)
    }

    /// Reads moments that [`Self::save`] wrote.
    pub(crate) fn load(&mut self, path: &Path) -> Result<()> {
        let tensors = candle_core::safetensors::load(path, &Device::Cpu)?;
        let find =
            |name: String| tensors.get(&name).ok_or_else(|| candle_core::Error::Msg(format!("`{name}` is missing")));
        for ((name, variable), moments) in self.variables.iter().zip(&mut self.moments) {
            let first = find(format!("{name}.first"))?.to_vec1::<f32>()?;
            let second = find(format!("{name}.second"))?.to_vec1::<f32>()?;
            if first.len() != variable.elem_count() || second.len() != variable.elem_count() {
                candle_core::bail!(
                    "the moments of `{name}` have {} values, expected {}",
                    first.len(),
                    variable.elem_count()
                );
            }
            *moments = Moments { first, second };
        }
        self.n_updates = find("n_updates".to_owned())?.to_vec1::<i64>()?.first().map_or(0, |&n| n as i32);
        Ok(())
    }
}

impl Moments {
    fn apply(&mut self, values: &mut [f32], gradient: &[f32], shrink: f32, step_size: f32, bias_2: f32, decay: f32) {
        let (beta_1, beta_2, epsilon) = (BETA_1 as f32, BETA_2 as f32, EPSILON as f32);
        for (((value, &gradient), first), second) in
            values.iter_mut().zip(gradient).zip(&mut self.first).zip(&mut self.second)
        {
            let gradient = gradient * shrink;
            *first = beta_1 * *first + (1.0 - beta_1) * gradient;
            *second = beta_2 * *second + (1.0 - beta_2) * gradient * gradient;
            *value = *value * decay - step_size * *first / (second.sqrt() / bias_2 + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(values: &[f32]) -> Vec<(String, Var)> {
        vec![(
            "x".to_owned(),
            Var::from_tensor(&Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()).unwrap(),
        )]
    }

    fn values(variables: &[(String, Var)]) -> Vec<f32> {
        variables[0].1.to_vec1::<f32>().unwrap()
    }

    #[test]
    fn the_first_update_moves_by_the_learning_rate() {
        let variables = variable(&[1.0, -1.0]);
        let mut optimizer = AdamW::new(&variables, 0.0, 1e9);
        let loss = variables[0].1.as_tensor().sqr().unwrap().sum_all().unwrap();
        let norm = optimizer.update(&loss.backward().unwrap(), 0.1).unwrap();
        assert!((norm - 8.0_f32.sqrt()).abs() < 1e-5);
        assert!(values(&variables).iter().zip([0.9, -0.9]).all(|(found, expected)| (found - expected).abs() < 1e-5));
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let variables = variable(&[0.0]);
        let mut optimizer = AdamW::new(&variables, 0.0, 1.0);
        let loss = variables[0].1.as_tensor().log().unwrap().sum_all().unwrap();
        assert!(!optimizer.update(&loss.backward().unwrap(), 0.1).unwrap().is_finite());
        assert_eq!(values(&variables), [0.0]);
    }

    #[test]
    fn resumed_moments_give_the_same_updates() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("moments.safetensors");
        let run = |n_before: usize, n_after: usize| {
            let variables = variable(&[1.0, -2.0]);
            let mut optimizer = AdamW::new(&variables, 0.01, 1.0);
            let step = |optimizer: &mut AdamW| {
                let loss = variables[0].1.as_tensor().sqr().unwrap().sum_all().unwrap();
                optimizer.update(&loss.backward().unwrap(), 0.05).unwrap();
            };
            (0..n_before).for_each(|_| step(&mut optimizer));
            optimizer.save(&path).unwrap();
            let mut resumed = AdamW::new(&variables, 0.01, 1.0);
            resumed.load(&path).unwrap();
            (0..n_after).for_each(|_| step(&mut resumed));
            values(&variables)
        };
        assert_eq!(run(0, 10), run(6, 4));
    }
}
