//! The leaves that attestors and registries hash.

use crate::{AccountId, Hash, NodeId, QosEpoch, Score};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Which kinds of observation a score was made from, as a set of bits.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct SourceClasses(pub u8);

impl SourceClasses {
    /// Receipts that callers signed.
    pub const RECEIPTS: u8 = 1;
    /// Reports of the node itself: usage and cross-check, never its own score.
    pub const NODE_REPORTS: u8 = 2;
    /// Results of probes.
    pub const PROBES: u8 = 4;

    /// Whether all bits of `class` are in the set.
    pub const fn contains(self, class: u8) -> bool {
        self.0 & class == class
    }
}

/// What one attestor says of one media node in one epoch.
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
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct QosLeaf {
    /// The epoch that was measured.
    pub epoch: QosEpoch,
    /// The node that was observed.
    pub node: NodeId,
    /// Kinds of observation that went into it.
    pub sources: SourceClasses,
    /// The score.
    pub score: Score,
    /// Share of the epoch in which the node was alive, in parts per 10,000.
    pub uptime: u16,
    /// Number of observations.
    pub samples: u32,
}

/// What one application used of one media node in one epoch, as one attestor says.
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
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct UsageLeaf {
    /// The epoch that was measured.
    pub epoch: QosEpoch,
    /// The node that served.
    pub node: NodeId,
    /// The account whose escrow pays.
    pub application: AccountId,
    /// Bytes of media that receivers confirmed.
    pub bytes: u64,
}

/// A leaf of an attestor's tree. The variant's codec index separates the two kinds.
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
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Leaf {
    /// Quality of a node.
    Qos(QosLeaf),
    /// Usage of a node by an application.
    Usage(UsageLeaf),
}

impl Leaf {
    /// The key by which the leaves of a tree are ordered, each key at most once: node, kind, application.
    pub fn key(&self) -> (NodeId, u8, Option<AccountId>) {
        match self {
            Leaf::Qos(leaf) => (leaf.node, 0, None),
            Leaf::Usage(leaf) => (leaf.node, 1, Some(leaf.application.clone())),
        }
    }
}

/// Puts an attestor's leaves into the order of their tree. Of two leaves with one key the first is kept.
pub fn order_leaves(leaves: &mut Vec<Leaf>) {
    leaves.sort_by_key(Leaf::key);
    leaves.dedup_by_key(|leaf| leaf.key());
}

/// A leaf of a registry snapshot: the record of one node that was valid at the cut.
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
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct SnapshotLeaf {
    /// The node; leaves are ordered by it, each node at most once.
    pub node: NodeId,
    /// Sequence number of its record.
    pub seq: u64,
    /// BLAKE2b-256 of the record's SCALE encoding, without its signature.
    pub record_hash: Hash,
}
