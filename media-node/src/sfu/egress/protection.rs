//! Packets that are sent twice unasked, where what gets lost takes too long to be repaired.
//!
//! A repair takes a round trip, and is lost as often as what it repairs, as is the request for it. On a line that loses a tenth whatever is sent,
//! the key frame with which a layer begins seldom arrives whole, and nothing can be shown before it is: its packets are sent again at once,
//! so that a hundredth is missing. Where more is lost, all of a video's packets are, as far as the line has room that nothing else takes.
//! Copies go where resends go (RFC 4588), so a client needs to know nothing of it.

use crate::sfu::congestion::Estimate;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A copy follows the packet after this time: what loses the one shouldn't lose the other, and the next picture's first packet, which makes a
/// client ask for what is missing, mostly comes after it.
const BEHIND: Duration = Duration::from_millis(20);
/// Where this share is lost at random, key frames are protected.
const KEY_LOSS: f64 = 0.04;
/// And where this share of packets is still missing after [`LATE`], all pictures are.
const ALL_LATE: f64 = 0.005;
/// A picture that comes later than this is missed.
const LATE: Duration = Duration::from_millis(300);
/// Of the estimate, what media, resends and copies may take together before there is no room for copies.
const USE: f64 = 0.85;
/// Room that gathers while less is sent.
const GATHERED: Duration = Duration::from_millis(200);
/// So many bytes of a key frame are copied though there is no room: those of a small picture.
const SMALL: u64 = 12_000;
/// Copies that may wait; more than a large key frame has packets.
const MOST: usize = 256;
/// What a packet takes besides its payload: header, extensions and tag.
const OVERHEAD: usize = 40;

/// A video packet that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Its stream.
    pub ssrc: u32,
    /// Its extended sequence number.
    pub seq: u64,
    /// Its payload's length in bytes.
    pub bytes: usize,
    /// Whether it belongs to the last key frame.
    pub key: bool,
}

/// Which of a client's packets are sent twice.
#[derive(Debug, Default)]
pub struct Protection {
    /// Bytes that may be sent besides; negative where more was sent than the estimate has room for.
    room: f64,
    filled: Option<Instant>,
    /// Copies that are to leave, and when.
    waiting: VecDeque<(Instant, Sent)>,
    /// The key frame that is being copied, by its stream, and its bytes so far.
    small: (u32, u64),
}

impl Protection {
    /// Whether anything has to be accounted for where this share is lost at random.
    pub fn is_needed(random_loss: f64) -> bool {
        random_loss >= KEY_LOSS
    }

    /// Something left: `bytes` of payload.
    pub fn on_sent(&mut self, now: Instant, estimate: &Estimate, bytes: usize) {
        let passed = self.filled.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let full = estimate.target.fill(GATHERED) * USE;
        let refilled = self.room + estimate.target.fill(passed.min(GATHERED * 2)) * USE;
        self.room = (refilled.min(full) - (bytes + OVERHEAD) as f64).max(-full);
    }

    /// A video packet left. Decides whether a copy follows it.
    pub fn protect(&mut self, now: Instant, estimate: &Estimate, sent: Sent) {
        let wanted = sent.key || still_missing(estimate.random_loss, estimate.rtt) >= ALL_LATE;
        if wanted && self.waiting.len() < MOST {
            self.waiting.push_back((now + BEHIND, sent));
        }
        if !sent.key {
            self.small = (0, 0);
        }
    }

    /// A copy that is to leave now and for which there is room.
    pub fn next(&mut self, now: Instant) -> Option<Sent> {
        while self.next_at().is_some_and(|at| at <= now) {
            let (_, sent) = self.waiting.pop_front()?;
            let bytes = (sent.bytes + OVERHEAD) as u64;
            if sent.key {
                let so_far = if self.small.0 == sent.ssrc { self.small.1 } else { 0 };
                self.small = (sent.ssrc, so_far.saturating_add(bytes));
            }
            if self.room >= bytes as f64 || sent.key && self.small.1 <= SMALL {
                return Some(sent);
            }
        }
        None
    }

