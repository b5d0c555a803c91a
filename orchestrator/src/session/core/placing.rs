//! Where rooms are: finding a first place, moving away, and what stays behind.

use super::{
    super::{
        error::Refusal,
        exchange::Command,
        ids::{Fence, Generation, RoomId, SessionId, TrackId},
        member::Session,
    },
    AVOID_MS, Core, Leftover, Operation, OperationKind, Turn,
};
use crate::allocation;
use chroom_primitives::{NodeId, UnixMs};
use std::collections::{BTreeMap, BTreeSet};
use tracing::{info, warn};

/// How often a room without a node looks for one, in milliseconds.
const RETRY_MS: u64 = 1_000;
/// How often a room on a draining node looks for another, in milliseconds.
const DRAIN_RETRY_MS: u64 = 5_000;
/// How long a draining node keeps a room that moved away, so that clients can change over, in milliseconds.
const CHANGE_OVER_MS: u64 = 20_000;
/// How long a lost node's rooms are remembered, so that they are closed if it comes back, in milliseconds.
const LEFTOVER_MS: u64 = 600_000;

impl Core {
    /// A fencing epoch greater than all before, over restarts too: it is the time, or one more than the last.
    pub(super) fn next_fence(&mut self, now: UnixMs) -> Fence {
        self.last_fence = Fence(self.last_fence.0.saturating_add(1).max(now));
        self.last_fence
    }

    /// Looks for a place for a room that has none, and opens its sessions there. Where there is none, pending joins are refused; the
    /// sessions that the room has wait.
    pub(super) fn place(&mut self, t: &mut Turn<'_>, id: &RoomId) {
        let Some(room) = self.rooms.get(id) else { return };
        let search = self.search(t, room, room.cell);
        let decision = allocation::allocate(&search, &t.nodes.media_nodes(), &self.reservations, t.now, t.rng);
        let Some(node) = decision.node else {
            self.no_place(t, id, &Refusal::of(decision, search.budget));
            return;
        };
        self.add_node(t, id, node);
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.generation = Generation(room.generation.0.saturating_add(1));
        info!(
            room = %id, %node, generation = room.generation.0, because = %room.moved_because,
            considered = %decision.explanation.summary(), "room placed"
        );
        for (at, session) in room.sessions.clone().into_iter().enumerate() {
            let Some(entry) = self.sessions.get_mut(&session) else { continue };
            entry.forget_media();
            entry.mending = None;
            // The first is where the place was looked for; the others may have better ones.
            entry.node = (at == 0).then_some(node);
            t.sessions.insert(session);
            if at == 0 {
                self.open(t, session);
            } else if let Err(refusal) = self.seat(t, session) {
                self.unseated(t, session, refusal);
            }
        }
        self.take_up(id, node);
    }

    /// What was left on a node of a room's earlier stay is replaced by what is opened there now.
    pub(super) fn take_up(&mut self, id: &RoomId, node: NodeId) {
        if let Some(leftovers) = self.leftovers.get_mut(&node) {
            leftovers.retain(|leftover| leftover.room != *id);
        }
    }

    fn no_place(&mut self, t: &mut Turn<'_>, id: &RoomId, refusal: &Refusal) {
        if let Refusal::NoMediaNode(explanation) | Refusal::TooDear { explanation, .. } = refusal {
            warn!(room = %id, because = %refusal, considered = %explanation.summary(), "no media node can take the room");
        }
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.tried.clear();
        room.homeless_since.get_or_insert(t.now);
        room.retry_at = t.now + RETRY_MS;
        t.rooms.insert(id.clone());
        let waiting: Vec<SessionId> =
            room.sessions.iter().copied().filter(|session| self.joins.contains_key(session)).collect();
        for session in waiting {
            if let Some(join) = self.joins.remove(&session) {
                t.reply(join.call, Err(refusal.clone()));
            }
            self.end(t, session, "no media node", None);
        }
    }

