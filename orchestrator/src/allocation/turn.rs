//! Turns: which of several nodes that would do is filled first.
//!
//! If rooms were spread evenly, a lightly used network would never see whether a machine carries what it is registered for, and what
//! is never seen need not exist. So while a neighbourhood is lightly loaded, its nodes have turns: for some minutes rooms go to the
//! nodes that come first by a hash, until they carry what their class commits them to, then to the next. All orchestrators come to
//! the same order without talking to each other, and nobody can be first by choice. See `docs/decisions/capacity-turns.md`.

use super::SESSION_KBPS;
use crate::digest::sha256;
use chroom_primitives::{Endpoint, NodeId, Score, UnixMs};
use rand::{RngCore, seq::IndexedRandom};
use serde::Serialize;
use std::{collections::BTreeMap, net::Ipv6Addr};

/// Length of a turn in milliseconds: about as long as calls last, so that a node is nearly empty again some turns later.
pub const TURN_MS: u64 = 20 * 60 * 1_000;
/// How much of what its class commits it to a node carries before the next one is filled: nearly all, as what is never asked for need not
/// exist. Rooms that grow grow into what a node has beyond its class.
const FILLED: f64 = 0.98;
/// Load of a neighbourhood, as a share of what its nodes are committed to, from which on there are no turns: everybody is tested then.
const BUSY: f64 = 0.5;
/// Fewest nodes that have turns. With less of them, one that fails would take too many rooms with it.
const FEWEST: usize = 4;
/// How much nearer than its turn would bring a caller a node may be: in milliseconds of round trip, about 500 km.
const NEARLY_AS_NEAR_MS: f64 = 10.0;
/// How much better than it another node's score may be. Who was not scored yet is taken to be as good as the best: that is how it is scored.
const NEARLY_AS_GOOD: u16 = 1_000;
/// Loss towards receivers, in parts per 10,000, from which on a node fails its callers.
const FAILING_LOSS: u16 = 300;
/// Callers' score below which a node fails them.
pub const FAILING_SCORE: Score = Score(7_000);
/// Domain of the hash that orders nodes.
const DOMAIN: &[u8] = b"chroom/turn/1";

/// A stretch of time in which nodes have one order: Unix time by [`TURN_MS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Turn(pub u64);

impl Turn {
    /// The turn at a Unix time.
    pub const fn at(now: UnixMs) -> Self {
        Self(now / TURN_MS)
    }

    /// Where a node stands in this turn: the smaller, the earlier.
    ///
    /// Nodes of one network (an IPv4 /24, an IPv6 /48, the last two labels of a name) come one after the other, so that several that are one
    /// machine are filled at the same time.
    pub fn rank(self, node: &NodeId, endpoint: &Endpoint) -> Rank {
        let hash = |of: &[u8]| {
            let digest = sha256(&[DOMAIN, &self.0.to_le_bytes(), of].concat());
            digest.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
        };
        Rank { network: hash(network(endpoint).as_bytes()), node: hash(&node.0) }
    }
}

/// A place in the order of a turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank {
    network: u64,
    node: u64,
}

/// The network that an endpoint is in, as text.
fn network(endpoint: &Endpoint) -> String {
    let host = endpoint.as_str().rsplit_once(':').map_or("", |(host, _)| host);
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let [a, b, c, ..] = address.parse().unwrap_or(Ipv6Addr::UNSPECIFIED).segments();
        return format!("{a:x}:{b:x}:{c:x}::/48");
    }
    let head = match host.parse::<std::net::Ipv4Addr>() {
        Ok(address) => {
            let [a, b, c, _] = address.octets();
            return format!("{a}.{b}.{c}.0/24");
        }
        Err(_) => host.trim_end_matches('.'),
    };
    let mut labels = head.rsplit('.');
    let (last, before) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    format!("{before}.{last}").to_ascii_lowercase()
}

