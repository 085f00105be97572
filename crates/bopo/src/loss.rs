//! The losses of BoPO, as pure functions of tensors.

use candle_core::{D, Result, Tensor};
use candle_nn::ops::log_softmax;

/// Subtracted from the logits of actions that the budget does not allow.
const MASKED_LOGIT: f64 = 1e9;

/// Logarithms of the probabilities of all actions, where the budget allows them.
///
/// # Shapes
/// `logits` and `allowed` (1 or 0): `[batch, n_models]`. Returns `[batch, n_models]`.
///
/// # Errors
/// When the shapes differ.
pub fn masked_log_probs(logits: &Tensor, allowed: &Tensor) -> Result<Tensor> {
    log_softmax(&masked_logits(logits, allowed)?, D::Minus1)
}

/// Logits, those of forbidden actions far below all others.
///
/// # Shapes
/// `logits` and `allowed` (1 or 0): `[batch, n_models]`. Returns `[batch, n_models]`.
///
/// # Errors
/// When the shapes differ.
pub fn masked_logits(logits: &Tensor, allowed: &Tensor) -> Result<Tensor> {
    logits + allowed.affine(MASKED_LOGIT, -MASKED_LOGIT)?
}

/// Logarithms of the probabilities of the actions that were taken.
///
/// # Shapes
/// `log_probs`: `[batch, n_models]`, `actions`: `[batch]` of u32. Returns `[batch]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn chosen_log_probs(log_probs: &Tensor, actions: &Tensor) -> Result<Tensor> {
    log_probs.gather(&actions.unsqueeze(1)?, 1)?.squeeze(1)
}

/// The clipped surrogate (Schulman et al., "Proximal Policy Optimization Algorithms", arXiv 1707.06347, equation 7), as a
/// loss to be minimised: `-mean(min(ratio * A, clip(ratio, 1 - epsilon, 1 + epsilon) * A))`.
///
/// # Shapes
/// `new_log_probs`, `old_log_probs`, `advantages`: `[batch]`. Returns the scalar loss and the logarithms of the ratios `[batch]`.
///
/// # Errors
/// When the shapes differ.
pub fn clipped_surrogate_loss(
    new_log_probs: &Tensor,
    old_log_probs: &Tensor,
    advantages: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor)> {
    let log_ratio = (new_log_probs - old_log_probs)?;
    let ratio = log_ratio.exp()?;
    let clipped = ratio.clamp(1.0 - epsilon, 1.0 + epsilon)?;
    let surrogate = (&ratio * advantages)?.minimum(&(clipped * advantages)?)?;
    Ok((surrogate.mean_all()?.neg()?, log_ratio))
}

/// Mean estimate `(ratio - 1) - ln ratio` of the divergence from the policy that acted, in nats (Schulman's note "Approximating KL
/// Divergence", 2020), from the logarithms of the ratios: a ratio itself may be too small for a float.
#[must_use]
pub fn approximate_kl(log_ratios: &[f32]) -> f32 {
    log_ratios.iter().map(|&log_ratio| log_ratio.exp_m1() - log_ratio).sum::<f32>() / log_ratios.len() as f32
}

/// Mean entropy of the policy, in nats.
///
/// # Shapes
/// `log_probs`: `[batch, n_models]`. Returns a scalar.
///
/// # Errors
/// When the device fails.
pub fn mean_entropy(log_probs: &Tensor) -> Result<Tensor> {
    (log_probs.exp()? * log_probs)?.sum(D::Minus1)?.mean_all()?.neg()
}

/// Mean divergence `KL(policy || reference)`, in nats, exact over the actions.
///
/// # Shapes
/// `log_probs` and `ref_log_probs`: `[batch, n_models]`. Returns a scalar.
///
/// # Errors
/// When the shapes differ.
pub fn mean_kl(log_probs: &Tensor, ref_log_probs: &Tensor) -> Result<Tensor> {
    (log_probs.exp()? * (log_probs - ref_log_probs)?)?.sum(D::Minus1)?.mean_all()
}

/// Half of the mean squared error.
///
/// # Shapes
/// `values` and `targets`: `[batch]`. Returns a scalar.
///
/// # Errors
/// When the shapes differ.
pub fn half_squared_error(values: &Tensor, targets: &Tensor) -> Result<Tensor> {
    (values - targets)?.sqr()?.mean_all()? * 0.5
}

