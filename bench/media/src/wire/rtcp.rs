//! RTCP that receivers send (RFC 3550, RFC 4585, draft-holmer-rmcat-transport-wide-cc-extensions) and what they read.

use super::{be16, be32};
use std::time::Duration;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
/// Most blocks of one report (RFC 3550 §6.4.2).
pub const MAX_BLOCKS: usize = 31;
/// The unit of arrival differences.
const DELTA: i64 = 250;
/// The unit of the reference time, in microseconds.
const REFERENCE: i64 = 64_000;

/// A report block on one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Block {
    /// The stream.
    pub ssrc: u32,
    /// Fraction lost since the last report, in 256ths.
    pub fraction: u8,
    /// Packets lost since the beginning.
    pub lost: u32,
    /// Highest extended sequence number.
    pub highest: u32,
    /// Interarrival jitter, in units of the clock.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time.
    pub last_report: u32,
    /// Time since then, in 65,536ths of a second.
    pub delay: u32,
}

/// What the SFU tells a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A sender report: the stream, and the middle of its NTP time.
    Report(u32, u32),
    /// A key frame is wanted of this stream.
    Keyframe(u32),
    /// These packets of the stream are missing.
    Missing(u32, Vec<u16>),
}

fn begin(packet: &mut Vec<u8>, count: u8, kind: u8) -> usize {
    let at = packet.len();
    packet.extend([0x80 | count, kind, 0, 0]);
    at
}

fn end(packet: &mut Vec<u8>, at: usize) {
    packet.resize(packet.len().next_multiple_of(4), 0);
    let words = ((packet.len() - at) / 4).saturating_sub(1) as u16;
    packet.iter_mut().skip(at + 2).zip(words.to_be_bytes()).for_each(|(to, from)| *to = from);
}

/// A receiver report.
pub fn receiver_report(packet: &mut Vec<u8>, sender: u32, blocks: &[Block]) {
    let blocks = blocks.get(..MAX_BLOCKS).unwrap_or(blocks);
    let at = begin(packet, blocks.len() as u8, RECEIVER_REPORT);
    packet.extend(sender.to_be_bytes());
    for block in blocks {
        packet.extend(block.ssrc.to_be_bytes());
        packet.extend((u32::from(block.fraction) << 24 | block.lost.min(0x7F_FFFF)).to_be_bytes());
        for word in [block.highest, block.jitter, block.last_report, block.delay] {
            packet.extend(word.to_be_bytes());
        }
    }
    end(packet, at);
}

