//! What an episode is worth to whoever asked for it.

/// What counts: training rewards it, and the statistics measure it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Objective {
    /// Whether the task was solved.
    #[default]
    Success,
    /// The environment's grade.
    Score,
}

impl Objective {
    /// Every objective.
    pub const ALL: [Self; 2] = [Self::Success, Self::Score];

    /// The name in files and configs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Score => "score",
        }
    }

    /// What an episode with this result is worth, 0 to 1.
    #[must_use]
    pub fn value(self, is_success: bool, score: f32) -> f32 {
        match self {
            Self::Success => f32::from(u8::from(is_success)),
            Self::Score => score,
        }
    }
}
