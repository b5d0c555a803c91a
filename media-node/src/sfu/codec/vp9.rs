//! VP9 payload descriptor (RFC 9628 §4.2).

use super::{
    Description, Layers, MAX_SPATIAL,
    picture::{PictureField, Pictures, Tl0Field},
    targets::Target,
};

/// Reads the descriptor: picture ids, layers, whether a key frame begins, and the heights from the scalability structure.
pub fn describe(payload: &[u8]) -> Option<Description> {
    Some(descriptor(payload)?.1)
}

/// The part of a layer's frame that a payload carries, and whether that frame begins with it.
pub fn part(payload: &[u8]) -> Option<(bool, &[u8])> {
    let (at, description) = descriptor(payload)?;
    Some((description.layers.begins, payload.get(at..)?))
}

/// Where the descriptor ends, and what it says.
fn descriptor(payload: &[u8]) -> Option<(usize, Description)> {
    let first = *payload.first()?;
    let (has_id, predicted, has_layers, flexible) =
        (first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0, first & 0x10 != 0);
    let (begins, has_structure) = (first & 0x08 != 0, first & 0x02 != 0);
    // E: the layer's frame ends; Z: no higher spatial layer of this picture needs it.
    let (ends, apart) = (first & 0x04 != 0, first & 0x01 != 0);
    let mut at = 1usize;
    let mut pictures = Pictures::default();
    if has_id {
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
    let mut layers = Layers { begins, ends, apart, predicted, ..Layers::default() };
    if has_layers {
        let byte = *payload.get(at)?;
        layers.target = Target { spatial: byte >> 1 & 0x07, temporal: byte >> 5 };
        // U: from here on, frames of higher temporal layers need none of before.
        layers.raises = byte & 0x10 != 0;
        at += 1;
        if !flexible {
            pictures.tl0 = Some(Tl0Field { at: at as u8, value: *payload.get(at)? });
            at += 1;
        }
    }
    if flexible && predicted {
        // Up to three reference indices, the lowest bit says whether another follows.
        for _ in 0..3 {
            let reference = *payload.get(at)?;
            at += 1;
            if reference & 1 == 0 {
                break;
            }
        }
    }
    let mut heights = [None; MAX_SPATIAL];
    if has_structure {
        let head = *payload.get(at)?;
        at += 1;
        layers.spatials = Some((head >> 5) + 1);
        if head & 0x10 != 0 {
            for layer in 0..=usize::from(head >> 5) {
                let (high, low) = (*payload.get(at + 2)?, *payload.get(at + 3)?);
                if let Some(height) = heights.get_mut(layer) {
                    *height = Some(u16::from(high) << 8 | u16::from(low));
                }
                at += 4;
            }
        }
        if head & 0x08 != 0 {
            // The pictures of a group: for each its temporal layer, and how far back the pictures are that it needs.
            let count = *payload.get(at)?;
            at += 1;
            for _ in 0..count {
                at += 1 + usize::from(*payload.get(at)? >> 2 & 0x03);
            }
        }
    }
    let keyframe = begins && !predicted && layers.target.spatial == 0;
    Some((at, Description { keyframe, heights, pictures, layers }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_with_structure() {
        // I=1 P=0 L=1 F=0 B=1 V=1; picture id 0x0105; T/S 0; TL0 4; one spatial layer 640x360.
        let payload = [0xAA, 0x81, 0x05, 0x00, 0x04, 0x10, 0x02, 0x80, 0x01, 0x68];
        let description = describe(&payload).unwrap();
        assert!(description.keyframe);
        assert_eq!(description.heights[0], Some(360));
        assert_eq!(description.pictures.id.unwrap().value, 0x105);
        assert_eq!(description.pictures.tl0.unwrap().value, 4);
    }

    #[test]
    fn layers_of_a_scalable_stream() {
        // I, P, L, B, E, Z; picture id 5; TID 2, U, SID 1, D; TL0 9.
        let layers = describe(&[0xED, 0x05, 0x53, 0x09, 0]).unwrap().layers;
        assert_eq!(layers.target, Target { spatial: 1, temporal: 2 });
        assert!(layers.raises && layers.begins && layers.ends && layers.apart && layers.predicted);
        // Three spatial layers with their sizes: I, L, B, V; not flexible.
        let mut key = vec![0xAA, 0x05, 0x00, 0x09, 0x50];
        [[0x01, 0x40, 0x00, 0xB4], [0x02, 0x80, 0x01, 0x68], [0x05, 0x00, 0x02, 0xD0]]
            .iter()
            .for_each(|s| key.extend(s));
        let description = describe(&key).unwrap();
        assert_eq!(description.heights, [Some(180), Some(360), Some(720), None]);
        assert_eq!(description.layers.spatials, Some(3));
    }

    #[test]
    fn the_frame_is_behind_the_descriptor() {
        assert_eq!(part(&[0x08, 7, 8]), Some((true, &[7, 8][..])));
        // Flexible: picture id of 15 bits, layers, two references.
        assert_eq!(part(&[0xF0, 0x81, 5, 0, 0x03, 0x04, 7]), Some((false, &[7][..])));
        // A structure of one layer without size, with a group of two pictures that need one and two.
        assert_eq!(part(&[0x0A, 0x08, 2, 0x04, 1, 0x08, 1, 2, 7]), Some((true, &[7][..])));
        assert_eq!(part(&[0x0A, 0x08, 2, 0x04, 1]), None);
    }

    #[test]
    fn a_predicted_frame_is_no_key_frame() {
        assert!(!describe(&[0xC8, 0x05]).unwrap().keyframe);
    }
}
