//! The client's RTP sources, and which of its packets the engine may look at.
//!
//! The engine binds a source (SSRC) to an m-line by header extensions, which it reads before it knows whether a packet is the client's: one datagram
//! with the client's address, the MID of its microphone and another SSRC moved that line to a source of which nothing ever comes. Clients name the MID
//! until the source was reported on, and never after, so that line was silent for the rest of the call. Hence packets of a source that isn't bound yet
//! are authenticated here first (RFC 3711 §3.3); those of bound sources go to the engine, which finds them by their SSRC and does the same.
//!
//! The engine remembers every source of which it ever saw an authentic packet, so a client may not begin as many as it likes.

use crate::sfu::{
    id::{Mid, Rid},
    limits,
    meter::Bucket,
};
use std::time::Instant;

/// Bytes of an RTP header without contributing sources and extensions (RFC 3550 §5.1).
const FIXED: usize = 12;
/// Bytes of the head of its extensions (RFC 3550 §5.3.1).
const EXTENSION_HEAD: usize = 4;

/// What is in clear of a packet that may be SRTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its source.
    pub ssrc: u32,
    /// Its sequence number.
    pub seq: u16,
    /// Bytes of its header, with contributing sources and extensions.
    pub length: usize,
}

impl Head {
    /// Reads it; `None` if the datagram is shorter than its header says.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let [first, _, seq_high, seq_low, _, _, _, _, ssrc @ ..] = datagram.first_chunk::<FIXED>()?;
        let mut length = FIXED + 4 * usize::from(first & 0x0F);
        if first & 0x10 != 0 {
            let [_, _, words @ ..] = datagram.get(length..)?.first_chunk::<EXTENSION_HEAD>()?;
            length += EXTENSION_HEAD + 4 * usize::from(u16::from_be_bytes(*words));
        }
        let seq = u16::from_be_bytes([*seq_high, *seq_low]);
        (length <= datagram.len()).then_some(Self { ssrc: u32::from_be_bytes(*ssrc), seq, length })
    }
}

/// Which packets of a source came (RFC 3711 §3.3.2).
#[derive(Clone, Copy, Debug)]
struct Window {
    /// The greatest extended sequence number.
    highest: u64,
    /// The greatest and the 63 before it, it in the lowest bit.
    came: u64,
}

impl Window {
    /// The extended sequence number that is nearest to what came (RFC 3711 §3.3.1).
    fn index(&self, seq: u16) -> Option<u64> {
        let step = seq.wrapping_sub(self.highest as u16).cast_signed();
        self.highest.checked_add_signed(step.into())
    }

    fn is_new(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(back) => back < u64::BITS.into() && self.came & (1 << back) == 0,
        }
    }

    fn take(&mut self, index: u64) {
        match self.highest.checked_sub(index) {
            None => {
                let shift = u32::try_from(index - self.highest).unwrap_or(u64::BITS);
                self.came = self.came.checked_shl(shift).unwrap_or(0) | 1;
                self.highest = index;
            }
            Some(back) if back < u64::BITS.into() => self.came |= 1 << back,
            Some(_) => {}
        }
    }
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    window: Window,
    /// What the engine has bound it to.
    place: Option<(Mid, Option<Rid>)>,
}

/// The sources of which authentic packets came, the oldest first.
#[derive(Debug)]
pub struct Sources {
    known: Vec<Source>,
    /// What the client may begin.
    allowance: Bucket,
}

