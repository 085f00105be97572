//! The mean of the weights over the last iterations, which is what training ends with.
//!
//! Each iteration leaves the weights a little beside where the noise of its episodes cancels out; their mean lies nearer, and
//! generalizes better (stochastic weight averaging, Izmailov et al., arXiv 1803.05407).

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Result, Tensor};
use tollgate_policy::RouterNetwork;

/// A running mean of a network's weights.
#[derive(Debug, Default)]
pub(crate) struct WeightAverage {
    /// In the order of the network's variables; empty before the first.
    mean: Vec<Tensor>,
    n_averaged: u32,
}

/// Name of the count in the file, beside the variables'.
const COUNT: &str = "n_averaged";

impl WeightAverage {
    /// Takes the weights in as they are now.
    pub(crate) fn absorb(&mut self, network: &RouterNetwork) -> Result<()> {
        self.n_averaged += 1;
        if self.mean.is_empty() {
            self.mean = network.variables().iter().map(|(_, variable)| variable.copy()).collect::<Result<_>>()?;
            return Ok(());
        }
        let share = 1.0 / f64::from(self.n_averaged);
        for (mean, (_, variable)) in self.mean.iter_mut().zip(network.variables()) {
            *mean = (&*mean + ((variable.as_tensor() - &*mean)? * share)?)?.detach();
        }
        Ok(())
    }

    /// Puts the mean in place of the weights; changes nothing when there is none.
    pub(crate) fn install(&self, network: &RouterNetwork) -> Result<()> {
        network.variables().iter().zip(&self.mean).try_for_each(|((_, variable), mean)| variable.set(mean))
    }

    /// Writes the mean, so that training can go on exactly where it stopped; writes nothing when there is none.
    pub(crate) fn save(&self, network: &RouterNetwork, path: &Path) -> Result<()> {
        if self.mean.is_empty() {
            return Ok(());
        }
        let names = network.variables().iter().map(|(name, _)| name.clone());
        let mut tensors: HashMap<String, Tensor> = names.zip(self.mean.iter().cloned()).collect();
        tensors.insert(COUNT.to_owned(), Tensor::new(&[i64::from(self.n_averaged)], &Device::Cpu)?);
        candle_core::safetensors::save(&tensors, path)
    }

    /// Reads what [`Self::save`] wrote; nothing is averaged yet when that was nothing.
    pub(crate) fn load(network: &RouterNetwork, path: &Path, device: &Device) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let tensors = candle_core::safetensors::load(path, device)?;
        let find =
            |name: &str| tensors.get(name).ok_or_else(|| candle_core::Error::Msg(format!("`{name}` is missing")));
        let mean = network.variables().iter().map(|(name, _)| find(name).cloned()).collect::<Result<_>>()?;
        let n_averaged = find(COUNT)?.to_vec1::<i64>()?.first().map_or(0, |&n| n as u32);
        Ok(Self { mean, n_averaged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_policy::NetworkShape;

    fn network(seed: u64) -> RouterNetwork {
        let shape = NetworkShape { n_features: 3, n_hidden: 4, n_models: 2, early_stop: false, n_privileged: 0 };
        RouterNetwork::new(shape, seed, &Device::Cpu).unwrap()
    }

    fn weights(network: &RouterNetwork) -> Vec<f32> {
        network.variables()[0].1.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_mean_of_three_is_their_mean_also_after_a_break() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("average.safetensors");
        let networks = [network(1), network(2), network(3)];
        let mut average = WeightAverage::default();
        average.save(&networks[0], &path).unwrap();
        for network in &networks {
            average = WeightAverage::load(network, &path, &Device::Cpu).unwrap();
            average.absorb(network).unwrap();
            average.save(network, &path).unwrap();
        }
        let averaged = network(4);
        average.install(&averaged).unwrap();
        let all = networks.each_ref().map(weights);
        for (at, found) in weights(&averaged).into_iter().enumerate() {
            let expected = (all[0][at] + all[1][at] + all[2][at]) / 3.0;
            assert!((found - expected).abs() < 1e-6, "found {found}, expected {expected}");
        }
    }

    #[test]
    fn without_a_mean_the_weights_stay() {
        let untouched = network(1);
        WeightAverage::default().install(&untouched).unwrap();
        assert_eq!(weights(&untouched), weights(&network(1)));
    }
}
