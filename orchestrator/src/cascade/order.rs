//! What nodes are told of their places.

use super::{seat::Seat, shape, tree::Tree};
use crate::session::{Failure, Fence};
use chroom_primitives::{NodeId, UnixMs};
use std::net::SocketAddr;

/// The first pause before an order is repeated, in milliseconds; twice as long after each failure, up to [`LONGEST_PAUSE_MS`].
const FIRST_PAUSE_MS: u64 = 1_000;
/// The longest pause before an order is repeated, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 8_000;
/// How long a former parent lets a node in that has acknowledged another one, in milliseconds: nodes leave the old one within 5 s.
const LINGER_MS: u64 = 6_000;
/// So many refusals in a row, and a node is not fit for the tree.
const MAX_REFUSALS: u32 = 5;

/// A node's pipes, as another node reaches them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// The node that must prove to be there.
    pub node: NodeId,
    /// As the node said.
    pub address: SocketAddr,
}

/// A node's neighbours.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Route {
    /// The node above; none for the root.
    pub parent: Option<End>,
    /// The node that takes a dead parent's place.
    pub standby: Option<End>,
    /// The nodes that may join here: those that have this one as parent or standby, and those that had it until a moment ago.
    pub children: Vec<NodeId>,
}

/// What a node is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// The room spans nodes: these are its neighbours.
    Among(Route),
    /// The room is on this node alone.
    Alone,
}

/// An order to a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The node.
    pub node: NodeId,
    /// The epoch of its seat.
    pub fence: Fence,
    /// Its place.
    pub place: Place,
}

/// A node refuses its place again and again: the room can't span it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfit {
    /// What it says.
    pub reason: String,
}

impl Tree {
    /// What nodes have to be told now, the oldest first: the others' orders need its address. A node has one order at a time.
    pub fn orders(&mut self, now: UnixMs) -> Vec<Order> {
        let nodes: Vec<NodeId> = self.nodes().collect();
        let mut orders = Vec::new();
        for node in nodes {
            let Some(place) = self.place(node) else { continue };
            let Some(seat) = self.seat_mut(node) else { continue };
            let telling = &seat.telling;
            if telling.asked.is_some() || telling.again > now || telling.acknowledged.as_ref() == Some(&place) {
                continue;
            }
            seat.told = true;
            seat.telling.asked = Some(place.clone());
            orders.push(Order { node, fence: seat.fence, place });
        }
        orders
    }

    /// A node's order was taken, with the address of its pipes, or was not.
    pub fn answered(
        &mut self,
        node: NodeId,
        fence: Fence,
        result: Result<Option<SocketAddr>, &Failure>,
        now: UnixMs,
    ) -> Option<Unfit> {
        let seat = self.seat_mut(node).filter(|seat| seat.fence == fence)?;
        let telling = &mut seat.telling;
        let place = telling.asked.take()?;
        let in_doubt = std::mem::take(&mut telling.in_doubt);
        match result {
            Ok(address) => {
                (telling.failures, telling.refusals, telling.again) = (0, 0, 0);
                telling.address = address.or(telling.address);
                if in_doubt {
                    return None;
                }
                if let Place::Among(route) = &place
                    && route.parent.as_ref().map(|parent| parent.node) == seat.parent
                {
                    for until in seat.formers.values_mut() {
                        until.get_or_insert(now.saturating_add(LINGER_MS));
                    }
                }
                seat.told = place != Place::Alone;
                telling.acknowledged = (place != Place::Alone).then_some(place);
                None
            }
            Err(failure) => {
                // It may have taken it all the same.
                telling.acknowledged = None;
                let pause = FIRST_PAUSE_MS << telling.failures.min(3);
                telling.failures = telling.failures.saturating_add(1);
                telling.again = now.saturating_add(pause.min(LONGEST_PAUSE_MS));
                let Failure::Refused(reason) = failure else { return None };
                telling.refusals = telling.refusals.saturating_add(1);
                (telling.refusals >= MAX_REFUSALS).then(|| Unfit { reason: reason.clone() })
            }
        }
    }

    /// Contact with a node is there again; it may have restarted and forgotten its place.
    pub fn reached(&mut self, node: NodeId) {
        if let Some(seat) = self.seat_mut(node) {
            let telling = &mut seat.telling;
            telling.acknowledged = None;
            telling.in_doubt = telling.asked.is_some();
            telling.again = 0;
        }
    }

    /// Whether all nodes have acknowledged their places.
    pub fn is_laid(&self) -> bool {
        self.seats().iter().all(|seat| match self.place(seat.node) {
            Some(place) => seat.telling.acknowledged.as_ref() == Some(&place),
            None => self.seats().len() == 1,
        })
    }

    /// A node's place as it should be told; none if there is nothing to tell, or its parent's address isn't known yet.
    pub(super) fn place(&self, node: NodeId) -> Option<Place> {
        let seats = self.seats();
        let seat = self.seat(node)?;
        if seats.len() == 1 {
            return seat.told.then_some(Place::Alone);
        }
        let parent = match seat.parent {
            Some(parent) => Some(self.end(parent)?),
            None => None,
        };
        let standby = shape::standby(seats, seat).and_then(|standby| self.end(standby));
        let has = |other: &&Seat| {
            let is_below = other.parent == Some(node) || shape::standby(seats, other) == Some(node);
            is_below || other.formers.contains_key(&node)
        };
        let children = seats.iter().filter(has).map(|child| child.node).collect();
        Some(Place::Among(Route { parent, standby, children }))
    }

    fn end(&self, node: NodeId) -> Option<End> {
        self.seat(node)?.telling.address.map(|address| End { node, address })
    }
}
