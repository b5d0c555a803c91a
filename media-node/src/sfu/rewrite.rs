//! One receiver's continuous stream out of changing sources.
//!
//! A receiver's m-line has one SSRC for its whole life, whatever layer or track is forwarded on it. Sequence numbers go on
//! without a gap of our making, so that what is lost upstream stays a gap that the receiver can ask for and we may fill later.
//! Timestamps go on by the time that passed between the last packet of the old source and the first of the new one.
//! Packets of layers that the receiver doesn't get are left out, and the numbers close up behind them.

use super::{
    codec::{PictureIds, Pictures, Rewritten},
    skips::Skips,
};
use std::time::Instant;

/// A jump of the source's numbers that no loss explains: the source began anew.
const RESTART: u64 = 3_000;
/// Longest pause that timestamps follow, in seconds: beyond, it only must go forward.
const MAX_PAUSE_SECONDS: f64 = 3_600.0;

/// Numbers of one packet as the receiver shall see them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers {
    /// Extended sequence number.
    pub seq: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Changed picture ids.
    pub pictures: Rewritten,
}

/// What a packet brings for rewriting.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Extended sequence number.
    pub seq: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// When it arrived.
    pub arrival: Instant,
    /// The picture ids that it carries.
    pub pictures: Pictures,
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    in_start: u64,
    in_highest: u64,
    out_start: u64,
    timestamp_shift: u32,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    seq: u64,
    timestamp: u32,
    arrival: Instant,
}

/// Rewrites the packets of one receiver's m-line.
#[derive(Clone, Debug)]
pub struct Rewriter {
    clock_rate: u32,
    first_seq: u64,
    mapping: Option<Mapping>,
    skips: Skips,
    last: Option<Last>,
    pictures: PictureIds,
}

impl Rewriter {
    /// A rewriter for a clock of `clock_rate` Hz. The first sequence number comes from `random`; it stays below 2^15, so that
    /// the rollover counter of SRTP begins at 0 and no early reordering wraps it (RFC 3711 §3.3.1).
    pub fn new(clock_rate: u32, random: u16) -> Self {
        Self {
            clock_rate,
            first_seq: u64::from(random & 0x7FFF).max(1),
            mapping: None,
            skips: Skips::default(),
            last: None,
            pictures: PictureIds::default(),
        }
    }

    /// Whether a source is being forwarded.
    pub fn has_source(&self) -> bool {
        self.mapping.is_some()
    }

    /// Forgets the source: nothing passes until the next [`Rewriter::switch`]. The receiver's numbers go on from where they are.
    pub fn pause(&mut self) {
        self.mapping = None;
    }

    /// Whether the source began anew with this packet, with numbers of its own.
    pub fn is_restart(&self, packet: &Source) -> bool {
        self.mapping.is_some_and(|mapping| packet.seq.abs_diff(mapping.in_highest) > RESTART)
    }

    /// Begins a new source with this packet, which for video is the first of a key frame.
    pub fn switch(&mut self, first: &Source) {
        let (out_start, timestamp) = match self.last {
            None => (self.first_seq, first.timestamp),
            Some(last) => {
                let pause = first.arrival.saturating_duration_since(last.arrival).as_secs_f64();
                let ticks = (pause.min(MAX_PAUSE_SECONDS) * f64::from(self.clock_rate)) as u64;
                (last.seq + 1, last.timestamp.wrapping_add((ticks as u32).max(1)))
            }
        };
        self.mapping = Some(Mapping {
            in_start: first.seq,
            in_highest: first.seq,
            out_start,
            timestamp_shift: timestamp.wrapping_sub(first.timestamp),
        });
        self.skips.clear();
        self.pictures.switch(&first.pictures);
    }

    /// Leaves out a packet of the present source. `closing` has picture ids close up, too.
    ///
    /// A packet that comes late has its place among those that went out before, where the receiver misses it: then its numbers are
    /// returned, to be sent without payload.
    pub fn leave_out(&mut self, packet: &Source, closing: bool) -> Option<Numbers> {
        if self.is_restart(packet) {
            return None;
        }
        let mapping = self.mapping.as_mut()?;
        if packet.seq > mapping.in_highest {
            mapping.in_highest = packet.seq;
            self.skips.skip(packet.seq);
            if closing {
                self.pictures.skip(&packet.pictures);
            }
            return None;
        }
        let (seq, timestamp) = self.place(packet)?;
        Some(Numbers { seq, timestamp, pictures: Rewritten::default() })
    }

