//! Skill-chain's own rivals: the belief-state router, and the rule of thumb that a practitioner would write.

use tollgate_environment::skill_chain::{CueHeuristic, References};
use tollgate_routing::Task;

use super::players::Player;
use crate::failure::OrBadInput;

/// Cues from which on the rule of thumb calls the large model at once.
const MIN_LARGE_CUES: [usize; 4] = [2, 3, 4, 6];
/// Failures after which it escalates.
const FAILURES_TO_ESCALATE: [usize; 3] = [1, 2, 3];
/// Large failures after which it gives up.
const FAILURES_TO_GIVE_UP: [usize; 2] = [2, 30];

/// The rivals; the belief-state router weighs cost on the scale of `train_tasks`, as a trained router does.
pub(crate) fn players(train_tasks: &[Task]) -> anyhow::Result<Vec<Player>> {
    let planner = References::new(train_tasks).or_bad_input()?.belief_planner();
    let mut players = vec![Player::new("dp-belief", move || planner.policy()).conditioned()];
    for min_large_cue in MIN_LARGE_CUES {
        for failures_to_escalate in FAILURES_TO_ESCALATE {
            for failures_to_give_up in FAILURES_TO_GIVE_UP {
                let heuristic = CueHeuristic { min_large_cue, failures_to_escalate, failures_to_give_up };
                let id = format!("heuristic-{min_large_cue}-{failures_to_escalate}-{failures_to_give_up}");
                players.push(Player::new(&id, move || heuristic));
            }
        }
    }
    Ok(players)
}
