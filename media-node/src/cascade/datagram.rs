//! The datagrams of a pipe. docs/cascade.md draws them.

use super::{format, limits, varint};
use crate::sfu::codec::{Format, dependency::RawDescriptor};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// A stream's number: one layer of a track in one direction of a pipe. The subscriber chooses it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u32);

/// What a media packet has besides its payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaHead {
    /// The publisher's extended sequence number, 48 bits (the index of RFC 3711 §3.3.1).
    pub seq: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Whether a receiver can begin here: sound, or the first packet of a key frame.
    pub starts: bool,
    /// The codec.
    pub format: Format,
    /// Loudness, 0 (overload) to 127 (silence), decibels below overload (RFC 6464).
    pub audio_level: Option<u8>,
    /// Whether the client hears a voice in it.
    pub voice: Option<bool>,
    /// The dependency descriptor (AV1 RTP specification, appendix A), if the publisher sends it.
    pub descriptor: Option<Arc<RawDescriptor>>,
    /// Quarter turns clockwise that set the picture upright, 0 to 3.
    pub quarter_turns: Option<u8>,
}

/// One end's counts of what came in, and the clock for the round-trip time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Beat {
    /// The sender's clock in microseconds, of any epoch.
    pub clock: u64,
    /// The receiver's clock as its last beat told it; 0: none came.
    pub echo: u64,
    /// Microseconds that the echo was held.
    pub held: u32,
    /// Media packets that should have come.
    pub expected: u64,
    /// Of those, packets that did not come at once.
    pub lost: u64,
    /// Of those, packets that were given up.
    pub given_up: u64,
}

/// A datagram, read.
#[derive(Clone, PartialEq, Debug)]
pub enum Datagram {
    /// A media packet.
    Media {
        /// Its stream.
        stream: StreamId,
        /// Its number on this hop, without gaps.
        hop: u32,
        /// Its head.
        head: MediaHead,
        /// Its payload.
        payload: Bytes,
    },
    /// A piece of a media packet that is too large for the path.
    Piece {
        /// Its stream.
        stream: StreamId,
        /// The packet's number on this hop.
        hop: u32,
        /// Which piece, from 0.
        index: u8,
        /// How many there are.
        count: u8,
        /// The piece.
        bytes: Bytes,
    },
    /// Packets that are missing.
    Nack(StreamId, Vec<u32>),
    /// Where streams are that have gone quiet, so that a lost last packet is noticed: the number that comes next on each.
    Heads(Vec<(StreamId, u32)>),
    /// Counts and clock.
    Beat(Beat),
    /// A lossy data message, encoded as control.
    Data(Bytes),
}

/// A datagram that can't be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed datagram")]
pub struct Malformed;

const MEDIA: u8 = 1;
const PIECE: u8 = 2;
const NACK: u8 = 3;
const HEADS: u8 = 4;
const BEAT: u8 = 5;
const DATA: u8 = 6;

const MARKER: u8 = 0x10;
const STARTS: u8 = 0x20;
const EXTENDED: u8 = 0x40;

/// Extension elements: type, length, value. Unknown ones are passed over.
const LEVEL: u8 = 1;
const TURNS: u8 = 2;
const DESCRIPTOR: u8 = 3;

/// Most numbers in one NACK, and most streams in one datagram of heads.
pub const MAX_LISTED: usize = 64;

/// Encodes a media packet.
pub fn media(stream: StreamId, hop: u32, head: &MediaHead, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(40 + payload.len());
    let descriptor = head.descriptor.as_ref().map(|raw| raw.as_bytes());
    let length = head.audio_level.map_or(0, |_| 4)
        + head.quarter_turns.map_or(0, |_| 3)
        + descriptor.map_or(0, |bytes| 2 + u32::try_from(bytes.len()).unwrap_or(0));
    let extended = length > 0;
    let flag = |on: bool, flag: u8| if on { flag } else { 0 };
    out.put_u8(MEDIA | flag(head.marker, MARKER) | flag(head.starts, STARTS) | flag(extended, EXTENDED));
    varint::put(&mut out, stream.0);
    out.put_u32(hop);
    varint::put_u48(&mut out, head.seq);
    out.put_u32(head.timestamp);
    format::put(&mut out, &head.format);
    if extended {
        varint::put(&mut out, length);
        if let Some(level) = head.audio_level {
            let voice = match head.voice {
                None => 0,
                Some(false) => 1,
                Some(true) => 2,
            };
            out.put_slice(&[LEVEL, 2, level, voice]);
        }
        if let Some(turns) = head.quarter_turns {
            out.put_slice(&[TURNS, 1, turns]);
        }
        if let Some(bytes) = descriptor {
            out.put_slice(&[DESCRIPTOR, u8::try_from(bytes.len()).unwrap_or(0)]);
            out.put_slice(bytes);
        }
    }
    out.put_slice(payload);
    out.freeze()
}

