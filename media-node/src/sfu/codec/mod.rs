//! What the router must know of codecs: where key frames begin, and the fields that must stay continuous for a receiver
//! when its source changes.

pub mod h264;
pub mod vp8;
pub mod vp9;

pub mod picture;

pub use picture::{PictureIds, Pictures, Rewritten};

/// The codecs that are forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// Opus (RFC 7587).
    Opus,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
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
    /// VP9's profile.
    pub profile_id: Option<u32>,
}

/// What a packet's payload says about its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Description {
    /// Whether a key frame begins in this packet.
    pub keyframe: bool,
    /// Height of the picture in pixels, if this packet has it.
    pub height: Option<u16>,
    /// The picture ids in the payload descriptor.
    pub pictures: Pictures,
}

/// Reads what the router needs of a payload. Malformed payloads give an empty description: they are forwarded as they are,
/// and never start a switch.
pub fn describe(codec: Codec, payload: &[u8]) -> Description {
    match codec {
        Codec::Opus => Description::default(),
        Codec::Vp8 => vp8::describe(payload).unwrap_or_default(),
        Codec::Vp9 => vp9::describe(payload).unwrap_or_default(),
        Codec::H264 => h264::describe(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264] {
                let description = describe(codec, &payload);
                for at in [description.pictures.id_at(), description.pictures.tl0_at()].into_iter().flatten() {
                    prop_assert!(at < payload.len());
                }
            }
        }
    }
}
