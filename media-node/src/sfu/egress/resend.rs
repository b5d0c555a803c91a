//! Packets that were sent, to be sent again when a receiver asks for them (RFC 4585 NACK, RFC 4588 RTX).

use crate::sfu::codec::{Rewritten, dependency::RawDescriptor};
use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

/// Places to begin with: few streams are ever asked for anything.
const FIRST_PLACES: usize = 64;
/// Most packets that are kept per stream: a second at 9 Mb/s.
const MOST_PLACES: usize = 1_024;
/// How long a packet is worth asking for. A receiver's jitter buffer has given it up by then.
const AGE: Duration = Duration::from_secs(2);
/// How long a packet has its place for sure, if there are places: as long as one that was lost twice is asked for on a long way.
const KEEP: Duration = Duration::from_secs(1);
/// Share of a stream's bytes that may be resends, in percent. At 10 % loss, where lost resends are asked for again, 15 % are not enough;
/// this still bounds what a client can make the node send.
const SHARE_PERCENT: u64 = 40;
/// Bytes that may be resent at once, whatever was sent before.
const BURST: u64 = 64 * 1024;
/// A packet is resent at most once in so long if the round-trip time is not known.
const DEFAULT_SPACING: Duration = Duration::from_millis(30);

/// A packet as it was sent: a cache line, since each forwarded packet writes one.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The publisher's payload.
    pub payload: Arc<[u8]>,
    /// The dependency descriptor that this receiver has.
    pub descriptor: Option<Arc<RawDescriptor>>,
    /// Extended sequence number.
    pub seq: u64,
    /// Timestamp.
    pub timestamp: u32,
    /// What this receiver has otherwise in the payload.
    pub pictures: Rewritten,
    /// Payload type.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// How the picture is to be turned, in quarter turns clockwise.
    pub turns: Option<u8>,
}

/// Milliseconds since the history's first packet, from 1 on, which come around after seven weeks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Moment(NonZeroU32);

impl Moment {
    fn after(passed: Duration) -> Self {
        Self(NonZeroU32::new((passed.as_millis() as u32).wrapping_add(1)).unwrap_or(NonZeroU32::MIN))
    }

    fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.get().wrapping_sub(self.0.get()).into())
    }
}

/// On one cache line: a write to memory that isn't in the cache costs as much as half of the header.
#[derive(Debug)]
#[repr(align(64))]
struct Place {
    kept: Kept,
    sent: Moment,
    resent: Option<Moment>,
}

/// The packets of one stream.
#[derive(Debug, Default)]
pub struct History {
    places: Vec<Option<Place>>,
    highest: Option<u64>,
    budget: u64,
    began: Option<Instant>,
    /// Where the last key frame begins: its first packet and its timestamp.
    beginning: Option<(u64, u32)>,
}

impl History {
    fn slot(&self, seq: u64) -> Option<usize> {
        // A power of two, or nothing.
        self.places.len().checked_sub(1).map(|mask| seq as usize & mask)
    }

    fn moment(&mut self, now: Instant) -> Moment {
        let began = *self.began.get_or_insert(now);
        Moment::after(now.saturating_duration_since(began))
    }

    /// Keeps a packet that is sent now.
    pub fn keep(&mut self, now: Instant, kept: Kept) {
        let sent = self.moment(now);
        let bytes = kept.payload.len() as u64;
        self.budget = (self.budget + bytes * SHARE_PERCENT / 100).min(BURST);
        if self.places.is_empty() {
            self.places.resize_with(FIRST_PLACES, || None);
            self.budget = BURST;
        }
        while self.places.len() < MOST_PLACES && self.is_needed(kept.seq, sent) {
            self.grow();
        }
        self.highest = Some(self.highest.map_or(kept.seq, |highest| highest.max(kept.seq)));
        let slot = self.slot(kept.seq);
        if let Some(place) = slot.and_then(|slot| self.places.get_mut(slot)) {
            *place = Some(Place { kept, sent, resent: None });
        }
    }

    /// A key frame begins with this packet, or with one of the same timestamp. What was sent before isn't sent again: the receiver goes on with the key
    /// frame, and on a line that just got narrow, all that it lost of a layer that it doesn't get any more would stand before that.
    pub fn begin(&mut self, seq: u64, timestamp: u32) {
        self.beginning = match self.beginning {
            Some((first, same)) if same == timestamp => Some((first.min(seq), same)),
            Some((first, other)) if first > seq => Some((first, other)),
            _ => Some((seq, timestamp)),
        };
    }

    /// Whether the place of a new packet has one that may still be asked for.
    fn is_needed(&self, seq: u64, now: Moment) -> bool {
        let place = self.slot(seq).and_then(|slot| self.places.get(slot)?.as_ref());
        place.is_some_and(|place| place.kept.seq != seq && place.sent.until(now) < KEEP)
    }

