//! The stages: one module per slot, and what surrounds each of them.

mod classify;
pub(crate) mod evaluate;
mod optimize;
mod report;
mod simulate;
mod synthesize;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tollgate_contract::{ProductKind, Slot};

use crate::args::StageArgs;
use crate::live;
use crate::stage_call::StageCall;
use crate::validation;

/// Runs the built-in stage of `slot`. By hand, its outputs are validated and published as a host would do it.
pub(crate) fn run(args: &StageArgs, inputs: Vec<(ProductKind, PathBuf)>, slot: Slot) -> anyhow::Result<()> {
    let call = StageCall::new(args, inputs, slot)?;
    match &call.publish_to {
        None => fill(&call),
        Some(out) => by_hand(&call, out),
    }
}

fn fill(call: &StageCall) -> anyhow::Result<()> {
    live::with_threads(&call.experiment, call.request.slot, || match call.request.slot {
        Slot::Simulate => simulate::run(call),
        Slot::Classify => classify::run(call),
        Slot::Synthesize => synthesize::run(call),
        Slot::Optimize => optimize::run(call),
        Slot::Evaluate => evaluate::run(call),
        Slot::Report => report::run(call),
    })
}

fn by_hand(call: &StageCall, out: &Path) -> anyhow::Result<()> {
    let partial = &call.request.output_dir;
    // What an earlier run left is made anew, but for checkpoints, which training resumes from, and what was paid for.
    clear(call.request.slot, partial)?;
    fs::create_dir_all(partial).with_context(|| format!("{}: cannot be created", partial.display()))?;
    let result = fill(call).and_then(|()| validation::validate(&call.request, "the flags", partial));
    if let Err(error) = result {
        clear(call.request.slot, partial)?;
        if live::has_journal(partial) {
            tracing::info!(directory = %partial.display(), "what was paid for is kept here; the same command goes on from it");
        }
        return Err(error);
    }
    fs::rename(partial, out).with_context(|| format!("{}: cannot be renamed to {}", partial.display(), out.display()))
}

/// Removes what an attempt left and the next one makes anew.
fn clear(slot: Slot, partial: &Path) -> anyhow::Result<()> {
    if slot == Slot::Optimize {
        return Ok(());
    }
    if !live::has_journal(partial) {
        return remove(partial);
    }
    let entries = fs::read_dir(partial).with_context(|| format!("{}: cannot be read", partial.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == live::JOURNAL) {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("{}: cannot be removed", path.display()))?;
    }
    Ok(())
}

fn remove(directory: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", directory.display()))
        }
        _ => Ok(()),
    }
}
