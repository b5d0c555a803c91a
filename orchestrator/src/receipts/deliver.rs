//! Bringing receipts to the committees.
//!
//! The epoch of a receipt is the one in which its end lies. The chain's finalised state is some seconds behind, so the
//! epoch of a fresh receipt is not certain: it goes at once to the committee of the newest known epoch, and, once the next
//! epoch's beginning is known, to whoever else should have it.

use super::{Batch, Queue, ReceiptKey};
use crate::{
    chain::{Chain, ChainState},
    registry_rpc::Peers,
    time::now_ms,
};
use chroom_primitives::{NodeId, QosEpoch, UnixMs};
use chroom_rpc::{
    registry::QosClient,
    v1::{Receipt, SubmitReceiptsRequest},
};
use codec::Encode;
use futures::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tracing::{debug, warn};

/// Receipts in one call, as the registry takes them.
const BATCH: usize = 64;
/// Calls to one member in one round.
const CALLS: usize = 64;
/// How long a member may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Shortest time between two rounds, and longest.
const ROUND: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(3);
/// Pauses after a member failed.
const FIRST_PAUSE_MS: u64 = 500;
const LONGEST_PAUSE_MS: u64 = 15_000;
/// How long after an epoch's end its receipts are still offered, in milliseconds. Attestors close an epoch 10 s after its
/// end; they know better, and say so.
const GIVE_UP_MS: u64 = 60_000;
/// Oldest epoch whose beginning is remembered.
const EPOCHS: u32 = 8;

/// Delivers until cancelled.
pub async fn deliver(queue: Queue, chain: Arc<dyn Chain>, peers: Peers, stop: CancellationToken) {
    let mut rounds =
        Rounds { queue, chain, peers, starts: BTreeMap::new(), committees: BTreeMap::new(), pauses: BTreeMap::new() };
    loop {
        rounds.round().await;
        let news = rounds.queue.news.clone();
        let wait = async {
            tokio::time::sleep(ROUND).await;
            let _ = tokio::time::timeout(IDLE, news.notified()).await;
        };
        tokio::select! {
            () = wait => {}
            () = stop.cancelled() => return,
        }
    }
}

struct Pause {
    until: UnixMs,
    next_ms: u64,
}

struct Rounds {
    queue: Queue,
    chain: Arc<dyn Chain>,
    peers: Peers,
    /// Beginnings of epochs, Unix ms.
    starts: BTreeMap<QosEpoch, UnixMs>,
    committees: BTreeMap<(QosEpoch, NodeId), Vec<NodeId>>,
    pauses: BTreeMap<NodeId, Pause>,
}

/// The epoch of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    epoch: QosEpoch,
    /// When that epoch ended, Unix ms, if it is over: until then the epoch is a guess.
    ended_ms: Option<UnixMs>,
}

/// Finds the epoch in which `to` lies.
fn place(starts: &BTreeMap<QosEpoch, UnixMs>, to: UnixMs) -> Option<Place> {
    let (epoch, _) = starts.iter().rev().find(|(_, start)| **start <= to).or_else(|| starts.iter().next())?;
    Some(Place { epoch: *epoch, ended_ms: starts.get(&epoch.next()).copied() })
}

impl Rounds {
    async fn round(&mut self) {
        let keys = self.queue.keys();
        let state = self.chain.state().borrow().clone();
        self.learn_starts(&state).await;
        let now = now_ms();
        let mut wanted: BTreeMap<NodeId, BTreeSet<ReceiptKey>> = BTreeMap::new();
        let mut drop = Vec::new();
        // Each question at most once a round: a chain node that hangs must not hold up receipts whose committee is known.
        let mut asked: BTreeMap<(QosEpoch, NodeId), Vec<NodeId>> = BTreeMap::new();
        for key in keys {
            let Some(place) = place(&self.starts, key.to) else { continue };
            let id = (place.epoch, key.node);
            let committee = match asked.get(&id) {
                Some(committee) => committee.clone(),
                None => {
                    let committee = self.committee(place.epoch, key.node).await;
                    asked.insert(id, committee.clone());
                    committee
                }
            };
            let all_have_it = !committee.is_empty() && self.queue.is_done(&key, &committee);
            match place.ended_ms {
                Some(_) if all_have_it => drop.push(key),
                Some(ended) if now > ended + GIVE_UP_MS => {
                    self.queue.metrics().receipts_given_up.inc();
                    drop.push(key);
                }
                // Without epochs to end it, a receipt does not stay for ever either.
                None if now > key.to + 3_600_000 => drop.push(key),
                _ if all_have_it => {}
                _ => {
                    for member in committee {
                        wanted.entry(member).or_default().insert(key);
                    }
                }
            }
        }
        let calls = wanted
            .into_iter()
            .filter(|(member, _)| self.pauses.get(member).is_none_or(|pause| pause.until <= now))
            .map(|(member, keys)| {
                let (queue, peers) = (self.queue.clone(), self.peers.clone());
                async move {
                    // What a slow member took is noted call by call; the rest follows in another round, so that it holds up
                    // no other member.
                    let all = tokio::time::timeout(PATIENCE, hand_over(&queue, &peers, member, &keys));
                    (member, all.await.unwrap_or_else(|_| Err("it is slow; the rest follows later".to_owned())))
                }
            });
        for (member, result) in join_all(calls).await {
            match result {
                Ok(()) => {
                    self.pauses.remove(&member);
                }
                Err(reason) => {
                    let pause = self.pauses.entry(member).or_insert(Pause { until: 0, next_ms: FIRST_PAUSE_MS });
                    pause.until = now_ms() + pause.next_ms;
                    pause.next_ms = (pause.next_ms * 2).min(LONGEST_PAUSE_MS);
                    warn!(registry = %member, reason, "receipts cannot be handed over; they wait");
                }
            }
        }
        if let Err(error) = self.queue.drop_receipts(drop).await {
            warn!(%error, "delivered receipts cannot be dropped");
        }
        let oldest = QosEpoch(state.epoch.current.0.saturating_sub(EPOCHS));
        self.starts.retain(|epoch, _| *epoch >= oldest);
        self.committees.retain(|(epoch, _), _| *epoch >= oldest);
    }

