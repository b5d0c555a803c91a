//! What has been seen of a numbered sequence: a track may come over two ways at once while it changes from one to the other,
//! and each packet must go on once.

/// How far back a late number is still told from a repeated one.
pub const WIDTH: u64 = 1_024;
const WORDS: usize = (WIDTH / 64) as usize;
/// A jump that no loss explains: the sequence began anew.
const RESTART: u64 = 60_000;

/// The numbers up to [`WIDTH`] below the highest that was seen.
#[derive(Clone, Debug)]
pub struct Window {
    highest: Option<u64>,
    seen: [u64; WORDS],
}

impl Default for Window {
    fn default() -> Self {
        Self { highest: None, seen: [0; WORDS] }
    }
}

impl Window {
    /// The highest number that was seen.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    fn bit(&mut self, number: u64) -> (&mut u64, u64) {
        let place = number % WIDTH;
        let [first, rest @ ..] = &mut self.seen;
        let word = match usize::try_from(place / 64).unwrap_or(0) {
            0 => first,
            index => rest.get_mut(index - 1).unwrap_or(first),
        };
        (word, 1 << (place % 64))
    }

    /// Whether the number is new. What is too old to tell counts as seen.
    pub fn take(&mut self, number: u64) -> bool {
        let fresh = match self.highest {
            None => None,
            Some(highest) if number.abs_diff(highest) > RESTART => None,
            Some(highest) => Some(highest),
        };
        let Some(highest) = fresh else {
            *self = Self { highest: Some(number), ..Self::default() };
            let (word, bit) = self.bit(number);
            *word |= bit;
            return true;
        };
        if number > highest {
            if number - highest >= WIDTH {
                self.seen = [0; WORDS];
            } else {
                for between in highest + 1..number {
                    let (word, bit) = self.bit(between);
                    *word &= !bit;
                }
            }
            self.highest = Some(number);
            let (word, bit) = self.bit(number);
            *word |= bit;
            return true;
        }
        if highest - number >= WIDTH {
            return false;
        }
        let (word, bit) = self.bit(number);
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
        /// Against a set: every number goes through once, unless it is older than the window.
        #[test]
        fn each_number_passes_once(steps in proptest::collection::vec(-40i64..60, 1..2_000)) {
            let mut window = Window::default();
            let mut seen = HashSet::new();
            let mut at = 1_000_000i64;
            let mut highest = 0;
            for step in steps {
                at += step;
                let number = at as u64;
                let new = seen.insert(number);
                let taken = window.take(number);
                if highest == 0 || number + WIDTH > highest {
                    prop_assert_eq!(taken, new, "{}", number);
                } else {
                    prop_assert!(!taken);
                }
                highest = highest.max(number);
            }
        }
    }

    #[test]
    fn a_sequence_that_begins_anew_is_followed() {
        let mut window = Window::default();
        assert!(window.take(500_000) && window.take(7) && !window.take(7) && window.take(8));
    }
}
