//! Frames out of packets. After a packet that is lost for good, frames are left out until the next key frame.

use super::{
    EncodedFrame, FrameCodec, MAX_FRAME,
    av1::TemporalUnit,
    h264, vp8,
    vp9::{References, Superframe},
};
use crate::processing::{
    reorder::Reorder,
    video::{av1, vp9},
};
use std::{sync::Arc, time::Instant};

struct Part {
    timestamp: u32,
    marker: bool,
    payload: Arc<[u8]>,
}

/// A frame's bytes so far.
enum Growing {
    Vp8(Vec<u8>),
    Vp9(Superframe),
    H264(Vec<u8>),
    Av1(TemporalUnit),
}

impl Growing {
    fn new(codec: FrameCodec) -> Self {
        match codec {
            FrameCodec::Vp8 => Growing::Vp8(Vec::new()),
            FrameCodec::Vp9 => Growing::Vp9(Superframe::default()),
            FrameCodec::H264 => Growing::H264(Vec::new()),
            FrameCodec::Av1 => Growing::Av1(TemporalUnit::default()),
        }
    }

    /// Appends what a payload carries. `false`: it can't be read, doesn't belong here, or is too much.
    fn append(&mut self, payload: &[u8]) -> bool {
        let (read, length) = match self {
            Growing::Vp8(frame) => (vp8::append(payload, frame.is_empty(), frame), frame.len()),
            Growing::Vp9(superframe) => (superframe.append(payload), superframe.bytes()),
            Growing::H264(frame) => (h264::append(payload, frame), frame.len()),
            Growing::Av1(unit) => (unit.append(payload), unit.bytes()),
        };
        read && length <= MAX_FRAME
    }

    /// The frame, and whether it needs no other; `None`: a part is missing.
    fn finish(self, references: &mut References) -> Option<(Vec<u8>, bool)> {
        let (data, is_keyframe): (_, fn(&[u8]) -> bool) = match self {
            Growing::Vp8(frame) => (frame, vp8::is_keyframe),
            Growing::Vp9(superframe) => (superframe.finish(references), vp9::is_keyframe),
            Growing::H264(frame) => (frame, h264::is_keyframe),
            Growing::Av1(unit) => (unit.finish()?, av1::is_keyframe),
        };
        let keyframe = is_keyframe(&data);
        (!data.is_empty()).then_some((data, keyframe))
    }
}

struct Building {
    timestamp: u32,
    /// `None`: a part can't be read, or the frame is too large.
    frame: Option<Growing>,
}

/// Puts one stream's frames together.
pub struct Assembler {
    codec: FrameCodec,
    parts: Reorder<Part>,
    building: Option<Building>,
    /// Of VP9.
    references: References,
    /// Nothing can be decoded before a key frame.
    needs_keyframe: bool,
    /// Frames that were left out.
    pub lost: u64,
}

impl Assembler {
    /// For a stream of which nothing came yet.
    pub fn new(codec: impl Into<FrameCodec>) -> Self {
        Self {
            codec: codec.into(),
            parts: Reorder::default(),
            building: None,
            references: References::default(),
            needs_keyframe: true,
            lost: 0,
        }
    }

    /// The stream's codec.
    pub fn codec(&self) -> FrameCodec {
        self.codec
    }

    /// Whether it waits for a key frame.
    pub fn needs_keyframe(&self) -> bool {
        self.needs_keyframe
    }

    /// A frame that was given out is of no use: the next one must be a key frame.
    pub fn spoil(&mut self) {
        self.needs_keyframe = true;
    }

    /// Takes a packet in; gives the frames that are complete now, in order.
    pub fn push(
        &mut self,
        now: Instant,
        seq: u64,
        timestamp: u32,
        marker: bool,
        payload: Arc<[u8]>,
    ) -> Vec<EncodedFrame> {
        let mut frames = Vec::new();
        for (gap, part) in self.parts.push(now, seq, Part { timestamp, marker, payload }) {
            if gap {
                self.building = None;
                self.lost += 1;
                self.needs_keyframe = true;
            }
            self.part(&part, &mut frames);
        }
        frames
    }

