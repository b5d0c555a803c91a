//! Whether the queue grows: the slope of the accumulated delay over the last groups, held against a threshold that adapts
//! (draft-ietf-rmcat-gcc-02, sections 5.3 and 5.4, with libwebrtc's trendline filter in place of the draft's Kalman filter).

use super::group::Delta;
use std::time::{Duration, Instant};

/// Groups that the slope is taken over, as in libwebrtc.
const WINDOW: usize = 20;
/// Share of the old value in smoothing, as in libwebrtc.
const SMOOTHING: f64 = 0.9;
/// Scales the slope to the threshold, as in libwebrtc.
const GAIN: f64 = 4.0;
/// The slope counts fully from so many groups on, as in libwebrtc.
const FULL_COUNT: u16 = 60;
/// The threshold at first, in milliseconds (section 5.4: del_var_th(0)).
const FIRST_THRESHOLD: f64 = 12.5;
/// The threshold's bounds (section 5.4).
const THRESHOLDS: std::ops::RangeInclusive<f64> = 6.0..=600.0;
/// How fast the threshold rises, per millisecond (section 5.4: K_u; the value is libwebrtc's).
const RISE: f64 = 0.0087;
/// How fast it falls (K_d; likewise).
const FALL: f64 = 0.039;
/// A trend further above the threshold than this is a sudden change that the threshold mustn't follow (section 5.4).
const OUTLIER: f64 = 15.0;
/// The trend must be above the threshold for so long, in milliseconds (section 5.4: overuse_time_th).
const OVERUSE_MS: f64 = 10.0;

/// Weight of a new difference in the jitter (RFC 3550, section 6.4.1).
const JITTER_WEIGHT: f64 = 1.0 / 16.0;

/// What the line does with what is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Usage {
    /// The queue keeps its length.
    #[default]
    Normal,
    /// The queue grows.
    Over,
    /// The queue shrinks.
    Under,
}

/// The filter and the detector.
#[derive(Clone, Debug)]
pub struct Trend {
    /// Arrival (since the first) and smoothed delay, both in milliseconds; a ring.
    points: [(f64, f64); WINDOW],
    count: u16,
    since_first: f64,
    accumulated: f64,
    smoothed: f64,
    slope: f64,
    threshold: f64,
    adapted: Option<Instant>,
    /// For how long the trend has been above the threshold, in milliseconds, and in how many groups.
    above: Option<(f64, u16)>,
    usage: Usage,
    /// Mean of how much successive groups' delays differ, in milliseconds.
    jitter: f64,
}

impl Default for Trend {
    fn default() -> Self {
        Self {
            points: [(0.0, 0.0); WINDOW],
            count: 0,
            since_first: 0.0,
            accumulated: 0.0,
            smoothed: 0.0,
            slope: 0.0,
            threshold: FIRST_THRESHOLD,
            adapted: None,
            above: None,
            usage: Usage::Normal,
            jitter: 0.0,
        }
    }
}

impl Trend {
    /// Takes a group's delta that feedback brought at `now`.
    pub fn on_delta(&mut self, now: Instant, delta: Delta) {
        self.since_first += delta.arrival_ms;
        self.jitter += JITTER_WEIGHT * (delta.delay_ms.abs() - self.jitter);
        self.accumulated += delta.delay_ms;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        if let Some(point) = self.points.get_mut(usize::from(self.count) % WINDOW) {
            *point = (self.since_first, self.smoothed);
        }
        // Beyond the window only the place in the ring matters.
        self.count = if self.count >= 1_000 { self.count - (WINDOW as u16) + 1 } else { self.count + 1 };
        let before = self.slope;
        if usize::from(self.count) >= WINDOW {
            self.slope = self.fit().unwrap_or(self.slope);
        }
        self.detect(now, delta.arrival_ms, before);
    }

    /// The least-squares slope over the window.
    fn fit(&self) -> Option<f64> {
        let length = WINDOW as f64;
        let (x, y) = self.points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (x / length, y / length);
        let (above, below) = self.points.iter().fold((0.0, 0.0), |(above, below), (x, y)| {
            let distance = x - mean_x;
            (above + distance * (y - mean_y), below + distance * distance)
        });
        (below > 0.0).then(|| above / below)
    }

    fn detect(&mut self, now: Instant, passed_ms: f64, slope_before: f64) {
        if self.count < 2 {
            return;
        }
        let trend = f64::from(self.count.min(FULL_COUNT)) * self.slope * GAIN;
        if trend > self.threshold {
            let (time, groups) =
                self.above.map_or((passed_ms / 2.0, 1), |(time, groups)| (time + passed_ms, groups + 1));
            self.above = Some((time, groups));
            if time > OVERUSE_MS && groups > 1 && self.slope >= slope_before {
                self.above = Some((0.0, 0));
                self.usage = Usage::Over;
            }
        } else {
            self.above = None;
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.adapt(now, trend);
    }

    /// The threshold follows the trend, so that jitter doesn't look like congestion and a flow that fills queues doesn't starve this
    /// one.
    fn adapt(&mut self, now: Instant, trend: f64) {
        let size = trend.abs();
        let passed =
            self.adapted.replace(now).map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64() * 1_000.0);
        if size > self.threshold + OUTLIER {
            return;
        }
        let gain = if size < self.threshold { FALL } else { RISE };
        let moved = self.threshold + gain * (size - self.threshold) * passed.min(100.0);
        self.threshold = moved.clamp(*THRESHOLDS.start(), *THRESHOLDS.end());
    }

    /// How much the delay differs from one group to the next, on average.
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(self.jitter.clamp(0.0, 1_000.0) / 1_000.0)
    }

    /// What the line does at present.
    pub fn usage(&self) -> Usage {
        self.usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds groups every 20 ms whose delay grows by what `delay` says.
    fn run(trend: &mut Trend, from: Instant, groups: u32, mut delay: impl FnMut(u32) -> f64) -> Vec<Usage> {
        (0..groups)
            .map(|group| {
                let delay_ms = delay(group);
                trend.on_delta(
                    from + Duration::from_millis(20) * group,
                    Delta { arrival_ms: 20.0 + delay_ms, delay_ms },
                );
                trend.usage()
            })
            .collect()
    }

    #[test]
    fn a_growing_queue_is_overuse_and_a_shrinking_one_underuse() {
        let mut trend = Trend::default();
        let now = Instant::now();
        assert!(run(&mut trend, now, 100, |_| 0.0).iter().all(|usage| *usage == Usage::Normal));
        let grows = run(&mut trend, now + Duration::from_secs(2), 30, |_| 3.0);
        let first = grows.iter().position(|usage| *usage == Usage::Over).unwrap();
        assert!(first <= 12, "overuse after {first} groups");
        let shrinks = run(&mut trend, now + Duration::from_secs(3), 40, |_| -3.0);
        assert_eq!(shrinks.last(), Some(&Usage::Under));
    }

    #[test]
    fn jitter_is_not_overuse() {
        let mut trend = Trend::default();
        let usages = run(&mut trend, Instant::now(), 3_000, |group| [4.0, -3.0, 2.0, -5.0, 2.0][group as usize % 5]);
        let over = usages.iter().filter(|usage| **usage == Usage::Over).count();
        assert_eq!(over, 0);
    }
}
