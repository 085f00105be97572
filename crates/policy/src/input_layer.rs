//! The product of the first layer, whose input nobody differentiates.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use crate::memory::{contiguous, on_cpu};

/// `features W^T`, differentiable in `W` alone.
///
/// Candle's own product computes the gradient of both sides. That of the features, a third of the work of the widest layer, would be
/// thrown away. The gradient of `W` is the same to the bit. Devices other than the CPU use Candle's product.
///
/// # Shapes
/// `features`: `[batch, n_in]`. `weight`: `[n_out, n_in]`. Returns `[batch, n_out]`.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn product_with(features: &Tensor, weight: &Tensor) -> Result<Tensor> {
    match features.device() {
        Device::Cpu => weight.apply_op1(ProductWith { features: features.detach() }),
        _ => features.matmul(&weight.t()?),
    }
}

struct ProductWith {
    features: Tensor,
}

impl CustomOp1 for ProductWith {
    fn name(&self) -> &'static str {
        "product-with-features"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let weight = Tensor::from_slice(contiguous(storage, layout)?, layout.shape(), &Device::Cpu)?;
        let product = self.features.matmul(&weight.t()?)?;
        let (values, _) = product.storage_and_layout();
        Ok((on_cpu(&values)?.clone(), product.shape().clone()))
    }

    fn bwd(&self, _weight: &Tensor, _product: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        self.features.t()?.matmul(grad)?.t().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    #[test]
    fn product_and_gradient_are_those_of_candle_to_the_bit() {
        let numbers = |n: usize, step: f32| (0..n).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
        let features = Tensor::from_vec(numbers(37 * 50, 0.7), (37, 50), &Device::Cpu).unwrap();
        let weight = Tensor::from_vec(numbers(24 * 50, 0.3), (24, 50), &Device::Cpu).unwrap();
        let results = |product: &dyn Fn(&Tensor) -> Result<Tensor>| {
            let weight = Var::from_tensor(&weight).unwrap();
            let product = product(weight.as_tensor()).unwrap();
            let gradients = product.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            (product.to_vec2::<f32>().unwrap(), gradients.get(weight.as_tensor()).unwrap().to_vec2::<f32>().unwrap())
        };
        let ours = results(&|weight| product_with(&features, weight));
        assert_eq!(ours, results(&|weight| features.matmul(&weight.t()?)));
    }

    #[test]
    fn shapes_that_do_not_fit_are_an_error() {
        let zeros = |shape: (usize, usize)| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(product_with(&zeros((2, 3)), &zeros((4, 5))).is_err());
    }
}
