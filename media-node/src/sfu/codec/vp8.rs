//! VP8 payload descriptor (RFC 7741 §4.2) and key-frame header (RFC 6386 §9.1).

use super::{
    Description, Layers,
    picture::{PictureField, Pictures, Tl0Field},
    targets::Target,
};

/// Reads the descriptor (picture id, temporal layer) and, at a key frame's start, the picture's height.
pub fn describe(payload: &[u8]) -> Option<Description> {
    let (at, pictures, layers) = descriptor(payload)?;
    let mut description = Description { pictures, layers, ..Description::default() };
    // The P bit is 0 in the header of a key frame.
    let frame = payload.get(at..)?;
    if layers.begins && frame.first()? & 1 == 0 {
        description.keyframe = true;
        description.heights[0] = dimensions(frame).map(|(_, height)| height);
    }
    Some(description)
}

/// Width and height in pixels by the header of a key frame.
pub fn dimensions(frame: &[u8]) -> Option<(u16, u16)> {
    // 3 bytes of frame tag, the start code 9d 01 2a, then width and height of 14 bits each.
    let (tag, size) = frame.split_at_checked(3)?;
    let [0x9D, 0x01, 0x2A, low_width, high_width, low_height, high_height, ..] = size else { return None };
    let field = |low: &u8, high: &u8| (u16::from(*high) << 8 | u16::from(*low)) & 0x3FFF;
    (tag.first()? & 1 == 0).then(|| (field(low_width, high_width), field(low_height, high_height)))
}

/// The part of a frame that a payload carries, and whether the frame begins with it.
pub fn part(payload: &[u8]) -> Option<(bool, &[u8])> {
    let (at, _, layers) = descriptor(payload)?;
    Some((layers.begins, payload.get(at..)?))
}

/// Where the descriptor ends, and what it says.
fn descriptor(payload: &[u8]) -> Option<(usize, Pictures, Layers)> {
    let first = *payload.first()?;
    let starts_first_partition = first & 0x10 != 0 && first & 0x07 == 0;
    let mut at = 1usize;
    let mut pictures = Pictures::default();
    let mut layers = Layers { begins: starts_first_partition, ..Layers::default() };
    if first & 0x80 != 0 {
        let extension = *payload.get(at)?;
        at += 1;
        if extension & 0x80 != 0 {
            let high = *payload.get(at)?;
            if high & 0x80 != 0 {
                let value = u16::from(high & 0x7F) << 8 | u16::from(*payload.get(at + 1)?);
                pictures.id = Some(PictureField { at: at as u8, long: true, value });
                at += 2;
            } else {
                pictures.id = Some(PictureField { at: at as u8, long: false, value: u16::from(high) });
                at += 1;
            }
        }
        if extension & 0x40 != 0 {
            pictures.tl0 = Some(Tl0Field { at: at as u8, value: *payload.get(at)? });
            at += 1;
        }
        if extension & 0x30 != 0 {
            let byte = *payload.get(at)?;
            at += 1;
            if extension & 0x20 != 0 {
                layers.target = Target { spatial: 0, temporal: byte >> 6 };
                // Y: the frame needs frames of the lowest temporal layer only.
                layers.raises = byte & 0x20 != 0;
            }
        }
    }
    Some((at, pictures, layers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_with_a_long_picture_id() {
        let payload = [0x90, 0xE0, 0x81, 0x02, 0x07, 0x20, 0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01];
        let description = describe(&payload).unwrap();
        assert!(description.keyframe);
        assert_eq!(description.heights[0], Some(480));
        assert_eq!(description.layers.target, Target { spatial: 0, temporal: 0 });
        assert_eq!(description.pictures.id, Some(PictureField { at: 2, long: true, value: 0x102 }));
        assert_eq!(description.pictures.tl0, Some(Tl0Field { at: 4, value: 7 }));
    }

    #[test]
    fn the_temporal_layer_and_whether_it_may_be_entered() {
        // X; T only; TID 2, Y.
        let layers = describe(&[0x90, 0x20, 0xA0, 0x01]).unwrap().layers;
        assert_eq!((layers.target.temporal, layers.raises), (2, true));
        // K only: the byte is there, but TID counts for nothing.
        let layers = describe(&[0x90, 0x10, 0xA5, 0x01]).unwrap().layers;
        assert_eq!((layers.target.temporal, layers.raises), (0, false));
    }

    #[test]
    fn delta_frames_and_later_packets_are_no_key_frames() {
        assert!(!describe(&[0x10, 0x11, 0, 0]).unwrap().keyframe);
        assert!(!describe(&[0x00, 0x10, 0, 0]).unwrap().keyframe);
        assert!(describe(&[0x90, 0x80]).is_none());
    }
}
