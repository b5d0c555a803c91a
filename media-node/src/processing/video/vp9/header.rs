//! Uncompressed headers (VP9 bitstream specification, section 6.2), as far as it takes to know a frame's size and where its header ends.

use crate::sfu::codec::bits::{BitReader, BitWriter};

/// Frames that later ones may refer to.
const SLOTS: usize = 8;
/// Longest header that is written anew, in bytes; that of a frame with all there can be has fewer.
const LONGEST: usize = 256;
/// Bits of a feature of a segment: quantiser, loop filter, reference, skip; and whether there is a sign.
const FEATURES: [(u32, bool); 4] = [(8, true), (6, true), (2, false), (0, false)];
/// `color_space` of RGB.
const RGB: u32 = 7;

type Size = (u16, u16);

/// The sizes of the frames that later ones may refer to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct References([Option<Size>; SLOTS]);

impl References {
    /// Follows what a frame replaces. After one that can't be read, nothing is known until the next key frame.
    pub(super) fn follow(&mut self, header: Option<&Header>) {
        let Some(header) = header else { return *self = Self::default() };
        for (slot, size) in self.0.iter_mut().enumerate() {
            if header.replaces >> slot & 1 == 1 {
                *size = header.size;
            }
        }
    }

    fn get(&self, slot: u32) -> Option<Size> {
        *self.0.get(usize::try_from(slot).ok()?)?
    }
}

/// A header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub keyframe: bool,
    /// `None`: that of an earlier frame of which nothing is known.
    pub size: Option<Size>,
    /// The slots that it replaces.
    replaces: u32,
    /// Where `show_frame` is, if it says that the frame is shown.
    shown_at: Option<u32>,
    /// Bits of it all; 0: its end can't be found.
    bits: u32,
}

impl Header {
    pub fn read(frame: &[u8], known: &References) -> Option<Self> {
        let mut bits = Counted { bits: BitReader::new(frame), read: 0 };
        if bits.take(2)? != 2 {
            return None;
        }
        let profile = bits.take(1)? | bits.take(1)? << 1;
        if profile == 3 {
            bits.take(1)?;
        }
        let mut header = Self { keyframe: false, size: None, replaces: 0, shown_at: None, bits: 0 };
        if bits.flag()? {
            // An earlier frame is shown again, and that is all.
            return Some(header);
        }
        header.keyframe = !bits.flag()?;
        let shown_at = bits.read;
        let shown = bits.flag()?;
        header.shown_at = shown.then_some(shown_at);
        let resilient = bits.flag()?;
        let mut intra = header.keyframe;
        if header.keyframe {
            bits.synchronised()?;
            bits.colours(profile)?;
            header.replaces = 0xFF;
            header.size = Some(bits.size()?);
            bits.render_size();
        } else {
            intra = !shown && bits.flag()?;
            if !resilient {
                bits.take(2)?;
            }
            if intra {
                bits.synchronised()?;
                if profile > 0 {
                    bits.colours(profile)?;
                }
                header.replaces = bits.take(8)?;
                header.size = Some(bits.size()?);
                bits.render_size();
            } else {
                header.replaces = bits.take(8)?;
                header.size = bits.size_by_references(known)?;
            }
        }
        header.bits = bits.rest(intra, resilient, header.size).unwrap_or(0);
        Some(header)
    }

    /// The frame with this header, marked as not to be shown; `None` if it is so already, or where its header ends isn't known.
    pub fn hidden(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let shown_at = self.shown_at?;
        if self.keyframe {
            let mut hidden = frame.to_vec();
            let byte = hidden.get_mut(usize::try_from(shown_at / 8).ok()?)?;
            *byte &= !(0x80 >> (shown_at % 8));
            return Some(hidden);
        }
        // What isn't shown says whether it is intra-only, behind `error_resilient_mode`: one bit more.
        let mut from = BitReader::new(frame);
        let mut bytes = [0; LONGEST];
        let mut to = BitWriter::new(&mut bytes);
        for at in 0..(self.bits > 0).then_some(self.bits)? {
            let bit = from.bit()?;
            to.bit(bit && at != shown_at)?;
            if at == shown_at + 1 {
                to.bit(false)?;
            }
        }
        let length = to.len();
        let behind = frame.get(usize::try_from(self.bits.div_ceil(8)).ok()?..)?;
        Some([bytes.get(..length)?, behind].concat())
    }
}

/// Bits, counted.
struct Counted<'a> {
    bits: BitReader<'a>,
    read: u32,
}

