//! The tree: who has a seat.

use super::{seat::Seat, shape};
use crate::session::Fence;
use chroom_primitives::{H3Cell, NodeId, UnixMs};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How long a node that another one lost contact with doesn't come into question above it, in milliseconds.
const SHUNNED_MS: u64 = 60_000;

/// How long a node whose pipe to another one was bad isn't put below that one again, in milliseconds: a new try costs callers a bad quarter of a minute.
const POOR_MS: u64 = 600_000;

/// The nodes of a room, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tree {
    seats: Vec<Seat>,
    /// Nodes that had to be given up before they were told that their places are over: should they come back, they are.
    #[serde(default)]
    untold: BTreeSet<NodeId>,
}

impl Tree {
    /// The seats, oldest first.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The nodes, oldest first.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.seats.iter().map(|seat| seat.node)
    }

    /// The root: the oldest.
    pub fn root(&self) -> Option<NodeId> {
        self.seats.first().map(|seat| seat.node)
    }

    /// Nodes without a seat that may still have a place: they were given up before they could be told that it is over.
    pub fn untold(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.untold.iter().copied()
    }

    /// A node without a seat has no place any more.
    pub fn closed(&mut self, node: NodeId) {
        self.untold.remove(&node);
    }

    /// Whether the room has no node.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// A node's seat.
    pub fn seat(&self, node: NodeId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.node == node)
    }

    pub(super) fn seat_mut(&mut self, node: NodeId) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.node == node)
    }

    /// Whether a node has a seat.
    pub fn has(&self, node: NodeId) -> bool {
        self.seat(node).is_some()
    }

    /// The node that takes a dead parent's place for `node`.
    pub fn standby(&self, node: NodeId) -> Option<NodeId> {
        shape::standby(&self.seats, self.seat(node)?)
    }

    /// A node comes in, with an epoch greater than all before. It is a leaf.
    pub fn join(&mut self, node: NodeId, fence: Fence, cell: Option<H3Cell>) {
        if !self.has(node) {
            let told = self.untold.remove(&node);
            self.seats.push(Seat { told, ..Seat::new(node, fence, cell) });
            self.settle();
        }
    }

    /// Nobody is on a node any more: its children get other parents, and at `due` (Unix ms) the room is closed there.
    pub fn leave(&mut self, node: NodeId, due: UnixMs) {
        if let Some(seat) = self.seat_mut(node) {
            seat.leaving = Some(due);
            self.settle();
        }
    }

    /// Somebody is on a node. Whether it was leaving.
    pub fn stay(&mut self, node: NodeId) -> bool {
        let was_leaving = self.seat_mut(node).and_then(|seat| seat.leaving.take()).is_some();
        if was_leaving {
            self.settle();
        }
        was_leaving
    }

    /// The nodes that have left by now.
    pub fn due(&self, now: UnixMs) -> Vec<NodeId> {
        self.seats.iter().filter(|seat| seat.leaving.is_some_and(|due| due <= now)).map(|seat| seat.node).collect()
    }

    /// A node is dead, or has left.
    pub fn remove(&mut self, node: NodeId) {
        if self.seat(node).is_some_and(|seat| seat.told) {
            self.untold.insert(node);
        }
        self.seats.retain(|seat| seat.node != node);
        self.settle();
    }

    /// A node lost contact with a node above it. Its standby becomes its parent, where it is already, or another one; if there is no other
    /// one, it keeps trying.
    pub fn parent_lost(&mut self, node: NodeId, lost: NodeId, now: UnixMs) {
        // A node can say much; what isn't of the room is nothing to it.
        if !self.has(lost) {
            return;
        }
        let standby = self.standby(node);
        let Some(seat) = self.seat_mut(node) else { return };
        seat.shunned.insert(lost, now.saturating_add(SHUNNED_MS));
        if seat.parent == Some(lost)
            && let Some(standby) = standby.filter(|standby| *standby != lost)
        {
            seat.set_parent(Some(standby));
        }
        self.settle();
    }

    /// A node's pipe to its parent is bad. If another one comes into question, that is its parent from now on, which it joins before it leaves the old one. Says whether
    /// there is.
    pub fn parent_poor(&mut self, node: NodeId, parent: NodeId, now: UnixMs) -> bool {
        let Some(seat) = self.seat(node).filter(|seat| seat.parent == Some(parent)) else { return false };
        let mut older = self.seats.iter().take_while(|other| other.fence < seat.fence);
        if !older.any(|other| other.node != parent && other.leaving.is_none() && !seat.shuns(other.node)) {
            return false;
        }
        if let Some(seat) = self.seat_mut(node) {
            seat.shunned.insert(parent, now.saturating_add(POOR_MS));
        }
        self.settle();
        true
    }

    /// Time passes.
    pub fn tick(&mut self, now: UnixMs) {
        for seat in &mut self.seats {
            seat.shunned.retain(|_, until| *until > now);
            seat.formers.retain(|_, until| until.is_none_or(|until| until > now));
        }
    }

    fn settle(&mut self) {
        self.seats.sort_by_key(|seat| seat.fence);
        shape::settle(&mut self.seats);
        // The dead let nobody in, and who comes back is another.
        let ages: BTreeMap<NodeId, Fence> = self.seats.iter().map(|seat| (seat.node, seat.fence)).collect();
        for seat in &mut self.seats {
            seat.formers.retain(|node, _| ages.get(node).is_some_and(|age| *age < seat.fence));
        }
    }
}
