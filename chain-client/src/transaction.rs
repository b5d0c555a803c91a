//! Sending transactions and seeing them through to a finalised block.

use crate::{
    ChainClient, ConnectError, QueryError, Signer,
    config::{ChroomConfig, subxt_account},
    link::Connection,
    query::AtBlock,
};
use chroom_primitives::{Balance, Hash};
use std::{collections::BTreeMap, time::Duration};
use subxt::{
    config::{DefaultExtrinsicParamsBuilder, Hasher as _, transaction_extensions::Params as _},
    error::{DispatchError, ExtrinsicError},
    events::{Events, Phase},
    ext::scale_value::Composite,
    tx::{Payload, TransactionProgress, TransactionStatus},
    utils::AccountId32,
};

/// Blocks for which a transaction is valid: what is not in a block by then never will be, and its nonce is free again.
const MORTALITY: u64 = 64;
/// Time after which nobody waits any more: the mortality in six-second blocks, and some for finality.
const PATIENCE: Duration = Duration::from_secs(64 * 6 + 60);
/// Blocks that may still bring a transaction which the pool now refuses: those that are not finalised yet.
const PATIENT_BLOCKS: u64 = 8;
/// Attempts when the nonce turns out to be taken by a transaction that was not known.
const ATTEMPTS: u32 = 3;

/// A transaction that is in a finalised block and succeeded.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct TxOutcome {
    /// Hash of the extrinsic.
    pub extrinsic_hash: Hash,
    /// The block that it is in.
    pub block_hash: Hash,
    /// That block's number.
    pub block_number: u32,
    /// The fee that was paid, in the smallest unit.
    pub fee: Balance,
    /// What happened.
    pub events: Vec<EventSummary>,
}

impl TxOutcome {
    /// The first event of this kind.
    pub fn find(&self, pallet: &str, event: &str) -> Option<&EventSummary> {
        self.events.iter().find(|e| e.pallet == pallet && e.event == event)
    }
}

/// An event in short.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct EventSummary {
    /// The pallet.
    pub pallet: String,
    /// The event's name.
    pub event: String,
    /// Its fields, for people.
    pub fields: String,
    /// Those of its fields that are numbers.
    #[serde(skip)]
    pub numbers: BTreeMap<String, u128>,
}

/// A transaction did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The chain cannot be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The transaction cannot be made, or the node's pool refuses it.
    #[error("the transaction was refused: {0}")]
    Refused(String),
    /// It is in a block, and failed there.
    #[error("the transaction failed: {pallet}::{name}: {docs}")]
    Dispatch {
        /// The pallet; `Runtime` for errors of the runtime itself.
        pallet: String,
        /// The error's name.
        name: String,
        /// What it means.
        docs: String,
    },
    /// It was not in a block in time and never will be.
    #[error("the transaction was in no block within {MORTALITY} blocks and is void now; send it again")]
    Expired,
    /// Another transaction of the account used its nonce.
    #[error(
        "another transaction with the same nonce came first; does something else sign with this key? Send it again"
    )]
    Replaced,
    /// Nobody knows.
    #[error("the transaction is in no finalised block after {} s; does the chain still finalise?", PATIENCE.as_secs())]
    Timeout,
}

impl From<ConnectError> for SubmitError {
    fn from(error: ConnectError) -> Self {
        SubmitError::Query(error.into())
    }
}

impl SubmitError {
    /// Whether the runtime gave this error.
    pub fn is(&self, in_pallet: &str, named: &str) -> bool {
        matches!(self, SubmitError::Dispatch { pallet, name, .. } if pallet == in_pallet && name == named)
    }
}

/// A transaction that a node took.
struct Sent {
    connection: Connection,
    account: AccountId32,
    nonce: u64,
    hash: Hash,
    encoded: Vec<u8>,
    /// Block that its validity begins with.
    born: u64,
}

/// What the node tells of a transaction as it goes.
type Progress = TransactionProgress<ChroomConfig, subxt::client::OnlineClientAtBlockImpl<ChroomConfig>>;

/// Why a node did not take a transaction.
enum SendError {
    /// Its nonce is used, or too far ahead: the node knows better.
    Nonce(String),
    Other(SubmitError),
}