impl Sources {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        let allowance = Bucket::new(limits::SOURCES_PER_SECOND, limits::MAX_SOURCES as u32, now);
        Self { known: Vec::new(), allowance }
    }

    /// Whether the engine may have a packet. `is_authentic` is asked where the engine has not bound the source, with the packet's extended sequence
    /// number.
    pub fn admit(&mut self, now: Instant, head: Head, is_authentic: impl FnOnce(u64) -> bool) -> bool {
        let known = self.known.iter_mut().find(|source| source.ssrc == head.ssrc);
        match known {
            Some(Source { place: Some(_), .. }) => true,
            Some(Source { window, .. }) => {
                let Some(index) = window.index(head.seq).filter(|index| window.is_new(*index)) else { return false };
                let authentic = is_authentic(index);
                if authentic {
                    window.take(index);
                }
                authentic
            }
            // A source begins in the first round of its numbers.
            None => {
                let index = head.seq.into();
                // Only what is the client's is counted, so that nobody else can use it up.
                let admitted = is_authentic(index) && self.allowance.take(now, 1);
                if admitted {
                    self.insert(Source { ssrc: head.ssrc, window: Window { highest: index, came: 1 }, place: None });
                }
                admitted
            }
        }
    }

    /// The m-line and layer that the engine has bound a source to, if that is known; an authentic packet of it came.
    pub fn place(&mut self, ssrc: u32, index: u64) -> Option<(Mid, Option<Rid>)> {
        let source = self.known.iter_mut().find(|source| source.ssrc == ssrc)?;
        let place = source.place?;
        source.window.take(index);
        Some(place)
    }

    /// The engine has bound a source. A layer that changed its source has one only.
    pub fn bind(&mut self, ssrc: u32, index: u64, mid: Mid, rid: Option<Rid>) {
        let place = Some((mid, rid));
        self.known.iter_mut().filter(|source| source.place == place).for_each(Source::release);
        match self.known.iter_mut().find(|source| source.ssrc == ssrc) {
            Some(source) => {
                source.window.take(index);
                source.place = place;
            }
            None => self.insert(Source { ssrc, window: Window { highest: index, came: 1 }, place }),
        }
    }

    /// What the engine has bound may have changed.
    pub fn release(&mut self) {
        self.known.iter_mut().for_each(Source::release);
    }

    fn insert(&mut self, source: Source) {
        if self.known.len() >= limits::MAX_SOURCES {
            // Somebody who has that many doesn't send on them all.
            let unbound = self.known.iter().position(|source| source.place.is_none());
            self.known.remove(unbound.unwrap_or(0));
        }
        self.known.push(source);
    }
}

