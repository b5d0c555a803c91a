//! What jobs reserve of the budget, by kind and size: what `chroom-bench-media processing` measured (docs/processing.md has the table), rounded
//! up. VP8 is the exception: libvpx takes more time to make better pictures where a core is idle, up to five eighths of the time from picture to
//! picture, and gives it back where none is; what is reserved for it is what it took on a busy machine.

use super::{budget::Millicores, recording::composite, video::VideoCodec};

/// Recording a room's tracks, whatever the room: packets are put together and written, nothing is decoded.
pub const RECORDING: Millicores = Millicores(30);
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
        0..=180 => 25,
        181..=240 => 44,
        _ => 75,
    };
    Millicores(400 + each * u32::try_from(pictures).unwrap_or(u32::MAX / each))
}

/// A bridge to a codec, for pictures of at most so many lines.
pub fn bridge(to: VideoCodec, height: u32) -> Millicores {
    Millicores(match (to, height) {
        (VideoCodec::Vp8, 0..=360) => 300,
        (VideoCodec::H264, 0..=180) => 60,
        (VideoCodec::H264, 181..=360) => 180,
        _ => 600,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processing::{bridge::HEIGHTS, video::grid::MAX_CELLS};

    /// What a node has by default: four fifths of one thread.
    const DEFAULT: Millicores = Millicores(800);

    #[test]
    fn more_and_larger_is_never_cheaper_unless_smaller_pictures_are_asked_for() {
        for pictures in 1..MAX_CELLS {
            let smaller = composite::track_height(pictures + 1) < composite::track_height(pictures);
            assert!(smaller || composite(pictures + 1) > composite(pictures), "{pictures}");
        }
        for codec in [VideoCodec::Vp8, VideoCodec::H264] {
            assert!(HEIGHTS.windows(2).all(|pair| bridge(codec, pair[0]) >= bridge(codec, pair[1])));
        }
        assert!((0..64).all(|own| mix(own + 1) > mix(own)));
    }

    #[test]
    fn a_thread_of_its_own_is_enough_for_each_job() {
        assert!(composite(9) <= DEFAULT && composite(MAX_CELLS) <= DEFAULT);
        assert!(bridge(VideoCodec::Vp8, HEIGHTS[0]) <= DEFAULT && mix(64) > DEFAULT);
    }
}
