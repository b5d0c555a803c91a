//! How a stream arrives, as receiver reports have it (RFC 3550 §6.4.1, appendix A.3 and A.8).

use crate::sfu::rtcp::ReportBlock;
use std::time::{Duration, Instant};

/// A jump of numbers that no loss explains: the stream began anew.
const RESTART: u64 = 3_000;

/// What came of one source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reception {
    first: u64,
    highest: u64,
    received: u64,
    /// Packets expected and received until the last report.
    before: (u64, u64),
    /// Time on the way, by the difference of both clocks, in units of the stream's.
    transit: Option<i32>,
    jitter: f64,
    clock_rate: u32,
    began: Option<Instant>,
    /// Middle of the NTP timestamp of the last sender report, and when it came.
    sender_report: Option<(u32, Instant)>,
    /// Something came since the last report.
    fresh: bool,
}

impl Reception {
    /// A packet came; its stream's clock runs at `clock_rate` Hz.
    pub fn arrived(&mut self, now: Instant, index: u64, timestamp: u32, clock_rate: u32) {
        let began = *self.began.get_or_insert(now);
        if self.received == 0 || index.abs_diff(self.highest) > RESTART {
            *self = Self {
                first: index,
                highest: index,
                sender_report: self.sender_report,
                began: Some(began),
                ..Self::default()
            };
        }
        self.highest = self.highest.max(index);
        self.received += 1;
        self.clock_rate = clock_rate;
        self.fresh = true;
        let passed = now.saturating_duration_since(began).as_secs_f64() * f64::from(clock_rate);
        let transit = (passed as i64 as u32).wrapping_sub(timestamp).cast_signed();
        if let Some(before) = self.transit {
            // The difference of the lower halves: both clocks come around.
            let moved = transit.wrapping_sub(before).unsigned_abs();
            // A pause of the source, or another beginning of its clock, is no jitter.
            if moved < clock_rate {
                self.jitter += (f64::from(moved) - self.jitter) / 16.0;
            }
        }
        self.transit = Some(transit);
    }

    /// The source says what its wall clock is: the middle 32 bits of an NTP timestamp.
    pub fn sender_report(&mut self, now: Instant, middle: u32) {
        // A repeat would make the way there and back seem long.
        let is_newer = |before: u32| middle.wrapping_sub(before).cast_signed() > 0;
        if self.sender_report.is_none_or(|(before, _)| is_newer(before)) {
            self.sender_report = Some((middle, now));
        }
    }

    /// Whether something came that no report told of.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Interarrival jitter.
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(self.jitter / f64::from(self.clock_rate.max(1)))
    }

    /// Packets that were expected since the last report, and those of them that didn't come.
    pub fn since(&self) -> (u64, u64) {
        let (expected, received) = self.before;
        let since = self.expected().saturating_sub(expected);
        (since, since.saturating_sub(self.received.saturating_sub(received)))
    }

    fn expected(&self) -> u64 {
        self.highest.saturating_sub(self.first) + u64::from(self.received > 0)
    }

    /// What a report says now.
    pub fn report(&mut self, now: Instant, ssrc: u32) -> ReportBlock {
        let (expected, (since, missed)) = (self.expected(), self.since());
        self.before = (expected, self.received);
        self.fresh = false;
        let fraction = missed * 256 / since.max(1);
        let lost = i64::try_from(expected).unwrap_or(i64::MAX).saturating_sub_unsigned(self.received);
        let passed = |at: Instant| now.saturating_duration_since(at).min(Duration::from_secs(65_535)).as_secs_f64();
        ReportBlock {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            // 24 bits with a sign.
            lost: lost.clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest: self.highest as u32,
            jitter: self.jitter as u32,
            last_report: self.sender_report.map_or(0, |(middle, _)| middle),
            delay: self.sender_report.map_or(0, |(_, at)| (passed(at) * 65_536.0) as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn losses_are_counted_since_the_beginning_and_since_the_last_report() {
        let start = Instant::now();
        let mut reception = Reception::default();
        for index in [65_530, 65_531, 65_533, 65_532, 65_537] {
            reception.arrived(start, index, 0, 90_000);
        }
        assert_eq!(reception.since(), (8, 3));
        let block = reception.report(start, 7);
        assert_eq!((block.ssrc, block.highest, block.lost, block.fraction_lost), (7, 65_537, 3, 96));
        assert_eq!(reception.since(), (0, 0));
        assert!(!reception.is_fresh());
        reception.arrived(start, 65_538, 0, 90_000);
        assert!(reception.is_fresh());
        // Two that were counted lost come, and one more than was expected.
        for index in [65_534, 65_535, 65_536] {
            reception.arrived(start, index, 0, 90_000);
        }
        let block = reception.report(start, 7);
        assert_eq!((block.lost, block.fraction_lost), (0, 0));
    }

    #[test]
    fn a_stream_that_begins_anew_has_lost_nothing() {
        let start = Instant::now();
        let mut reception = Reception::default();
        for index in (0..10).chain(20_000..20_010) {
            reception.arrived(start, index, 0, 90_000);
        }
        let block = reception.report(start, 7);
        assert_eq!((block.highest, block.lost, block.fraction_lost), (20_009, 0, 0));
    }

    #[test]
    fn jitter_is_how_unevenly_packets_come() {
        let start = Instant::now();
        let (mut even, mut uneven, mut paused) = (Reception::default(), Reception::default(), Reception::default());
        for n in 0..200u64 {
            let timestamp = (n * 960) as u32;
            even.arrived(start + ms(20 * n), n, timestamp, 48_000);
            uneven.arrived(start + ms(20 * n + 10 * (n % 2)), n, timestamp, 48_000);
            paused.arrived(start + ms(20 * n + 5_000 * (n / 100)), n, timestamp, 48_000);
        }
        assert_eq!(even.report(start, 1).jitter, 0);
        assert!((9.7..10.0).contains(&(uneven.jitter().as_secs_f64() * 1e3)), "{:?}", uneven.jitter());
        assert!((470..=480).contains(&uneven.report(start, 1).jitter), "{}", uneven.report(start, 1).jitter);
        assert_eq!(paused.report(start, 1).jitter, 0);
    }

    #[test]
    fn the_last_sender_report_is_named_with_its_age() {
        let start = Instant::now();
        let mut reception = Reception::default();
        reception.arrived(start, 1, 0, 90_000);
        let block = reception.report(start, 7);
        assert_eq!((block.last_report, block.delay), (0, 0));
        reception.sender_report(start, 0x0102_0304);
        reception.sender_report(start + ms(200), 0x0102_0304);
        reception.sender_report(start + ms(200), 0x0102_0300);
        let block = reception.report(start + ms(500), 7);
        assert_eq!((block.last_report, block.delay), (0x0102_0304, 32_768));
    }
}
