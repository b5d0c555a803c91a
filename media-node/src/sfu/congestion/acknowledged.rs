//! How fast packets arrive at the receiver: a Bayesian filter over short windows, as libwebrtc's `BitrateEstimator` does it. A
//! sample that is far from the estimate is trusted less, so that a burst or a hole moves it little, and a lasting change
//! moves it within a second.

use super::rate::Rate;

/// The window of the first sample, for which there is nothing to compare with.
const FIRST_WINDOW_US: i64 = 500_000;
/// The window of each later sample.
const WINDOW_US: i64 = 150_000;
/// How much a sample's distance from the estimate weakens it.
const UNCERTAINTY: f64 = 10.0;
/// The same while little is sent: the gaps between frames make single windows differ more.
const UNCERTAINTY_LIMITED: f64 = 20.0;
/// What the estimate's variance (of kb/s) grows by with each window.
const DRIFT: f64 = 5.0;
/// The variance that it gets when a sudden change is expected.
const SUDDEN: f64 = 200.0;
/// The variance before there is any sample.
const UNKNOWN: f64 = 50.0;

/// The rate at which sent data arrive.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    kbps: Option<f64>,
    variance: f64,
    bytes: u64,
    window_us: i64,
    last_us: Option<i64>,
}

impl Default for Acknowledged {
    fn default() -> Self {
        Self { kbps: None, variance: UNKNOWN, bytes: 0, window_us: 0, last_us: None }
    }
}

impl Acknowledged {
    /// A packet arrived at `arrival_us` on the receiver's clock. `limited`: the sender has less to send than it may.
    pub fn on_arrival(&mut self, arrival_us: i64, size: u16, limited: bool) {
        let length = if self.kbps.is_none() { FIRST_WINDOW_US } else { WINDOW_US };
        let sample = self.window(arrival_us, length);
        self.bytes += u64::from(size);
        let Some(sample) = sample else { return };
        let Some(kbps) = self.kbps else {
            self.kbps = Some(sample);
            return;
        };
        let scale = if limited && sample < kbps { UNCERTAINTY_LIMITED } else { UNCERTAINTY };
        let uncertainty = scale * (kbps - sample).abs() / kbps.max(1.0);
        let sample_variance = uncertainty * uncertainty;
        let predicted = self.variance + DRIFT;
        let sum = sample_variance + predicted;
        self.kbps = Some((sample_variance * kbps + predicted * sample) / sum);
        self.variance = sample_variance * predicted / sum;
    }

    /// The sample in kb/s of a window that this arrival ends.
    fn window(&mut self, arrival_us: i64, length: i64) -> Option<f64> {
        let last = self.last_us.replace(arrival_us)?;
        let passed = arrival_us - last;
        if passed < 0 {
            // Reordered: it counts for the present window.
            self.last_us = Some(last);
            return None;
        }
        self.window_us += passed;
        if passed > length {
            // Nothing came for longer than a window: what was before says nothing of now.
            self.bytes = 0;
            self.window_us %= length;
        }
        if self.window_us < length {
            return None;
        }
        let sample = self.bytes as f64 * 8_000.0 / length as f64;
        self.window_us -= length;
        self.bytes = 0;
        Some(sample)
    }

    /// Feedback was lost, and what arrived since the last packet is not known: that time doesn't count.
    pub fn on_gap(&mut self) {
        self.last_us = None;
    }

    /// What was sent is about to change: the next samples count more.
    pub fn expect_change(&mut self) {
        self.variance += SUDDEN;
    }

    /// The rate, once half a second of packets has arrived.
    pub fn rate(&self) -> Option<Rate> {
        self.kbps.map(|kbps| Rate::from_f64(kbps * 1_000.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(acknowledged: &mut Acknowledged, from_ms: i64, to_ms: i64, kbps: i64) {
        for ms in (from_ms..to_ms).step_by(10) {
            acknowledged.on_arrival(ms * 1_000, (kbps * 10 / 8) as u16, false);
        }
    }

    fn kbps(acknowledged: &Acknowledged) -> u32 {
        acknowledged.rate().unwrap().as_kbps()
    }

    #[test]
    fn a_steady_stream_is_measured_after_half_a_second() {
        let mut acknowledged = Acknowledged::default();
        feed(&mut acknowledged, 0, 490, 800);
        assert_eq!(acknowledged.rate(), None);
        feed(&mut acknowledged, 490, 520, 800);
        assert_eq!(kbps(&acknowledged), 800);
    }

    #[test]
    fn a_lasting_change_is_followed_and_a_hole_is_not() {
        let mut acknowledged = Acknowledged::default();
        feed(&mut acknowledged, 0, 5_000, 2_000);
        feed(&mut acknowledged, 5_400, 6_000, 2_000);
        assert!(kbps(&acknowledged) > 1_800, "{}", kbps(&acknowledged));
        feed(&mut acknowledged, 6_000, 8_000, 500);
        assert!((480..700).contains(&kbps(&acknowledged)), "{}", kbps(&acknowledged));
    }

    #[test]
    fn lost_feedback_is_no_lower_rate() {
        let mut acknowledged = Acknowledged::default();
        for second in 0..10 {
            feed(&mut acknowledged, second * 1_000, second * 1_000 + 900, 1_000);
            acknowledged.on_gap();
        }
        assert!((990..=1_010).contains(&kbps(&acknowledged)), "{}", kbps(&acknowledged));
    }

    #[test]
    fn reordering_loses_no_bytes() {
        let mut acknowledged = Acknowledged::default();
        for ms in (0i64..3_000).step_by(20) {
            acknowledged.on_arrival((ms + 10) * 1_000, 1_000, false);
            acknowledged.on_arrival(ms * 1_000, 1_000, false);
        }
        assert!((740..=820).contains(&kbps(&acknowledged)), "{}", kbps(&acknowledged));
    }
}
