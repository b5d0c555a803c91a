//! What nodes sign, and how.
//!
//! A node signs with its EVM key as any wallet's `personal_sign` does, over a 32-byte digest: keccak-256 of
//! `domain ‖ 0x00 ‖ genesis hash ‖ SCALE(payload)`. The domain separates kinds of message, the genesis hash separates
//! networks, so that nothing signed for one can be replayed as the other.

use crate::{Hash, NodeId};
use alloc::{format, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;
use sp_crypto_hashing::keccak_256;

/// A recoverable secp256k1 signature as EVM wallets give it: r ‖ s ‖ v with v in {0, 1, 27, 28}.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct EthereumSignature(pub [u8; 65]);

impl EthereumSignature {
    /// The address that signed `hash`, if the signature is one.
    pub fn recover_hash(&self, hash: &[u8; 32]) -> Option<NodeId> {
        let mut signature = self.0;
        let v = signature.last_mut()?;
        if *v >= 27 {
            *v -= 27;
        }
        if *v > 1 {
            return None;
        }
        let key = sp_io::crypto::secp256k1_ecdsa_recover(&signature, hash).ok()?;
        Some(NodeId::from_uncompressed_key(&key))
    }

    /// The address that signed `message` by EIP-191 `personal_sign`.
    pub fn recover_personal(&self, message: &[u8]) -> Option<NodeId> {
        self.recover_hash(&personal_hash(message))
    }

    /// The address that signed keccak-256 of `message`.
    pub fn recover_raw(&self, message: &[u8]) -> Option<NodeId> {
        self.recover_hash(&keccak_256(message))
    }
}

impl fmt::Debug for EthereumSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl serde::Serialize for EthereumSignature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

impl<'de> serde::Deserialize<'de> for EthereumSignature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = <alloc::string::String as serde::Deserialize>::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        if digits.len() != 130 || !digits.is_ascii() {
            return Err(D::Error::custom("a signature is 130 hex digits with a leading 0x"));
        }
        let mut signature = [0u8; 65];
        for (byte, pair) in signature.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = core::str::from_utf8(pair).map_err(D::Error::custom)?;
            *byte = u8::from_str_radix(pair, 16).map_err(D::Error::custom)?;
        }
        Ok(Self(signature))
    }
}

/// The hash that EIP-191 version 0x45 (`personal_sign`) has a wallet sign for `message`.
pub fn personal_hash(message: &[u8]) -> [u8; 32] {
    let mut input: Vec<u8> = format!("\x19Ethereum Signed Message:\n{}", message.len()).into_bytes();
    input.extend_from_slice(message);
    keccak_256(&input)
}

/// A payload that a node signs.
pub trait Signable: Encode {
    /// Name of the kind of message, with a version.
    const DOMAIN: &'static str;

    /// The 32 bytes that a wallet is given to `personal_sign`.
    fn digest(&self, genesis: &Hash) -> [u8; 32] {
        let mut input: Vec<u8> = Self::DOMAIN.as_bytes().to_vec();
        input.push(0);
        input.extend_from_slice(genesis.as_bytes());
        self.encode_to(&mut input);
        keccak_256(&input)
    }

    /// The hash that the key really signs: EIP-191 of [`Signable::digest`].
    fn signing_hash(&self, genesis: &Hash) -> [u8; 32] {
        personal_hash(&self.digest(genesis))
    }
}

/// A payload with a node's signature.
#[derive(
    Clone,
    PartialEq,
    Eq,
    Debug,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Signed<T> {
    /// What was signed.
    pub payload: T,
    /// The signature.
    pub signature: EthereumSignature,
}

