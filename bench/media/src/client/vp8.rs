//! The beginning of VP8 payloads, as far as servers read it.

/// Bytes of it.
pub const HEAD: usize = 16;

/// Payload descriptor with a picture id of 15 bits (RFC 7741 §4.2), and on a frame's first packet the frame's header (§4.3).
pub fn head(number: u32, first: bool, keyframe: bool, height: u16) -> [u8; HEAD] {
    let [high, low] = ((number & 0x7FFF) as u16).to_be_bytes();
    let mut head = [0; HEAD];
    let descriptor = [0x80 | u8::from(first) << 4, 0x80, high | 0x80, low];
    let [width_low, width_high] = (height / 9 * 16).to_le_bytes();
    let [height_low, height_high] = height.to_le_bytes();
    let frame = [u8::from(!keyframe), 0, 0, 0x9D, 0x01, 0x2A, width_low, width_high, height_low, height_high];
    let len = if !first {
        4
    } else if keyframe {
        14
    } else {
        7
    };
    head.iter_mut().zip(descriptor.into_iter().chain(frame).take(len)).for_each(|(to, from)| *to = from);
    head
}
