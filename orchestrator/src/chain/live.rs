//! The real chain, through subxt.

use super::{Chain, ChainError, ChainState};
use crate::allocation::Budget;
use chroom_chain_client::{ChainClient, Membership};
use chroom_primitives::{AccountId, Balance, Hash, NodeId, QosEpoch, anchor::FinalSnapshot};
use std::{fmt::Display, sync::Arc};
use tokio::sync::watch;

/// The chain that a client is connected to.
pub struct LiveChain {
    client: ChainClient,
    state: watch::Receiver<Arc<ChainState>>,
}

impl LiveChain {
    /// Follows the client's finalised state.
    pub fn new(client: ChainClient) -> Self {
        let mut membership = client.membership();
        let first = state(&membership.borrow_and_update());
        let (sender, receiver) = watch::channel(Arc::new(first));
        tokio::spawn(async move {
            while membership.changed().await.is_ok() {
                let newest = state(&membership.borrow_and_update());
                if sender.send(Arc::new(newest)).is_err() {
                    return;
                }
            }
        });
        Self { client, state: receiver }
    }
}

fn state(membership: &Membership) -> ChainState {
    ChainState { block: membership.block, epoch: membership.epoch.clone(), nodes: membership.nodes.clone() }
}

fn failed(error: impl Display) -> ChainError {
    ChainError(error.to_string())
}

#[tonic::async_trait]
impl Chain for LiveChain {
    fn genesis(&self) -> Hash {
        self.client.genesis_hash()
    }

    fn state(&self) -> watch::Receiver<Arc<ChainState>> {
        self.state.clone()
    }

    async fn committee(&self, epoch: QosEpoch, node: NodeId) -> Result<Vec<NodeId>, ChainError> {
        self.client.committee(epoch, node).await.map_err(failed)
    }

    async fn epoch_start_ms(&self, epoch: QosEpoch) -> Result<Option<u64>, ChainError> {
        self.client.epoch_start_ms(epoch).await.map_err(failed)
    }

    async fn last_reward(&self, node: NodeId) -> Result<Option<(QosEpoch, Balance)>, ChainError> {
        self.client.last_reward(node).await.map_err(failed)
    }

    async fn budget(&self, application: &AccountId, node: NodeId, epoch: QosEpoch) -> Result<Budget, ChainError> {
        let limit = self.client.price_limit(application, node, epoch).await.map_err(failed)?;
        let escrow = self.client.escrow(application).await.map_err(failed)?;
        Ok(Budget::Known { limit, escrow })
    }

    async fn latest_snapshot(&self) -> Result<Option<FinalSnapshot>, ChainError> {
        self.client.latest_snapshot().await.map_err(failed)
    }
}
