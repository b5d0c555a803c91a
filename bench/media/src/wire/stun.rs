//! STUN for ICE (RFC 8489, RFC 8445): a client's connectivity and consent checks, and answers to the other side's.

use super::{be16, be32};
use aws_lc_rs::hmac;
use std::net::{IpAddr, SocketAddr};

const COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLING: u16 = 0x802A;
/// Of a host candidate (RFC 8445 §5.1.2.2).
const HOST_PRIORITY: u32 = (126 << 24) | (65_535 << 8) | 255;

/// Names one transaction.
pub type TransactionId = [u8; 12];

/// What came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// The other side checks.
    Request(TransactionId),
    /// It answers a check.
    Success(TransactionId),
}

/// Whether a datagram is STUN (RFC 7983 §7).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|byte| *byte < 4) && be32(datagram, 4) == Some(COOKIE)
}

/// Reads a binding message; others and malformed ones are `None`. Integrity isn't verified: the generator knows its only peer.
pub fn read(datagram: &[u8]) -> Option<Message> {
    if !is_stun(datagram) {
        return None;
    }
    let id = datagram.get(8..20)?.try_into().ok()?;
    match be16(datagram, 0)? {
        BINDING_REQUEST => Some(Message::Request(id)),
        BINDING_SUCCESS => Some(Message::Success(id)),
        _ => None,
    }
}

/// A check by the controlling agent that nominates its pair at once.
pub fn request(id: TransactionId, username: &str, password: &str, tie_breaker: u64) -> Vec<u8> {
    let mut message = begin(BINDING_REQUEST, id);
    attribute(&mut message, USERNAME, username.as_bytes());
    attribute(&mut message, PRIORITY, &HOST_PRIORITY.to_be_bytes());
    attribute(&mut message, ICE_CONTROLLING, &tie_breaker.to_be_bytes());
    attribute(&mut message, USE_CANDIDATE, &[]);
    seal(message, password)
}

/// The answer to the other side's check.
pub fn success(id: TransactionId, mapped: SocketAddr, password: &str) -> Vec<u8> {
    let mut message = begin(BINDING_SUCCESS, id);
    let port = mapped.port() ^ (COOKIE >> 16) as u16;
    let mask = COOKIE.to_be_bytes().into_iter().chain(id);
    let (family, octets) = match mapped.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut value = vec![0, family];
    value.extend(port.to_be_bytes());
    value.extend(octets.into_iter().zip(mask).map(|(octet, mask)| octet ^ mask));
    attribute(&mut message, XOR_MAPPED_ADDRESS, &value);
    seal(message, password)
}

fn begin(kind: u16, id: TransactionId) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend(kind.to_be_bytes());
    message.extend([0, 0]);
    message.extend(COOKIE.to_be_bytes());
    message.extend(id);
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// Writes the length that the message will have once `more` bytes are added.
fn set_length(message: &mut [u8], more: usize) {
    let len = (message.len() + more).saturating_sub(20) as u16;
    message.iter_mut().skip(2).zip(len.to_be_bytes()).for_each(|(to, from)| *to = from);
}

/// Adds MESSAGE-INTEGRITY and FINGERPRINT (RFC 8489 §14.5, §14.7); each covers the message with its own length counted in.
fn seal(mut message: Vec<u8>, password: &str) -> Vec<u8> {
    set_length(&mut message, 24);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let tag = hmac::sign(&key, &message);
    attribute(&mut message, MESSAGE_INTEGRITY, tag.as_ref());
    set_length(&mut message, 8);
    let sum = crc32(&message) ^ 0x5354_554E;
    attribute(&mut message, FINGERPRINT, &sum.to_be_bytes());
    message
}

/// CRC-32 of ISO 3309, bit by bit: a few checks a second need no table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 §2.2 has another attribute before, so the tail alone is compared through a message of our own making.
    #[test]
    fn the_check_sum_is_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    /// The sample response of RFC 5769 §2.2, SOFTWARE attribute and all.
    #[test]
    fn a_response_is_sealed_as_the_rfc_shows() {
        let id = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        let mut message = begin(BINDING_SUCCESS, id);
        attribute(&mut message, 0x8022, b"test vector");
        // The RFC pads with a space.
        *message.last_mut().unwrap() = 0x20;
        attribute(&mut message, XOR_MAPPED_ADDRESS, &[0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let sealed = seal(message, "VOkJxbRl1RmTxUk/WvJxBt");
        let tail = [
            0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9,
            0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
        ];
        assert!(sealed.ends_with(&tail), "{sealed:02x?}");
        assert_eq!(be16(&sealed, 2), Some(60));
        let mapped = success(id, "192.0.2.1:32853".parse().unwrap(), "x");
        assert_eq!(mapped[20..32], [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
    }

    #[test]
    fn messages_are_told_apart() {
        let id = [7; 12];
        assert_eq!(read(&request(id, "a:b", "secret", 1)), Some(Message::Request(id)));
        assert_eq!(read(&success(id, "127.0.0.1:9".parse().unwrap(), "s")), Some(Message::Success(id)));
        assert_eq!(read(&[0, 1, 0, 0]), None);
        assert!(!is_stun(&[0x80, 96, 0, 0, 0, 0, 0, 0]));
    }
}