    /// Where a packet of the present source stands: extended sequence number and timestamp.
    fn place(&self, packet: &Source) -> Option<(u64, u32)> {
        let mapping = self.mapping.as_ref()?;
        let past = packet.seq.checked_sub(mapping.in_start)?;
        let seq = mapping.out_start + past.checked_sub(self.skips.before(packet.seq)?)?;
        Some((seq, packet.timestamp.wrapping_add(mapping.timestamp_shift)))
    }

    /// The numbers for this packet of the present source, or `None` for one that must not be forwarded: there is no source, or
    /// it is older than the source's first packet.
    pub fn rewrite(&mut self, packet: &Source) -> Option<Numbers> {
        if self.is_restart(packet) {
            self.switch(packet);
        }
        let (seq, timestamp) = self.place(packet)?;
        if let Some(mapping) = &mut self.mapping {
            mapping.in_highest = mapping.in_highest.max(packet.seq);
        }
        if self.last.is_none_or(|last| seq > last.seq) {
            self.last = Some(Last { seq, timestamp, arrival: packet.arrival });
        }
        Some(Numbers { seq, timestamp, pictures: self.pictures.rewrite(&packet.pictures) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn source(at: Instant, seq: u64, timestamp: u32) -> Source {
        Source { seq, timestamp, arrival: at, pictures: Pictures::default() }
    }

    #[test]
    fn a_switch_goes_on_by_one_and_by_the_time_that_passed() {
        let start = Instant::now();
        let mut rewriter = Rewriter::new(90_000, 500);
        rewriter.switch(&source(start, 10, 1_000));
        assert_eq!(rewriter.rewrite(&source(start, 10, 1_000)).unwrap().seq, 500);
        let last = rewriter.rewrite(&source(start, 11, 4_000)).unwrap();
        assert_eq!((last.seq, last.timestamp), (501, 4_000));

        let later = start + Duration::from_millis(100);
        let next = source(later, 70_000, 77);
        rewriter.switch(&next);
        let first = rewriter.rewrite(&next).unwrap();
        assert_eq!((first.seq, first.timestamp), (502, 4_000 + 9_000));
        assert_eq!(rewriter.rewrite(&source(later, 69_999, 50)), None, "older than the source's start");
    }

    #[test]
    fn what_is_lost_upstream_stays_a_gap_that_a_repair_fills() {
        let at = Instant::now();
        let mut rewriter = Rewriter::new(90_000, 1);
        rewriter.switch(&source(at, 100, 0));
        let numbers: Vec<_> = [100, 101, 103, 102].map(|seq| rewriter.rewrite(&source(at, seq, 0)).unwrap().seq).into();
        assert_eq!(numbers, [1, 2, 4, 3]);
        rewriter.switch(&source(at, 5, 0));
        assert_eq!(rewriter.rewrite(&source(at, 5, 0)).unwrap().seq, 5, "after the highest, not the latest");
    }

    #[test]
    fn a_source_that_begins_anew_is_followed_without_a_jump() {
        let at = Instant::now();
        let mut rewriter = Rewriter::new(48_000, 1);
        rewriter.switch(&source(at, 40_000, 9));
        rewriter.rewrite(&source(at, 40_000, 9));
        let numbers = rewriter.rewrite(&source(at + Duration::from_millis(20), 3, 1)).unwrap();
        assert_eq!((numbers.seq, numbers.timestamp), (2, 9 + 960));
    }

    #[test]
    fn a_pause_lets_nothing_through() {
        let at = Instant::now();
        let mut rewriter = Rewriter::new(48_000, 1);
        rewriter.switch(&source(at, 1, 9));
        rewriter.rewrite(&source(at, 1, 9));
        rewriter.pause();
        assert_eq!(rewriter.rewrite(&source(at, 2, 10)), None);
    }

    #[test]
    fn numbers_close_up_behind_what_is_left_out_and_late_packets_keep_their_place() {
        let at = Instant::now();
        let mut rewriter = Rewriter::new(90_000, 1);
        rewriter.switch(&source(at, 100, 0));
        let mut sent = Vec::new();
        // 101 is lost and 103 left out; 101 comes late, and so does 105, which is of no use.
        for seq in [100, 102, 103, 104, 101, 106] {
            match seq {
                103 => assert_eq!(rewriter.leave_out(&source(at, seq, 0), false), None),
                _ => sent.push(rewriter.rewrite(&source(at, seq, 0)).unwrap().seq),
            }
        }
        assert_eq!(sent, [1, 3, 4, 2, 6]);
        let late = rewriter.leave_out(&source(at, 105, 7), false).unwrap();
        assert_eq!((late.seq, late.timestamp), (5, 7), "its place is filled without payload");
        assert_eq!(rewriter.leave_out(&source(at, 103, 0), false), None, "left out already");
        rewriter.leave_out(&source(at, 107, 0), false);
        rewriter.switch(&source(at, 9, 0));
        assert_eq!(rewriter.rewrite(&source(at, 9, 0)).unwrap().seq, 7, "a switch closes up, too");
    }

    proptest! {
        /// With loss, late repair and layers left out, every number of the receiver is met exactly once: by a packet that it gets, or
        /// by one without payload in the place of a late one that it shall not get.
        #[test]
        fn a_receivers_numbers_have_no_gap(fates in proptest::collection::vec((any::<bool>(), 0u64..40), 2..150)) {
            let at = Instant::now();
            let mut rewriter = Rewriter::new(90_000, 1);
            rewriter.switch(&source(at, 1_000, 0));
            let mut order: Vec<(u64, u64, bool)> = Vec::new();
            for (n, (keep, late)) in fates.iter().enumerate() {
                let seq = 1_000 + n as u64;
                // The first packet begins the source: it is neither left out nor late.
                let late = if n == 0 || *late > 20 { 0 } else { *late };
                order.push((seq + late, seq, *keep || n == 0));
            }
            order.sort_unstable();
            let mut out = Vec::new();
            for (_, seq, keep) in order {
                let packet = source(at, seq, seq as u32);
                let numbers = if keep { rewriter.rewrite(&packet) } else { rewriter.leave_out(&packet, false) };
                prop_assert!(!keep || numbers.is_some());
                out.extend(numbers.map(|numbers| numbers.seq));
            }
            out.sort_unstable();
            let expected: Vec<u64> = (1..=out.len() as u64).collect();
            prop_assert_eq!(out, expected);
        }

        /// Any run of sources with loss, reordering and wraparound: numbers of packets in order go up by what went up
        /// upstream within a source and by one over a switch, and timestamps never step back over a switch.
        #[test]
        fn numbers_are_continuous(
            runs in proptest::collection::vec((any::<u16>(), any::<u32>(), 1u64..60, any::<u64>()), 1..12),
            first: u16,
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut rewriter = Rewriter::new(90_000, first);
            let mut highest: Option<(u64, u32)> = None;
            for (seq, timestamp, length, losses) in runs {
                let seq = u64::from(seq);
                let mut begun = None;
                for i in 0..length {
                    now += Duration::from_millis(10);
                    if i > 0 && losses >> (i % 64) & 1 == 1 {
                        continue;
                    }
                    let packet = source(now, seq + i, timestamp.wrapping_add(900 * i as u32));
                    if i == 0 {
                        rewriter.switch(&packet);
                    }
                    let out = rewriter.rewrite(&packet).unwrap();
                    if i == 0 {
                        if let Some((last_seq, last_timestamp)) = highest {
                            prop_assert_eq!(out.seq, last_seq + 1);
                            let step = out.timestamp.wrapping_sub(last_timestamp);
                            prop_assert!(step > 0 && step < 90_000 * 60, "step {}", step);
                        } else {
                            prop_assert!(out.seq < 1 << 15);
                        }
                        begun = Some(out);
                    }
                    let begun = begun.unwrap();
                    prop_assert_eq!(out.seq - begun.seq, i);
                    prop_assert_eq!(out.timestamp.wrapping_sub(begun.timestamp), 900 * i as u32);
                    highest = Some((out.seq, out.timestamp));
                }
            }
        }
    }
}
