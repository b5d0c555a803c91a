//! Rates: what flows, and what may flow.

use std::time::{Duration, Instant};

const SLOT: Duration = Duration::from_millis(250);
/// The present one, and the whole ones that are averaged: so many that a key frame among them adds a twentieth, not a fifth.
const SLOTS: usize = 8;
/// What begins after so long a pause is measured anew: its rate isn't what came before it.
const PAUSE: Duration = Duration::from_millis(500);

/// Bit rate over the last whole quarter seconds.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    slots: [u64; SLOTS],
    at: usize,
    /// Whole slots that count.
    whole: usize,
    begun: Instant,
    last: Option<Instant>,
}

impl Meter {
    /// A meter that begins now.
    pub fn new(now: Instant) -> Self {
        Self { slots: [0; SLOTS], at: 0, whole: 0, begun: now, last: None }
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.begun);
        if passed < SLOT {
            return;
        }
        let steps = (passed.as_millis() / SLOT.as_millis()) as usize;
        for _ in 0..steps.min(SLOTS) {
            self.at = (self.at + 1) % SLOTS;
            if let Some(slot) = self.slots.get_mut(self.at) {
                *slot = 0;
            }
        }
        self.whole = self.whole.saturating_add(steps).min(SLOTS - 1);
        self.begun += SLOT * u32::try_from(steps).unwrap_or(u32::MAX);
    }

    /// Counts bytes.
    pub fn add(&mut self, now: Instant, bytes: usize) {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE) {
            *self = Self::new(now);
        }
        self.advance(now);
        self.last = Some(now);
        if let Some(slot) = self.slots.get_mut(self.at) {
            *slot += bytes as u64;
        }
    }

    /// The rate in kb/s: of the whole slots before the present one.
    pub fn kbps(&mut self, now: Instant) -> u32 {
        self.advance(now);
        let present = self.slots.get(self.at).copied().unwrap_or_default();
        let counted: u64 = self.slots.iter().sum::<u64>() - present;
        let ms = SLOT.as_millis() as u64 * self.whole.max(1) as u64;
        u32::try_from(counted * 8 / ms).unwrap_or(u32::MAX)
    }

    /// When something was counted last.
    pub fn last(&self) -> Option<Instant> {
        self.last
    }
}

/// A token bucket: `rate` units a second for long, `burst` at once.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: f64,
    burst: f64,
    level: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self { rate: rate.into(), burst: burst.into(), level: burst.into(), filled: now }
    }

    /// Takes `units` if there are as many.
    pub fn take(&mut self, now: Instant, units: u32) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.level = (self.level + passed * self.rate).min(self.burst);
        if self.level < f64::from(units) {
            return false;
        }
        self.level -= f64::from(units);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_measures_its_rate_and_falls_silent() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        for i in 0..200 {
            meter.add(start + Duration::from_millis(i * 10), 125);
        }
        let end = start + Duration::from_millis(1_999);
        assert_eq!(meter.kbps(end), 100);
        assert_eq!(meter.kbps(end + Duration::from_secs(2)), 0);
    }

    #[test]
    fn a_key_frame_is_no_other_rate_and_what_begins_is_not_measured_with_the_silence_before() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut meter = Meter::new(start);
        for frame in 0..90u64 {
            meter.add(at(frame * 33), if frame == 60 { 4_000 } else { 1_000 });
        }
        assert!((242..=262).contains(&meter.kbps(at(2_990))), "{}", meter.kbps(at(2_990)));
        for frame in 0..20u64 {
            meter.add(at(5_000 + frame * 33), 2_000);
        }
        assert!((450..=520).contains(&meter.kbps(at(5_640))), "{}", meter.kbps(at(5_640)));
    }

    #[test]
    fn a_bucket_lets_its_rate_through() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 20, start);
        let taken = (0..10_000).filter(|ms| bucket.take(start + Duration::from_millis(*ms), 1)).count();
        assert!((118..=121).contains(&taken), "{taken}");
    }
}
