//! What the router must know of codecs: where key frames begin, and the fields that must stay continuous for a receiver
//! when its source changes.

pub mod av1;
pub mod bits;
pub mod dependency;
pub mod h264;
pub mod picture;
pub mod red;
pub mod targets;
pub mod vp8;
pub mod vp9;

pub use picture::{PictureIds, Pictures, Rewritten};
use targets::Target;

/// Most spatial layers of a stream that are told apart.
pub const MAX_SPATIAL: usize = 4;

/// The codecs that are forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// Opus (RFC 7587).
    Opus,
    /// Opus with earlier frames repeated (RFC 2198).
    Red,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// AV1 (AV1 RTP specification).
    Av1,
}

/// A codec with the parameters that two peers must agree on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Audio channels.
    pub channels: Option<u8>,
    /// H.264's packetization mode.
    pub packetization_mode: Option<u8>,
    /// H.264's profile and level.
    pub profile_level_id: Option<u32>,
    /// VP9's or AV1's profile.
    pub profile_id: Option<u32>,
    /// The payload type that blocks of redundant audio bear, by the publisher's numbers (its `a=fmtp`, RFC 2198 §5): whoever encrypts
    /// frames end to end hides what the blocks say of themselves.
    pub blocks: Option<u8>,
}

impl Format {
    /// One that only codec and RTP clock, in Hz, have to be known of.
    pub const fn new(codec: Codec, clock_rate: u32) -> Self {
        Self {
            codec,
            clock_rate,
            channels: None,
            packetization_mode: None,
            profile_level_id: None,
            profile_id: None,
            blocks: None,
        }
    }
}

/// What a packet's payload says about its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Description {
    /// Whether a key frame begins in this packet.
    pub keyframe: bool,
    /// Height of each spatial layer's picture in pixels, if this packet has it.
    pub heights: [Option<u16>; MAX_SPATIAL],
    /// The picture ids in the payload descriptor.
    pub pictures: Pictures,
    /// The frame's layers by the payload descriptor.
    pub layers: Layers,
}

/// What a payload descriptor says about a frame's layers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Layers {
    /// The frame's layers.
    pub target: Target,
    /// Whether the layer's frame begins with this packet.
    pub begins: bool,
    /// Whether it ends with this packet, where the descriptor tells.
    pub ends: bool,
    /// Whether more temporal layers may be had from here on: VP8's Y, VP9's U.
    pub raises: bool,
    /// Whether no higher spatial layer of the picture needs it: VP9's Z.
    pub apart: bool,
    /// Whether it needs earlier pictures: VP9's P.
    pub predicted: bool,
    /// How many spatial layers the stream has, if this packet tells: VP9's scalability structure.
    pub spatials: Option<u8>,
}

/// Reads what the router needs of a payload. Malformed payloads give an empty description: they are forwarded as they are,
/// and never start a switch.
pub fn describe(codec: Codec, payload: &[u8]) -> Description {
    match codec {
        Codec::Opus | Codec::Red => Description::default(),
        Codec::Vp8 => vp8::describe(payload).unwrap_or_default(),
        Codec::Vp9 => vp9::describe(payload).unwrap_or_default(),
        Codec::H264 => h264::describe(payload),
        Codec::Av1 => av1::describe(payload).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            for codec in [Codec::Opus, Codec::Red, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
                let description = describe(codec, &payload);
                for at in [description.pictures.id_at(), description.pictures.tl0_at()].into_iter().flatten() {
                    prop_assert!(at < payload.len());
                }
            }
        }
    }
}
