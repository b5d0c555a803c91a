//! H.264 payloads (RFC 6184): a key frame begins with an SPS or an IDR slice, alone, in a STAP-A, or as the first fragment
//! of an FU-A.

use super::Description;

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Finds whether a key frame begins in this payload, and the picture's height from an SPS.
pub fn describe(payload: &[u8]) -> Description {
    let mut description = Description::default();
    let Some(kind) = payload.first().map(|byte| byte & 0x1F) else { return description };
    match kind {
        SPS | IDR => unit(payload, &mut description),
        STAP_A => {
            let mut rest = payload.get(1..).unwrap_or_default();
            while let Some((size, tail)) = rest.split_first_chunk::<2>() {
                let size = usize::from(u16::from_be_bytes(*size));
                let Some((nal, tail)) = tail.split_at_checked(size) else { break };
                unit(nal, &mut description);
                rest = tail;
            }
        }
        FU_A => {
            if let Some(header) = payload.get(1) {
                let starts = header & 0x80 != 0;
                description.keyframe = starts && matches!(header & 0x1F, IDR | SPS);
            }
        }
        _ => {}
    }
    description
}

fn unit(nal: &[u8], description: &mut Description) {
    match nal.first().map(|byte| byte & 0x1F) {
        Some(SPS) => {
            description.keyframe = true;
            description.heights[0] = dimensions(nal).map(|(_, height)| height);
        }
        Some(IDR) => description.keyframe = true,
        _ => {}
    }
}

/// Bits of a raw byte sequence payload, emulation-prevention bytes left out (H.264 §7.4.1).
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    bit: u8,
    zeros: u8,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        if self.bit == 0 && self.zeros >= 2 && self.bytes.get(self.at) == Some(&3) {
            self.at += 1;
            self.zeros = 0;
        }
        let byte = *self.bytes.get(self.at)?;
        let value = u32::from(byte >> (7 - self.bit) & 1);
        self.bit += 1;
        if self.bit == 8 {
            self.bit = 0;
            self.at += 1;
            self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
        }
        Some(value)
    }

    fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0u32, |value, _| Some(value << 1 | self.bit()?))
    }

    /// Unsigned Exp-Golomb code (H.264 §9.1), at most 31 leading zeros.
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let tail = self.bits(zeros)?;
        Some(((1u64 << zeros) - 1) as u32).and_then(|base| base.checked_add(tail))
    }
}

/// The picture's width and height by a sequence parameter set (H.264 §7.3.2.1.1); scaling lists aren't read.
pub fn dimensions(sps: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits { bytes: sps.get(1..)?, at: 0, bit: 0, zeros: 0 };
    let profile = bits.bits(8)?;
    bits.bits(16)?;
    bits.golomb()?;
    let mut chroma = 1;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma = bits.golomb()?;
        if chroma == 3 {
            bits.bit()?;
        }
        bits.golomb()?;
        bits.golomb()?;
        bits.bit()?;
        if bits.bit()? == 1 {
            return None;
        }
    }
    bits.golomb()?;
    match bits.golomb()? {
        0 => {
            bits.golomb()?;
        }
        1 => {
            bits.bit()?;
            bits.golomb()?;
            bits.golomb()?;
            for _ in 0..bits.golomb()?.min(255) {
                bits.golomb()?;
            }
        }
        _ => {}
    }
    bits.golomb()?;
    bits.bit()?;
    let columns = bits.golomb()?.checked_add(1)?;
    let rows = bits.golomb()?.checked_add(1)?;
    let frames_only = bits.bit()?;
    if frames_only == 0 {
        bits.bit()?;
    }
    bits.bit()?;
    let mut width = columns.checked_mul(16)?;
    let mut height = rows.checked_mul(16)?.checked_mul(2 - frames_only)?;
    if bits.bit()? == 1 {
        let (left, right) = (bits.golomb()?, bits.golomb()?);
        let unit = if matches!(chroma, 1 | 2) { 2 } else { 1 };
        width = width.checked_sub(left.checked_add(right)?.checked_mul(unit)?)?;
        let (top, bottom) = (bits.golomb()?, bits.golomb()?);
        let unit = (if chroma == 1 { 2 } else { 1 }) * (2 - frames_only);
        height = height.checked_sub(top.checked_add(bottom)?.checked_mul(unit)?)?;
    }
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPS of a 1280x720 constrained-baseline stream, as x264 writes it.
    const SPS_720: [u8; 23] = [
        0x67, 0x42, 0xC0, 0x1F, 0xD9, 0x00, 0x50, 0x05, 0xBB, 0x01, 0x6A, 0x02, 0x02, 0x02, 0x80, 0x00, 0x00, 0x03,
        0x00, 0x80, 0x00, 0x00, 0x1E,
    ];

    #[test]
    fn key_frames_in_each_packing() {
        assert!(describe(&[0x65, 1, 2]).keyframe);
        assert!(!describe(&[0x61, 1, 2]).keyframe);
        assert!(describe(&[0x7C, 0x85, 1]).keyframe);
        assert!(!describe(&[0x7C, 0x05, 1]).keyframe, "a later fragment");
        assert!(describe(&[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68]).keyframe);
    }

    #[test]
    fn the_size_of_an_sps() {
        assert_eq!(describe(&SPS_720).heights[0], Some(720));
        assert_eq!(dimensions(&SPS_720), Some((1_280, 720)));
    }
}
