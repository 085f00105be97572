//! What a model's answers teach about how its provider counts.

/// How much a new observation weighs against all earlier ones.
const WEIGHT: f64 = 0.2;

/// What is known of one model, over all episodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Learned {
    /// Reported prompt tokens per estimated one.
    tokens_per_estimate: Option<f64>,
    /// Which part of what could be cached was reported as cached.
    cached_share: Option<f64>,
    /// Tokens of an answer.
    output_tokens: Option<f64>,
    /// The smallest prompt so far: what all prompts share cannot have more tokens.
    smallest_prompt: Option<u32>,
}

/// Tokens of one answer, in the provider's counts and in ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Observed {
    /// Our count of the prompt.
    pub(super) estimated_prompt: u32,
    /// The provider's.
    pub(super) prompt: u32,
    /// The part of the prompt that this model had seen before.
    pub(super) shareable: u32,
    /// What was read from the cache.
    pub(super) cached: u32,
    /// The answer.
    pub(super) output: u32,
}

impl Learned {
    /// What is known before the first answer.
    pub(super) const NOTHING: Self =
        Self { tokens_per_estimate: None, cached_share: None, output_tokens: None, smallest_prompt: None };

    /// Takes an answer in.
    pub(super) fn observe(&mut self, observed: &Observed) {
        let Observed { estimated_prompt, prompt, shareable, cached, output } = *observed;
        blend(&mut self.tokens_per_estimate, f64::from(prompt) / f64::from(estimated_prompt.max(1)));
        if shareable > 0 {
            blend(&mut self.cached_share, (f64::from(cached) / f64::from(shareable)).min(1.0));
        }
        blend(&mut self.output_tokens, f64::from(output));
        self.smallest_prompt = Some(self.smallest_prompt.map_or(prompt, |known| known.min(prompt)));
    }

    /// The provider's count of a prompt, as far as it can be told.
    pub(super) fn prompt_tokens(&self, estimated_tokens: u32) -> u32 {
        (f64::from(estimated_tokens) * self.tokens_per_estimate.unwrap_or(1.0)).round() as u32
    }

    /// How much of what the model has seen before it will probably read from its cache. A provider that never said so caches
    /// nothing.
    pub(super) fn cached_tokens(&self, shareable_tokens: u32) -> u32 {
        (f64::from(shareable_tokens) * self.cached_share.unwrap_or(0.0)) as u32
    }

    /// Tokens of a typical answer.
    pub(super) fn output_tokens(&self, before_the_first: u32) -> u32 {
        self.output_tokens.map_or(before_the_first, |known| known.round() as u32)
    }

    /// More tokens than what all prompts of this model begin with.
    pub(super) const fn smallest_prompt(&self) -> Option<u32> {
        self.smallest_prompt
    }
}

fn blend(known: &mut Option<f64>, new: f64) {
    *known = Some(known.map_or(new, |known| known + WEIGHT * (new - known)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_corrected_by_what_was_reported() {
        let mut learned = Learned::NOTHING;
        assert_eq!((learned.prompt_tokens(100), learned.cached_tokens(100), learned.output_tokens(40)), (100, 0, 40));
        let observed = Observed { estimated_prompt: 100, prompt: 120, shareable: 80, cached: 64, output: 10 };
        learned.observe(&observed);
        assert_eq!((learned.prompt_tokens(100), learned.cached_tokens(100), learned.output_tokens(40)), (120, 80, 10));
        learned.observe(&Observed { prompt: 140, ..observed });
        assert_eq!(learned.prompt_tokens(1_000), 1_240);
        assert_eq!(learned.smallest_prompt(), Some(120));
    }
}
