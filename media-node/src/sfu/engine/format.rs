//! The engine's codecs as the router knows them.

use crate::sfu::codec::{Codec, Format};
use str0m::format::{Codec as EngineCodec, CodecSpec};

/// The router's view of a codec; `None` for those that aren't forwarded.
pub(super) fn format_of(spec: &CodecSpec) -> Option<Format> {
    let codec = match spec.codec {
        EngineCodec::Opus => Codec::Opus,
        EngineCodec::Vp8 => Codec::Vp8,
        EngineCodec::Vp9 => Codec::Vp9,
        EngineCodec::H264 => Codec::H264,
        EngineCodec::Av1 => Codec::Av1,
        _ => return None,
    };
    Some(Format {
        channels: spec.channels,
        packetization_mode: (codec == Codec::H264).then(|| spec.format.packetization_mode.unwrap_or(0)),
        profile_level_id: if codec == Codec::H264 { spec.format.profile_level_id } else { None },
        profile_id: match codec {
            Codec::Vp9 => Some(spec.format.profile_id.unwrap_or(0)),
            Codec::Av1 => Some(spec.format.profile.unwrap_or(0).into()),
            _ => None,
        },
        ..Format::new(codec, spec.clock_rate.get())
    })
}

/// How well what a client expects fits what a publisher sends: `None` if it can't be decoded.
pub(super) fn fit(sent: &Format, expected: &Format) -> Option<u8> {
    let same = sent.codec == expected.codec
        && sent.clock_rate == expected.clock_rate
        && sent.channels == expected.channels
        && sent.packetization_mode == expected.packetization_mode
        && sent.profile_id == expected.profile_id;
    if !same {
        return None;
    }
    let profile = |format: &Format| format.profile_level_id.map(|id| id >> 16);
    Some(if sent.profile_level_id == expected.profile_level_id {
        2
    } else if profile(sent) == profile(expected) {
        1
    } else {
        0
    })
}
