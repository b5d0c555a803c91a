//! The chain as a registry node needs it: a port, so that everything else runs against a chain in memory in tests.

pub mod live;

use chroom_chain_client::{Membership, SentRoots};
use chroom_primitives::{Hash, NodeId, QosEpoch, UnixMs, epoch::EpochInfo, merkle::Root};
use futures::future::BoxFuture;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::watch;

/// The chain does not answer, or refuses.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChainError {
    /// It cannot be asked now; another attempt may work.
    #[error("the chain does not answer: {0}")]
    Unavailable(String),
    /// This node was no active registry node when the epoch began, so it has no say in it.
    #[error("this node was no active registry node when the epoch began")]
    NotAttestor,
    /// It says no for good.
    #[error("the chain refuses: {0}")]
    Refused(String),
}

/// The newest block, not yet final.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its number.
    pub block: u32,
    /// The QoS epoch at that block.
    pub epoch: EpochInfo,
}

/// An answer of the chain.
pub type Answer<T> = BoxFuture<'static, Result<T, ChainError>>;

/// What a registry node asks of the chain.
pub trait Chain: Send + Sync + 'static {
    /// Hash of the first block: names the network.
    fn genesis(&self) -> Hash;
    /// The register of the last finalised block, as it moves.
    fn membership(&self) -> watch::Receiver<Arc<Membership>>;
    /// The best block. The submit window is shorter than finality may take, so the beginning of an epoch is taken from here.
    fn head(&self) -> Answer<Head>;
    /// Nodes that are in service by the state of block `block` on the best chain.
    fn members_at(&self, block: u32) -> Answer<BTreeSet<NodeId>>;
    /// Unix time in milliseconds of an epoch's first block, as far as it is final and remembered.
    fn epoch_start_ms(&self, epoch: QosEpoch) -> Answer<Option<UnixMs>>;
    /// The media nodes that an attestor was drawn for.
    fn assignments(&self, epoch: QosEpoch, attestor: NodeId) -> Answer<Vec<NodeId>>;
    /// The roots that an attestor sent, as far as they are final.
    fn attestation(&self, epoch: QosEpoch, attestor: NodeId) -> Answer<Option<SentRoots>>;
    /// Sends this node's roots and waits until they are final.
    fn submit_root(&self, epoch: QosEpoch, quality: Root, snapshot: Root) -> Answer<()>;
}
