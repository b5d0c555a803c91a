//! Synthetic media: packets that a browser's decoder accepts, with a stamp at the end of each.

use crate::stamp::Stamp;
use bytes::{BufMut, Bytes, BytesMut};
use std::time::Duration;

/// One packet to send: payload and what the RTP header needs.
#[derive(Clone, Debug)]
pub struct MediaPacket {
    /// RTP payload.
    pub payload: Bytes,
    /// RTP timestamp, in the codec's clock.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
}

/// How much sound a packet holds: `ptime` of RFC 8866 §6.5, here one to three Opus frames of 20 ms each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ptime {
    frames: u8,
}

impl Ptime {
    /// Of one frame, as browsers send it.
    pub const SHORT: Self = Self { frames: 1 };
    /// Milliseconds that there is a packet for.
    pub const MILLISECONDS: [u8; 3] = [20, 40, 60];

    /// Of 20, 40 or 60 ms.
    pub fn from_milliseconds(ms: u8) -> Option<Self> {
        Self::MILLISECONDS.contains(&ms).then_some(Self { frames: ms / 20 })
    }

    /// Interval between packets.
    pub fn interval(self) -> Duration {
        Duration::from_millis(20) * u32::from(self.frames)
    }

    /// The interval in units of the RTP clock.
    fn ticks(self) -> u32 {
        AudioSource::CLOCK / 50 * u32::from(self.frames)
    }
}

/// Opus at 50 frames a second: silence, with the stamp in the packet's padding (RFC 6716 §3.2.5), which decoders skip.
#[derive(Debug)]
pub struct AudioSource {
    packets: u32,
    ptime: Ptime,
}

impl AudioSource {
    /// Clock rate of Opus in RTP (RFC 7587).
    pub const CLOCK: u32 = 48_000;
    /// Padding bytes: makes a packet of one frame as large as one of speech at about 32 kb/s.
    const PADDING: usize = 72;

    /// A source of packets that hold so much.
    pub fn new(ptime: Ptime) -> Self {
        Self { packets: 0, ptime }
    }

    /// The next packet.
    pub fn next(&mut self, tag: u32, now_us: u64) -> MediaPacket {
        let stamp = Stamp { tag, seq: self.packets, sent_us: now_us };
        let frames = self.ptime.frames;
        let mut payload = BytesMut::with_capacity(3 + 2 * usize::from(frames) + Self::PADDING);
        // TOC: CELT, full band, 20 ms, mono, code 3; that many frames, constant rate, padded; length of the padding.
        payload.put_slice(&[0xFB, 0x40 | frames, Self::PADDING as u8]);
        // The frames: what an encoder makes of silence.
        (0..frames).for_each(|_| payload.put_slice(&[0xFF, 0xFE]));
        payload.put_bytes(0, Self::PADDING - Stamp::LEN);
        payload.put_slice(&stamp.encode());
        let timestamp = self.packets.wrapping_mul(self.ptime.ticks());
        self.packets = self.packets.wrapping_add(1);
        MediaPacket { payload: payload.freeze(), timestamp, marker: false }
    }
}

/// VP8 (RFC 6386, RFC 7741) at 15 frames a second: a flat grey picture, padded to a bit rate.
///
/// The boolean decoder reads nothing but zeros from an all-zero partition, which is a valid frame; what follows the bits that it
/// needs, it never looks at. The stamps lie there.
#[derive(Debug)]
pub struct VideoSource {
    packets: u32,
    frames: u32,
    packets_per_frame: u32,
    keyframe_due: bool,
}

impl VideoSource {
    /// Interval between frames in milliseconds.
    pub const INTERVAL_MS: u64 = 66;
    /// Clock rate of video in RTP.
    pub const CLOCK: u32 = 90_000;
    /// Payload bytes of a packet after the VP8 payload descriptor.
    const BODY: usize = 1_000;
    /// A keyframe at least this often.
    const KEYFRAME_FRAMES: u32 = 150;
    const WIDTH: u16 = 320;
    const HEIGHT: u16 = 180;

    /// A source of about `kbps` kb/s; at least one packet a frame (120 kb/s).
    pub fn new(kbps: u32) -> Self {
        let per_packet = (Self::BODY as u32) * 8 * 1_000 / Self::INTERVAL_MS as u32 / 1_000;
        Self { packets: 0, frames: 0, packets_per_frame: (kbps / per_packet).clamp(1, 32), keyframe_due: true }
    }

