//! AV1 payloads (AV1 RTP specification, section 4): where a coded video sequence begins, and the height in its sequence header.
//! Layers are told by the dependency descriptor alone.

use super::{Description, bits::BitReader};

const SEQUENCE_HEADER: u8 = 1;

/// Reads the aggregation header and, where a sequence begins, its header.
pub fn describe(payload: &[u8]) -> Option<Description> {
    let head = *payload.first()?;
    // Z: the first element goes on from the packet before; W: how many elements; N: a coded video sequence begins.
    let (continues, elements, begins) = (head & 0x80 != 0, head >> 4 & 0x03, head & 0x08 != 0);
    let mut description = Description::default();
    if !begins || continues {
        return Some(description);
    }
    description.keyframe = true;
    let mut rest = payload.get(1..).unwrap_or_default();
    let mut left = elements;
    while !rest.is_empty() {
        // The last of a known number of elements has no length.
        let (element, tail) = if left == 1 {
            (rest, &[][..])
        } else {
            let Some((size, tail)) = leb128(rest) else { break };
            let Some(split) = tail.split_at_checked(size) else { break };
            split
        };
        if let Some(header) = sequence_header(element) {
            description.heights[0] = height(header);
            break;
        }
        left = left.saturating_sub(1);
        rest = tail;
    }
    Some(description)
}

/// A length in groups of seven bits (AV1 specification, section 4.10.5); none of a packet needs more than three.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (place, byte) in bytes.iter().take(3).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

/// The content of an OBU if that is a sequence header.
fn sequence_header(obu: &[u8]) -> Option<&[u8]> {
    let head = *obu.first()?;
    if head >> 3 & 0x0F != SEQUENCE_HEADER {
        return None;
    }
    let content = obu.get(if head & 0x04 != 0 { 2 } else { 1 }..)?;
    if head & 0x02 != 0 { leb128(content).map(|(_, content)| content) } else { Some(content) }
}

/// `max_frame_height_minus_1` and one (AV1 specification, section 5.5.1).
fn height(header: &[u8]) -> Option<u16> {
    let mut bits = BitReader::new(header);
    bits.skip(4)?;
    if bits.bit()? {
        // A reduced still picture.
        bits.skip(5)?;
    } else {
        let mut delay_bits = None;
        if bits.bit()? {
            bits.skip(64)?;
            if bits.bit()? {
                exp_golomb(&mut bits)?;
            }
            if bits.bit()? {
                delay_bits = Some(bits.bits(5)? + 1);
                bits.skip(42)?;
            }
        }
        let display_delay = bits.bit()?;
        for _ in 0..=bits.bits(5)? {
            bits.skip(12)?;
            if bits.bits(5)? > 7 {
                bits.bit()?;
            }
            if let Some(delay_bits) = delay_bits
                && bits.bit()?
            {
                bits.skip(2 * delay_bits + 1)?;
            }
            if display_delay && bits.bit()? {
                bits.skip(4)?;
            }
        }
    }
    let (width, height) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    bits.skip(width)?;
    u16::try_from(bits.bits(height)? + 1).ok()
}

/// Passes over a number in the form `uvlc()` (section 4.10.3).
fn exp_golomb(bits: &mut BitReader<'_>) -> Option<()> {
    let mut zeros = 0;
    while !bits.bit()? {
        zeros += 1;
    }
    if zeros < 32 { bits.skip(zeros) } else { Some(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequence header OBU of a 1280x720 stream with one operating point, written by the syntax of section 5.5.1.
    fn sequence_header_720() -> Vec<u8> {
        let text = concat!(
            "000 0 0",              // profile 0, no still picture, not reduced
            "0",                    // no timing information
            "0",                    // no initial display delay
            "00000",                // one operating point
            "000000000000 01000 0", // its idc; level 8, so that the tier is told
            "1010 1001",            // 11 bits of width, 10 of height
            "10011111111",          // 1279
            "1011001111",           // 719
            "000000",
        );
        let bits: Vec<u8> = text.bytes().filter(|c| *c != b' ').map(|c| c - b'0').collect();
        let mut bytes = vec![0x08];
        bytes.extend(
            bits.chunks(8).map(|chunk| chunk.iter().enumerate().fold(0, |byte, (i, bit)| byte | bit << (7 - i))),
        );
        bytes
    }

    #[test]
    fn a_sequence_begins_with_its_header() {
        let header = sequence_header_720();
        // N and W=2: the header with its length, then a frame OBU without.
        let mut payload = vec![0x28, header.len() as u8];
        payload.extend_from_slice(&header);
        payload.extend_from_slice(&[0x30, 1, 2, 3]);
        let description = describe(&payload).unwrap();
        assert!(description.keyframe);
        assert_eq!(description.heights[0], Some(720));
        // W=0: every element with its length; a temporal delimiter before.
        let mut payload = vec![0x08, 1, 0x10, header.len() as u8];
        payload.extend_from_slice(&header);
        assert_eq!(describe(&payload).unwrap().heights[0], Some(720));
    }

    #[test]
    fn later_packets_are_no_key_frames() {
        assert!(!describe(&[0x10, 0x30, 1]).unwrap().keyframe);
        assert!(!describe(&[0x90, 0x30, 1]).unwrap().keyframe);
        assert!(describe(&[]).is_none());
    }
}
