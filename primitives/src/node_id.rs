//! The identity of a node.

use crate::AccountId;
use alloc::{format, string::String};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::{fmt, str::FromStr};
use scale_info::TypeInfo;

/// The EVM address of a node's secp256k1 key: the last 20 bytes of keccak-256 of the uncompressed public key.
///
/// It names the node on the chain, in the registry, in TLS certificates and as libp2p peer.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct NodeId(pub [u8; 20]);

impl NodeId {
    /// The address of an uncompressed public key: 64 bytes, x ‖ y, without the leading `0x04`.
    pub fn from_uncompressed_key(public: &[u8; 64]) -> Self {
        let hash = sp_crypto_hashing::keccak_256(public);
        let mut id = [0u8; 20];
        id.copy_from_slice(hash.split_at(12).1);
        Self(id)
    }

    /// The account that this key controls: H160 ‖ 0xEE × 12 (the convention of pallet-revive's fallback mapping).
    pub fn account(&self) -> AccountId {
        let mut account = [0xEEu8; 32];
        account.split_at_mut(20).0.copy_from_slice(&self.0);
        AccountId::new(account)
    }

    /// The node whose key controls `account`, where `account` has the Ethereum form.
    pub fn from_account(account: &AccountId) -> Option<Self> {
        let bytes: &[u8; 32] = account.as_ref();
        let (head, tail) = bytes.split_at(20);
        if tail.iter().any(|b| *b != 0xEE) {
            return None;
        }
        let mut id = [0u8; 20];
        id.copy_from_slice(head);
        Some(Self(id))
    }

    /// Lower-case hex with `0x`.
    pub fn to_hex(&self) -> String {
        format!("{self}")
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a node id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeIdError;

impl fmt::Display for NodeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node id is 40 hex digits, with or without a leading 0x")
    }
}

impl core::error::Error for NodeIdError {}

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != 40 || !digits.is_ascii() {
            return Err(NodeIdError);
        }
        let mut id = [0u8; 20];
        for (byte, pair) in id.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = core::str::from_utf8(pair).map_err(|_| NodeIdError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NodeIdError)?;
        }
        Ok(Self(id))
    }
}

impl serde::Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn account_and_text_lead_back(bytes: [u8; 20]) {
            let node = NodeId(bytes);
            prop_assert_eq!(NodeId::from_account(&node.account()), Some(node));
            prop_assert_eq!(node.to_hex().parse(), Ok(node));
            prop_assert_eq!(node.to_hex().trim_start_matches("0x").parse(), Ok(node));
            let json = serde_json::to_string(&node).unwrap();
            prop_assert_eq!(serde_json::from_str::<NodeId>(&json).unwrap(), node);
        }

        #[test]
        fn no_text_panics(text in ".{0,50}") {
            let _ = text.parse::<NodeId>();
        }
    }

    #[test]
    fn other_accounts_are_no_nodes() {
        let mut account = [0xEE; 32];
        assert!(NodeId::from_account(&AccountId::new(account)).is_some());
        account[20] = 0;
        assert_eq!(NodeId::from_account(&AccountId::new(account)), None);
        assert_eq!(NodeId::from_account(&AccountId::new([0; 32])), None);
    }
}
