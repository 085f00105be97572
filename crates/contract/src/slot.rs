//! The slots of the pipeline: what each reads and writes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ArtifactKind;

/// The version of the contract: schemas, request and manifest. A new nullable column is no new version; a renamed, removed
/// or re-typed one is.
pub const CONTRACT_VERSION: u32 = 1;

/// A place in the pipeline that a built-in stage or a replacement fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// Plays boundary probes and the mixed sweep.
    Simulate,
    /// Turns the probes into difficulties.
    Classify,
    /// Picks the steps to imitate.
    Synthesize,
    /// Trains the router.
    Optimize,
    /// Plays every policy under every budget.
    Evaluate,
    /// Writes the page that people look at.
    Report,
}

impl Slot {
    /// Every slot, in the order of the pipeline.
    pub const ALL: [Self; 6] =
        [Self::Simulate, Self::Classify, Self::Synthesize, Self::Optimize, Self::Evaluate, Self::Report];

    /// The name of the slot, its subcommand and its directory.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simulate => "simulate",
            Self::Classify => "classify",
            Self::Synthesize => "synthesize",
            Self::Optimize => "optimize",
            Self::Evaluate => "evaluate",
            Self::Report => "report",
        }
    }

    /// The slot of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| slot.as_str() == name)
    }

    /// The version of the built-in stage: raised whenever its output changes for the same request, so that what older
    /// builds made is made again.
    #[must_use]
    pub const fn stage_version(self) -> u32 {
        match self {
            // 2: caution in giving up, training that plays on, and free cost at the low end of its feature. 3: a start from random
            // weights. 4: a critic that knows what the boundary policies achieve on the task, the
            // mean of the last weights, and weights that decay. 5: credit that reaches less far, and grades that count where they
            // are gained. 6: a cap out of reach that looks like none, and more training where cost is free. 7: of the rivals, a static
            // router that learns every weight, a warm start whose caps have room for all of an episode, and Q-learning down to nothing
            // to spare in dollars.
            Self::Optimize => 7,
            // `simulate` 2: ScienceWorld's expert paths do not depend on what was solved before. `evaluate` 2: the cascade reads every
            // refusal that the router's features read. `report` 2: the oracle and what is given up are on the page, and test tasks
            // are classed by the run's own `[classify]`.
            Self::Simulate | Self::Evaluate | Self::Report => 2,
            Self::Classify | Self::Synthesize => 1,
        }
    }

    /// What the slot reads.
    #[must_use]
    pub const fn inputs(self) -> &'static [ProductKind] {
        use ArtifactKind as A;
        use ProductKind::{Artifact, Checkpoint};
        match self {
            Self::Simulate => &[Artifact(A::Tasks)],
            Self::Classify => &[Artifact(A::Episodes)],
            Self::Synthesize => &[Artifact(A::Episodes), Artifact(A::Steps), Artifact(A::BoundaryLabels)],
            Self::Optimize => &[
                Artifact(A::Tasks),
                Artifact(A::Episodes),
                Artifact(A::Steps),
                Artifact(A::BoundaryLabels),
                Artifact(A::SftExamples),
            ],
            Self::Evaluate => &[Artifact(A::Tasks), Artifact(A::BoundaryLabels), Checkpoint],
            Self::Report => &[
                Artifact(A::Tasks),
                Artifact(A::Episodes),
                Artifact(A::Steps),
                Artifact(A::BoundaryLabels),
                Artifact(A::SftExamples),
                Checkpoint,
                Artifact(A::TrainingLog),
                Artifact(A::Evaluations),
                Artifact(A::Frontier),
            ],
        }
    }

    /// What the slot writes.
    #[must_use]
    pub const fn outputs(self) -> &'static [ProductKind] {
        use ArtifactKind as A;
        use ProductKind::{Artifact, Checkpoint, Report, Summary};
        match self {
            Self::Simulate => &[Artifact(A::Episodes), Artifact(A::Steps)],
            Self::Classify => &[Artifact(A::BoundaryLabels)],
            Self::Synthesize => &[Artifact(A::SftExamples)],
            Self::Optimize => &[Checkpoint, Artifact(A::TrainingLog)],
            Self::Evaluate => &[Artifact(A::Evaluations), Artifact(A::Frontier)],
            Self::Report => &[Report, Summary],
        }
    }

    /// The slot that writes `product`, or `None` for the task set, which comes from outside.
    #[must_use]
    pub fn producer(product: ProductKind) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| slot.outputs().contains(&product))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that slots exchange: an artifact, or one of the few things that are no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ProductKind {
    /// A Parquet file.
    Artifact(ArtifactKind),
    /// The directory of trained policies.
    Checkpoint,
    /// The HTML page.
    Report,
    /// The figures of the page, as JSON.
    Summary,
}

impl ProductKind {
    /// The name in requests and manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Artifact(kind) => kind.as_str(),
            Self::Checkpoint => "checkpoint",
            Self::Report => "report",
            Self::Summary => "summary",
        }
    }

    /// The name of the file, or of the checkpoint's directory, in the slot's directory.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Artifact(kind) => kind.file_name(),
            Self::Checkpoint => "checkpoint",
            Self::Report => "report.html",
            Self::Summary => "summary.json",
        }
    }

    /// The product of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let others = [Self::Checkpoint, Self::Report, Self::Summary];
        let artifact = ArtifactKind::from_name(name).map(Self::Artifact);
        artifact.or_else(|| others.into_iter().find(|kind| kind.as_str() == name))
    }
}

impl fmt::Display for ProductKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ArtifactKind> for ProductKind {
    fn from(kind: ArtifactKind) -> Self {
        Self::Artifact(kind)
    }
}

impl From<ProductKind> for String {
    fn from(kind: ProductKind) -> Self {
        kind.as_str().to_owned()
    }
}

impl TryFrom<String> for ProductKind {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::from_name(&name).ok_or_else(|| {
            let artifacts = ArtifactKind::ALL.map(ArtifactKind::as_str).join("`, `");
            format!("kind is `{name}`, expected one of `{artifacts}`, `checkpoint`, `report`, `summary`")
        })
    }
}
