//! The stages: one module per slot, and what surrounds each of them.

mod attempt;
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

use self::attempt::Attempt;
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
    // What an earlier run left is made anew, but for what was paid for, and for checkpoints of the same origin, which training resumes
    // from.
    let resumable = (call.request.slot == Slot::Optimize).then(|| Attempt::of(call)).transpose()?;
    if !resumable.as_ref().is_some_and(Attempt::is_noted) {
        clear(partial)?;
    }
    fs::create_dir_all(partial).with_context(|| format!("{}: cannot be created", partial.display()))?;
    if let Some(attempt) = &resumable {
        attempt.note()?;
    }
    let result = fill(call).and_then(|()| validation::validate(&call.request, "the flags", partial));
    if let Err(error) = result {
        if resumable.is_none() {
            clear(partial)?;
        }
        if live::has_journal(partial) {
            tracing::info!(directory = %partial.display(), "what was paid for is kept here; the same command goes on from it");
        }
        return Err(error);
    }
    fs::rename(partial, out)
        .with_context(|| format!("{}: cannot be renamed to {}", partial.display(), out.display()))?;
    resumable.map_or(Ok(()), Attempt::forget)
}

/// Removes what an attempt left, but for what was paid for.
fn clear(partial: &Path) -> anyhow::Result<()> {
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

#[cfg(test)]
mod tests {
    use tollgate_contract::ArtifactKind;

    use super::*;
    use crate::stored_policies::fixture;

    #[test]
    fn policies_that_an_attempt_of_another_origin_left_are_not_published() {
        let directory = tempfile::tempdir().unwrap();
        let (from, out) = (directory.path().join("from"), directory.path().join("optimize"));
        fixture::policy("bopo", 1).save(&from).unwrap();
        let call = fixture::taking_over(&from, &out);
        let partial = &call.request.output_dir;
        fs::create_dir(partial).unwrap();
        fs::write(partial.join("left"), "by another attempt").unwrap();
        by_hand(&call, &out).unwrap();
        assert!(!out.join("left").exists());
        assert!(out.join(ArtifactKind::TrainingLog.file_name()).exists());
        let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["from", "optimize"]);
    }

    #[test]
    fn what_an_attempt_of_the_same_origin_left_is_gone_on_from() {
        let directory = tempfile::tempdir().unwrap();
        let (from, out) = (directory.path().join("from"), directory.path().join("optimize"));
        let call = fixture::taking_over(&from, &out);
        // There is nothing to take over yet.
        by_hand(&call, &out).unwrap_err();
        fs::write(call.request.output_dir.join("left"), "by the same attempt").unwrap();
        fixture::policy("bopo", 1).save(&from).unwrap();
        by_hand(&call, &out).unwrap();
        assert!(out.join("left").exists());
    }
}
