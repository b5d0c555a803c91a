//! VP9 payload descriptor (RFC 9628 §4.2).

use super::{
    Description,
    picture::{PictureField, Pictures, Tl0Field},
};

/// Reads the descriptor: picture ids, whether a key frame begins, and the height from the scalability structure.
pub fn describe(payload: &[u8]) -> Option<Description> {
    let first = *payload.first()?;
    let (has_id, predicted, has_layers, flexible) =
        (first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0, first & 0x10 != 0);
    let (begins, has_structure) = (first & 0x08 != 0, first & 0x02 != 0);
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
    let mut spatial = 0;
    if has_layers {
        spatial = payload.get(at)? >> 1 & 0x07;
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
    let mut height = None;
    if has_structure {
        let head = *payload.get(at)?;
        at += 1;
        if head & 0x10 != 0 {
            for _ in 0..=(head >> 5) {
                let (high, low) = (*payload.get(at + 2)?, *payload.get(at + 3)?);
                // The last is the highest spatial layer.
                height = Some(u16::from(high) << 8 | u16::from(low));
                at += 4;
            }
        }
    }
    Some(Description { keyframe: begins && !predicted && spatial == 0, height, pictures })
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
        assert_eq!(description.height, Some(360));
        assert_eq!(description.pictures.id.unwrap().value, 0x105);
        assert_eq!(description.pictures.tl0.unwrap().value, 4);
    }

    #[test]
    fn a_predicted_frame_is_no_key_frame() {
        assert!(!describe(&[0xC8, 0x05]).unwrap().keyframe);
    }
}
