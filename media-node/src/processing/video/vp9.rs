//! VP9 frames in RTP (RFC 9628) and in files: a picture's frames, one for each spatial layer, become one superframe.

mod header;

use crate::sfu::codec::vp9;
use header::Header;
pub use header::References;

/// Most frames of a superframe.
const MAX_FRAMES: usize = 8;
/// The first bits of an index: a marker, then how many bytes a size has and how many frames there are.
const INDEX: u8 = 0b1100_0000;

/// The frames of a picture that is being put together.
#[derive(Debug, Default)]
pub struct Superframe {
    data: Vec<u8>,
    /// Where frames begin.
    begins: Vec<usize>,
}

impl Superframe {
    /// Appends the part of a frame that a payload carries. `false`: it doesn't belong here.
    pub fn append(&mut self, payload: &[u8]) -> bool {
        let Some((begins, part)) = vp9::part(payload) else { return false };
        if begins {
            self.begins.push(self.data.len());
        }
        self.data.extend_from_slice(part);
        (1..=MAX_FRAMES).contains(&self.begins.len())
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Its bytes. Several frames get an index behind them (VP9 bitstream specification, annex B), and all but the last are marked as
    /// not to be shown: encoders mark every layer as shown, which only decoders that know layers understand. `known` are the sizes
    /// of the frames that it may refer to.
    pub fn finish(self, known: &mut References) -> Vec<u8> {
        let Self { data: whole, begins } = self;
        let ends = begins.iter().skip(1).copied().chain([whole.len()]);
        let (mut data, mut sizes) = (Vec::with_capacity(whole.len() + 40), Vec::with_capacity(begins.len()));
        for (n, (begin, end)) in begins.iter().zip(ends).enumerate() {
            let frame = whole.get(*begin..end).unwrap_or_default();
            let header = Header::read(frame, known);
            known.follow(header.as_ref());
            let hidden = header.filter(|_| n + 1 < begins.len()).and_then(|header| header.hidden(frame));
            let before = data.len();
            data.extend_from_slice(hidden.as_deref().unwrap_or(frame));
            sizes.push(data.len() - before);
        }
        if let (2.., Some(largest)) = (sizes.len(), sizes.iter().max()) {
            let bytes = (1..=4).find(|bytes| largest >> (8 * bytes) == 0).unwrap_or(4);
            let head = INDEX | u8::try_from((bytes - 1) << 3 | (sizes.len() - 1)).unwrap_or(0);
            data.push(head);
            sizes.iter().for_each(|size| data.extend(size.to_le_bytes().iter().take(bytes)));
            data.push(head);
        }
        data
    }
}

/// The frames of a superframe; the whole, if it has no index.
pub fn frames(data: &[u8]) -> Vec<&[u8]> {
    indexed(data).unwrap_or_else(|| vec![data])
}

fn indexed(data: &[u8]) -> Option<Vec<&[u8]>> {
    let (head, before) = data.split_last()?;
    if head & 0b1110_0000 != INDEX {
        return None;
    }
    let (bytes, count) = (usize::from(head >> 3 & 0x03) + 1, usize::from(head & 0x07) + 1);
    let (mut rest, index) = before.split_at_checked(before.len().checked_sub(bytes * count + 1)?)?;
    let (first, sizes) = index.split_first()?;
    if first != head {
        return None;
    }
    sizes
        .chunks_exact(bytes)
        .map(|size| {
            let size = size.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte));
            let (frame, tail) = rest.split_at_checked(size)?;
            rest = tail;
            Some(frame)
        })
        .collect()
}

/// Whether a superframe needs no other: its first frame is a key frame.
pub fn is_keyframe(data: &[u8]) -> bool {
    let first = frames(data).first().and_then(|frame| Header::read(frame, &References::default()));
    first.is_some_and(|header| header.keyframe)
}

