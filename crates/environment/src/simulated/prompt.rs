//! The size of a prompt, and how much of it a model's cache holds.
//!
//! A prompt is the system prompt, the instruction, and every observation and command so far: its true text, counted and never
//! built. Tokens are estimated at four bytes each, the rule of thumb for English text with byte-pair encodings, plus
//! [`TOKENS_PER_MESSAGE`] for the frame of each message.
//!
//! Each model keeps its own warm prefix: the prompt of its last call, for as long as the time to live. What a later prompt
//! shares with it is read from the cache in blocks of 128 tokens, from 1,024 tokens on (OpenAI's documented prompt caching).
//! A history only ever grows, so the shared prefix is the whole earlier prompt.

use tollgate_rollout::Situation;

/// What frames a message: role and separators.
const TOKENS_PER_MESSAGE: u32 = 4;

/// Caches are read in blocks of this many tokens.
const CACHE_BLOCK_TOKENS: u32 = 128;

/// Shorter prefixes are not cached.
const CACHE_MIN_TOKENS: u32 = 1_024;

/// How long a prefix stays warm after the model's last call. Milliseconds of simulated time.
pub(crate) const CACHE_TTL_MS: u64 = 300_000;

/// What every prompt in the household begins with. It is part of the cost of every call, as with real agents.
pub(crate) const SYSTEM_PROMPT: &str = include_str!("system_prompt.txt");

/// Tokens of so many bytes of text.
pub(crate) const fn tokens_of_bytes(n_bytes: usize) -> u32 {
    n_bytes.div_ceil(4) as u32
}

/// Counts the prompt of an episode as it grows.
#[derive(Debug, Clone, Default)]
pub(crate) struct PromptSize {
    system_bytes: usize,
    n_bytes: usize,
    n_turns: usize,
}

impl PromptSize {
    /// The size before the first observation.
    pub(crate) fn begin(system_prompt: &str, instruction: &str) -> Self {
        let system_bytes = system_prompt.len();
        Self { system_bytes, n_bytes: system_bytes + instruction.len(), n_turns: 0 }
    }

    /// Adds a finished turn.
    pub(crate) fn add_turn(&mut self, observation: &str, completion: &str) {
        self.n_bytes += observation.len() + completion.len();
        self.n_turns += 1;
    }

    /// Tokens of the whole prompt at a situation. Costs nothing when every earlier turn was added, and counts the turns that
    /// somebody else answered otherwise.
    pub(crate) fn tokens(&self, situation: &Situation<'_>) -> u32 {
        let counted = if self.n_turns == situation.turns.len() {
            self.n_bytes
        } else {
            let turns: usize =
                situation.turns.iter().map(|turn| turn.observation.text.len() + turn.completion.len()).sum();
            self.system_bytes + situation.task.instruction.len() + turns
        };
        let n_messages = 3 + 2 * situation.turns.len() as u32;
        tokens_of_bytes(counted + situation.observation.text.len()) + TOKENS_PER_MESSAGE * n_messages
    }
}

/// One model's warm prefix.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WarmPrefix {
    tokens: u32,
    called_at_ms: u64,
}

impl WarmPrefix {
    /// How much of a prompt is read from the cache.
    pub(crate) fn cached_tokens(&self, prompt_tokens: u32, now_ms: u64) -> u32 {
        let shared = self.tokens.min(prompt_tokens);
        if shared < CACHE_MIN_TOKENS || now_ms - self.called_at_ms > CACHE_TTL_MS {
            return 0;
        }
        shared / CACHE_BLOCK_TOKENS * CACHE_BLOCK_TOKENS
    }

    /// Remembers a call.
    pub(crate) fn warm(&mut self, prompt_tokens: u32, now_ms: u64) {
        *self = Self { tokens: prompt_tokens, called_at_ms: now_ms };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(warm: u32, prompt: u32, idle_ms: u64, expected: u32) {
        let mut prefix = WarmPrefix::default();
        prefix.warm(warm, 1_000);
        assert_eq!(prefix.cached_tokens(prompt, 1_000 + idle_ms), expected);
    }

    #[test]
    fn caches_are_read_in_blocks_from_a_minimum_on_and_for_a_time_only() {
        check(1_023, 2_000, 0, 0);
        check(1_024, 2_000, 0, 1_024);
        check(1_400, 2_000, 0, 1_280);
        check(1_400, 2_000, CACHE_TTL_MS, 1_280);
        check(1_400, 2_000, CACHE_TTL_MS + 1, 0);
        assert_eq!(WarmPrefix::default().cached_tokens(2_000, 0), 0);
    }
}