/// Weighted cross-entropy of the labels: `-sum(w * log p(action)) / sum(w)`.
///
/// # Shapes
/// `log_probs`: `[batch, n_models]`, `actions`: `[batch]` of u32, `weights`: `[batch]`. Returns a scalar.
///
/// # Errors
/// When the shapes do not fit.
pub fn weighted_cross_entropy(log_probs: &Tensor, actions: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let chosen = chosen_log_probs(log_probs, actions)?;
    (chosen * weights)?.sum_all()?.neg()?.div(&weights.sum_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    #[track_caller]
    fn check(found: &Tensor, expected: f32) {
        let found = found.to_scalar::<f32>().unwrap();
        assert!((found - expected).abs() < 1e-5, "found {found}, expected {expected}");
    }

    #[test]
    fn surrogate_takes_the_smaller_of_the_plain_and_the_clipped_term() {
        let old = tensor(&[0.0, 0.0, 0.0, 0.0]);
        let new = tensor(&[1.5_f32.ln(), 1.5_f32.ln(), 0.5_f32.ln(), 0.5_f32.ln()]);
        let advantages = tensor(&[1.0, -1.0, 1.0, -1.0]);
        let (loss, _) = clipped_surrogate_loss(&new, &old, &advantages, 0.2).unwrap();
        // 1.2, -1.5, 0.5 and -0.8, by hand.
        check(&loss, -(1.2 - 1.5 + 0.5 - 0.8) / 4.0);
    }

    #[test]
    fn surrogate_has_no_gradient_beyond_the_clip() {
        let new = Var::from_tensor(&tensor(&[1.5_f32.ln(), 1.1_f32.ln()])).unwrap();
        let (loss, _) =
            clipped_surrogate_loss(new.as_tensor(), &tensor(&[0.0, 0.0]), &tensor(&[1.0, 1.0]), 0.2).unwrap();
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(new.as_tensor()).unwrap().to_vec1::<f32>().unwrap();
        assert!(gradient[0].abs() < 1e-6 && (gradient[1] + 0.55).abs() < 1e-5, "found {gradient:?}");
    }

    #[test]
    fn a_masked_action_has_no_probability_and_no_gradient() {
        let logits = Var::from_tensor(&Tensor::new(&[[0.0_f32, 5.0, 0.0]], &Device::Cpu).unwrap()).unwrap();
        let allowed = Tensor::new(&[[1.0_f32, 0.0, 1.0]], &Device::Cpu).unwrap();
        let log_probs = masked_log_probs(logits.as_tensor(), &allowed).unwrap();
        let probabilities = log_probs.exp().unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(probabilities, [[0.5, 0.0, 0.5]]);
        check(&mean_entropy(&log_probs).unwrap(), 2.0_f32.ln());
        let gradients = mean_entropy(&log_probs).unwrap().backward().unwrap();
        let gradient = gradients.get(logits.as_tensor()).unwrap().to_vec2::<f32>().unwrap();
        assert!(gradient[0].iter().all(|value| value.is_finite()), "found {gradient:?}");
    }

    #[test]
    fn kl_is_zero_for_equal_policies_and_exact_otherwise() {
        let log_probs = Tensor::new(&[[0.5_f32.ln(), 0.5_f32.ln()]], &Device::Cpu).unwrap();
        let reference = Tensor::new(&[[0.25_f32.ln(), 0.75_f32.ln()]], &Device::Cpu).unwrap();
        check(&mean_kl(&log_probs, &log_probs).unwrap(), 0.0);
        check(&mean_kl(&log_probs, &reference).unwrap(), 0.5 * 2.0_f32.ln() + 0.5 * (2.0_f32 / 3.0).ln());
    }

    #[test]
    fn approximate_kl_knows_actions_that_have_become_all_but_impossible() {
        let found = approximate_kl(&[0.0, 1.5_f32.ln(), -200.0]);
        let expected = (0.0 + (0.5 - 1.5_f32.ln()) + 199.0) / 3.0;
        assert!((found - expected).abs() < 1e-4, "found {found}, expected {expected}");
    }

    #[test]
    fn cross_entropy_weighs_its_examples() {
        let log_probs =
            Tensor::new(&[[0.5_f32.ln(), 0.5_f32.ln()], [0.2_f32.ln(), 0.8_f32.ln()]], &Device::Cpu).unwrap();
        let actions = Tensor::new(&[0_u32, 1], &Device::Cpu).unwrap();
        let loss = weighted_cross_entropy(&log_probs, &actions, &tensor(&[3.0, 1.0])).unwrap();
        check(&loss, -(3.0 * 0.5_f32.ln() + 0.8_f32.ln()) / 4.0);
    }
}
