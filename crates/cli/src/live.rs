//! The live models of a stage: their endpoints, what they may spend, and the journal of what was paid for.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tollgate_contract::Slot;
use tollgate_environment::live::LiveModels;
use tollgate_routing::ModelPool;
use tollgate_upstream::{Account, BlockingUpstream, StopSignal, UpstreamError};

use crate::config::{ExecutorKind, ExperimentConfig, LiveConfig};
use crate::failure::{OrBadInput, bad_input};
use crate::stage_call::StageCall;

/// The journal of calls in a stage's directory. Hosts keep it when they clear an attempt away: what it holds was paid for.
pub(crate) const JOURNAL: &str = "calls.jsonl";

/// The table of an experiment whose models are live; `None` where they are simulated.
pub(crate) fn config(experiment: &ExperimentConfig) -> anyhow::Result<Option<&LiveConfig>> {
    match (experiment.executor, &experiment.live) {
        (ExecutorKind::Simulated, _) => Ok(None),
        (ExecutorKind::Live, Some(live)) => Ok(Some(live)),
        (ExecutorKind::Live, None) => Err(bad_input(
            "`experiment.executor` is \"live\" and there is no table [experiment.live]\nhint: it says where the models are and what may be spent; docs/guides/live-models.md shows one",
        )),
    }
}

/// The models of `pool`, with the money and the journal of the stage. Ctrl-C lets open calls end and starts no more.
pub(crate) fn open(call: &StageCall, config: &LiveConfig, pool: &ModelPool) -> anyhow::Result<Arc<LiveModels>> {
    config.check(pool)?;
    let limit = config.limit(call.request.slot)?;
    let account = Account::open(&call.request.output_dir.join(JOURNAL), Some(limit))?;
    let paid = account.statement();
    if paid.n_paid + paid.n_unknown > 0 {
        tracing::info!(
            n_paid = paid.n_paid, spent = %paid.spent, of_unknown_outcome = paid.n_unknown, "what an earlier attempt paid for is used"
        );
    }
    let stop = StopSignal::default();
    stop_on_interrupt(&stop)?;
    let upstream = BlockingUpstream::new(config.client(), account, stop)?;
    let missing = |id: &str| bad_input(format!("`experiment.live.models` has no `{id}`"));
    let settings = pool.iter().map(|(_, model)| config.model(model).ok_or_else(|| missing(&model.id)));
    let models = LiveModels::new(upstream, pool, settings.collect::<anyhow::Result<Vec<_>>>()?).or_bad_input()?;
    Ok(Arc::new(models))
}

/// Tells what was spent.
pub(crate) fn tell(models: &LiveModels) {
    let told = models.account().statement();
    tracing::info!(
        spent = %told.spent,
        n_paid = told.n_paid,
        n_recalled = told.n_recalled,
        of_unknown_outcome = told.n_unknown,
        their_worst_case = %told.unknown,
        "live models"
    );
}

/// Runs a stage with as many episodes side by side as calls may be open at once: its threads wait more than they work.
pub(crate) fn with_threads(
    experiment: &ExperimentConfig,
    slot: Slot,
    run: impl FnOnce() -> anyhow::Result<()> + Send,
) -> anyhow::Result<()> {
    let plays = matches!(slot, Slot::Simulate | Slot::Optimize | Slot::Evaluate);
    match config(experiment)?.filter(|_| plays) {
        None => run(),
        Some(config) => rayon::ThreadPoolBuilder::new()
            .num_threads(config.concurrency.clamp(1, 1_024))
            .build()
            .context("the threads cannot be started\nhint: lower `experiment.live.concurrency`")?
            .install(run),
    }
}

/// Whether a directory holds what was paid for.
pub(crate) fn has_journal(directory: &Path) -> bool {
    directory.join(JOURNAL).exists()
}

fn stop_on_interrupt(stop: &StopSignal) -> anyhow::Result<()> {
    let stop = stop.clone();
    let set = ctrlc::set_handler(move || {
        if stop.check().is_err() {
            // Asked twice: open calls are given up, and count at their worst case.
            std::process::exit(130);
        }
        stop.stop(UpstreamError::Stopped);
    });
    set.context("Ctrl-C cannot be caught")
}
