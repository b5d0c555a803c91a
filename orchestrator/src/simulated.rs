//! Nodes for tests.

use crate::{
    allocation::Budget,
    index::{Directory, Load, NodeView},
};
use chroom_primitives::{
    CapacityClass, H3Cell, NodeId, NodeStatus, Role, UnixMs,
    record::{LoadReport, NodeRecord, Registration, next_seq},
};
use std::collections::{BTreeMap, BTreeSet};

/// A healthy idle media node whose id is `n` twenty times.
pub fn media_node(n: u8, cell: H3Cell, now: UnixMs) -> NodeView {
    let node = NodeId([n; 20]);
    let endpoint: chroom_primitives::Endpoint = format!("127.0.0.1:{}", 7000 + u16::from(n)).parse().unwrap();
    NodeView {
        registration: Registration {
            node,
            owner: node.account(),
            role: Role::Media,
            status: NodeStatus::Active,
            cell,
            class: CapacityClass::Medium,
            endpoint: endpoint.clone(),
            bond: 1_000,
            price_per_gib: 0,
        },
        record: NodeRecord {
            node,
            seq: next_seq(0, now),
            expires_ms: now + 600_000,
            role: Role::Media,
            cell,
            rpc: endpoint,
            public_url: b"http://127.0.0.1:7600".to_vec().try_into().unwrap(),
            p2p: Default::default(),
            class: CapacityClass::Medium,
            version: b"0.1.0".to_vec().try_into().unwrap(),
            left: false,
        },
        load: Some(Load {
            report: LoadReport {
                node,
                seq: next_seq(0, now),
                cpu: 500,
                ingress_kbps: 0,
                egress_kbps: 0,
                egress_limit_kbps: 1_000_000,
                rooms: 0,
                sessions: 0,
                loss: 0,
                rtt_ms: 20,
                accepting: true,
            },
            made_ms: now,
        }),
        score: None,
        failed_in: None,
        last_reward: None,
    }
}

/// A directory of such nodes.
#[derive(Default)]
pub struct Nodes {
    /// The nodes.
    pub nodes: BTreeMap<NodeId, NodeView>,
    /// Those that drain.
    pub draining: BTreeSet<NodeId>,
    /// What every application can pay.
    pub budget: Budget,
}

impl Nodes {
    /// `count` nodes in one cell.
    pub fn new(count: u8, now: UnixMs) -> Self {
        let cell = H3Cell(0x0851_f8d5_bfff_ffff);
        let nodes = (1..=count).map(|n| (NodeId([n; 20]), media_node(n, cell, now))).collect();
        Self { nodes, draining: BTreeSet::new(), budget: Budget::Unknown }
    }

    /// Lets all nodes report their load.
    pub fn report(&mut self, now: UnixMs) {
        for node in self.nodes.values_mut() {
            if let Some(load) = &mut node.load {
                load.made_ms = now;
            }
        }
    }
}

impl Directory for Nodes {
    fn node(&self, id: &NodeId) -> Option<NodeView> {
        self.nodes.get(id).cloned()
    }

    fn media_nodes(&self) -> Vec<NodeView> {
        self.nodes
            .values()
            .cloned()
            .map(|mut node| {
                if self.draining.contains(&node.id()) {
                    node.registration.status = NodeStatus::Draining;
                }
                node
            })
            .collect()
    }

    fn budget(&self, _: &str) -> Budget {
        self.budget
    }

    fn leaving(&self, id: &NodeId) -> Option<String> {
        self.draining.contains(id).then(|| "the media node is draining".to_owned())
    }
}