impl ChainClient {
    /// Signs a call, sends it and waits until it is in a finalised block.
    pub async fn submit<C: Payload>(&self, signer: &Signer, call: &C) -> Result<TxOutcome, SubmitError> {
        let account = signer.account();
        let nonces = self.nonces(&account);
        let mut attempt = 1;
        let (sent, progress) = loop {
            // Held while sending, so that an account's transactions reach the pool in order.
            let mut held = nonces.lock().await;
            let connection = self.usable_connection().await?;
            let next = connection
                .rpc
                .system_account_next_index(&subxt_account(&account))
                .await
                .map_err(|e| QueryError::Node(e.to_string()))?;
            let nonce = held.take(next);
            match send(&connection, signer, call, nonce).await {
                Ok(sent) => break sent,
                Err(error) => {
                    held.lost(nonce);
                    drop(held);
                    match error {
                        SendError::Nonce(reason) if attempt < ATTEMPTS => {
                            tracing::debug!(nonce, reason, "the nonce is taken, trying again");
                            attempt += 1;
                            tokio::time::sleep(Duration::from_secs(1)).await;
                        }
                        SendError::Nonce(reason) => return Err(SubmitError::Refused(reason)),
                        SendError::Other(error) => return Err(error),
                    }
                }
            }
        };
        let nonce = sent.nonce;
        // Whoever stops waiting leaves the nonce to the node's answer.
        let settled = match tokio::time::timeout(PATIENCE, self.see_through(&sent, progress)).await {
            Ok(settled) => settled,
            Err(_) => Err(SubmitError::Timeout),
        };
        let mut held = nonces.lock().await;
        match &settled {
            Ok(_) | Err(SubmitError::Dispatch { .. }) => held.finalised(nonce),
            Err(_) => held.lost(nonce),
        }
        settled
    }

    /// The current connection, or a new one if it is broken.
    async fn usable_connection(&self) -> Result<Connection, ConnectError> {
        let connection = self.link().current().await;
        if connection.is_alive().await { Ok(connection) } else { self.link().replace(&connection).await }
    }

    async fn see_through(&self, sent: &Sent, mut progress: Progress) -> Result<TxOutcome, SubmitError> {
        while let Some(status) = progress.next().await {
            match status {
                Ok(TransactionStatus::InFinalizedBlock(block)) => {
                    let Ok(at) = block.at().await else { break };
                    match outcome(&sent.connection, &at, sent.hash).await {
                        Ok(Some(outcome)) => return Ok(outcome),
                        Ok(None) | Err(SubmitError::Query(_)) => break,
                        Err(error) => return Err(error),
                    }
                }
                Ok(TransactionStatus::Invalid { message } | TransactionStatus::Error { message }) => {
                    tracing::debug!(message, "the pool gave the transaction up");
                    break;
                }
                Ok(TransactionStatus::Dropped { message }) => {
                    tracing::debug!(message, "the pool dropped the transaction");
                    break;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "lost sight of the transaction");
                    break;
                }
            }
        }
        // The connection broke, or the pool let go of it: it may be in a block all the same. The chain tells.
        // Whoever watches holds a subscription for nothing.
        drop(progress);
        self.search(sent).await
    }

    /// Looks through the finalised blocks in which the transaction can be, as they come, and hands it to the pool again
    /// meanwhile: a node that was restarted has forgotten it. Sending the same bytes twice does no harm.
    async fn search(&self, sent: &Sent) -> Result<TxOutcome, SubmitError> {
        let mut membership = self.membership();
        let mut refusal: Option<(String, u64)> = None;
        for number in sent.born + 1..=sent.born + MORTALITY {
            let mut waited = false;
            while u64::from(membership.borrow_and_update().block) < number {
                waited = true;
                if membership.changed().await.is_err() {
                    return Err(SubmitError::Timeout);
                }
            }
            let connection = self.usable_connection().await?;
            match look_in(&connection, number, sent).await? {
                Looked::Found(outcome) => return Ok(outcome),
                Looked::Replaced => return Err(SubmitError::Replaced),
                Looked::Absent => {}
            }
            // What is known is searched through: from here on blocks come one by one.
            if waited || number == u64::from(membership.borrow().block) {
                match connection.rpc.author_submit_extrinsic(&sent.encoded).await {
                    Ok(_) => refusal = None,
                    Err(error) if is_final(&error.to_string()) => {
                        let (reason, until) = refusal.get_or_insert((error.to_string(), number + PATIENT_BLOCKS));
                        if number >= *until {
                            return Err(SubmitError::Refused(reason.clone()));
                        }
                    }
                    Err(error) => tracing::debug!(%error, "the pool has the transaction, or had it"),
                }
            }
        }
        Err(SubmitError::Expired)
    }
}

