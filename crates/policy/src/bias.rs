//! A layer's bias, and the rectifier after it.

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};

use crate::decision::rectified;
use crate::memory::{contiguous, on_cpu};

/// What follows the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `max(0, x)`.
    Relu,
    /// Nothing: the last layer.
    None,
}

/// `activation(product + bias)`, the bias the same in every row.
///
/// Candle's own sum over a batch, which the gradient of a bias is, finds its place by a division for every number: a tenth of a training
/// step. This one goes over plain rows, in the same order, so the results are the same to the bit. Devices other than the CPU use
/// Candle's operations.
///
/// # Shapes
/// `product`: `[batch, n_out]`. `bias`: `[n_out]`. Returns `[batch, n_out]`.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn add_bias(product: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    match (product.device(), activation) {
        (Device::Cpu, _) => product.contiguous()?.apply_op2(bias, AddBias { activation }),
        (_, Activation::Relu) => product.broadcast_add(bias)?.relu(),
        (_, Activation::None) => product.broadcast_add(bias),
    }
}

struct AddBias {
    activation: Activation,
}

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(
        &self,
        product: &CpuStorage,
        product_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = product_layout.shape();
        let (_, n_out) = shape.dims2()?;
        let (product, bias) = (contiguous(product, product_layout)?, contiguous(bias, bias_layout)?);
        if n_out == 0 || bias.len() != n_out {
            bail!("a bias of {} numbers, expected one for each of {n_out} outputs", bias.len());
        }
        let mut sums = Vec::with_capacity(product.len());
        for row in product.chunks_exact(n_out) {
            let sum = row.iter().zip(bias).map(|(value, bias)| value + bias);
            match self.activation {
                Activation::Relu => sums.extend(sum.map(rectified)),
                Activation::None => sums.extend(sum),
            }
        }
        Ok((CpuStorage::F32(sums), shape.clone()))
    }

    fn bwd(
        &self,
        product: &Tensor,
        bias: &Tensor,
        _sums: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_product = match self.activation {
            Activation::Relu => through_rectifier(product, bias, grad)?,
            Activation::None => grad.clone(),
        };
        let of_bias = sum_of_rows(&of_product, bias.shape())?;
        Ok((Some(of_product), Some(of_bias)))
    }
}

/// What the rectifier lets through of the gradient `grad`: as Candle has it, also at 0.
fn through_rectifier(product: &Tensor, bias: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (products, product_layout) = product.storage_and_layout();
    let (biases, bias_layout) = bias.storage_and_layout();
    let (grads, grad_layout) = grad.storage_and_layout();
    let (products, biases) =
        (contiguous(on_cpu(&products)?, product_layout)?, contiguous(on_cpu(&biases)?, bias_layout)?);
    let grads = contiguous(on_cpu(&grads)?, grad_layout)?;
    let mut passed = Vec::with_capacity(grads.len());
    for (values, grads) in products.chunks_exact(biases.len()).zip(grads.chunks_exact(biases.len())) {
        let sums = values.iter().zip(biases).map(|(value, bias)| value + bias);
        passed.extend(grads.iter().zip(sums).map(|(&grad, sum)| if sum >= 0.0 { grad } else { 0.0 }));
    }
    Tensor::from_vec(passed, product_layout.shape(), &Device::Cpu)
}

fn sum_of_rows(rows: &Tensor, shape: &Shape) -> Result<Tensor> {
    let (values, layout) = rows.storage_and_layout();
    let mut sums = vec![0.0_f32; shape.elem_count()];
    for row in contiguous(on_cpu(&values)?, layout)?.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    Tensor::from_vec(sums, shape, &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    fn numbers(n: usize, step: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * step).sin()).collect()
    }

    #[track_caller]
    fn check_against_candle(activation: Activation, plain: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) {
        let product = Tensor::from_vec(numbers(37 * 24, 0.7), (37, 24), &Device::Cpu).unwrap();
        let bias = Tensor::from_vec(numbers(24, 0.3), 24, &Device::Cpu).unwrap();
        let results = |sum: &dyn Fn(&Tensor, &Tensor) -> Result<Tensor>| {
            let (product, bias) = (Var::from_tensor(&product).unwrap(), Var::from_tensor(&bias).unwrap());
            let sums = sum(product.as_tensor(), bias.as_tensor()).unwrap();
            let gradients = sums.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let of =
                |var: &Var| gradients.get(var.as_tensor()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (sums.to_vec2::<f32>().unwrap(), of(&product), of(&bias))
        };
        assert_eq!(results(&|product, bias| add_bias(product, bias, activation)), results(&plain));
    }

    #[test]
    fn sums_and_gradients_are_those_of_candle_to_the_bit() {
        check_against_candle(Activation::None, Tensor::broadcast_add);
        check_against_candle(Activation::Relu, |product, bias| product.broadcast_add(bias)?.relu());
    }

    #[test]
    fn a_bias_of_another_length_is_an_error() {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(add_bias(&zeros(&[2, 3]), &zeros(&[4]), Activation::None).is_err());
    }
}
