//! A codec with its parameters in a media datagram: one byte that names the codec and says which parameters follow. Each
//! packet carries it, so that no packet depends on another one's arrival.

use super::varint;
use crate::sfu::codec::{Codec, Format};
use bytes::{BufMut, Bytes};

const CHANNELS: u8 = 0x10;
const MODE: u8 = 0x20;
const PROFILE: u8 = 0x40;
const CLOCK: u8 = 0x80;

fn number(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 0,
        Codec::Vp8 => 1,
        Codec::Vp9 => 2,
        Codec::H264 => 3,
        Codec::Av1 => 4,
        Codec::Red => 5,
    }
}

fn codec(number: u8) -> Option<Codec> {
    [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Red]
        .into_iter()
        .find(|codec| self::number(*codec) == number)
}

/// RTP clock of the codec unless said otherwise, in Hz.
fn usual_clock(codec: Codec) -> u32 {
    if matches!(codec, Codec::Opus | Codec::Red) { 48_000 } else { 90_000 }
}

/// Writes a format.
pub fn put(out: &mut impl BufMut, format: &Format) {
    let profile = match format.codec {
        Codec::H264 => format.profile_level_id,
        Codec::Red => format.blocks.map(u32::from),
        _ => format.profile_id,
    };
    let mut first = number(format.codec);
    for (flag, there) in [
        (CHANNELS, format.channels.is_some()),
        (MODE, format.packetization_mode.is_some()),
        (PROFILE, profile.is_some()),
        (CLOCK, format.clock_rate != usual_clock(format.codec)),
    ] {
        first |= if there { flag } else { 0 };
    }
    out.put_u8(first);
    format.channels.into_iter().chain(format.packetization_mode).for_each(|byte| out.put_u8(byte));
    profile.into_iter().for_each(|profile| varint::put(out, profile));
    if first & CLOCK != 0 {
        out.put_u32(format.clock_rate);
    }
}

/// Reads a format; `None` for a codec that this node doesn't know.
pub fn get(from: &mut Bytes) -> Option<Format> {
    let first = varint::u8(from)?;
    let codec = codec(first & 0x0F)?;
    let channels = if first & CHANNELS != 0 { Some(varint::u8(from)?) } else { None };
    let packetization_mode = if first & MODE != 0 { Some(varint::u8(from)?) } else { None };
    let profile = if first & PROFILE != 0 { Some(varint::get(from)?) } else { None };
    let clock_rate = if first & CLOCK != 0 { varint::u32(from)? } else { usual_clock(codec) };
    let mut format = Format { channels, packetization_mode, ..Format::new(codec, clock_rate) };
    match (codec, profile) {
        (Codec::H264, _) => format.profile_level_id = profile,
        // RTP's payload types have seven bits.
        (Codec::Red, Some(number)) => format.blocks = Some(u8::try_from(number).ok().filter(|number| *number < 0x80)?),
        (Codec::Red, None) => {}
        _ => format.profile_id = profile,
    }
    Some(format)
}
