//! What can be asked of the chain, answered as of its last finalised block.

use crate::{
    AccountBalance, ChainClient, ConnectError,
    config::{ChroomConfig, subxt_account},
    link::Connection,
};
use chroom_primitives::{
    AccountId, Balance, NodeId, QosEpoch, UnixMs,
    anchor::FinalSnapshot,
    epoch::EpochInfo,
    merkle::Root,
    record::Registration,
    runtime_api::{MemberProof, Payout},
};
use codec::{Decode, Encode};
use std::{collections::BTreeMap, future::Future, time::Duration};
use subxt::OnlineClientAtBlock;

/// Time that one question may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Registrations fetched at once.
const PAGE: u32 = 1_000;

/// The state as of one block.
pub(crate) type AtBlock = OnlineClientAtBlock<ChroomConfig>;

/// A question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No node can be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The node did not answer in time.
    #[error("the chain node at {url} does not answer within {} s", TIMEOUT.as_secs())]
    Timeout {
        /// Where.
        url: String,
    },
    /// The node refused, or its answer makes no sense.
    #[error("the chain node refused a query: {0}")]
    Node(String),
    /// The node's runtime gives something else than this version understands.
    #[error("the chain's answer to {what} is not understood; is this version older than its runtime? {reason}")]
    Malformed {
        /// What was asked.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The runtime would refuse a claim.
    #[error("the claim would fail: {0}")]
    Claim(String),
}

impl From<subxt::Error> for QueryError {
    fn from(error: subxt::Error) -> Self {
        QueryError::Node(error.to_string())
    }
}

/// Calls a method of the runtime API that chain and client declare together in `chroom_primitives::runtime_api`.
pub(crate) async fn call<R: Decode>(
    at: &AtBlock,
    method: &'static str,
    arguments: impl Encode,
) -> Result<R, QueryError> {
    let arguments = arguments.encode();
    let answer = at.runtime_apis().call_raw(method, Some(&arguments)).await.map_err(subxt::Error::from)?;
    R::decode(&mut answer.as_slice()).map_err(|e| QueryError::Malformed { what: method, reason: e.to_string() })
}

/// All registered nodes.
pub(crate) async fn registrations(at: &AtBlock) -> Result<BTreeMap<NodeId, Registration>, QueryError> {
    let mut nodes = BTreeMap::new();
    let mut after: Option<NodeId> = None;
    loop {
        let page: Vec<Registration> = call(at, "ChroomApi_registrations", (after, PAGE)).await?;
        let full = page.len() as u32 >= PAGE;
        let last = page.iter().map(|node| node.node).max();
        // A node that does not move on would hold us for ever.
        let moved = last > after;
        nodes.extend(page.into_iter().map(|node| (node.node, node)));
        if !full || !moved {
            return Ok(nodes);
        }
        after = last;
    }
}

impl ChainClient {
    /// Asks at the last finalised block. If the connection turns out to be broken, asks once more over a new one.
    pub(crate) async fn ask<R, F>(&self, question: impl Fn(AtBlock) -> F) -> Result<R, QueryError>
    where
        F: Future<Output = Result<R, QueryError>>,
    {
        let connection = self.link().current().await;
        match Self::ask_over(&connection, &question).await {
            Err(error @ (QueryError::Node(_) | QueryError::Timeout { .. })) => {
                if connection.is_alive().await {
                    return Err(error);
                }
                let connection = self.link().replace(&connection).await?;
                Self::ask_over(&connection, &question).await
            }
            answered => answered,
        }
    }

    async fn ask_over<R, F>(connection: &Connection, question: &impl Fn(AtBlock) -> F) -> Result<R, QueryError>
    where
        F: Future<Output = Result<R, QueryError>>,
    {
        let asking = async {
            let at = connection.api.at_current_block().await.map_err(subxt::Error::from)?;
            question(at).await
        };
        match tokio::time::timeout(TIMEOUT, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(QueryError::Timeout { url: connection.url.to_string() }),
        }
    }

    async fn ask_api<R: Decode>(&self, method: &'static str, arguments: impl Encode + Clone) -> Result<R, QueryError> {
        self.ask(|at| {
            let arguments = arguments.clone();
            async move { call(&at, method, arguments).await }
        })
        .await
    }