    fn part(&mut self, part: &Part, frames: &mut Vec<EncodedFrame>) {
        if self.building.as_ref().is_some_and(|building| building.timestamp != part.timestamp) {
            frames.extend(self.finish());
        }
        // What fills the place of a packet that the receiver doesn't get has no payload.
        if !part.payload.is_empty() {
            let (timestamp, codec) = (part.timestamp, self.codec);
            let building =
                self.building.get_or_insert_with(|| Building { timestamp, frame: Some(Growing::new(codec)) });
            if building.frame.as_mut().is_some_and(|frame| !frame.append(&part.payload)) {
                building.frame = None;
            }
        }
        if part.marker {
            frames.extend(self.finish());
        }
    }

    fn finish(&mut self) -> Option<EncodedFrame> {
        let Building { timestamp, frame } = self.building.take()?;
        let whole = frame
            .and_then(|frame| frame.finish(&mut self.references))
            .filter(|(_, keyframe)| *keyframe || !self.needs_keyframe);
        self.needs_keyframe = whole.is_none();
        self.lost += u64::from(whole.is_none());
        let (data, keyframe) = whole?;
        Some(EncodedFrame { data, timestamp, keyframe })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{VideoCodec, packets},
        *,
    };
    use proptest::prelude::*;
    use std::time::Duration;

    /// A VP8 frame as far as this module looks into it.
    fn vp8_frame(n: u32, keyframe: bool) -> EncodedFrame {
        let mut data = vec![n as u8; 2_500];
        data[..10].copy_from_slice(&[u8::from(!keyframe), 0, 0, 0x9D, 1, 0x2A, 64, 1, 180, 0]);
        EncodedFrame { data, timestamp: n * 3_000, keyframe }
    }

    fn stream(frames: &[EncodedFrame]) -> Vec<(u64, u32, bool, Arc<[u8]>)> {
        let mut picture = 0;
        let packets = frames.iter().flat_map(|frame| {
            picture += 1;
            packets::packetise(VideoCodec::Vp8, &frame.data, picture)
                .into_iter()
                .map(|packet| (frame.timestamp, packet.marker, Arc::from(packet.payload)))
                .collect::<Vec<_>>()
        });
        packets
            .enumerate()
            .map(|(n, (timestamp, marker, payload))| (100 + n as u64, timestamp, marker, payload))
            .collect()
    }

    #[test]
    fn after_a_loss_frames_wait_for_a_key_frame() {
        let frames: Vec<_> = (0..60).map(|n| vp8_frame(n, n == 0 || n == 40)).collect();
        let start = Instant::now();
        let mut assembler = Assembler::new(VideoCodec::Vp8);
        let mut out = Vec::new();
        for (n, (seq, timestamp, marker, payload)) in stream(&frames).into_iter().enumerate() {
            // The middle packet of frame 5.
            if n != 16 {
                let now = start + Duration::from_millis(11 * n as u64);
                out.extend(assembler.push(now, seq, timestamp, marker, payload));
            }
        }
        let expected: Vec<u32> = (0..5).chain(40..60).map(|n| n * 3_000).collect();
        assert_eq!(out.iter().map(|frame| frame.timestamp).collect::<Vec<_>>(), expected);
        assert!(!assembler.needs_keyframe());
    }