    /// Moves a room's sessions away from a node. From a lost one they go at once; on a draining one they stay until there is another, and the
    /// node stays in the room's tree while clients change over.
    pub(super) fn move_away(&mut self, t: &mut Turn<'_>, id: &RoomId, node: NodeId, reason: &str, lost: bool) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        let there = |session: &SessionId| self.sessions.get(session).is_some_and(|session| session.node == Some(node));
        let sessions: Vec<SessionId> = room.sessions.iter().copied().filter(there).collect();
        t.rooms.insert(id.clone());
        t.trees.insert(id.clone());
        if lost {
            room.moved_because = reason.to_owned();
            let fence = room.fence_on(node);
            room.tree.remove(node);
            let is_homeless = room.tree.is_empty();
            for session in &sessions {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.opened_in = None;
                    session.node = None;
                    t.sessions.insert(session.id);
                }
            }
            self.leave_behind(t, node, id, fence, None);
            if is_homeless {
                self.place(t, id);
                return;
            }
        }
        let mut stuck = false;
        for session in sessions {
            stuck |= !self.reseat(t, session, reason, lost);
        }
        let Some(room) = self.rooms.get_mut(id).filter(|_| !lost) else { return };
        if stuck {
            room.tried.clear();
            room.retry_at = t.now + DRAIN_RETRY_MS;
        } else {
            room.tree.leave(node, t.now + CHANGE_OVER_MS);
        }
    }

    /// Moves sessions away from nodes that drain.
    pub(super) fn leave_draining(&mut self, t: &mut Turn<'_>) {
        let now = t.now;
        let leaving: BTreeMap<NodeId, String> = self
            .rooms
            .values()
            .flat_map(|room| room.tree.nodes())
            .collect::<BTreeSet<NodeId>>()
            .into_iter()
            .filter_map(|node| t.nodes.leaving(&node).map(|reason| (node, reason)))
            .collect();
        let draining: Vec<(RoomId, NodeId)> = self
            .sessions
            .values()
            .filter_map(|session| Some((&session.room, session.node?)))
            .filter(|(_, node)| leaving.contains_key(node))
            .filter(|(id, _)| self.rooms.get(id).is_some_and(|room| room.retry_at <= now))
            .map(|(id, node)| (id.clone(), node))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        for (id, node) in draining {
            if let Some(reason) = leaving.get(&node) {
                self.move_away(t, &id, node, reason, false);
            }
        }
    }

    pub(super) fn rooms_on(&self, node: NodeId) -> Vec<RoomId> {
        self.rooms.values().filter(|room| room.tree.has(node)).map(|room| room.id.clone()).collect()
    }

    pub(super) fn node_lost(&mut self, t: &mut Turn<'_>, node: NodeId, reason: &str) {
        warn!(%node, reason, "contact with a media node is lost");
        self.avoid.insert(node, (t.now + AVOID_MS, format!("contact lost: {reason}")));
        let sessions: BTreeSet<SessionId> =
            self.operations.values().filter(|op| op.node == node).map(|op| op.session).collect();
        self.fail_calls(t, |operation| operation.node == node, &|| {
            Refusal::MediaNodeFailed("contact with the media node is lost; wait for `moved`, then negotiate".to_owned())
        });
        let unclosed: Vec<(RoomId, Fence)> = self
            .operations
            .values()
            .filter(|operation| operation.node == node && matches!(operation.kind, OperationKind::CloseRoom))
            .map(|operation| (operation.room.clone(), operation.fence))
            .collect();
        // A session may yet be opened there by a command that is under way: then it is closed.
        let is_open = |operation: &Operation| matches!(operation.kind, OperationKind::Open);
        self.operations.retain(|_, operation| operation.node != node || is_open(operation));
        for (room, fence) in unclosed {
            self.leave_behind(t, node, &room, fence, None);
        }
        for id in sessions {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.in_flight = 0;
            }
        }
        for room in self.rooms_on(node) {
            self.move_away(t, &room, node, &format!("the media node is lost: {reason}"), true);
        }
    }

    pub(super) fn node_reached(&mut self, t: &mut Turn<'_>, node: NodeId, there: &BTreeMap<SessionId, RoomId>) {
        info!(%node, sessions = there.len(), "contact with a media node");
        self.avoid.remove(&node);
        for leftover in self.leftovers.get_mut(&node).into_iter().flatten() {
            leftover.due.get_or_insert(t.now);
        }
        self.close_strays(t, node, there);
        for id in self.rooms_on(node) {
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            room.tree.reached(node);
            t.trees.insert(id.clone());
            let room = room.clone();
            let here = |s: &Session| s.node == Some(node) && s.is_open(room.generation);
            let expected: Vec<SessionId> =
                room.sessions.iter().copied().filter(|s| self.sessions.get(s).is_some_and(here)).collect();
            if !expected.is_empty() && expected.iter().all(|session| !there.contains_key(session)) {
                self.move_away(t, &id, node, "the media node restarted", true);
                continue;
            }
            for session in expected.iter().filter(|session| !there.contains_key(session)) {
                self.reopen(t, *session, "the media connection ended");
            }
            // First packets may have come while nobody listened.
            for session in &expected {
                let missed: Vec<TrackId> = self
                    .sessions
                    .get(session)
                    .into_iter()
                    .flat_map(|s| &s.tracks)
                    .filter(|(_, track)| track.known_in == Some(room.generation) && !track.announced)
                    .map(|(id, _)| id.clone())
                    .collect();
                for track in missed {
                    self.announce(t, *session, &track);
                }
            }
        }
    }

    /// Ends this orchestrator's sessions on a node that have no business there: what ended or moved while the node was out
    /// of reach, or while the orchestrator was down.
    pub(super) fn close_strays(&mut self, t: &mut Turn<'_>, node: NodeId, there: &BTreeMap<SessionId, RoomId>) {
        let strays: Vec<(SessionId, RoomId)> = there
            .iter()
            .filter(|(id, _)| id.is_of(self.tag))
            .filter(|(id, _)| {
                let Some(session) = self.sessions.get(id) else { return true };
                let has_seat = self.rooms.get(&session.room).is_some_and(|room| room.tree.has(node));
                !has_seat || session.node.is_some_and(|at| at != node)
            })
            .map(|(id, room)| (*id, room.clone()))
            .collect();
        for (session, room) in strays {
            let fence = match self.rooms.get(&room) {
                Some(room) => room.fence_on(node),
                None => self.next_fence(t.now),
            };
            let command = Command::CloseSession { session, fence, reason: "over".to_owned() };
            self.send_off(t, node, &room, fence, command);
        }
    }

    /// Remembers that a node may still have a room.
    pub(super) fn leave_behind(
        &mut self,
        t: &Turn<'_>,
        node: NodeId,
        room: &RoomId,
        fence: Fence,
        due: Option<UnixMs>,
    ) {
        let leftovers = self.leftovers.entry(node).or_default();
        leftovers.retain(|leftover| leftover.room != *room);
        leftovers.push(Leftover { room: room.clone(), fence, due, until: t.now + LEFTOVER_MS });
    }

    pub(super) fn close_leftovers(&mut self, t: &mut Turn<'_>) {
        let now = t.now;
        let mut due = Vec::new();
        for (node, leftovers) in &mut self.leftovers {
            leftovers.retain(|leftover| {
                let is_due = leftover.due.is_some_and(|at| at <= now);
                if is_due {
                    due.push((*node, leftover.room.clone(), leftover.fence));
                }
                !is_due && leftover.until > now
            });
        }
        self.leftovers.retain(|_, leftovers| !leftovers.is_empty());
        for (node, id, fence) in due {
            if self.rooms.get(&id).is_some_and(|room| room.tree.has(node)) {
                continue;
            }
            let command = Command::CloseRoom { room: id.clone(), fence, reason: "moved".to_owned() };
            self.send(t, OperationKind::CloseRoom, node, &id, fence, command);
        }
    }
}
