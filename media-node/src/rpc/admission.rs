//! Who may call: orchestrators that the chain has in service.

use chroom_chain_client::Membership;
use chroom_primitives::{NodeId, NodeStatus, Role};
use chroom_rpc::tls::Peer;
use std::sync::Arc;
use tokio::sync::watch;
use tonic::{Request, Status};

/// Admits callers by the finalised register.
#[derive(Clone)]
pub struct Admission {
    membership: watch::Receiver<Arc<Membership>>,
}

impl Admission {
    /// Follows this register.
    pub fn new(membership: watch::Receiver<Arc<Membership>>) -> Self {
        Self { membership }
    }

    /// The caller, if it is an orchestrator in service. One that is draining may finish what it has, but open nothing.
    pub fn admit<T>(&self, request: &Request<T>, method: &'static str, opens: bool) -> Result<NodeId, Status> {
        let caller = Peer::of(request)?;
        match self.reason(&caller, opens) {
            None => Ok(caller),
            Some(reason) => {
                tracing::warn!(%caller, method, reason, "call refused");
                Err(Status::permission_denied(format!("{caller} {reason}")))
            }
        }
    }

    /// Why the node isn't admitted (any more).
    pub fn reason(&self, caller: &NodeId, opens: bool) -> Option<&'static str> {
        judge(&self.membership.borrow(), caller, opens)
    }
}

fn judge(membership: &Membership, caller: &NodeId, opens: bool) -> Option<&'static str> {
    let Some(registration) = membership.get(caller) else {
        return Some("is not registered on the chain: register it as an orchestrator with a stake first");
    };
    match (registration.role, registration.status) {
        (Role::Orchestrator, NodeStatus::Active) => None,
        (Role::Orchestrator, NodeStatus::Draining) if !opens => None,
        (Role::Orchestrator, NodeStatus::Draining) => Some("is draining: it may open no sessions"),
        (Role::Orchestrator, _) => Some("is out of service on the chain"),
        _ => Some("is not an orchestrator by its registration"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::{AccountId, CapacityClass, H3Cell, Hash, QosEpoch, epoch::EpochInfo, record::Registration};

    #[test]
    fn only_orchestrators_in_service_are_admitted() {
        let node = |id: u8, role, status| {
            let registration = Registration {
                node: NodeId([id; 20]),
                owner: AccountId::new([9; 32]),
                role,
                status,
                cell: H3Cell(0),
                class: CapacityClass::Small,
                endpoint: "127.0.0.1:1".parse().unwrap(),
                bond: 1,
                price_per_gib: 0,
            };
            (registration.node, registration)
        };
        let membership = Membership {
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
            nodes: [
                node(1, Role::Orchestrator, NodeStatus::Active),
                node(2, Role::Orchestrator, NodeStatus::Draining),
                node(3, Role::Orchestrator, NodeStatus::Jailed),
                node(4, Role::Registry, NodeStatus::Active),
            ]
            .into(),
        };
        let admitted =
            |opens| (1..=5u8).filter(|id| judge(&membership, &NodeId([*id; 20]), opens).is_none()).collect::<Vec<_>>();
        assert_eq!(admitted(true), [1]);
        assert_eq!(admitted(false), [1, 2]);
    }
}