    /// Pictures of two layers, the second of which the receiver may not get, as VP9; and frames as AV1.
    fn scalable(codec: FrameCodec, n: u32, both: bool) -> Vec<(u32, bool, Arc<[u8]>)> {
        let payloads = match codec {
            FrameCodec::Vp9 => {
                let size = (n == 0).then_some((640, 360));
                let lower = if n == 0 { vp9::tests::keyframe(320, 180, 900) } else { vp9::tests::delta(None, 900) };
                let mut payloads = vp9::tests::payloads(&lower, n as u8, 0, 400);
                if both {
                    payloads.extend(vp9::tests::payloads(&vp9::tests::delta(size, 2_000), n as u8, 1, 400));
                }
                payloads
            }
            _ => {
                let header = (n == 0).then(|| av1::tests::SEQUENCE.to_vec());
                let frames = [av1::tests::frame(n == 0, 900), av1::tests::frame(false, 2_000)];
                let obus: Vec<_> = header.into_iter().chain(frames.into_iter().take(1 + usize::from(both))).collect();
                av1::tests::payloads(&obus, 400)
            }
        };
        let last = payloads.len() - 1;
        payloads.into_iter().enumerate().map(|(at, payload)| (n * 3_000, at == last, payload.into())).collect()
    }

    #[test]
    fn layers_that_came_are_in_one_frame_and_a_loss_waits_for_a_key_frame() {
        for codec in [FrameCodec::Vp9, FrameCodec::Av1] {
            let mut assembler = Assembler::new(codec);
            let (start, mut seq, mut out) = (Instant::now(), 0u64, Vec::new());
            // The upper layer is left out of picture 2; a packet of picture 4 is lost; another key frame is picture 6.
            for n in 0..8u32 {
                for (at, (timestamp, marker, payload)) in scalable(codec, n % 6, n != 2).into_iter().enumerate() {
                    seq += 1;
                    let now = start + Duration::from_millis(200 * u64::from(n));
                    if (n, at) != (4, 2) {
                        out.extend(assembler.push(now, seq, timestamp + n / 6 * 18_000, marker, payload));
                    }
                }
            }
            let told: Vec<_> = out.iter().map(|frame| (frame.timestamp / 3_000, frame.keyframe)).collect();
            assert_eq!(told, [(0, true), (1, false), (2, false), (3, false), (6, true), (7, false)], "{codec:?}");
            let frames = |frame: &EncodedFrame| match codec {
                FrameCodec::Vp9 => vp9::frames(&frame.data).len(),
                _ => av1::units(&frame.data).count() - usize::from(frame.keyframe),
            };
            assert_eq!(out.iter().map(frames).collect::<Vec<_>>(), [2, 2, 1, 2, 2, 2], "{codec:?}");
        }
    }

    #[test]
    fn nothing_comes_out_before_the_first_key_frame() {
        let frames = [vp8_frame(0, false), vp8_frame(1, true), vp8_frame(2, false)];
        let mut assembler = Assembler::new(VideoCodec::Vp8);
        let now = Instant::now();
        let out: Vec<_> =
            stream(&frames).into_iter().flat_map(|(s, t, m, p)| assembler.push(now, s, t, m, p)).collect();
        assert_eq!(out, frames[1..]);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(keys in proptest::collection::vec(0u64..12, 30)) {
            let frames: Vec<_> = (0..10).map(|n| vp8_frame(n, n == 0)).collect();
            let packets = stream(&frames);
            let mut order: Vec<_> = packets.iter().zip(keys).enumerate().collect();
            // The first begins the stream.
            order.sort_by_key(|(n, (_, key))| if *n == 0 { 0 } else { *n as u64 + key });
            let now = Instant::now();
            let mut assembler = Assembler::new(VideoCodec::Vp8);
            let out: Vec<_> = order
                .into_iter()
                .flat_map(|(_, ((s, t, m, p), _))| assembler.push(now, *s, *t, *m, p.clone()))
                .collect();
            prop_assert_eq!(out, frames);
        }

        #[test]
        fn any_bytes_are_taken(payloads in proptest::collection::vec(
            (0u64..50, any::<u32>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..60,
        )) {
            for codec in [FrameCodec::Vp8, FrameCodec::Vp9, FrameCodec::H264, FrameCodec::Av1] {
                let mut assembler = Assembler::new(codec);
                for (seq, timestamp, marker, payload) in &payloads {
                    assembler.push(Instant::now(), *seq, *timestamp, *marker, payload.as_slice().into());
                }
            }
        }
    }
}