/// The encoded packet as datagrams of at most `max` bytes: itself, or its pieces. Nothing if it would take too many.
pub fn pieces(packet: &Bytes, stream: StreamId, hop: u32, max: usize) -> impl Iterator<Item = Bytes> {
    /// Type, stream, hop, index, count.
    const PIECE_HEAD: usize = 1 + 5 + 4 + 1 + 1;
    let room = max.saturating_sub(PIECE_HEAD).max(1);
    let whole = packet.len() <= max;
    let count = if whole { 0 } else { packet.len().div_ceil(room) };
    let count = if count > limits::MAX_PIECES { 0 } else { count };
    let piece = move |index: usize| {
        let bytes = packet.slice(index * room..packet.len().min((index + 1) * room));
        let mut out = BytesMut::with_capacity(PIECE_HEAD + bytes.len());
        out.put_u8(PIECE);
        varint::put(&mut out, stream.0);
        out.put_u32(hop);
        out.put_slice(&[index as u8, count as u8]);
        out.put_slice(&bytes);
        out.freeze()
    };
    whole.then(|| packet.clone()).into_iter().chain((0..count).map(piece))
}

/// Encodes a NACK of at most [`MAX_LISTED`] numbers.
pub fn nack(stream: StreamId, missing: &[u32]) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + missing.len() * 4);
    out.put_u8(NACK);
    varint::put(&mut out, stream.0);
    // Differences: runs of losses take a byte each.
    let mut last = 0u32;
    for hop in missing.iter().take(MAX_LISTED) {
        varint::put(&mut out, hop.wrapping_sub(last));
        last = *hop;
    }
    out.freeze()
}

/// Encodes heads of at most [`MAX_LISTED`] streams.
pub fn heads(heads: &[(StreamId, u32)]) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + heads.len() * 9);
    out.put_u8(HEADS);
    for (stream, next) in heads.iter().take(MAX_LISTED) {
        varint::put(&mut out, stream.0);
        out.put_u32(*next);
    }
    out.freeze()
}

/// Encodes a beat.
pub fn beat(beat: &Beat) -> Bytes {
    let mut out = BytesMut::with_capacity(45);
    out.put_u8(BEAT);
    out.put_u64(beat.clock);
    out.put_u64(beat.echo);
    out.put_u32(beat.held);
    out.put_u64(beat.expected);
    out.put_u64(beat.lost);
    out.put_u64(beat.given_up);
    out.freeze()
}

/// Wraps a lossy data message.
pub fn data(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + message.len());
    out.put_u8(DATA);
    out.put_slice(message);
    out.freeze()
}

/// Reads a datagram.
pub fn read(datagram: Bytes) -> Result<Datagram, Malformed> {
    parse(datagram).ok_or(Malformed)
}

fn parse(mut from: Bytes) -> Option<Datagram> {
    let first = varint::u8(&mut from)?;
    Some(match first & 0x0F {
        MEDIA => {
            let stream = StreamId(varint::get(&mut from)?);
            let hop = varint::u32(&mut from)?;
            let mut head = MediaHead {
                seq: varint::u48(&mut from)?,
                timestamp: varint::u32(&mut from)?,
                marker: first & MARKER != 0,
                starts: first & STARTS != 0,
                format: format::get(&mut from)?,
                audio_level: None,
                voice: None,
                descriptor: None,
                quarter_turns: None,
            };
            if first & EXTENDED != 0 {
                extensions(&mut from, &mut head)?;
            }
            Datagram::Media { stream, hop, head, payload: from }
        }
        PIECE => {
            let stream = StreamId(varint::get(&mut from)?);
            let hop = varint::u32(&mut from)?;
            let (index, count) = (varint::u8(&mut from)?, varint::u8(&mut from)?);
            if index >= count || usize::from(count) > limits::MAX_PIECES || from.is_empty() {
                return None;
            }
            Datagram::Piece { stream, hop, index, count, bytes: from }
        }
        NACK => {
            let stream = StreamId(varint::get(&mut from)?);
            let (mut missing, mut last) = (Vec::new(), 0u32);
            while !from.is_empty() && missing.len() < MAX_LISTED {
                last = last.wrapping_add(varint::get(&mut from)?);
                missing.push(last);
            }
            Datagram::Nack(stream, missing)
        }
        HEADS => {
            let mut heads = Vec::new();
            while !from.is_empty() && heads.len() < MAX_LISTED {
                heads.push((StreamId(varint::get(&mut from)?), varint::u32(&mut from)?));
            }
            Datagram::Heads(heads)
        }
        BEAT => Datagram::Beat(Beat {
            clock: varint::u64(&mut from)?,
            echo: varint::u64(&mut from)?,
            held: varint::u32(&mut from)?,
            expected: varint::u64(&mut from)?,
            lost: varint::u64(&mut from)?,
            given_up: varint::u64(&mut from)?,
        }),
        DATA => Datagram::Data(from),
        _ => return None,
    })
}