/// A generic NACK of ascending numbers.
pub fn nack(packet: &mut Vec<u8>, sender: u32, ssrc: u32, missing: &[u16]) {
    let at = begin(packet, 1, TRANSPORT_FEEDBACK);
    packet.extend(sender.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    let mut rest = missing;
    while let [first, others @ ..] = rest {
        let near = others.iter().take_while(|seq| (1..=16).contains(&seq.wrapping_sub(*first))).count();
        let (bits, far) = others.split_at(near);
        let mask = bits.iter().fold(0u16, |mask, seq| mask | 1 << (seq.wrapping_sub(*first) - 1));
        packet.extend(first.to_be_bytes());
        packet.extend(mask.to_be_bytes());
        rest = far;
    }
    end(packet, at);
}

/// A request for a key frame.
pub fn pli(packet: &mut Vec<u8>, sender: u32, ssrc: u32) {
    let at = begin(packet, 1, PAYLOAD_FEEDBACK);
    packet.extend(sender.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    end(packet, at);
}

/// Transport-wide feedback on `arrivals`, which are ascending by number; times count from any fixed point. It covers all numbers
/// between the first and the last. Numbers that lie more than 8 s after the first are left out.
pub fn transport_feedback(packet: &mut Vec<u8>, sender: u32, ssrc: u32, count: u8, arrivals: &[(u16, Duration)]) {
    let Some((base, first)) = arrivals.first().copied() else { return };
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let reference = micros(first) / REFERENCE;
    let mut clock = reference * REFERENCE / DELTA;
    let mut symbols: Vec<u8> = Vec::with_capacity(arrivals.len() + 8);
    let mut deltas: Vec<u8> = Vec::with_capacity(arrivals.len() + 8);
    for (seq, time) in arrivals {
        let at = usize::from(seq.wrapping_sub(base));
        let tick = micros(*time) / DELTA;
        let Ok(delta) = i16::try_from(tick - clock) else { break };
        clock = tick;
        symbols.resize(at, 0);
        match u8::try_from(delta) {
            Ok(small) => {
                symbols.push(1);
                deltas.push(small);
            }
            Err(_) => {
                symbols.push(2);
                deltas.extend(delta.to_be_bytes());
            }
        }
    }
    let at = begin(packet, 15, TRANSPORT_FEEDBACK);
    packet.extend(sender.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(base.to_be_bytes());
    packet.extend((symbols.len() as u16).to_be_bytes());
    packet.extend(((reference as u32 & 0xFF_FFFF) << 8 | u32::from(count)).to_be_bytes());
    let mut rest = symbols.as_slice();
    while let Some(symbol) = rest.first().copied() {
        let run = rest.iter().take(0x1FFF).take_while(|other| **other == symbol).count();
        let taken = if run >= 7 {
            packet.extend((u16::from(symbol) << 13 | run as u16).to_be_bytes());
            run
        } else {
            let seven = rest.iter().take(7).chain(std::iter::repeat(&0)).take(7);
            let chunk = seven.fold(0u16, |chunk, symbol| chunk << 2 | u16::from(*symbol));
            packet.extend((0xC000 | chunk).to_be_bytes());
            rest.len().min(7)
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    packet.extend(deltas);
    end(packet, at);
}

/// Reads what concerns a client out of a compound packet. What is malformed ends it.
pub fn read(compound: &[u8]) -> Vec<Told> {
    let mut told = Vec::new();
    let mut rest = compound;
    while let (Some(first), Some(kind), Some(words)) = (rest.first(), rest.get(1), be16(rest, 2)) {
        let Some((packet, more)) = rest.split_at_checked(4 + 4 * usize::from(words)) else { break };
        let media = || be32(packet, 8);
        match (*kind, first & 0x1F) {
            (SENDER_REPORT, _) => {
                let time = be32(packet, 8).zip(be32(packet, 12)).map(|(high, low)| high << 16 | low >> 16);
                told.extend(be32(packet, 4).zip(time).map(|(ssrc, time)| Told::Report(ssrc, time)));
            }
            (PAYLOAD_FEEDBACK, 1) => told.extend(media().map(Told::Keyframe)),
            // A full intra request names its stream in its own entry (RFC 5104 §4.3.1).
            (PAYLOAD_FEEDBACK, 4) => told.extend(be32(packet, 12).map(Told::Keyframe)),
            (TRANSPORT_FEEDBACK, 1) => told.extend(media().map(|ssrc| Told::Missing(ssrc, missing(packet)))),
            _ => {}
        }
        rest = more;
    }
    told
}

fn missing(packet: &[u8]) -> Vec<u16> {
    let items = packet.get(12..).unwrap_or_default().chunks_exact(4);
    items
        .filter_map(|item| Some((be16(item, 0)?, be16(item, 2)?)))
        .flat_map(|(first, mask)| {
            let more = (0..16u16).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| first.wrapping_add(bit + 1));
            std::iter::once(first).chain(more)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Reads feedback back: number to time, in microseconds from the reference on.
    fn parse(packet: &[u8]) -> BTreeMap<u16, i64> {
        let (base, count) = (be16(packet, 12).unwrap(), usize::from(be16(packet, 14).unwrap()));
        let mut time = i64::from(be32(packet, 16).unwrap() >> 8) * REFERENCE;
        let mut at = 20;
        let mut symbols = Vec::new();
        while symbols.len() < count {
            let chunk = be16(packet, at).unwrap();
            at += 2;
            if chunk >> 15 == 0 {
                symbols.extend(std::iter::repeat_n(chunk >> 13, usize::from(chunk & 0x1FFF)));
            } else {
                symbols.extend((0..7).rev().map(|place| chunk >> (2 * place) & 3));
            }
        }
        let mut out = BTreeMap::new();
        for (index, symbol) in symbols.into_iter().take(count).enumerate() {
            match symbol {
                1 => {
                    time += i64::from(packet[at]) * DELTA;
                    at += 1;
                }
                2 => {
                    time += i64::from(be16(packet, at).unwrap() as i16) * DELTA;
                    at += 2;
                }
                _ => continue,
            }
            out.insert(base.wrapping_add(index as u16), time);
        }
        assert!(packet.len() - at < 4);
        out
    }

    proptest! {
        #[test]
        fn feedback_says_when_each_packet_came(base in any::<u16>(), steps in prop::collection::vec((1u16..40, 0u64..60_000), 1..80)) {
            let (mut seq, mut time) = (base, 7_000_000);
            let arrivals: Vec<(u16, Duration)> = steps.iter().map(|(skip, wait)| {
                seq = seq.wrapping_add(*skip);
                time += wait;
                (seq, Duration::from_micros(time))
            }).collect();
            let mut packet = Vec::new();
            transport_feedback(&mut packet, 1, 2, 3, &arrivals);
            prop_assert_eq!(packet.len() % 4, 0);
            prop_assert_eq!(usize::from(be16(&packet, 2).unwrap()) * 4 + 4, packet.len());
            let read = parse(&packet);
            prop_assert_eq!(read.len(), arrivals.len());
            for (seq, time) in arrivals {
                prop_assert_eq!(read[&seq], time.as_micros() as i64 / DELTA * DELTA);
            }
        }

        #[test]
        fn a_nack_names_what_is_missing(base in any::<u16>(), steps in prop::collection::btree_set(0u16..300, 1..60)) {
            let all: Vec<u16> = steps.iter().map(|step| base.wrapping_add(*step)).collect();
            let mut packet = Vec::new();
            nack(&mut packet, 1, 9, &all);
            let told = read(&packet);
            let [Told::Missing(9, named)] = told.as_slice() else { panic!("{told:?}") };
            prop_assert_eq!(named.iter().collect::<BTreeSet<_>>(), all.iter().collect::<BTreeSet<_>>());
        }

        #[test]
        fn garbage_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }
    }

    #[test]
    fn a_compound_is_read_in_order() {
        let mut packet = vec![0x80, SENDER_REPORT, 0, 6, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8];
        packet.resize(28, 0);
        receiver_report(&mut packet, 1, &[Block::default(); 3]);
        pli(&mut packet, 1, 6);
        assert_eq!(read(&packet), [Told::Report(5, 0x0304_0506), Told::Keyframe(6)]);
    }
}