/// What a block says of a transaction.
enum Looked {
    Found(TxOutcome),
    /// Another transaction used its nonce.
    Replaced,
    Absent,
}

async fn look_in(connection: &Connection, number: u64, sent: &Sent) -> Result<Looked, SubmitError> {
    let at = connection.api.at_block(number).await.map_err(|e| QueryError::from(subxt::Error::from(e)))?;
    if let Some(outcome) = outcome(connection, &at, sent.hash).await? {
        return Ok(Looked::Found(outcome));
    }
    let next = at.transactions().account_nonce(&sent.account).await;
    let next = next.map_err(|e| QueryError::from(subxt::Error::from(e)))?;
    Ok(if next > sent.nonce { Looked::Replaced } else { Looked::Absent })
}

async fn send<C: Payload>(
    connection: &Connection,
    signer: &Signer,
    call: &C,
    nonce: u64,
) -> Result<(Sent, Progress), SendError> {
    let node = |e: subxt::Error| SendError::Other(SubmitError::Query(QueryError::from(e)));
    let refused = |e: ExtrinsicError| SendError::Other(SubmitError::Refused(e.to_string()));
    let at = connection.api.at_current_block().await.map_err(|e| node(e.into()))?;
    let mut parameters = DefaultExtrinsicParamsBuilder::<ChroomConfig>::new().nonce(nonce).mortal(MORTALITY).build();
    parameters.inject_block(at.block_number(), at.block_hash());
    let mut signable = at.transactions().create_signable_offline(call, parameters).map_err(refused)?;
    let transaction = signable.sign(signer).map_err(refused)?;
    let progress = transaction.submit_and_watch().await.map_err(|error| {
        let reason = error.to_string();
        match pool_refusal(&reason) {
            PoolRefusal::Nonce => SendError::Nonce(reason),
            PoolRefusal::Other => SendError::Other(SubmitError::Refused(reason)),
        }
    })?;
    let sent = Sent {
        connection: connection.clone(),
        account: subxt_account(&signer.account()),
        nonce,
        hash: transaction.hash(),
        encoded: transaction.into_encoded(),
        born: at.block_number(),
    };
    Ok((sent, progress))
}

/// Whether the pool, handed a transaction again, says that it cannot become valid. It cannot tell when it has or had it.
fn is_final(reason: &str) -> bool {
    let passing = ["Already Imported", "already imported", "Temporarily Banned", "temporarily banned", "outdated"];
    reason.contains("Invalid Transaction") && !passing.iter().any(|text| reason.contains(text))
}

#[derive(PartialEq, Eq, Debug)]
enum PoolRefusal {
    Nonce,
    Other,
}

/// Sorts the node's refusals: "Transaction is outdated" (stale nonce), "Priority is too low" (nonce taken by another in the
/// pool), against all others. The texts are those of sc-rpc's author API.
fn pool_refusal(reason: &str) -> PoolRefusal {
    if ["outdated", "Priority is too low", "too low priority"].iter().any(|text| reason.contains(text)) {
        PoolRefusal::Nonce
    } else {
        PoolRefusal::Other
    }
}

/// What became of the transaction in this block, if it is there.
async fn outcome(connection: &Connection, at: &AtBlock, hash: Hash) -> Result<Option<TxOutcome>, SubmitError> {
    let Some(extrinsics) = connection.extrinsics(at.block_hash()).await? else { return Ok(None) };
    let Some(index) = extrinsics.iter().position(|extrinsic| at.hasher().hash(extrinsic) == hash) else {
        return Ok(None);
    };
    let events = at.events().fetch().await.map_err(|e| QueryError::from(subxt::Error::from(e)))?;
    summarise(at, hash, Phase::ApplyExtrinsic(index as u32), &events).map(Some)
}