fn extensions(from: &mut Bytes, head: &mut MediaHead) -> Option<()> {
    let length = usize::try_from(varint::get(from)?).ok()?;
    if from.len() < length {
        return None;
    }
    let mut elements = from.split_to(length);
    while !elements.is_empty() {
        let (kind, length) = (varint::u8(&mut elements)?, usize::from(varint::u8(&mut elements)?));
        if elements.len() < length {
            return None;
        }
        let value = elements.split_to(length);
        match (kind, value.as_ref()) {
            (LEVEL, [level, voice, ..]) => {
                head.audio_level = Some(level & 0x7F);
                head.voice = match voice {
                    1 => Some(false),
                    2 => Some(true),
                    _ => None,
                };
            }
            (TURNS, [turns, ..]) => head.quarter_turns = Some(turns & 3),
            (DESCRIPTOR, bytes) => head.descriptor = RawDescriptor::new(bytes).map(Arc::new),
            _ => {}
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sfu::codec::Codec;
    use proptest::prelude::*;

    fn any_format() -> impl Strategy<Value = Format> {
        let codec = prop_oneof![
            Just(Codec::Opus),
            Just(Codec::Vp8),
            Just(Codec::Vp9),
            Just(Codec::H264),
            Just(Codec::Av1),
            Just(Codec::Red)
        ];
        (codec, any::<Option<u8>>(), any::<Option<u8>>(), any::<Option<u32>>(), any::<u32>()).prop_map(
            |(codec, channels, packetization_mode, profile, clock_rate)| {
                let (avc, red) = (codec == Codec::H264, codec == Codec::Red);
                Format {
                    codec,
                    clock_rate,
                    channels,
                    packetization_mode,
                    profile_level_id: profile.filter(|_| avc),
                    profile_id: profile.filter(|_| !avc && !red),
                    blocks: profile.filter(|_| red).map(|number| (number % 0x80) as u8),
                }
            },
        )
    }

    prop_compose! {
        fn any_head()(
            seq in 0u64..1 << 48,
            timestamp: u32,
            marker: bool,
            starts: bool,
            format in any_format(),
            level in proptest::option::of((0u8..128, any::<Option<bool>>())),
            descriptor in proptest::option::of(proptest::collection::vec(any::<u8>(), 3..=255)),
            quarter_turns in proptest::option::of(0u8..4),
        ) -> MediaHead {
            let (audio_level, voice) = level.map_or((None, None), |(level, voice)| (Some(level), voice));
            let descriptor = descriptor.and_then(|bytes| RawDescriptor::new(&bytes)).map(Arc::new);
            MediaHead { seq, timestamp, marker, starts, format, audio_level, voice, descriptor, quarter_turns }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(bytes.into());
        }

        #[test]
        fn media_is_read_as_it_was_written(
            head in any_head(), stream: u32, hop: u32, payload in proptest::collection::vec(any::<u8>(), 0..1_500),
        ) {
            let packet = media(StreamId(stream), hop, &head, &payload);
            prop_assert!(packet.len() <= payload.len() + 301);
            let expected = Datagram::Media { stream: StreamId(stream), hop, head, payload: payload.into() };
            prop_assert_eq!(read(packet), Ok(expected));
        }

        #[test]
        fn pieces_make_the_packet_again(length in 1usize..3_000, max in 800usize..1_500) {
            let packet = Bytes::from((0..length).map(|byte| byte as u8).collect::<Vec<_>>());
            let pieces: Vec<Bytes> = pieces(&packet, StreamId(7), 9, max).collect();
            prop_assert!(pieces.iter().all(|piece| piece.len() <= max));
            if let [whole] = pieces.as_slice() {
                prop_assert_eq!(whole, &packet);
            } else {
                let parts = pieces.iter().map(|piece| match read(piece.clone()) {
                    Ok(Datagram::Piece { bytes, .. }) => bytes.to_vec(),
                    other => panic!("{other:?}"),
                });
                prop_assert_eq!(parts.collect::<Vec<_>>().concat(), packet);
            }
        }

        #[test]
        fn lists_are_read_as_they_were_written(
            stream: u32, missing in proptest::collection::vec(any::<u32>(), 0..MAX_LISTED),
            ends in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..MAX_LISTED),
            (clock, echo, held) in any::<(u64, u64, u32)>(),
            (expected, lost, given_up) in any::<(u64, u64, u64)>(),
        ) {
            prop_assert_eq!(read(nack(StreamId(stream), &missing)), Ok(Datagram::Nack(StreamId(stream), missing)));
            let ends: Vec<_> = ends.into_iter().map(|(stream, next)| (StreamId(stream), next)).collect();
            prop_assert_eq!(read(heads(&ends)), Ok(Datagram::Heads(ends)));
            let told = Beat { clock, echo, held, expected, lost, given_up };
            prop_assert_eq!(read(beat(&told)), Ok(Datagram::Beat(told)));
        }
    }
}
