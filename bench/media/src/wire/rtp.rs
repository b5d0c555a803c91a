//! RTP headers (RFC 3550 §5.1) with one-byte extensions (RFC 8285 §4.2).

use super::{be16, be32};

/// A header as a receiver needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Payload type.
    pub payload_type: u8,
    /// Last packet of a frame, or first after silence.
    pub marker: bool,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp in units of the codec's clock.
    pub timestamp: u32,
    /// The stream.
    pub ssrc: u32,
    /// Whether padding ends the packet.
    pub padded: bool,
    /// Bytes of the header, extensions and all.
    pub len: usize,
    /// Transport-wide sequence number, where its extension is there.
    pub transport_seq: Option<u16>,
}

impl Header {
    /// Reads a header; `transport_id` is the id that the transport-wide number was negotiated with.
    pub fn read(packet: &[u8], transport_id: Option<u8>) -> Option<Self> {
        let (first, second) = (*packet.first()?, *packet.get(1)?);
        if first >> 6 != 2 {
            return None;
        }
        let mut len = 12 + 4 * usize::from(first & 0x0F);
        let mut transport_seq = None;
        if first & 0x10 != 0 {
            let words = usize::from(be16(packet, len + 2)?);
            let extensions = packet.get(len + 4..len + 4 + 4 * words)?;
            if be16(packet, len)? == 0xBEDE {
                transport_seq = transport_id.and_then(|id| be16(element(extensions, id)?, 0));
            }
            len += 4 + 4 * words;
        }
        let ssrc = be32(packet, 8)?;
        let header = Self {
            payload_type: second & 0x7F,
            marker: second & 0x80 != 0,
            seq: be16(packet, 2)?,
            timestamp: be32(packet, 4)?,
            ssrc,
            padded: first & 0x20 != 0,
            len,
            transport_seq,
        };
        (len <= packet.len()).then_some(header)
    }
}

/// The data of the element with this id.
fn element(mut extensions: &[u8], id: u8) -> Option<&[u8]> {
    while let [first, rest @ ..] = extensions {
        if *first == 0 {
            extensions = rest;
            continue;
        }
        let data = rest.get(..usize::from(first & 0x0F) + 1)?;
        if first >> 4 == id {
            return Some(data);
        }
        extensions = rest.get(data.len()..)?;
    }
    None
}

/// Whether a datagram is RTCP rather than RTP (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|second| (64..96).contains(&(second & 0x7F)))
}

/// What a publisher writes into a header.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// Payload type.
    pub payload_type: u8,
    /// Last packet of a frame, or first after silence.
    pub marker: bool,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// The stream.
    pub ssrc: u32,
    /// Extension ids with their data of 1 to 16 bytes; empty ones are left out.
    pub extensions: &'a [(u8, &'a [u8])],
}

impl Fields<'_> {
    /// Appends the header; returns its length.
    pub fn write(&self, packet: &mut Vec<u8>) -> usize {
        let begin = packet.len();
        let extensions = || self.extensions.iter().filter(|(id, data)| *id > 0 && !data.is_empty());
        let extended = extensions().next().is_some();
        packet.push(if extended { 0x90 } else { 0x80 });
        packet.push(self.payload_type | u8::from(self.marker) << 7);
        packet.extend(self.seq.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        if extended {
            let bytes: usize = extensions().map(|(_, data)| 1 + data.len()).sum();
            packet.extend([0xBE, 0xDE]);
            packet.extend((bytes.div_ceil(4) as u16).to_be_bytes());
            for (id, data) in extensions() {
                packet.push(id << 4 | (data.len() - 1) as u8);
                packet.extend_from_slice(data);
            }
            packet.resize(packet.len() + bytes.next_multiple_of(4) - bytes, 0);
        }
        packet.len() - begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for count in 0..4 {
            let all: [(u8, &[u8]); 3] = [(4, b"0"), (3, &[1, 2]), (10, b"hi!")];
            let fields = Fields {
                payload_type: 96,
                marker: true,
                seq: 65_535,
                timestamp: 9,
                ssrc: 0xDEAD_BEEF,
                extensions: &all[..count],
            };
            let mut packet = vec![];
            let len = fields.write(&mut packet);
            packet.extend([0xFF; 20]);
            let header = Header::read(&packet, Some(3)).unwrap();
            assert_eq!((header.len, header.payload_type, header.seq), (len, 96, 65_535));
            assert!(header.marker);
            assert_eq!((header.timestamp, header.ssrc), (9, 0xDEAD_BEEF));
            assert_eq!(header.transport_seq, (count >= 2).then_some(0x0102));
            assert!(!is_rtcp(&packet));
        }
    }

    #[test]
    fn cut_headers_are_refused() {
        let mut packet = vec![];
        Fields { payload_type: 1, marker: false, seq: 1, timestamp: 1, ssrc: 1, extensions: &[(1, b"abcd")] }
            .write(&mut packet);
        for len in 0..packet.len() {
            assert_eq!(Header::read(&packet[..len], Some(1)), None, "{len}");
        }
        assert!(is_rtcp(&[0x80, 200]) && is_rtcp(&[0x80, 205]) && !is_rtcp(&[0x80]));
    }
}
