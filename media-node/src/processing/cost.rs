//! What jobs reserve of the budget, by kind and size: what `chroom-bench-media processing` measured (docs/processing.md has the table), rounded
//! up.

use super::{budget::Millicores, recording::composite, video::VideoCodec};

/// Recording a room's tracks, whatever the room: packets are put together and written, nothing is decoded.
pub const RECORDING: Millicores = Millicores(20);
/// A thumbnail, for the moment that it takes.
pub const THUMBNAIL: Millicores = Millicores(40);
/// A mix without the own voice, for one who speaks.
pub const OWN_MIX: Millicores = Millicores(12);

/// Mixing a room: ten voices are decoded at most, the mix of all of them is encoded, and one for each of `own` who speak and want it.
pub fn mix(own: usize) -> Millicores {
    Millicores(40 + OWN_MIX.0 * u32::try_from(own).unwrap_or(u32::MAX / OWN_MIX.0))
}

/// A composed recording of so many pictures, each as tall as it is asked for: they are decoded, and one of 1280 by 720 is encoded 12.5 times
/// a second.
pub fn composite(pictures: usize) -> Millicores {
    let each = match composite::track_height(pictures) {
        0..=180 => 30,
        181..=240 => 45,
        _ => 75,
    };
    Millicores(350 + each * u32::try_from(pictures).unwrap_or(u32::MAX / each))
}

/// A bridge to a codec, for pictures of at most so many lines. libvpx takes the time that it is left to make small pictures better, so
/// they hardly cost less.
pub fn bridge(to: VideoCodec, height: u32) -> Millicores {
    Millicores(match (to, height) {
        (VideoCodec::Vp8, 0..=360) => 300,
        (VideoCodec::H264, 0..=180) => 60,
        (VideoCodec::H264, 181..=360) => 180,
        _ => 600,
    })
}
