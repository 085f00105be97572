//! The hidden chain of a task, and task sets from a seed.

use std::fmt::Write as _;

use tollgate_rollout::derive_seed;
use tollgate_routing::{Split, Task, TaskId};

use super::rules::{HORIZON, IMPOSSIBLE, MAX_SUBGOALS, MIN_SUBGOALS, N_CUES, cue_chance, environment_name, uniform};

/// Which mixture a task's skills are drawn from. Hidden from the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskKind {
    /// Mostly skills that both models have. 35 % of the tasks.
    Easy,
    /// All six skills. 48 % of the tasks.
    Harder,
    /// As harder, with one impossible subgoal at a random place. 17 % of the tasks.
    Impossible,
}

impl TaskKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Easy, Self::Harder, Self::Impossible];

    /// The share of tasks of this kind, 0 to 1.
    #[must_use]
    pub const fn share(self) -> f64 {
        match self {
            Self::Easy => 0.35,
            Self::Harder => 0.48,
            Self::Impossible => 0.17,
        }
    }

    /// How often each of the six possible skills is drawn. Adds up to 1.
    #[must_use]
    pub const fn skill_weights(self) -> [f64; N_CUES] {
        match self {
            Self::Easy => [0.38, 0.34, 0.24, 0.03, 0.01, 0.0],
            Self::Harder | Self::Impossible => [0.16, 0.16, 0.18, 0.20, 0.18, 0.12],
        }
    }
}

/// One subgoal of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subgoal {
    /// The skill that it takes, 0 to 6; hidden from the router. 6 is the impossible one.
    pub skill: usize,
    /// The skill that it looks like, 0 to 5.
    pub cue: usize,
}

/// The hidden chain of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    kind: TaskKind,
    subgoals: [Subgoal; MAX_SUBGOALS],
    len: usize,
}

impl Chain {
    /// The chain that `task_seed` stands for: kind, length, skills and cues.
    #[must_use]
    pub fn from_seed(task_seed: u64) -> Self {
        let draw = |stream: u64| uniform(task_seed, stream);
        let kind = TaskKind::ALL[pick(&TaskKind::ALL.map(TaskKind::share), draw(0))];
        let len = MIN_SUBGOALS + (draw(1) * (MAX_SUBGOALS - MIN_SUBGOALS + 1) as f64) as usize;
        Self::draw(kind, len, task_seed)
    }

    /// A chain of a given kind and length.
    pub(crate) fn draw(kind: TaskKind, len: usize, seed: u64) -> Self {
        let draw = |stream: u64| uniform(seed, stream);
        let impossible_at = (kind == TaskKind::Impossible).then(|| (draw(2) * len as f64) as usize);
        let mut subgoals = [Subgoal::default(); MAX_SUBGOALS];
        for (position, subgoal) in subgoals[..len].iter_mut().enumerate() {
            let stream = 3 + 2 * position as u64;
            let drawn = pick(&kind.skill_weights(), draw(stream));
            let skill = if impossible_at == Some(position) { IMPOSSIBLE } else { drawn };
            let chances: [f64; N_CUES] = std::array::from_fn(|cue| cue_chance(cue, skill));
            *subgoal = Subgoal { skill, cue: pick(&chances, draw(stream + 1)) };
        }
        Self { kind, subgoals, len }
    }

    /// A chain of given subgoals.
    #[cfg(test)]
    pub(crate) fn of(subgoals: &[Subgoal]) -> Self {
        let mut chain =
            Self { kind: TaskKind::Harder, subgoals: [Subgoal::default(); MAX_SUBGOALS], len: subgoals.len() };
        chain.subgoals[..subgoals.len()].copy_from_slice(subgoals);
        chain
    }

    /// The mixture that the skills were drawn from.
    #[must_use]
    pub const fn kind(&self) -> TaskKind {
        self.kind
    }

    /// The subgoals in their order.
    #[must_use]
    pub fn subgoals(&self) -> &[Subgoal] {
        &self.subgoals[..self.len]
    }
}

/// How many tasks each split gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskCounts {
    /// Tasks to train on.
    pub train: usize,
    /// Tasks to tune and choose on.
    pub validation: usize,
    /// Tasks to report on.
    pub test: usize,
}

impl Default for TaskCounts {
    fn default() -> Self {
        Self { train: 2_000, validation: 200, test: 500 }
    }
}

/// A task set from a seed: train, validation, test, in this order. Every task has a seed of its own, so the splits share
/// no task; one split does not change with the size of another.
#[must_use]
pub fn generate_tasks(seed: u64, counts: TaskCounts) -> Vec<Task> {
    places(seed, counts).map(|(split, position, seed)| task(split, position, seed)).collect()
}

