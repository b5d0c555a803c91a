//! How sessions and rooms end.

use super::{
    super::{
        error::Refusal,
        exchange::{Command, Reply},
        ids::{ParticipantId, RoomId, SessionId},
        wire::Event,
    },
    Core, NO_SESSION, OperationKind, Turn,
};
use crate::application::AfterLeave;
use tracing::info;

impl Core {
    pub(super) fn kick(
        &mut self,
        t: &mut Turn<'_>,
        id: SessionId,
        participant: &ParticipantId,
    ) -> Result<Reply, Refusal> {
        let session = self.sessions.get(&id).ok_or(NO_SESSION)?;
        if !session.rights.admin {
            return Err(Refusal::NotPermitted { needs: "admin" });
        }
        let room = self.rooms.get(&session.room).ok_or(NO_SESSION)?;
        let target = room
            .sessions
            .iter()
            .copied()
            .find(|other| self.sessions.get(other).is_some_and(|s| s.joined && s.participant == *participant))
            .ok_or_else(|| Refusal::InvalidParams(format!("{participant} is not in the room")))?;
        if target == id {
            return Err(Refusal::InvalidParams("to remove oneself there is session.leave".to_owned()));
        }
        self.end(t, target, "kicked", Some("kicked"));
        Ok(Reply::Done)
    }

    /// Ends a session. The others in its room are told `reason`; its own client is told `tell`, if anything.
    pub(super) fn end(&mut self, t: &mut Turn<'_>, id: SessionId, reason: &str, tell: Option<&str>) {
        let Some(session) = self.sessions.remove(&id) else { return };
        t.sessions.insert(id);
        if let Some(connection) = session.connection {
            self.connections.remove(&connection);
            if let Some(tell) = tell {
                t.notify(Some(connection), Event::Closed { reason: tell.to_owned() });
            }
        }
        if let Some(join) = self.joins.remove(&id) {
            t.reply(join.call, Err(Refusal::NoSession("the session ended before the join was done")));
        }
        self.fail_calls(t, |operation| operation.session == id, &|| Refusal::NoSession("the session ended meanwhile"));
        let Some(room) = self.rooms.get_mut(&session.room) else { return };
        room.sessions.retain(|other| *other != id);
        t.rooms.insert(session.room.clone());
        if session.joined {
            info!(session = %id, room = %session.room, reason, "session ended");
        }
        if room.sessions.is_empty() {
            self.remove_room(t, &session.room, "everybody left");
            return;
        }
        let room = room.clone();
        // Where it moved away from a moment ago its client may still be.
        let now = t.now;
        for node in room.tree.nodes().filter(|node| session.node == Some(*node) || session.stays.served(node, now)) {
            let fence = room.fence_on(node);
            let command = Command::CloseSession { session: id, fence, reason: reason.to_owned() };
            self.command(t, OperationKind::Close, id, &room, node, command);
        }
        if !session.joined {
            return;
        }
        let event = Event::ParticipantLeft { participant: session.participant, reason: reason.to_owned() };
        self.tell_others(t, &session.room, Some(id), &event);
        self.choose_host(t, &session.room);
        let after = self.rules(&room.application).profile.on_leave(&self.view(&room));
        if let AfterLeave::Close(reason) = after {
            // Pending joins are not members: a room that some are on their way to goes on.
            if room.sessions.iter().all(|other| self.sessions.get(other).is_some_and(|s| s.joined)) {
                self.close_room(t, &session.room, reason);
            }
        }
    }

    /// Ends all sessions of a room, and so the room.
    pub(super) fn close_room(&mut self, t: &mut Turn<'_>, id: &RoomId, reason: &str) {
        let Some(room) = self.rooms.get(id) else { return };
        for session in room.sessions.clone() {
            self.end(t, session, reason, Some(reason));
        }
    }

    pub(super) fn remove_room(&mut self, t: &mut Turn<'_>, id: &RoomId, reason: &str) {
        let Some(room) = self.rooms.remove(id) else { return };
        t.rooms.insert(id.clone());
        for seat in room.tree.seats() {
            let command = Command::CloseRoom { room: id.clone(), fence: seat.fence, reason: reason.to_owned() };
            self.send(t, OperationKind::CloseRoom, seat.node, id, seat.fence, command);
        }
    }
}
