//! Pictures: packets in, frames put together, decoded, scaled, drawn, encoded, and packets again.

pub mod assembly;
pub mod decoder;
pub mod encoder;
pub mod grid;
pub mod h264;
pub mod jpeg;
pub mod packets;
pub mod picture;
pub mod vp8;

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

/// An encoded frame. H.264 is in Annex B format: each unit with a start code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodedFrame {
    /// Its bytes.
    pub data: Vec<u8>,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Whether it needs no other.
    pub keyframe: bool,
}
