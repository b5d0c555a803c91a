//! The queue on disk.

use crate::{
    metrics::Metrics,
    session::{SessionId, Ticket},
    store::{ReceiptChanges, Store, StoreError},
    time::now_ms,
};
use chroom_primitives::{Hash, NodeId, Signed, UnixMs, record::SessionGrant};
use chroom_rpc::receipt::{Receipt, ReceiptBody, ReceiptError};
use chroom_wallet::Wallet;
use codec::{Decode, Encode};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::Notify;

/// Receipts that may wait.
pub const MAX_WAITING: usize = 200_000;
/// Oldest end of an interval that is taken, in milliseconds ago.
const MAX_AGE_MS: u64 = 120_000;
/// How far an interval may reach into the one before, in milliseconds: clocks are set now and then. Registries allow as much.
const MAX_OVERLAP_MS: u64 = 2_000;
/// How far the first interval may begin before the session did, in milliseconds: clients' clocks differ.
const MAX_BEFORE_START_MS: u64 = 60_000;
/// How long a grant is good, in milliseconds.
const GRANT_MS: u64 = 24 * 60 * 60 * 1_000;
/// A grant is renewed when it is good for less than this.
const GRANT_RENEW_MS: u64 = 60 * 60 * 1_000;
/// How long after its last receipt a session's sequence number is kept.
const FORGET_MS: u64 = 10 * 60 * 1_000;

/// Names a receipt, in the order of their ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct ReceiptKey {
    /// End of its interval, Unix ms.
    pub to: UnixMs,
    /// Its media node.
    pub node: NodeId,
    /// Its session.
    pub session: [u8; 16],
    /// Its sequence number.
    pub seq: u64,
}

/// A receipt that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// The receipt.
    pub receipt: Receipt,
    /// Who has it, or refused it for good.
    pub done: BTreeSet<NodeId>,
}

/// Receipts of one session on one node, with the word that it existed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The orchestrator's signed word.
    pub grant: Signed<SessionGrant>,
    /// The receipts, in the order of their ends.
    pub receipts: Vec<(ReceiptKey, Receipt)>,
}

