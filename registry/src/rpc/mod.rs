//! The gRPC interface for nodes: membership, discovery, quality.

pub mod admission;
pub mod qos;
pub mod registry;
pub mod watch;

use crate::datastore::register::NodeView;
use chroom_primitives::{NodeStatus, Role};
use chroom_rpc::v1;
use codec::Encode;

/// A node's entry as it travels.
pub fn entry(view: &NodeView) -> v1::Entry {
    v1::Entry {
        node: view.record.payload.node.0.to_vec(),
        signed_record: view.record.encode(),
        signed_load: view.load.as_ref().map(|(_, report)| report.encode()).unwrap_or_default(),
        status: status_name(view.status).into(),
        score: view.score.map_or(0, |score| u32::from(score.0)),
        scored: view.score.is_some(),
        load_age_ms: view.load.as_ref().map_or(0, |(age, _)| *age),
    }
}

/// Name of a status in the protocol.
pub fn status_name(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Active => "active",
        NodeStatus::Draining => "draining",
        NodeStatus::Unbonding => "unbonding",
        NodeStatus::Jailed => "jailed",
    }
}

/// Name of a role in the protocol.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Media => "media",
        Role::Orchestrator => "orchestrator",
        Role::Registry => "registry",
    }
}

/// The role with this name.
pub fn role_named(name: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role_name(*role) == name)
}
