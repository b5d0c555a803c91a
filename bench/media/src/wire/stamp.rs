//! The mark that a published packet carries at the end of its payload: the last that an SFU would touch.

use super::be32;

/// Bytes of a stamp.
pub const LEN: usize = 16;
const MAGIC: u32 = 0x4352_4d42;

/// Says which packet a payload is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The source: a published stream or simulcast layer.
    pub source: u32,
    /// The source's own number of the packet.
    pub number: u32,
}

impl Stamp {
    /// Fills a payload: the first `kept` bytes stay, then a pattern of the number follows, then the stamp.
    pub fn fill(self, payload: &mut [u8], kept: usize) {
        let Some(at) = payload.len().checked_sub(LEN) else { return };
        let (body, tail) = payload.split_at_mut(at);
        body.iter_mut().skip(kept).for_each(|byte| *byte = self.pattern());
        let sum = self.source.wrapping_add(self.number).wrapping_add(body.len() as u32);
        let words = [MAGIC, self.source, self.number, sum];
        tail.iter_mut().zip(words.into_iter().flat_map(u32::to_be_bytes)).for_each(|(to, from)| *to = from);
    }

    /// Reads the stamp and checks that the whole payload behind its first `kept` bytes is what was sent.
    pub fn read(payload: &[u8], kept: usize) -> Option<Self> {
        let (body, tail) = payload.split_at_checked(payload.len().checked_sub(LEN)?)?;
        let stamp = Self { source: be32(tail, 4)?, number: be32(tail, 8)? };
        let sum = stamp.source.wrapping_add(stamp.number).wrapping_add(body.len() as u32);
        let whole = body.iter().skip(kept).all(|byte| *byte == stamp.pattern());
        (be32(tail, 0)? == MAGIC && be32(tail, 12)? == sum && whole).then_some(stamp)
    }

    fn pattern(self) -> u8 {
        self.number.to_le_bytes()[0] ^ 0x5A
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_shows_anywhere_but_in_the_kept_head() {
        let stamp = Stamp { source: 7, number: 70_000 };
        let mut payload = [0; 100];
        payload[..4].copy_from_slice(b"head");
        stamp.fill(&mut payload, 4);
        assert_eq!(Stamp::read(&payload, 4), Some(stamp));
        assert!(payload.starts_with(b"head"));
        for at in 0..payload.len() {
            let mut changed = payload;
            changed[at] ^= 0x80;
            assert_eq!(Stamp::read(&changed, 4).is_some(), at < 4, "{at}");
        }
        assert_eq!(Stamp::read(&payload[..99], 4), None);
        assert_eq!(Stamp::read(&[], 4), None);
    }
}
