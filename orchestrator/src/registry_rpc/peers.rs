//! The registry nodes that this orchestrator can talk to.

use crate::{chain::Outsider, index::Index};
use chroom_primitives::{Endpoint, NodeId, Role};
use chroom_rpc::{NodeAddress, channel, tls::Identity};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tonic::transport::Channel;

/// A registry node cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It is no registry node.
    #[error("{0}")]
    Outsider(#[from] Outsider),
    /// It cannot be connected to.
    #[error("{0}")]
    Connect(#[from] channel::ConnectError),
}

/// Registry nodes: those that were given at the start, and those that chain and register name.
#[derive(Clone)]
pub struct Peers {
    identity: Identity,
    given: Arc<Vec<NodeAddress>>,
    index: Arc<Index>,
    channels: Arc<Mutex<BTreeMap<NodeId, (Endpoint, Channel)>>>,
}

impl Peers {
    /// Peers with these to begin with.
    pub fn new(identity: Identity, given: Vec<NodeAddress>, index: Arc<Index>) -> Self {
        Self { identity, given: Arc::new(given), index, channels: Arc::default() }
    }

    /// All that are known: those that were given first.
    pub fn all(&self) -> Vec<NodeAddress> {
        let mut all: Vec<NodeAddress> = self.given.to_vec();
        for (node, endpoint) in self.index.endpoints(Role::Registry) {
            if all.iter().all(|known| known.node != node) {
                all.push(NodeAddress { node, endpoint });
            }
        }
        all
    }

    /// A channel to a peer.
    pub fn channel(&self, address: &NodeAddress) -> Result<Channel, PeerError> {
        let mut channels = self.channels.lock();
        if let Some((endpoint, channel)) = channels.get(&address.node)
            && *endpoint == address.endpoint
        {
            return Ok(channel.clone());
        }
        let channel = channel::connect(&self.identity, &address.endpoint, Some(address.node))?;
        channels.insert(address.node, (address.endpoint.clone(), channel.clone()));
        Ok(channel)
    }

    /// A channel to the registry node `node`, wherever it is.
    pub fn channel_to(&self, node: &NodeId) -> Result<Channel, PeerError> {
        let endpoint = match self.given.iter().find(|address| address.node == *node) {
            Some(address) => address.endpoint.clone(),
            None => self.index.endpoint(node, Role::Registry)?,
        };
        self.channel(&NodeAddress { node: *node, endpoint })
    }
}
