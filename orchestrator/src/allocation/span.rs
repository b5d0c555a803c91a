//! Which media node takes a participant of a room that has nodes already: one of those, or a further one.
//!
//! A pure function of what is known, as [`allocate`](super::allocate) is, which chooses among further nodes. The room gets a further node
//! where its own take no more, or where the participant is clearly nearer to another one that isn't worse all in all.

use super::{
    Considered, Explanation, Offer, Reservations, Search, Verdict, allocate,
    distance::{self, Distance},
    headroom, in_service, judge, nearness,
};
use crate::index::NodeView;
use chroom_primitives::{H3Cell, NodeId, UnixMs};
use rand::RngCore;
use std::collections::BTreeMap;

/// How much nearer a further node must be than the nearest of the room's own, as a round trip in milliseconds: about 3,000 km. A pipe between
/// two nodes costs both what is watched across it, and its repairs cost a round trip; below this a caller gains less than that by a node next door.
pub const NEARER_MS: f64 = 60.0;
/// Most nodes of a room, unless the orchestrator is told otherwise: one for each part of the world, and some for its size.
pub const MAX_NODES: usize = 16;

/// What was decided.
#[derive(Clone, PartialEq, Debug)]
pub struct Seated {
    /// The node, if there is one.
    pub node: Option<NodeId>,
    /// Whether it is new to the room.
    pub is_further: bool,
    /// The cheapest of the further nodes that could take the participant but for their price.
    pub too_dear: Option<Offer>,
    /// Why.
    pub explanation: Explanation,
}

/// A node of the room, as a place for the participant.
struct Own {
    node: NodeId,
    /// Round trip to it in milliseconds, as far as both places are known.
    rtt_ms: Option<f64>,
    /// Whether it is in service and well: where nothing else is left, it decides itself whether it takes one more.
    is_there: bool,
    /// Whether it takes more, as far as is known.
    is_open: bool,
}

/// Decides which node takes a participant, whose place is `search.cell`, into a room that is on the nodes `own`, oldest first. The price of the
/// room's own nodes is agreed already; further ones have to be within the budget.
pub fn seat(
    search: &Search,
    own: &[NodeId],
    max_nodes: usize,
    nodes: &[NodeView],
    reservations: &Reservations,
    now: UnixMs,
    rng: &mut dyn RngCore,
) -> Seated {
    let away = |cell: H3Cell| search.cell.and_then(|from| distance::between(from, cell));
    let mut considered: BTreeMap<NodeId, Considered> = BTreeMap::new();
    let mut places = Vec::with_capacity(own.len());
    for node in own {
        let view = nodes.iter().find(|view| view.id() == *node);
        let far = view.and_then(|view| away(view.registration.cell));
        let (is_there, takes) = takes_more(search, *node, view, reservations, now);
        places.push(Own {
            node: *node,
            rtt_ms: far.map(|far| far.rtt_ms()),
            is_there: is_there.is_ok(),
            is_open: takes.is_ok(),
        });
        let verdict = match is_there.and(takes) {
            Ok(()) => Verdict::Eligible { mark: nearness(far) },
            Err(reason) => Verdict::PassedOver { reason },
        };
        considered.insert(*node, entry(*node, far, verdict));
    }
    let nearest = nearest(places.iter().filter(|one| one.is_there && one.is_open));
    let service = |view: &NodeView, far| judge(search, view, far, reservations, now).ok().map(|judged| judged.service);
    // Without it, whoever comes second would get the nearer node that was too bad for the first at the same place.
    let own_service = nearest.and_then(|one| {
        let view = nodes.iter().find(|view| view.id() == one.node)?;
        service(view, away(view.registration.cell))
    });
    let mut further: Vec<NodeView> = Vec::new();
    for view in nodes.iter().filter(|view| !own.contains(&view.id())) {
        let far = away(view.registration.cell);
        let reason = match (nearest, far) {
            _ if own.len() >= max_nodes => Some(format!("the room has {} nodes already", own.len())),
            (None, _) => None,
            (Some(Own { node, rtt_ms: Some(own), .. }), Some(near)) if near.rtt_ms() + NEARER_MS <= *own => {
                let better = service(view, far).zip(own_service).is_none_or(|(its, own)| its > own);
                (!better).then(|| format!("nearer than {node}, but worse all in all"))
            }
            (Some(one), _) => Some(format!("the room has {}, which is not {NEARER_MS} ms further", one.node)),
        };
        match reason {
            None => further.push(view.clone()),
            Some(reason) => {
                let verdict = Verdict::PassedOver { reason };
                considered.insert(view.id(), entry(view.id(), far, verdict));
            }
        }
    }
    let decision = allocate(search, &further, reservations, now, rng);
    considered.extend(decision.explanation.considered.into_iter().map(|one| (one.node, one)));
    let node = decision.node.or_else(|| {
        let last = nearest.or_else(|| self::nearest(places.iter().filter(|one| one.is_there)));
        last.map(|one| one.node)
    });
    if let Some(one) = node.filter(|_| decision.node.is_none()).and_then(|node| considered.get_mut(&node)) {
        let mark = if let Verdict::Eligible { mark } = one.verdict { mark } else { 0.0 };
        one.verdict = Verdict::Chosen { mark };
    }
    Seated {
        node,
        is_further: decision.node.is_some(),
        too_dear: decision.too_dear,
        explanation: Explanation { considered: considered.into_values().collect() },
    }
}

/// Whether a node of the room may be used at all, and whether it takes more. No news is no refusal: a room must not split because a registry
/// is slow.
fn takes_more(
    search: &Search,
    node: NodeId,
    view: Option<&NodeView>,
    reservations: &Reservations,
    now: UnixMs,
) -> (Result<(), String>, Result<(), String>) {
    let Some(view) = view else {
        return (search.avoid.get(&node).map_or(Ok(()), |reason| Err(reason.clone())), Ok(()));
    };
    let room = match &view.load {
        Some(load) if now.saturating_sub(load.made_ms) <= super::FRESH_MS => {
            headroom(load, reservations, now).map(|_| ())
        }
        _ => Ok(()),
    };
    (in_service(search, view), room)
}

/// The nearest, and of those that are as near the oldest.
fn nearest<'a>(places: impl Iterator<Item = &'a Own>) -> Option<&'a Own> {
    let rtt = |one: &Own| one.rtt_ms.unwrap_or(f64::MAX);
    places.min_by(|a, b| rtt(a).total_cmp(&rtt(b)))
}

fn entry(node: NodeId, far: Option<Distance>, verdict: Verdict) -> Considered {
    Considered { node, km: far.map(|far| far.km as u32), turn: None, verdict }
}

#[cfg(test)]
mod tests;
