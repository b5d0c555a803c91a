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
