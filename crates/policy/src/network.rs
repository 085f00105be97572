//! The network that is trained: two multilayer perceptrons on Candle, a policy and a critic.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use crate::DecisionNetwork;
use crate::bias::{Activation, add_bias};
use crate::input_layer::product_with;

/// The sizes that make a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkShape {
    /// Length of the feature vector.
    pub n_features: usize,
    /// Width of the two hidden layers.
    pub n_hidden: usize,
    /// Models in the pool: one logit each.
    pub n_models: usize,
    /// Whether there is one more logit: to give the task up.
    pub early_stop: bool,
    /// What the critic sees after the features, and the policy does not: numbers about the task that are known in training
    /// alone (asymmetric actor-critic, Pinto et al., arXiv 1710.06542).
    #[serde(default)]
    pub n_privileged: usize,
}

impl NetworkShape {
    /// Logits of the policy: the models', and the last to give up where there is one.
    #[must_use]
    pub const fn n_actions(&self) -> usize {
        self.n_models + self.early_stop as usize
    }
}

/// What the critic expects from a state on.
#[derive(Debug)]
pub struct Critique {
    /// Expected final success. `[batch]`.
    pub success: Tensor,
    /// Expected cost to go, in units of the spread between the boundary policies. `[batch]`.
    pub cost: Tensor,
}

/// Policy and critic. The two share nothing, so that the critic's larger errors do not disturb the policy.
#[derive(Debug)]
pub struct RouterNetwork {
    shape: NetworkShape,
    policy: Perceptron,
    critic: Perceptron,
    variables: Vec<(String, Var)>,
}

