//! A packet's last step: header, payload and one pass of the cipher into what leaves.

use super::{
    header::ONE_BYTE_IDS,
    line::{ExtensionIds, Written},
    probing::Probing,
    srtp::Srtp,
};
use crate::sfu::{codec::Rewritten, congestion::Controller, id::Mid};
use std::time::Instant;

/// What sealing a packet takes.
pub struct Seal<'a> {
    /// The keys.
    pub srtp: &'a mut Srtp,
    /// The next transport-wide number.
    pub transport_seq: &'a mut u16,
    /// Is told what leaves.
    pub controller: &'a mut Controller,
    /// The probe that is under way.
    pub probing: &'a mut Option<Probing>,
    /// Now.
    pub now: Instant,
    /// The same on the wall.
    pub ntp: u64,
}

impl Seal<'_> {
    /// Seals a packet with what it takes along, at the end of `out`; `named` is its m-line while the client learns the SSRC.
    pub fn packet(&mut self, written: &Written<'_>, ids: &ExtensionIds, named: Option<Mid>, out: &mut Vec<u8>) {
        let (seq, begin) = (*self.transport_seq, out.len());
        self.header(seq, written, ids, named, out);
        let body = out.len();
        if let Some(original) = written.original {
            out.extend_from_slice(&original.to_be_bytes());
        }
        let payload = out.len();
        out.extend_from_slice(written.payload);
        if !written.pictures.is_empty()
            && let Some(copy) = out.get_mut(payload..)
        {
            put_pictures(copy, &written.pictures);
        }
        if let Err(error) = self.srtp.seal_rtp(begin, body, written.ssrc, written.index, out) {
            tracing::debug!(%error, "a packet is not sent");
            return;
        }
        let bytes = out.len() - begin;
        let size = u16::try_from(bytes).unwrap_or(u16::MAX);
        if ids.transport_cc.is_some() {
            *self.transport_seq = seq.wrapping_add(1);
            self.controller.on_sent(self.now, seq, size, self.probing.as_ref().map(Probing::id));
        } else {
            self.controller.on_sent_unnumbered(self.now, size);
        }
        if let Some(probing) = self.probing {
            probing.sent(bytes);
        }
    }
}

impl Seal<'_> {
    fn header(&self, seq: u16, written: &Written<'_>, ids: &ExtensionIds, named: Option<Mid>, out: &mut Vec<u8>) {
        let has_others = named.is_some_and(|_| ids.mid.is_some())
            || written.level.is_some_and(|_| ids.audio_level.is_some())
            || written.turns.is_some_and(|_| ids.orientation.is_some())
            || written.descriptor.is_some_and(|_| ids.descriptor.is_some());
        if let Some(id) = ids.transport_cc.filter(|id| (1..=ONE_BYTE_IDS).contains(id) && !has_others) {
            return written.header.write_numbered(id, seq, out);
        }
        let transport = seq.to_be_bytes();
        let (level, turns) = (written.level.map(|level| [level]), written.turns.map(|turns| [turns & 3]));
        let mid = named.as_ref().map(Mid::as_str);
        // Only for clients that estimate by themselves, which takes the time of sending.
        let send_time = ids.send_time.filter(|_| ids.transport_cc.is_none());
        // Seconds in 6 bits before the point and 18 behind it.
        let [_, stamp @ ..] = ((self.ntp >> 14) as u32).to_be_bytes();
        let elements: [(u8, &[u8]); 6] = [
            (ids.transport_cc.unwrap_or(0), &transport),
            (send_time.unwrap_or(0), &stamp),
            (ids.audio_level.unwrap_or(0), level.as_ref().map_or(&[], |level| level)),
            (ids.orientation.unwrap_or(0), turns.as_ref().map_or(&[], |turns| turns)),
            (ids.mid.unwrap_or(0), mid.map_or(&[], str::as_bytes)),
            (ids.descriptor.unwrap_or(0), written.descriptor.unwrap_or_default()),
        ];
        written.header.write(&elements, out);
    }
}

/// Puts other picture ids into a payload descriptor, of the length that the old ones have.
fn put_pictures(payload: &mut [u8], pictures: &Rewritten) {
    if let Some(id) = pictures.id {
        let [high, low] = id.value.to_be_bytes();
        let bytes: &[u8] = if id.long { &[high | 0x80, low] } else { &[low & 0x7F] };
        payload.iter_mut().skip(id.at.into()).zip(bytes).for_each(|(to, from)| *to = *from);
    }
    if let Some(tl0) = pictures.tl0
        && let Some(byte) = payload.get_mut(usize::from(tl0.at))
    {
        *byte = tl0.value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sfu::codec::{PictureIds, vp8, vp9};

    #[test]
    fn only_picture_ids_change_in_a_payload() {
        // What may be encrypted end to end comes after the payload descriptor.
        let noise: Vec<u8> = (0..300u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        let check =
            |describe: fn(&[u8]) -> Option<crate::sfu::codec::Description>, descriptor: &[u8], changed: &[u8]| {
                let mut payload = [descriptor, &noise].concat();
                let mut ids = PictureIds::default();
                let before = describe(descriptor).unwrap().pictures;
                ids.switch(&before);
                ids.rewrite(&before);
                ids.switch(&before);
                put_pictures(&mut payload, &ids.rewrite(&before));
                assert_eq!(payload, [changed, &noise].concat());
            };
        // I, P, L, B, E; a long picture id; T, S; TL0.
        check(vp9::describe, &[0xEC, 0xFF, 0xFF, 0x00, 0x04], &[0xEC, 0x80, 0x00, 0x00, 0x05]);
        // X, S; I, L, T; a short picture id; TL0; T.
        check(vp8::describe, &[0x90, 0xE0, 0x7F, 0xFF, 0x20, 0x01], &[0x90, 0xE0, 0x00, 0x00, 0x20, 0x01]);
    }
}