    /// The current QoS epoch.
    pub async fn epoch_info(&self) -> Result<EpochInfo, QueryError> {
        self.ask_api("ChroomApi_epoch_info", ()).await
    }

    /// Unix time in milliseconds of the first block of `epoch`; none if the chain does not know it (yet, or any more).
    pub async fn epoch_start_ms(&self, epoch: QosEpoch) -> Result<Option<UnixMs>, QueryError> {
        self.ask_api("ChroomApi_epoch_start_ms", epoch).await
    }

    /// All registered nodes. Who needs them often follows [`ChainClient::membership`].
    pub async fn registrations(&self) -> Result<BTreeMap<NodeId, Registration>, QueryError> {
        self.ask(|at| async move { registrations(&at).await }).await
    }

    /// One registered node.
    pub async fn registration(&self, node: NodeId) -> Result<Option<Registration>, QueryError> {
        self.ask_api("ChroomApi_registration", node).await
    }

    /// The nonce that the node's next key proof must carry.
    pub async fn key_proof_nonce(&self, node: NodeId) -> Result<u32, QueryError> {
        self.ask_api("ChroomApi_key_proof_nonce", node).await
    }

    /// The committee of a media node in an epoch, in the order of the draw; empty when the chain does not know the epoch.
    pub async fn committee(&self, epoch: QosEpoch, node: NodeId) -> Result<Vec<NodeId>, QueryError> {
        self.ask_api("ChroomApi_committee", (epoch, node)).await
    }

    /// The media nodes that an attestor was drawn for in an epoch.
    pub async fn assignments(&self, epoch: QosEpoch, attestor: NodeId) -> Result<Vec<NodeId>, QueryError> {
        self.ask_api("ChroomApi_assignments", (epoch, attestor)).await
    }

    /// The quality root that an attestor sent for an epoch.
    pub async fn attestation(&self, epoch: QosEpoch, attestor: NodeId) -> Result<Option<Root>, QueryError> {
        self.ask_api("ChroomApi_attestation", (epoch, attestor)).await
    }

    /// What a claim with these proofs would pay now; [`QueryError::Claim`] says why it would fail.
    pub async fn preview_claim(
        &self,
        epoch: QosEpoch,
        node: NodeId,
        proofs: Vec<MemberProof>,
    ) -> Result<Payout, QueryError> {
        let payout: Result<Payout, Vec<u8>> = self.ask_api("ChroomApi_preview_claim", (epoch, node, proofs)).await?;
        payout.map_err(|reason| QueryError::Claim(String::from_utf8_lossy(&reason).into_owned()))
    }

    /// Epochs that a node could claim and has not.
    pub async fn claimable_epochs(&self, node: NodeId) -> Result<Vec<QosEpoch>, QueryError> {
        self.ask_api("ChroomApi_claimable_epochs", node).await
    }

    /// What an application has in its escrow, in the smallest unit.
    pub async fn escrow(&self, application: &AccountId) -> Result<Balance, QueryError> {
        self.ask_api("ChroomApi_escrow", application).await
    }

    /// The newest final registry snapshot.
    pub async fn latest_snapshot(&self) -> Result<Option<FinalSnapshot>, QueryError> {
        self.ask_api("ChroomApi_latest_snapshot", ()).await
    }

    /// The final registry snapshot of an epoch, while the chain keeps it.
    pub async fn snapshot(&self, epoch: QosEpoch) -> Result<Option<FinalSnapshot>, QueryError> {
        self.ask_api("ChroomApi_snapshot", epoch).await
    }

    /// What an account owns.
    pub async fn balance(&self, account: &AccountId) -> Result<AccountBalance, QueryError> {
        let account = subxt_account(account);
        self.ask(|at| async move { crate::account::balance(&at, account).await }).await
    }

    /// The last reward that was paid for a node, with its epoch; none if it never claimed.
    pub async fn last_reward(&self, node: NodeId) -> Result<Option<(QosEpoch, Balance)>, QueryError> {
        self.ask(|at| async move { crate::account::last_reward(&at, node).await }).await
    }
}