impl RouterNetwork {
    /// A new network with random weights from `seed`: uniform as by He et al. ("Delving Deep into Rectifiers", 2015), the
    /// policy's last layer a hundred times smaller so that training starts from equal probabilities of the models. Giving up
    /// starts improbable, at odds of e^-4 against one model: it ends what could be learnt of an episode.
    ///
    /// # Errors
    /// When the device has no room for it.
    pub fn new(shape: NetworkShape, seed: u64, device: &Device) -> Result<Self> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let mut weights = |n_in: usize, n_out: usize, gain: f32| {
            let bound = gain * (6.0 / n_in as f32).sqrt();
            (0..n_in * n_out).map(|_| rng.random_range(-bound..bound)).collect::<Vec<f32>>()
        };
        let mut variables = Vec::new();
        for (name, n_in, n_out, last_gain) in [
            ("policy", shape.n_features, shape.n_actions(), 0.01),
            ("critic", shape.n_features + shape.n_privileged, N_CRITIC_HEADS, 0.1),
        ] {
            let sizes = [
                (n_in, shape.n_hidden, 1.0),
                (shape.n_hidden, shape.n_hidden, 1.0),
                (shape.n_hidden, n_out, last_gain),
            ];
            for (layer, (n_in, n_out, gain)) in sizes.into_iter().enumerate() {
                let weight = Tensor::from_vec(weights(n_in, n_out, gain), (n_out, n_in), device)?;
                variables.push((format!("{name}.{layer}.weight"), Var::from_tensor(&weight)?));
                variables.push((format!("{name}.{layer}.bias"), Var::zeros(n_out, DType::F32, device)?));
            }
        }
        let network = Self::from_variables(shape, variables);
        if shape.early_stop {
            let bias = [vec![0.0; shape.n_models], vec![INITIAL_STOP_LOGIT]].concat();
            network.variables[POLICY_LAST_BIAS].1.set(&Tensor::from_vec(bias, shape.n_actions(), device)?)?;
        }
        Ok(network)
    }

    /// Puts a network together from its variables, in the order of [`Self::variables`].
    fn from_variables(shape: NetworkShape, variables: Vec<(String, Var)>) -> Self {
        let (policy, critic) = variables.split_at(variables.len() / 2);
        Self { shape, policy: Perceptron::new(policy), critic: Perceptron::new(critic), variables }
    }

    /// The sizes of the network.
    #[must_use]
    pub const fn shape(&self) -> NetworkShape {
        self.shape
    }

    /// Every trained variable with its name: the policy's layers first, then the critic's.
    #[must_use]
    pub fn variables(&self) -> &[(String, Var)] {
        &self.variables
    }

    /// Logits of the policy; masked actions are the caller's business.
    ///
    /// # Shapes
    /// `features`: `[batch, n_features]`. Returns `[batch, n_actions]`.
    ///
    /// # Errors
    /// When a shape does not fit.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor> {
        self.policy.forward(features)
    }

    /// The critic's expectations.
    ///
    /// # Shapes
    /// `inputs`: `[batch, n_features + n_privileged]`. Returns two tensors `[batch]`.
    ///
    /// # Errors
    /// When a shape does not fit.
    pub fn critique(&self, inputs: &Tensor) -> Result<Critique> {
        let heads = self.critic.forward(inputs)?;
        Ok(Critique { success: heads.narrow(1, 0, 1)?.squeeze(1)?, cost: heads.narrow(1, 1, 1)?.squeeze(1)? })
    }

    /// A copy with variables of its own.
    ///
    /// # Errors
    /// When the device has no room for it.
    pub fn duplicate(&self) -> Result<Self> {
        let copy =
            |(name, variable): &(String, Var)| Ok((name.clone(), Var::from_tensor(&variable.as_tensor().copy()?)?));
        Ok(Self::from_variables(self.shape, self.variables.iter().map(copy).collect::<Result<_>>()?))
    }

    /// Makes the policy lean to the large model: raises its logit by `lean` everywhere, and those of the models between by their share
    /// of the way there. The logit of giving up stays.
    ///
    /// # Errors
    /// When the weights cannot be written to the device.
    pub fn lean_to_large(&self, lean: f32) -> Result<()> {
        let last = (self.shape.n_models - 1).max(1) as f32;
        let models = (0..self.shape.n_models).map(|model| lean * model as f32 / last);
        let raised = models.chain(self.shape.early_stop.then_some(0.0)).collect::<Vec<_>>();
        let bias = self.variables[POLICY_LAST_BIAS].1.as_tensor();
        let raised = (bias + Tensor::from_vec(raised, bias.shape(), bias.device())?)?;
        self.variables[POLICY_LAST_BIAS].1.set(&raised)
    }

    /// A frozen copy of the policy, for decisions.
    ///
    /// # Errors
    /// When the weights cannot be read from the device.
    pub fn freeze(&self) -> Result<DecisionNetwork> {
        self.policy.freeze()
    }

    /// A frozen copy of the critic, whose two outputs are success and cost to go.
    ///
    /// # Errors
    /// When the weights cannot be read from the device.
    pub fn freeze_critic(&self) -> Result<DecisionNetwork> {
        self.critic.freeze()
    }
}

/// Success and cost to go.
const N_CRITIC_HEADS: usize = 2;

/// Where the logit to give up starts, beside those of the models at 0.
const INITIAL_STOP_LOGIT: f32 = -4.0;

/// Place of the bias of the policy's last layer among the variables.
const POLICY_LAST_BIAS: usize = 5;

/// Two hidden layers of rectified linear units.
#[derive(Debug)]
struct Perceptron {
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// `[n_out, n_in]`.
    weight: Tensor,
    /// `[n_out]`.
    bias: Tensor,
}

impl Perceptron {
    fn new(variables: &[(String, Var)]) -> Self {
        let layers = variables
            .chunks_exact(2)
            .map(|layer| Layer { weight: layer[0].1.as_tensor().clone(), bias: layer[1].1.as_tensor().clone() })
            .collect();
        Self { layers }
    }

    fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let Some((last, hidden)) = self.layers.split_last() else { return Ok(features.clone()) };
        let mut outputs = features.clone();
        for (place, layer) in hidden.iter().enumerate() {
            let product =
                if place == 0 { product_with(&outputs, &layer.weight)? } else { outputs.matmul(&layer.weight.t()?)? };
            outputs = add_bias(&product, &layer.bias, Activation::Relu)?;
        }
        add_bias(&outputs.matmul(&last.weight.t()?)?, &last.bias, Activation::None)
    }

    fn freeze(&self) -> Result<DecisionNetwork> {
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let weights = layer.weight.t()?.contiguous()?.to_vec2::<f32>()?.concat();
            layers.push((weights, layer.bias.to_vec1::<f32>()?));
        }
        Ok(DecisionNetwork::new(layers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    const SHAPE: NetworkShape =
        NetworkShape { n_features: 37, n_hidden: 24, n_models: 3, early_stop: false, n_privileged: 0 };

    #[test]
    fn the_same_seed_gives_the_same_network() {
        let weights = |seed| {
            let network = RouterNetwork::new(SHAPE, seed, &Device::Cpu).unwrap();
            network.variables()[0].1.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
    }

    #[test]
    fn giving_up_is_one_more_logit_that_starts_improbable() {
        let shape = NetworkShape { early_stop: true, ..SHAPE };
        let network = RouterNetwork::new(shape, 5, &Device::Cpu).unwrap();
        let logits = network.logits(&Tensor::zeros((1, 37), DType::F32, &Device::Cpu).unwrap()).unwrap();
        assert_eq!(logits.to_vec2::<f32>().unwrap(), [[0.0, 0.0, 0.0, INITIAL_STOP_LOGIT]]);
        assert_eq!(network.freeze_critic().unwrap().n_outputs(), N_CRITIC_HEADS);
    }

    #[test]
    fn leaning_raises_the_large_model_and_those_between_by_their_place() {
        let network = RouterNetwork::new(NetworkShape { early_stop: true, ..SHAPE }, 5, &Device::Cpu).unwrap();
        network.lean_to_large(1.5).unwrap();
        let logits = network.logits(&Tensor::zeros((1, 37), DType::F32, &Device::Cpu).unwrap()).unwrap();
        assert_eq!(logits.to_vec2::<f32>().unwrap(), [[0.0, 0.75, 1.5, INITIAL_STOP_LOGIT]]);
    }

    #[test]
    fn the_critic_alone_sees_what_is_known_in_training() {
        let network = RouterNetwork::new(NetworkShape { n_privileged: 4, ..SHAPE }, 5, &Device::Cpu).unwrap();
        assert_eq!((network.freeze().unwrap().n_features(), network.freeze_critic().unwrap().n_features()), (37, 41));
        let policy_weights = |network: &RouterNetwork| network.variables()[0].1.to_vec2::<f32>().unwrap();
        assert_eq!(policy_weights(&network), policy_weights(&RouterNetwork::new(SHAPE, 5, &Device::Cpu).unwrap()));
    }

    #[test]
    fn the_frozen_network_agrees_with_candle() {
        let network = RouterNetwork::new(SHAPE, 5, &Device::Cpu).unwrap();
        let features: Vec<f32> = (0..37).map(|i| if i % 3 == 0 { 0.0 } else { (i as f32 * 0.7).sin() }).collect();
        let batch = Tensor::from_slice(&features, (1, 37), &Device::Cpu).unwrap();
        let mut scratch = Scratch::default();
        for (frozen, expected) in [
            (network.freeze().unwrap(), network.logits(&batch).unwrap()),
            (network.freeze_critic().unwrap(), network.critic.forward(&batch).unwrap()),
        ] {
            let found = frozen.forward(&features, &mut scratch);
            for (found, expected) in found.iter().zip(expected.flatten_all().unwrap().to_vec1::<f32>().unwrap()) {
                assert!((found - expected).abs() < 1e-5, "found {found}, expected {expected}");
            }
        }
    }
}
