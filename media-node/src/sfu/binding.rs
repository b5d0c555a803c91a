//! STUN Binding requests that belong to no session (RFC 8489 §3, the Binding usage without authentication).
//!
//! An ICE check names a session (USERNAME) and is answered by that session or not at all. A request that names none asks one thing only: do
//! datagrams get here, and from which address? `chroom doctor` and monitoring ask it to tell a blocked port from a node that is down. The answer is safe
//! to send to an address that proved nothing: it is never longer than the request, so it amplifies nothing, and there are at most
//! [`PER_SECOND`] of them.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// Answers a second and shard, and as many at once.
const PER_SECOND: u32 = 50;
/// Bytes of a STUN header (RFC 8489 §5).
const HEADER: usize = 20;
const MAGIC: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// What ports are XORed with: the first half of it.
const PORT_KEY: u16 = 0x2112;
const REQUEST: [u8; 2] = [0x00, 0x01];
const SUCCESS: [u8; 2] = [0x01, 0x01];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0x00, 0x20];
/// Attributes from here on may be ignored by who does not know them (RFC 8489 §14).
const OPTIONAL: u16 = 0x8000;
/// Longest answer: a header and an IPv6 address.
const LONGEST: usize = HEADER + 24;

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Answer {
    /// What is to be sent.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }
}

/// The answer to a Binding request without credentials; `None` for all else, and for what is shorter than the answer.
pub fn answer(source: SocketAddr, datagram: &[u8]) -> Option<Answer> {
    let (header, mut attributes) = datagram.split_at_checked(HEADER)?;
    let (kind, rest) = header.split_first_chunk::<2>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (magic, transaction) = rest.split_first_chunk::<4>()?;
    if *kind != REQUEST || *magic != MAGIC || usize::from(u16::from_be_bytes(*length)) != attributes.len() {
        return None;
    }
    while !attributes.is_empty() {
        let (name, rest) = attributes.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        // Credentials are a session's matter; what else has to be understood isn't understood here.
        if u16::from_be_bytes(*name) < OPTIONAL {
            return None;
        }
        attributes = rest.get(usize::from(u16::from_be_bytes(*length)).next_multiple_of(4)..)?;
    }
    let key = MAGIC.iter().chain(transaction);
    // A socket for both families shows IPv4 addresses as mapped ones.
    let (mut v4, mut v6);
    let (family, address) = match source.ip().to_canonical() {
        IpAddr::V4(ip) => {
            v4 = ip.octets();
            (1, v4.as_mut_slice())
        }
        IpAddr::V6(ip) => {
            v6 = ip.octets();
            (2, v6.as_mut_slice())
        }
    };
    address.iter_mut().zip(key).for_each(|(octet, key)| *octet ^= key);
    let value = 4 + u8::try_from(address.len()).unwrap_or_default();
    let mut answer = Answer { bytes: [0; LONGEST], length: 0 };
    answer.push(&SUCCESS);
    answer.push(&[0, value + 4]);
    answer.push(&MAGIC);
    answer.push(transaction);
    answer.push(&XOR_MAPPED_ADDRESS);
    answer.push(&[0, value, 0, family]);
    answer.push(&(source.port() ^ PORT_KEY).to_be_bytes());
    answer.push(address);
    (answer.length <= datagram.len()).then_some(answer)
}

/// How many answers are left.
#[derive(Debug)]
pub struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    /// A full one.
    pub fn new(now: Instant) -> Self {
        Self { left: PER_SECOND, since: now }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = REQUEST.to_vec();
        bytes.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
        bytes.extend(MAGIC);
        bytes.extend(b"transaction!");
        bytes.extend(attributes);
        bytes
    }

    /// SOFTWARE (0x8022) of so many bytes.
    fn software(length: u16) -> Vec<u8> {
        let mut bytes = vec![0x80, 0x22];
        bytes.extend(length.to_be_bytes());
        bytes.extend(vec![b'x'; usize::from(length).next_multiple_of(4)]);
        bytes
    }

    #[test]
    fn a_plain_request_learns_its_address() {
        // The transaction and the addresses of RFC 5769 §2.2 and §2.3.
        let transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        let v4 = [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        let v6 = [
            0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25,
            0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        for (source, attribute) in [
            ("192.0.2.1:32853", &v4[..]),
            ("[::ffff:192.0.2.1]:32853", &v4),
            ("[2001:db8:1234:5678:11:2233:4455:6677]:32853", &v6),
        ] {
            let mut asked = request(&software(20));
            asked[8..20].copy_from_slice(&transaction);
            let answer = answer(source.parse().unwrap(), &asked).unwrap();
            let (header, attributes) = answer.as_bytes().split_at(20);
            assert_eq!(attributes, attribute, "{source}");
            assert_eq!(header[..8], [1, 1, 0, attribute.len() as u8, 0x21, 0x12, 0xA4, 0x42]);
            assert_eq!(header[8..], transaction);
        }
    }

    #[test]
    fn checks_and_what_is_not_understood_get_nothing() {
        let source: SocketAddr = "192.0.2.7:50000".parse().unwrap();
        let padded = |first: &[u8]| request(&[first, &software(20)].concat());
        assert!(answer(source, &padded(&[])).is_some());
        // USERNAME, MESSAGE-INTEGRITY's number, PRIORITY, and one that nobody knows.
        for name in [0x06u8, 0x08, 0x24, 0x7F] {
            assert!(answer(source, &padded(&[0, name, 0, 4, 1, 2, 3, 4])).is_none(), "{name:#x}");
        }
        let mut indication = padded(&[]);
        indication[1] = 0x11;
        assert!(answer(source, &indication).is_none());
        let mut cut = padded(&[]);
        cut.pop();
        assert!(answer(source, &cut).is_none());
    }

    #[test]
    fn there_is_an_end_to_answers_until_the_next_second() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let taken = (0..1_000).filter(|_| allowance.take(start + Duration::from_millis(999))).count();
        assert_eq!(taken, PER_SECOND as usize);
        assert!(allowance.take(start + Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn no_answer_is_longer_than_its_request(bytes in proptest::collection::vec(any::<u8>(), 0..100), length in 0u16..40, v6: bool) {
            let source: SocketAddr = if v6 { "[2001:db8::9]:1" } else { "192.0.2.7:1" }.parse().unwrap();
            for datagram in [bytes.clone(), request(&bytes), request(&software(length))] {
                if let Some(answer) = answer(source, &datagram) {
                    prop_assert!(answer.as_bytes().len() <= datagram.len());
                }
            }
            // As long as the answer is enough.
            let enough = usize::from(length).next_multiple_of(4) + 4 >= if v6 { 24 } else { 12 };
            prop_assert_eq!(answer(source, &request(&software(length))).is_some(), enough);
        }
    }
}
