//! VP8 frames in RTP (RFC 7741).

use crate::sfu::codec::vp8;

/// Appends the part of a frame that a payload carries. `false`: it doesn't belong here.
pub fn append(payload: &[u8], begins: bool, frame: &mut Vec<u8>) -> bool {
    match vp8::part(payload) {
        Some((starts, part)) if starts == begins => {
            frame.extend_from_slice(part);
            true
        }
        _ => false,
    }
}

/// Whether a frame needs no other (RFC 6386, section 9.1).
pub fn is_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|byte| byte & 1 == 0)
}

/// A payload descriptor with a picture id of 15 bits: decoders tell lost frames by it.
pub fn descriptor(begins: bool, picture: u16) -> [u8; 4] {
    let [high, low] = (picture & 0x7FFF).to_be_bytes();
    [0x80 | u8::from(begins) << 4, 0x80, 0x80 | high, low]
}
