//! Randomness that is the same on every machine and in every order of work.

/// 2⁶⁴ divided by the golden ratio: the increment of SplitMix64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// Standard deviation of the sum of four uniform 16-bit numbers.
const SPREAD: i64 = 37_837;

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
///
/// A stream is named by the seed and a key, so what befalls a node in an epoch doesn't depend on who computes it when.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of this key.
    pub fn keyed(seed: u64, key: [u64; 3]) -> Self {
        let state = key.into_iter().fold(seed, |state, word| mix(state ^ mix(word.wrapping_add(GOLDEN))));
        Self { state }
    }

    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `bound`. Its bias is below `bound` in 2⁶⁴.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(bound)) >> 64) as u64
    }

    /// A number around 0 with this standard deviation, bell-shaped: the sum of four uniform ones, so never further away than
    /// 3.5 times the deviation.
    pub fn deviation(&mut self, standard: i64) -> i64 {
        let word = self.word();
        let sum: i64 = (0..4).map(|part| ((word >> (16 * part)) & 0xFFFF) as i64).sum();
        (sum - 2 * 65_535) * standard / SPREAD
    }

    /// Bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            for (byte, random) in chunk.iter_mut().zip(self.word().to_le_bytes()) {
                *byte = random;
            }
        }
        bytes
    }

    /// Puts items into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        // The first values for state 0, as the reference implementation prints them.
        let mut random = Random { state: 0 };
        assert_eq!(random.word(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.word(), 0x6E78_9E6A_A1B9_65F4);
        assert_eq!(random.word(), 0x06C4_5D18_8009_454F);
    }

    #[test]
    fn a_key_names_a_stream() {
        let word = |seed, key| Random::keyed(seed, key).word();
        assert_eq!(word(1, [2, 3, 4]), word(1, [2, 3, 4]));
        let others = [word(2, [2, 3, 4]), word(1, [3, 2, 4]), word(1, [2, 3, 5]), word(1, [0, 3, 4])];
        assert!(others.iter().all(|other| *other != word(1, [2, 3, 4])));
    }

    #[test]
    fn deviations_have_the_deviation_that_was_asked_for() {
        let mut random = Random::keyed(1, [0; 3]);
        let values: Vec<i64> = (0..20_000).map(|_| random.deviation(1_000)).collect();
        let mean = values.iter().sum::<i64>() as f64 / values.len() as f64;
        let variance = values.iter().map(|value| (*value as f64 - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 30.0 && (variance.sqrt() - 1_000.0).abs() < 30.0, "{mean} {variance}");
        assert!(values.iter().all(|value| value.abs() <= 3_500));
    }

    #[test]
    fn shuffling_loses_nothing() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::keyed(1, [0; 3]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        Random::keyed(1, [0; 3]).shuffle::<u32>(&mut []);
    }
}
