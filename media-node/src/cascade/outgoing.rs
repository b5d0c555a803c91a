//! A stream that goes out: its numbers, and what is kept of it for resends.

use super::limits;
use bytes::Bytes;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

struct Kept {
    at: Instant,
    packet: Bytes,
    resent: Option<Instant>,
    resends: u8,
}

/// When the end of a stream that went quiet is told, counted from its last packet.
const TOLD_AT: [Duration; 3] = [Duration::from_millis(40), Duration::from_millis(120), Duration::from_millis(300)];

/// One stream.
pub struct Outgoing {
    next: u32,
    /// The latest packets, in order; the last one's number is `next - 1`.
    ring: VecDeque<Kept>,
    bytes: usize,
    told: usize,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self { next: 0, ring: VecDeque::new(), bytes: 0, told: TOLD_AT.len() }
    }
}

impl Outgoing {
    /// The number that the next packet will have on this hop.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Keeps a packet that was sent under the number [`Outgoing::next`].
    pub fn keep(&mut self, now: Instant, packet: Bytes) {
        self.next = self.next.wrapping_add(1);
        self.told = 0;
        self.bytes += packet.len();
        self.ring.push_back(Kept { at: now, packet, resent: None, resends: 0 });
        while self.ring.len() > limits::RING_PACKETS
            || self.bytes > limits::RING_BYTES
            || self.ring.front().is_some_and(|kept| now.saturating_duration_since(kept.at) > limits::RING_TIME)
        {
            let Some(old) = self.ring.pop_front() else { return };
            self.bytes -= old.packet.len();
        }
    }

    /// The packet with this number, if it is kept and may be resent now. Requests that come closer together than `pause` are
    /// for the same loss.
    pub fn resend(&mut self, now: Instant, hop: u32, pause: Duration) -> Option<Bytes> {
        let behind = usize::try_from(self.next.wrapping_sub(hop)).ok()?;
        let kept = self.ring.len().checked_sub(behind).and_then(|place| self.ring.get_mut(place))?;
        let old = now.saturating_duration_since(kept.at) > limits::RING_TIME;
        let soon = kept.resent.is_some_and(|at| now.saturating_duration_since(at) < pause);
        if old || soon || kept.resends >= limits::MAX_RESENDS {
            return None;
        }
        kept.resent = Some(now);
        kept.resends += 1;
        Some(kept.packet.clone())
    }

    /// The number to tell because the stream went quiet, if it is time; and whether there is more to do. In the end, what was kept for
    /// resends is let go of.
    pub fn head(&mut self, now: Instant) -> (Option<u32>, bool) {
        let Some(last) = self.ring.back().map(|kept| kept.at) else { return (None, false) };
        match TOLD_AT.get(self.told) {
            Some(after) if now.saturating_duration_since(last) >= *after => {
                self.told += 1;
                (Some(self.next), true)
            }
            None if now.saturating_duration_since(last) > limits::RING_TIME => {
                self.ring.clear();
                self.bytes = 0;
                (None, false)
            }
            _ => (None, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAUSE: Duration = Duration::from_millis(10);

    fn packet(number: u32, size: usize) -> Bytes {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.resize(size.max(4), 0);
        bytes.into()
    }

    proptest! {
        #[test]
        fn only_the_right_packet_is_resent_and_memory_is_bounded(
            sizes in proptest::collection::vec(4usize..3_000, 1..1_500), asked in any::<u32>(), first in any::<u32>(),
        ) {
            let now = Instant::now();
            let mut stream = Outgoing { next: first, ..Outgoing::default() };
            for (number, size) in sizes.iter().enumerate() {
                stream.keep(now, packet(first.wrapping_add(number as u32), *size));
            }
            prop_assert!(stream.ring.len() <= limits::RING_PACKETS && stream.bytes <= limits::RING_BYTES);
            prop_assert_eq!(stream.bytes, stream.ring.iter().map(|kept| kept.packet.len()).sum::<usize>());
            let near = first.wrapping_add(asked % (sizes.len() as u32 + 10));
            for hop in [asked, near] {
                if let Some(resent) = stream.resend(now, hop, PAUSE) {
                    prop_assert_eq!(&resent[..4], hop.to_be_bytes());
                }
            }
        }
    }

    #[test]
    fn a_packet_is_resent_at_intervals_a_few_times_and_not_when_it_is_old() {
        let start = Instant::now();
        let mut stream = Outgoing::default();
        stream.keep(start, packet(0, 10));
        assert!(stream.resend(start, 0, PAUSE).is_some());
        assert!(stream.resend(start + PAUSE / 2, 0, PAUSE).is_none(), "asked twice for one loss");
        let times = (1..20).filter(|n| stream.resend(start + PAUSE * *n, 0, PAUSE).is_some()).count();
        assert_eq!(times, usize::from(limits::MAX_RESENDS) - 1);
        stream.keep(start, packet(1, 10));
        assert!(stream.resend(start + limits::RING_TIME * 2, 1, PAUSE).is_none());
        assert!(stream.resend(start, 2, PAUSE).is_none() && stream.resend(start, u32::MAX, PAUSE).is_none());
    }

    #[test]
    fn the_end_of_a_quiet_stream_is_told_three_times() {
        let start = Instant::now();
        let mut stream = Outgoing::default();
        assert_eq!(stream.head(start), (None, false));
        stream.keep(start, packet(0, 10));
        let told = (0..100).filter(|n| stream.head(start + PAUSE * *n).0 == Some(1)).count();
        assert_eq!(told, 3);
        assert_eq!(stream.head(start + limits::RING_TIME + PAUSE), (None, false));
        assert!(stream.ring.is_empty() && stream.next() == 1, "nothing is kept for ever");
    }
}
