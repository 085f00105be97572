//! The stages: one module per slot, and what surrounds each of them.

mod classify;
mod evaluate;
mod optimize;
mod report;
mod simulate;
mod synthesize;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tollgate_contract::{ProductKind, Slot};

use crate::args::StageArgs;
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
    match call.request.slot {
        Slot::Simulate => simulate::run(call),
        Slot::Classify => classify::run(call),
        Slot::Synthesize => synthesize::run(call),
        Slot::Optimize => optimize::run(call),
        Slot::Evaluate => evaluate::run(call),
        Slot::Report => report::run(call),
    }
}

fn by_hand(call: &StageCall, out: &Path) -> anyhow::Result<()> {
    let partial = &call.request.output_dir;
    // What an earlier run left is made anew, but for checkpoints: training resumes from them.
    if call.request.slot != Slot::Optimize {
        remove(partial)?;
    }
    fs::create_dir_all(partial).with_context(|| format!("{}: cannot be created", partial.display()))?;
    let result = fill(call).and_then(|()| validation::validate(&call.request, "the flags", partial));
    if let Err(error) = result {
        if call.request.slot != Slot::Optimize {
            remove(partial)?;
        }
        return Err(error);
    }
    fs::rename(partial, out).with_context(|| format!("{}: cannot be renamed to {}", partial.display(), out.display()))
}

fn remove(directory: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", directory.display()))
        }
        _ => Ok(()),
    }
}
