//! What one participant received, counted where it arrives.

use crate::{
    numbers::{Numbers, Place},
    reception::Reception,
    stamp::Stamp,
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Microseconds since the Unix epoch.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as u64)
}

/// Greatest number of streams whose packets are told apart, far more than a session has m-lines.
const STREAMS: usize = 1_024;

/// The counts. Tracks' readers write them as packets come, so that a participant that waits for its orchestrator holds up no
/// packet, and nothing has to be dropped for it.
#[derive(Debug)]
pub struct Ledger {
    began: Instant,
    /// RTP packets, each once, also those without a stamp, or without a payload: a media node closes frames with such, of which it leaves
    /// the rest out.
    pub packets: u64,
    /// Packets that came again: repairs of what had come by then, or the media node's probing of the line.
    pub repeated: u64,
    /// Payload bytes of those.
    pub bytes: u64,
    /// Milliseconds from the beginning to the first of them with a payload.
    pub first_media_ms: Option<u64>,
    /// Numbers that came, by SSRC.
    streams: BTreeMap<u32, Numbers>,
    /// Stamped packets by the tag of their track.
    pub receptions: BTreeMap<u32, Reception>,
}

impl Ledger {
    /// Nothing yet; `began` is when the participant began.
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            packets: 0,
            repeated: 0,
            bytes: 0,
            first_media_ms: None,
            streams: BTreeMap::new(),
            receptions: BTreeMap::new(),
        }
    }

    /// Takes in a packet that arrived at `now_us`.
    pub fn arrived(&mut self, place: Place, payload: &[u8], now_us: u64) {
        let is_full = self.streams.len() >= STREAMS;
        let fresh = match self.streams.entry(place.ssrc) {
            Entry::Occupied(mut stream) => stream.get_mut().arrived(place.seq),
            Entry::Vacant(stream) => {
                if !is_full {
                    stream.insert(Numbers::new(place));
                }
                true
            }
        };
        if fresh {
            self.packets += 1;
            self.bytes += payload.len() as u64;
        } else {
            self.repeated += 1;
        }
        if self.first_media_ms.is_none() && !payload.is_empty() {
            self.first_media_ms = Some(self.began.elapsed().as_millis() as u64);
        }
        if let Some(stamp) = Stamp::decode(payload) {
            self.receptions.entry(stamp.tag).or_default().arrived(&stamp, place, payload.len(), now_us);
        }
    }

    /// Packets that came, those that came again too.
    pub fn arrivals(&self) -> u64 {
        self.packets + self.repeated
    }

    /// Packets that are missing between those that came, whether stamped or not.
    pub fn missing(&self) -> u64 {
        self.streams.values().map(Numbers::lost).sum()
    }

    /// Stamped packets that were lost, all tracks together.
    pub fn lost(&self) -> u64 {
        self.receptions.values().map(|reception| reception.totals().lost).sum()
    }

    /// Mean jitter over the tracks, in milliseconds.
    pub fn jitter_ms(&self) -> f64 {
        let sum: f64 = self.receptions.values().map(|reception| reception.totals().jitter_ms).sum();
        sum / self.receptions.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart_by_their_stamps() {
        let mut ledger = Ledger::new(Instant::now());
        for (tag, seq) in [(1, 0), (1, 1), (1, 3), (2, 7)] {
            let mut payload = vec![0; 30];
            payload.extend_from_slice(&Stamp { tag, seq, sent_us: 5 }.encode());
            ledger.arrived(Place { ssrc: tag, seq: seq as u16 }, &payload, 10);
        }
        ledger.arrived(Place { ssrc: 3, seq: 0 }, b"no stamp", 10);
        ledger.arrived(Place { ssrc: 3, seq: 0 }, b"no stamp", 10);
        assert_eq!((ledger.packets, ledger.bytes, ledger.lost()), (5, 4 * 50 + 8, 1));
        assert_eq!((ledger.receptions.len(), ledger.arrivals(), ledger.repeated, ledger.missing()), (2, 6, 1, 1));
        assert!(ledger.first_media_ms.is_some());
    }
}