fn summarise(at: &AtBlock, hash: Hash, phase: Phase, events: &Events<ChroomConfig>) -> Result<TxOutcome, SubmitError> {
    let mut fee = 0;
    let mut summaries = Vec::new();
    for event in events.iter() {
        let event = event.map_err(|e| QueryError::from(subxt::Error::from(e)))?;
        if event.phase() != phase {
            continue;
        }
        let (pallet, name) = (event.pallet_name(), event.event_name());
        if (pallet, name) == ("System", "ExtrinsicFailed") {
            return Err(dispatch_error(DispatchError::decode_from(event.field_bytes(), at.metadata()).ok()));
        }
        let fields = event.decode_fields_unchecked_as::<Composite<()>>();
        if (pallet, name) == ("TransactionPayment", "TransactionFeePaid")
            && let Ok(fields) = &fields
        {
            fee = named_number(fields, "actual_fee").unwrap_or(0);
        }
        summaries.push(EventSummary {
            pallet: pallet.to_owned(),
            event: name.to_owned(),
            numbers: fields.as_ref().map(numbers).unwrap_or_default(),
            fields: fields.map(|fields| fields.to_string()).unwrap_or_default(),
        });
    }
    let block_number = u32::try_from(at.block_number()).unwrap_or(u32::MAX);
    Ok(TxOutcome { extrinsic_hash: hash, block_hash: at.block_hash(), block_number, fee, events: summaries })
}

/// The fields that are numbers, by name.
fn numbers(fields: &Composite<()>) -> BTreeMap<String, u128> {
    match fields {
        Composite::Named(fields) => {
            fields.iter().filter_map(|(name, value)| Some((name.clone(), value.as_u128()?))).collect()
        }
        Composite::Unnamed(_) => BTreeMap::new(),
    }
}

fn named_number(fields: &Composite<()>, name: &str) -> Option<u128> {
    match fields {
        Composite::Named(fields) => {
            fields.iter().find(|(field, _)| field == name).and_then(|(_, value)| value.as_u128())
        }
        Composite::Unnamed(_) => None,
    }
}

fn dispatch_error(error: Option<DispatchError>) -> SubmitError {
    let of_runtime = |name: String, docs: String| SubmitError::Dispatch { pallet: "Runtime".into(), name, docs };
    match error {
        Some(DispatchError::Module(module)) => match module.details() {
            Ok(details) => SubmitError::Dispatch {
                pallet: details.pallet.name().to_owned(),
                name: details.variant.name.clone(),
                docs: details.variant.docs.join(" ").trim().to_owned(),
            },
            Err(_) => of_runtime("Unknown".into(), module.details_string()),
        },
        Some(other) => {
            let docs = other.to_string();
            let shape = format!("{other:?}");
            let name = shape.split(['(', ' ']).next().unwrap_or("Other").to_owned();
            of_runtime(name, docs)
        }
        None => of_runtime("Unknown".into(), "the error could not be decoded".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pools_refusals_are_told_apart() {
        // As sc-rpc's author API words them.
        let stale = "RPC error: User error: code: 1010, message: Invalid Transaction: Transaction is outdated";
        let taken = "code: 1014, message: Priority is too low: (42 vs 42): The transaction has too low priority to replace \
                     another transaction already in the pool.";
        let unpaid =
            "code: 1010, message: Invalid Transaction: Inability to pay some fees (e.g. account balance too low)";
        let known = "code: 1013, message: Transaction is already imported";
        assert_eq!(pool_refusal(stale), PoolRefusal::Nonce);
        assert_eq!(pool_refusal(taken), PoolRefusal::Nonce);
        assert_eq!(pool_refusal(unpaid), PoolRefusal::Other);
        assert!(is_final(unpaid) && !is_final(stale) && !is_final(known) && !is_final("connection reset"));
    }

    #[test]
    fn errors_name_pallet_and_reason() {
        let error = SubmitError::Dispatch {
            pallet: "Nodes".into(),
            name: "BondTooLow".into(),
            docs: "The bond is too low.".into(),
        };
        assert!(error.is("Nodes", "BondTooLow") && !error.is("Qos", "BondTooLow"));
        assert_eq!(error.to_string(), "the transaction failed: Nodes::BondTooLow: The bond is too low.");
        let bad_origin = dispatch_error(Some(DispatchError::BadOrigin));
        assert!(bad_origin.is("Runtime", "BadOrigin"), "{bad_origin:?}");
    }
}
