//! The in-memory index of the network: what registries say, held against what the chain says.
//!
//! Decisions read it and never wait for the network. An entry counts only if its node signed it, is registered with a
//! stake, and is registered as what it claims to be; the others stay in a bounded quarantine, since the chain may be
//! behind, and the log says why.

mod admission;
mod budgets;
mod callers;
mod node_view;

pub use admission::{Refused, admit, signed_load, signed_record};
pub use node_view::{Directory, Load, NodeView};

use self::callers::Callers;
use crate::{
    allocation::Budget,
    chain::{ChainState, Outsider},
    time::now_ms,
};
use chroom_primitives::{
    Balance, Endpoint, Hash, NodeId, NodeStatus, QosEpoch, Role, Score, UnixMs, record::NodeRecord,
};
use chroom_rpc::v1;
use parking_lot::RwLock;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::watch;
use tracing::{info, warn};

/// Entries kept of nodes that the chain doesn't know.
const MAX_QUARANTINE: usize = 1_000;

/// Which follower of a registry an entry came through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Follower(pub usize);

struct Entry {
    record: NodeRecord,
    /// The signed bytes, so that what comes again needn't be checked again.
    signed_record: Vec<u8>,
    signed_load: Vec<u8>,
    load: Option<Load>,
    score: Option<Score>,
    followers: BTreeSet<Follower>,
    admitted: Result<(), Refused>,
}

struct State {
    chain: Arc<ChainState>,
    entries: BTreeMap<NodeId, Entry>,
    rewards: BTreeMap<NodeId, (QosEpoch, Balance)>,
    /// By the applications' key ids.
    budgets: BTreeMap<String, Budget>,
    callers: Callers,
}

/// The index. Share it by `Arc`.
pub struct Index {
    genesis: Hash,
    state: RwLock<State>,
    /// Moves when a budget comes to be known.
    heard: watch::Sender<()>,
}

impl Index {
    /// An index without entries.
    pub fn new(genesis: Hash, chain: Arc<ChainState>) -> Self {
        let state = State {
            chain,
            entries: BTreeMap::new(),
            rewards: BTreeMap::new(),
            budgets: BTreeMap::new(),
            callers: Callers::default(),
        };
        Self { genesis, state: RwLock::new(state), heard: watch::Sender::new(()) }
    }

    /// The chain's newest finalised state.
    pub fn chain(&self) -> Arc<ChainState> {
        self.state.read().chain.clone()
    }

    /// Takes over the chain's state, which may admit nodes or turn them away.
    pub fn follow_chain(&self, chain: Arc<ChainState>) {
        let now = now_ms();
        let mut state = self.state.write();
        for (node, entry) in &mut state.entries {
            let admitted = admit(&entry.record, &chain, now);
            note(node, &entry.admitted, &admitted);
            entry.admitted = admitted;
        }
        state.chain = chain;
    }

