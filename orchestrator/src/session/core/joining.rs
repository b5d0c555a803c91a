//! Coming in, and coming back.

use super::{
    super::{
        error::Refusal,
        exchange::{Join, Reply},
        ids::{CallId, ConnectionId, Fence, Generation, ParticipantId, RoomId, SessionId},
        member::Session,
        room::Room,
        stay::Stays,
        wire::{Event, NodeInfo, ParticipantInfo, RECEIPT_INTERVAL_MS, SessionInfo},
    },
    Core, PendingJoin, Turn, info_of,
};
use crate::cascade::Tree;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chroom_primitives::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use subtle::ConstantTimeEq;
use tracing::{debug, info};

impl Core {
    pub(super) fn join(
        &mut self,
        t: &mut Turn<'_>,
        connection: ConnectionId,
        call: CallId,
        join: Join,
    ) -> Result<(), Refusal> {
        if self.connections.contains_key(&connection) {
            return Err(Refusal::InvalidParams(
                "this connection has a session: leave it first, or open another WebSocket".to_owned(),
            ));
        }
        if self.sessions.len() >= self.limits.sessions {
            return Err(Refusal::TooManyRequests("this orchestrator has as many sessions as it takes; try another"));
        }
        let room_id = RoomId::of(&join.application, &join.room);
        let profile = self.rules(&join.application).profile;
        let new_room;
        let room = match self.rooms.get(&room_id) {
            Some(room) => room,
            None => {
                new_room = Room {
                    id: room_id.clone(),
                    application: join.application.clone(),
                    name: join.room.clone(),
                    tree: Tree::default(),
                    fence: Fence(0),
                    generation: Generation(0),
                    cell: join.cell,
                    sessions: Vec::new(),
                    host: None,
                    moved_because: String::new(),
                    homeless_since: None,
                    retry_at: 0,
                    tried: BTreeMap::new(),
                    unfit: BTreeMap::new(),
                };
                &new_room
            }
        };
        if room.sessions.len() >= self.limits.sessions_per_room {
            return Err(Refusal::TooManyRequests("the room has as many sessions as it takes"));
        }
        let rights = profile.on_join(&self.view(room), &join.identity, join.rights).map_err(Refusal::Application)?;
        let mut room = room.clone();

        let id = SessionId::random(self.tag, t.rng);
        let mut secret = [0; 32];
        t.rng.fill_bytes(&mut secret);
        let secret = BASE64_URL_SAFE_NO_PAD.encode(secret);
        let session = Session {
            id,
            secret_hash: crate::digest::sha256(secret.as_bytes()),
            room: room_id.clone(),
            participant: ParticipantId::random(t.rng),
            identity: join.identity,
            name: join.name,
            rights,
            receipt_key: join.receipt_key,
            account: join.account,
            started_ms: t.now,
            cell: join.cell,
            node: None,
            homeless_since: None,
            joined: false,
            opened_in: None,
            stays: Stays::default(),
            transport: None,
            tracks: BTreeMap::new(),
            wants: BTreeMap::new(),
            withheld: BTreeSet::new(),
            connection: Some(connection),
            offline_since: None,
            in_flight: 0,
            reopened: 0,
            negotiated: false,
            mends: 0,
            mending: None,
            quiet: false,
        };
        room.sessions.push(id);
        let placed = !room.tree.is_empty();
        self.rooms.insert(room_id.clone(), room);
        self.sessions.insert(id, session);
        self.connections.insert(connection, id);
        self.joins.insert(id, PendingJoin { call, secret });
        t.rooms.insert(room_id.clone());
        t.sessions.insert(id);
        if placed {
            if let Err(refusal) = self.seat(t, id) {
                self.unseated(t, id, refusal);
            }
        } else {
            // Where there is no place, the pending join is answered with the reason.
            self.place(t, &room_id);
        }
        Ok(())
    }

    /// There is no node for a joiner.
    pub(super) fn refuse_join(&mut self, t: &mut Turn<'_>, id: SessionId, refusal: Refusal) {
        if let Some(join) = self.joins.remove(&id) {
            t.reply(join.call, Err(refusal));
        }
        self.end(t, id, "no media node", None);
    }

