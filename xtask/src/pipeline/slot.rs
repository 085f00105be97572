//! The slots, in the order in which they run.

use std::fmt;

use clap::ValueEnum;

/// A place in the pipeline that a stage fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Slot {
    /// Boundary probes and the mixed sweep
    Simulate,
    /// Probes to difficulties
    Classify,
    /// Rollouts to SFT examples
    Synthesize,
    /// Training
    Optimize,
    /// Every policy under every budget
    Evaluate,
    /// The page and the summary
    Report,
}

impl Slot {
    /// Every slot, in running order.
    pub(crate) const ALL: [Self; 6] =
        [Self::Simulate, Self::Classify, Self::Synthesize, Self::Optimize, Self::Evaluate, Self::Report];

    /// The name in configs, requests and directories.
    pub(crate) fn name(self) -> &'static str {
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
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| slot.name() == name)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
