//! AV1 in RTP (AV1 RTP specification, section 4) and in files: the OBUs of a temporal unit, each with its size.

use crate::sfu::codec::av1::{Elements, Obu, SEQUENCE_HEADER, SequenceHeader};

/// OBU types (AV1 specification, section 6.2.2).
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;
/// In an OBU's header: it tells its size.
const HAS_SIZE: u8 = 0x02;

/// A temporal unit that is being put together.
#[derive(Debug, Default)]
pub struct TemporalUnit {
    data: Vec<u8>,
    /// The beginning of an OBU that goes on in the next packet.
    begun: Option<Vec<u8>>,
}

impl TemporalUnit {
    /// Appends the OBUs, or parts of such, that a payload carries. `false`: it can't be read, or doesn't belong here.
    pub fn append(&mut self, payload: &[u8]) -> bool {
        let Some(mut elements) = Elements::new(payload) else { return false };
        let (mut continues, unfinished) = (elements.continues, elements.unfinished);
        if continues != self.begun.is_some() {
            return false;
        }
        while let Some(element) = elements.next() {
            let Some(element) = element else { return false };
            let mut obu =
                if std::mem::take(&mut continues) { self.begun.take().unwrap_or_default() } else { Vec::new() };
            obu.extend_from_slice(element);
            if unfinished && elements.is_over() {
                self.begun = Some(obu);
            } else if !self.obu(&obu) {
                return false;
            }
        }
        true
    }

    /// Adds a whole OBU.
    fn obu(&mut self, bytes: &[u8]) -> bool {
        let Some(obu) = Obu::read(bytes) else { return false };
        // Neither belongs into packets, nor into files.
        if !matches!(obu.kind(), TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
            write(&obu, &mut self.data);
        }
        true
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.begun.as_ref().map_or(0, Vec::len)
    }

    /// Its OBUs, each with its size; `None`: the last one's end is missing.
    pub fn finish(self) -> Option<Vec<u8>> {
        self.begun.is_none().then_some(self.data)
    }
}

/// Writes an OBU with its size (low overhead bitstream format, section 5.2).
fn write(obu: &Obu<'_>, out: &mut Vec<u8>) {
    out.push(obu.head | HAS_SIZE);
    out.extend(obu.layers);
    let mut size = obu.content.len();
    while size >= 0x80 {
        out.push(0x80 | (size & 0x7F) as u8);
        size >>= 7;
    }
    out.push(size as u8);
    out.extend_from_slice(obu.content);
}

/// The OBUs of a temporal unit, as far as they can be read.
pub fn units(data: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let obu = Obu::read(rest)?;
        rest = obu.rest;
        Some(obu)
    })
}

/// Whether a temporal unit needs no other: it has a sequence header, and its first frame is a key frame that is shown.
pub fn is_keyframe(data: &[u8]) -> bool {
    let has_header = units(data).any(|obu| obu.kind() == SEQUENCE_HEADER);
    let frame = units(data).find(|obu| matches!(obu.kind(), FRAME_HEADER | FRAME));
    // Whether an existing frame is shown; the type, 0 for key frames; whether it is shown (AV1 specification, section 5.9.2).
    let is_key = frame.and_then(|obu| obu.content.first()).is_some_and(|first| first & 0xF0 == 0x10);
    has_header && is_key
}

