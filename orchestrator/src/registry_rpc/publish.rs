//! The orchestrator's own record in the register.

use super::Peers;
use crate::{
    chain::{Chain, Outsider},
    time::now_ms,
};
use chroom_primitives::{
    Role,
    record::{NodeRecord, ShortText, next_seq},
};
use chroom_rpc::{
    registry::RegistryClient,
    v1::{JoinRequest, LeaveRequest},
};
use chroom_wallet::Wallet;
use codec::Encode;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long a record is good, in milliseconds.
const LIFETIME_MS: u64 = 15 * 60 * 1_000;
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(4 * 60);
/// Pause after all registries refused.
const RETRY: Duration = Duration::from_secs(3);
/// How long a registry may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The record cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// This node is no orchestrator of the chain.
    #[error("{0}")]
    Outsider(#[from] Outsider),
    /// A text is too long for a record.
    #[error("{0:?} is too long for a record (64 bytes)")]
    TooLong(String),
}

/// Publishes the record and keeps it alive.
pub struct Publisher {
    /// Signs the record.
    pub wallet: Wallet,
    /// Says what the node is registered as.
    pub chain: Arc<dyn Chain>,
    /// Who takes the record.
    pub peers: Peers,
    /// The signalling URL that clients use.
    pub public_url: String,
}

impl Publisher {
    /// The record as of now.
    pub fn record(&self, previous: u64, left: bool) -> Result<NodeRecord, PublishError> {
        let state = self.chain.state().borrow().clone();
        let registration = state.member(&self.wallet.node_id(), Role::Orchestrator)?;
        let short = |text: &str| -> Result<ShortText, PublishError> {
            text.as_bytes().to_vec().try_into().map_err(|_| PublishError::TooLong(text.to_owned()))
        };
        let now = now_ms();
        let seq = next_seq(previous, now);
        Ok(NodeRecord {
            node: registration.node,
            seq,
            expires_ms: now + LIFETIME_MS,
            role: Role::Orchestrator,
            cell: registration.cell,
            rpc: registration.endpoint.clone(),
            public_url: short(&self.public_url)?,
            p2p: Default::default(),
            class: registration.class,
            version: short(env!("CARGO_PKG_VERSION"))?,
            left,
        })
    }

    /// Keeps the record alive until cancelled, then says farewell.
    pub async fn run(self, stop: CancellationToken) {
        let genesis = self.chain.genesis();
        let mut seq = 0;
        loop {
            let pause = match self.record(seq, false) {
                Ok(record) => {
                    seq = record.seq;
                    let signed_record = self.wallet.sign(record, &genesis).encode();
                    if self.join(&signed_record).await { RENEW } else { RETRY }
                }
                Err(error) => {
                    warn!(%error, "this orchestrator's record cannot be made");
                    RETRY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        if let Ok(record) = self.record(seq, true) {
            self.leave(self.wallet.sign(record, &genesis).encode()).await;
        }
    }

    async fn join(&self, signed_record: &[u8]) -> bool {
        for address in self.peers.all() {
            let Ok(channel) = self.peers.channel(&address) else { continue };
            let request = JoinRequest { signed_record: signed_record.to_vec() };
            match tokio::time::timeout(PATIENCE, RegistryClient::new(channel).join(request)).await {
                Ok(Ok(_)) => {
                    info!(registry = %address, "this orchestrator is in the register");
                    return true;
                }
                Ok(Err(status)) => {
                    warn!(registry = %address, error = %status.message(), "a registry refuses this orchestrator's record");
                }
                Err(_) => warn!(registry = %address, "a registry does not answer"),
            }
        }
        false
    }

    async fn leave(&self, signed_record: Vec<u8>) {
        for address in self.peers.all() {
            let Ok(channel) = self.peers.channel(&address) else { continue };
            let request = LeaveRequest { signed_record: signed_record.clone() };
            let left = tokio::time::timeout(Duration::from_secs(1), RegistryClient::new(channel).leave(request)).await;
            if let Ok(Ok(_)) = left {
                return;
            }
        }
    }
}
