//! What goes over the wire, as far as the generator must know it: the least that a real client says and reads.

pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod srtp;
pub mod stamp;
pub mod stun;

/// Big-endian number of two bytes at an offset.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Big-endian number of four bytes at an offset.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
