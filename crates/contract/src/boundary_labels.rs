//! `boundary_labels.parquet`: how hard each task is, with the evidence.

use arrow::record_batch::RecordBatch;
use tollgate_routing::{BoundaryLabel, Difficulty, ProbeStats, TaskId};

use crate::column::columns;
use crate::decode::Decoder;
use crate::encode::Encoder;
use crate::{ArtifactKind, ArtifactRow, Column, ContractError};

columns! {
    TASK_ID = "task_id", Id, required, "", "The task, once in the file; joins `tasks.task_id`.";
    DIFFICULTY = "difficulty", Id, required, "", "`easy`: the small model alone solves it often enough. `hard`: not easy, and solved by some probe. `intractable`: solved by no probe.";
    IS_CONTESTED = "is_contested", Bool, required, "", "Whether the evidence is too thin to tell the class from its neighbour.";
    SMALL_SUCCESSES = "small_successes", Int32, required, "episodes", "Probes of always-small that solved the task.";
    SMALL_EPISODES = "small_episodes", Int32, required, "episodes", "Probes of always-small, at least 1.";
    LARGE_SUCCESSES = "large_successes", Int32, required, "episodes", "Probes of always-large that solved the task.";
    LARGE_EPISODES = "large_episodes", Int32, required, "episodes", "Probes of always-large, at least 1.";
    SMALL_MEAN_COST_NANO_USD = "small_mean_cost_nano_usd", Int64, required, "nano-USD", "Mean cost of a probe of always-small, rounded down.";
    LARGE_MEAN_COST_NANO_USD = "large_mean_cost_nano_usd", Int64, required, "nano-USD", "Mean cost of a probe of always-large, rounded down.";
    SMALL_MEAN_SCORE = "small_mean_score", Float32, nullable, "0 to 1", "Mean grade of a probe of always-small; null counts as its success rate.";
    LARGE_MEAN_SCORE = "large_mean_score", Float32, nullable, "0 to 1", "Mean grade of a probe of always-large; null counts as its success rate.";
    SMALL_SUCCESS_LOW = "small_success_low", Float64, nullable, "0 to 1", "Lower end of the 95 % Wilson interval of always-small's success rate.";
    SMALL_SUCCESS_HIGH = "small_success_high", Float64, nullable, "0 to 1", "Upper end of the 95 % Wilson interval of always-small's success rate.";
    LARGE_SUCCESS_LOW = "large_success_low", Float64, nullable, "0 to 1", "Lower end of the 95 % Wilson interval of always-large's success rate.";
    LARGE_SUCCESS_HIGH = "large_success_high", Float64, nullable, "0 to 1", "Upper end of the 95 % Wilson interval of always-large's success rate.";
}

impl ArtifactRow for BoundaryLabel {
    const KIND: ArtifactKind = ArtifactKind::BoundaryLabels;

    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ContractError> {
        let small = || rows.iter().map(|row| row.small);
        let large = || rows.iter().map(|row| row.large);
        let mut batch = Encoder::new(Self::KIND, rows.len());
        batch.id(&TASK_ID, rows.iter().map(|row| row.task_id.as_str()));
        batch.id(&DIFFICULTY, rows.iter().map(|row| row.difficulty.as_str()));
        batch.bool(&IS_CONTESTED, rows.iter().map(|row| row.is_contested));
        batch.count(&SMALL_SUCCESSES, small().map(|probes| probes.successes))?;
        batch.count(&SMALL_EPISODES, small().map(|probes| probes.episodes))?;
        batch.count(&LARGE_SUCCESSES, large().map(|probes| probes.successes))?;
        batch.count(&LARGE_EPISODES, large().map(|probes| probes.episodes))?;
        batch.money(&SMALL_MEAN_COST_NANO_USD, small().map(|probes| probes.mean_cost))?;
        batch.money(&LARGE_MEAN_COST_NANO_USD, large().map(|probes| probes.mean_cost))?;
        batch.float32(&SMALL_MEAN_SCORE, small().map(|probes| probes.mean_score));
        batch.float32(&LARGE_MEAN_SCORE, large().map(|probes| probes.mean_score));
        batch.float64(&SMALL_SUCCESS_LOW, small().map(|probes| wilson_interval(&probes).0));
        batch.float64(&SMALL_SUCCESS_HIGH, small().map(|probes| wilson_interval(&probes).1));
        batch.float64(&LARGE_SUCCESS_LOW, large().map(|probes| wilson_interval(&probes).0));
        batch.float64(&LARGE_SUCCESS_HIGH, large().map(|probes| wilson_interval(&probes).1));
        batch.finish()
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError> {
        let columns = Decoder::new(Self::KIND, batch);
        let task_ids = columns.named(&TASK_ID, TaskId::new)?;
        let difficulties = columns.parsed(&DIFFICULTY, DIFFICULTIES, difficulty)?;
        let contested = columns.bool(&IS_CONTESTED)?;
        let small =
            probes(&columns, [&SMALL_SUCCESSES, &SMALL_EPISODES, &SMALL_MEAN_COST_NANO_USD, &SMALL_MEAN_SCORE])?;
        let large =
            probes(&columns, [&LARGE_SUCCESSES, &LARGE_EPISODES, &LARGE_MEAN_COST_NANO_USD, &LARGE_MEAN_SCORE])?;
        let row = |(at, task_id): (usize, _)| Self {
            task_id,
            difficulty: difficulties[at],
            is_contested: contested.value(at),
            small: small[at],
            large: large[at],
        };
        Ok(task_ids.into_iter().enumerate().map(row).collect())
    }
}

fn probes(
    columns: &Decoder<'_>,
    [successes, episodes, mean_cost, mean_score]: [&Column; 4],
) -> Result<Vec<ProbeStats>, ContractError> {
    let counts = columns.count(successes)?.into_iter().zip(columns.count(episodes)?);
    let mean_costs = columns.money(mean_cost)?;
    let mean_scores = columns.float32(mean_score)?;
    let stats = |(((successes, episodes), mean_cost), mean_score): (_, Option<f32>)| {
        let counted = ProbeStats { successes, episodes, mean_cost, mean_score: 0.0 };
        ProbeStats { mean_score: mean_score.unwrap_or(counted.success_rate() as f32), ..counted }
    };
    Ok(counts.zip(mean_costs).zip(mean_scores.iter()).map(stats).collect())
}

/// The 95 % Wilson score interval; the whole axis without probes.
fn wilson_interval(probes: &ProbeStats) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if probes.episodes == 0 {
        return (0.0, 1.0);
    }
    let n = f64::from(probes.episodes);
    let rate = probes.success_rate();
    let center = (rate + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half_width = Z / (1.0 + Z * Z / n) * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((center - half_width).max(0.0), (center + half_width).min(1.0))
}

pub(crate) const DIFFICULTIES: &str = "`easy`, `hard` or `intractable`";

pub(crate) fn difficulty(name: &str) -> Option<Difficulty> {
    Difficulty::ALL.into_iter().find(|difficulty| difficulty.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_interval_of_three_in_five_is_the_textbook_one() {
        let probes = ProbeStats { successes: 3, episodes: 5, ..ProbeStats::default() };
        let (low, high) = wilson_interval(&probes);
        assert!((low - 0.2307).abs() < 1e-4 && (high - 0.8824).abs() < 1e-4, "{low} {high}");
    }
}