impl Source {
    /// What came while the engine had it bound was the engine's to tell apart: only what is newer is certain to be new.
    fn release(&mut self) {
        if self.place.take().is_some() {
            self.window.came = u64::MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeSet, time::Duration};

    fn now() -> Instant {
        Instant::now()
    }

    fn head(ssrc: u32, seq: u16) -> Head {
        Head { ssrc, seq, length: FIXED }
    }

    fn mid(name: &str) -> Mid {
        Mid::parse(name).unwrap()
    }

    #[test]
    fn the_head_is_as_long_as_it_says() {
        let plain = [0x80, 96, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 9];
        assert_eq!(Head::parse(&plain), Some(Head { ssrc: 0x304, seq: 0x102, length: 12 }));
        assert_eq!(Head::parse(&plain[..11]), None);
        let mut long = vec![0x92, 96, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4];
        long.extend([7; 8]);
        long.extend([0xBE, 0xDE, 0, 2]);
        long.extend([7; 8]);
        assert_eq!(Head::parse(&long).map(|head| head.length), Some(32));
        assert_eq!(Head::parse(&long[..31]), None);
        assert_eq!(Head::parse(&long[..22]), None);
    }

    #[test]
    fn what_is_not_authentic_is_refused_until_its_source_is_bound() {
        let mut sources = Sources::new(Instant::now());
        assert!(!sources.admit(now(), head(1, 5), |_| false));
        assert_eq!(sources.place(1, 5), None);
        assert!(sources.admit(now(), head(1, 6), |index| index == 6));
        assert!(!sources.admit(now(), head(1, 7), |_| false), "authentic ones came, but it is not bound");
        sources.bind(1, 6, mid("0"), None);
        assert!(sources.admit(now(), head(1, 7), |_| panic!("that is the engine's to find out")));
        assert_eq!(sources.place(1, 7), Some((mid("0"), None)));
        assert!(!sources.admit(now(), head(2, 7), |_| false), "another source on the same line");
    }

    #[test]
    fn numbers_go_on_where_they_were_after_a_negotiation() {
        let mut sources = Sources::new(Instant::now());
        assert!(sources.admit(now(), head(1, 65_535), |index| index == 65_535));
        sources.bind(1, 65_535, mid("0"), None);
        assert!(sources.place(1, 65_536 * 3 + 9).is_some());
        sources.release();
        assert!(!sources.admit(now(), head(1, 8), |_| panic!("it came, or may have")));
        assert!(sources.admit(now(), head(1, 10), |index| index == 65_536 * 3 + 10));
        assert!(!sources.admit(now(), head(1, 10), |_| panic!("it came")));
    }

    #[test]
    fn a_layer_has_one_source() {
        let mut sources = Sources::new(Instant::now());
        sources.bind(1, 5, mid("0"), Rid::parse("q"));
        sources.bind(2, 5, mid("0"), Rid::parse("h"));
        sources.bind(3, 5, mid("0"), Rid::parse("q"));
        assert_eq!(sources.place(1, 6), None);
        assert!(sources.place(2, 6).is_some() && sources.place(3, 6).is_some());
        assert!(!sources.admit(now(), head(1, 5), |_| panic!("a repeat moves nothing")));
    }

    #[test]
    fn who_begins_many_sources_has_to_wait_and_loses_those_that_are_not_bound() {
        let start = now();
        let mut sources = Sources::new(start);
        assert!(sources.admit(start, head(0, 5), |_| true));
        sources.bind(0, 5, mid("0"), None);
        let begun = |sources: &mut Sources, now, from| {
            (from..from + 1_000).filter(|ssrc| sources.admit(now, head(*ssrc, 5), |_| true)).count()
        };
        assert_eq!(begun(&mut sources, start, 1), limits::MAX_SOURCES - 1);
        assert_eq!(begun(&mut sources, start, 1_001), 0);
        assert!(sources.place(0, 6).is_some() && sources.admit(start, head(0, 7), |_| true), "who plays goes on");
        assert!(!sources.admit(start, head(1, 5), |_| panic!("it came")));
        let later = start + Duration::from_secs(30);
        assert_eq!(begun(&mut sources, later, 2_001), 30);
        assert_eq!(sources.known.len(), limits::MAX_SOURCES);
        assert!(sources.place(0, 8).is_some());
        assert!(!sources.admit(later, head(2_030, 5), |_| panic!("it came")));
    }

    #[test]
    fn forged_sources_use_up_nothing() {
        let start = now();
        let mut sources = Sources::new(start);
        assert!((0..1_000).all(|ssrc| !sources.admit(start, head(ssrc, 5), |_| false)));
        assert!(sources.admit(start, head(7, 5), |_| true));
    }

    proptest! {
        /// Each authentic packet passes once at most, and does pass if it isn't far behind.
        #[test]
        fn repeats_are_refused_and_late_ones_are_not(
            start in any::<u16>(), steps in proptest::collection::vec(-40i64..60, 1..300),
        ) {
            let (mut sources, mut passed) = (Sources::new(Instant::now()), BTreeSet::new());
            let mut at = i64::from(start);
            for step in steps {
                at += step;
                let Ok(index) = u64::try_from(at) else { break };
                // Before the first, a source has no round that could be told.
                if passed.is_empty() && index > 0xFFFF {
                    break;
                }
                let highest = passed.last().copied().unwrap_or(0);
                let admitted = sources.admit(now(), head(7, index as u16), |guess| guess == index);
                if admitted {
                    prop_assert!(passed.insert(index), "{} twice", index);
                } else {
                    prop_assert!(passed.contains(&index) || highest >= index + 64, "{} of {}", index, highest);
                }
            }
        }

        #[test]
        fn no_datagram_makes_it_panic(datagram in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(head) = Head::parse(&datagram) {
                prop_assert!(head.length <= datagram.len());
                prop_assert!(Sources::new(Instant::now()).admit(now(), head, |_| true));
            }
        }
    }
}