    /// Takes over an entry that a registry sent.
    pub fn upsert(&self, follower: Follower, entry: &v1::Entry, now: UnixMs) -> Result<NodeId, Refused> {
        let node = NodeId(entry.node.as_slice().try_into().map_err(|_| Refused::Malformed("node id"))?);
        let (same_record, same_load) = {
            let state = self.state.read();
            let known = state.entries.get(&node);
            (
                known.is_some_and(|known| known.signed_record == entry.signed_record),
                known.is_some_and(|known| known.signed_load == entry.signed_load),
            )
        };
        // Signatures are checked outside the lock.
        let record = if same_record { None } else { Some(signed_record(&node, &entry.signed_record, &self.genesis)?) };
        let report = if same_load || entry.signed_load.is_empty() {
            None
        } else {
            Some(signed_load(&node, &entry.signed_load, &self.genesis)?)
        };

        let mut state = self.state.write();
        let chain = state.chain.clone();
        let quarantined = state.entries.values().filter(|entry| entry.admitted.is_err()).count();
        let known = match state.entries.entry(node) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let Some(record) = record.clone() else { return Ok(node) };
                let admitted = admit(&record, &chain, now);
                if admitted.is_err() && quarantined >= MAX_QUARANTINE {
                    return admitted.map(|()| node);
                }
                // Unknown before: admitted or not, it is news.
                if let Err(refused) = &admitted {
                    warn!(%node, reason = %refused, "a registry entry is refused");
                } else {
                    info!(%node, role = ?record.role, "a node is known");
                }
                vacant.insert(Entry {
                    record,
                    signed_record: entry.signed_record.clone(),
                    signed_load: Vec::new(),
                    load: None,
                    score: None,
                    followers: BTreeSet::new(),
                    admitted,
                })
            }
        };
        known.followers.insert(follower);
        // Followers differ in speed: the greatest sequence number wins.
        if let Some(record) = record.filter(|record| record.seq > known.record.seq) {
            known.record = record;
            known.signed_record.clone_from(&entry.signed_record);
        }
        let admitted = admit(&known.record, &chain, now);
        note(&node, &known.admitted, &admitted);
        known.admitted = admitted;
        if let Some(report) = report
            && known.load.as_ref().is_none_or(|load| report.seq > load.report.seq)
        {
            known.load = Some(Load { report, made_ms: now.saturating_sub(entry.load_age_ms) });
            known.signed_load.clone_from(&entry.signed_load);
        }
        if entry.scored {
            known.score = Some(Score::clamped(entry.score.min(u32::from(u16::MAX)) as u16));
        }
        known.admitted.clone().map(|()| node)
    }

    /// A follower's registry no longer has a node.
    pub fn remove(&self, follower: Follower, node: &NodeId) {
        let mut state = self.state.write();
        if let Some(entry) = state.entries.get_mut(node) {
            entry.followers.remove(&follower);
            if entry.followers.is_empty() {
                state.entries.remove(node);
                state.callers.forget(node);
                info!(%node, "a node is gone from the registry");
            }
        }
    }

    /// A follower has the whole register: what it had before and was not sent again is gone.
    pub fn synced(&self, follower: Follower, seen: &BTreeSet<NodeId>) {
        let gone: Vec<NodeId> = {
            let state = self.state.read();
            state
                .entries
                .iter()
                .filter(|(node, entry)| entry.followers.contains(&follower) && !seen.contains(node))
                .map(|(node, _)| *node)
                .collect()
        };
        for node in gone {
            self.remove(follower, &node);
        }
    }

    /// Takes in what a caller says of its last few seconds on a media node.
    pub fn caller(&self, node: NodeId, session: [u8; 16], score: Score, now: UnixMs) {
        let mut state = self.state.write();
        // A node that is gone is of no interest, and would never be forgotten.
        if state.entries.contains_key(&node) {
            state.callers.hear(node, session, score, now);
        }
    }

    /// Notes what a node was paid last.
    pub fn reward(&self, node: NodeId, reward: (QosEpoch, Balance)) {
        self.state.write().rewards.insert(node, reward);
    }

    /// Where a member node is reached: as it says itself, or else as it is registered.
    pub fn endpoint(&self, node: &NodeId, role: Role) -> Result<Endpoint, Outsider> {
        let state = self.state.read();
        let registration = state.chain.member(node, role)?;
        let said = state.entries.get(node).filter(|entry| entry.admitted.is_ok()).map(|entry| &entry.record.rpc);
        Ok(said.unwrap_or(&registration.endpoint).clone())
    }

    /// All members of a role with their endpoints.
    pub fn endpoints(&self, role: Role) -> Vec<(NodeId, Endpoint)> {
        let nodes: Vec<NodeId> = {
            let state = self.state.read();
            state
                .chain
                .nodes
                .values()
                .filter(|r| r.role == role && r.status == NodeStatus::Active)
                .map(|r| r.node)
                .collect()
        };
        nodes.into_iter().filter_map(|node| Some((node, self.endpoint(&node, role).ok()?))).collect()
    }

    /// All nodes that are registered on the chain, with what the registries say of them, if anything.
    pub fn all(&self) -> Vec<(chroom_primitives::record::Registration, Option<NodeView>)> {
        let state = self.state.read();
        state.chain.nodes.values().map(|r| (r.clone(), state.view(&r.node))).collect()
    }

    /// Entries that are refused at the moment, with the reasons.
    pub fn refused(&self) -> Vec<(NodeId, Refused)> {
        let state = self.state.read();
        state
            .entries
            .iter()
            .filter_map(|(node, entry)| entry.admitted.as_ref().err().map(|refused| (*node, refused.clone())))
            .collect()
    }
}

impl State {
    fn view(&self, id: &NodeId) -> Option<NodeView> {
        let entry = self.entries.get(id).filter(|entry| entry.admitted.is_ok())?;
        if entry.record.expires_ms <= now_ms() {
            return None;
        }
        Some(NodeView {
            registration: self.chain.nodes.get(id)?.clone(),
            record: entry.record.clone(),
            load: entry.load.clone(),
            score: entry.score,
            failed_in: self.callers.failed_in(id),
            last_reward: self.rewards.get(id).copied(),
        })
    }
}

/// Logs a change of mind about a node.
fn note(node: &NodeId, before: &Result<(), Refused>, after: &Result<(), Refused>) {
    match (before, after) {
        (Err(_), Ok(())) => info!(%node, "a registry entry is accepted"),
        (before, Err(refused)) if *before != Err(refused.clone()) => {
            warn!(%node, reason = %refused, "a registry entry is refused");
        }
        _ => {}
    }
}

impl Directory for Index {
    fn node(&self, id: &NodeId) -> Option<NodeView> {
        self.state.read().view(id)
    }

    fn media_nodes(&self) -> Vec<NodeView> {
        let state = self.state.read();
        state
            .entries
            .iter()
            .filter(|(_, entry)| entry.record.role == Role::Media)
            .filter_map(|(id, _)| state.view(id))
            .collect()
    }

    fn budget(&self, application: &str) -> Budget {
        self.state.read().budgets.get(application).copied().unwrap_or_default()
    }

    fn leaving(&self, id: &NodeId) -> Option<String> {
        let state = self.state.read();
        match state.chain.nodes.get(id) {
            None => Some("the media node is no longer registered".to_owned()),
            Some(registration) if registration.status == NodeStatus::Active => {
                let left = state.entries.get(id).is_some_and(|entry| entry.record.left);
                left.then(|| "the media node leaves".to_owned())
            }
            Some(registration) => {
                Some(format!("the media node is {}", format!("{:?}", registration.status).to_lowercase()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
