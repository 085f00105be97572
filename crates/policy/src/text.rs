//! Words and pairs of words, hashed into a fixed number of buckets.
//!
//! Feature hashing after Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009), with a
//! signed value so that collisions cancel on average. No vocabulary has to be kept, and unseen words cost nothing.

/// Adds the unigrams and bigrams of `text` to `buckets`, each with weight `weight` and a sign of its own.
pub(crate) fn add_hashed_words(text: &str, weight: f32, buckets: &mut [f32]) {
    if buckets.is_empty() {
        return;
    }
    let mut previous = 0_u64;
    for_each_word(text, |word, _| {
        add(word, weight, buckets);
        if previous != 0 {
            add(previous.rotate_left(21) ^ word.wrapping_mul(FNV_PRIME), weight, buckets);
        }
        previous = word;
    });
}

/// The bucket of the first word of `text`; `None` without words or without buckets.
pub(crate) fn first_word_bucket(text: &str, n_buckets: usize) -> Option<usize> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80;
    let start = text.bytes().position(|byte| is_letter(&byte))?;
    let word = text.bytes().skip(start).take_while(is_letter);
    let hash =
        word.fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(FNV_PRIME));
    // The upper bits of the product are mixed best.
    (n_buckets > 0).then(|| ((hash ^ (hash >> 32)) % n_buckets as u64) as usize)
}

/// Calls `visit` with the hash and the length of every word. Words are runs of ASCII letters and digits, lower-cased; other
/// bytes above ASCII count as letters.
fn for_each_word(text: &str, mut visit: impl FnMut(u64, usize)) {
    let mut word = FNV_OFFSET;
    let mut length = 0;
    for byte in text.bytes().chain(std::iter::once(b' ')) {
        if byte.is_ascii_alphanumeric() || byte >= 0x80 {
            word = (word ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(FNV_PRIME);
            length += 1;
        } else if length > 0 {
            visit(word, length);
            word = FNV_OFFSET;
            length = 0;
        }
    }
}

/// The words that carry a text's meaning, to find them again in another: the first 64 distinct ones of three letters or
/// more.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyWords {
    hashes: Vec<u64>,
}

/// Key words that a text mentions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// Bit `i` is set when key word `i` occurs.
    pub(crate) found: u64,
    /// Occurrences of key words, repeated ones counted again.
    pub(crate) n_occurrences: u32,
}

impl KeyWords {
    /// Replaces the key words by those of `text`.
    pub(crate) fn read(&mut self, text: &str) {
        self.hashes.clear();
        for_each_word(text, |word, length| {
            if length >= 3 && self.hashes.len() < 64 && !self.hashes.contains(&word) {
                self.hashes.push(word);
            }
        });
    }

    /// Which key words `text` mentions.
    pub(crate) fn mentions(&self, text: &str) -> Mentions {
        let mut mentions = Mentions::default();
        for_each_word(text, |word, length| {
            if length >= 3
                && let Some(index) = self.hashes.iter().position(|&key| key == word)
            {
                mentions.found |= 1 << index;
                mentions.n_occurrences += 1;
            }
        });
        mentions
    }

    /// The share of the key words whose bit is set.
    pub(crate) fn share(&self, found: u64) -> f32 {
        found.count_ones() as f32 / self.hashes.len().max(1) as f32
    }
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo).
const FNV_OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01B3;

fn add(hash: u64, weight: f32, buckets: &mut [f32]) {
    let mixed = hash ^ (hash >> 29);
    let sign = if mixed & 1 == 0 { weight } else { -weight };
    let bucket = ((mixed >> 1) % buckets.len() as u64) as usize;
    buckets[bucket] += sign;
}

/// A hash of a whole text, to tell whether it was seen before.
pub(crate) fn hash_text(text: &str) -> u64 {
    text.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(text: &str) -> Vec<f32> {
        let mut buckets = vec![0.0; 256];
        add_hashed_words(text, 1.0, &mut buckets);
        buckets
    }

    #[test]
    fn case_and_punctuation_do_not_matter() {
        assert_eq!(hashed("Open the Fridge."), hashed("open, the fridge"));
    }

    #[test]
    fn word_order_matters() {
        assert_ne!(hashed("cup on table"), hashed("table on cup"));
    }

    #[test]
    fn key_words_are_found_again_in_another_text() {
        let mut key_words = KeyWords::default();
        key_words.read("Put a hot mug on the desk.");
        let mentions = key_words.mentions("You see a mug 1, a mug 2 and a desk lamp.");
        assert_eq!(mentions.n_occurrences, 3);
        // put, hot, mug, the, desk: two of five.
        assert!((key_words.share(mentions.found) - 0.4).abs() < 1e-6);
    }

    #[test]
    fn every_word_and_pair_is_counted_once() {
        let total: f32 = hashed("take mug 1").iter().map(|value| value.abs()).sum();
        assert!((total - 5.0).abs() < 1e-6, "three words and two pairs in distinct buckets, found {total}");
    }
}
