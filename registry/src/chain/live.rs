//! The real chain, through the project's client.

use super::{Answer, Chain, ChainError, Head};
use chroom_chain_client::{ChainClient, Membership, QueryError, SentRoots, Signer, SubmitError};
use chroom_primitives::{Hash, NodeId, QosEpoch, UnixMs, epoch::EpochInfo, merkle::Root, record::Registration};
use codec::{Decode, Encode};
use futures::FutureExt;
use jsonrpsee::{
    core::{ClientError, DeserializeOwned, client::ClientT, params::ArrayParams},
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::{Mutex, watch};

/// Time that one question may take.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Registrations fetched at once.
const PAGE: u32 = 1_000;

/// The chain behind a [`ChainClient`].
#[derive(Clone)]
pub struct LiveChain {
    client: ChainClient,
    signer: Signer,
    best: Arc<BestChain>,
}

impl LiveChain {
    /// Talks to the chain at `urls`; roots are signed by `signer`, the node's own key.
    pub fn new(client: ChainClient, signer: Signer, urls: &[String]) -> Self {
        Self { client, signer, best: Arc::new(BestChain { urls: urls.to_vec(), connection: Mutex::new(None) }) }
    }
}

impl Chain for LiveChain {
    fn genesis(&self) -> Hash {
        self.client.genesis_hash()
    }

    fn membership(&self) -> watch::Receiver<Arc<Membership>> {
        self.client.membership()
    }

    fn head(&self) -> Answer<Head> {
        let best = self.best.clone();
        async move { best.head().await }.boxed()
    }

    fn members_at(&self, block: u32) -> Answer<BTreeSet<NodeId>> {
        let best = self.best.clone();
        async move { best.members_at(block).await }.boxed()
    }

    fn epoch_start_ms(&self, epoch: QosEpoch) -> Answer<Option<UnixMs>> {
        let client = self.client.clone();
        async move { client.epoch_start_ms(epoch).await.map_err(unavailable) }.boxed()
    }

    fn assignments(&self, epoch: QosEpoch, attestor: NodeId) -> Answer<Vec<NodeId>> {
        let client = self.client.clone();
        async move { client.assignments(epoch, attestor).await.map_err(unavailable) }.boxed()
    }

    fn attestation(&self, epoch: QosEpoch, attestor: NodeId) -> Answer<Option<SentRoots>> {
        let client = self.client.clone();
        async move { Ok(client.attestation_of(epoch, attestor).await.map_err(unavailable)?.roots) }.boxed()
    }

    fn submit_root(&self, epoch: QosEpoch, quality: Root, snapshot: Root) -> Answer<()> {
        let (client, signer) = (self.client.clone(), self.signer.clone());
        async move {
            match client.submit_root(&signer, epoch, quality, snapshot).await {
                Ok(outcome) => {
                    tracing::debug!(epoch = epoch.0, block = outcome.block_number, "roots are final");
                    Ok(())
                }
                Err(error) if error.is("Qos", "AlreadySubmitted") => Ok(()),
                Err(error) if error.is("Qos", "NotAttestor") => Err(ChainError::NotAttestor),
                Err(error @ SubmitError::Dispatch { .. }) => Err(ChainError::Refused(error.to_string())),
                Err(error) => Err(ChainError::Unavailable(error.to_string())),
            }
        }
        .boxed()
    }
}

fn unavailable(error: QueryError) -> ChainError {
    ChainError::Unavailable(error.to_string())
}

/// Reads of blocks that are not final yet, over the node's plain JSON-RPC.
struct BestChain {
    urls: Vec<String>,
    connection: Mutex<Option<Arc<WsClient>>>,
}

#[derive(serde::Deserialize)]
struct Header {
    number: String,
}

impl BestChain {
    async fn client(&self) -> Result<Arc<WsClient>, ChainError> {
        let mut held = self.connection.lock().await;
        if let Some(client) = held.as_ref()
            && client.is_connected()
        {
            return Ok(client.clone());
        }
        let mut last = ChainError::Unavailable("no URL was given".into());
        for url in &self.urls {
            let builder = WsClientBuilder::default().request_timeout(TIMEOUT).connection_timeout(TIMEOUT);
            match builder.build(url).await {
                Ok(client) => {
                    let client = Arc::new(client);
                    *held = Some(client.clone());
                    return Ok(client);
                }
                Err(error) => last = ChainError::Unavailable(format!("{url}: {error}")),
            }
        }
        Err(last)
    }

    async fn request<R: DeserializeOwned + Send>(&self, method: &str, params: ArrayParams) -> Result<R, ChainError> {
        let client = self.client().await?;
        match client.request(method, params).await {
            Ok(answer) => Ok(answer),
            Err(error @ ClientError::Call(_)) => Err(ChainError::Unavailable(error.to_string())),
            Err(error) => {
                // Whatever else went wrong, the next question goes over a new connection.
                let mut held = self.connection.lock().await;
                if held.as_ref().is_some_and(|current| Arc::ptr_eq(current, &client)) {
                    *held = None;
                }
                Err(ChainError::Unavailable(error.to_string()))
            }
        }
    }

    async fn call<R: Decode>(&self, method: &str, arguments: Vec<u8>, at: Hash) -> Result<R, ChainError> {
        let arguments = format!("0x{}", hex::encode(arguments));
        let at = format!("0x{}", hex::encode(at.as_bytes()));
        let answer: String = self.request("state_call", rpc_params![method, arguments, at]).await?;
        let bytes = hex::decode(answer.trim_start_matches("0x")).map_err(malformed)?;
        R::decode(&mut bytes.as_slice()).map_err(malformed)
    }

    async fn hash_of(&self, block: u32) -> Result<Hash, ChainError> {
        let answer: Option<String> = self.request("chain_getBlockHash", rpc_params![block]).await?;
        let answer = answer.ok_or_else(|| ChainError::Unavailable(format!("block {block} is not known")))?;
        let bytes: [u8; 32] = hex::decode(answer.trim_start_matches("0x"))
            .map_err(malformed)?
            .try_into()
            .map_err(|_| ChainError::Unavailable("a block hash is not 32 bytes long".into()))?;
        Ok(Hash::from(bytes))
    }

    async fn head(&self) -> Result<Head, ChainError> {
        let header: Header = self.request("chain_getHeader", rpc_params![]).await?;
        let block = u32::from_str_radix(header.number.trim_start_matches("0x"), 16).map_err(malformed)?;
        let epoch: EpochInfo = self.call("ChroomApi_epoch_info", Vec::new(), self.hash_of(block).await?).await?;
        Ok(Head { block, epoch })
    }

    async fn members_at(&self, block: u32) -> Result<BTreeSet<NodeId>, ChainError> {
        let at = self.hash_of(block).await?;
        let mut members = BTreeSet::new();
        let mut after: Option<NodeId> = None;
        loop {
            let page: Vec<Registration> = self.call("ChroomApi_registrations", (after, PAGE).encode(), at).await?;
            let full = page.len() >= PAGE as usize;
            let last = page.iter().map(|r| r.node).max();
            members.extend(page.into_iter().filter(|r| r.status.is_member()).map(|r| r.node));
            if !full || last <= after {
                return Ok(members);
            }
            after = last;
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> ChainError {
    ChainError::Unavailable(format!("an answer is malformed: {error}"))
}
