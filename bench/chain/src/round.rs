//! What the attestors measured in an epoch: leaves scored from receipts as a registry node does it, trees, proofs.

use crate::actors;
use anyhow::{Context, Result};
use chroom_primitives::{
    AccountId, Leaf, NodeId, QosEpoch,
    leaf::order_leaves,
    merkle::{Root, Tree},
    runtime_api::MemberProof,
};
use chroom_registry::qos::{
    receipt::StoredReceipt,
    scoring::{Observed, SessionFacts, leaves},
};
use std::collections::BTreeMap;

/// Receipts of one call: one a minute of ten minutes.
const RECEIPTS_PER_CALL: u64 = 10;

/// The tree of one attestor.
struct View {
    leaves: Vec<Leaf>,
    tree: Tree,
}

/// The trees of all attestors for one epoch.
pub struct Round {
    committees: BTreeMap<NodeId, Vec<NodeId>>,
    views: BTreeMap<NodeId, View>,
}

fn receipt(seq: u64) -> StoredReceipt {
    StoredReceipt {
        seq,
        from_ms: seq * 60_000,
        to_ms: (seq + 1) * 60_000,
        rx_packets: 3_000,
        rx_lost: 3,
        rx_bytes: 6_000_000,
        tx_bytes: 3_000_000,
        rtt_ms: 30,
        jitter_ms: 3,
        wanted_kbps: 800,
        delivered_kbps: 800,
        payload: String::new(),
        signature: Vec::new(),
    }
}

/// Receipts of the calls that a node carried.
fn observed(calls: u64, orchestrator: NodeId) -> Observed {
    let mut observed = Observed { uptime: 10_000, ..Observed::default() };
    let application: AccountId = actors::account_of(&actors::application());
    for call in 0..calls {
        let mut session = [0u8; 16];
        session.split_at_mut(8).0.copy_from_slice(&call.to_le_bytes());
        observed.sessions.insert(
            session,
            SessionFacts { operator: application.clone(), application: application.clone(), orchestrator },
        );
        observed.receipts.extend((0..RECEIPTS_PER_CALL).map(|seq| (session, receipt(seq))));
    }
    observed
}

impl Round {
    /// Scores `calls` calls, spread over the nodes in turn, as each member of each node's committee would.
    pub fn new(epoch: QosEpoch, committees: BTreeMap<NodeId, Vec<NodeId>>, attestors: &[NodeId], calls: u64) -> Self {
        let orchestrator = actors::orchestrator();
        let nodes = committees.len().max(1) as u64;
        let mut all: BTreeMap<NodeId, Vec<Leaf>> = attestors.iter().map(|attestor| (*attestor, Vec::new())).collect();
        for (index, (node, committee)) in committees.iter().enumerate() {
            let share = calls / nodes + u64::from((index as u64) < calls % nodes);
            let observed = observed(share, orchestrator);
            for member in committee {
                all.entry(*member).or_default().extend(leaves(epoch, *member, *node, &observed));
            }
        }
        let views = all
            .into_iter()
            .map(|(attestor, mut leaves)| {
                order_leaves(&mut leaves);
                let tree = Tree::new(&leaves);
                (attestor, View { leaves, tree })
            })
            .collect();
        Self { committees, views }
    }

    /// The root of an attestor.
    pub fn root(&self, attestor: &NodeId) -> Option<Root> {
        self.views.get(attestor).map(|view| view.tree.root())
    }

    /// The proofs of the whole committee of a node.
    pub fn proofs(&self, node: &NodeId) -> Result<Vec<MemberProof>> {
        let committee = self.committees.get(node).context("a node without a committee")?;
        committee.iter().map(|member| self.proof(member, node)).collect()
    }

    fn proof(&self, attestor: &NodeId, node: &NodeId) -> Result<MemberProof> {
        let view = self.views.get(attestor).context("an attestor without a tree")?;
        let first = view.leaves.partition_point(|leaf| leaf.key().node < *node);
        let mut quality = None;
        let mut usage = Vec::new();
        for (index, leaf) in view.leaves.iter().enumerate().skip(first) {
            let inclusion = view.tree.prove(index as u32).context("a leaf without a proof")?;
            match leaf {
                Leaf::Qos(leaf) if leaf.node == *node => quality = Some((leaf.clone(), inclusion)),
                Leaf::Usage(leaf) if leaf.node == *node => usage.push((leaf.clone(), inclusion)),
                _ => break,
            }
        }
        Ok(MemberProof { attestor: *attestor, quality: quality.context("no leaf about the node")?, usage })
    }
}