impl Counted<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        self.read += count;
        self.bits.bits(count)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    fn synchronised(&mut self) -> Option<()> {
        (self.take(24)? == 0x49_83_42).then_some(())
    }

    fn colours(&mut self, profile: u32) -> Option<()> {
        if profile >= 2 {
            self.take(1)?;
        }
        let odd = profile & 1 == 1;
        match self.take(3)? {
            RGB if odd => self.take(1)?,
            RGB => 0,
            _ if odd => self.take(4)?,
            _ => self.take(1)?,
        };
        Some(())
    }

    fn size(&mut self) -> Option<Size> {
        let mut side = || u16::try_from(self.take(16)? + 1).ok();
        Some((side()?, side()?))
    }

    /// What comes at once behind a size: how large it is shown.
    fn render_size(&mut self) -> Option<()> {
        if self.flag()? {
            self.take(32)?;
        }
        Some(())
    }

    /// Three references, and the size of one of them or its own.
    fn size_by_references(&mut self, known: &References) -> Option<Option<Size>> {
        let mut slots = [0; 3];
        for slot in &mut slots {
            *slot = self.take(3)?;
            self.take(1)?;
        }
        let mut found = None;
        for slot in slots {
            if self.flag()? {
                found = Some(known.get(slot));
                break;
            }
        }
        let size = match found {
            Some(size) => size,
            None => Some(self.size()?),
        };
        self.render_size();
        Some(size)
    }

    /// Passes over all behind the size; bits in all.
    fn rest(&mut self, intra: bool, resilient: bool, size: Option<Size>) -> Option<u32> {
        let (width, _) = size?;
        if !intra {
            // Precise vectors; a filter for the whole frame.
            self.take(1)?;
            if !self.flag()? {
                self.take(2)?;
            }
        }
        if !resilient {
            self.take(2)?;
        }
        self.take(2)?;
        self.loop_filter()?;
        // The quantiser and three differences to it.
        self.take(8)?;
        for _ in 0..3 {
            self.optional(5)?;
        }
        if self.flag()? {
            self.segmentation()?;
        }
        // Columns of tiles: at least 4 superblocks of 64 pixels wide, at most 64.
        let superblocks = u32::from(width).div_ceil(64);
        let least = (0..6).find(|log| 64 << log >= superblocks)?;
        let most = (1..=6).find(|log| superblocks >> log < 4)? - 1;
        for _ in least..most.max(least) {
            if !self.flag()? {
                break;
            }
        }
        if self.flag()? {
            self.take(1)?;
        }
        // How long the compressed header is.
        self.take(16)?;
        Some(self.read)
    }

    /// A flag, and behind it so many bits if it is set.
    fn optional(&mut self, count: u32) -> Option<()> {
        if self.flag()? {
            self.take(count)?;
        }
        Some(())
    }

    fn loop_filter(&mut self) -> Option<()> {
        self.take(9)?;
        // Differences for references and modes, if there are such and they change.
        if self.flag()? && self.flag()? {
            for _ in 0..6 {
                self.optional(7)?;
            }
        }
        Some(())
    }

    fn segmentation(&mut self) -> Option<()> {
        if self.flag()? {
            for _ in 0..7 {
                self.optional(8)?;
            }
            let temporal = self.flag()?;
            for _ in 0..3 {
                if temporal {
                    self.optional(8)?;
                }
            }
        }
        if self.flag()? {
            self.take(1)?;
            for (count, signed) in FEATURES.repeat(8) {
                self.optional(count + u32::from(signed))?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_hidden_is_the_same_but_not_shown(
            head in prop_oneof![Just(0x86u8), Just(0x87), Just(0x82), Just(0x83)],
            mut frame in proptest::collection::vec(any::<u8>(), 100..160),
            sizes in proptest::array::uniform8(proptest::option::of((1u16..4_000, 1u16..4_000))),
        ) {
            let known = References(sizes);
            frame[0] = head;
            if head & 0x04 == 0 {
                frame[1..4].copy_from_slice(&[0x49, 0x83, 0x42]);
            }
            let Some(header) = Header::read(&frame, &known) else { return Ok(()) };
            let Some(hidden) = header.hidden(&frame) else {
                prop_assert_eq!(header.bits, 0);
                return Ok(());
            };
            let again = Header::read(&hidden, &known).unwrap();
            let more = if header.keyframe { header.bits } else { header.bits + 1 };
            prop_assert_eq!(again, Header { shown_at: None, bits: more, ..header });
            prop_assert!(again.hidden(&hidden).is_none());
            let behind = |bits: u32| if header.keyframe { 1 } else { bits.div_ceil(8) as usize };
            prop_assert_eq!(&frame[behind(header.bits)..], &hidden[behind(more)..]);
        }

        #[test]
        fn any_bytes_are_read(frame in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(header) = Header::read(&frame, &References::default()) {
                header.hidden(&frame);
            }
        }
    }
}
