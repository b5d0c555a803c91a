//! A distribution of delays: counts in classes of about 3 %, so that millions cost nothing to keep.

use std::time::Duration;

/// Classes per doubling.
const FINE: u32 = 32;
/// Doublings above `FINE` microseconds, up to more than an hour.
const COARSE: u32 = 28;

/// The distribution.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delays {
    classes: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self { classes: vec![0; (FINE * COARSE) as usize], count: 0, longest: Duration::ZERO }
    }
}

/// The class of a number of microseconds: the number itself below `FINE`, then its leading bits.
fn class(micros: u64) -> usize {
    let bits = micros.max(1).ilog2().saturating_sub(FINE.ilog2());
    (u64::from(bits) * u64::from(FINE) + (micros >> bits)) as usize
}

/// The least number of a class.
fn least(class: usize) -> u64 {
    let (class, fine) = (class as u64, u64::from(FINE));
    match (class / fine).checked_sub(1) {
        None => class,
        Some(bits) => (class - bits * fine) << bits,
    }
}

impl Delays {
    /// Counts one.
    pub fn add(&mut self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        let last = self.classes.len() - 1;
        if let Some(count) = self.classes.get_mut(class(micros).min(last)) {
            *count += 1;
        }
        self.count += 1;
        self.longest = self.longest.max(delay);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The delay that this share (0 to 1) of all doesn't exceed, up to the class's width; `None` of none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut below = 0;
        for (class, count) in self.classes.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(Duration::from_micros(least(class + 1).saturating_sub(1)).min(self.longest));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantiles_are_the_sorted_lists_up_to_a_class(mut all in prop::collection::vec(0u64..50_000_000, 1..300), share in 0.0f64..=1.0) {
            let mut delays = Delays::default();
            all.iter().for_each(|micros| delays.add(Duration::from_micros(*micros)));
            all.sort_unstable();
            let rank = ((all.len() as f64 * share).ceil() as usize).clamp(1, all.len());
            let (exact, told) = (all[rank - 1], delays.quantile(share).unwrap().as_micros() as u64);
            prop_assert!(told >= exact && told as f64 <= exact as f64 * 1.04 + 1.0, "{told} for {exact}");
        }
    }

    #[test]
    fn classes_are_gapless() {
        assert_eq!(Delays::default().quantile(0.5), None);
        for class_index in 0..800 {
            assert_eq!(class(least(class_index)), class_index);
            assert_eq!(class(least(class_index + 1) - 1), class_index);
        }
    }
}