impl<T: Signable> Signed<T> {
    /// The node that signed the payload for the network with this genesis hash.
    pub fn signer(&self, genesis: &Hash) -> Option<NodeId> {
        self.signature.recover_hash(&self.payload.signing_hash(genesis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Role,
        record::{KeyProof, SessionGrant},
    };
    use proptest::prelude::*;
    use sp_core::{Pair, ecdsa};

    fn genesis() -> Hash {
        Hash::repeat_byte(5)
    }

    fn key(seed: u8) -> ecdsa::Pair {
        let mut secret = [0u8; 32];
        secret[31] = seed;
        ecdsa::Pair::from_seed(&secret)
    }

    fn sign(key: &ecdsa::Pair, hash: &[u8; 32]) -> EthereumSignature {
        EthereumSignature(key.sign_prehashed(hash).0)
    }

    fn proof() -> KeyProof {
        KeyProof {
            node: "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf".parse().unwrap(),
            owner: crate::AccountId::new([9; 32]),
            role: Role::Media,
            nonce: 0,
            expires_at: 10,
        }
    }

    #[test]
    fn personal_sign_hashes_as_wallets_do() {
        // The documentation of ethers gives this value.
        let expected = "a1de988600a42c4b4ab089b619297c17d53cffae5d5120d82d8a92d0bb3b78f2";
        assert_eq!(hex::encode(personal_hash(b"Hello World")), expected);
    }

    #[test]
    fn the_recovered_address_is_the_evm_address() {
        // The secret key 1 has a well-known address.
        let signature = sign(&key(1), &personal_hash(b"text"));
        assert_eq!(signature.recover_personal(b"text"), Some(proof().node));
        assert_ne!(signature.recover_personal(b"texts"), Some(proof().node));
        assert_ne!(signature.recover_raw(b"text"), Some(proof().node));
    }

    #[test]
    fn both_conventions_for_v_are_understood_and_others_refused() {
        let signature = sign(&key(1), &personal_hash(b"text"));
        let with = |v: u8| {
            let mut bytes = signature.0;
            bytes[64] = v;
            EthereumSignature(bytes).recover_personal(b"text")
        };
        let v = signature.0[64];
        assert_eq!(with(v + 27), Some(proof().node));
        for v in [2, 3, 26, 29, 30, 255] {
            assert_eq!(with(v), None, "{v}");
        }
        assert_eq!(EthereumSignature([0; 65]).recover_personal(b"text"), None);
    }

    #[test]
    fn a_signature_fits_one_payload_kind_and_network_only() {
        let payload = proof();
        let signature = sign(&key(1), &payload.signing_hash(&genesis()));
        let signed = Signed { payload, signature };
        assert_eq!(signed.signer(&genesis()), Some(signed.payload.node));
        assert_ne!(signed.signer(&Hash::repeat_byte(6)), Some(signed.payload.node));
        let changed = Signed { payload: KeyProof { nonce: 1, ..proof() }, signature };
        assert_ne!(changed.signer(&genesis()), Some(signed.payload.node));
        assert_ne!(KeyProof::DOMAIN, SessionGrant::DOMAIN);
    }

    #[test]
    fn a_signature_is_hex_in_json() {
        let signature = EthereumSignature(core::array::from_fn(|index| index as u8));
        let text = serde_json::to_string(&signature).unwrap();
        assert!(text.starts_with("\"0x000102") && text.len() == 134);
        assert_eq!(serde_json::from_str::<EthereumSignature>(&text).unwrap(), signature);
        for bad in ["\"0x00\"", "\"\"", "1", &text.replace("00", "zz"), &text.replace("00", "é")] {
            assert!(serde_json::from_str::<EthereumSignature>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_recovery_fail_otherwise_than_by_saying_so(head: [u8; 32], tail: [u8; 32], v: u8, hash: [u8; 32]) {
            let mut bytes = [0u8; 65];
            bytes[..32].copy_from_slice(&head);
            bytes[32..64].copy_from_slice(&tail);
            bytes[64] = v;
            let recovered = EthereumSignature(bytes).recover_hash(&hash);
            prop_assert!(recovered.is_none() || matches!(v, 0 | 1 | 27 | 28));
        }
    }
}
