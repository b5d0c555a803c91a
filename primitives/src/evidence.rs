//! Objective evidence of misbehaviour: statements of one signer that cannot both be honest, and trees that lack what they must hold.

use crate::{
    Hash, Leaf, NodeId, QosEpoch, Signable, Signed,
    leaf::LeafKey,
    merkle::{InclusionProof, Root},
    record::NodeRecord,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Two records of one node with one sequence number and different contents.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct RecordEquivocation {
    /// One of the records.
    pub first: Signed<NodeRecord>,
    /// The other.
    pub second: Signed<NodeRecord>,
}

impl RecordEquivocation {
    /// The node that signed both, if they contradict each other.
    pub fn offender(&self, genesis: &Hash) -> Option<NodeId> {
        let (first, second) = (&self.first.payload, &self.second.payload);
        if first.seq != second.seq || first.node != second.node || first == second {
            return None;
        }
        let signer = self.first.signer(genesis)?;
        (signer == first.node && self.second.signer(genesis) == Some(signer)).then_some(signer)
    }
}

/// An attestor's word on its roots for an epoch, as it may give it to others besides the chain.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Debug,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct RootStatement {
    /// Who says so, and signs it.
    pub attestor: NodeId,
    /// The epoch that was measured.
    pub epoch: QosEpoch,
    /// Root over its leaves.
    pub quality: Root,
    /// Root of its registry snapshot.
    pub snapshot: Root,
}

impl Signable for RootStatement {
    const DOMAIN: &'static str = "chroom/root-statement/1";
}

/// Shows that an attestor has more than one root for an epoch.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum RootEquivocation {
    /// Two statements about one epoch that differ.
    Statements {
        /// One of them.
        first: Signed<RootStatement>,
        /// The other.
        second: Signed<RootStatement>,
    },
    /// A statement that differs from the roots that the attestor sent to the chain.
    AgainstChain(Signed<RootStatement>),
}

impl RootEquivocation {
    /// The statement that the evidence begins with, if its own attestor signed all there is, and two statements are of one epoch
    /// and differ. Whether a single one differs from the chain's is for the chain to say.
    pub fn statement(&self, genesis: &Hash) -> Option<RootStatement> {
        let own = |signed: &Signed<RootStatement>| {
            (signed.signer(genesis) == Some(signed.payload.attestor)).then_some(signed.payload)
        };
        match self {
            Self::Statements { first, second } => {
                let (one, other) = (&first.payload, &second.payload);
                if one.attestor != other.attestor || one.epoch != other.epoch || one == other {
                    return None;
                }
                own(second)?;
                own(first)
            }
            Self::AgainstChain(signed) => own(signed),
        }
    }
}

/// A leaf with the proof that it is in a tree.
pub type ProvenLeaf = (Leaf, InclusionProof);

/// Shows that a tree holds no leaf about a node's quality that a claim could use.
///
/// The tree need not be in order: wherever a key is absent, the tree's ends or two neighbours show it. Of a tree out of order they may also
/// "show" it of a key that is there, which is its maker's own fault.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum LeafOmission {
    /// The tree is empty.
    Empty,
    /// The tree begins after the leaf's place.
    Before(ProvenLeaf),
    /// The tree ends before the leaf's place.
    After(ProvenLeaf),
    /// The two leaves that would be the leaf's neighbours are each other's.
    Between(ProvenLeaf, ProvenLeaf),
    /// At the leaf's place is one of another epoch or attestor, or out of range: nobody can claim with it.
    Void(ProvenLeaf),
}

