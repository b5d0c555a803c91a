//! The chain as the orchestrator sees it: a port, so that everything else can be tested without one.

mod live;

pub use live::LiveChain;

use crate::allocation::Budget;
use chroom_primitives::{
    AccountId, Balance, Hash, NodeId, NodeStatus, QosEpoch, Role, anchor::FinalSnapshot, epoch::EpochInfo,
    record::Registration,
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;

/// Finalised state that matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainState {
    /// The finalised block.
    pub block: u32,
    /// The epoch at that block.
    pub epoch: EpochInfo,
    /// All registered nodes.
    pub nodes: BTreeMap<NodeId, Registration>,
}

impl ChainState {
    /// The registration of a node that may act as `role`, or why it may not.
    pub fn member(&self, node: &NodeId, role: Role) -> Result<&Registration, Outsider> {
        let registration = self.nodes.get(node).ok_or(Outsider::NotRegistered)?;
        if registration.role != role {
            return Err(Outsider::WrongRole { registered: registration.role, claimed: role });
        }
        if !registration.status.is_member() {
            return Err(Outsider::NotMember(registration.status));
        }
        Ok(registration)
    }
}

/// Why a node is no member of the network.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Outsider {
    /// It has no stake.
    #[error("not registered on the chain (no stake)")]
    NotRegistered,
    /// It claims to be something else.
    #[error("claims to be {claimed:?} but is registered as {registered:?}")]
    WrongRole {
        /// As registered.
        registered: Role,
        /// As claimed.
        claimed: Role,
    },
    /// It left or was put out.
    #[error("its registration is {0:?}")]
    NotMember(NodeStatus),
}

/// The chain does not answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the chain does not answer: {0}")]
pub struct ChainError(pub String);

/// What the orchestrator asks the chain.
#[tonic::async_trait]
pub trait Chain: Send + Sync + 'static {
    /// The network's genesis hash.
    fn genesis(&self) -> Hash;
    /// Finalised state, a new one with each finalised block.
    fn state(&self) -> watch::Receiver<Arc<ChainState>>;
    /// The committee of `node` in `epoch`; empty when unknown.
    async fn committee(&self, epoch: QosEpoch, node: NodeId) -> Result<Vec<NodeId>, ChainError>;
    /// When `epoch` began, Unix ms, while the chain remembers.
    async fn epoch_start_ms(&self, epoch: QosEpoch) -> Result<Option<u64>, ChainError>;
    /// What `node` was paid last.
    async fn last_reward(&self, node: NodeId) -> Result<Option<(QosEpoch, Balance)>, ChainError>;
    /// What `application` can pay for usage in `epoch` through the orchestrator `node`.
    async fn budget(&self, application: &AccountId, node: NodeId, epoch: QosEpoch) -> Result<Budget, ChainError>;
    /// The newest final registry snapshot.
    async fn latest_snapshot(&self) -> Result<Option<FinalSnapshot>, ChainError>;
}
