//! H.264 in RTP (RFC 6184) and in files: units with start codes (Annex B) in between.

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const START: [u8; 4] = [0, 0, 0, 1];

fn kind(unit: &[u8]) -> Option<u8> {
    unit.first().map(|byte| byte & 0x1F)
}

fn unit(unit: &[u8], frame: &mut Vec<u8>) {
    frame.extend_from_slice(&START);
    frame.extend_from_slice(unit);
}

/// Appends the units, or the part of a unit, that a payload carries. `false`: it can't be read.
pub fn append(payload: &[u8], frame: &mut Vec<u8>) -> bool {
    match kind(payload) {
        Some(1..=23) => unit(payload, frame),
        Some(STAP_A) => {
            let mut rest = payload.get(1..).unwrap_or_default();
            while let Some((size, tail)) = rest.split_first_chunk::<2>() {
                let Some((one, tail)) = tail.split_at_checked(usize::from(u16::from_be_bytes(*size))) else {
                    return false;
                };
                unit(one, frame);
                rest = tail;
            }
        }
        Some(FU_A) => {
            let [indicator, header, part @ ..] = payload else { return false };
            if header & 0x80 != 0 {
                frame.extend_from_slice(&START);
                frame.push(indicator & 0xE0 | header & 0x1F);
            } else if frame.is_empty() {
                return false;
            }
            frame.extend_from_slice(part);
        }
        _ => return false,
    }
    true
}

/// The units of a frame in Annex B format, without start codes.
pub fn units(frame: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let (mut begin, mut zeros) = (None, 0usize);
    for (at, byte) in frame.iter().enumerate() {
        if *byte == 1 && zeros >= 2 {
            // Zeros before a start code belong to no unit.
            units.extend(begin.and_then(|begin| frame.get(begin..at - zeros)));
            begin = Some(at + 1);
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
    }
    units.extend(begin.and_then(|begin| frame.get(begin..)));
    units.retain(|unit| !unit.is_empty());
    units
}

/// Whether a frame needs no other: it has an IDR picture.
pub fn is_keyframe(frame: &[u8]) -> bool {
    units(frame).into_iter().any(|unit| kind(unit) == Some(IDR))
}

/// A frame's sequence and picture parameter sets.
pub fn parameters(frame: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let units = units(frame);
    let find = |wanted: u8| units.iter().find(|unit| kind(unit) == Some(wanted)).copied();
    (find(SPS), find(PPS))
}

/// A unit as fragments of at most `most` bytes (RFC 6184, section 5.8).
pub fn fragments(unit: &[u8], most: usize) -> Vec<Vec<u8>> {
    let Some((header, body)) = unit.split_first() else { return Vec::new() };
    let parts = body.chunks(most.saturating_sub(2).max(1));
    let last = parts.len().saturating_sub(1);
    parts
        .enumerate()
        .map(|(n, part)| {
            let flags = u8::from(n == 0) << 7 | u8::from(n == last) << 6;
            let mut payload = Vec::with_capacity(part.len() + 2);
            payload.extend_from_slice(&[header & 0x60 | FU_A, flags | header & 0x1F]);
            payload.extend_from_slice(part);
            payload
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_found_between_start_codes_of_both_lengths() {
        let frame = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 9, 0, 0, 3, 1];
        assert_eq!(units(&frame), [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 9, 0, 0, 3, 1]]);
        assert!(is_keyframe(&frame));
        assert_eq!(parameters(&frame), (Some(&[0x67, 1, 2][..]), Some(&[0x68, 3][..])));
        assert!(units(&[]).is_empty() && units(&[0, 0, 1]).is_empty());
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let mut frame = Vec::new();
        assert!(!append(&[0x78, 0, 9, 1], &mut frame));
        assert!(!append(&[0x7C], &mut frame));
        assert!(!append(&[0x7C, 0x05, 1], &mut Vec::new()), "its beginning is missing");
        assert!(!append(&[], &mut frame));
    }

    proptest! {
        #[test]
        fn a_unit_comes_back_out_of_its_fragments(body in proptest::collection::vec(1u8.., 1..5_000), most in 10usize..1_300) {
            let whole = [&[0x65][..], &body].concat();
            let mut frame = Vec::new();
            for fragment in fragments(&whole, most) {
                prop_assert!(fragment.len() <= most);
                prop_assert!(append(&fragment, &mut frame));
            }
            prop_assert_eq!(units(&frame), [&whole[..]]);
        }
    }
}