impl LeafOmission {
    /// Whether this shows that the tree with this `root`, which `attestor` sent for `epoch`, leaves out the quality of `node`.
    pub fn holds(&self, root: &Root, epoch: QosEpoch, attestor: &NodeId, node: &NodeId) -> bool {
        let missing = LeafKey::quality(*node);
        let is_in = |(leaf, inclusion): &ProvenLeaf| root.contains(leaf, inclusion);
        match self {
            Self::Empty => root.leaves == 0,
            Self::Before(first) => first.1.index == 0 && first.0.key() > missing && is_in(first),
            Self::After(last) => {
                Some(last.1.index) == root.leaves.checked_sub(1) && last.0.key() < missing && is_in(last)
            }
            Self::Between(left, right) => {
                left.1.index.checked_add(1) == Some(right.1.index)
                    && left.0.key() < missing
                    && right.0.key() > missing
                    && is_in(left)
                    && is_in(right)
            }
            Self::Void(found) => match &found.0 {
                Leaf::Qos(leaf) => {
                    let usable = leaf.epoch == epoch && leaf.attestor == *attestor && leaf.is_in_range();
                    leaf.node == *node && !usable && is_in(found)
                }
                Leaf::Usage(_) => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AccountId, CapacityClass, Endpoint, EthereumSignature, H3Cell, QosLeaf, Role, Score, Signable, UsageLeaf,
        leaf::SourceClasses, merkle::Tree,
    };
    use proptest::prelude::*;
    use sp_core::{Pair, ecdsa};
    use sp_runtime::BoundedVec;

    const GENESIS: Hash = Hash::repeat_byte(1);
    const EPOCH: QosEpoch = QosEpoch(5);
    const ATTESTOR: NodeId = NodeId([9; 20]);

    fn signed(seed: u8, node: NodeId, seq: u64, left: bool) -> Signed<NodeRecord> {
        let payload = NodeRecord {
            node,
            seq,
            expires_ms: 0,
            role: Role::Media,
            cell: H3Cell(0),
            rpc: Endpoint::default(),
            public_url: BoundedVec::default(),
            p2p: BoundedVec::default(),
            class: CapacityClass::Small,
            version: BoundedVec::default(),
            left,
        };
        let signature = ecdsa::Pair::from_seed(&[seed; 32]).sign_prehashed(&payload.signing_hash(&GENESIS));
        Signed { payload, signature: EthereumSignature(signature.0) }
    }

    #[test]
    fn only_two_different_records_of_one_signer_and_number_contradict() {
        let hash = [7; 32];
        let node =
            EthereumSignature(ecdsa::Pair::from_seed(&[1; 32]).sign_prehashed(&hash).0).recover_hash(&hash).unwrap();
        let offender = |first, second| RecordEquivocation { first, second }.offender(&GENESIS);
        assert_eq!(offender(signed(1, node, 5, false), signed(1, node, 5, true)), Some(node));
        assert_eq!(offender(signed(1, node, 5, false), signed(1, node, 5, false)), None);
        assert_eq!(offender(signed(1, node, 5, false), signed(1, node, 6, true)), None);
        assert_eq!(offender(signed(2, node, 5, false), signed(2, node, 5, true)), None);
        assert_eq!(offender(signed(1, node, 5, false), signed(2, node, 5, true)), None);
        let evidence = RecordEquivocation { first: signed(1, node, 5, false), second: signed(1, node, 5, true) };
        assert_eq!(evidence.offender(&Hash::zero()), None);
    }

    fn node_of(seed: u8) -> NodeId {
        let hash = [7; 32];
        EthereumSignature(ecdsa::Pair::from_seed(&[seed; 32]).sign_prehashed(&hash).0).recover_hash(&hash).unwrap()
    }

    fn statement(seed: u8, attestor: NodeId, epoch: u32, quality: u8, snapshot: u8) -> Signed<RootStatement> {
        let root = |seed| Root { hash: Hash::repeat_byte(seed), leaves: 1 };
        let epoch = QosEpoch(epoch);
        let payload = RootStatement { attestor, epoch, quality: root(quality), snapshot: root(snapshot) };
        let signature = ecdsa::Pair::from_seed(&[seed; 32]).sign_prehashed(&payload.signing_hash(&GENESIS));
        Signed { payload, signature: EthereumSignature(signature.0) }
    }

    #[test]
    fn two_roots_of_one_attestor_for_one_epoch_contradict() {
        let (node, other) = (node_of(1), node_of(2));
        let shown = |first, second| RootEquivocation::Statements { first, second }.statement(&GENESIS);
        let honest = statement(1, node, 5, 1, 1);
        assert_eq!(shown(honest.clone(), statement(1, node, 5, 2, 1)), Some(honest.payload));
        assert_eq!(shown(honest.clone(), statement(1, node, 5, 1, 2)), Some(honest.payload));
        assert_eq!(shown(honest.clone(), honest.clone()), None);
        assert_eq!(shown(honest.clone(), statement(1, node, 6, 2, 1)), None);
        assert_eq!(shown(honest.clone(), statement(2, other, 5, 2, 1)), None);
        // Neither may be made by another.
        assert_eq!(shown(honest.clone(), statement(2, node, 5, 2, 1)), None);
        assert_eq!(shown(statement(2, node, 5, 2, 1), honest.clone()), None);
        let single = RootEquivocation::AgainstChain(honest.clone());
        assert_eq!(single.statement(&GENESIS), Some(honest.payload));
        assert_eq!(single.statement(&Hash::zero()), None);
        assert_eq!(RootEquivocation::AgainstChain(statement(2, node, 5, 1, 1)).statement(&GENESIS), None);
    }

    fn quality(node: u8) -> QosLeaf {
        QosLeaf {
            epoch: EPOCH,
            node: NodeId([node; 20]),
            attestor: ATTESTOR,
            sources: SourceClasses::default(),
            score: Score(9_000),
            uptime: 10_000,
            samples: 1,
        }
    }

    fn usage(node: u8) -> Leaf {
        let (application, orchestrator) = (AccountId::new([1; 32]), NodeId([2; 20]));
        Leaf::Usage(UsageLeaf { epoch: EPOCH, node: NodeId([node; 20]), application, orchestrator, bytes: 1 })
    }

    /// Every omission that can be made of a tree's leaves, whether it holds or not.
    fn attempts(leaves: &[Leaf]) -> Vec<LeafOmission> {
        let tree = Tree::new(leaves);
        let proven = |index: usize| (leaves[index].clone(), tree.prove(index as u32).unwrap());
        let mut all = vec![LeafOmission::Empty];
        for left in 0..leaves.len() {
            all.extend([LeafOmission::Before(proven(left)), LeafOmission::After(proven(left))]);
            all.push(LeafOmission::Void(proven(left)));
            all.extend((0..leaves.len()).map(|right| LeafOmission::Between(proven(left), proven(right))));
        }
        all
    }

    proptest! {
        #[test]
        fn exactly_what_is_left_out_is_shown_to_be(
            mut nodes in proptest::collection::vec((0u8..8, any::<bool>(), any::<bool>()), 0..10),
            sought in 0u8..8,
        ) {
            nodes.sort_by_key(|(node, _, _)| *node);
            nodes.dedup_by_key(|(node, _, _)| *node);
            let leaves: Vec<Leaf> = nodes
                .iter()
                .flat_map(|(node, rated, used)| {
                    rated.then(|| Leaf::Qos(quality(*node))).into_iter().chain(used.then(|| usage(*node)))
                })
                .collect();
            let root = Tree::new(&leaves).root();
            let there = nodes.iter().any(|(node, rated, _)| *node == sought && *rated);
            let shown = attempts(&leaves).iter().any(|o| o.holds(&root, EPOCH, &ATTESTOR, &NodeId([sought; 20])));
            prop_assert_eq!(shown, !there);
        }

        #[test]
        fn a_tree_out_of_order_hides_no_omission(nodes in proptest::collection::vec(0u8..6, 0..10), sought in 0u8..6) {
            let leaves: Vec<Leaf> = nodes.iter().map(|node| Leaf::Qos(quality(*node))).collect();
            let root = Tree::new(&leaves).root();
            if !nodes.contains(&sought) {
                let node = NodeId([sought; 20]);
                prop_assert!(attempts(&leaves).iter().any(|omission| omission.holds(&root, EPOCH, &ATTESTOR, &node)));
            }
        }
    }

    #[test]
    fn a_leaf_that_no_claim_can_use_is_an_omission() {
        let shown = |leaf: QosLeaf| {
            let (node, leaves) = (leaf.node, [Leaf::Qos(quality(1)), Leaf::Qos(leaf)]);
            let tree = Tree::new(&leaves);
            let proven = (leaves[1].clone(), tree.prove(1).unwrap());
            LeafOmission::Void(proven).holds(&tree.root(), EPOCH, &ATTESTOR, &node)
        };
        assert!(!shown(quality(2)));
        assert!(shown(QosLeaf { epoch: QosEpoch(4), ..quality(2) }));
        assert!(shown(QosLeaf { attestor: NodeId([8; 20]), ..quality(2) }));
        assert!(shown(QosLeaf { score: Score(10_001), ..quality(2) }));
        assert!(shown(QosLeaf { uptime: 10_001, ..quality(2) }));
    }

    #[test]
    fn neighbours_of_another_tree_show_nothing() {
        let leaves: Vec<Leaf> = [1, 3].map(|node| Leaf::Qos(quality(node))).to_vec();
        let fuller: Vec<Leaf> = [1, 2, 3].map(|node| Leaf::Qos(quality(node))).to_vec();
        let root = Tree::new(&fuller).root();
        assert!(attempts(&leaves).iter().all(|o| !o.holds(&root, EPOCH, &ATTESTOR, &NodeId([2; 20]))));
    }
}
