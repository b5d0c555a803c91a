//! The pipes' port: a QUIC endpoint tells the versions that it speaks to whoever comes with one that it does not know (RFC 9000 §6), so it can be asked
//! for without a certificate or a handshake.

/// A version that nobody speaks: reserved to force negotiation (RFC 9000 §15).
const VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];
/// First packets are at least so long (RFC 9000 §14.1), so that no answer is longer.
const LENGTH: usize = 1_200;
/// Bytes of each connection id.
const ID: usize = 8;

/// A packet that asks for the versions.
#[derive(Clone, Debug)]
pub struct Knock {
    ids: [u8; 2 * ID],
    bytes: Vec<u8>,
}

impl Knock {
    /// A packet with these connection ids: the endpoint's, then this side's.
    pub fn new(ids: [u8; 2 * ID]) -> Self {
        let (theirs, own) = ids.split_at(ID);
        let length = [u8::try_from(ID).unwrap_or_default()];
        let mut bytes = [&[0xC0], &VERSION[..], &length, theirs, &length, own].concat();
        bytes.resize(LENGTH, 0);
        Self { ids, bytes }
    }

    /// What is to be sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether this is a Version Negotiation packet (RFC 9000 §17.2.1) in answer to it: the ids come back the other way round.
    pub fn is_answer(&self, datagram: &[u8]) -> bool {
        let (theirs, own) = self.ids.split_at(ID);
        let length = [u8::try_from(ID).unwrap_or_default()];
        let head = [&[0; 4], &length[..], own, &length, theirs].concat();
        let Some((first, rest)) = datagram.split_first() else { return false };
        let versions = rest.strip_prefix(head.as_slice());
        *first >= 0x80 && versions.is_some_and(|versions| !versions.is_empty() && versions.len() % 4 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_packet_counts() {
        let knock = Knock::new(*b"theirs--own-----");
        assert_eq!(knock.as_bytes().len(), LENGTH);
        assert!(!knock.is_answer(knock.as_bytes()));
        let answer = [&[0x80, 0, 0, 0, 0, 8][..], b"own-----", &[8], b"theirs--", &[0, 0, 0, 1]].concat();
        assert!(knock.is_answer(&answer));
        assert!(!Knock::new(*b"theirs--another-").is_answer(&answer));
        assert!(
            !knock.is_answer(&answer[..answer.len() - 1]) && !knock.is_answer(&answer[..23]) && !knock.is_answer(&[])
        );
    }
}
