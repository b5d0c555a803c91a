//! What can be asked of the chain, answered as of its last finalised block, or the one before where that brings a new runtime.

use crate::{
    AccountBalance, ChainClient, ConnectError, UnbondingPart,
    config::{ChroomConfig, subxt_account},
    link::Connection,
    runtime,
    settled::settled,
};
use chroom_primitives::{
    AccountId, Balance, NodeId, QosEpoch, UnixMs,
    anchor::FinalSnapshot,
    epoch::EpochInfo,
    merkle::Root,
    record::Registration,
    runtime_api::{MemberProof, Payout},
};
use std::{collections::BTreeMap, future::Future, time::Duration};
use subxt::{OnlineClientAtBlock, runtime_apis::Payload, utils::Static};

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
    /// The runtime would refuse a claim.
    #[error("the claim would fail: {0}")]
    Claim(String),
}

impl From<subxt::Error> for QueryError {
    fn from(error: subxt::Error) -> Self {
        QueryError::Node(error.to_string())
    }
}

/// Calls a method of the runtime API.
pub(crate) async fn call<P: Payload>(at: &AtBlock, payload: P) -> Result<P::ReturnType, QueryError> {
    Ok(at.runtime_apis().call(payload).await.map_err(subxt::Error::from)?)
}

/// The methods of the project's own runtime API.
pub(crate) fn api() -> runtime::runtime_apis::chroom_api::ChroomApi {
    runtime::runtime_apis().chroom_api()
}

/// Takes the shared types out of subxt's wrapping.
trait Unwrap {
    type Inner;
    fn unwrapped(self) -> Self::Inner;
}

impl<T> Unwrap for Static<T> {
    type Inner = T;
    fn unwrapped(self) -> T {
        self.0
    }
}

impl<T> Unwrap for Option<Static<T>> {
    type Inner = Option<T>;
    fn unwrapped(self) -> Option<T> {
        self.map(|wrapped| wrapped.0)
    }
}

impl<T> Unwrap for Vec<Static<T>> {
    type Inner = Vec<T>;
    fn unwrapped(self) -> Vec<T> {
        self.into_iter().map(|wrapped| wrapped.0).collect()
    }
}

