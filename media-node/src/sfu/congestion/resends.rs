//! How much may be sent again. What a client asks for is bounded by what its line carries: resends that fill the queue are late,
//! are asked for once more, and leave no room for anything else.

use super::rate::Rate;
use std::time::{Duration, Instant};

/// How much of the budget may be spent at once.
const BURST: Duration = Duration::from_millis(500);
/// What there is in any case, in bytes at once and as a rate: one packet, and three a second. A share of an estimate that is at its least wouldn't
/// come to one packet, and who lacks one packet for good waits seconds before it asks for a key frame.
const LEAST_BURST: f64 = 1_500.0;
const LEAST: Rate = Rate::kbps(32);

/// The budget of one transport.
#[derive(Clone, Copy, Debug)]
pub struct Resends {
    level: f64,
    filled: Option<Instant>,
}

impl Resends {
    /// A budget that is full at its first use.
    pub fn new() -> Self {
        Self { level: f64::MAX, filled: None }
    }

    /// Whether a packet of this size may be sent again now; takes it from the budget if so. `rate` is what resends may have in
    /// the long run: [`Estimate::resends`](super::Estimate::resends).
    pub fn take(&mut self, now: Instant, rate: Rate, size: u16) -> bool {
        let rate = rate.max(LEAST);
        let passed = self.filled.replace(now).map_or(BURST, |at| now.saturating_duration_since(at).min(BURST));
        self.level = (self.level + rate.fill(passed)).min(rate.fill(BURST).max(LEAST_BURST));
        if self.level < f64::from(size) {
            return false;
        }
        self.level -= f64::from(size);
        true
    }
}

impl Default for Resends {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resends_keep_their_rate_after_a_burst() {
        let start = Instant::now();
        let rate = Rate::kbps(400);
        let mut resends = Resends::new();
        let taken =
            (0..100_000u32).filter(|n| resends.take(start + Duration::from_micros(100) * *n, rate, 1_000)).count();
        // 10 s are 500 packets, and half a second's worth at the beginning.
        assert!((520..=525).contains(&taken), "{taken}");
    }

    #[test]
    fn single_packets_are_repaired_whatever_the_estimate() {
        let start = Instant::now();
        let mut resends = Resends::new();
        // 2.5 kb/s, the least share of the least estimate, never had room for one of them.
        let taken: Vec<u32> = (0..10_000)
            .filter(|ms| resends.take(start + Duration::from_millis((*ms).into()), Rate::bps(2_500), 1_200))
            .collect();
        assert!(taken.first() == Some(&0) && taken.get(1).is_some_and(|second| *second < 300), "{taken:?}");
        assert!((33..=35).contains(&taken.len()), "{taken:?}");
    }
}
