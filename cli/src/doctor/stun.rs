//! Binding requests without credentials (RFC 8489 §3): does a datagram get there, and from which address?

use rtc_stun::{
    attributes::ATTR_SOFTWARE,
    fingerprint::FingerprintAttr,
    message::{BINDING_REQUEST, BINDING_SUCCESS, Getter, Message, Setter, TransactionId},
    textattrs::TextAttribute,
    xoraddr::XorMappedAddress,
};
use std::net::SocketAddr;

/// A STUN message cannot be written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("cannot write a STUN message: {0}")]
pub struct StunError(pub String);

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub struct Binding {
    transaction: TransactionId,
    bytes: Vec<u8>,
}

impl Binding {
    /// A request with this transaction id. It is longer than the longest answer: a media node sends strangers nothing that is longer than
    /// what they sent.
    pub fn new(transaction: [u8; 12]) -> Result<Self, StunError> {
        let transaction = TransactionId(transaction);
        let mut message = Message::new();
        let software = TextAttribute::new(ATTR_SOFTWARE, format!("chroom doctor {}", env!("CARGO_PKG_VERSION")));
        let setters: [Box<dyn Setter>; 4] =
            [Box::new(BINDING_REQUEST), Box::new(transaction), Box::new(software), Box::new(FingerprintAttr)];
        message.build(&setters).map_err(|error| StunError(error.to_string()))?;
        Ok(Self { transaction, bytes: message.raw })
    }

    /// What is to be sent, again as long as nothing comes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The address that the request came from, if this is its answer.
    pub fn mapped(&self, datagram: &[u8]) -> Option<SocketAddr> {
        let mut message = Message::new();
        message.unmarshal_binary(datagram).ok()?;
        if message.transaction_id != self.transaction || message.typ != BINDING_SUCCESS {
            return None;
        }
        let mut address = XorMappedAddress::default();
        address.get_from(&message).is_ok().then(|| SocketAddr::new(address.ip, address.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The sample response of RFC 5769 §2.2, without the attributes behind the address.
    fn sample() -> Vec<u8> {
        let mut bytes = vec![0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
        bytes.extend([0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        bytes
    }

    #[test]
    fn an_answer_tells_the_address_and_only_to_who_asked() {
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&sample()[8..20]);
        let binding = Binding::new(transaction).unwrap();
        assert_eq!(binding.mapped(&sample()), Some("192.0.2.1:32853".parse().unwrap()));
        assert_eq!(Binding::new([0; 12]).unwrap().mapped(&sample()), None);
        assert_eq!(binding.mapped(binding.as_bytes()), None, "its own request");
        assert!(binding.as_bytes().len() >= 44, "an answer with an IPv6 address must fit");
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(bytes: Vec<u8>, at in 0usize..32, value: u8, cut in 0usize..32) {
            let binding = Binding::new([1; 12]).unwrap();
            binding.mapped(&bytes);
            let mut changed = sample();
            changed[at] = value;
            changed.truncate(cut);
            binding.mapped(&changed);
        }
    }
}