    /// When [`Protection::next`] may have something.
    pub fn next_at(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, _)| *at)
    }
}

/// The share of packets that repairs haven't brought after [`LATE`]: each takes a round trip, and needs its request to arrive as well.
fn still_missing(lost: f64, rtt: Duration) -> f64 {
    let rounds = LATE.as_millis() / rtt.as_millis().max(1);
    lost * (1.0 - (1.0 - lost).powi(2)).powi(i32::try_from(rounds).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sfu::congestion::{Config, Controller, Rate};

    fn estimate(random_loss: f64, rtt_ms: u64, kbps: u64) -> Estimate {
        let estimate = Controller::new(Config::default()).estimate();
        Estimate { random_loss, rtt: Duration::from_millis(rtt_ms), target: Rate::kbps(kbps), ..estimate }
    }

    /// How many of ten packets of 1,000 bytes, 10 ms apart, are sent twice.
    fn copies(estimate: &Estimate, key: bool) -> usize {
        let start = Instant::now();
        let mut protection = Protection::default();
        let mut copies = 0;
        for ms in 0..200 {
            let now = start + Duration::from_millis(ms);
            if ms < 100 && ms % 10 == 0 {
                protection.on_sent(now, estimate, 1_000);
                protection.protect(now, estimate, Sent { ssrc: 1, seq: ms / 10, bytes: 1_000, key });
            }
            while let Some(sent) = protection.next(now) {
                assert_eq!(u128::from(sent.seq * 10) + BEHIND.as_millis(), ms.into());
                protection.on_sent(now, estimate, sent.bytes);
                copies += 1;
            }
        }
        assert_eq!(protection.next_at(), None);
        copies
    }

    #[test]
    fn what_repairs_bring_in_time_is_not_sent_twice() {
        for (loss, rtt, all) in
            [(0.02, 300, false), (0.1, 50, false), (0.1, 100, false), (0.1, 300, true), (0.2, 100, true)]
        {
            let copies = copies(&estimate(loss, rtt, 10_000), false);
            assert_eq!(copies > 0, all, "{loss} lost, {rtt} ms");
        }
    }

    #[test]
    fn there_are_copies_as_far_as_there_is_room() {
        // 832 kb/s are sent.
        assert_eq!(copies(&estimate(0.2, 300, 4_000), false), 10);
        assert_eq!(copies(&estimate(0.2, 300, 800), false), 0);
        let some = copies(&estimate(0.2, 300, 1_500), false);
        assert!((2..8).contains(&some), "{some}");
    }

    #[test]
    fn small_key_frames_are_sent_twice_on_full_lines_too() {
        assert_eq!(copies(&estimate(0.05, 100, 100), true), 10);
        assert!(!Protection::is_needed(0.03) && Protection::is_needed(0.05));
        let mut protection = Protection::default();
        let (now, narrow) = (Instant::now(), estimate(0.05, 100, 100));
        for seq in 0..40 {
            protection.protect(now, &narrow, Sent { ssrc: 1, seq, bytes: 1_000, key: true });
        }
        let count = std::iter::from_fn(|| protection.next(now + BEHIND)).count();
        assert_eq!(count, SMALL as usize / 1_040, "a large one would fill the queue");
    }

    #[test]
    fn no_more_wait_than_a_key_frame_has_packets() {
        let mut protection = Protection::default();
        let now = Instant::now();
        for seq in 0..1_000 {
            protection.protect(now, &estimate(0.2, 300, 10_000), Sent { ssrc: 1, seq, bytes: 1_000, key: false });
        }
        assert_eq!(protection.waiting.len(), MOST);
    }

    #[test]
    fn the_share_that_is_late_counts_the_lost_requests() {
        let rounded = |lost, ms| (still_missing(lost, Duration::from_millis(ms)) * 10_000.0).round();
        assert_eq!(
            (rounded(0.1, 300), rounded(0.1, 100), rounded(0.2, 300), rounded(0.2, 400)),
            (190.0, 7.0, 720.0, 2000.0)
        );
        assert!(still_missing(0.2, Duration::ZERO) < 1e-9);
    }
}
