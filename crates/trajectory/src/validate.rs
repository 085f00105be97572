//! Checking what a stage wrote, before it is published.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tollgate_contract::{ArtifactKind, Checks, ContractError, Digest, ManifestOutput, ProductKind, Slot, StageRequest};

use crate::{ArtifactReader, TrajectoryError};

/// What a slot's directory holds, for its manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotContents {
    /// Every output, in the order of [`Slot::outputs`].
    pub outputs: Vec<ManifestOutput>,
    /// Sums over the tables among them.
    pub totals: BTreeMap<String, u64>,
}

/// Checks that `directory` holds everything that the slot of `request` writes, that each table follows the contract, and
/// that the tables agree with each other and with the request's inputs. With the number of models in the pool, actions are
/// checked against it. Files that are no output of the slot are ignored.
///
/// # Errors
/// [`TrajectoryError::Missing`] or [`TrajectoryError::Empty`] for an output that is not there,
/// [`TrajectoryError::Contract`] for one that breaks the contract, and what [`ArtifactReader::open`] says of its file.
pub fn validate_slot(
    request: &StageRequest,
    directory: &Path,
    n_models: Option<usize>,
) -> Result<SlotContents, TrajectoryError> {
    let slot = request.slot;
    let mut checks = Checks::new(n_models);
    for &output in slot.outputs() {
        let path = directory.join(output.file_name());
        match output {
            ProductKind::Artifact(kind) => feed(&mut checks, &path, kind)?,
            ProductKind::Checkpoint | ProductKind::Report | ProductKind::Summary => check_other(&path, output)?,
        }
    }
    for &kind in references(slot) {
        if let Ok(path) = request.input(kind) {
            feed(&mut checks, path, kind)?;
        }
    }
    let summary = checks.finish().map_err(|source| TrajectoryError::contract(directory, source))?;
    let mut contents = SlotContents { outputs: Vec::new(), totals: BTreeMap::new() };
    for &output in slot.outputs() {
        let mut rows = None;
        if let ProductKind::Artifact(kind) = output {
            rows = summary.rows.get(&kind).copied();
            let totals = summary.totals.get(&kind).into_iter().flatten();
            contents.totals.extend(totals.map(|(&name, &value)| (name.to_owned(), value)));
        }
        contents.outputs.push(describe(directory, output, rows)?);
    }
    Ok(contents)
}

/// The inputs that the outputs are compared with.
const fn references(slot: Slot) -> &'static [ArtifactKind] {
    match slot {
        Slot::Simulate | Slot::Evaluate => &[ArtifactKind::Tasks],
        Slot::Classify => &[ArtifactKind::Episodes],
        Slot::Synthesize => &[ArtifactKind::Episodes, ArtifactKind::BoundaryLabels],
        Slot::Optimize | Slot::Report => &[],
    }
}

fn feed(checks: &mut Checks, path: &Path, kind: ArtifactKind) -> Result<(), TrajectoryError> {
    let reader = ArtifactReader::open(path, kind)?;
    checks.begin(kind);
    for batch in reader.batches()? {
        checks.feed(kind, &batch?).map_err(|source| TrajectoryError::contract(path, source))?;
    }
    Ok(())
}

fn check_other(path: &Path, what: ProductKind) -> Result<(), TrajectoryError> {
    if !path.exists() {
        return Err(TrajectoryError::Missing { path: path.to_owned(), what });
    }
    if size(path)? == 0 {
        return Err(TrajectoryError::Empty { path: path.to_owned(), what });
    }
    if what == ProductKind::Summary {
        let text = fs::read(path).map_err(|source| TrajectoryError::io(path, source))?;
        serde_json::from_slice::<serde_json::Value>(&text).map_err(|source| {
            TrajectoryError::contract(directory_of(path), ContractError::Json { path: path.to_owned(), source })
        })?;
    }
    Ok(())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn describe(directory: &Path, kind: ProductKind, rows: Option<u64>) -> Result<ManifestOutput, TrajectoryError> {
    let path = directory.join(kind.file_name());
    let digest = Digest::of_path(&path).map_err(|source| TrajectoryError::contract(directory, source))?;
    Ok(ManifestOutput { kind, file_name: kind.file_name().to_owned(), digest, bytes: size(&path)?, rows })
}

/// Bytes of a file, or of all files in a directory.
fn size(path: &Path) -> Result<u64, TrajectoryError> {
    let io = |source| TrajectoryError::io(path, source);
    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path).map_err(io)?.map(|entry| size(&entry.map_err(io)?.path())).sum()
}
