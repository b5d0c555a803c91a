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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quality(node: u8) -> Leaf {
        let (node, score) = (NodeId([node; 20]), Score(1));
        Leaf::Qos(QosLeaf { epoch: QosEpoch(1), node, sources: SourceClasses::default(), score, uptime: 1, samples: 1 })
    }

    fn usage(node: u8, application: u8, bytes: u64) -> Leaf {
        let (node, application) = (NodeId([node; 20]), AccountId::new([application; 32]));
        Leaf::Usage(UsageLeaf { epoch: QosEpoch(1), node, application, bytes })
    }

    proptest! {
        #[test]
        fn any_order_ends_in_the_same_tree(picks in proptest::collection::vec((0u8..4, 0u8..4), 0..30), seed: u64) {
            let mut leaves: Vec<Leaf> = picks
                .iter()
                .map(|(node, application)| match application {
                    0 => quality(*node),
                    _ => usage(*node, *application, 7),
                })
                .collect();
            let mut shuffled = leaves.clone();
            let count = shuffled.len().max(1);
            shuffled.rotate_left((seed as usize) % count);
            shuffled.reverse();
            order_leaves(&mut leaves);
            order_leaves(&mut shuffled);
            prop_assert_eq!(&leaves, &shuffled);
            prop_assert!(leaves.windows(2).all(|w| w[0].key() < w[1].key()));
        }
    }

    #[test]
    fn a_node_has_its_quality_first_and_a_key_once() {
        let mut leaves = alloc::vec![usage(2, 1, 5), usage(1, 2, 5), usage(1, 1, 5), usage(1, 1, 6), quality(1)];
        order_leaves(&mut leaves);
        assert_eq!(leaves, [quality(1), usage(1, 1, 5), usage(1, 2, 5), usage(2, 1, 5)]);
    }

    #[test]
    fn the_kinds_of_leaf_never_encode_alike() {
        assert_eq!(quality(1).encode().first(), Some(&0));
        assert_eq!(usage(1, 1, 1).encode().first(), Some(&1));
    }
}
