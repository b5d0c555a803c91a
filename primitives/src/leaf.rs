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
    /// Who says so: a leaf counts in this attestor's own tree only, so that a copied tree pays its copier nothing.
    pub attestor: NodeId,
    /// Kinds of observation that went into it.
    pub sources: SourceClasses,
    /// The score.
    pub score: Score,
    /// Share of the epoch in which the node was alive, in parts per 10,000.
    pub uptime: u16,
    /// Number of observations.
    pub samples: u32,
}

impl QosLeaf {
    /// Whether score and uptime lie within their scales.
    pub fn is_in_range(&self) -> bool {
        self.score <= Score::MAX && self.uptime <= 10_000
    }
}

/// What one application used of one media node in one epoch through one orchestrator, as one attestor says.
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
    /// Who granted the sessions: the application says whom it lets spend, and pays a share for the work.
    pub orchestrator: NodeId,
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

/// The place of a leaf in its tree: leaves are ordered by node, then quality before usage, then by application, then by
/// orchestrator; each key occurs at most once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LeafKey {
    /// The node that the leaf is about.
    pub node: NodeId,
    /// Whose usage of it; none for its quality.
    pub usage: Option<(AccountId, NodeId)>,
}

impl LeafKey {
    /// The key of the leaf about a node's quality.
    pub const fn quality(node: NodeId) -> Self {
        Self { node, usage: None }
    }
}

impl Leaf {
    /// The key by which the leaves of a tree are ordered.
    pub fn key(&self) -> LeafKey {
        match self {
            Leaf::Qos(leaf) => LeafKey::quality(leaf.node),
            Leaf::Usage(leaf) => {
                LeafKey { node: leaf.node, usage: Some((leaf.application.clone(), leaf.orchestrator)) }
            }
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
        let (epoch, attestor, sources) = (QosEpoch(1), NodeId([9; 20]), SourceClasses::default());
        Leaf::Qos(QosLeaf { epoch, node, attestor, sources, score, uptime: 1, samples: 1 })
    }

    fn usage(node: u8, application: u8, orchestrator: u8, bytes: u64) -> Leaf {
        let (node, application) = (NodeId([node; 20]), AccountId::new([application; 32]));
        let orchestrator = NodeId([orchestrator; 20]);
        Leaf::Usage(UsageLeaf { epoch: QosEpoch(1), node, application, orchestrator, bytes })
    }

    proptest! {
        #[test]
        fn any_order_ends_in_the_same_tree(picks in proptest::collection::vec((0u8..4, 0u8..6), 0..30), seed: u64) {
            let mut leaves: Vec<Leaf> = picks
                .iter()
                .map(|(node, application)| match application {
                    0 => quality(*node),
                    _ => usage(*node, *application / 2, *application % 2, 7),
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
        let mut leaves = alloc::vec![
            usage(2, 1, 1, 5),
            usage(1, 2, 1, 5),
            usage(1, 1, 2, 5),
            usage(1, 1, 1, 5),
            usage(1, 1, 1, 6),
            quality(1),
        ];
        order_leaves(&mut leaves);
        let ordered = [quality(1), usage(1, 1, 1, 5), usage(1, 1, 2, 5), usage(1, 2, 1, 5), usage(2, 1, 1, 5)];
        assert_eq!(leaves, ordered);
    }

    #[test]
    fn scores_and_uptimes_beyond_their_scales_are_out_of_range() {
        let Leaf::Qos(leaf) = quality(1) else { panic!("a leaf of quality") };
        assert!(leaf.is_in_range());
        assert!(!QosLeaf { score: Score(10_001), ..leaf.clone() }.is_in_range());
        assert!(!QosLeaf { uptime: 10_001, ..leaf }.is_in_range());
    }

    #[test]
    fn the_kinds_of_leaf_never_encode_alike() {
        assert_eq!(quality(1).encode().first(), Some(&0));
        assert_eq!(usage(1, 1, 1, 1).encode().first(), Some(&1));
    }
}