    async fn learn_starts(&mut self, state: &ChainState) {
        let current = state.epoch.current;
        self.starts.insert(current, state.epoch.started_ms);
        let mut epoch = current;
        for _ in 0..3 {
            let Some(previous) = epoch.previous() else { return };
            epoch = previous;
            if self.starts.contains_key(&epoch) {
                continue;
            }
            match self.chain.epoch_start_ms(epoch).await {
                Ok(Some(start)) => {
                    self.starts.insert(epoch, start);
                }
                Ok(None) => return,
                Err(error) => {
                    debug!(%error, epoch = epoch.0, "an epoch's beginning is not known");
                    return;
                }
            }
        }
    }

    async fn committee(&mut self, epoch: QosEpoch, node: NodeId) -> Vec<NodeId> {
        if let Some(committee) = self.committees.get(&(epoch, node)) {
            return committee.clone();
        }
        match self.chain.committee(epoch, node).await {
            // An empty one may be drawn later.
            Ok(committee) if committee.is_empty() => committee,
            Ok(committee) => {
                self.committees.insert((epoch, node), committee.clone());
                committee
            }
            Err(error) => {
                debug!(%error, epoch = epoch.0, %node, "a committee is not known");
                Vec::new()
            }
        }
    }
}

/// Hands a member what it lacks. An error means that the member cannot be talked to at the moment.
async fn hand_over(queue: &Queue, peers: &Peers, member: NodeId, keys: &BTreeSet<ReceiptKey>) -> Result<(), String> {
    let channel = peers.channel_to(&member).map_err(|error| error.to_string())?;
    let mut client = QosClient::new(channel);
    let mut keys = keys.clone();
    for _ in 0..CALLS {
        let Some(Batch { grant, receipts }) = queue.batch(&member, &keys, BATCH) else { return Ok(()) };
        let request = SubmitReceiptsRequest {
            signed_grant: grant.encode(),
            receipts: receipts.iter().map(|(_, receipt)| Receipt::from(receipt.clone())).collect(),
        };
        let refused = match tokio::time::timeout(PATIENCE, client.submit_receipts(request)).await {
            Ok(Ok(answer)) => answer.into_inner().refused,
            Ok(Err(status)) if status.code() == Code::InvalidArgument => {
                // Something with this session: the others go on, and this one is tried again in the next round.
                let session = hex::encode(grant.payload.session);
                warn!(registry = %member, session, reason = status.message(), "a session's receipts are refused");
                keys.retain(|key| (key.session, key.node) != (grant.payload.session, grant.payload.node));
                continue;
            }
            Ok(Err(status)) => return Err(status.message().to_owned()),
            Err(_) => return Err("no answer".to_owned()),
        };
        let mut not_yet = BTreeSet::new();
        for refusal in &refused {
            let Some((key, _)) = receipts.get(refusal.index as usize) else { continue };
            if is_temporary(&refusal.reason) {
                not_yet.insert(*key);
                continue;
            }
            queue.metrics().receipts_refused.inc();
            let session = hex::encode(key.session);
            warn!(registry = %member, session, seq = key.seq, reason = refusal.reason, "a receipt is refused");
        }
        queue.metrics().receipts_delivered.inc_by(receipts.len().saturating_sub(refused.len()) as u64);
        // Any other refusal is final: the member has it already, or never will.
        queue.delivered(&member, receipts.iter().map(|(key, _)| *key).filter(|key| !not_yet.contains(key)));
        if !not_yet.is_empty() {
            return Err("it is not ready for receipts yet".to_owned());
        }
    }
    Ok(())
}

/// Whether a member says that it may take the receipt later.
fn is_temporary(reason: &str) -> bool {
    reason.contains("try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_lies_in_the_epoch_of_its_end() {
        let starts = BTreeMap::from([(QosEpoch(4), 4_000), (QosEpoch(5), 5_000)]);
        assert_eq!(place(&starts, 4_999), Some(Place { epoch: QosEpoch(4), ended_ms: Some(5_000) }));
        assert_eq!(place(&starts, 5_000), Some(Place { epoch: QosEpoch(5), ended_ms: None }));
        // Of before what is known: the oldest will refuse it.
        assert_eq!(place(&starts, 1_000), Some(Place { epoch: QosEpoch(4), ended_ms: Some(5_000) }));
        assert_eq!(place(&BTreeMap::new(), 1_000), None);
    }
}
