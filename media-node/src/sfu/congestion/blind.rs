//! Clients without transport-wide feedback: what receiver reports (RFC 3550) and REMB tell.

use super::{observation::Observation, rate::Rate};
use std::time::{Duration, Instant};

/// A REMB that wasn't repeated for so long bounds nothing any more; receivers repeat theirs every second.
const REMB_LASTS: Duration = Duration::from_secs(5);
/// Loss up to which the rate grows (draft-ietf-rmcat-gcc-02, section 6).
const GROWS_BELOW: f64 = 0.02;
/// Growth per report (section 6).
const GROWTH: f64 = 1.05;
/// The rate doesn't grow beyond so much of what is sent.
const BEYOND_SENT: f64 = 1.5;
/// Reports that come faster are put together.
const SHORTEST: Duration = Duration::from_millis(300);
/// Average packet, to tell packets from bytes, in bytes.
const PACKET: u64 = 1_000;

/// What is known without transport-wide feedback.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blind {
    since: Option<Instant>,
    bytes: u64,
    remb: Option<(Instant, Rate)>,
}

impl Blind {
    /// A packet left.
    pub fn on_sent(&mut self, now: Instant, size: u16) {
        self.since.get_or_insert(now);
        self.bytes += u64::from(size);
    }

    /// A receiver report; what was sent since the last one is the window that it tells of.
    pub fn on_report(&mut self, now: Instant, lost: f64) -> Option<Observation> {
        let began = self.since?;
        let length = now.saturating_duration_since(began);
        if length < SHORTEST {
            return None;
        }
        let sent = Rate::of(self.bytes, length)?;
        let packets = u32::try_from(self.bytes / PACKET).unwrap_or(u32::MAX).max(1);
        self.since = Some(now);
        self.bytes = 0;
        let loss = if lost.is_finite() { lost.clamp(0.0, 1.0) } else { 0.0 };
        Some(Observation { began, sent, loss, packets })
    }

    /// What the rate grows to by a report, if its loss is no more than usual.
    pub fn grown(&self, rate: Rate, seen: Observation, baseline: f64) -> Rate {
        if seen.loss > baseline + GROWS_BELOW {
            return rate;
        }
        rate.scaled(GROWTH).min(seen.sent.scaled(BEYOND_SENT).max(rate))
    }

    /// The receiver's own estimate.
    pub fn on_remb(&mut self, now: Instant, rate: Rate) {
        self.remb = Some((now, rate));
    }

    /// The bound by the receiver's own estimate.
    pub fn remb(&self, now: Instant) -> Option<Rate> {
        self.remb.filter(|(at, _)| now.saturating_duration_since(*at) < REMB_LASTS).map(|(_, rate)| rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_of_what_was_sent_since_the_last_one() {
        let start = Instant::now();
        let mut blind = Blind::default();
        assert_eq!(blind.on_report(start, 0.1), None, "nothing was sent");
        for n in 0..100 {
            blind.on_sent(start + Duration::from_millis(n * 10), 1_250);
        }
        let now = start + Duration::from_secs(1);
        let seen = blind.on_report(now, 0.1).unwrap();
        assert_eq!((seen.sent, seen.packets, seen.loss), (Rate::kbps(1_000), 125, 0.1));
        assert_eq!(blind.on_report(now + Duration::from_millis(10), 0.1), None, "too soon");
        assert_eq!(blind.on_report(now + Duration::from_secs(1), f64::NAN).map(|seen| seen.loss), Some(0.0));
    }

    #[test]
    fn a_remb_lasts_for_five_seconds() {
        let now = Instant::now();
        let mut blind = Blind::default();
        blind.on_remb(now, Rate::kbps(700));
        assert_eq!(blind.remb(now + Duration::from_secs(4)), Some(Rate::kbps(700)));
        assert_eq!(blind.remb(now + Duration::from_secs(5)), None);
    }
}
