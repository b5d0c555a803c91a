//! The client itself.

use crate::{ConnectError, Membership, QueryError, follower, link::Link, nonce::Nonces};
use chroom_primitives::{AccountId, Hash};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, watch},
    task::AbortHandle,
};

/// A client of one network. Cheap to clone; all clones share the connection, the nonces and the follower.
#[derive(Clone)]
pub struct ChainClient {
    shared: Arc<Shared>,
}

struct Shared {
    link: Arc<Link>,
    membership: watch::Receiver<Arc<Membership>>,
    follower: AbortHandle,
    accounts: std::sync::Mutex<BTreeMap<AccountId, Arc<Mutex<Nonces>>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl ChainClient {
    /// Connects to the first of `urls` (`ws://` or `wss://`) that answers, and begins to follow finalised blocks. Later
    /// losses are mended by themselves, with the next URL in turn.
    pub async fn connect(urls: &[String]) -> Result<Self, ConnectError> {
        let link = Arc::new(Link::connect(urls).await?);
        let first = follower::first(&link).await.map_err(|error| match error {
            QueryError::Connect(error) => error,
            other => ConnectError::Unreachable { url: urls.join(", "), reason: other.to_string() },
        })?;
        let (sender, membership) = watch::channel(Arc::new(first));
        let follower = tokio::spawn(follower::follow(link.clone(), sender)).abort_handle();
        Ok(Self { shared: Arc::new(Shared { link, membership, follower, accounts: Default::default() }) })
    }

    /// Connects like [`ChainClient::connect`], and tries again every two seconds while no node answers: services and chain
    /// nodes may start in any order. Fails only where waiting cannot help.
    pub async fn connect_when_up(urls: &[String]) -> Result<Self, ConnectError> {
        loop {
            match Self::connect(urls).await {
                Err(error @ ConnectError::Unreachable { .. }) => {
                    tracing::warn!(%error, "waiting for the chain");
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Hash of block 0: names the network, and is part of all that nodes sign.
    pub fn genesis_hash(&self) -> Hash {
        self.shared.link.genesis()
    }

    /// The register as of the last finalised block, updated with each. A slow reader sees the newest, not each one.
    pub fn membership(&self) -> watch::Receiver<Arc<Membership>> {
        self.shared.membership.clone()
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.shared.link
    }

    /// The nonces of an account, shared by all that sign with it through this client.
    pub(crate) fn nonces(&self, account: &AccountId) -> Arc<Mutex<Nonces>> {
        let mut accounts = self.shared.accounts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        accounts.entry(account.clone()).or_default().clone()
    }
}

impl fmt::Debug for ChainClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainClient").field("genesis", &self.genesis_hash()).finish_non_exhaustive()
    }
}
