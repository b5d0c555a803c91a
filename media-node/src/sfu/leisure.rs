//! How much of its time a media thread waits for something to do.
//!
//! A thread that never does is late with everything, for whatever reason: too much to do, or a machine that gives its time to others. Its CPU
//! time tells the first only. What receivers' lines seem to lose or to delay meanwhile says nothing of them.

use std::time::{Duration, Instant};

/// How long is looked at before something is said.
const INTERVAL: Duration = Duration::from_secs(1);
/// Who has something to do for this share of the time, in parts per 10,000, is at its end.
pub const FULL: u16 = 9_700;

/// Measures how long a thread waits.
#[derive(Clone, Copy, Debug)]
pub struct Leisure {
    since: Instant,
    waited: Duration,
}

impl Leisure {
    /// Begins to measure.
    pub fn new(now: Instant) -> Self {
        Self { since: now, waited: Duration::ZERO }
    }

    /// The thread waited for so long.
    pub fn waited(&mut self, time: Duration) {
        self.waited = self.waited.saturating_add(time);
    }

    /// Lets time pass. When a second has passed, says for which share of it the thread had something to do, in parts per 10,000.
    pub fn measure(&mut self, now: Instant) -> Option<u16> {
        let passed = now.saturating_duration_since(self.since);
        if passed < INTERVAL {
            return None;
        }
        let occupied = passed.saturating_sub(self.waited);
        *self = Self::new(now);
        Some((occupied.as_secs_f64() / passed.as_secs_f64() * 1e4) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_did_not_wait_it_was_occupied() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut leisure = Leisure::new(start);
        leisure.waited(ms(20));
        assert_eq!(leisure.measure(start + ms(999)), None);
        assert_eq!(leisure.measure(start + ms(1_000)), Some(9_800));
        leisure.waited(ms(500));
        leisure.waited(ms(100));
        assert_eq!(leisure.measure(start + ms(2_200)), Some(5_000));
        assert_eq!(leisure.measure(start + ms(3_500)), Some(10_000), "it didn't wait at all");
        leisure.waited(ms(5_000));
        assert_eq!(leisure.measure(start + ms(4_500)), Some(0));
    }
}