    /// Makes the next frame a keyframe: somebody asked for one.
    pub fn request_keyframe(&mut self) {
        self.keyframe_due = true;
    }

    /// Bit rate in kb/s that the source really has.
    pub fn kbps(&self) -> u32 {
        self.packets_per_frame * (Self::BODY as u32) * 8 / Self::INTERVAL_MS as u32
    }

    /// The packets of the next frame.
    pub fn next(&mut self, tag: u32, now_us: u64) -> Vec<MediaPacket> {
        let key = std::mem::take(&mut self.keyframe_due) || self.frames.is_multiple_of(Self::KEYFRAME_FRAMES);
        let timestamp = self.frames.wrapping_mul(Self::CLOCK / 1_000 * Self::INTERVAL_MS as u32);
        let picture_id = (self.frames & 0x7FFF) as u16;
        let mut packets = Vec::with_capacity(self.packets_per_frame as usize);
        for index in 0..self.packets_per_frame {
            let mut payload = BytesMut::with_capacity(4 + Self::BODY);
            // Payload descriptor: extended, start of partition 0 in the first packet; 15-bit picture id.
            payload.put_u8(if index == 0 { 0x90 } else { 0x80 });
            payload.put_u8(0x80);
            payload.put_u16(0x8000 | picture_id);
            if index == 0 {
                put_frame_header(&mut payload, key);
            }
            payload.put_bytes(0, 4 + Self::BODY - Stamp::LEN - payload.len());
            payload.put_slice(&Stamp { tag, seq: self.packets, sent_us: now_us }.encode());
            self.packets = self.packets.wrapping_add(1);
            let marker = index + 1 == self.packets_per_frame;
            packets.push(MediaPacket { payload: payload.freeze(), timestamp, marker });
        }
        self.frames = self.frames.wrapping_add(1);
        packets
    }
}

/// Frame tag and, in a keyframe, start code and dimensions (RFC 6386 §9.1).
fn put_frame_header(payload: &mut BytesMut, key: bool) {
    const FIRST_PARTITION: u32 = 600;
    let tag = u32::from(!key) | 1 << 4 | FIRST_PARTITION << 5;
    payload.put_uint_le(u64::from(tag), 3);
    if key {
        payload.put_slice(&[0x9D, 0x01, 0x2A]);
        payload.put_u16_le(VideoSource::WIDTH);
        payload.put_u16_le(VideoSource::HEIGHT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_frame_is_a_keyframe_and_the_next_is_not() {
        let mut source = VideoSource::new(360);
        let first = source.next(1, 0);
        let second = source.next(1, 0);
        assert_eq!(first[0].payload[4] & 1, 0);
        assert_eq!(&first[0].payload[7..10], &[0x9D, 0x01, 0x2A]);
        assert_eq!(second[0].payload[4] & 1, 1);
        source.request_keyframe();
        assert_eq!(source.next(1, 0)[0].payload[4] & 1, 0);
    }

    #[test]
    fn only_the_last_packet_of_a_frame_is_marked_and_all_are_numbered_through() {
        let mut source = VideoSource::new(600);
        let mut expected = 0;
        for _ in 0..3 {
            let frame = source.next(9, 5);
            for (index, packet) in frame.iter().enumerate() {
                assert_eq!(packet.marker, index + 1 == frame.len());
                assert_eq!(Stamp::decode(&packet.payload).unwrap(), Stamp { tag: 9, seq: expected, sent_us: 5 });
                expected += 1;
            }
        }
    }

    #[test]
    fn audio_has_opus_padding_of_the_length_that_it_says() {
        for (ms, frames) in [(20, 1), (40, 2), (60, 3)] {
            let mut source = AudioSource::new(Ptime::from_milliseconds(ms).unwrap());
            let (first, second) = (source.next(3, 7), source.next(3, 8));
            assert_eq!(first.payload[1] & 0x3F, frames);
            assert_eq!(first.payload.len(), 3 + 2 * usize::from(frames) + usize::from(first.payload[2]));
            assert_eq!(Stamp::decode(&second.payload).unwrap().seq, 1);
            assert_eq!(second.timestamp, u32::from(ms) * 48);
        }
        assert_eq!(Ptime::from_milliseconds(30), None);
    }
}
