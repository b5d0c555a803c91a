//! What arrived of one track.

use crate::{
    numbers::{Numbers, Place},
    stamp::Stamp,
};
use serde::Serialize;

/// Counts the stamped packets of one track: each number once, late ones too, as long as they are within the window.
///
/// Stamps are numbered by the publisher, RTP packets by the media node: what is missing of the former only was not sent here, since the video was
/// paused for want of room; what is missing of the latter was lost.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    stream: Option<Numbers>,
    /// Of streams before.
    lost_before: u64,
    first: Option<u32>,
    highest: u32,
    /// Bit `n` is set if `highest - n` arrived.
    window: u128,
    received: u64,
    duplicates: u64,
    bytes: u64,
    delay_sum_us: u64,
    delay_max_us: u64,
    /// RFC 3550 §6.4.1, in microseconds.
    jitter_us: f64,
    last_transit_us: Option<i64>,
}

/// Totals of a [`Reception`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Distinct packets that arrived.
    pub received: u64,
    /// Packets between the first and the last that were sent here and never arrived.
    pub lost: u64,
    /// Packets between the first and the last that were not sent here.
    pub withheld: u64,
    /// Packets that arrived more than once.
    pub duplicates: u64,
    /// Payload bytes of the distinct packets.
    pub bytes: u64,
    /// Mean time from sending to arrival in milliseconds (sender's and receiver's clocks are one machine's).
    pub mean_delay_ms: f64,
    /// Greatest time from sending to arrival in milliseconds.
    pub max_delay_ms: f64,
    /// Interarrival jitter in milliseconds.
    pub jitter_ms: f64,
}

impl Reception {
    /// Takes in one packet.
    pub fn arrived(&mut self, stamp: &Stamp, place: Place, payload_bytes: usize, now_us: u64) {
        if !self.mark(stamp.seq) {
            self.duplicates += 1;
            return;
        }
        match &mut self.stream {
            Some(stream) if stream.is_of(place) => {
                stream.arrived(place.seq);
            }
            stream => {
                self.lost_before += stream.as_ref().map_or(0, Numbers::lost);
                *stream = Some(Numbers::new(place));
            }
        }
        self.received += 1;
        self.bytes += payload_bytes as u64;
        let delay = now_us.saturating_sub(stamp.sent_us);
        self.delay_sum_us += delay;
        self.delay_max_us = self.delay_max_us.max(delay);
        let transit = now_us as i64 - stamp.sent_us as i64;
        if let Some(last) = self.last_transit_us.replace(transit) {
            self.jitter_us += ((transit - last).abs() as f64 - self.jitter_us) / 16.0;
        }
    }

    /// Notes a number; false if it was there before, or is older than the window reaches.
    fn mark(&mut self, seq: u32) -> bool {
        let Some(first) = self.first else {
            self.first = Some(seq);
            self.highest = seq;
            self.window = 1;
            return true;
        };
        if seq > self.highest {
            let ahead = seq - self.highest;
            self.window = self.window.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = seq;
            return true;
        }
        let Some(bit) = 1u128.checked_shl(self.highest - seq) else { return false };
        if self.window & bit != 0 {
            return false;
        }
        self.window |= bit;
        self.first = Some(first.min(seq));
        true
    }

    /// The totals so far.
    pub fn totals(&self) -> Totals {
        let expected = self.first.map_or(0, |first| u64::from(self.highest - first) + 1);
        let lost = self.lost_before + self.stream.as_ref().map_or(0, Numbers::lost);
        let mean = if self.received == 0 { 0.0 } else { self.delay_sum_us as f64 / self.received as f64 };
        Totals {
            received: self.received,
            lost,
            withheld: expected.saturating_sub(self.received + lost),
            duplicates: self.duplicates,
            bytes: self.bytes,
            mean_delay_ms: mean / 1_000.0,
            max_delay_ms: self.delay_max_us as f64 / 1_000.0,
            jitter_ms: self.jitter_us / 1_000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp(seq: u32) -> Stamp {
        Stamp { tag: 0, seq, sent_us: 0 }
    }

    fn place(seq: u32) -> Place {
        Place { ssrc: 1, seq: seq as u16 }
    }

    #[test]
    fn what_was_not_sent_here_is_not_lost() {
        let mut reception = Reception::default();
        // The media node pauses the video after the third packet, and goes on with its own numbers 50 packets later; one gets lost then.
        for (number, seq) in [(0, 65_534), (1, 65_535), (2, 0), (53, 1), (55, 3)] {
            reception.arrived(&stamp(number), place(seq), 10, 1);
        }
        let totals = reception.totals();
        assert_eq!((totals.received, totals.lost, totals.withheld), (5, 1, 50));
        // Another session: its numbers begin anew, and what was lost before stays.
        reception.arrived(&stamp(60), Place { ssrc: 2, seq: 900 }, 10, 1);
        reception.arrived(&stamp(61), Place { ssrc: 2, seq: 901 }, 10, 1);
        let totals = reception.totals();
        assert_eq!((totals.received, totals.lost, totals.withheld), (7, 1, 54));
    }

    proptest! {
        #[test]
        fn loss_duplicates_and_reordering_are_told_apart(keep in proptest::collection::vec(any::<bool>(), 2..300), swap in 0usize..8, begins: u16) {
            let mut order: Vec<u32> = (0..keep.len() as u32).filter(|n| keep[*n as usize]).collect();
            prop_assume!(order.len() > 1);
            let (first, last) = (order[0], order[order.len() - 1]);
            for chunk in order.chunks_mut(swap + 1) {
                chunk.reverse();
            }
            let mut reception = Reception::default();
            for seq in &order {
                let place = Place { ssrc: 1, seq: begins.wrapping_add(*seq as u16) };
                reception.arrived(&stamp(*seq), place, 10, 1);
                reception.arrived(&stamp(*seq), place, 10, 1);
            }
            let totals = reception.totals();
            prop_assert_eq!(totals.received, order.len() as u64);
            prop_assert_eq!(totals.duplicates, order.len() as u64);
            prop_assert_eq!(totals.lost, u64::from(last - first) + 1 - order.len() as u64);
            prop_assert_eq!(totals.withheld, 0);
        }
    }
}
