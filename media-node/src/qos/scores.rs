//! The node's own view of the quality that it gives: its sessions' intervals, scored, hour by hour.
//!
//! It is for the operator and for who wants to compare. What is paid for are callers' receipts, which committees score (docs/registry.md): these
//! tell what was lost after repair, and how much of the wanted bit rate came; the node knows loss before repair only, so it judges itself harder.

use super::report::Interval;
use chroom_primitives::{
    UnixMs,
    score::{Observation, Score, score},
};
use std::collections::BTreeMap;

/// Length of a window.
pub const WINDOW_MS: u64 = 3_600_000;
/// Windows that are remembered: a day, and the hour that goes on.
pub const MOST_WINDOWS: usize = 25;
/// A bucket for each point from 0 to 100.
const BUCKETS: usize = 101;

/// What was seen within an hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// Its beginning, Unix ms: a whole hour.
    pub from_ms: UnixMs,
    /// Intervals of sessions, five seconds each.
    pub intervals: u64,
    sum: u64,
    loss: u64,
    rtt_ms: u64,
    jitter_ms: u64,
    points: [u32; BUCKETS],
}

impl Window {
    fn new(from_ms: UnixMs) -> Self {
        Self { from_ms, intervals: 0, sum: 0, loss: 0, rtt_ms: 0, jitter_ms: 0, points: [0; BUCKETS] }
    }

    fn add(&mut self, interval: &Interval, scored: Score) {
        self.intervals += 1;
        self.sum += u64::from(scored.0);
        self.loss += u64::from(interval.loss);
        self.rtt_ms += u64::from(interval.rtt_ms);
        self.jitter_ms += u64::from(interval.jitter_ms);
        if let Some(count) = self.points.get_mut(usize::from(scored.0 / 100)) {
            *count = count.saturating_add(1);
        }
    }

    fn mean(&self, sum: u64) -> f64 {
        sum as f64 / self.intervals.max(1) as f64
    }

    /// Mean score in points, 0 to 100.
    pub fn score(&self) -> f64 {
        self.mean(self.sum) / 100.0
    }

    /// The score that so many of a hundred intervals were below, in whole points.
    pub fn quantile(&self, percent: u64) -> u8 {
        let rank = (self.intervals * percent).div_ceil(100);
        let mut below = 0u64;
        for (points, count) in self.points.iter().enumerate() {
            below += u64::from(*count);
            if below >= rank.max(1) {
                return u8::try_from(points).unwrap_or(100);
            }
        }
        100
    }

    /// Mean fraction lost towards receivers before repair, 0 to 1.
    pub fn loss(&self) -> f64 {
        self.mean(self.loss) / 10_000.0
    }

    /// Mean round-trip time in milliseconds.
    pub fn rtt_ms(&self) -> f64 {
        self.mean(self.rtt_ms)
    }

    /// Mean jitter in milliseconds.
    pub fn jitter_ms(&self) -> f64 {
        self.mean(self.jitter_ms)
    }
}

/// The score of a session's figures.
pub fn of_figures(loss: u16, rtt_ms: u32, jitter_ms: u32) -> Score {
    score(&Observation { loss, rtt_ms, jitter_ms, ..Observation::default() })
}

/// The windows.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    windows: BTreeMap<UnixMs, Window>,
}

impl Scores {
    /// Scores intervals. Those of which receivers reported nothing say nothing, and give no score.
    pub fn take(&mut self, intervals: &[Interval]) -> Vec<Score> {
        let mut scored = Vec::with_capacity(intervals.len());
        for interval in intervals.iter().filter(|interval| interval.expected > 0) {
            let points = of_figures(interval.loss, interval.rtt_ms, interval.jitter_ms);
            let from = beginning(interval.to_ms);
            self.windows.entry(from).or_insert_with(|| Window::new(from)).add(interval, points);
            scored.push(points);
        }
        while self.windows.len() > MOST_WINDOWS {
            self.windows.pop_first();
        }
        scored
    }

    /// The windows of the last day up to `now`, the newest first.
    pub fn windows(&self, now: UnixMs) -> impl Iterator<Item = &Window> {
        let newest = beginning(now);
        let oldest = newest.saturating_sub(WINDOW_MS * (MOST_WINDOWS as u64 - 1));
        self.windows.range(oldest..=newest).rev().map(|(_, window)| window)
    }
}

fn beginning(of: UnixMs) -> UnixMs {
    of - of % WINDOW_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sfu::id::SessionId;
    use proptest::prelude::*;

    fn interval(to_ms: UnixMs, loss: u16, expected: u64) -> Interval {
        Interval {
            session: SessionId([1; 16]),
            from_ms: to_ms.saturating_sub(5_000),
            to_ms,
            sent_bytes: 1,
            received_bytes: 1,
            expected,
            loss,
            rtt_ms: 20,
            jitter_ms: 2,
        }
    }

    #[test]
    fn an_hour_has_the_mean_and_the_tail_of_its_intervals() {
        let mut scores = Scores::default();
        let start = 1_700_000_000_000 / WINDOW_MS * WINDOW_MS;
        for second in 0..90 {
            scores.take(&[interval(start + second * 1_000, 0, 100)]);
        }
        for second in 90..100 {
            scores.take(&[interval(start + second * 1_000, 1_000, 100)]);
        }
        let (good, bad) = (of_figures(0, 20, 2), of_figures(1_000, 20, 2));
        let now = start + 100_000;
        let window = scores.windows(now).next().unwrap();
        assert_eq!((window.from_ms, window.intervals), (start, 100));
        assert!((window.score() - (f64::from(good.0) * 0.9 + f64::from(bad.0) * 0.1) / 100.0).abs() < 0.01);
        assert!((window.loss() - 0.01).abs() < 1e-9);
        assert_eq!(u16::from(window.quantile(10)), bad.0 / 100, "a tenth is bad");
        assert_eq!(u16::from(window.quantile(11)), good.0 / 100);
    }

    #[test]
    fn who_hears_nothing_is_not_scored_and_days_are_forgotten() {
        let mut scores = Scores::default();
        assert!(scores.take(&[interval(1, 0, 0)]).is_empty());
        assert_eq!(scores.windows(1).count(), 0);
        for hour in 0..60 {
            scores.take(&[interval(hour * WINDOW_MS, 0, 1)]);
        }
        assert_eq!(scores.windows.len(), MOST_WINDOWS);
        let shown: Vec<_> = scores.windows(59 * WINDOW_MS + 1).map(|window| window.from_ms / WINDOW_MS).collect();
        assert_eq!(shown, (35..60).rev().collect::<Vec<_>>());
        assert_eq!(scores.windows(70 * WINDOW_MS).count(), 14, "what is older than a day is not shown");
    }

    proptest! {
        #[test]
        fn whatever_the_clock_says_it_is_bounded(
            seen in proptest::collection::vec((any::<u64>(), 0u16..=10_000), 0..80), now: u64,
        ) {
            let mut scores = Scores::default();
            for (at, loss) in seen {
                scores.take(&[interval(at, loss, 1)]);
            }
            prop_assert!(scores.windows.len() <= MOST_WINDOWS);
            for window in scores.windows(now) {
                prop_assert!((0.0..=100.0).contains(&window.score()) && window.quantile(10) <= window.quantile(50));
            }
        }
    }
}
