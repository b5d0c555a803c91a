//! RTP headers as this side writes them (RFC 3550 §5.1), with header extensions (RFC 8285).

/// Bytes of the fixed header.
const FIXED: usize = 12;
/// Most bytes of one element in the one-byte form.
const ONE_BYTE_MOST: usize = 16;
/// Greatest id in the one-byte form.
pub const ONE_BYTE_IDS: u8 = 14;

/// The fixed part of a header, without contributing sources.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// Padding bit: the payload ends with padding.
    pub padding: bool,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Appends to `out` the header with one extension element of two bytes and an id from 1 to 14, in one piece: what most packets have, and a quarter of what the
    /// general way costs.
    pub fn write_numbered(&self, id: u8, number: u16, out: &mut Vec<u8>) {
        let [seq_high, seq_low] = self.seq.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [s0, s1, s2, s3] = self.ssrc.to_be_bytes();
        let [high, low] = number.to_be_bytes();
        let (first, second) = self.flags(true);
        out.extend_from_slice(&[
            first,
            second,
            seq_high,
            seq_low,
            t0,
            t1,
            t2,
            t3,
            s0,
            s1,
            s2,
            s3,
            0xBE,
            0xDE,
            0,
            1,
            id << 4 | 1,
            high,
            low,
            0,
        ]);
    }

    /// The first two bytes.
    fn flags(&self, extended: bool) -> (u8, u8) {
        let first = 0x80 | u8::from(self.padding) << 5 | u8::from(extended) << 4;
        (first, u8::from(self.marker) << 7 | self.payload_type & 0x7F)
    }

    /// Appends to `out` the header with these extension elements, each an id from 1 and its bytes. An element without bytes is left out.
    pub fn write(&self, elements: &[(u8, &[u8])], out: &mut Vec<u8>) {
        let start = out.len();
        let present = || elements.iter().filter(|(id, bytes)| *id > 0 && !bytes.is_empty() && bytes.len() < 256);
        let extended = present().next().is_some();
        let (first, second) = self.flags(extended);
        out.extend_from_slice(&[first, second]);
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if !extended {
            return;
        }
        let short = present().all(|(id, bytes)| *id <= ONE_BYTE_IDS && bytes.len() <= ONE_BYTE_MOST);
        out.extend_from_slice(if short { &[0xBE, 0xDE] } else { &[0x10, 0x00] });
        out.extend_from_slice(&[0, 0]);
        let begin = out.len();
        for (id, bytes) in present() {
            let length = bytes.len() as u8;
            if short {
                out.push(id << 4 | length.wrapping_sub(1));
            } else {
                out.extend_from_slice(&[*id, length]);
            }
            out.extend_from_slice(bytes);
        }
        while !(out.len() - begin).is_multiple_of(4) {
            out.push(0);
        }
        let words = u16::try_from((out.len() - begin) / 4).unwrap_or(u16::MAX);
        if let Some(place) = out.get_mut(start + FIXED + 2..start + FIXED + 4) {
            place.copy_from_slice(&words.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        payload_type: 96,
        marker: true,
        padding: false,
        seq: 0x0102,
        timestamp: 0x0304_0506,
        ssrc: 0x0708_090A,
    };

    fn written(elements: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = vec![1, 2, 3];
        HEADER.write(elements, &mut out);
        assert_eq!(out[..3], [1, 2, 3], "appended");
        out.split_off(3)
    }

    #[test]
    fn the_short_way_writes_the_same() {
        for (id, number) in [(1, 0), (3, 0xAABB), (ONE_BYTE_IDS, u16::MAX)] {
            let mut out = vec![9];
            HEADER.write_numbered(id, number, &mut out);
            assert_eq!(out[1..], written(&[(id, &number.to_be_bytes())]));
        }
    }

    #[test]
    fn without_extensions_it_is_twelve_bytes() {
        assert_eq!(written(&[]), [0x80, 0xE0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(written(&[(3, &[]), (0, &[1])]).len(), 12, "an id of 0 is padding");
    }

    #[test]
    fn small_elements_take_the_one_byte_form() {
        let out = written(&[(3, &[0xAA, 0xBB]), (5, &[0xCC])]);
        assert_eq!(out[0], 0x90);
        assert_eq!(out[12..], [0xBE, 0xDE, 0, 2, 0x31, 0xAA, 0xBB, 0x50, 0xCC, 0, 0, 0]);
    }

    #[test]
    fn one_long_element_or_great_id_makes_all_take_the_two_byte_form() {
        let out = written(&[(3, &[0xAA]), (4, &[7; 17])]);
        assert_eq!(out[12..20], [0x10, 0, 0, 6, 3, 1, 0xAA, 4]);
        assert_eq!((out[20], out.len()), (17, 12 + 4 + 24));
        assert_eq!(written(&[(15, &[0xAA])])[12..], [0x10, 0, 0, 1, 15, 1, 0xAA, 0]);
    }
}
