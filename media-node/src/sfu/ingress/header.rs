//! RTP headers as clients write them (RFC 3550 §5.1), with header extensions (RFC 8285).

/// Bytes of an RTP header without contributing sources and extensions.
const FIXED: usize = 12;
/// Bytes of the head of its extensions (RFC 3550 §5.3.1).
const EXTENSION_HEAD: usize = 4;
/// What that head begins with if elements have one byte before their data.
const ONE_BYTE: u16 = 0xBEDE;
/// The same for two; the lower four bits are the application's.
const TWO_BYTES: u16 = 0x1000;
/// The id at which a reader of the one-byte form stops.
const STOP: u8 = 15;

/// What is in clear of a packet that may be SRTP: nothing of it is certain before the packet is authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// Whether the payload ends with padding.
    pub padding: bool,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Bytes of the header, with contributing sources and extensions.
    pub length: usize,
    elements: Elements<'a>,
}

impl<'a> Header<'a> {
    /// Reads it; `None` if the datagram is shorter than its header says.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let [first, second, q1, q0, t3, t2, t1, t0, s3, s2, s1, s0] = *datagram.first_chunk::<FIXED>()?;
        let mut length = FIXED + 4 * usize::from(first & 0x0F);
        let mut elements = Elements::default();
        if first & 0x10 != 0 {
            let (head, rest) = datagram.get(length..)?.split_first_chunk::<EXTENSION_HEAD>()?;
            let [p1, p0, words @ ..] = *head;
            let bytes = 4 * usize::from(u16::from_be_bytes(words));
            let profile = u16::from_be_bytes([p1, p0]);
            let form = if profile == ONE_BYTE { 1 } else { 2 };
            if profile == ONE_BYTE || profile & 0xFFF0 == TWO_BYTES {
                elements = Elements { bytes: rest.get(..bytes)?, form };
            }
            length += EXTENSION_HEAD + bytes;
        }
        (length <= datagram.len()).then_some(Self {
            payload_type: second & 0x7F,
            marker: second & 0x80 != 0,
            padding: first & 0x20 != 0,
            seq: u16::from_be_bytes([q1, q0]),
            timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
            ssrc: u32::from_be_bytes([s3, s2, s1, s0]),
            length,
            elements,
        })
    }

    /// The extension elements: ids with their data.
    pub fn elements(&self) -> Elements<'a> {
        self.elements
    }
}

/// Iterates over extension elements; a malformed one ends it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    /// Bytes before an element's data.
    form: u8,
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = std::mem::take(&mut self.bytes);
        loop {
            let (first, rest) = bytes.split_first()?;
            let (id, length, rest) = if self.form == 1 {
                (first >> 4, usize::from(first & 0x0F) + 1, rest)
            } else if *first == 0 {
                (0, 0, rest)
            } else {
                let (length, rest) = rest.split_first()?;
                (*first, usize::from(*length), rest)
            };
            match id {
                // Padding of one byte, whatever its length says.
                0 => bytes = rest,
                STOP if self.form == 1 => return None,
                _ => {
                    let (data, behind) = rest.split_at_checked(length)?;
                    self.bytes = behind;
                    return Some((id, data));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: [u8; 13] = [0x80, 0xE0, 1, 2, 0, 0, 0, 7, 0, 0, 3, 4, 9];

    fn extended(head: [u8; 2], elements: &[u8]) -> Vec<u8> {
        let mut packet = PLAIN[..12].to_vec();
        packet[0] |= 0x10;
        packet.extend(head);
        packet.extend((elements.len() as u16 / 4).to_be_bytes());
        packet.extend(elements);
        packet
    }

    fn read(packet: &[u8]) -> Vec<(u8, &[u8])> {
        Header::parse(packet).unwrap().elements().collect()
    }

    #[test]
    fn the_fixed_part_is_where_the_rfc_has_it() {
        let header = Header::parse(&PLAIN).unwrap();
        assert_eq!((header.payload_type, header.marker, header.padding), (96, true, false));
        assert_eq!((header.seq, header.timestamp, header.ssrc, header.length), (0x102, 7, 0x304, 12));
        assert!(Header::parse(&PLAIN[..11]).is_none());
        let mut padded = PLAIN;
        padded[0] |= 0x20;
        assert!(Header::parse(&padded).unwrap().padding);
    }

    #[test]
    fn it_is_as_long_as_it_says() {
        let mut long = vec![0x92, 96, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4];
        long.extend([7; 8]);
        long.extend([0xBE, 0xDE, 0, 2]);
        long.extend([0; 8]);
        assert_eq!(Header::parse(&long).map(|header| header.length), Some(32));
        assert!(Header::parse(&long[..31]).is_none());
        assert!(Header::parse(&long[..22]).is_none());
    }

    #[test]
    fn elements_of_both_forms_are_read() {
        let short = extended([0xBE, 0xDE], &[0x31, 0xAA, 0xBB, 0, 0x50, 0xCC, 0, 0]);
        assert_eq!(read(&short), [(3, [0xAA, 0xBB].as_slice()), (5, &[0xCC])]);
        let long = extended([0x10, 0x05], &[3, 2, 0xAA, 0xBB, 0, 16, 0, 17, 1, 0xCC, 0, 0]);
        assert_eq!(read(&long), [(3, [0xAA, 0xBB].as_slice()), (16, &[]), (17, &[0xCC])]);
        assert_eq!(read(&extended([0xAB, 0xCD], &[0x31, 0xAA, 0xBB, 0])), [], "another profile");
    }

    #[test]
    fn what_is_cut_or_stops_ends_the_elements() {
        assert_eq!(read(&extended([0xBE, 0xDE], &[0x30, 1, 0x53, 2])), [(3, [1].as_slice())]);
        assert_eq!(read(&extended([0xBE, 0xDE], &[0xF0, 1, 0x30, 2])), []);
        assert_eq!(read(&extended([0x10, 0], &[0, 0, 0, 3])), []);
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(datagram in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some(header) = Header::parse(&datagram) {
                prop_assert!(header.length <= datagram.len());
                prop_assert!(header.elements().map(|(_, data)| data.len() + 1).sum::<usize>() <= header.length);
            }
        }
    }
}
