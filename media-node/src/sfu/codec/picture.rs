//! Picture ids of VP8 and VP9: they must run on without a step back when a receiver's source changes, or decoders take new
//! frames for old ones.

use crate::sfu::skips::Skips;

/// A picture id in a payload descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PictureField {
    /// Where it begins in the payload.
    pub at: u8,
    /// Whether it has 15 bits (two bytes), not 7.
    pub long: bool,
    /// Its value.
    pub value: u16,
}

/// A TL0PICIDX in a payload descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tl0Field {
    /// Where it is in the payload.
    pub at: u8,
    /// Its value.
    pub value: u8,
}

/// The counters in a payload descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pictures {
    /// The picture id, if there is one.
    pub id: Option<PictureField>,
    /// The index of the frame of temporal layer 0, if there is one.
    pub tl0: Option<Tl0Field>,
}

impl Pictures {
    /// Where the last byte of the picture id is.
    pub fn id_at(&self) -> Option<usize> {
        self.id.map(|field| usize::from(field.at) + usize::from(field.long))
    }

    /// Where TL0PICIDX is.
    pub fn tl0_at(&self) -> Option<usize> {
        self.tl0.map(|field| usize::from(field.at))
    }
}

/// New values for the counters of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rewritten {
    /// The picture id as it shall be.
    pub id: Option<PictureField>,
    /// TL0PICIDX as it shall be.
    pub tl0: Option<Tl0Field>,
}

impl Rewritten {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.id.is_none() && self.tl0.is_none()
    }
}

/// Keeps one receiver's picture ids continuous.
#[derive(Clone, Debug, Default)]
pub struct PictureIds {
    id_shift: u16,
    tl0_shift: u8,
    last_id: Option<u16>,
    last_tl0: Option<u8>,
    /// Highest picture id of the source, counted on beyond its 7 or 15 bits.
    highest: Option<u64>,
    skips: Skips,
}

const LONG: u16 = 0x7FFF;
const SHORT: u16 = 0x7F;

impl PictureIds {
    /// Begins a new source with the first packet of a key frame.
    pub fn switch(&mut self, first: &Pictures) {
        self.id_shift = match (first.id, self.last_id) {
            (Some(field), Some(last)) => last.wrapping_add(1).wrapping_sub(field.value) & LONG,
            _ => 0,
        };
        self.tl0_shift = match (first.tl0, self.last_tl0) {
            (Some(field), Some(last)) => last.wrapping_add(1).wrapping_sub(field.value),
            _ => 0,
        };
        self.highest = None;
        self.skips.clear();
    }

    /// Leaves out a picture such that later ids close up: VP8 decoders take a gap for a loss. (VP9's and AV1's pictures name those that
    /// they need by distance, so their ids stay as they are.)
    pub fn skip(&mut self, packet: &Pictures) {
        let Some(field) = packet.id else { return };
        let id = self.extend(&field);
        if self.highest.is_none_or(|highest| id > highest) {
            self.highest = Some(id);
            self.skips.skip(id);
        }
    }

    /// The counters that the packet shall carry, where they differ from those that it has.
    pub fn rewrite(&mut self, packet: &Pictures) -> Rewritten {
        let mut rewritten = Rewritten::default();
        if let Some(field) = packet.id {
            let id = self.extend(&field);
            self.highest = Some(self.highest.map_or(id, |highest| highest.max(id)));
            let left_out = (self.skips.before(id).unwrap_or_default() & u64::from(LONG)) as u16;
            let value = field.value.wrapping_add(self.id_shift).wrapping_sub(left_out) & LONG;
            // Ahead of what went out before, in the 15-bit circle: late packets don't move it back.
            if self.last_id.is_none_or(|last| value.wrapping_sub(last) & LONG < LONG / 2) {
                self.last_id = Some(value);
            }
            let value = if field.long { value } else { value & SHORT };
            if value != field.value {
                rewritten.id = Some(PictureField { value, ..field });
            }
        }
        if let Some(field) = packet.tl0 {
            let value = field.value.wrapping_add(self.tl0_shift);
            if self.last_tl0.is_none_or(|last| value.wrapping_sub(last) < 128) {
                self.last_tl0 = Some(value);
            }
            if value != field.value {
                rewritten.tl0 = Some(Tl0Field { value, ..field });
            }
        }
        rewritten
    }

    /// The id counted on: the number nearest to the highest one that ends in these bits.
    fn extend(&self, field: &PictureField) -> u64 {
        let circle = u64::from(if field.long { LONG } else { SHORT }) + 1;
        let value = u64::from(field.value);
        // One circle ahead of zero, so that what came before the first id has a number, too.
        let Some(highest) = self.highest else { return circle + value };
        let ahead = value.wrapping_sub(highest) % circle;
        if ahead < circle / 2 { highest + ahead } else { (highest + ahead).saturating_sub(circle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures(id: u16, tl0: u8) -> Pictures {
        Pictures { id: Some(PictureField { at: 2, long: true, value: id }), tl0: Some(Tl0Field { at: 4, value: tl0 }) }
    }

    fn out(ids: &mut PictureIds, id: u16, tl0: u8) -> (u16, u8) {
        let rewritten = ids.rewrite(&pictures(id, tl0));
        (rewritten.id.map_or(id, |f| f.value), rewritten.tl0.map_or(tl0, |f| f.value))
    }

    #[test]
    fn the_first_source_passes_unchanged() {
        let mut ids = PictureIds::default();
        ids.switch(&pictures(77, 3));
        assert_eq!(out(&mut ids, 77, 3), (77, 3));
        assert!(ids.rewrite(&pictures(78, 4)).is_empty());
    }

    #[test]
    fn a_switch_goes_on_by_one_and_wraps() {
        let mut ids = PictureIds::default();
        ids.switch(&pictures(0x7FFE, 254));
        out(&mut ids, 0x7FFE, 254);
        out(&mut ids, 0x7FFF, 255);
        ids.switch(&pictures(500, 9));
        assert_eq!(out(&mut ids, 500, 9), (0, 0));
        assert_eq!(out(&mut ids, 501, 10), (1, 1));
    }

    #[test]
    fn a_late_packet_does_not_move_the_next_switch_back() {
        let mut ids = PictureIds::default();
        ids.switch(&pictures(100, 0));
        out(&mut ids, 105, 5);
        out(&mut ids, 103, 3);
        ids.switch(&pictures(1, 1));
        assert_eq!(out(&mut ids, 1, 1), (106, 6));
    }

    #[test]
    fn ids_close_up_over_pictures_left_out() {
        let mut ids = PictureIds::default();
        ids.switch(&pictures(0x7FFD, 0));
        let mut sent = Vec::new();
        // Three are left out; 0x7FFF comes late; then another source.
        for id in [0x7FFDu16, 0x7FFE, 0, 1, 0x7FFF, 2, 2, 3, 4] {
            if [0x7FFE, 1, 3].contains(&id) {
                ids.skip(&pictures(id, 0));
            } else {
                sent.push((id, out(&mut ids, id, 0).0));
            }
        }
        let expected = [(0x7FFD, 0x7FFD), (0, 0x7FFF), (0x7FFF, 0x7FFE), (2, 0), (2, 0), (4, 1)];
        assert_eq!(sent, expected);
        ids.switch(&pictures(90, 0));
        assert_eq!(out(&mut ids, 90, 0).0, 2);
    }
}
