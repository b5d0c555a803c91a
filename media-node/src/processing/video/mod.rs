//! Pictures: packets in, frames put together, decoded, scaled, drawn, encoded, and packets again.

pub mod assembly;
pub mod av1;
pub mod decoder;
pub mod encoder;
pub mod grid;
pub mod h264;
pub mod jpeg;
pub mod packets;
pub mod picture;
pub mod vp8;
pub mod vp9;

use crate::sfu::codec::Codec;

/// RTP clock of all video, in Hz.
pub const CLOCK: u32 = 90_000;
/// Most pixels of a picture that is decoded: 1920 by 1088, either way up. What says that it has more is refused before anything is
/// allocated for it.
pub const MAX_PIXELS: u32 = 1_920 * 1_088;
/// Largest frame that is put together, in bytes.
pub const MAX_FRAME: usize = 2 * 1024 * 1024;

/// The codecs that can be decoded and encoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VideoCodec {
    /// VP8 (RFC 6386).
    Vp8,
    /// H.264, constrained baseline when encoded.
    H264,
}

impl VideoCodec {
    /// The same as the router names it; `None` for what can't be processed.
    pub fn of(codec: Codec) -> Option<Self> {
        match codec {
            Codec::Vp8 => Some(VideoCodec::Vp8),
            Codec::H264 => Some(VideoCodec::H264),
            _ => None,
        }
    }

    /// As the router names it.
    pub fn codec(self) -> Codec {
        match self {
            VideoCodec::Vp8 => Codec::Vp8,
            VideoCodec::H264 => Codec::H264,
        }
    }
}

/// The codecs whose frames can be put together: those that can be decoded, and those that are only written down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FrameCodec {
    /// VP8 (RFC 6386).
    Vp8,
    /// VP9.
    Vp9,
    /// H.264.
    H264,
    /// AV1.
    Av1,
}

impl FrameCodec {
    /// The same as the router names it; `None` for sound.
    pub fn of(codec: Codec) -> Option<Self> {
        match codec {
            Codec::Vp8 => Some(FrameCodec::Vp8),
            Codec::Vp9 => Some(FrameCodec::Vp9),
            Codec::H264 => Some(FrameCodec::H264),
            Codec::Av1 => Some(FrameCodec::Av1),
            Codec::Opus | Codec::Red => None,
        }
    }
}

impl From<VideoCodec> for FrameCodec {
    fn from(codec: VideoCodec) -> Self {
        match codec {
            VideoCodec::Vp8 => FrameCodec::Vp8,
            VideoCodec::H264 => FrameCodec::H264,
        }
    }
}

/// An encoded frame. H.264 is in Annex B format: each unit with a start code. VP9 is a superframe, AV1 a temporal unit whose OBUs tell
/// their sizes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodedFrame {
    /// Its bytes.
    pub data: Vec<u8>,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Whether it needs no other.
    pub keyframe: bool,
}