/// A node that could take the room.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The node.
    pub node: NodeId,
    /// Where it is registered.
    pub endpoint: &'a Endpoint,
    /// Round trip from the room's first caller in milliseconds, estimated.
    pub rtt_ms: f64,
    /// Its running score, if it was scored.
    pub score: Option<Score>,
    /// Packets lost towards receivers, in parts per 10,000.
    pub loss: u16,
    /// Whether it failed this orchestrator's callers in this turn.
    pub failed: bool,
    /// Egress that it carries with what is on its way to it, in kb/s.
    pub carried_kbps: f64,
    /// Egress that its class commits it to, in kb/s.
    pub committed_kbps: f64,
}

/// How a node stands in a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// It is its turn.
    InTurn,
    /// It carries its class, and others are filled now.
    Filled,
    /// It failed its callers, and has lost its place for the rest of the turn.
    Failing,
    /// Others come before it.
    Later,
}

impl Place {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Place::InTurn => "its turn",
            Place::Filled => "filled in its turn",
            Place::Failing => "failed in its turn",
            Place::Later => "later",
        }
    }
}

/// What a turn decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The node that takes the room.
    pub node: NodeId,
    /// How those stand that are near and good enough.
    pub places: BTreeMap<NodeId, Place>,
}

/// Sorts nodes by their turn.
///
/// Calls end somewhere in the order, more often in a large node than in a small one. So who is larger stands half of its size further
/// ahead, and on average all get as many calls for what they are committed to, `committed_kbps` in sum.
fn sort(peers: &mut [&Candidate<'_>], turn: Turn, committed_kbps: f64) {
    let mut networks: BTreeMap<u64, f64> = BTreeMap::new();
    for one in peers.iter() {
        *networks.entry(turn.rank(&one.node, one.endpoint).network).or_default() += one.committed_kbps;
    }
    peers.sort_by_cached_key(|one| {
        let rank = turn.rank(&one.node, one.endpoint);
        let size = networks.get(&rank.network).copied().unwrap_or_default() / committed_kbps.max(1.0);
        let ahead = (u64::MAX as f64 * size / 2.0) as i128;
        (i128::from(rank.network) - ahead, rank)
    });
}

/// Chooses by turn; none where there is no turn: among few or busy nodes, or where all of them are filled or fail.
pub fn choose(turn: Turn, candidates: &[Candidate<'_>], rng: &mut dyn RngCore) -> Option<Choice> {
    let nearest = candidates.iter().map(|one| one.rtt_ms).min_by(f64::total_cmp)?;
    let near: Vec<&Candidate<'_>> = candidates.iter().filter(|one| one.rtt_ms <= nearest + NEARLY_AS_NEAR_MS).collect();
    let best = near.iter().filter_map(|one| one.score).max().unwrap_or_default();
    let is_good = |one: &&Candidate<'_>| one.score.is_none_or(|score| score.0.saturating_add(NEARLY_AS_GOOD) >= best.0);
    let mut peers: Vec<&Candidate<'_>> = near.into_iter().filter(is_good).collect();
    if peers.len() < FEWEST {
        return None;
    }
    let carried: f64 = peers.iter().map(|one| one.carried_kbps).sum();
    let committed: f64 = peers.iter().map(|one| one.committed_kbps).sum();
    let load = carried / committed.max(1.0);
    if load >= BUSY {
        return None;
    }
    sort(&mut peers, turn, committed);

    // About `load × peers` nodes are filled in a turn. A quarter of them at a time, so that what other orchestrators place before the
    // next load report doesn't all fall on one.
    let at_once = ((load * peers.len() as f64 / 4.0).ceil() as usize).max(1);
    let mut in_turn = Vec::new();
    let mut places = BTreeMap::new();
    for one in peers {
        let place = if one.failed || one.loss >= FAILING_LOSS {
            Place::Failing
        } else if one.carried_kbps + f64::from(SESSION_KBPS) > FILLED * one.committed_kbps {
            Place::Filled
        } else if in_turn.len() < at_once {
            in_turn.push((one.node, FILLED * one.committed_kbps - one.carried_kbps));
            Place::InTurn
        } else {
            Place::Later
        };
        places.insert(one.node, place);
    }
    // By the room that they have, so that they are filled at one time: where the calls end, all of them are as full, and no class has less.
    let (chosen, _) = in_turn.choose_weighted(rng, |(_, room)| *room).ok()?;
    Some(Choice { node: *chosen, places })
}

#[cfg(test)]
mod tests;