    pub(super) fn resume(
        &mut self,
        t: &mut Turn<'_>,
        connection: ConnectionId,
        current: Option<SessionId>,
        id: SessionId,
        secret: &str,
    ) -> Result<Reply, Refusal> {
        const OVER: Refusal =
            Refusal::NoSession("there is no such session, or it is over, or the secret is wrong: join again");
        if current.is_some_and(|current| current != id) {
            return Err(Refusal::InvalidParams("this connection has another session".to_owned()));
        }
        let hash = crate::digest::sha256(secret.as_bytes());
        let session = self.sessions.get_mut(&id).filter(|session| session.joined).ok_or(OVER)?;
        if !bool::from(session.secret_hash.ct_eq(&hash)) {
            return Err(OVER);
        }
        if let Some(old) = session.connection.replace(connection)
            && old != connection
        {
            self.connections.remove(&old);
        }
        session.offline_since = None;
        self.connections.insert(connection, id);
        debug!(session = %id, "session resumed");
        self.session_info(t, id, secret.to_owned()).map(|info| Reply::Session(Box::new(info))).ok_or(OVER)
    }

    pub(super) fn session_info(&self, t: &Turn<'_>, id: SessionId, secret: String) -> Option<SessionInfo> {
        let session = self.sessions.get(&id)?;
        let room = self.rooms.get(&session.room)?;
        let participants = room
            .sessions
            .iter()
            .filter(|other| **other != id)
            .filter_map(|other| self.sessions.get(other))
            .filter(|other| other.joined)
            .map(ParticipantInfo::of)
            .collect();
        Some(SessionInfo {
            session: id,
            secret,
            participant: session.participant.clone(),
            room: room.name.clone(),
            grants: session.rights,
            node: session.node.map_or_else(|| NodeInfo::unknown(NodeId::default()), |node| info_of(t, node)),
            nodes: room.tree.nodes().collect(),
            ice_servers: Vec::new(),
            generation: session.generation(room.generation),
            participants,
            receipt_interval_ms: RECEIPT_INTERVAL_MS,
            host: room.host.clone(),
        })
    }

    pub(super) fn finish_join(&mut self, t: &mut Turn<'_>, id: SessionId, join: PendingJoin) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.joined = true;
        let (room_id, identity) = (session.room.clone(), session.identity.clone());
        t.sessions.insert(id);
        // A participant who comes again takes their own seat: the older session ends.
        let replaced: Vec<SessionId> = self
            .rooms
            .get(&room_id)
            .into_iter()
            .flat_map(|room| room.sessions.iter().copied())
            .filter(|other| *other != id)
            .filter(|other| self.sessions.get(other).is_some_and(|s| s.joined && s.identity == identity))
            .collect();
        for other in replaced {
            self.end(t, other, "replaced", Some("replaced: the same identity joined again"));
        }
        self.choose_host(t, &room_id);
        info!(session = %id, room = %room_id, "session joined");
        match self.session_info(t, id, join.secret) {
            Some(info) => t.reply(join.call, Ok(Reply::Session(Box::new(info)))),
            None => t.reply(join.call, Err(Refusal::Internal("the session vanished"))),
        }
        if let Some(session) = self.sessions.get(&id) {
            let event = Event::ParticipantJoined { participant: ParticipantInfo::of(session) };
            self.tell_others(t, &room_id, Some(id), &event);
        }
    }

    pub(super) fn disconnected(&mut self, t: &mut Turn<'_>, connection: ConnectionId) {
        self.clients.remove(&connection);
        let Some(id) = self.connections.remove(&connection) else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.connection != Some(connection) {
            return;
        }
        session.connection = None;
        if session.joined {
            session.offline_since = Some(t.now);
        } else {
            self.end(t, id, "gone", None);
        }
    }

    pub(super) fn choose_host(&mut self, t: &mut Turn<'_>, id: &RoomId) {
        let Some(room) = self.rooms.get(id) else { return };
        let host = self.rules(&room.application).profile.choose_host(&self.view(room)).cloned();
        if host != room.host
            && let Some(room) = self.rooms.get_mut(id)
        {
            room.host = host;
            t.rooms.insert(id.clone());
        }
    }
}