/// As [`generate_tasks`], with another share of tasks that are not easy, 0 to 1; among those, harder and impossible ones are as
/// frequent as ever. What is played stays the same: only which seeds are in the set differs.
#[must_use]
pub fn generate_tasks_of_share(seed: u64, counts: TaskCounts, hard_share: f64) -> Vec<Task> {
    let mix = |(number, (split, _, place_seed)): (usize, (Split, usize, u64))| {
        let is_easy = uniform(place_seed, SHARE_STREAM) >= hard_share;
        let mut candidates = (0..).map(|attempt| derive_seed(place_seed, SHARE_STREAM + attempt));
        let seed = candidates.find(|&seed| (Chain::from_seed(seed).kind() == TaskKind::Easy) == is_easy);
        let id = TaskId::new(&format!("skill-chain-{}-mix-{number:04}", split.as_str()));
        Task { id, ..task(split, number, seed.unwrap_or(place_seed)) }
    };
    places(seed, counts).enumerate().map(mix).collect()
}

/// Each task's split, position in it, and seed.
fn places(seed: u64, counts: TaskCounts) -> impl Iterator<Item = (Split, usize, u64)> {
    let sizes = [counts.train, counts.validation, counts.test];
    Split::ALL.into_iter().zip(sizes).flat_map(move |(split, size)| {
        let split_seed = derive_seed(seed, split as u64);
        (0..size).map(move |position| (split, position, derive_seed(split_seed, position as u64)))
    })
}

/// Keeps the draws of a share apart from those of a chain.
const SHARE_STREAM: u64 = 0x5348;

fn task(split: Split, position: usize, seed: u64) -> Task {
    let chain = Chain::from_seed(seed);
    let mut instruction = format!("Solve a chain of {} subgoals in their order. They look like skills", chain.len);
    let mut cues: Vec<usize> = chain.subgoals().iter().map(|subgoal| subgoal.cue).collect();
    cues.sort_unstable();
    for (place, cue) in cues.iter().enumerate() {
        let separator = if place == 0 { " " } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(instruction, "{separator}{}", cue + 1);
    }
    instruction.push('.');
    Task {
        id: TaskId::new(&format!("skill-chain-{}-{position:04}", split.as_str())),
        environment: environment_name(),
        split,
        seed,
        instruction: instruction.into(),
        horizon: HORIZON,
        kind: None,
        group: None,
    }
}

/// The position at which `draw` falls when [0, 1) is cut into pieces of these sizes.
fn pick(shares: &[f64], draw: f64) -> usize {
    let mut upper = 0.0;
    for (position, share) in shares.iter().enumerate() {
        upper += share;
        if draw < upper {
            return position;
        }
    }
    // Rounding left a gap below 1: the last piece that is not empty closes it.
    shares.iter().rposition(|&share| share > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_share_of_hard_tasks_is_kept() {
        let counts = TaskCounts { train: 2_000, validation: 1, test: 1 };
        for hard_share in [0.0, 0.3, 1.0] {
            let tasks = generate_tasks_of_share(1, counts, hard_share);
            let n_hard = tasks.iter().filter(|task| Chain::from_seed(task.seed).kind() != TaskKind::Easy).count();
            assert!((n_hard as f64 / 2_002.0 - hard_share).abs() < 0.03, "{n_hard} of 2,002 for {hard_share}");
        }
    }

    #[test]
    fn splits_share_no_task_and_do_not_depend_on_each_other() {
        let tasks = generate_tasks(1, TaskCounts::default());
        assert_eq!(tasks.len(), 2_700);
        assert_eq!(tasks.iter().map(|task| task.seed).collect::<BTreeSet<_>>().len(), 2_700);
        assert_eq!(tasks.iter().map(|task| task.id.clone()).collect::<BTreeSet<_>>().len(), 2_700);
        let fewer = generate_tasks(1, TaskCounts { train: 3, validation: 200, test: 500 });
        assert_eq!(tasks[2_000..], fewer[3..]);
    }

    #[test]
    fn chains_follow_the_shares_of_kinds_skills_and_cues() {
        let chains: Vec<Chain> = (0..20_000).map(|i| Chain::from_seed(derive_seed(5, i))).collect();
        for kind in TaskKind::ALL {
            let of_kind: Vec<&Chain> = chains.iter().filter(|chain| chain.kind == kind).collect();
            assert!((of_kind.len() as f64 / 20_000.0 - kind.share()).abs() < 0.01);
            let impossible =
                of_kind.iter().flat_map(|chain| chain.subgoals()).filter(|s| s.skill == IMPOSSIBLE).count();
            assert_eq!(impossible, if kind == TaskKind::Impossible { of_kind.len() } else { 0 });
        }
        let subgoals: Vec<Subgoal> =
            chains.iter().flat_map(|chain| chain.subgoals().to_vec()).filter(|s| s.skill != IMPOSSIBLE).collect();
        let right = subgoals.iter().filter(|s| s.skill == s.cue).count() as f64 / subgoals.len() as f64;
        assert!((right - 0.82).abs() < 0.005, "{right}");
        assert!((4..=12).all(|len| chains.iter().any(|chain| chain.len == len)));
    }
}
