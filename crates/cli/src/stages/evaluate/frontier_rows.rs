//! Evaluated episodes to the rows of `frontier.parquet`.

use std::collections::BTreeSet;

use tollgate_contract::FrontierRow;
use tollgate_inference::{Cell, EvaluatedEpisode, Metric, OutcomeTable, Resamples, frontier, summarize};
use tollgate_routing::{NanoUsd, Objective, Split};

use super::PlayedSplit;
use crate::figures::looks_at_lambda;

/// The rows: for each split the means over training seeds, then each seed's own.
pub(super) fn rows(
    cells: &[Cell],
    played: &[PlayedSplit],
    objective: Objective,
    seed: u64,
) -> anyhow::Result<Vec<FrontierRow>> {
    let train_seeds: BTreeSet<u64> = cells.iter().filter_map(|cell| cell.train_seed).collect();
    let mut rows = Vec::new();
    for split in played {
        rows.extend(rows_of(cells, split, None, objective, seed)?);
        if train_seeds.len() > 1 {
            for &train_seed in &train_seeds {
                rows.extend(rows_of(cells, split, Some(train_seed), objective, seed)?);
            }
        }
    }
    Ok(rows)
}

/// The rows of all policies, or, given a training seed, of the policies that were trained with it.
fn rows_of(
    cells: &[Cell],
    split: &PlayedSplit,
    train_seed: Option<u64>,
    objective: Objective,
    seed: u64,
) -> anyhow::Result<Vec<FrontierRow>> {
    let is_wanted = |cell: &Cell| train_seed.is_none() || cell.train_seed.is_none() || cell.train_seed == train_seed;
    let outcome = |episode: &'_ EvaluatedEpisode| {
        let cell = &cells[episode.cell_idx];
        is_wanted(cell).then_some(cell)
    };
    let episodes = split.episodes.iter().filter_map(|episode| {
        let cell = outcome(episode)?;
        Some((cell, &split.tasks[episode.task_idx].id, &episode.outcome))
    });
    let table = OutcomeTable::aggregate(objective, episodes)?;
    let resamples = Resamples::draw(table.tasks().len(), Resamples::N_RESAMPLES, Resamples::CONFIDENCE, seed)?;
    let boundaries = table.boundaries()?;
    let mut rows = Vec::new();
    for family in table.families() {
        let groups = table.family(&family);
        let conditioned = looks_at_lambda(&groups);
        let points = frontier(&family, &groups, &boundaries, &resamples)?.points;
        for (group, point) in groups.iter().zip(points) {
            if train_seed.is_some() && group.train_seeds.is_empty() {
                continue;
            }
            let figures = summarize(group, &resamples)?;
            rows.push(FrontierRow {
                family: family.clone(),
                policy_id: group.policy_id.clone(),
                split: split_of(split),
                train_seed: train_seed.or_else(|| only(&group.train_seeds)),
                lambda: conditioned.then_some(group.lambda),
                budget: group.budget,
                n_episodes: group.n_episodes as u32,
                success_rate: figures.success_rate.value,
                success_rate_low: figures.success_rate.low,
                success_rate_high: figures.success_rate.high,
                mean_score: group.mean(Metric::Score),
                mean_cost: NanoUsd::new(group.total_cost.get() / group.n_episodes.max(1)),
                mean_large_calls: figures.mean_large_calls.value,
                is_on_hull: point.is_on_hull,
            });
        }
    }
    Ok(rows)
}

fn split_of(split: &PlayedSplit) -> Split {
    split.split
}

/// The seed of a policy that was trained once.
fn only(train_seeds: &[u64]) -> Option<u64> {
    match train_seeds {
        [seed] => Some(*seed),
        _ => None,
    }
}
