//! Whether a media thread ever waits for something to do.
//!
//! A thread that doesn't is late with everything, for whatever reason: too much to do, or a machine that gives its time to others. What
//! receivers' lines seem to lose or to delay meanwhile says nothing of them.

use std::time::{Duration, Instant};

/// How long is looked at before something is said.
const INTERVAL: Duration = Duration::from_secs(1);
/// Who waits for less than this share of the time, in percent, is at its end.
const LEAST: u32 = 3;

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

    /// Lets time pass. Says whether the thread was at its end, when a second has passed.
    pub fn measure(&mut self, now: Instant) -> Option<bool> {
        let passed = now.saturating_duration_since(self.since);
        if passed < INTERVAL {
            return None;
        }
        let strained = self.waited * 100 < passed * LEAST;
        *self = Self::new(now);
        Some(strained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hardly_waits_is_at_its_end() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut leisure = Leisure::new(start);
        leisure.waited(ms(20));
        assert_eq!(leisure.measure(start + ms(999)), None);
        assert_eq!(leisure.measure(start + ms(1_000)), Some(true));
        leisure.waited(ms(40));
        assert_eq!(leisure.measure(start + ms(2_000)), Some(false));
        assert_eq!(leisure.measure(start + ms(3_500)), Some(true), "it didn't wait at all");
    }
}
