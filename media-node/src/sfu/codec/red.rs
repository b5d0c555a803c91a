//! Redundant audio (RFC 2198): a packet that carries earlier frames again beside its own.

use std::ops::Range;

/// The frame that a redundant packet is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Primary {
    /// Its payload type, by the numbers of who sent it.
    pub payload_type: u8,
    /// Where it is in the payload.
    pub range: Range<usize>,
}

/// Finds the primary block, which is the last one (section 3). `None` for what is not redundant audio, or has payload types that differ
/// between blocks: those can't be told by one number at a receiver that counts otherwise.
pub fn primary(payload: &[u8]) -> Option<Primary> {
    let mut at = 0usize;
    let mut redundant = 0usize;
    let mut known = None;
    loop {
        let head = *payload.get(at)?;
        let payload_type = head & 0x7F;
        if known.replace(payload_type).is_some_and(|known| known != payload_type) {
            return None;
        }
        if head & 0x80 == 0 {
            let begin = at.checked_add(1)?.checked_add(redundant)?;
            return (begin <= payload.len()).then_some(Primary { payload_type, range: begin..payload.len() });
        }
        // Fourteen bits of timestamp offset, ten of length.
        let (high, low) = (*payload.get(at + 2)?, *payload.get(at + 3)?);
        redundant += usize::from(high & 0x03) << 8 | usize::from(low);
        at += 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_primary_block_is_the_last() {
        // Two redundant blocks of 2 and 3 bytes, then the primary one.
        let payload = [0xEF, 0x1E, 0x00, 2, 0xEF, 0x0F, 0x00, 3, 0x6F, 1, 1, 2, 2, 2, 7, 7];
        let found = primary(&payload).unwrap();
        assert_eq!((found.payload_type, &payload[found.range]), (111, &[7, 7][..]));
        let alone = primary(&[0x6F, 9]).unwrap();
        assert_eq!(alone.range, 1..2);
    }

    #[test]
    fn what_is_cut_short_or_mixed_is_refused() {
        assert_eq!(primary(&[]), None);
        assert_eq!(primary(&[0xEF, 0, 0]), None);
        assert_eq!(primary(&[0xEF, 0, 0, 9, 0x6F, 1]), None);
        assert_eq!(primary(&[0xEF, 0, 0, 1, 0x60, 1, 2]), None, "two payload types");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_range_within(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(found) = primary(&payload) {
                prop_assert!(payload.get(found.range).is_some());
            }
        }
    }
}
