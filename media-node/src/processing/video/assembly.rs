//! Frames out of packets. After a packet that is lost for good, frames are left out until the next key frame.

use super::{EncodedFrame, MAX_FRAME, VideoCodec, h264, vp8};
use crate::processing::reorder::Reorder;
use std::{sync::Arc, time::Instant};

struct Part {
    timestamp: u32,
    marker: bool,
    payload: Arc<[u8]>,
}

#[derive(Default)]
struct Building {
    timestamp: u32,
    data: Vec<u8>,
    /// A part can't be read, or the frame is too large.
    spoilt: bool,
}

/// Puts one stream's frames together.
pub struct Assembler {
    codec: VideoCodec,
    parts: Reorder<Part>,
    building: Option<Building>,
    /// Nothing can be decoded before a key frame.
    needs_keyframe: bool,
    /// Frames that were left out.
    pub lost: u64,
}

impl Assembler {
    /// For a stream of which nothing came yet.
    pub fn new(codec: VideoCodec) -> Self {
        Self { codec, parts: Reorder::default(), building: None, needs_keyframe: true, lost: 0 }
    }

    /// The stream's codec.
    pub fn codec(&self) -> VideoCodec {
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
            let timestamp = part.timestamp;
            let building = self.building.get_or_insert_with(|| Building { timestamp, ..Building::default() });
            let begins = building.data.is_empty();
            let read = match self.codec {
                VideoCodec::Vp8 => vp8::append(&part.payload, begins, &mut building.data),
                VideoCodec::H264 => h264::append(&part.payload, &mut building.data),
            };
            building.spoilt |= !read || building.data.len() > MAX_FRAME;
            if building.spoilt {
                building.data.clear();
            }
        }
        if part.marker {
            frames.extend(self.finish());
        }
    }

    fn finish(&mut self) -> Option<EncodedFrame> {
        let Building { timestamp, data, spoilt } = self.building.take()?;
        let keyframe = match self.codec {
            VideoCodec::Vp8 => vp8::is_keyframe(&data),
            VideoCodec::H264 => h264::is_keyframe(&data),
        };
        if spoilt || data.is_empty() || self.needs_keyframe && !keyframe {
            self.needs_keyframe = true;
            self.lost += 1;
            return None;
        }
        self.needs_keyframe = false;
        Some(EncodedFrame { data, timestamp, keyframe })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::packets, *};
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
            for codec in [VideoCodec::Vp8, VideoCodec::H264] {
                let mut assembler = Assembler::new(codec);
                for (seq, timestamp, marker, payload) in &payloads {
                    assembler.push(Instant::now(), *seq, *timestamp, *marker, payload.as_slice().into());
                }
            }
        }
    }
}
