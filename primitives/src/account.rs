//! Accounts and the chain's one signature type.
//!
//! An account is an [`AccountId32`]; the signature enum's indices 0 to 2 equal sp-runtime's `MultiSignature`, so Polkadot
//! wallets work unchanged. Index 3 is Ethereum: the account of an EVM address is H160 ‖ 0xEE × 12
//! ([`NodeId::account`]). sp-runtime's own `MultiSignature::Eth` hashes the compressed key, which gives another address.

use crate::{NodeId, signed::EthereumSignature};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::{ecdsa, ed25519, sr25519};
use sp_runtime::{
    AccountId32, MultiSignature, MultiSigner,
    traits::{IdentifyAccount, Lazy, Verify},
};

/// An account of the chain.
pub type AccountId = AccountId32;

/// A signature by any of the supported key types.
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
pub enum ChroomSignature {
    /// Ed25519.
    Ed25519(ed25519::Signature),
    /// Sr25519.
    Sr25519(sr25519::Signature),
    /// Secp256k1 over BLAKE2b-256, as Polkadot signs.
    Ecdsa(ecdsa::Signature),
    /// Secp256k1 as Ethereum signs: EIP-191 `personal_sign`, or keccak-256 of the bytes.
    Ethereum(EthereumSignature),
}

/// The public side of a [`ChroomSignature`].
#[derive(
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Debug,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum ChroomSigner {
    /// Ed25519.
    Ed25519(ed25519::Public),
    /// Sr25519.
    Sr25519(sr25519::Public),
    /// Secp256k1, with Polkadot's account (BLAKE2b-256 of the compressed key).
    Ecdsa(ecdsa::Public),
    /// Secp256k1, with Ethereum's account.
    Ethereum(NodeId),
}

impl IdentifyAccount for ChroomSigner {
    type AccountId = AccountId;

    fn into_account(self) -> AccountId {
        match self {
            ChroomSigner::Ed25519(key) => MultiSigner::Ed25519(key).into_account(),
            ChroomSigner::Sr25519(key) => MultiSigner::Sr25519(key).into_account(),
            ChroomSigner::Ecdsa(key) => MultiSigner::Ecdsa(key).into_account(),
            ChroomSigner::Ethereum(address) => address.account(),
        }
    }
}

impl Verify for ChroomSignature {
    type Signer = ChroomSigner;

    fn verify<L: Lazy<[u8]>>(&self, mut message: L, signer: &AccountId) -> bool {
        match self {
            ChroomSignature::Ed25519(signature) => MultiSignature::Ed25519(*signature).verify(message, signer),
            ChroomSignature::Sr25519(signature) => MultiSignature::Sr25519(*signature).verify(message, signer),
            ChroomSignature::Ecdsa(signature) => MultiSignature::Ecdsa(*signature).verify(message, signer),
            ChroomSignature::Ethereum(signature) => {
                let Some(address) = NodeId::from_account(signer) else { return false };
                let bytes = message.get();
                signature.recover_personal(bytes) == Some(address) || signature.recover_raw(bytes) == Some(address)
            }
        }
    }
}

impl From<ed25519::Public> for ChroomSigner {
    fn from(key: ed25519::Public) -> Self {
        ChroomSigner::Ed25519(key)
    }
}

impl From<sr25519::Public> for ChroomSigner {
    fn from(key: sr25519::Public) -> Self {
        ChroomSigner::Sr25519(key)
    }
}

impl From<ecdsa::Public> for ChroomSigner {
    fn from(key: ecdsa::Public) -> Self {
        ChroomSigner::Ecdsa(key)
    }
}

impl From<sr25519::Signature> for ChroomSignature {
    fn from(signature: sr25519::Signature) -> Self {
        ChroomSignature::Sr25519(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sp_core::Pair;

    fn check(signature: ChroomSignature, signer: ChroomSigner) {
        let account = signer.into_account();
        assert!(signature.verify(&b"message"[..], &account));
        assert!(!signature.verify(&b"massage"[..], &account));
        assert!(!signature.verify(&b"message"[..], &AccountId::new([0xEE; 32])));
        assert!(!signature.verify(&b"message"[..], &AccountId::new([0; 32])));
    }

    #[test]
    fn polkadots_three_kinds_verify_and_keep_their_index() {
        let key = ed25519::Pair::from_seed(&[1; 32]);
        let signature = ChroomSignature::Ed25519(key.sign(b"message"));
        assert_eq!(signature.encode(), MultiSignature::Ed25519(key.sign(b"message")).encode());
        check(signature, key.public().into());
        let key = sr25519::Pair::from_seed(&[1; 32]);
        let signature = ChroomSignature::Sr25519(key.sign(b"message"));
        assert_eq!(signature.encode().first(), Some(&1));
        check(signature, key.public().into());
        let key = ecdsa::Pair::from_seed(&[1; 32]);
        let signature = ChroomSignature::Ecdsa(key.sign(b"message"));
        assert_eq!(signature.encode(), MultiSignature::Ecdsa(key.sign(b"message")).encode());
        check(signature, key.public().into());
    }

    #[test]
    fn ethereum_wallets_verify_in_both_ways() {
        let key = ecdsa::Pair::from_seed(&[1; 32]);
        for hash in [crate::signed::personal_hash(b"message"), sp_crypto_hashing::keccak_256(b"message")] {
            let signature = EthereumSignature(key.sign_prehashed(&hash).0);
            let node = signature.recover_hash(&hash).unwrap();
            let signature = ChroomSignature::Ethereum(signature);
            assert_eq!(signature.encode().first(), Some(&3));
            check(signature, ChroomSigner::Ethereum(node));
        }
    }

    #[test]
    fn one_key_has_two_accounts_and_neither_signs_for_the_other() {
        let key = ecdsa::Pair::from_seed(&[1; 32]);
        let hash = crate::signed::personal_hash(b"message");
        let ethereum = EthereumSignature(key.sign_prehashed(&hash).0);
        let polkadot: AccountId = ChroomSigner::Ecdsa(key.public()).into_account();
        assert!(!ChroomSignature::Ethereum(ethereum).verify(&b"message"[..], &polkadot));
        let node = ethereum.recover_hash(&hash).unwrap();
        assert!(!ChroomSignature::Ecdsa(key.sign(b"message")).verify(&b"message"[..], &node.account()));
    }
}
