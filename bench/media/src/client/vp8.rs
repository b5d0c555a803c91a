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

/// What the beginning of a payload says: whether it begins a frame, and if so, whether that is a key frame.
pub fn read(payload: &[u8]) -> Option<(bool, bool)> {
    let (descriptor, mut at) = (*payload.first()?, 1);
    if descriptor & 0x80 != 0 {
        let extension = *payload.get(1)?;
        at += 1;
        if extension & 0x80 != 0 {
            at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
        }
        at += usize::from(extension & 0x40 != 0) + usize::from(extension & 0x30 != 0);
    }
    // The first partition's first packet (RFC 7741 §4.2).
    let begins = descriptor & 0x17 == 0x10;
    Some((begins, begins && payload.get(at)? & 1 == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for number in [0, 5, 0x7FFF, 70_000] {
            for (first, key) in [(true, true), (true, false), (false, false)] {
                assert_eq!(read(&head(number, first, key, 720)), Some((first, key)), "{number}");
            }
        }
        assert_eq!(read(&[]), None);
        // A short picture id, then TL0PICIDX and the byte of layer and key index.
        assert_eq!(read(&[0x90, 0xE0, 5, 1, 0, 0]), Some((true, true)));
        assert_eq!(read(&[0x10, 1]), Some((true, false)));
        assert_eq!(read(&[0x90, 0x80, 0x80]), None, "cut off");
    }
}