/// Width and height in pixels of the picture: those of its last frame that tells.
pub fn dimensions(data: &[u8]) -> Option<(u16, u16)> {
    frames(data).into_iter().rev().find_map(|frame| Header::read(frame, &References::default())?.size)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The beginning of a key frame of this size, and `length` bytes in all.
    pub(crate) fn keyframe(width: u16, height: u16, length: usize) -> Vec<u8> {
        // Marker, profile 0, key frame, shown; sync code; colour space and range; sizes; 4 bits of what follows.
        let header = 0b1000_0010u128 << 60 | 0x49_83_42 << 36 | u128::from(width - 1) << 16 | u128::from(height - 1);
        let mut frame: Vec<u8> = (header << 4).to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        frame.resize(length, 0x55);
        frame
    }

    /// The beginning of a frame that needs others, of this size if it tells.
    pub(crate) fn delta(size: Option<(u16, u16)>, length: usize) -> Vec<u8> {
        // Marker, profile 0, no key frame, shown, not resilient; context; replaced; references; sizes.
        let mut header = 0b1000_0110u128 << 22;
        header = match size {
            None => header << 1 | 1,
            Some((width, height)) => header << 35 | u128::from(width - 1) << 16 | u128::from(height - 1),
        };
        let bits = if size.is_some() { 65 } else { 31 };
        header <<= (8 - bits % 8) % 8;
        let mut frame: Vec<u8> = header.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        frame.resize(length, 0x55);
        frame
    }

    /// Payloads of a layer's frame: a picture id, the layer, and at most `most` bytes of it in each.
    pub(crate) fn payloads(frame: &[u8], picture: u8, layer: u8, most: usize) -> Vec<Vec<u8>> {
        let chunks = frame.chunks(most);
        let last = chunks.len() - 1;
        let flags = |n: usize| 0xA0 | u8::from(n == 0) << 3 | u8::from(n == last) << 2;
        chunks.enumerate().map(|(n, part)| [&[flags(n), picture & 0x7F, layer << 1, 0], part].concat()).collect()
    }

    fn put_together(payloads: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut superframe = Superframe::default();
        payloads.iter().all(|payload| superframe.append(payload)).then(|| superframe.finish(&mut References::default()))
    }

    #[test]
    fn a_picture_of_one_layer_stays_as_it_is() {
        let frame = keyframe(640, 360, 3_000);
        let whole = put_together(&payloads(&frame, 5, 0, 1_100)).unwrap();
        assert_eq!(whole, frame);
        assert!(is_keyframe(&whole));
        assert_eq!(dimensions(&whole), Some((640, 360)));
        let next = delta(None, 50);
        assert!(!is_keyframe(&next));
        assert_eq!(dimensions(&next), None);
    }

    #[test]
    fn layers_become_a_superframe_of_the_largest_size() {
        let layers = [keyframe(320, 180, 200), delta(Some((640, 360)), 700), delta(Some((1_280, 720)), 70_000)];
        let sent: Vec<_> = layers.iter().zip(0..).flat_map(|(frame, layer)| payloads(frame, 1, layer, 1_100)).collect();
        let whole = put_together(&sent).unwrap();
        let stored = frames(&whole);
        assert_eq!((stored[0], stored[2]), ([&[0x80], &layers[0][1..]].concat().as_slice(), layers[2].as_slice()));
        assert!(stored[1].len().abs_diff(700) <= 1);
        let shown: Vec<bool> = stored.iter().map(|frame| frame[0] & 0x02 != 0).collect();
        assert_eq!(shown, [false, false, true]);
        assert!(is_keyframe(&whole));
        assert_eq!(dimensions(&whole), Some((1_280, 720)));
        assert_eq!(put_together(&sent[1..]).map(|whole| is_keyframe(&whole)), Some(false), "the lowest is missing");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let frame = keyframe(320, 180, 500);
        assert_eq!(put_together(&payloads(&frame, 1, 0, 200)[1..]), None, "its beginning is missing");
        assert_eq!(put_together(&vec![payloads(&frame, 1, 0, 500).remove(0); 9]), None, "too many frames");
        assert_eq!(put_together(&[vec![]]), None);
    }

    proptest! {
        #[test]
        fn frames_come_back_out_of_a_superframe(lengths in proptest::collection::vec(1usize..70_000, 2..=8)) {
            let frames: Vec<_> = lengths.into_iter().map(|length| vec![7; length]).collect();
            let sent: Vec<_> = frames.iter().zip(0..).flat_map(|(frame, layer)| payloads(frame, 1, layer, 1_100)).collect();
            let whole = put_together(&sent).unwrap();
            prop_assert_eq!(super::frames(&whole), frames);
        }

        #[test]
        fn any_bytes_are_read(data in proptest::collection::vec(any::<u8>(), 0..60), head in 0xC0u8..0xE0) {
            is_keyframe(&data);
            dimensions(&data);
            let mut ended = data;
            ended.push(head);
            dimensions(&ended);
        }
    }
}
