//! `training_log.parquet`: one row per iteration of each training run. No clock times: two runs of one seed are to be
//! equal to the byte.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};

use crate::column::columns;
use crate::decode::{Decoder, at};
use crate::encode::Encoder;
use crate::{ArtifactKind, ArtifactRow, Column, ContractError};

columns! {
    VARIANT = "variant", Id, required, "", "What is trained, for example `bopo`, `sft` or `grpo`.";
    TRAIN_SEED = "train_seed", UInt64, required, "", "Seed of the training run.";
    ITERATION = "iteration", Int32, required, "", "Iteration of the run, from 0.";
    ENV_STEPS = "env_steps", Int64, required, "steps", "Environment steps taken since the run began.";
    MEAN_RETURN = "mean_return", Float32, nullable, "", "Mean return of the iteration's episodes, each with its own lambda.";
    SUCCESS_RATE = "success_rate", Float32, nullable, "0 to 1", "Share of the iteration's episodes that solved their task.";
    MEAN_COST_NORM = "mean_cost_norm", Float32, nullable, "", "Mean cost, where 0 is the cheaper and 1 the dearer boundary policy's on the same task.";
    LARGE_SHARE = "large_share", Float32, nullable, "0 to 1", "Share of the iteration's steps that the large model answered.";
    GIVEN_UP_SHARE = "given_up_share", Float32, nullable, "0 to 1", "Share of the iteration's episodes that the policy would have given up.";
    POLICY_LOSS = "policy_loss", Float32, nullable, "", "The clipped surrogate loss; the cross-entropy in the warm start.";
    VALUE_LOSS = "value_loss", Float32, nullable, "", "Squared error of the critic.";
    ENTROPY = "entropy", Float32, nullable, "nats", "Mean entropy of the policy.";
    APPROX_KL = "approx_kl", Float32, nullable, "nats", "Estimate of the divergence of the updated policy from the one that played.";
    REFERENCE_KL = "reference_kl", Float32, nullable, "nats", "Estimate of the divergence of the policy from the warm start.";
    CLIP_FRACTION = "clip_fraction", Float32, nullable, "0 to 1", "Share of samples whose probability ratio was clipped.";
    GRAD_NORM = "grad_norm", Float32, nullable, "", "Mean norm of the gradient before clipping.";
    EXPLAINED_VARIANCE = "explained_variance", Float32, nullable, "at most 1", "Share of the returns' variance that the critic explains; below 0 it is worse than a constant.";
    LEARNING_RATE = "learning_rate", Float32, nullable, "", "Step size of the optimizer.";
    LAMBDA_MEAN = "lambda_mean", Float32, nullable, "", "Mean lambda of the iteration's episodes.";
}

/// A row of `training_log.parquet`. Metrics that a variant does not have are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingLogRow {
    /// What is trained.
    pub variant: Arc<str>,
    /// Seed of the training run.
    pub train_seed: u64,
    /// Iteration of the run, from 0.
    pub iteration: u32,
    /// Environment steps since the run began.
    pub env_steps: u64,
    /// The metrics.
    pub metrics: TrainingMetrics,
}

/// Declares the metrics once: the struct's fields, and the column that each goes into.
macro_rules! metrics {
    ($($field:ident: $column:ident, $meaning:literal;)*) => {
        /// The metrics of an iteration; the columns of the same names say more.
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub struct TrainingMetrics {
            $(#[doc = $meaning] pub $field: Option<f32>,)*
        }

        impl TrainingMetrics {
            fn encode(batch: &mut Encoder, rows: &[TrainingLogRow]) {
                $(batch.float32(&$column, rows.iter().map(|row| row.metrics.$field));)*
            }

            fn decode(columns: &Decoder<'_>, n_rows: usize) -> Result<Vec<Self>, ContractError> {
                let mut metrics = vec![Self::default(); n_rows];
                $(
                    let values = columns.float32(&$column)?;
                    for (row, metrics) in metrics.iter_mut().enumerate() {
                        metrics.$field = at!(values, row);
                    }
                )*
                Ok(metrics)
            }

            /// The metrics that there are, each with its column.
            pub fn iter(&self) -> impl Iterator<Item = (&'static Column, f32)> {
                [$((&$column, self.$field)),*].into_iter().filter_map(|(column, value)| Some((column, value?)))
            }
        }
    };
}

metrics! {
    mean_return: MEAN_RETURN, "Mean return.";
    success_rate: SUCCESS_RATE, "Share of solved episodes.";
    mean_cost_norm: MEAN_COST_NORM, "Mean cost between the boundary policies'.";
    large_share: LARGE_SHARE, "Share of steps answered by the large model.";
    given_up_share: GIVEN_UP_SHARE, "Share of episodes that the policy would have given up.";
    policy_loss: POLICY_LOSS, "Clipped surrogate loss, or cross-entropy.";
    value_loss: VALUE_LOSS, "Squared error of the critic.";
    entropy: ENTROPY, "Entropy of the policy. Nats.";
    approx_kl: APPROX_KL, "Divergence from the policy that played. Nats.";
    reference_kl: REFERENCE_KL, "Divergence from the warm start. Nats.";
    clip_fraction: CLIP_FRACTION, "Share of clipped samples.";
    grad_norm: GRAD_NORM, "Norm of the gradient before clipping.";
    explained_variance: EXPLAINED_VARIANCE, "Share of the returns' variance that the critic explains.";
    learning_rate: LEARNING_RATE, "Step size.";
    lambda_mean: LAMBDA_MEAN, "Mean lambda.";
}

impl ArtifactRow for TrainingLogRow {
    const KIND: ArtifactKind = ArtifactKind::TrainingLog;

    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ContractError> {
        let mut batch = Encoder::new(Self::KIND, rows.len());
        batch.id(&VARIANT, rows.iter().map(|row| &*row.variant));
        batch.seed(&TRAIN_SEED, rows.iter().map(|row| row.train_seed));
        batch.count(&ITERATION, rows.iter().map(|row| row.iteration))?;
        batch.int64(&ENV_STEPS, rows.iter().map(|row| row.env_steps))?;
        TrainingMetrics::encode(&mut batch, rows);
        batch.finish()
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError> {
        let columns = Decoder::new(Self::KIND, batch);
        let variants = columns.shared_text(&VARIANT)?;
        let train_seeds = columns.seed(&TRAIN_SEED)?;
        let iterations = columns.count(&ITERATION)?;
        let env_steps = columns.int64(&ENV_STEPS)?;
        let metrics = TrainingMetrics::decode(&columns, batch.num_rows())?;
        let row = |(at, variant): (usize, _)| Self {
            variant,
            train_seed: train_seeds.value(at),
            iteration: iterations[at],
            env_steps: env_steps[at],
            metrics: metrics[at],
        };
        Ok(variants.into_iter().enumerate().map(row).collect())
    }
}
