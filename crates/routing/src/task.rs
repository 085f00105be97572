//! Tasks, what the agent observes, and how hard a task is.

use std::fmt;
use std::sync::Arc;

/// The stable name of a task, for example `household-test-0042`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(Arc<str>);

impl TaskId {
    /// A task's name.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a task set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Probed and trained on.
    Train,
    /// Tunes baselines and picks the operating point.
    Validation,
    /// Reported, and used for nothing else.
    Test,
    /// Reported beside `test`: tasks of kinds that no other split has.
    Unseen,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 4] = [Self::Train, Self::Validation, Self::Test, Self::Unseen];

    /// The name in files: `train`, `validation`, `test` or `unseen`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Unseen => "unseen",
        }
    }
}

/// One task: what an agent is asked to do, and all that an environment needs to set the scene again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The stable name.
    pub id: TaskId,
    /// The environment that can play it.
    pub environment: Arc<str>,
    /// What the task set is for.
    pub split: Split,
    /// Seed of the scene. The outcome of an episode depends on the episode's own seed as well.
    pub seed: u64,
    /// The request in words, as the agent gets it.
    pub instruction: Arc<str>,
    /// The most steps that an episode may have.
    pub horizon: u32,
    /// What kind of task it is, as its environment or its log labels it. For statistics; a router has no such label.
    pub kind: Option<Arc<str>>,
    /// What must not be torn apart by a split: tasks of one group share something that could be learned by heart.
    pub group: Option<Arc<str>>,
}

/// What the agent, and with it the router, sees before a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// The environment's words.
    pub text: String,
    /// Numbers that the environment shows beside its words, always as many within one environment; often none.
    pub signals: Vec<f32>,
}

impl Observation {
    /// An observation of words alone.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self { text: text.into(), signals: Vec::new() }
    }
}

/// How hard a task is, by the outcomes of the two boundary policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difficulty {
    /// The small model alone solves it often enough.
    Easy,
    /// Not easy, yet solved at least once by a boundary policy.
    Hard,
    /// Solved by no probe.
    Intractable,
}

impl Difficulty {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Easy, Self::Hard, Self::Intractable];

    /// The name in files: `easy`, `hard` or `intractable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Hard => "hard",
            Self::Intractable => "intractable",
        }
    }
}
