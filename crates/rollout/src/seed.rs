//! Seeds that depend on what they are for, and on nothing else.

/// A seed for `stream`, derived from `seed`. Different streams of one seed are independent for all practical purposes,
/// and the result is the same on every machine. The mixing function is `SplitMix64`'s finalizer
/// (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[must_use]
pub const fn derive_seed(seed: u64, stream: u64) -> u64 {
    mix(mix(seed.wrapping_add(GOLDEN_RATIO)).wrapping_add(stream.wrapping_add(1).wrapping_mul(GOLDEN_RATIO)))
}

/// 2^64 divided by the golden ratio: `SplitMix64`'s increment.
const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearby_seeds_and_streams_give_distinct_seeds() {
        let mut seeds: Vec<u64> =
            (0..100).flat_map(|seed| (0..100).map(move |stream| derive_seed(seed, stream))).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 10_000);
    }
}
