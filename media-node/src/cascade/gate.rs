//! Which nodes may have a pipe to this one: media nodes that the finalised register has in service.

use super::quic::Gate;
use chroom_chain_client::Membership;
use chroom_primitives::{NodeId, NodeStatus, Role};
use std::sync::Arc;
use tokio::sync::watch;

/// A gate that follows the register.
pub fn of(membership: watch::Receiver<Arc<Membership>>) -> Gate {
    Box::new(move |node| judge(&membership.borrow(), node))
}

/// The reason against a pipe to this node, if there is one. A draining node keeps its pipes: its rooms are being moved.
fn judge(membership: &Membership, node: &NodeId) -> Option<&'static str> {
    let Some(registration) = membership.get(node) else { return Some("is not registered on the chain") };
    match (registration.role, registration.status) {
        (Role::Media, NodeStatus::Active | NodeStatus::Draining) => None,
        (Role::Media, _) => Some("is out of service on the chain"),
        _ => Some("is not a media node by its registration"),
    }
}