/// All registered nodes.
pub(crate) async fn registrations(at: &AtBlock) -> Result<BTreeMap<NodeId, Registration>, QueryError> {
    let mut nodes = BTreeMap::new();
    let mut after: Option<NodeId> = None;
    loop {
        let page = call(at, api().registrations(after.map(Static), PAGE)).await?.unwrapped();
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
            question(settled(connection, at).await?).await
        };
        match tokio::time::timeout(TIMEOUT, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(QueryError::Timeout { url: connection.url.to_string() }),
        }
    }

    async fn ask_api<P: Payload>(&self, payload: P) -> Result<P::ReturnType, QueryError> {
        self.ask(|at| {
            let payload = &payload;
            async move { call(&at, payload).await }
        })
        .await
    }

    /// The current QoS epoch.
    pub async fn epoch_info(&self) -> Result<EpochInfo, QueryError> {
        Ok(self.ask_api(api().epoch_info()).await?.unwrapped())
    }

    /// Unix time in milliseconds of the first block of `epoch`; none if the chain does not know it (yet, or any more).
    pub async fn epoch_start_ms(&self, epoch: QosEpoch) -> Result<Option<UnixMs>, QueryError> {
        self.ask_api(api().epoch_start_ms(Static(epoch))).await
    }

    /// All registered nodes. Who needs them often follows [`ChainClient::membership`].
    pub async fn registrations(&self) -> Result<BTreeMap<NodeId, Registration>, QueryError> {
        self.ask(|at| async move { registrations(&at).await }).await
    }

    /// One registered node.
    pub async fn registration(&self, node: NodeId) -> Result<Option<Registration>, QueryError> {
        Ok(self.ask_api(api().registration(Static(node))).await?.unwrapped())
    }

    /// The nonce that the node's next key proof must carry.
    pub async fn key_proof_nonce(&self, node: NodeId) -> Result<u32, QueryError> {
        self.ask_api(api().key_proof_nonce(Static(node))).await
    }

    /// The committee of a media node in an epoch, in the order of the draw; empty when the chain does not know the epoch.
    pub async fn committee(&self, epoch: QosEpoch, node: NodeId) -> Result<Vec<NodeId>, QueryError> {
        Ok(self.ask_api(api().committee(Static(epoch), Static(node))).await?.unwrapped())
    }

    /// The media nodes that an attestor was drawn for in an epoch.
    pub async fn assignments(&self, epoch: QosEpoch, attestor: NodeId) -> Result<Vec<NodeId>, QueryError> {
        Ok(self.ask_api(api().assignments(Static(epoch), Static(attestor))).await?.unwrapped())
    }

    /// The quality root that an attestor sent for an epoch.
    pub async fn attestation(&self, epoch: QosEpoch, attestor: NodeId) -> Result<Option<Root>, QueryError> {
        Ok(self.ask_api(api().attestation(Static(epoch), Static(attestor))).await?.unwrapped())
    }

    /// What a claim with these proofs would pay now; [`QueryError::Claim`] says why it would fail.
    pub async fn preview_claim(
        &self,
        epoch: QosEpoch,
        node: NodeId,
        proofs: Vec<MemberProof>,
    ) -> Result<Payout, QueryError> {
        let proofs = proofs.into_iter().map(Static).collect();
        match self.ask_api(api().preview_claim(Static(epoch), Static(node), proofs)).await? {
            Ok(payout) => Ok(payout.0),
            Err::<_, Vec<u8>>(reason) => Err(QueryError::Claim(String::from_utf8_lossy(&reason).into_owned())),
        }
    }

    /// Epochs that a node could claim and has not.
    pub async fn claimable_epochs(&self, node: NodeId) -> Result<Vec<QosEpoch>, QueryError> {
        Ok(self.ask_api(api().claimable_epochs(Static(node))).await?.unwrapped())
    }

    /// The highest price per GiB, in the smallest unit, that `application` lets `orchestrator` agree to for usage in `epoch`; 0 if it may spend
    /// nothing.
    pub async fn price_limit(
        &self,
        application: &AccountId,
        orchestrator: NodeId,
        epoch: QosEpoch,
    ) -> Result<Balance, QueryError> {
        let application = subxt_account(application);
        let question =
            runtime::view_functions().rewards().price_limit(application, Static(orchestrator), Static(epoch));
        self.ask(|at| {
            let question = &question;
            async move { crate::view::call(&at, question).await }
        })
        .await
    }

    /// What an application has in its escrow, in the smallest unit.
    pub async fn escrow(&self, application: &AccountId) -> Result<Balance, QueryError> {
        self.ask_api(api().escrow(subxt_account(application))).await
    }

    /// The newest final registry snapshot.
    pub async fn latest_snapshot(&self) -> Result<Option<FinalSnapshot>, QueryError> {
        Ok(self.ask_api(api().latest_snapshot()).await?.unwrapped())
    }

    /// The final registry snapshot of an epoch, while the chain keeps it.
    pub async fn snapshot(&self, epoch: QosEpoch) -> Result<Option<FinalSnapshot>, QueryError> {
        Ok(self.ask_api(api().snapshot(Static(epoch))).await?.unwrapped())
    }

    /// What an account owns.
    pub async fn balance(&self, account: &AccountId) -> Result<AccountBalance, QueryError> {
        let account = subxt_account(account);
        self.ask(|at| async move { crate::account::balance(&at, account).await }).await
    }

    /// The nonce that the next authorisation by an owner's EVM wallet must carry.
    pub async fn authorization_nonce(&self, owner: NodeId) -> Result<u32, QueryError> {
        self.ask(|at| async move { crate::account::authorization_nonce(&at, owner).await }).await
    }

    /// The parts of a node's bond that are unbonding, in the order in which they were taken back.
    pub async fn unbonding(&self, node: NodeId) -> Result<Vec<UnbondingPart>, QueryError> {
        self.ask(|at| async move { crate::account::unbonding(&at, node).await }).await
    }

    /// The last reward that was paid for a node, with its epoch; none if it never claimed.
    pub async fn last_reward(&self, node: NodeId) -> Result<Option<(QosEpoch, Balance)>, QueryError> {
        self.ask(|at| async move { crate::account::last_reward(&at, node).await }).await
    }
}
