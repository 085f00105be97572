//! Which tasks train, and which ones test.

use tollgate_routing::Split;

use crate::plan::SplitRule;
use crate::tables::spread;

/// Tasks that stay together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SplitGroup {
    /// A number that stands for its name.
    pub(crate) key: u64,
    /// How many tasks it has.
    pub(crate) n_tasks: u32,
    /// The split that the map gives it.
    pub(crate) listed: Option<Split>,
}

/// The split of every group. Groups that are not listed are drawn in the order of a hash of seed and name, each into the
/// split that misses most of its share of the tasks; a split with a share gets at least one group where there are enough.
pub(crate) fn assign(groups: &[SplitGroup], rule: &SplitRule) -> Vec<Split> {
    let mut splits: Vec<Split> = groups.iter().map(|group| group.listed.unwrap_or(Split::Train)).collect();
    let mut drawn: Vec<usize> = (0..groups.len()).filter(|&at| groups[at].listed.is_none()).collect();
    drawn.sort_unstable_by_key(|&at| (spread(groups[at].key ^ spread(rule.seed)), groups[at].key));
    let n_tasks: f64 = drawn.iter().map(|&at| f64::from(groups[at].n_tasks)).sum();
    let mut missing = rule.shares.map(|share| share * n_tasks);
    for &at in &drawn {
        let split = most(&missing);
        splits[at] = Split::ALL[split];
        missing[split] -= f64::from(groups[at].n_tasks);
    }
    fill_empty(&mut splits, groups, &drawn, &rule.shares);
    splits
}

/// The first split that misses most.
fn most(missing: &[f64; 4]) -> usize {
    (1..4).fold(0, |best, split| if missing[split] > missing[best] { split } else { best })
}

/// Gives each split that should have tasks and has none the smallest drawn group of a split with several.
fn fill_empty(splits: &mut [Split], groups: &[SplitGroup], drawn: &[usize], shares: &[f64; 4]) {
    for (empty, share) in Split::ALL.into_iter().zip(shares) {
        if *share <= 0.0 || splits.contains(&empty) {
            continue;
        }
        let n_of = |split: Split| splits.iter().filter(|&&other| other == split).count();
        let spare = drawn.iter().copied().filter(|&at| n_of(splits[at]) > 1);
        if let Some(at) = spare.min_by_key(|&at| (groups[at].n_tasks, groups[at].key)) {
            splits[at] = empty;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::stable_seed;

    fn groups(sizes: &[u32]) -> Vec<SplitGroup> {
        let group = |(at, &n_tasks): (usize, &u32)| SplitGroup {
            key: stable_seed(&format!("group-{at}")),
            n_tasks,
            listed: None,
        };
        sizes.iter().enumerate().map(group).collect()
    }

    fn n_tasks(groups: &[SplitGroup], splits: &[Split], split: Split) -> u32 {
        groups.iter().zip(splits).filter(|(_, found)| **found == split).map(|(group, _)| group.n_tasks).sum()
    }

    #[test]
    fn shares_are_kept_in_tasks_and_groups_stay_whole() {
        let groups = groups(&[50, 40, 60, 55, 45, 50, 52, 48, 50, 51, 49]);
        for seed in 0..50 {
            let splits = assign(&groups, &SplitRule { seed, ..SplitRule::default() });
            let train = n_tasks(&groups, &splits, Split::Train);
            assert!((270..=390).contains(&train), "{train} of 550 with seed {seed}");
        }
    }

    #[test]
    fn no_split_with_a_share_stays_empty() {
        for seed in 0..50 {
            let splits = assign(&groups(&[10, 10, 10]), &SplitRule { seed, ..SplitRule::default() });
            for split in [Split::Train, Split::Validation, Split::Test] {
                assert!(splits.contains(&split), "{split:?} with seed {seed}");
            }
        }
    }

    #[test]
    fn listed_groups_go_where_they_are_listed() {
        let mut groups = groups(&[10; 6]);
        groups[2].listed = Some(Split::Test);
        groups[3].listed = Some(Split::Unseen);
        let rule = SplitRule { shares: [1.0, 0.0, 0.0, 0.0], ..SplitRule::default() };
        let splits = assign(&groups, &rule);
        assert_eq!((splits[2], splits[3]), (Split::Test, Split::Unseen));
        assert!([0, 1, 4, 5].iter().all(|&at| splits[at] == Split::Train));
    }

    #[test]
    fn the_draw_depends_on_names_and_seed_alone() {
        let one = groups(&[1; 40]);
        let mut other = one.clone();
        other.reverse();
        let rule = SplitRule::default();
        let mut reversed = assign(&other, &rule);
        reversed.reverse();
        assert_eq!(assign(&one, &rule), reversed);
        assert_ne!(assign(&one, &rule), assign(&one, &SplitRule { seed: 2, ..rule }));
    }
}
