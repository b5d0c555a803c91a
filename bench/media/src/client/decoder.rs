//! What a decoder makes of a stream of packets: which pictures it can show, and when none can follow.
//!
//! A picture is whole once all its packets are there, from the one that begins it to the one with the marker. It can be shown if it is a key
//! frame, or follows the last one that was shown. A whole key frame ends the wait for whatever is missing before it.

use std::collections::{BTreeMap, BTreeSet};

/// Packets that wait for others at most: 8 s of a 3 Mb/s video.
const MAX_WAITING: usize = 4_096;

/// A packet as a decoder sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// It begins a picture.
    pub begins: bool,
    /// It ends one.
    pub ends: bool,
    /// If it begins one, whether that is a key frame.
    pub key: bool,
    /// RTP timestamp of its picture.
    pub timestamp: u32,
    /// The publisher's layer.
    pub layer: u8,
}

/// The decoder.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// By extended sequence number; `None`: a packet without content.
    waiting: BTreeMap<u64, Option<Part>>,
    /// Those of them that begin a key frame.
    keys: BTreeSet<u64>,
    /// Number of the packet that the next picture has to begin with, once something was shown.
    next: Option<u64>,
}

impl Decoder {
    /// Takes in a packet by its extended sequence number; returns the layers of the pictures that can now be shown, in order.
    pub fn take(&mut self, index: u64, part: Option<Part>) -> Vec<u8> {
        let mut shown = Vec::new();
        if self.next.is_some_and(|next| index < next) {
            return shown;
        }
        self.waiting.insert(index, part);
        if part.is_some_and(|part| part.begins && part.key) {
            self.keys.insert(index);
        }
        if self.waiting.len() > MAX_WAITING
            && let Some((oldest, _)) = self.waiting.pop_first()
        {
            self.keys.remove(&oldest);
        }
        while let Some((layer, end)) = self.following().or_else(|| self.key_frame()) {
            self.next = Some(end + 1);
            self.waiting = self.waiting.split_off(&(end + 1));
            self.keys = self.keys.split_off(&(end + 1));
            shown.push(layer);
        }
        shown
    }

    /// Number of the first packet that is still of use.
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// The picture that follows the last one.
    fn following(&self) -> Option<(u8, u64)> {
        let mut at = self.next?;
        // Padding lies between pictures.
        while let Some(None) = self.waiting.get(&at) {
            at += 1;
        }
        self.whole(at)
    }

    /// The first whole key frame.
    fn key_frame(&self) -> Option<(u8, u64)> {
        self.keys.iter().find_map(|index| self.whole(*index))
    }

    /// If a picture begins here and is whole: its layer and its last packet.
    fn whole(&self, begin: u64) -> Option<(u8, u64)> {
        let first = self.waiting.get(&begin).copied().flatten().filter(|part| part.begins)?;
        let mut at = begin;
        loop {
            let part = (*self.waiting.get(&at)?)?;
            if part.timestamp != first.timestamp {
                return None;
            }
            if part.ends {
                return Some((first.layer, at));
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packets of pictures with so many parts each; `true`: a key frame, with its number as the layer.
    fn stream(pictures: &[(usize, bool)]) -> Vec<Part> {
        let mut parts = Vec::new();
        for (number, (count, key)) in pictures.iter().enumerate() {
            parts.extend((0..*count).map(|at| Part {
                begins: at == 0,
                ends: at + 1 == *count,
                key: at == 0 && *key,
                timestamp: number as u32 * 3_000,
                layer: number as u8,
            }));
        }
        parts
    }

    proptest! {
        /// In whatever order packets come: all pictures after the first key frame that gets shown are shown once and in order, as long as
        /// nothing is missing and no later key frame overtook them.
        #[test]
        fn order_of_arrival_does_not_matter(
            counts in prop::collection::vec(1usize..6, 1..30),
            order in prop::collection::vec(any::<u32>(), 180),
        ) {
            let pictures: Vec<(usize, bool)> = counts.iter().enumerate().map(|(at, count)| (*count, at == 0)).collect();
            let parts = stream(&pictures);
            let mut numbers: Vec<usize> = (0..parts.len()).collect();
            numbers.sort_by_key(|at| order[*at]);
            let mut decoder = Decoder::default();
            let mut shown: Vec<u8> = Vec::new();
            for at in numbers {
                shown.extend(decoder.take(100 + at as u64, Some(parts[at])));
            }
            prop_assert_eq!(shown, (0..pictures.len() as u8).collect::<Vec<_>>());
            prop_assert!(decoder.waiting.is_empty());
        }

        /// With packets lost: what is shown follows the picture before it or is a key frame, and all its packets came.
        #[test]
        fn nothing_is_shown_that_could_not_be_decoded(
            pictures in prop::collection::vec((1usize..5, prop::bool::weighted(0.2)), 1..40),
            fates in prop::collection::vec(0u8..6, 200),
        ) {
            let parts = stream(&pictures);
            let mut decoder = Decoder::default();
            let mut shown: Vec<u8> = Vec::new();
            for (at, part) in parts.iter().enumerate().filter(|(at, _)| fates[*at] > 0) {
                shown.extend(decoder.take(at as u64, Some(*part)));
            }
            let whole = |number: u8| parts.iter().zip(&fates).filter(|(part, _)| part.layer == number).all(|(_, fate)| *fate > 0);
            let mut expected = Vec::new();
            let mut last = None;
            for (number, (_, key)) in pictures.iter().enumerate() {
                let number = number as u8;
                if whole(number) && (*key || last.is_some_and(|last| last + 1 == number)) {
                    expected.push(number);
                    last = Some(number);
                }
            }
            prop_assert_eq!(shown, expected);
        }
    }

    #[test]
    fn padding_leaves_no_gap() {
        let parts = stream(&[(2, true), (1, false)]);
        let mut decoder = Decoder::default();
        assert_eq!(decoder.take(5, Some(parts[0])), [0u8; 0]);
        assert_eq!(decoder.take(6, Some(parts[1])), [0]);
        assert_eq!(decoder.take(8, Some(parts[2])), [0u8; 0]);
        assert_eq!(decoder.take(7, None), [1]);
        assert_eq!(decoder.next(), Some(9));
    }
}
