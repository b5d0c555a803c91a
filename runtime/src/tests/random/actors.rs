//! Who acts: people with Polkadot accounts and session keys, and nodes with keys of their own.

use super::super::signature::EthereumKey;
use crate::{AccountId, SessionKeys};
use chroom_primitives::NodeId;
use sp_core::{Pair, ecdsa, ed25519, sr25519};
use sp_keyring::Sr25519Keyring;
use std::collections::BTreeMap;

/// Keys that nodes may have.
const KEYS: u8 = 28;

/// Everybody.
pub struct Actors {
    /// Owners, applications, delegators, candidates.
    pub people: Vec<AccountId>,
    /// The keys of nodes, by their address.
    keys: BTreeMap<NodeId, EthereumKey>,
    /// Their addresses, in the order of the keys. Their accounts own nodes too, as EVM wallets do.
    pub nodes: Vec<NodeId>,
}

impl Actors {
    pub fn new() -> Self {
        let people = [
            Sr25519Keyring::Alice,
            Sr25519Keyring::Bob,
            Sr25519Keyring::Charlie,
            Sr25519Keyring::Dave,
            Sr25519Keyring::Eve,
            Sr25519Keyring::Ferdie,
        ]
        .map(|key| key.to_account_id())
        .to_vec();
        let nodes: Vec<NodeId> = (1..=KEYS).map(|seed| EthereumKey::new(seed).address()).collect();
        let keys = (1..=KEYS).map(|seed| (EthereumKey::new(seed).address(), EthereumKey::new(seed))).collect();
        Self { people, keys, nodes }
    }

    /// The key of a node.
    pub fn key(&self, node: &NodeId) -> &EthereumKey {
        &self.keys[node]
    }

    /// Those whose escrows pay for usage.
    pub fn applications(&self) -> &[AccountId] {
        &self.people[3..]
    }

    /// The node that is an orchestrator from the genesis on.
    pub fn orchestrator(&self) -> NodeId {
        self.nodes[7]
    }
}

/// Session keys of the person at `place`.
pub fn session_keys(place: usize) -> SessionKeys {
    let seed = [100 + place as u8; 32];
    SessionKeys {
        babe: sr25519::Pair::from_seed(&seed).public().into(),
        grandpa: ed25519::Pair::from_seed(&seed).public().into(),
        authority_discovery: sr25519::Pair::from_seed(&seed).public().into(),
        beefy: ecdsa::Pair::from_seed(&seed).public().into(),
    }
}
