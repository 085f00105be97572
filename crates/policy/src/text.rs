//! Words and pairs of words, hashed into a fixed number of buckets.
//!
//! Feature hashing after Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009), with a
//! signed value so that collisions cancel on average. No vocabulary has to be kept, and unseen words cost nothing.

/// Adds the unigrams and bigrams of `text` to `buckets`, each with weight `weight` and a sign of its own.
/// Words are runs of ASCII letters and digits, lower-cased; other bytes above ASCII count as letters.
pub(crate) fn add_hashed_words(text: &str, weight: f32, buckets: &mut [f32]) {
    if buckets.is_empty() {
        return;
    }
    let mut previous = 0_u64;
    let mut word = FNV_OFFSET;
    let mut is_in_word = false;
    for byte in text.bytes().chain(std::iter::once(b' ')) {
        if byte.is_ascii_alphanumeric() || byte >= 0x80 {
            word = (word ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(FNV_PRIME);
            is_in_word = true;
        } else if is_in_word {
            add(word, weight, buckets);
            if previous != 0 {
                add(previous.rotate_left(21) ^ word.wrapping_mul(FNV_PRIME), weight, buckets);
            }
            previous = word;
            word = FNV_OFFSET;
            is_in_word = false;
        }
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
    fn every_word_and_pair_is_counted_once() {
        let total: f32 = hashed("take mug 1").iter().map(|value| value.abs()).sum();
        assert!((total - 5.0).abs() < 1e-6, "three words and two pairs in distinct buckets, found {total}");
    }
}
