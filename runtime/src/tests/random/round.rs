//! What the attestors measured in an epoch.

use super::dice::Dice;
use crate::{AccountId, Qos, Runtime};
use chroom_primitives::{
    Hash, Leaf, NodeId, QosEpoch, QosLeaf, Role, Score, UsageLeaf,
    evidence::LeafOmission,
    leaf::{LeafKey, SourceClasses, order_leaves},
    merkle::{InclusionProof, Root, Tree},
    runtime_api::MemberProof,
};
use pallet_chroom_qos::Standing;
use std::collections::BTreeMap;

/// An attestor's leaves with the tree over them.
struct Sheet {
    leaves: Vec<Leaf>,
    tree: Tree,
}

/// The trees of an epoch's attestors.
pub struct Round {
    epoch: QosEpoch,
    /// Who was drawn for which node.
    committees: BTreeMap<NodeId, Vec<NodeId>>,
    sheets: BTreeMap<NodeId, Sheet>,
}

/// One attestor's leaves about one node, of which one is missing or void now and then.
fn measure(dice: &mut Dice, usage: &[(AccountId, NodeId, u32)], of: QosLeaf) -> Vec<Leaf> {
    let QosLeaf { epoch, node, .. } = of;
    let quality = match dice.below(30) {
        0 | 1 => None,
        2 => Some(Leaf::Qos(QosLeaf { uptime: 10_001, ..of })),
        3..=5 => Some(Leaf::Qos(QosLeaf { uptime: 5_000, ..of })),
        _ => {
            let score = Score((of.score.0 + dice.below(300) as u16).min(Score::MAX.0));
            Some(Leaf::Qos(QosLeaf { score, ..of }))
        }
    };
    let noise = u64::from(dice.below(3));
    let usage = usage.iter().map(|(application, orchestrator, quarters)| {
        let bytes = (u64::from(*quarters) << 28) + noise;
        Leaf::Usage(UsageLeaf { epoch, node, application: application.clone(), orchestrator: *orchestrator, bytes })
    });
    quality.into_iter().chain(usage).collect()
}

impl Round {
    /// Measures every media node that is registered now, as its committee of `epoch` would.
    pub fn new(epoch: QosEpoch, dice: &mut Dice, applications: &[AccountId], orchestrators: &[NodeId]) -> Self {
        let mut committees = BTreeMap::new();
        let mut leaves: BTreeMap<NodeId, Vec<Leaf>> = BTreeMap::new();
        for (node, info) in pallet_chroom_nodes::Nodes::<Runtime>::iter() {
            if info.role != Role::Media {
                continue;
            }
            let committee = Qos::committee(epoch, node);
            let score = Score(3_000 + dice.below(7_000) as u16);
            let usage: Vec<(AccountId, NodeId, u32)> = applications
                .iter()
                .filter_map(|application| {
                    let quarters = dice.below(200);
                    let orchestrator = dice.pick(orchestrators)?;
                    dice.once_in(3).then(|| (application.clone(), orchestrator, quarters))
                })
                .collect();
            let sources = SourceClasses(SourceClasses::RECEIPTS);
            for attestor in &committee {
                let of = QosLeaf { epoch, node, attestor: *attestor, sources, score, uptime: 10_000, samples: 9 };
                leaves.entry(*attestor).or_default().extend(measure(dice, &usage, of));
            }
            committees.insert(node, committee);
        }
        let sheets = leaves.into_iter().map(|(attestor, mut leaves)| {
            order_leaves(&mut leaves);
            let tree = Tree::new(&leaves);
            (attestor, Sheet { leaves, tree })
        });
        Self { epoch, committees, sheets: sheets.collect() }
    }

    /// What honest attestors find in the register.
    pub fn snapshot(&self) -> Root {
        Root { hash: Hash::repeat_byte(self.epoch.0 as u8), leaves: self.committees.len() as u32 }
    }

    pub fn attestors(&self) -> Vec<NodeId> {
        self.sheets.keys().copied().collect()
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.committees.keys().copied().collect()
    }

    pub fn root(&self, attestor: &NodeId) -> Root {
        self.sheets.get(attestor).map(|sheet| sheet.tree.root()).unwrap_or_default()
    }

    /// The proofs of all members that sent this root and whose leaf about the node is good for something.
    pub fn proofs(&self, node: &NodeId) -> Vec<MemberProof> {
        let committee = self.committees.get(node).map_or(&[][..], Vec::as_slice);
        committee
            .iter()
            .filter(|attestor| Qos::attestation(self.epoch, **attestor) == Some(self.root(attestor)))
            .filter_map(|attestor| self.proof(attestor, node))
            .collect()
    }

    fn proof(&self, attestor: &NodeId, node: &NodeId) -> Option<MemberProof> {
        let Sheet { leaves, tree } = self.sheets.get(attestor)?;
        let first = leaves.partition_point(|leaf| leaf.key() < LeafKey::quality(*node));
        let (mut quality, mut usage) = (None, Vec::new());
        for (index, leaf) in leaves.iter().enumerate().skip(first) {
            match leaf {
                Leaf::Qos(leaf) if leaf.node == *node && leaf.is_in_range() => {
                    quality = Some((leaf.clone(), tree.prove(index as u32)?));
                }
                Leaf::Usage(leaf) if leaf.node == *node => usage.push((leaf.clone(), tree.prove(index as u32)?)),
                _ => break,
            }
        }
        Some(MemberProof { attestor: *attestor, quality: quality?, usage })
    }

    /// Members of committees that sent a root and left their node out, as far as that wasn't shown yet.
    pub fn omissions(&self) -> Vec<(NodeId, NodeId)> {
        let unpunished = |attestor: &NodeId| {
            Qos::attestation(self.epoch, *attestor).is_some() && Qos::standing(self.epoch, *attestor) == Standing::Good
        };
        self.committees
            .iter()
            .flat_map(|(node, committee)| committee.iter().map(move |attestor| (*attestor, *node)))
            .filter(|(attestor, node)| self.omission(attestor, node).is_some() && unpunished(attestor))
            .collect()
    }

    /// What shows that an attestor left out a node.
    pub fn omission(&self, attestor: &NodeId, node: &NodeId) -> Option<LeafOmission> {
        let Sheet { leaves, tree } = self.sheets.get(attestor)?;
        let proven = |index: usize| -> Option<(Leaf, InclusionProof)> {
            Some((leaves.get(index)?.clone(), tree.prove(index as u32)?))
        };
        let key = LeafKey::quality(*node);
        let place = leaves.partition_point(|leaf| leaf.key() < key);
        if let Some(Leaf::Qos(found)) = leaves.get(place)
            && found.node == *node
        {
            return if found.is_in_range() { None } else { proven(place).map(LeafOmission::Void) };
        }
        Some(match (place.checked_sub(1).and_then(proven), proven(place)) {
            (None, None) => LeafOmission::Empty,
            (None, Some(first)) => LeafOmission::Before(first),
            (Some(last), None) => LeafOmission::After(last),
            (Some(left), Some(right)) => LeafOmission::Between(left, right),
        })
    }
}