    fn grow(&mut self) {
        let mut larger = Vec::new();
        larger.resize_with((self.places.len() * 2).max(FIRST_PLACES), || None);
        let old = std::mem::replace(&mut self.places, larger);
        for place in old.into_iter().flatten() {
            if let Some(slot) = self.slot(place.kept.seq).and_then(|slot| self.places.get_mut(slot)) {
                *slot = Some(place);
            }
        }
    }

    /// The packet to send again for a NACK of `seq`: if it is kept, not too old nor from before the last key frame, not on its way already, within the
    /// stream's share, and `allow` lets its bytes pass or it is of that key frame.
    pub fn ask(
        &mut self,
        now: Instant,
        seq: u16,
        rtt: Option<Duration>,
        allow: impl FnOnce(u16) -> bool,
    ) -> Option<&Kept> {
        let now = self.moment(now);
        let seq = self.extended(seq)?;
        if self.beginning.is_some_and(|(first, _)| seq < first) {
            return None;
        }
        let slot = self.slot(seq)?;
        let place = self.places.get_mut(slot)?.as_mut()?;
        let bytes = place.kept.payload.len() as u64;
        if place.kept.seq != seq || place.sent.until(now) > AGE || bytes > self.budget {
            return None;
        }
        let spacing = rtt.unwrap_or(DEFAULT_SPACING);
        if place.resent.is_some_and(|resent| resent.until(now) < spacing) {
            return None;
        }
        // Without the key frame nothing else can be shown, and it was lost because the line is full: the budget is smallest when it is needed most.
        let is_key = self.beginning.is_some_and(|(_, timestamp)| timestamp == place.kept.timestamp);
        if !allow(u16::try_from(bytes).unwrap_or(u16::MAX)) && !is_key {
            return None;
        }
        place.resent = Some(now);
        self.budget -= bytes;
        Some(&place.kept)
    }

    /// The extended number of a packet no older than 2^16 others.
    pub fn extended(&self, seq: u16) -> Option<u64> {
        let highest = self.highest?;
        highest.checked_sub((highest as u16).wrapping_sub(seq).into())
    }

    /// Whether this packet can't be sent again though its receiver can't go on without it: it is of the last key frame or after it, and not kept
    /// any more, or too old.
    pub fn is_gone(&mut self, now: Instant, seq: u16) -> bool {
        let now = self.moment(now);
        let Some(seq) = self.extended(seq) else { return false };
        if self.beginning.is_none_or(|(first, _)| seq < first) {
            return false;
        }
        let place = self.slot(seq).and_then(|slot| self.places.get(slot)?.as_ref());
        place.is_none_or(|place| place.kept.seq != seq || place.sent.until(now) > AGE)
    }

    /// A packet to be sent again unasked, by its extended number, if it is still worth it.
    pub fn find(&self, seq: u64) -> Option<&Kept> {
        if self.beginning.is_some_and(|(first, _)| seq < first) {
            return None;
        }
        let place = self.places.get(self.slot(seq)?)?.as_ref()?;
        (place.kept.seq == seq).then_some(&place.kept)
    }

    /// Whether packets of this timestamp are of the last key frame.
    pub fn is_key(&self, timestamp: u32) -> bool {
        self.beginning.is_some_and(|(_, key)| key == timestamp)
    }

