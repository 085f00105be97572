//! Skill-chain's own rivals: the belief-state router, and the rule of thumb that a practitioner would write.

use tollgate_environment::skill_chain::{CostWeighting, CueHeuristic, References};
use tollgate_routing::Task;

use super::players::{Player, Plays};
use crate::failure::OrBadInput;

/// Cues from which on the rule of thumb calls the large model at once.
const MIN_LARGE_CUES: [usize; 4] = [2, 3, 4, 6];
/// Failures after which it escalates.
const FAILURES_TO_ESCALATE: [usize; 3] = [1, 2, 3];
/// Large failures after which it gives up.
const FAILURES_TO_GIVE_UP: [usize; 2] = [2, 30];

/// The rivals. The belief-state router weighs cost on the mean scale of `train_tasks`, which is best for a frontier of
/// success against mean cost; a second one weighs it on each task's own scale, as our measured defaults do.
pub(crate) fn players<'a>(train_tasks: &[Task]) -> anyhow::Result<Vec<Player<'a>>> {
    let references = References::new(train_tasks).or_bad_input()?;
    let [overall, per_task] =
        [CostWeighting::Overall, CostWeighting::PerTask].map(|weighting| references.belief_planner(weighting));
    let mut players = vec![
        Player::new("dp-belief", move || overall.policy()).conditioned(),
        // Under a cap cost is free, and the two are the same.
        Player::new("dp-belief-per-task", move || per_task.policy()).conditioned().playing(Plays::ONLY_UNCAPPED),
    ];
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
