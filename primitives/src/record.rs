//! What nodes publish of themselves through the registry.

use crate::{
    AccountId, CapacityClass, Endpoint, H3Cell, Hash, NodeId, NodeStatus, QosEpoch, Role, UnixMs, signed::Signable,
};
use alloc::string::String;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_core::ConstU32;
use sp_runtime::BoundedVec;

/// Short text in a record (software version, region name, URL), UTF-8.
pub type ShortText = BoundedVec<u8, ConstU32<64>>;

/// Sequence number of a record: `max(previous + 1, unix_ms << 16)`, so that it grows over restarts without stored state
/// and says when it was made.
pub fn next_seq(previous: u64, now: UnixMs) -> u64 {
    previous.saturating_add(1).max(now << 16)
}

/// Unix time in milliseconds at which a sequence number was made.
pub const fn seq_time(seq: u64) -> UnixMs {
    seq >> 16
}

/// A node's own entry in the register: who it is and how to reach it. It changes rarely; at most 300 bytes encoded.
#[derive(
    Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct NodeRecord {
    /// The node that the record is of, and that signs it.
    pub node: NodeId,
    /// Orders a node's records: the greatest wins.
    pub seq: u64,
    /// Unix time in milliseconds after which the record is void. Never more than [`NodeRecord::MAX_LIFETIME_MS`] after the time in `seq`.
    pub expires_ms: UnixMs,
    /// What the node does; must equal its registration.
    pub role: Role,
    /// Where it is.
    pub cell: H3Cell,
    /// Its gRPC interface (mutual TLS).
    pub rpc: Endpoint,
    /// Public HTTP interface (`http://host:port`): API of a media node, JSON-RPC of a registry node, signalling URL of an orchestrator.
    pub public_url: ShortText,
    /// libp2p multiaddress of a registry node; empty for other roles.
    pub p2p: BoundedVec<u8, ConstU32<96>>,
    /// Capacity class that the node is registered with.
    pub class: CapacityClass,
    /// Software version.
    pub version: ShortText,
    /// Whether the node has left: a signed farewell that outlives older records until it expires.
    pub left: bool,
}

impl NodeRecord {
    /// Longest lifetime of a record.
    pub const MAX_LIFETIME_MS: u64 = 24 * 60 * 60 * 1_000;
    /// Largest encoded record.
    pub const MAX_ENCODED: usize = 300;

    /// BLAKE2b-256 of the encoding, as in a snapshot leaf.
    pub fn hash(&self) -> Hash {
        Hash::from(sp_crypto_hashing::blake2_256(&self.encode()))
    }
}

impl Signable for NodeRecord {
    const DOMAIN: &'static str = "chroom/node-record/1";
}

/// What a media node measures of its load, every few seconds. Kept in memory only.
#[derive(
    Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct LoadReport {
    /// The node.
    pub node: NodeId,
    /// Orders a node's reports; same rule as for records.
    pub seq: u64,
    /// CPU use in parts per 10,000 of what the node may use.
    pub cpu: u16,
    /// Measured ingress in kb/s, over pipes included.
    pub ingress_kbps: u32,
    /// Measured egress to callers in kb/s. What goes over pipes to other media nodes is not in it, since no caller's receipt confirms that.
    pub egress_kbps: u32,
    /// Egress that the node can give, in kb/s, over pipes included.
    pub egress_limit_kbps: u32,
    /// Live rooms.
    pub rooms: u32,
    /// Live sessions.
    pub sessions: u32,
    /// Packets lost towards receivers, in parts per 10,000 (from their RTCP reports).
    pub loss: u16,
    /// Mean round-trip time to receivers in milliseconds.
    pub rtt_ms: u32,
    /// Whether the node takes new sessions.
    pub accepting: bool,
}

impl Signable for LoadReport {
    const DOMAIN: &'static str = "chroom/load-report/1";
}

/// A media node's own account of one session in one interval: usage, and a cross-check of the callers' receipts.
#[derive(
    Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct NodeQosReport {
    /// The node.
    pub node: NodeId,
    /// The epoch that the interval lies in.
    pub epoch: QosEpoch,
    /// Orders a node's reports; same rule as for records.
    pub seq: u64,
    /// The session (random 128-bit id; no identity in it).
    pub session: [u8; 16],
    /// Start and end of the interval, Unix time in milliseconds.
    pub from_ms: UnixMs,
    /// End of the interval.
    pub to_ms: UnixMs,
    /// Bytes of media sent to the session's caller.
    pub sent_bytes: u64,
    /// Bytes of media received from it.
    pub received_bytes: u64,
    /// Fraction lost towards the caller, parts per 10,000.
    pub loss: u16,
    /// Round-trip time in milliseconds.
    pub rtt_ms: u32,
    /// Jitter in milliseconds.
    pub jitter_ms: u32,
}

