//! Who plays: the boundary policies, the policies that anyone can write down, and in general anything with a name.

use std::sync::Arc;

use tollgate_inference::{Cascade, CascadeConfig, Cell, PolicyFactory, RandomMixing};
use tollgate_rollout::{AlwaysLarge, AlwaysSmall, PolicyError, RoutingPolicy};

use crate::config::{EvaluateConfig, Suite};
use crate::failure::OrBadInput;

/// Where a policy is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plays {
    /// Without a cap.
    pub(crate) uncapped: bool,
    /// Under caps on large calls.
    pub(crate) capped_in_calls: bool,
    /// Under caps in money.
    pub(crate) capped_in_usd: bool,
}

impl Plays {
    const EVERYWHERE: Self = Self { uncapped: true, capped_in_calls: true, capped_in_usd: true };
    /// A cap on calls makes it another policy, or none.
    const BUT_CALLS: Self = Self { capped_in_calls: false, ..Self::EVERYWHERE };
    /// A cap adds nothing.
    pub(crate) const ONLY_UNCAPPED: Self = Self { capped_in_calls: false, capped_in_usd: false, ..Self::EVERYWHERE };
    const ONLY_CALLS: Self = Self { uncapped: false, capped_in_usd: false, ..Self::EVERYWHERE };
}

/// A policy, and where it is to be played.
pub(crate) struct Player<'a> {
    /// Its name.
    pub(crate) policy_id: Arc<str>,
    /// Seed of its training, if it was trained.
    pub(crate) train_seed: Option<u64>,
    /// Whether it looks at `lambda`.
    pub(crate) is_conditioned: bool,
    /// Where it is played.
    pub(crate) plays: Plays,
    make: Box<dyn Fn() -> Box<dyn RoutingPolicy + 'a> + Sync + 'a>,
}

impl<'a> Player<'a> {
    /// A policy that plays everywhere, was not trained, and does not look at `lambda`.
    pub(crate) fn new<P: RoutingPolicy + 'a>(policy_id: &str, make: impl Fn() -> P + Sync + 'a) -> Self {
        Self {
            policy_id: policy_id.into(),
            train_seed: None,
            is_conditioned: false,
            plays: Plays::EVERYWHERE,
            make: Box::new(move || Box::new(make())),
        }
    }

    /// The same policy, looking at `lambda`.
    pub(crate) fn conditioned(self) -> Self {
        Self { is_conditioned: true, ..self }
    }

    /// The same policy, with the seed of its training.
    pub(crate) fn trained(self, train_seed: u64) -> Self {
        Self { train_seed: Some(train_seed), ..self }
    }

    /// The same policy, played there.
    pub(crate) fn playing(self, plays: Plays) -> Self {
        Self { plays, ..self }
    }
}

/// All players of an evaluation.
pub(crate) struct Players<'p, 'a>(pub(crate) &'p [Player<'a>]);

impl PolicyFactory for Players<'_, '_> {
    fn build<'s>(&'s self, cell: &Cell) -> Result<Box<dyn RoutingPolicy + 's>, PolicyError> {
        let is_asked = |player: &&Player| player.policy_id == cell.policy_id && player.train_seed == cell.train_seed;
        self.0.iter().find(is_asked).map(|player| (player.make)()).ok_or_else(|| PolicyError::Mismatch {
            policy: cell.policy_id.to_string(),
            expected: "a player of this evaluation".to_owned(),
            found: "none of this name".to_owned(),
        })
    }
}

/// The two boundary policies, and the policies that anyone can write down without training.
pub(crate) fn baselines<'a>(config: &EvaluateConfig, suite: Suite, n_models: usize) -> anyhow::Result<Vec<Player<'a>>> {
    let mut players = vec![
        Player::new("always-small", || AlwaysSmall).playing(Plays::BUT_CALLS),
        Player::new("always-large", || AlwaysLarge).playing(Plays::BUT_CALLS),
        // Always-large under a cap on calls spends them at once.
        Player::new("first-k-large", || AlwaysLarge).playing(Plays::ONLY_CALLS),
    ];
    for &p_large in &config.random_p_large {
        let mixing = RandomMixing::of_boundaries(p_large, n_models).or_bad_input()?;
        players.push(Player::new(&format!("random-{p_large}"), move || mixing.clone()));
    }
    for &failures_to_escalate in &config.cascade_failures {
        for &escalated_steps in &config.cascade_steps {
            let cascade = Cascade::new(CascadeConfig {
                failures_to_escalate,
                escalated_steps,
                // In skill-chain a model has two things to say, and sees the same subgoal until it is solved.
                repeated_command_fails: suite != Suite::SkillChain,
                repeated_observation_fails: suite != Suite::SkillChain,
            });
            let cascade = cascade.or_bad_input()?;
            let policy_id = format!("cascade-{failures_to_escalate}-{escalated_steps}");
            players.push(Player::new(&policy_id, move || cascade.clone()));
        }
    }
    Ok(players)
}
