//! What this attestor says of an epoch.

use chroom_chain_client::SentRoots;
use chroom_primitives::{
    Leaf, NodeId, QosEpoch, Score,
    leaf::order_leaves,
    merkle::{Root, Tree},
    runtime_api::MemberProof,
};
use codec::{Decode, Encode};

/// The leaves of one epoch, kept before their root is sent and never changed afterwards.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Attestation {
    /// The epoch that was measured.
    pub epoch: QosEpoch,
    /// The leaves in the order of the tree.
    pub leaves: Vec<Leaf>,
    /// Root of the registry snapshot that is sent along.
    pub snapshot: Root,
    /// Whether the chain has it.
    pub submitted: bool,
}

impl Attestation {
    /// Orders the leaves.
    pub fn new(epoch: QosEpoch, mut leaves: Vec<Leaf>, snapshot: Root) -> Self {
        order_leaves(&mut leaves);
        Self { epoch, leaves, snapshot, submitted: false }
    }

    /// The quality root.
    pub fn quality(&self) -> Root {
        Tree::new(&self.leaves).root()
    }

    /// Both roots, as they are sent.
    pub fn roots(&self) -> SentRoots {
        SentRoots { quality: self.quality(), snapshot: self.snapshot }
    }

    /// The leaves about a node with their proofs, as a claim needs them, and the quality root that they fit.
    pub fn prove(&self, attestor: NodeId, node: &NodeId) -> Option<(MemberProof, Root)> {
        let tree = Tree::new(&self.leaves);
        let mut quality = None;
        let mut usage = Vec::new();
        for (index, leaf) in self.leaves.iter().enumerate() {
            let index = u32::try_from(index).ok()?;
            match leaf {
                Leaf::Qos(leaf) if leaf.node == *node => quality = Some((leaf.clone(), tree.prove(index)?)),
                Leaf::Usage(leaf) if leaf.node == *node => usage.push((leaf.clone(), tree.prove(index)?)),
                _ => {}
            }
        }
        Some((MemberProof { attestor, quality: quality?, usage }, tree.root()))
    }

    /// The scores in it.
    pub fn scores(&self) -> impl Iterator<Item = (NodeId, Score)> {
        self.leaves.iter().filter_map(|leaf| match leaf {
            Leaf::Qos(leaf) => Some((leaf.node, leaf.score)),
            Leaf::Usage(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::{AccountId, QosLeaf, UsageLeaf, leaf::SourceClasses};

    #[test]
    fn a_proof_shows_the_leaves_in_the_root_that_was_sent() {
        let epoch = QosEpoch(7);
        let nodes: Vec<NodeId> = (1..6).map(|n| NodeId([n; 20])).collect();
        let (attestor, orchestrator) = (NodeId([0xAA; 20]), NodeId([0xBB; 20]));
        let mut leaves = Vec::new();
        for node in nodes.iter().rev() {
            let application = AccountId::new([9; 32]);
            leaves.push(Leaf::Usage(UsageLeaf { epoch, node: *node, application, orchestrator, bytes: 5 }));
            leaves.push(Leaf::Qos(QosLeaf {
                epoch,
                node: *node,
                attestor,
                sources: SourceClasses(1),
                score: Score(9_000),
                uptime: 10_000,
                samples: 3,
            }));
        }
        let attestation = Attestation::new(epoch, leaves, Root::default());
        let (proof, root) = attestation.prove(attestor, &nodes[2]).unwrap();
        assert_eq!(root, attestation.quality());
        assert!(root.contains(&Leaf::Qos(proof.quality.0.clone()), &proof.quality.1));
        assert_eq!(proof.usage.len(), 1);
        assert!(root.contains(&Leaf::Usage(proof.usage[0].0.clone()), &proof.usage[0].1));
        assert!(attestation.prove(attestor, &NodeId([99; 20])).is_none());
    }
}
