//! Following the register: two watch streams to two registry nodes, so that losing one loses nothing.

use super::Peers;
use crate::{
    index::{Follower, Index},
    time::now_ms,
};
use chroom_primitives::NodeId;
use chroom_rpc::{
    MAX_MESSAGE, NodeAddress,
    registry::RegistryClient,
    v1::{WatchRequest, watch_event},
};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Streams at once.
const FOLLOWERS: usize = 2;
/// How long a stream may be silent before another registry is tried. Media nodes report every few seconds, so a network
/// with any of them is never silent.
const SILENCE: Duration = Duration::from_secs(60);
/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Follows the register until cancelled.
pub async fn follow(peers: Peers, index: Arc<Index>, stop: CancellationToken) {
    let taken: Arc<Mutex<BTreeSet<NodeId>>> = Arc::default();
    let followers = (0..FOLLOWERS).map(|n| {
        let (peers, index, taken, stop) = (peers.clone(), index.clone(), taken.clone(), stop.clone());
        async move {
            tokio::select! {
                () = run(Follower(n), &peers, &index, &taken) => {}
                () = stop.cancelled() => {}
            }
        }
    });
    futures::future::join_all(followers).await;
}

async fn run(follower: Follower, peers: &Peers, index: &Index, taken: &Mutex<BTreeSet<NodeId>>) {
    let mut pause = FIRST_PAUSE;
    let mut turn = follower.0;
    loop {
        let Some(address) = pick(peers, taken, &mut turn) else {
            tokio::time::sleep(LONGEST_PAUSE).await;
            continue;
        };
        let synced = watch(follower, &address, peers, index).await;
        taken.lock().remove(&address.node);
        pause = if synced { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

/// The next registry that no other follower has.
fn pick(peers: &Peers, taken: &Mutex<BTreeSet<NodeId>>, turn: &mut usize) -> Option<NodeAddress> {
    let all = peers.all();
    let mut taken = taken.lock();
    for _ in 0..all.len() {
        let candidate = all.get(*turn % all.len())?;
        *turn = turn.wrapping_add(1);
        if taken.insert(candidate.node) {
            return Some(candidate.clone());
        }
    }
    None
}

/// One stream, until it breaks; whether it got as far as the whole register.
async fn watch(follower: Follower, address: &NodeAddress, peers: &Peers, index: &Index) -> bool {
    let mut client = match peers.channel(address) {
        Ok(channel) => RegistryClient::new(channel).max_decoding_message_size(MAX_MESSAGE),
        Err(error) => {
            warn!(registry = %address, %error, "cannot talk to a registry");
            return false;
        }
    };
    let mut stream = match client.watch(WatchRequest { roles: Vec::new() }).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            warn!(registry = %address, error = %status.message(), "a registry refuses to be watched");
            return false;
        }
    };
    let mut seen = BTreeSet::new();
    let mut synced = false;
    loop {
        let message = match tokio::time::timeout(SILENCE, stream.message()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => {
                info!(registry = %address, "a registry ended the watch");
                return synced;
            }
            Ok(Err(status)) => {
                warn!(registry = %address, error = %status.message(), "the watch of a registry broke");
                return synced;
            }
            Err(_) => {
                info!(registry = %address, "a registry is silent");
                return synced;
            }
        };
        match message.event {
            Some(watch_event::Event::Upsert(entry)) => match index.upsert(follower, &entry, now_ms()) {
                Ok(node) => {
                    seen.insert(node);
                }
                Err(refused) => {
                    if let Ok(bytes) = <[u8; 20]>::try_from(entry.node.as_slice()) {
                        // It is in the register, believed or not.
                        seen.insert(NodeId(bytes));
                    }
                    debug!(registry = %address, node = %hex::encode(&entry.node), reason = %refused, "entry refused");
                }
            },
            Some(watch_event::Event::Removed(node)) => {
                if let Ok(bytes) = <[u8; 20]>::try_from(node.as_slice()) {
                    seen.remove(&NodeId(bytes));
                    index.remove(follower, &NodeId(bytes));
                }
            }
            Some(watch_event::Event::Synced(_)) => {
                index.synced(follower, &seen);
                synced = true;
                info!(registry = %address, nodes = seen.len(), "the register is followed");
            }
            None => {}
        }
    }
}
