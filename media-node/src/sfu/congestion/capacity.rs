//! What the link carried each time it was full: where the rate may rise slowly instead of by leaps (libwebrtc's
//! `LinkCapacityEstimator`; draft-ietf-rmcat-gcc-02, section 5.5, calls it the average of the incoming rate at decreases).

use super::rate::Rate;

/// Weight of a new sample when the link was found full.
const WEIGHT: f64 = 0.05;
/// Weight of a probe's result.
const PROBE_WEIGHT: f64 = 0.5;
/// Bounds of the normalised variance.
const VARIANCE: std::ops::RangeInclusive<f64> = 0.4..=2.5;
/// How many standard deviations still are the same capacity (section 5.5: three).
const DEVIATIONS: f64 = 3.0;

/// The link's capacity as far as known.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    kbps: Option<f64>,
    /// Variance over the mean, in kb/s.
    variance: f64,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { kbps: None, variance: *VARIANCE.start() }
    }
}

impl Capacity {
    /// The link was full while this arrived.
    pub fn on_full(&mut self, rate: Rate) {
        self.update(rate, WEIGHT);
    }

    /// A probe measured this.
    pub fn on_probe(&mut self, rate: Rate) {
        self.update(rate, PROBE_WEIGHT);
    }

    fn update(&mut self, rate: Rate, weight: f64) {
        let sample = rate.as_f64() / 1_000.0;
        let kbps = self.kbps.map_or(sample, |kbps| kbps + weight * (sample - kbps));
        let error = kbps - sample;
        self.variance += weight * (error * error / kbps.max(1.0) - self.variance);
        self.variance = self.variance.clamp(*VARIANCE.start(), *VARIANCE.end());
        self.kbps = Some(kbps);
    }

    /// Forgets it: what arrives doesn't fit it any more.
    pub fn reset(&mut self) {
        self.kbps = None;
    }

    /// The capacity, if known.
    pub fn estimate(&self) -> Option<Rate> {
        self.kbps.map(|kbps| Rate::from_f64(kbps * 1_000.0))
    }

    /// The rates that fit it.
    pub fn range(&self) -> Option<std::ops::RangeInclusive<Rate>> {
        let kbps = self.kbps?;
        let deviation = DEVIATIONS * (self.variance * kbps).sqrt();
        Some(Rate::from_f64((kbps - deviation) * 1_000.0)..=Rate::from_f64((kbps + deviation) * 1_000.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_samples_narrow_the_range_around_them() {
        let mut capacity = Capacity::default();
        assert_eq!(capacity.range(), None);
        for _ in 0..50 {
            capacity.on_full(Rate::kbps(1_000));
        }
        assert_eq!(capacity.estimate(), Some(Rate::kbps(1_000)));
        let range = capacity.range().unwrap();
        assert!(range.contains(&Rate::kbps(950)) && !range.contains(&Rate::kbps(900)), "{range:?}");
    }
}
