//! Rooms that span nodes: what the nodes are told of the tree, and what they say.

use super::{
    super::{
        exchange::{Command, Failure, Outcome},
        ids::RoomId,
    },
    Core, Operation, OperationKind, Turn,
};
use crate::cascade::Place;
use chroom_primitives::NodeId;
use std::collections::BTreeSet;
use tracing::{debug, info, warn};

/// How long a node that nobody is on any more stays in a room's tree, in milliseconds: its children change over within 5 s, and who reloads a
/// page comes back to it.
const EMPTY_MS: u64 = 10_000;

impl Core {
    /// Tells nodes what they have to be told.
    pub(super) fn lay_trees(&mut self, t: &mut Turn<'_>) {
        for id in std::mem::take(&mut t.trees) {
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            let orders = room.tree.orders(t.now);
            if !orders.is_empty() {
                t.rooms.insert(id.clone());
            }
            for order in orders {
                let (room, fence) = (id.clone(), order.fence);
                let command = match order.place {
                    Place::Among(route) => Command::SetRoute { room, fence, route },
                    Place::Alone => Command::ClearRoute { room, fence },
                };
                self.send(t, OperationKind::Route, order.node, &id, fence, command);
            }
        }
    }

    /// A node answered what it was told of its place.
    pub(super) fn routed(&mut self, t: &mut Turn<'_>, operation: &Operation, result: Result<Outcome, Failure>) {
        let (id, node) = (&operation.room, operation.node);
        let Some(room) = self.rooms.get_mut(id) else { return };
        let answer = match &result {
            Ok(Outcome::Routed(address)) => Ok(Some(*address)),
            Ok(_) => Ok(None),
            Err(failure) => {
                debug!(room = %id, %node, %failure, "a media node did not take its place in the room's tree");
                Err(failure)
            }
        };
        let unfit = room.tree.answered(node, operation.fence, answer, t.now);
        t.rooms.insert(id.clone());
        t.trees.insert(id.clone());
        if let Some(unfit) = unfit {
            let reason = format!("refused its place in the room's tree: {}", unfit.reason);
            warn!(room = %id, %node, reason, "the room cannot span a media node");
            room.unfit.insert(node, reason.clone());
            self.move_away(t, id, node, &reason, true);
        }
    }

    /// A node lost contact with the one above it.
    pub(super) fn parent_lost(&mut self, t: &mut Turn<'_>, node: NodeId, id: &RoomId, lost: NodeId) {
        let Some(room) = self.rooms.get_mut(id).filter(|room| room.tree.has(node)) else { return };
        warn!(room = %id, %node, %lost, "a media node lost contact with the one above it");
        room.tree.parent_lost(node, lost, t.now);
        t.rooms.insert(id.clone());
        t.trees.insert(id.clone());
    }

    /// A node's pipe to the one above it is bad: it gets another one, if there is one.
    pub(super) fn parent_poor(&mut self, t: &mut Turn<'_>, node: NodeId, id: &RoomId, parent: NodeId) {
        let Some(room) = self.rooms.get_mut(id).filter(|room| room.tree.has(node)) else { return };
        let moves = room.tree.parent_poor(node, parent, t.now);
        let to = room.tree.seat(node).and_then(|seat| seat.parent).filter(|_| moves);
        warn!(room = %id, %node, %parent, to = ?to, "a media node's pipe to the one above it is bad");
        if moves {
            t.rooms.insert(id.clone());
            t.trees.insert(id.clone());
        }
    }

    /// Lets go of nodes that nobody is on any more, and tells again what was not acknowledged.
    pub(super) fn tend_trees(&mut self, t: &mut Turn<'_>) {
        let mut gone = Vec::new();
        for room in self.rooms.values_mut() {
            if room.tree.seats().len() > 1 {
                let used: BTreeSet<NodeId> = room
                    .sessions
                    .iter()
                    .filter_map(|session| self.sessions.get(session))
                    .filter_map(|session| session.node)
                    .collect();
                let unused = |node: &NodeId| !used.contains(node);
                let empty: Vec<NodeId> = room
                    .tree
                    .seats()
                    .iter()
                    .filter(|seat| seat.leaving.is_none() && unused(&seat.node))
                    .map(|seat| seat.node)
                    .collect();
                for node in empty {
                    room.tree.leave(node, t.now + EMPTY_MS);
                    t.rooms.insert(room.id.clone());
                }
                let left = room.tree.due(t.now).into_iter().filter(unused);
                gone.extend(left.map(|node| (room.id.clone(), node)));
            }
            room.tree.tick(t.now);
            // A room on one node has nothing to be told, unless it was on several.
            if room.tree.seats().len() > 1 || room.tree.seats().iter().any(|seat| seat.told) {
                t.trees.insert(room.id.clone());
            }
        }
        for (id, node) in gone {
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            // The last one stays: whoever waits for a node gets that one, or a place is looked for when it is lost.
            if room.tree.seats().len() < 2 {
                continue;
            }
            info!(room = %id, %node, "room leaves a media node");
            let fence = room.fence_on(node);
            room.tree.remove(node);
            t.rooms.insert(id.clone());
            self.leave_behind(t, node, &id, fence, Some(t.now));
        }
    }
}