/// A receipt is not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// It is not good in itself.
    #[error("{0}")]
    Receipt(#[from] ReceiptError),
    /// It is another session's.
    #[error("it names another session")]
    OtherSession,
    /// It names a node that does not serve the session, and did not when its interval ended.
    #[error("its media node {0} did not serve this session then")]
    OtherNode(NodeId),
    /// It was there before.
    #[error("replayed: its seq is {seq}, the last one was {last}")]
    Replayed {
        /// Its number.
        seq: u64,
        /// The last one that was taken.
        last: u64,
    },
    /// Its interval overlaps the one before.
    #[error("its interval begins before the last one ended")]
    Overlap,
    /// It is too old, or of before the session.
    #[error("out of time: {0}")]
    Time(&'static str),
    /// There is no room for it.
    #[error("too many receipts wait for the committees; send it again later")]
    Full,
    /// It cannot be kept.
    #[error("{0}")]
    Store(#[from] StoreError),
}

#[derive(Clone, Copy, Encode, Decode)]
struct Last {
    seq: u64,
    to: UnixMs,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<ReceiptKey, Waiting>,
    grants: BTreeMap<([u8; 16], NodeId), Signed<SessionGrant>>,
    last: BTreeMap<[u8; 16], Last>,
}

/// The queue. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    store: Store,
    wallet: Wallet,
    genesis: Hash,
    metrics: Metrics,
    state: Arc<Mutex<State>>,
    /// Wakes whoever delivers.
    pub(super) news: Arc<Notify>,
}

impl Queue {
    /// The queue with what an earlier run left in it.
    pub fn open(store: Store, wallet: Wallet, genesis: Hash, metrics: Metrics) -> Result<Self, StoreError> {
        let mut state = State::default();
        for (key, value) in store.receipts()? {
            let key = ReceiptKey::decode(&mut key.as_slice());
            let value = <(String, Vec<u8>)>::decode(&mut value.as_slice());
            if let (Ok(key), Ok((payload, signature))) = (key, value) {
                let receipt = Receipt { payload, signature };
                state.waiting.insert(key, Waiting { receipt, done: BTreeSet::new() });
            }
        }
        for (key, value) in store.grants()? {
            if let (Ok(key), Ok(grant)) = (Decode::decode(&mut key.as_slice()), Decode::decode(&mut value.as_slice())) {
                state.grants.insert(key, grant);
            }
        }
        for (key, value) in store.sequences()? {
            if let (Ok(key), Ok(last)) = (Decode::decode(&mut key.as_slice()), Decode::decode(&mut value.as_slice())) {
                state.last.insert(key, last);
            }
        }
        tracing::info!(waiting = state.waiting.len(), "receipts of an earlier run are restored");
        metrics.receipts_waiting.set(state.waiting.len() as i64);
        Ok(Self { store, wallet, genesis, metrics, state: Arc::new(Mutex::new(state)), news: Arc::new(Notify::new()) })
    }

    /// Checks a receipt and keeps it; when this returns what is in it, it is on disk.
    pub async fn take(&self, ticket: &Ticket, receipt: Receipt) -> Result<ReceiptBody, QueueError> {
        let now = now_ms();
        let body = receipt.verify(&ticket.receipt_key)?;
        body.check_clock(now)?;
        if body.session.0 != ticket.session.0 {
            return Err(QueueError::OtherSession);
        }
        if !ticket.stays.served(&body.node, body.to) {
            return Err(QueueError::OtherNode(body.node));
        }
        if body.to + MAX_AGE_MS < now {
            return Err(QueueError::Time("it ended more than two minutes ago"));
        }
        if body.from + MAX_BEFORE_START_MS < ticket.started_ms {
            return Err(QueueError::Time("it began before the session"));
        }
        let key = ReceiptKey { to: body.to, node: body.node, session: body.session.0, seq: body.seq };
        let mut changes = ReceiptChanges::default();
        let before;
        {
            let mut state = self.state.lock();
            if state.waiting.len() >= MAX_WAITING {
                return Err(QueueError::Full);
            }
            if let Some(last) = state.last.get(&key.session) {
                if body.seq <= last.seq {
                    return Err(QueueError::Replayed { seq: body.seq, last: last.seq });
                }
                if body.from + MAX_OVERLAP_MS < last.to || body.to <= last.to {
                    return Err(QueueError::Overlap);
                }
            }
            let last = Last { seq: body.seq, to: body.to };
            before = state.last.insert(key.session, last);
            changes.sequences.push((key.session.encode(), Some(last.encode())));
            let granted = state.grants.get(&(key.session, key.node)).map(|grant| &grant.payload);
            if granted.is_none_or(|grant| grant.expires_ms < now + GRANT_RENEW_MS) {
                // The client's clock may be behind ours: what it measured first began with the session.
                let started_ms = granted.map_or(ticket.started_ms.min(body.from), |grant| grant.started_ms);
                let grant = self.grant(ticket, key.node, started_ms, now);
                state.grants.insert((key.session, key.node), grant);
            }
            // With every receipt: an earlier one's write may have failed, or not be on disk yet.
            if let Some(grant) = state.grants.get(&(key.session, key.node)) {
                changes.grants.push(((key.session, key.node).encode(), Some(grant.encode())));
            }
        }
        let value = (receipt.payload.clone(), receipt.signature.clone()).encode();
        changes.receipts.push((key.encode(), Some(value)));
        let kept = self.store.keep_receipts(changes, true).await;
        let mut state = self.state.lock();
        if let Err(error) = kept {
            // It was not taken, so it may come again.
            match before {
                Some(before) => state.last.insert(key.session, before),
                None => state.last.remove(&key.session),
            };
            return Err(error.into());
        }
        state.waiting.insert(key, Waiting { receipt, done: BTreeSet::new() });
        self.metrics.receipts_waiting.set(state.waiting.len() as i64);
        self.metrics.receipts.inc();
        self.news.notify_one();
        Ok(body)
    }

    fn grant(&self, ticket: &Ticket, node: NodeId, started_ms: UnixMs, now: UnixMs) -> Signed<SessionGrant> {
        let grant = SessionGrant {
            orchestrator: self.wallet.node_id(),
            node,
            session: ticket.session.0,
            application: ticket.account.clone(),
            receipt_key: ticket.receipt_key,
            started_ms,
            expires_ms: now + GRANT_MS,
        };
        self.wallet.sign(grant, &self.genesis)
    }

    /// The media nodes and ends of all receipts that wait.
    pub fn keys(&self) -> Vec<ReceiptKey> {
        self.state.lock().waiting.keys().copied().collect()
    }

    /// Up to `limit` receipts of one session on one node that `member` does not have, among `keys`, with their grant.
    pub fn batch(&self, member: &NodeId, keys: &BTreeSet<ReceiptKey>, limit: usize) -> Option<Batch> {
        let state = self.state.lock();
        let wanted =
            |key: &ReceiptKey| state.waiting.get(key).filter(|waiting| !waiting.done.contains(member)).is_some();
        let granted = |key: &ReceiptKey| state.grants.contains_key(&(key.session, key.node));
        let first = keys.iter().find(|key| wanted(key) && granted(key))?;
        let grant = state.grants.get(&(first.session, first.node))?.clone();
        let batch = keys
            .iter()
            .filter(|key| key.session == first.session && key.node == first.node && wanted(key))
            .take(limit)
            .filter_map(|key| Some((*key, state.waiting.get(key)?.receipt.clone())))
            .collect();
        Some(Batch { grant, receipts: batch })
    }

    /// Notes that `member` has these receipts, or refused them for good.
    pub fn delivered(&self, member: &NodeId, keys: impl IntoIterator<Item = ReceiptKey>) {
        let mut state = self.state.lock();
        for key in keys {
            if let Some(waiting) = state.waiting.get_mut(&key) {
                waiting.done.insert(*member);
            }
        }
    }

    /// Whether all of `members` are done with a receipt.
    pub fn is_done(&self, key: &ReceiptKey, members: &[NodeId]) -> bool {
        let state = self.state.lock();
        state.waiting.get(key).is_none_or(|waiting| members.iter().all(|member| waiting.done.contains(member)))
    }

    /// Drops receipts, and what is kept of sessions that are long over.
    pub async fn drop_receipts(&self, keys: Vec<ReceiptKey>) -> Result<(), StoreError> {
        let now = now_ms();
        let mut changes = ReceiptChanges::default();
        {
            let mut state = self.state.lock();
            for key in keys {
                state.waiting.remove(&key);
                changes.receipts.push((key.encode(), None));
            }
            let over: Vec<[u8; 16]> =
                state.last.iter().filter(|(_, last)| last.to + FORGET_MS < now).map(|(id, _)| *id).collect();
            for session in over {
                if state.waiting.keys().any(|key| key.session == session) {
                    continue;
                }
                state.last.remove(&session);
                changes.sequences.push((session.encode(), None));
                let grants: Vec<([u8; 16], NodeId)> =
                    state.grants.keys().filter(|(id, _)| *id == session).copied().collect();
                for key in grants {
                    state.grants.remove(&key);
                    changes.grants.push((key.encode(), None));
                }
            }
            self.metrics.receipts_waiting.set(state.waiting.len() as i64);
        }
        if changes.receipts.is_empty() && changes.sequences.is_empty() {
            return Ok(());
        }
        self.store.keep_receipts(changes, false).await
    }

    /// The figures.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl From<[u8; 16]> for SessionId {
    fn from(bytes: [u8; 16]) -> Self {
        SessionId(bytes)
    }
}
