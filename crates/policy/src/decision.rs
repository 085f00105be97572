//! A frozen perceptron that decides without allocating.
//!
//! Rollouts and serving ask for one decision at a time, where Candle spends most of its time on bookkeeping. Features are
//! sparse (most word buckets are empty) and half of the hidden units rest, so each layer adds up the rows of the inputs that
//! are there, a block of outputs at a time.

/// A frozen multilayer perceptron with rectified linear units.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionNetwork {
    layers: Vec<Layer>,
}

#[derive(Debug, Clone, PartialEq)]
struct Layer {
    /// Row `i` holds the weights from input `i` to every output. `[n_in, n_out]`, row by row.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// Buffers of a forward pass, reused from one to the next.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    input: Vec<f32>,
    output: Vec<f32>,
    /// Indices of the inputs that are not zero.
    present: Vec<usize>,
}

impl DecisionNetwork {
    /// A network from the weights `[n_in, n_out]` and biases `[n_out]` of its layers.
    pub(crate) fn new(layers: Vec<(Vec<f32>, Vec<f32>)>) -> Self {
        Self { layers: layers.into_iter().map(|(weights, bias)| Layer { weights, bias }).collect() }
    }

    /// How many values it puts out: a policy's logits, or a critic's heads.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.bias.len())
    }

    /// How many features it takes.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.weights.len() / layer.bias.len().max(1))
    }

    /// The network's output for one feature vector.
    ///
    /// # Shapes
    /// `features`: `[n_features]`. Returns `[n_outputs]`.
    pub fn forward<'s>(&self, features: &[f32], scratch: &'s mut Scratch) -> &'s [f32] {
        debug_assert_eq!(features.len(), self.n_features());
        scratch.output.clear();
        scratch.output.extend_from_slice(features);
        for (depth, layer) in self.layers.iter().enumerate() {
            std::mem::swap(&mut scratch.input, &mut scratch.output);
            layer.forward(&scratch.input, &mut scratch.present, &mut scratch.output);
            if depth + 1 < self.layers.len() {
                scratch.output.iter_mut().for_each(|value| *value = rectified(*value));
            }
        }
        &scratch.output
    }
}

/// `max(0, x)`, but what is not a number stays so: `f32::max` would take it for 0, and nobody would learn of it.
pub(crate) const fn rectified(value: f32) -> f32 {
    if value < 0.0 { 0.0 } else { value }
}

/// Outputs that are summed up at once: few enough to stay in registers.
const BLOCK: usize = 32;

impl Layer {
    fn forward(&self, input: &[f32], present: &mut Vec<usize>, output: &mut Vec<f32>) {
        let n_out = self.bias.len();
        present.clear();
        present.extend((0..input.len()).filter(|&index| input[index] != 0.0));
        output.clear();
        output.extend_from_slice(&self.bias);
        let mut blocks = output.chunks_exact_mut(BLOCK);
        let mut first = 0;
        for block in &mut blocks {
            let mut sums = [0.0_f32; BLOCK];
            sums.copy_from_slice(block);
            for &index in present.iter() {
                let row = &self.weights[index * n_out + first..][..BLOCK];
                for (sum, &weight) in sums.iter_mut().zip(row) {
                    *sum += input[index] * weight;
                }
            }
            block.copy_from_slice(&sums);
            first += BLOCK;
        }
        for (offset, sum) in blocks.into_remainder().iter_mut().enumerate() {
            *sum +=
                present.iter().map(|&index| input[index] * self.weights[index * n_out + first + offset]).sum::<f32>();
        }
    }
}
