//! AV1 payloads (AV1 RTP specification, section 4): where a coded video sequence begins, and the height in its sequence header.
//! Layers are told by the dependency descriptor alone.

use super::Description;
pub use sequence::{Chroma, SequenceHeader};

mod sequence;

/// The type of OBUs with what holds for a whole sequence (AV1 specification, section 6.2.2).
pub const SEQUENCE_HEADER: u8 = 1;

/// What an aggregation header says, and the elements behind it: OBUs, or parts of such at both ends. An element that can't be read ends
/// them with `None`.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    /// Z: the first element goes on from the packet before.
    pub continues: bool,
    /// Y: the last element goes on in the next packet.
    pub unfinished: bool,
    /// N: a coded video sequence begins.
    pub begins: bool,
    /// W: how many elements there are; 0: any number, each with its length.
    left: u8,
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Reads the aggregation header.
    pub fn new(payload: &'a [u8]) -> Option<Self> {
        let (head, rest) = payload.split_first()?;
        Some(Self {
            continues: head & 0x80 != 0,
            unfinished: head & 0x40 != 0,
            begins: head & 0x08 != 0,
            left: head >> 4 & 0x03,
            rest,
        })
    }

    /// Whether all have been read.
    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        // The last of a known number of elements has no length.
        if self.left == 1 {
            return Some(Some(rest));
        }
        self.left = self.left.saturating_sub(1);
        let split = leb128(rest).and_then(|(size, tail)| tail.split_at_checked(size));
        Some(split.map(|(element, tail)| {
            self.rest = tail;
            element
        }))
    }
}

/// Reads the aggregation header and, where a sequence begins, its header.
pub fn describe(payload: &[u8]) -> Option<Description> {
    let elements = Elements::new(payload)?;
    let mut description = Description::default();
    if !elements.begins || elements.continues {
        return Some(description);
    }
    description.keyframe = true;
    let header = elements.map_while(|element| element).find_map(|element| {
        let obu = Obu::read(element)?;
        (obu.kind() == SEQUENCE_HEADER).then(|| SequenceHeader::parse(obu.content))
    });
    description.heights[0] = header.flatten().map(|header| header.height);
    Some(description)
}

/// A length in groups of seven bits (AV1 specification, section 4.10.5), and what is behind it.
pub fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (place, byte) in bytes.iter().take(8).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

/// An open bitstream unit (AV1 specification, section 5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Obu<'a> {
    /// Header: its first byte.
    pub head: u8,
    /// The header's second byte, with the layers, if it has one.
    pub layers: Option<u8>,
    /// All behind the header and the size.
    pub content: &'a [u8],
    /// What is behind the unit; nothing, if it doesn't tell its size.
    pub rest: &'a [u8],
}

impl<'a> Obu<'a> {
    /// Reads a unit at the beginning of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, mut content) = bytes.split_first()?;
        // The first bit is forbidden.
        if head & 0x80 != 0 {
            return None;
        }
        let mut layers = None;
        if head & 0x04 != 0 {
            let (byte, behind) = content.split_first()?;
            (layers, content) = (Some(*byte), behind);
        }
        let mut rest = &[][..];
        if head & 0x02 != 0 {
            let (size, behind) = leb128(content)?;
            (content, rest) = behind.split_at_checked(size)?;
        }
        Some(Self { head: *head, layers, content, rest })
    }

    /// Its type.
    pub fn kind(&self) -> u8 {
        self.head >> 3 & 0x0F
    }
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
            "0 0 0 0",              // no frame ids, small superblocks, no intra tools
            "0 0 0 0 0",            // no compound prediction, no order hints
            "0 0",                  // screen content tools are off
            "0 1 0",                // no super-resolution, cdef, no restoration
            "0 0 0 0 00 0",         // 8 bits, colour, not described, limited range, unknown position, one delta
            "0 1",                  // no film grain; trailing bit
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
        let parsed = SequenceHeader::parse(&header[1..]).unwrap();
        assert_eq!((parsed.width, parsed.height, parsed.profile, parsed.level, parsed.tier), (1280, 720, 0, 8, false));
        assert_eq!(parsed.chroma, Chroma { monochrome: false, by_two: (true, true), position: 0 });
        for cut in 1..header.len() - 1 {
            assert_eq!(SequenceHeader::parse(&header[1..cut]), None, "{cut}");
        }
    }

    #[test]
    fn elements_are_told_apart() {
        let all = |payload| Elements::new(payload).unwrap().collect::<Vec<_>>();
        assert_eq!(all(&[0x00, 2, 1, 2, 1, 3]), [Some(&[1, 2][..]), Some(&[3])]);
        assert_eq!(all(&[0x20, 2, 1, 2, 3, 4]), [Some(&[1, 2][..]), Some(&[3, 4])]);
        assert_eq!(all(&[0x10, 9, 1]), [Some(&[9, 1][..])]);
        assert_eq!(all(&[0x20, 9, 1]), [None], "longer than the packet");
        assert_eq!(all(&[0x00, 0x80]), [None], "a length without end");
        let head = Elements::new(&[0xC0]).unwrap();
        assert!(head.continues && head.unfinished && !head.begins);
        let obu = Obu::read(&[0x36, 0x20, 2, 7, 8, 9]).unwrap();
        assert_eq!((obu.kind(), obu.layers, obu.content, obu.rest), (6, Some(0x20), &[7, 8][..], &[9][..]));
        assert_eq!(Obu::read(&[0x32, 2, 7]), None);
        assert_eq!(Obu::read(&[0xB0, 7]), None);
    }

    #[test]
    fn later_packets_are_no_key_frames() {
        assert!(!describe(&[0x10, 0x30, 1]).unwrap().keyframe);
        assert!(!describe(&[0x90, 0x30, 1]).unwrap().keyframe);
        assert!(describe(&[]).is_none());
    }
}
