//! What a stage wrote, checked against the contract, and its manifest: the same for built-in stages and replacements.

use std::path::Path;

use tollgate_contract::{Manifest, StageRequest};
use tollgate_trajectory::validate_slot;

use crate::arena::open_arena;
use crate::failure::OrBadInput;
use crate::stage_call::read_config;

/// Checks everything that the slot of `request` has to write into `directory`, and writes the manifest there. `origin`
/// names the request in errors.
pub(crate) fn validate(request: &StageRequest, origin: &str, directory: &Path) -> anyhow::Result<()> {
    let (experiment, _) = read_config(request, origin)?;
    let n_models = open_arena(&experiment)?.pool().len();
    let contents = validate_slot(request, directory, Some(n_models)).or_bad_input()?;
    let manifest = Manifest::of(request, request.slot.stage_version(), contents.outputs, contents.totals);
    Ok(manifest.write(directory)?)
}