/// The first sequence header in a temporal unit: what it says, and the whole OBU with its size.
pub fn sequence_header(data: &[u8]) -> Option<(SequenceHeader, Vec<u8>)> {
    let obu = units(data).find(|obu| obu.kind() == SEQUENCE_HEADER)?;
    let mut bytes = Vec::new();
    write(&obu, &mut bytes);
    Some((SequenceHeader::parse(obu.content)?, bytes))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The sequence header of a 1280x720 stream, as it stands in a packet.
    pub(crate) const SEQUENCE: [u8; 12] = [0x08, 0, 0, 0, 0x42, 0xA6, 0x7F, 0xD9, 0xE0, 0x01, 0, 0x40];

    /// A frame OBU of this many bytes, as it stands in a packet.
    pub(crate) fn frame(keyframe: bool, length: usize) -> Vec<u8> {
        let mut obu = vec![FRAME << 3, if keyframe { 0x10 } else { 0x30 }];
        obu.resize(length.max(2), 0x55);
        obu
    }

    /// Payloads with these OBUs, of at most `most` bytes: elements with their lengths, those that are too long in parts.
    pub(crate) fn payloads(obus: &[Vec<u8>], most: usize) -> Vec<Vec<u8>> {
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        for (n, obu) in obus.iter().enumerate() {
            let chunks = obu.chunks(most);
            let last = chunks.len() - 1;
            for (part, chunk) in chunks.enumerate() {
                let begins = n == 0 && part == 0 && obu.first().is_some_and(|head| head >> 3 == SEQUENCE_HEADER);
                let flags = u8::from(part > 0) << 7 | u8::from(part < last) << 6 | u8::from(begins) << 3;
                payloads.push([&[flags | 0x10], chunk].concat());
            }
        }
        payloads
    }

    fn put_together(payloads: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut unit = TemporalUnit::default();
        if payloads.iter().all(|payload| unit.append(payload)) { unit.finish() } else { None }
    }

    #[test]
    fn a_key_frame_has_its_sequence_header() {
        let delimiter = vec![TEMPORAL_DELIMITER << 3];
        let unit = put_together(&payloads(&[delimiter, SEQUENCE.to_vec(), frame(true, 3_000)], 1_100)).unwrap();
        let kinds: Vec<_> = units(&unit).map(|obu| (obu.kind(), obu.content.len())).collect();
        assert_eq!(kinds, [(SEQUENCE_HEADER, 11), (FRAME, 2_999)]);
        assert!(is_keyframe(&unit));
        let (header, bytes) = sequence_header(&unit).unwrap();
        assert_eq!((header.width, header.height), (1_280, 720));
        assert_eq!(bytes, [&[0x0A, 11], &SEQUENCE[1..]].concat());
        let without = put_together(&payloads(&[frame(true, 10)], 1_100)).unwrap();
        let delta = put_together(&payloads(&[SEQUENCE.to_vec(), frame(false, 10)], 1_100)).unwrap();
        assert!(!is_keyframe(&without) && !is_keyframe(&delta));
    }

    #[test]
    fn elements_with_lengths_and_sizes_are_taken_too() {
        // Three elements with lengths, the last with the OBU's own size and layers.
        let payload = [&[0x08, 1, 0x10, 12], &SEQUENCE[..], &[5, 0x36, 0x20, 2, 0x10, 9]].concat();
        let unit = put_together(&[payload]).unwrap();
        let last = units(&unit).last().unwrap();
        assert_eq!((last.kind(), last.layers, last.content), (FRAME, Some(0x20), &[0x10, 9][..]));
        assert!(is_keyframe(&unit));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let parts = payloads(&[frame(true, 3_000)], 1_000);
        assert!(put_together(&parts).is_some());
        assert_eq!(put_together(&parts[1..]), None, "its beginning is missing");
        assert_eq!(put_together(&parts[..2]), None, "its end is missing");
        assert_eq!(put_together(&[parts[0].clone(), parts[0].clone()]), None, "its end never came");
        assert_eq!(put_together(&[vec![0x00, 9, 1]]), None, "an element that is longer than the packet");
        assert_eq!(put_together(&[vec![0x10, 0x80]]), None, "the forbidden bit");
    }

    proptest! {
        #[test]
        fn obus_come_back_however_they_are_cut(lengths in proptest::collection::vec(2usize..5_000, 1..6), most in 1usize..1_300) {
            let obus: Vec<_> = lengths.iter().map(|length| frame(false, *length)).collect();
            let unit = put_together(&payloads(&obus, most)).unwrap();
            let contents: Vec<_> = units(&unit).map(|obu| obu.content.len() + 1).collect();
            prop_assert_eq!(contents, lengths);
        }

        #[test]
        fn any_bytes_are_read(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6)) {
            let mut unit = TemporalUnit::default();
            for payload in &payloads {
                is_keyframe(payload);
                sequence_header(payload);
                unit.append(payload);
            }
            if let Some(data) = unit.finish() {
                let units: usize = units(&data).map(|obu| obu.content.len()).sum();
                prop_assert!(units <= data.len());
            }
        }
    }
}