impl Signable for NodeQosReport {
    const DOMAIN: &'static str = "chroom/node-qos/1";
}

/// Shows that the holder of a node's key agrees to be registered by an owner. Signed by the node's key.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct KeyProof {
    /// The node.
    pub node: NodeId,
    /// The account that bonds for it.
    pub owner: AccountId,
    /// What it will do.
    pub role: Role,
    /// The owner's registration nonce for this node (0 at first, then one more after each registration).
    pub nonce: u32,
    /// Last block at which the proof may be used.
    pub expires_at: u32,
}

impl Signable for KeyProof {
    const DOMAIN: &'static str = "chroom/key-proof/1";
}

/// An orchestrator's word that a session existed on a node and which key its caller signs receipts with.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo, Serialize, Deserialize)]
pub struct SessionGrant {
    /// The orchestrator that signs.
    pub orchestrator: NodeId,
    /// The media node that serves.
    pub node: NodeId,
    /// The session's random id.
    pub session: [u8; 16],
    /// The account whose escrow pays.
    pub application: AccountId,
    /// The caller's ephemeral P-256 key, SEC1 compressed: the session's alone, so it identifies nobody.
    #[serde(with = "serde_key")]
    pub receipt_key: [u8; 33],
    /// Unix time in milliseconds at which the session began.
    pub started_ms: UnixMs,
    /// Unix time in milliseconds after which receipts are void.
    pub expires_ms: UnixMs,
}

impl Signable for SessionGrant {
    const DOMAIN: &'static str = "chroom/session-grant/1";
}

mod serde_key {
    use super::*;
    use serde::de::Error;

    pub fn serialize<S: serde::Serializer>(key: &[u8; 33], serializer: S) -> Result<S::Ok, S::Error> {
        use core::fmt::Write;
        let mut text = String::with_capacity(66);
        for byte in key {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[u8; 33], D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        if text.len() != 66 || !text.is_ascii() {
            return Err(D::Error::custom("a receipt key is 66 hex digits"));
        }
        let mut key = [0u8; 33];
        for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = core::str::from_utf8(pair).map_err(D::Error::custom)?;
            *byte = u8::from_str_radix(pair, 16).map_err(D::Error::custom)?;
        }
        Ok(key)
    }
}

/// A node as the chain has it registered: what registries and orchestrators admit peers by.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo, Serialize, Deserialize)]
pub struct Registration {
    /// The node.
    pub node: NodeId,
    /// The account that bonded for it.
    pub owner: AccountId,
    /// What it does.
    pub role: Role,
    /// Where it stands.
    pub status: NodeStatus,
    /// Where it is.
    pub cell: H3Cell,
    /// Capacity class.
    pub class: CapacityClass,
    /// Registered gRPC endpoint.
    pub endpoint: Endpoint,
    /// Bond held, in the smallest unit.
    pub bond: u128,
    /// Price of usage in the smallest unit per GiB; media nodes only.
    pub price_per_gib: u128,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_grow_over_any_clock_and_say_their_time(previous in 0u64..u64::MAX / 2, now in 0u64..1 << 47) {
            let seq = next_seq(previous, now);
            prop_assert!(seq > previous);
            prop_assert!(seq_time(seq) >= now);
            prop_assert_eq!(seq_time(next_seq(0, now.max(1))), now.max(1));
        }

        #[test]
        fn a_grants_key_is_hex_in_json(head: [u8; 32], last: u8) {
            let mut receipt_key = [last; 33];
            receipt_key[..32].copy_from_slice(&head);
            let grant = SessionGrant {
                orchestrator: NodeId([1; 20]),
                node: NodeId([2; 20]),
                session: [3; 16],
                application: AccountId::new([4; 32]),
                receipt_key,
                started_ms: 5,
                expires_ms: 6,
            };
            let json = serde_json::to_string(&grant).unwrap();
            prop_assert_eq!(serde_json::from_str::<SessionGrant>(&json).unwrap(), grant);
        }
    }
}
