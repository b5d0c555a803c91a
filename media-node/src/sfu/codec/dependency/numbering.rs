//! One receiver's frame numbers and template ids, which go on when its source changes.

use super::{RawDescriptor, TEMPLATE_IDS};

/// What of a descriptor the receiver's numbering depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameNumber {
    /// The frame's number.
    pub number: u16,
    /// First id and count of the templates that hold for it.
    pub templates: (u8, u8),
    /// Whether these come with the packet.
    pub attached: bool,
}

/// Keeps one receiver's numbers continuous.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbering {
    number_shift: u16,
    id_shift: u8,
    highest: Option<u16>,
    next_id: u8,
}

impl Numbering {
    /// Begins a new source with the first packet of a key frame. Its templates get ids that the source before didn't use, so that
    /// nothing is taken for a frame of the new one while its structure is still on the way.
    pub fn switch(&mut self, first: &FrameNumber) {
        if let Some(highest) = self.highest {
            self.number_shift = highest.wrapping_add(1).wrapping_sub(first.number);
            self.id_shift = self.next_id.wrapping_sub(first.templates.0);
        }
    }

    /// The descriptor as the receiver shall see it; `None`: as it is.
    pub fn rewrite(&mut self, raw: &RawDescriptor, frame: &FrameNumber) -> Option<RawDescriptor> {
        let number = frame.number.wrapping_add(self.number_shift);
        if self.highest.is_none_or(|highest| number.wrapping_sub(highest) < 1 << 15) {
            self.highest = Some(number);
            let (first, count) = frame.templates;
            self.next_id = first.wrapping_add(self.id_shift).wrapping_add(count) % TEMPLATE_IDS;
        }
        if self.number_shift == 0 && self.id_shift == 0 {
            return None;
        }
        let mut raw = *raw;
        raw.renumber(number, self.id_shift);
        Some(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Descriptor, Structure,
            examples::{frame, l1t3, l2t2},
        },
        *,
    };

    fn number(structure: &Structure, number: u16, attached: bool) -> FrameNumber {
        FrameNumber { number, templates: (structure.first_id, structure.templates.len() as u8), attached }
    }

    #[test]
    fn the_first_source_passes_unchanged_and_the_next_goes_on() {
        let (one, two) = (l1t3(), Structure { first_id: 2, ..l2t2() });
        let mut numbering = Numbering::default();
        let first = number(&one, 65_534, true);
        numbering.switch(&first);
        let raw = Descriptor { structure: Some(one.clone()), ..frame(0, 65_534) }.write(&one).unwrap();
        assert_eq!(numbering.rewrite(&raw, &first), None);
        for n in [65_535, 0] {
            let raw = frame(1, n).write(&one).unwrap();
            assert_eq!(numbering.rewrite(&raw, &number(&one, n, false)), None);
        }
        let next = number(&two, 700, true);
        numbering.switch(&next);
        let raw = Descriptor { structure: Some(two.clone()), ..frame(2, 700) }.write(&two).unwrap();
        let out = Descriptor::parse(numbering.rewrite(&raw, &next).unwrap().as_bytes(), None).unwrap();
        // After frame 0, and after the four templates 0 to 3.
        assert_eq!((out.number, out.template), (1, 4));
        assert_eq!(out.structure.unwrap().first_id, 4);
        let raw = frame(5, 704).write(&two).unwrap();
        let out = numbering.rewrite(&raw, &number(&two, 704, false)).unwrap();
        assert_eq!(out.as_bytes(), [0xC7, 0, 5]);
    }

    #[test]
    fn a_late_frame_does_not_move_the_next_source_back() {
        let one = l1t3();
        let mut numbering = Numbering::default();
        for n in [10, 14, 12] {
            numbering.rewrite(&frame(1, n).write(&one).unwrap(), &number(&one, n, false));
        }
        numbering.switch(&number(&one, 3, true));
        let out = numbering.rewrite(&frame(0, 3).write(&one).unwrap(), &number(&one, 3, false)).unwrap();
        assert_eq!(Descriptor::parse(out.as_bytes(), Some(&Structure { first_id: 4, ..one })).unwrap().number, 15);
    }
}
