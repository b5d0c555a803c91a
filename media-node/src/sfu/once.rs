//! Each sequence number once.

/// Numbers behind the highest that are remembered.
const WINDOW: u64 = 2_048;
const WORDS: usize = (WINDOW / 64) as usize;

/// Lets each extended sequence number of a stream pass once: a number that is sealed for two different packets would give the key away
/// (RFC 7714 §8.4), and what comes twice is somebody's repeat (RFC 3711 §3.3.2). What lies further back than the window never passes.
#[derive(Clone, Debug)]
pub struct Once {
    highest: Option<u64>,
    /// A bit per number, at its remainder.
    seen: [u64; WORDS],
}

impl Default for Once {
    fn default() -> Self {
        Self { highest: None, seen: [0; WORDS] }
    }
}

impl Once {
    fn place(seq: u64) -> (usize, u64) {
        ((seq % WINDOW / 64) as usize, 1 << (seq % 64))
    }

    /// The highest that passed.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether [`Once::take`] lets `seq` pass.
    pub fn passes(&self, seq: u64) -> bool {
        let Some(highest) = self.highest.filter(|highest| seq <= *highest) else { return true };
        let (word, bit) = Self::place(seq);
        seq.saturating_add(WINDOW) > highest && self.seen.get(word).is_some_and(|word| word & bit == 0)
    }

    /// Takes `seq`: true once.
    pub fn take(&mut self, seq: u64) -> bool {
        let highest = self.highest.unwrap_or(seq);
        if seq.saturating_add(WINDOW) <= highest {
            return false;
        }
        if seq > highest {
            if seq - highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for passed in highest + 1..=seq {
                    let (word, bit) = Self::place(passed);
                    if let Some(word) = self.seen.get_mut(word) {
                        *word &= !bit;
                    }
                }
            }
        }
        self.highest = Some(highest.max(seq));
        let (word, bit) = Self::place(seq);
        let Some(word) = self.seen.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn no_number_passes_twice_and_recent_ones_pass(
            start in 0u64..1 << 40,
            steps in proptest::collection::vec(-3_000i64..3_000, 1..600),
        ) {
            let mut once = Once::default();
            let mut passed = HashSet::new();
            let mut highest = None;
            let mut seq = start + 10_000;
            for step in steps {
                seq = seq.saturating_add_signed(step);
                let recent = highest.is_none_or(|highest: u64| seq + WINDOW > highest);
                let new = passed.insert(seq);
                prop_assert_eq!(once.passes(seq), recent && new);
                prop_assert_eq!(once.take(seq), recent && new);
                prop_assert!(!once.passes(seq));
                highest = Some(highest.map_or(seq, |highest: u64| highest.max(seq)));
            }
        }
    }
}
