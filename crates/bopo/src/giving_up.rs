//! Giving up: when it pays, learnt from every decision and not from the rare ones that gave up.
//!
//! Our design. Most tasks can be solved, so the policy gradient first drives the probability of giving up to nothing everywhere,
//! and what is never tried is never learnt. But giving up needs no trial: it brings nothing more and costs nothing more, so
//! going on was worth exactly what the episode went on to earn. Each decision is therefore an example of a cost-sensitive
//! classification (after Lazaric et al., "Analysis of a Classification-based Policy Iteration Algorithm", 2010): give up where the
//! rest of the episode lost, go on where it gained, weighted by how much.

use candle_core::{D, Result, Tensor};

/// What the rest of an episode was worth from each of its decisions to call a model: its outcome less `lambda` times the cost to
/// go. The decision to give up says nothing of what going on would have been worth, and counts 0.
///
/// # Shapes
/// `costs`: one per decision. Returns one per decision.
pub(crate) fn worth_of_going_on(outcome: f32, costs: &[f32], lambda: f32, is_given_up: bool) -> Vec<f32> {
    let mut to_go: f32 = costs.iter().sum();
    let mut worth: Vec<f32> = costs
        .iter()
        .map(|cost| {
            let worth = outcome - lambda * to_go;
            to_go -= cost;
            worth
        })
        .collect();
    if let Some(last) = worth.last_mut().filter(|_| is_given_up) {
        *last = 0.0;
    }
    worth
}

/// Weighted logistic loss of the odds of giving up, `mean(|w| softplus(sign(w) u))` with `u = z_stop - ln(sum(e^z))` over the
/// models that are allowed. At its minimum `e^u` is `E[max(-w, 0)] / E[max(w, 0)]`, so giving up is the more probable exactly
/// where going on is worth less than nothing on average. Its gradient does not vanish with the probability of giving up, and it
/// moves the logit to give up alone: which model answers is none of its business.
///
/// # Shapes
/// `masked_logits`: `[batch, n_models + 1]`, the last to give up. `worth`: `[batch]`. Returns a scalar.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn giving_up_loss(masked_logits: &Tensor, worth: &Tensor) -> Result<Tensor> {
    let n_models = masked_logits.dim(D::Minus1)? - 1;
    let models = masked_logits.narrow(1, 0, n_models)?.log_sum_exp(D::Minus1)?.detach();
    let odds = (masked_logits.narrow(1, n_models, 1)?.squeeze(1)? - models)?;
    (worth.abs()? * softplus(&(odds * worth.sign()?)?)?)?.mean_all()
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

    fn gradient(logits: &[f32; 3], worth: f32) -> Vec<f32> {
        let logits = Var::from_tensor(&Tensor::new(&[*logits], &Device::Cpu).unwrap()).unwrap();
        let worth = Tensor::new(&[worth], &Device::Cpu).unwrap();
        let loss = giving_up_loss(logits.as_tensor(), &worth).unwrap();
        loss.backward().unwrap().get(logits.as_tensor()).unwrap().to_vec2::<f32>().unwrap().concat()
    }

    #[test]
    fn going_on_is_worth_the_outcome_less_the_cost_to_go() {
        check(&worth_of_going_on(1.0, &[0.4, 0.2], 0.5, false), &[0.7, 0.9]);
        check(&worth_of_going_on(0.0, &[0.4, 0.2, 0.0], 0.5, true), &[-0.3, -0.1, 0.0]);
        check(&worth_of_going_on(0.5, &[0.4, 0.0], 0.0, true), &[0.5, 0.0]);
        check(&worth_of_going_on(0.0, &[], 0.5, false), &[]);
    }

    #[test]
    fn the_odds_of_giving_up_move_against_the_worth_of_going_on_however_improbable_it_is() {
        // sigmoid(-20) is about nothing, sigmoid(20) about 1.
        check(&gradient(&[-60.0, 0.0, -20.0], -0.3), &[0.0, 0.0, -0.3]);
        check(&gradient(&[-60.0, 0.0, -20.0], 0.3), &[0.0, 0.0, 0.0]);
        check(&gradient(&[-60.0, 0.0, 0.0], 0.3), &[0.0, 0.0, 0.15]);
    }

    #[test]
    fn the_loss_is_least_where_the_odds_are_those_of_losing_to_gaining() {
        let loss = |odds: f32| {
            let logits = Tensor::new(&[[0.0_f32, -1e9, odds]; 3], &Device::Cpu).unwrap();
            let worth = Tensor::new(&[0.6_f32, -0.1, -0.2], &Device::Cpu).unwrap();
            giving_up_loss(&logits, &worth).unwrap().to_scalar::<f32>().unwrap()
        };
        let best = 0.5_f32.ln();
        assert!(loss(best) < loss(best + 0.1) && loss(best) < loss(best - 0.1));
    }
}
