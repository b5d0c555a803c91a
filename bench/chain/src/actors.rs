//! Who acts in the benchmark: accounts and nodes with keys that follow from their names.

use chroom_primitives::{AccountId, EthereumSignature, NodeId, signed::personal_hash};
use codec::Encode;
use sp_core::{Pair, ecdsa, sr25519};

/// The account of a name.
fn account(name: &str) -> sr25519::Pair {
    sr25519::Pair::from_seed(&sp_crypto_hashing::blake2_256(name.as_bytes()))
}

/// Who bonds for all nodes and claims for them.
pub fn operator() -> sr25519::Pair {
    account("chroom-bench/operator")
}

/// Who sends transfers.
pub fn payer() -> sr25519::Pair {
    account("chroom-bench/payer")
}

/// The application, whose escrow pays for usage.
pub fn application() -> sr25519::Pair {
    account("chroom-bench/application")
}

/// The account that a key controls.
pub fn account_of(pair: &sr25519::Pair) -> AccountId {
    AccountId::new(pair.public().0)
}

/// The media node of this number. It never signs, so that any id will do.
pub fn media(number: u32) -> NodeId {
    let hash = sp_crypto_hashing::blake2_256(&(b"chroom-bench/media", number).encode());
    let mut id = [0u8; 20];
    id.copy_from_slice(hash.split_at(20).0);
    NodeId(id)
}

/// The orchestrator that grants all sessions.
pub fn orchestrator() -> NodeId {
    media(u32::MAX)
}

/// A registry node, which sends roots.
#[derive(Clone)]
pub struct Attestor {
    /// Its identity.
    pub id: NodeId,
    key: ecdsa::Pair,
}

impl Attestor {
    /// The registry node of this number; `None` for a seed that is no key, which none of the numbers in use has.
    pub fn new(number: u32) -> Option<Self> {
        let seed = sp_crypto_hashing::blake2_256(&(b"chroom-bench/attestor", number).encode());
        let key = ecdsa::Pair::from_seed(&seed);
        let probe = [7u8; 32];
        let id = EthereumSignature(key.sign_prehashed(&probe).0).recover_hash(&probe)?;
        Some(Self { id, key })
    }

    /// Signs as an EVM wallet's `personal_sign` does.
    pub fn sign(&self, message: &[u8]) -> EthereumSignature {
        EthereumSignature(self.key.sign_prehashed(&personal_hash(message)).0)
    }
}
