//! Sessions on media nodes.

use super::{
    super::{
        error::Refusal,
        exchange::{Command, Failure, Outcome},
        ids::SessionId,
        room::Room,
        wire::Event,
    },
    AVOID_MS, Core, Operation, OperationKind, Turn, info_of,
};
use chroom_primitives::NodeId;
use tracing::{info, warn};

/// How often a session whose media connection does not come up is opened anew before it ends.
const MAX_MENDS: u32 = 3;

impl Core {
    pub(super) fn open(&mut self, t: &mut Turn<'_>, id: SessionId) {
        self.open_over(t, id, false);
    }

    /// Opens a session on its node; `stale` says that the node has an older one of this id for certain.
    fn open_over(&mut self, t: &mut Turn<'_>, id: SessionId, stale: bool) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Some(room) = self.rooms.get(&session.room).cloned() else { return };
        let Some(node) = session.node else { return };
        let stale =
            stale || self.leftovers.get(&node).is_some_and(|all| all.iter().any(|leftover| leftover.room == room.id));
        let command = Command::Open {
            session: id,
            room: room.id.clone(),
            fence: room.fence_on(node),
            participant: session.participant.clone(),
            rights: session.rights,
            stale,
        };
        self.reservations.add(node, t.now);
        self.command(t, OperationKind::Open, id, &room, node, command);
    }

    pub(super) fn opened(&mut self, t: &mut Turn<'_>, operation: &Operation, result: Result<Outcome, Failure>) {
        let id = operation.session;
        let is_its_own = self.sessions.get(&id).is_some_and(|session| session.node == Some(operation.node));
        let seated_there = self.rooms.get(&operation.room).filter(|room| {
            let seat = room.tree.seat(operation.node);
            room.generation == operation.generation && seat.is_some_and(|seat| seat.fence == operation.fence)
        });
        let (Some(room), true) = (seated_there.cloned(), is_its_own) else {
            // The session or the room has gone elsewhere meanwhile.
            if result.is_ok() && !is_its_own {
                let node = operation.node;
                let fence = self.rooms.get(&operation.room).map_or(operation.fence, |room| room.fence_on(node));
                let command = Command::CloseSession { session: id, fence, reason: "no longer wanted".to_owned() };
                self.send_off(t, node, &operation.room, fence, command);
            }
            return;
        };
        match result {
            Ok(_) => {
                if let Some(room) = self.rooms.get_mut(&operation.room) {
                    room.tried.clear();
                    room.homeless_since = None;
                }
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.opened_in = Some(room.generation);
                    session.stays.arrive(operation.node, t.now);
                    t.sessions.insert(id);
                }
                match self.joins.remove(&id) {
                    Some(join) => self.finish_join(t, id, join),
                    None => self.tell_moved(t, &room, id, operation.node),
                }
            }
            Err(failure) => self.open_failed(t, operation, &room, &failure),
        }
    }

    /// Tells a client that it has to make a new peer connection.
    pub(super) fn tell_moved(&mut self, t: &mut Turn<'_>, room: &Room, id: SessionId, node: NodeId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if std::mem::take(&mut session.quiet) {
            return;
        }
        let reason = session.mending.take().unwrap_or_else(|| room.moved_because.clone());
        let event = Event::Moved { node: info_of(t, node), generation: session.generation(room.generation), reason };
        t.notify(session.connection, event);
    }

    pub(super) fn open_failed(&mut self, t: &mut Turn<'_>, operation: &Operation, room: &Room, failure: &Failure) {
        let (id, node) = (operation.session, operation.node);
        warn!(session = %id, %node, %failure, "a media node did not open a session");
        let others_open = room
            .sessions
            .iter()
            .filter_map(|other| self.sessions.get(other))
            .any(|other| other.node == Some(node) && other.is_open(room.generation));
        if let (Failure::Refused(reason), Some(room)) = (failure, self.rooms.get_mut(&room.id)) {
            room.tried.insert(node, format!("refused the session: {reason}"));
        }
        match failure {
            Failure::Unreachable(reason) if !others_open => {
                self.avoid.insert(node, (t.now + AVOID_MS, format!("not reached a moment ago: {reason}")));
            }
            Failure::Refused(_) if !others_open => {}
            // It has no room for one more: another node may.
            Failure::Refused(_) if self.reseat(t, id, &format!("media node failed: {failure}"), true) => return,
            // The room is well where it is; whether an unreachable node is lost, its watch decides.
            _ => {
                if let Some(join) = self.joins.remove(&id) {
                    t.reply(join.call, Err(Refusal::MediaNodeFailed(failure.to_string())));
                    self.end(t, id, "the media node failed", None);
                } else {
                    self.end(t, id, "the media node failed", Some(&format!("the media node failed: {failure}")));
                }
                return;
            }
        }
        self.move_away(t, &room.id, node, &format!("media node failed: {failure}"), true);
    }

    /// Opens a session anew on its node, which no longer has it: its client has to make a new peer connection.
    pub(super) fn reopen(&mut self, t: &mut Turn<'_>, id: SessionId, reason: &str) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        // A session that timed out before its client had anything to negotiate: nobody is to blame, nobody needs to know.
        let quiet = !session.negotiated;
        if !quiet {
            session.mends += 1;
            if session.mends > MAX_MENDS {
                self.end(t, id, reason, Some(reason));
                return;
            }
            session.reopened = session.reopened.saturating_add(1);
            session.mending = Some(reason.to_owned());
        }
        info!(session = %id, reason, "a session is opened anew");
        self.begin_anew(t, id, quiet, false);
    }

    /// Opens a session anew for another peer connection, which its client has made already: it needn't be told, and nothing
    /// counts against it.
    pub(super) fn replace_transport(&mut self, t: &mut Turn<'_>, id: SessionId) {
        info!(session = %id, "a session is opened anew for another peer connection");
        self.begin_anew(t, id, true, true);
    }

    fn begin_anew(&mut self, t: &mut Turn<'_>, id: SessionId, quiet: bool, stale: bool) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.forget_media();
        session.quiet = quiet;
        let (tracks, room) = (session.tracks.keys().cloned().collect(), session.room.clone());
        t.sessions.insert(id);
        if let Some(room) = self.rooms.get(&room).cloned() {
            self.withhold(t, &room, &tracks);
        }
        self.open_over(t, id, stale);
    }
}
