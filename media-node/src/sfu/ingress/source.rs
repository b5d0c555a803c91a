//! The client's RTP sources (SSRCs): which packets of them came, and which m-line and layer they are of.

use super::{missing::Missing, reception::Reception};
use crate::sfu::{
    id::{Mid, Rid},
    limits,
    meter::Bucket,
    once::Once,
};
use std::time::Instant;

/// What a source is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The m-line.
    pub mid: Mid,
    /// The simulcast layer.
    pub rid: Option<Rid>,
    /// Whether it resends what was lost of the layer (RFC 4588).
    pub repairs: bool,
}

/// A source of which authentic packets came.
#[derive(Debug)]
pub struct Source {
    /// Its SSRC.
    pub ssrc: u32,
    /// What it is of; `None` until a packet names it.
    pub place: Option<Place>,
    /// How it arrives.
    pub reception: Reception,
    /// What of it didn't come.
    pub missing: Missing,
    came: Once,
}

impl Source {
    fn new(ssrc: u32) -> Self {
        let (reception, missing, came) = (Reception::default(), Missing::default(), Once::default());
        Self { ssrc, place: None, reception, missing, came }
    }

    /// The extended number (RFC 3711 §3.3.1) of a packet that didn't come yet; `None` if it did, or lies too far back to be told. A source begins in the first
    /// round of its numbers.
    pub fn index(&self, seq: u16) -> Option<u64> {
        let index = match self.came.highest() {
            None => seq.into(),
            Some(highest) => highest.checked_add_signed(seq.wrapping_sub(highest as u16).cast_signed().into())?,
        };
        self.came.passes(index).then_some(index)
    }

    /// An authentic packet came. Returns the first number between it and those before it.
    pub fn take(&mut self, index: u64) -> u64 {
        let next = self.came.highest().map_or(index, |highest| highest + 1);
        self.came.take(index);
        next
    }
}

/// The sources, the oldest first.
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

    /// The extended number of a packet, as [`Source::index`].
    pub fn index(&self, ssrc: u32, seq: u16) -> Option<u64> {
        self.known.iter().find(|source| source.ssrc == ssrc).map_or(Some(seq.into()), |source| source.index(seq))
    }

    /// The source of an authentic packet; `None` if the client began too many.
    pub fn of(&mut self, now: Instant, ssrc: u32) -> Option<&mut Source> {
        let at = match self.known.iter().position(|source| source.ssrc == ssrc) {
            Some(at) => at,
            // Only what is the client's is counted, so that nobody else can use it up.
            None if self.allowance.take(now, 1) => {
                if self.known.len() >= limits::MAX_SOURCES {
                    // Somebody who has that many doesn't send on them all.
                    let unbound = self.known.iter().position(|source| source.place.is_none());
                    self.known.remove(unbound.unwrap_or(0));
                }
                self.known.push(Source::new(ssrc));
                self.known.len() - 1
            }
            None => return None,
        };
        self.known.get_mut(at)
    }

    /// The source that has a place.
    pub fn at(&mut self, place: Place) -> Option<&mut Source> {
        self.known.iter_mut().find(|source| source.place == Some(place))
    }

    /// Gives a place to a source. A place has one source only: a layer that changed its source is the new one's.
    pub fn bind(&mut self, ssrc: u32, place: Place) {
        for source in &mut self.known {
            if source.ssrc == ssrc {
                source.place = Some(place);
            } else if source.place == Some(place) {
                source.place = None;
                source.missing.clear();
            }
        }
    }

    /// Nothing is expected any more on m-lines that aren't sent on. Their sources keep their places: when the client sends again it needn't name them.
    pub fn rest(&mut self, is_sent: impl Fn(Mid) -> bool) {
        for source in &mut self.known {
            if source.place.is_some_and(|place| !is_sent(place.mid)) {
                source.missing.clear();
            }
        }
    }

    /// Those of media, in order.
    pub fn media(&mut self) -> impl Iterator<Item = &mut Source> {
        self.known.iter_mut().filter(|source| source.place.is_some_and(|place| !place.repairs))
    }

    /// The source of this SSRC.
    pub fn get(&mut self, ssrc: u32) -> Option<&mut Source> {
        self.known.iter_mut().find(|source| source.ssrc == ssrc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeSet, time::Duration};

    fn place(rid: &str, repairs: bool) -> Place {
        Place { mid: Mid::parse("0").unwrap(), rid: Rid::parse(rid), repairs }
    }

    #[test]
    fn a_place_has_one_source() {
        let now = Instant::now();
        let mut sources = Sources::new(now);
        for (ssrc, rid) in [(1, "q"), (2, "h"), (3, "q")] {
            sources.of(now, ssrc).unwrap().take(5);
            sources.bind(ssrc, place(rid, false));
        }
        assert_eq!(sources.of(now, 1).unwrap().place, None);
        assert_eq!(sources.at(place("q", false)).map(|source| source.ssrc), Some(3));
        assert!(sources.at(place("q", true)).is_none());
        assert_eq!(sources.media().map(|source| source.ssrc).collect::<Vec<_>>(), [2, 3]);
        sources.get(2).unwrap().missing.skipped(now, 1, 9);
        sources.rest(|mid| mid.as_str() != "0");
        assert!(sources.media().all(|source| source.missing.due().is_none()));
        assert_eq!(sources.media().count(), 2);
    }

    #[test]
    fn who_begins_many_sources_has_to_wait_and_loses_those_without_a_place() {
        let start = Instant::now();
        let mut sources = Sources::new(start);
        sources.of(start, 0).unwrap().take(5);
        sources.bind(0, place("q", false));
        let begun = |sources: &mut Sources, now, from: u32| {
            (from..from + 1_000).filter(|ssrc| sources.of(now, *ssrc).is_some()).count()
        };
        assert_eq!(begun(&mut sources, start, 1), limits::MAX_SOURCES - 1);
        assert_eq!(begun(&mut sources, start, 1_001), 0);
        assert_eq!(begun(&mut sources, start + Duration::from_secs(30), 2_001), 30);
        assert_eq!(sources.known.len(), limits::MAX_SOURCES);
        assert!(sources.at(place("q", false)).is_some(), "who plays goes on");
    }

    proptest! {
        /// Each packet passes once at most, with its number, and does pass if it isn't far behind.
        #[test]
        fn repeats_are_refused_and_late_ones_are_not(
            start in any::<u16>(), steps in proptest::collection::vec(-400i64..600, 1..300),
        ) {
            let (mut source, mut passed) = (Source::new(7), BTreeSet::new());
            let mut at = i64::from(start);
            for step in steps {
                at += step;
                let Ok(index) = u64::try_from(at) else { break };
                // Before the first, a source has no round that could be told.
                if passed.is_empty() && index > 0xFFFF {
                    break;
                }
                let highest = passed.last().copied().unwrap_or(0);
                match source.index(index as u16) {
                    Some(found) => {
                        prop_assert_eq!(found, index);
                        source.take(index);
                        prop_assert!(passed.insert(index), "{} twice", index);
                    }
                    None => prop_assert!(passed.contains(&index) || highest >= index + 2_000, "{} of {}", index, highest),
                }
            }
        }
    }
}
