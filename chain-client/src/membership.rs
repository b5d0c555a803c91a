//! Who is registered, as of the last finalised block.

use chroom_primitives::{Hash, NodeId, NodeStatus, Role, epoch::EpochInfo, record::Registration};
use std::collections::BTreeMap;

/// The register of nodes as of a finalised block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// Number of the finalised block.
    pub block: u32,
    /// Its hash.
    pub block_hash: Hash,
    /// The QoS epoch at that block.
    pub epoch: EpochInfo,
    /// Generation of the register: it grows with each change, so two memberships of one generation have the same nodes.
    pub generation: u64,
    /// All registered nodes, whatever their status.
    pub nodes: BTreeMap<NodeId, Registration>,
}

/// What differs in a register after a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A node was registered, or its registration changed.
    Upsert(Registration),
    /// A node is registered no more.
    Removed(NodeId),
}

impl Membership {
    /// A node's registration.
    pub fn get(&self, node: &NodeId) -> Option<&Registration> {
        self.nodes.get(node)
    }

    /// The nodes of a role that are in service, ordered by id.
    pub fn active(&self, role: Role) -> impl Iterator<Item = &Registration> {
        self.nodes.values().filter(move |node| node.role == role && node.status == NodeStatus::Active)
    }

    /// Whether the node has this role and may be talked to: it is active or finishing its work.
    pub fn is_member(&self, node: &NodeId, role: Role) -> bool {
        self.get(node).is_some_and(|node| node.role == role && node.status.is_member())
    }

    /// What changed since `older`, ordered by node.
    pub fn changes_since<'a>(&'a self, older: &'a Membership) -> impl Iterator<Item = Change> + 'a {
        let gone = older.nodes.keys().filter(|node| !self.nodes.contains_key(node)).map(|node| Change::Removed(*node));
        let changed = self
            .nodes
            .iter()
            .filter(|(node, registration)| older.nodes.get(node) != Some(registration))
            .map(|(_, registration)| Change::Upsert(registration.clone()));
        gone.chain(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::{AccountId, CapacityClass, H3Cell, QosEpoch};

    fn registration(id: u8, role: Role, status: NodeStatus) -> Registration {
        Registration {
            node: NodeId([id; 20]),
            owner: AccountId::new([9; 32]),
            role,
            status,
            cell: H3Cell(0),
            class: CapacityClass::Small,
            endpoint: "127.0.0.1:7400".parse().unwrap(),
            bond: 1,
            price_per_gib: 0,
        }
    }

    fn membership(nodes: &[Registration]) -> Membership {
        Membership {
            block: 1,
            block_hash: Hash::zero(),
            epoch: EpochInfo {
                current: QosEpoch(0),
                started_at: 1,
                started_ms: 0,
                length: 8,
                submit_window: 4,
                committee_size: 3,
            },
            generation: 0,
            nodes: nodes.iter().map(|node| (node.node, node.clone())).collect(),
        }
    }

    #[test]
    fn draining_nodes_are_members_but_not_active() {
        let all = membership(&[
            registration(1, Role::Media, NodeStatus::Active),
            registration(2, Role::Media, NodeStatus::Draining),
            registration(3, Role::Media, NodeStatus::Unbonding),
            registration(4, Role::Media, NodeStatus::Jailed),
            registration(5, Role::Registry, NodeStatus::Active),
        ]);
        let active: Vec<u8> = all.active(Role::Media).map(|node| node.node.0[0]).collect();
        assert_eq!(active, [1]);
        let members: Vec<u8> = (1..=5).filter(|id| all.is_member(&NodeId([*id; 20]), Role::Media)).collect();
        assert_eq!(members, [1, 2]);
    }

    #[test]
    fn changes_name_each_difference_once() {
        let older = membership(&[
            registration(1, Role::Media, NodeStatus::Active),
            registration(2, Role::Media, NodeStatus::Active),
            registration(3, Role::Media, NodeStatus::Active),
        ]);
        let drained = registration(2, Role::Media, NodeStatus::Draining);
        let new = registration(4, Role::Registry, NodeStatus::Active);
        let newer = membership(&[registration(1, Role::Media, NodeStatus::Active), drained.clone(), new.clone()]);
        let changes: Vec<Change> = newer.changes_since(&older).collect();
        assert_eq!(changes, [Change::Removed(NodeId([3; 20])), Change::Upsert(drained), Change::Upsert(new)]);
        assert_eq!(newer.changes_since(&newer).count(), 0);
    }
}
