//! Giving up: whether to go on is learnt apart from which model is to answer.
//!
//! Our design. As one more action of the policy gradient giving up is soon unlearnt: most tasks can be solved, so its probability
//! falls to nothing everywhere, and what is never tried is never learnt. But it needs no trial. It brings nothing more and costs
//! nothing more, so going on was worth exactly what the episode went on to earn, and each call of a model is an example of a
//! cost-sensitive classification (after Lazaric, Ghavamzadeh and Munos, "Analysis of a Classification-based Policy Iteration
//! Algorithm", 2010): give up where the rest of the episode lost, go on where it gained, weighted by how much. The surrogate loss
//! knows nothing of it: its probabilities are those of the models, given that one is called. So the odds of giving up may move
//! fast without tearing its ratios apart.
//!
//! Where grades count, giving up keeps the grade so far: only what later steps added to it was gained by going on.

use candle_core::{D, Result, Tensor};

use crate::advantage::generalized_advantages;
use crate::loss::masked_logits;

/// What going on was worth from each call of an episode: what it and later ones gained less `lambda` times what they cost, up to where
/// the policy would have given up: training plays every episode to its end, and what is never reached does not count.
///
/// # Shapes
/// `gains`, `costs` and `would_give_up`: one per call, the latter before it. Returns one per call.
pub(crate) fn worth_of_going_on(gains: &[f32], costs: &[f32], lambda: f32, would_give_up: &[bool]) -> Vec<f32> {
    let rewards: Vec<f32> = gains.iter().zip(costs).map(|(gain, cost)| gain - lambda * cost).collect();
    // Against a critic that expects nothing, and with every later surprise counted in full, the advantage is the return.
    generalized_advantages(&rewards, &vec![0.0; rewards.len()], would_give_up, 1.0).0
}

/// The logits of the models, without the one to give up.
///
/// # Shapes
/// `logits`: `[batch, n_actions]`. Returns `[batch, n_models]`.
///
/// # Errors
/// When there are fewer logits than models.
pub(crate) fn model_logits(logits: &Tensor, n_models: usize) -> Result<Tensor> {
    logits.narrow(D::Minus1, 0, n_models)
}

/// Weighted logistic loss of the odds of giving up, `mean(g(w) softplus(sign(w) u))` with `u = z_stop - ln(sum(e^z))` over the
/// models that are allowed, and `g(w)` the worth of going on as it counts: `caution w` above 0, `-w` below. At its minimum `e^u` is
/// `E[max(-w, 0)] / (caution E[max(w, 0)])`, so giving up is the more probable exactly where going on loses `caution` times what it
/// gains on average. Its gradient does not vanish with the probability of giving up, and it moves the logit to give up alone: which
/// model answers is none of its business.
///
/// # Shapes
/// `logits`: `[batch, n_models + 1]`, the last to give up. `allowed` (1 or 0): `[batch, n_models]`. `worth`: `[batch]`. Returns a
/// scalar.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn giving_up_loss(logits: &Tensor, allowed: &Tensor, worth: &Tensor, caution: f32) -> Result<Tensor> {
    let n_models = allowed.dim(D::Minus1)?;
    let models = masked_logits(&model_logits(logits, n_models)?, allowed)?.log_sum_exp(D::Minus1)?.detach();
    let odds = (logits.narrow(1, n_models, 1)?.squeeze(1)? - models)?;
    let weight = ((worth.relu()? * f64::from(caution))? + worth.neg()?.relu()?)?;
    (weight * softplus(&(odds * worth.sign()?)?)?)?.mean_all()
}

/// `ln(1 + e^x)`, without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[track_caller]
    fn check(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "found {found}, expected {expected}");
        }
    }

    /// A mask of the second model, in so many rows.
    fn first_model_only(n_rows: usize) -> Tensor {
        Tensor::from_vec([1.0_f32, 0.0].repeat(n_rows), (n_rows, 2), &Device::Cpu).unwrap()
    }

    fn gradient(logits: &[f32; 3], worth: f32) -> Vec<f32> {
        let logits = Var::from_tensor(&Tensor::new(&[*logits], &Device::Cpu).unwrap()).unwrap();
        let worth = Tensor::new(&[worth], &Device::Cpu).unwrap();
        let loss = giving_up_loss(logits.as_tensor(), &first_model_only(1), &worth, 1.0).unwrap();
        loss.backward().unwrap().get(logits.as_tensor()).unwrap().to_vec2::<f32>().unwrap().concat()
    }

    #[test]
    fn going_on_is_worth_what_it_gains_less_the_cost_to_go() {
        check(&worth_of_going_on(&[0.0, 1.0], &[0.4, 0.2], 0.5, &[false; 2]), &[0.7, 0.9]);
        check(&worth_of_going_on(&[0.0; 2], &[0.4, 0.2], 0.5, &[false; 2]), &[-0.3, -0.1]);
        check(&worth_of_going_on(&[], &[], 0.5, &[]), &[]);
    }

    #[test]
    fn a_grade_that_was_reached_before_is_not_gained_by_going_on() {
        check(&worth_of_going_on(&[0.5, 0.25, -0.75], &[0.2; 3], 0.5, &[false; 3]), &[-0.3, -0.7, -0.85]);
    }

    #[test]
    fn what_the_policy_would_not_have_gone_on_to_does_not_count_before_it() {
        check(&worth_of_going_on(&[0.0, 0.0, 1.0], &[0.4, 0.2, 0.2], 0.5, &[true, false, true]), &[-0.3, -0.1, 0.9]);
    }

    #[test]
    fn the_odds_of_giving_up_move_against_the_worth_of_going_on_however_improbable_it_is() {
        // sigmoid(-20) is about nothing, sigmoid(20) about 1.
        check(&gradient(&[0.0, 9.0, -20.0], -0.3), &[0.0, 0.0, -0.3]);
        check(&gradient(&[0.0, 9.0, -20.0], 0.3), &[0.0, 0.0, 0.0]);
        check(&gradient(&[0.0, 9.0, 0.0], 0.3), &[0.0, 0.0, 0.15]);
    }

    #[test]
    fn the_loss_is_least_where_the_odds_are_those_of_losing_to_gaining_which_counts_for_more_by_caution() {
        let loss = |odds: f32, caution: f32| {
            let logits = Tensor::new(&[[0.0_f32, 9.0, odds]; 3], &Device::Cpu).unwrap();
            let worth = Tensor::new(&[0.6_f32, -0.1, -0.2], &Device::Cpu).unwrap();
            giving_up_loss(&logits, &first_model_only(3), &worth, caution).unwrap().to_scalar::<f32>().unwrap()
        };
        for caution in [1.0_f32, 2.0] {
            let best = (0.5 / caution).ln();
            let at = |odds: f32| loss(odds, caution);
            assert!(at(best) < at(best + 0.1) && at(best) < at(best - 0.1), "caution {caution}");
        }
    }
}
