//! Advantages: how much better an episode, or a step of it, was than could be expected.
//!
//! The paper's reference-guided formula is not known to us. Ours comes in two forms: a critic that knows what the boundary
//! policies achieve on the task ([`generalized_advantages`]), and the group form [`reference_guided_advantage`]. Plain GRPO
//! ([`grpo_advantage`]) stands beside them as the ablation.

/// Reference-guided advantages of a group (our design): each reward less the mean over the group *and* the rewards of the
/// boundary policies on the same task. A group of equally cheap failures is pushed away from failing wherever a boundary
/// policy succeeds. There is no division by the group's deviation: in a group of one outcome only the cost varies, and
/// dividing would blow that up to unit size.
///
/// # Shapes
/// `rewards`: one per rollout of the group. `boundary_rewards`: one per boundary probe, may be empty. Returns one per
/// rollout.
#[must_use]
pub fn reference_guided_advantage(rewards: &[f32], boundary_rewards: &[f32]) -> Vec<f32> {
    let n = (rewards.len() + boundary_rewards.len()).max(1) as f32;
    let mean = rewards.iter().chain(boundary_rewards).sum::<f32>() / n;
    rewards.iter().map(|reward| reward - mean).collect()
}

/// Advantages of plain GRPO (Shao et al., "DeepSeekMath", arXiv 2402.03300): the group's mean is subtracted and its
/// standard deviation divides. A group of equal rewards has no advantage.
///
/// # Shapes
/// `rewards`: one per rollout of the group. Returns one per rollout.
#[must_use]
pub fn grpo_advantage(rewards: &[f32]) -> Vec<f32> {
    let n = rewards.len().max(1) as f32;
    let mean = rewards.iter().sum::<f32>() / n;
    let deviation = (rewards.iter().map(|reward| (reward - mean).powi(2)).sum::<f32>() / n).sqrt();
    rewards.iter().map(|reward| (reward - mean) / (deviation + 1e-6)).collect()
}

/// Generalized advantage estimation (Schulman et al., arXiv 1506.02438) without discount, for an episode that ends after
/// its last step. Where `is_cut`, the step and what follows it count for nothing before it, as if the episode had ended there.
///
/// # Shapes
/// `rewards`, `values` and `is_cut`: one per step. Returns the advantages and the returns that the critic should learn, one per step.
#[must_use]
pub fn generalized_advantages(
    rewards: &[f32],
    values: &[f32],
    is_cut: &[bool],
    gae_lambda: f32,
) -> (Vec<f32>, Vec<f32>) {
    let mut advantages = vec![0.0; rewards.len()];
    let mut next_value = 0.0;
    let mut next_advantage = 0.0;
    for step in (0..rewards.len()).rev() {
        let surprise = rewards[step] + next_value - values[step];
        advantages[step] = surprise + gae_lambda * next_advantage;
        (next_value, next_advantage) = if is_cut[step] { (0.0, 0.0) } else { (values[step], advantages[step]) };
    }
    let returns = advantages.iter().zip(values).map(|(advantage, value)| advantage + value).collect();
    (advantages, returns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "found {found}, expected {expected}");
        }
    }

    #[test]
    fn equally_cheap_failures_are_pushed_away_where_a_reference_succeeds() {
        check(&reference_guided_advantage(&[-0.1, -0.1], &[-0.1, 0.7]), &[-0.2, -0.2]);
        check(&reference_guided_advantage(&[-0.1, -0.1], &[]), &[0.0, 0.0]);
    }

    #[test]
    fn grpo_blows_a_tiny_spread_up_to_unit_size() {
        check(&grpo_advantage(&[0.0, -0.01]), &[0.9998, -0.9998]);
        check(&grpo_advantage(&[1.0, 0.0, 1.0, 0.0]), &[1.0, -1.0, 1.0, -1.0]);
    }

    #[test]
    fn advantages_of_a_group_without_references_sum_to_zero() {
        let total: f32 = grpo_advantage(&[0.3, 0.9, -0.2]).iter().sum();
        assert!(total.abs() < 1e-5);
    }

    #[test]
    fn gae_with_weight_one_is_the_return_less_the_value() {
        let (advantages, returns) = generalized_advantages(&[-0.1, -0.1, 0.9], &[0.5, 0.6, 0.8], &[false; 3], 1.0);
        check(&returns, &[0.7, 0.8, 0.9]);
        check(&advantages, &[0.2, 0.2, 0.1]);
    }

    #[test]
    fn gae_with_weight_zero_looks_one_step_ahead() {
        let (advantages, _) = generalized_advantages(&[-0.1, 1.0], &[0.5, 0.6], &[false; 2], 0.0);
        check(&advantages, &[0.0, 0.4]);
    }

    #[test]
    fn nothing_from_a_cut_on_counts_before_it() {
        let (advantages, returns) =
            generalized_advantages(&[-0.1, -0.1, 0.9], &[0.5, 0.6, 0.8], &[false, true, false], 1.0);
        check(&returns, &[-0.1, 0.8, 0.9]);
        check(&advantages, &[-0.6, 0.2, 0.1]);
    }

    #[test]
    fn gae_discounts_later_surprises() {
        let (advantages, _) = generalized_advantages(&[0.0, 1.0], &[0.5, 0.5], &[false; 2], 0.95);
        check(&advantages, &[0.475, 0.5]);
    }
}
