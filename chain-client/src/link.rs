//! The connection to a node of the chain, and the next one when it fails.

use crate::{QueryError, config::ChroomConfig};
use chroom_primitives::Hash;
use serde::Deserialize;
use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};
use subxt::{
    OnlineClient,
    backend::LegacyBackend,
    config::RpcConfigFor,
    rpcs::{LegacyRpcMethods, RpcClient, rpc_params},
};
use tokio::sync::{Mutex, RwLock};

/// Time that connecting to one node may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that a healthy node's answer to a trivial question may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// No node of the chain can be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No URL was given.
    #[error("no URL of a chain node was given: use --chain ws://host:port")]
    NoUrl,
    /// A node cannot be reached, or answers nonsense.
    #[error("cannot use the chain node at {url}: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// A node is of another network than the one that was connected to first.
    #[error("the chain node at {url} is of another network: its genesis is {found}, not {expected}")]
    OtherNetwork {
        /// Where.
        url: String,
        /// Genesis hash that was expected.
        expected: Hash,
        /// Genesis hash that it has.
        found: Hash,
    },
}

/// A connection to one node.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) api: OnlineClient<ChroomConfig>,
    pub(crate) rpc: LegacyRpcMethods<RpcConfigFor<ChroomConfig>>,
    raw: RpcClient,
    pub(crate) url: Arc<str>,
    /// Counts connections; names one that is broken.
    number: u64,
    /// Greatest version of the runtime that a block's storage was seen to belong to.
    pub(crate) migrated: Arc<AtomicU32>,
}

impl Connection {
    /// The extrinsics of a block, encoded; none if the node does not have the block.
    pub(crate) async fn extrinsics(&self, block: Hash) -> Result<Option<Vec<Vec<u8>>>, QueryError> {
        let answer: Option<SignedBlock> = self
            .raw
            .request("chain_getBlock", rpc_params![block])
            .await
            .map_err(|e| QueryError::Node(e.to_string()))?;
        let Some(answer) = answer else { return Ok(None) };
        let extrinsics: Option<_> = answer.block.extrinsics.into_iter().map(Encoded::into_bytes).collect();
        extrinsics.map(Some).ok_or_else(|| QueryError::Node("a block's extrinsics are not in hex".into()))
    }

    /// Whether the node answers at all.
    pub(crate) async fn is_alive(&self) -> bool {
        matches!(tokio::time::timeout(PROBE_TIMEOUT, self.rpc.system_health()).await, Ok(Ok(_)))
    }
}

/// A block as nodes give it; of which only the extrinsics matter here.
#[derive(Deserialize)]
struct SignedBlock {
    block: Block,
}

#[derive(Deserialize)]
struct Block {
    extrinsics: Vec<Encoded>,
}

/// Bytes as hex text, or as a list of numbers: nodes whose block type is not opaque write them so.
#[derive(Deserialize)]
#[serde(untagged)]
enum Encoded {
    Hex(String),
    Numbers(Vec<u8>),
}

impl Encoded {
    fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Encoded::Hex(text) => hex::decode(text.strip_prefix("0x")?).ok(),
            Encoded::Numbers(bytes) => Some(bytes),
        }
    }
}

/// The current connection, shared by all who use the client.
pub(crate) struct Link {
    urls: Vec<String>,
    config: ChroomConfig,
    genesis: Hash,
    current: RwLock<Connection>,
    /// Held while a broken connection is being replaced, so that one caller does it for all.
    replacing: Mutex<()>,
}

impl Link {
    /// Connects to the first of `urls` that answers.
    pub(crate) async fn connect(urls: &[String]) -> Result<Self, ConnectError> {
        let config = ChroomConfig::default();
        let mut failure = ConnectError::NoUrl;
        for (index, url) in urls.iter().enumerate() {
            match dial(&config, url, index as u64).await {
                Ok(connection) => {
                    let genesis = connection.api.genesis_hash();
                    let current = RwLock::new(connection);
                    return Ok(Self { urls: urls.to_vec(), config, genesis, current, replacing: Mutex::new(()) });
                }
                Err(error) => {
                    tracing::warn!(%error, "trying the next chain node");
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    pub(crate) fn genesis(&self) -> Hash {
        self.genesis
    }

    pub(crate) async fn current(&self) -> Connection {
        self.current.read().await.clone()
    }

    /// Replaces `broken` by a connection to the next node in turn, unless that was done already.
    pub(crate) async fn replace(&self, broken: &Connection) -> Result<Connection, ConnectError> {
        let _turn = self.replacing.lock().await;
        let current = self.current().await;
        if current.number != broken.number {
            return Ok(current);
        }
        let mut failure = ConnectError::NoUrl;
        for step in 1..=self.urls.len() as u64 {
            let number = broken.number + step;
            // The number goes on counting, so that each connection has its own.
            let Some(url) = self.urls.get((number % self.urls.len() as u64) as usize) else { continue };
            match self.dial_same_network(url, number).await {
                Ok(connection) => {
                    tracing::info!(url, "connected to a chain node");
                    *self.current.write().await = connection.clone();
                    return Ok(connection);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn dial_same_network(&self, url: &str, number: u64) -> Result<Connection, ConnectError> {
        let connection = dial(&self.config, url, number).await?;
        let found = connection.api.genesis_hash();
        if found != self.genesis {
            return Err(ConnectError::OtherNetwork { url: url.to_owned(), expected: self.genesis, found });
        }
        Ok(connection)
    }
}

async fn dial(config: &ChroomConfig, url: &str, number: u64) -> Result<Connection, ConnectError> {
    let unreachable = |reason: String| ConnectError::Unreachable { url: url.to_owned(), reason };
    let dialling = async {
        let client = RpcClient::from_insecure_url(url).await.map_err(|e| unreachable(e.to_string()))?;
        // The legacy methods: nothing to keep in step with the node, each subscription stands alone.
        let backend = Arc::new(LegacyBackend::builder().build(client.clone()));
        let api = OnlineClient::from_backend_with_config(config.clone(), backend)
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        let rpc = LegacyRpcMethods::new(client.clone());
        Ok(Connection { api, rpc, raw: client, url: url.into(), number, migrated: Arc::default() })
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, dialling).await {
        Ok(dialled) => dialled,
        Err(_) => Err(unreachable(format!("it does not answer within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}
