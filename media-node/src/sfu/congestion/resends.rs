//! How much may be sent again. What a client asks for is bounded by what its line carries: resends that fill the queue are late,
//! are asked for once more, and leave no room for anything else.

use super::rate::Rate;
use std::time::{Duration, Instant};

/// How much of the budget may be spent at once.
const BURST: Duration = Duration::from_millis(500);

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
        let passed = self.filled.replace(now).map_or(BURST, |at| now.saturating_duration_since(at).min(BURST));
        self.level = (self.level + rate.fill(passed)).min(rate.fill(BURST));
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
}