    /// The newest packet, to be sent again as padding that may be of use.
    pub fn newest(&self) -> Option<&Kept> {
        let slot = self.slot(self.highest?)?;
        self.places.get(slot)?.as_ref().map(|place| &place.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_packet_takes_little() {
        assert_eq!(size_of::<Option<Place>>(), 64);
    }

    fn kept(seq: u64) -> Kept {
        Kept {
            seq,
            timestamp: 0,
            payload_type: 96,
            marker: false,
            payload: vec![seq as u8; 1_000].into(),
            pictures: Rewritten::default(),
            turns: None,
            descriptor: None,
        }
    }

    #[test]
    fn a_packet_is_found_by_its_short_number_over_wraparounds() {
        let now = Instant::now();
        let mut history = History::default();
        for seq in 65_500..65_600 {
            history.keep(now, kept(seq));
        }
        for seq in [65_500u64, 65_535, 65_536, 65_599] {
            assert_eq!(history.ask(now, seq as u16, None, |_| true).map(|kept| kept.seq), Some(seq));
        }
        assert!(history.ask(now, 65_600u64 as u16, None, |_| true).is_none(), "not sent yet");
        assert!(history.ask(now, 65_499, None, |_| true).is_none(), "never kept");
    }

    #[test]
    fn it_grows_to_what_a_second_takes_and_no_further() {
        let start = Instant::now();
        let mut history = History::default();
        for seq in 0..300 {
            history.keep(start, kept(seq));
        }
        assert!(history.ask(start, 0, None, |_| true).is_some());
        for seq in 300..5_000 {
            history.keep(start, kept(seq));
        }
        assert_eq!(history.places.len(), MOST_PLACES);
        assert!(history.ask(start, 5_000 - 1_025, None, |_| true).is_none());
        assert!(history.ask(start, 5_000 - 1_024, None, |_| true).is_some());
        let mut slow = History::default();
        for seq in 0..5_000u64 {
            slow.keep(start + Duration::from_millis(50 * seq), kept(seq));
        }
        assert_eq!(slow.places.len(), FIRST_PLACES, "those before are too old to be asked for");
    }

    #[test]
    fn the_same_packet_goes_once_in_a_round_trip_and_not_after_two_seconds() {
        let start = Instant::now();
        let mut history = History::default();
        history.keep(start, kept(7));
        let rtt = Some(Duration::from_millis(100));
        let at = |ms| start + Duration::from_millis(ms);
        assert!(history.ask(at(10), 7, rtt, |_| true).is_some());
        assert!(history.ask(at(100), 7, rtt, |_| true).is_none());
        assert!(history.ask(at(110), 7, rtt, |_| true).is_some());
        assert!(history.ask(at(2_001), 7, rtt, |_| true).is_none());
    }

    #[test]
    fn nothing_is_sent_again_from_before_the_last_key_frame() {
        let now = Instant::now();
        let mut history = History::default();
        for seq in 10..30 {
            history.keep(now, kept(seq));
        }
        let asked = |history: &mut History, seq: u16| history.ask(now, seq, Some(Duration::ZERO), |_| true).is_some();
        // Its packets came out of order; an older one that comes late changes nothing.
        history.begin(21, 3_000);
        history.begin(20, 3_000);
        history.begin(12, 1_000);
        assert!(!asked(&mut history, 12) && !asked(&mut history, 19));
        assert!(asked(&mut history, 20) && asked(&mut history, 29));
        history.begin(25, 6_000);
        assert!(!asked(&mut history, 24) && asked(&mut history, 25));
    }

    #[test]
    fn the_last_key_frame_is_sent_again_though_the_line_has_no_room() {
        let now = Instant::now();
        let mut history = History::default();
        for seq in 10..16u64 {
            history.keep(now, Kept { timestamp: seq as u32 / 2, ..kept(seq) });
        }
        history.begin(12, 6);
        let refused = |_| false;
        let granted: Vec<u16> = (10..16).filter(|seq| history.ask(now, *seq, None, refused).is_some()).collect();
        assert_eq!(granted, [12, 13]);
        assert!(history.ask(now, 12, None, refused).is_none(), "once in a round trip");
    }

    #[test]
    fn what_is_asked_for_too_late_is_gone_unless_a_key_frame_came_since() {
        let start = Instant::now();
        let mut history = History::default();
        for seq in 10..20 {
            history.keep(start, kept(seq));
        }
        let late = start + AGE + Duration::from_millis(1);
        assert!(!history.is_gone(late, 15), "nothing is known of key frames");
        history.begin(12, 0);
        assert!(!history.is_gone(start + AGE, 15));
        assert!(history.is_gone(late, 15));
        assert!(!history.is_gone(late, 11));
        history.begin(18, 3_000);
        assert!(!history.is_gone(late, 15));
        assert!(!history.is_gone(late, 20), "not sent yet");
    }

    #[test]
    fn an_unasked_copy_is_of_what_is_still_of_use() {
        let now = Instant::now();
        let mut history = History::default();
        for seq in 65_530..65_540 {
            history.keep(now, Kept { timestamp: seq as u32 / 2, ..kept(seq) });
        }
        history.begin(65_534, 32_767);
        assert_eq!(history.extended(65_535), Some(65_535));
        assert_eq!(history.extended(2), Some(65_538));
        assert_eq!(history.find(65_538).map(|kept| kept.seq), Some(65_538));
        assert!(history.find(65_533).is_none(), "before the key frame");
        assert!(history.find(65_540).is_none(), "not sent");
        assert!(history.is_key(32_767) && !history.is_key(32_768));
    }

    #[test]
    fn resends_are_a_share_of_what_was_sent() {
        let now = Instant::now();
        let mut history = History::default();
        for seq in 0..1_000 {
            history.keep(now, kept(seq));
        }
        let granted = (0..1_000).filter(|seq| history.ask(now, *seq, None, |_| true).is_some()).count();
        assert_eq!(granted, BURST as usize / 1_000, "what had gathered");
        for seq in 1_000..1_010 {
            history.keep(now, kept(seq));
        }
        let granted = (500..1_010).filter(|seq| history.ask(now, *seq, None, |_| true).is_some()).count();
        assert_eq!(granted, 4, "40 % of ten more");
    }
}
