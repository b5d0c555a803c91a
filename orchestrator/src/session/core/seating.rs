//! Which of a room's nodes a session is on.

use super::{
    super::{
        error::Refusal,
        exchange::Command,
        ids::{RoomId, SessionId},
        member::Session,
        room::Room,
    },
    Core, HOMELESS_MS, Turn,
};
use crate::allocation::{self, Search, Seated};
use chroom_primitives::{H3Cell, NodeId, UnixMs};
use std::collections::BTreeMap;
use tracing::{info, warn};

impl Core {
    /// What a room asks of a media node for somebody at `cell`.
    pub(super) fn search(&self, t: &Turn<'_>, room: &Room, cell: Option<H3Cell>) -> Search {
        let rules = self.rules(&room.application);
        let mut avoid: BTreeMap<NodeId, String> =
            self.avoid.iter().map(|(node, (_, reason))| (*node, reason.clone())).collect();
        avoid.extend(room.tree.nodes().filter_map(|node| Some((node, t.nodes.leaving(&node)?))));
        avoid.extend(room.tried.iter().chain(&room.unfit).map(|(node, reason)| (*node, reason.clone())));
        let constraints = rules.profile.constraints(&room.name, rules.constraints);
        Search { cell, constraints, budget: t.nodes.budget(&room.application), avoid }
    }

    /// A further node for a room, as its youngest, with a fencing epoch greater than all before.
    pub(super) fn add_node(&mut self, t: &mut Turn<'_>, id: &RoomId, node: NodeId) {
        let fence = self.next_fence(t.now);
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.fence = fence;
        room.tree.join(node, fence, t.nodes.node(&node).map(|view| view.registration.cell));
        t.rooms.insert(id.clone());
        t.trees.insert(id.clone());
    }

    /// Chooses a node for a session of a room that has nodes.
    fn choose_seat(&self, t: &mut Turn<'_>, id: SessionId) -> Result<(RoomId, NodeId, Seated), Refusal> {
        const GONE: Refusal = Refusal::NoSession("the session ended meanwhile");
        let session = self.sessions.get(&id).ok_or(GONE)?;
        let room = self.rooms.get(&session.room).ok_or(GONE)?;
        let search = self.search(t, room, session.cell.or(room.cell));
        let own: Vec<NodeId> = room.tree.nodes().collect();
        let (most, nodes) = (self.limits.nodes_per_room, t.nodes.media_nodes());
        let seated = allocation::seat(&search, &own, most, &nodes, &self.reservations, t.now, t.rng);
        match seated.node {
            Some(node) => Ok((room.id.clone(), node, seated)),
            None => Err(Refusal::unseated(seated, search.budget)),
        }
    }

    /// Takes a session to the node that was chosen for it, and opens it there.
    fn take_seat(&mut self, t: &mut Turn<'_>, id: SessionId, (room, node, seated): (RoomId, NodeId, Seated)) {
        if seated.is_further {
            self.add_node(t, &room, node);
            info!(%room, %node, session = %id, considered = %seated.explanation.summary(), "room spans a further node");
        } else if self.rooms.get_mut(&room).is_some_and(|room| room.tree.stay(node)) {
            t.rooms.insert(room.clone());
            t.trees.insert(room.clone());
            self.end_change_over(t, &room, node);
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.node = Some(node);
            session.homeless_since = None;
            t.sessions.insert(id);
        }
        self.open(t, id);
        self.take_up(&room, node);
    }

    /// A room stays on a node after all: who had moved away from it a moment ago is no longer kept there.
    fn end_change_over(&mut self, t: &mut Turn<'_>, id: &RoomId, node: NodeId) {
        let Some(room) = self.rooms.get(id).cloned() else { return };
        for session in &room.sessions {
            let is_kept = |session: &Session| session.node != Some(node) && session.stays.served(&node, t.now);
            if self.sessions.get(session).is_some_and(is_kept) {
                let fence = room.fence_on(node);
                let command = Command::CloseSession { session: *session, fence, reason: "moved".to_owned() };
                self.send_off(t, node, id, fence, command);
            }
        }
    }

    /// Finds a node for a session of a room that has nodes, and opens it there.
    pub(super) fn seat(&mut self, t: &mut Turn<'_>, id: SessionId) -> Result<(), Refusal> {
        let choice = self.choose_seat(t, id)?;
        self.take_seat(t, id, choice);
        Ok(())
    }

    /// Moves one session to another node of its room, or a further one. If there is none, one that is lost waits, and one that isn't stays as it
    /// is: then this is `false`.
    pub(super) fn reseat(&mut self, t: &mut Turn<'_>, id: SessionId, reason: &str, lost: bool) -> bool {
        let choice = self.choose_seat(t, id);
        if choice.is_err() && !lost {
            return false;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return true };
        let room = session.room.clone();
        if lost {
            session.forget_media();
        } else {
            session.forget_connection();
        }
        if session.joined {
            session.reopened = session.reopened.saturating_add(1);
            session.mending = Some(reason.to_owned());
        }
        let tracks = session.tracks.keys().cloned().collect();
        t.sessions.insert(id);
        if let Some(room) = self.rooms.get(&room).filter(|_| lost).cloned() {
            self.withhold(t, &room, &tracks);
        }
        match choice {
            Ok(choice) => {
                self.take_seat(t, id, choice);
                true
            }
            Err(refusal) => {
                self.unseated(t, id, refusal);
                false
            }
        }
    }

    /// There is no node for a session now. One that joins is refused; one that is in waits.
    pub(super) fn unseated(&mut self, t: &mut Turn<'_>, id: SessionId, refusal: Refusal) {
        let room = self.sessions.get(&id).map(|session| session.room.clone());
        if let Some(room) = room.and_then(|room| self.rooms.get_mut(&room)) {
            room.tried.clear();
        }
        if self.joins.contains_key(&id) {
            self.refuse_join(t, id, refusal);
        } else if let Some(session) = self.sessions.get_mut(&id) {
            warn!(session = %id, because = %refusal, "no media node can take the session");
            session.node = None;
            session.homeless_since.get_or_insert(t.now);
            t.sessions.insert(id);
        }
    }

    /// Looks for nodes for sessions that have none though their rooms have, and ends those that waited too long.
    pub(super) fn seat_homeless(&mut self, t: &mut Turn<'_>) {
        let has_nodes = |room: &RoomId| self.rooms.get(room).is_some_and(|room| !room.tree.is_empty());
        let waiting: Vec<(SessionId, UnixMs)> = self
            .sessions
            .values()
            .filter(|session| session.node.is_none() && has_nodes(&session.room))
            .map(|session| (session.id, session.homeless_since.unwrap_or(t.now)))
            .collect();
        for (id, since) in waiting {
            if since + HOMELESS_MS <= t.now {
                const REASON: &str = "no media node can take the session";
                self.end(t, id, REASON, Some(REASON));
            } else if let Err(refusal) = self.seat(t, id) {
                self.unseated(t, id, refusal);
            }
        }
    }
}
