//! The stamp that every synthetic packet carries in its last bytes.

/// Who sent a packet, which one it was, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Tag of the track ([`track_tag`]).
    pub tag: u32,
    /// Number of the packet within its track, from 0. It survives what an SFU rewrites in the RTP header.
    pub seq: u32,
    /// When it was sent, in microseconds since the Unix epoch.
    pub sent_us: u64,
}

const MAGIC: [u8; 4] = *b"CHR1";

impl Stamp {
    /// Length of an encoded stamp in bytes.
    pub const LEN: usize = 20;

    /// The stamp's bytes: magic, tag, sequence number and time, big-endian.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0u8; Self::LEN];
        let (magic, rest) = bytes.split_at_mut(4);
        let (tag, rest) = rest.split_at_mut(4);
        let (seq, sent) = rest.split_at_mut(4);
        magic.copy_from_slice(&MAGIC);
        tag.copy_from_slice(&self.tag.to_be_bytes());
        seq.copy_from_slice(&self.seq.to_be_bytes());
        sent.copy_from_slice(&self.sent_us.to_be_bytes());
        bytes
    }

    /// The stamp at the end of a payload, if there is one.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (_, stamp) = payload.split_at_checked(payload.len().checked_sub(Self::LEN)?)?;
        let (magic, rest) = stamp.split_first_chunk::<4>()?;
        let (tag, rest) = rest.split_first_chunk::<4>()?;
        let (seq, rest) = rest.split_first_chunk::<4>()?;
        let sent = rest.first_chunk::<8>()?;
        (*magic == MAGIC).then(|| Self {
            tag: u32::from_be_bytes(*tag),
            seq: u32::from_be_bytes(*seq),
            sent_us: u64::from_be_bytes(*sent),
        })
    }
}

/// Tag of the track with this id: FNV-1a, 32 bits.
pub fn track_tag(track: &str) -> u32 {
    track.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_behind_any_payload(tag: u32, seq: u32, sent_us: u64, head: Vec<u8>) {
            let stamp = Stamp { tag, seq, sent_us };
            let mut payload = head;
            payload.extend_from_slice(&stamp.encode());
            prop_assert_eq!(Stamp::decode(&payload), Some(stamp));
        }

        #[test]
        fn any_bytes_are_survived(payload: Vec<u8>) {
            let _ = Stamp::decode(&payload);
        }
    }
}
