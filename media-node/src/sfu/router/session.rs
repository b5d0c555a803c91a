//! Sessions come, come up, and go.

use super::*;

impl Router {
    /// Opens a session. Opening it again before its first negotiation, for the same room and participant, gives the same key, so a
    /// retry does no harm; the flag says whether it is new.
    pub fn open(&mut self, now: Instant, opening: Opening) -> Result<(SessionKey, bool), RouteError> {
        if let Some(key) = self.key(&opening.session) {
            let same = self.sessions.get(key.0).is_some_and(|session| {
                session.lines.is_empty()
                    && session.participant == opening.participant
                    && self.rooms.get(session.room).is_some_and(|room| room.id == opening.room)
            });
            return if same { Ok((key, false)) } else { Err(RouteError::SessionTaken) };
        }
        let room_key = self.room(&opening.room);
        let Some(room) = self.rooms.get_mut(room_key) else { return Err(RouteError::NoSession) };
        let local = |key: &&SessionKey| self.sessions.get(key.0).is_some_and(|session| !session.remote);
        if room.sessions.iter().filter(local).count() >= limits::MAX_ROOM_SESSIONS {
            return Err(RouteError::RoomFull);
        }
        let id = opening.session;
        let key = SessionKey(self.sessions.insert(session(now, room_key, opening)));
        room.sessions.push(key);
        self.by_session.insert(id, key);
        Ok((key, true))
    }

    /// The room's place, made if need be.
    pub(super) fn room(&mut self, id: &RoomId) -> usize {
        if let Some(key) = self.by_room.get(id) {
            return *key;
        }
        let room = Room {
            id: id.clone(),
            sessions: Vec::new(),
            tracks: HashMap::new(),
            successors: HashMap::new(),
            speakers: Speakers::default(),
            voices: 0,
            audible: Audible::new(pressure::audible(self.share)),
        };
        let key = self.rooms.insert(room);
        self.by_room.insert(id.clone(), key);
        key
    }

    /// Ends a session and says so.
    pub fn close(&mut self, key: SessionKey, reason: CloseReason, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get(key.0) else { return };
        let tracks: Vec<TrackKey> = session.up.iter().map(|(_, track)| *track).collect();
        let downs: Vec<usize> = session.down.iter().map(|(index, _)| index).collect();
        tracks.into_iter().for_each(|track| self.unpublish(track, out));
        downs.into_iter().for_each(|index| self.unbind(key, index));
        let Some(session) = self.sessions.try_remove(key.0) else { return };
        if !session.remote {
            self.by_session.remove(&session.id);
        }
        let Some(room) = self.rooms.get_mut(session.room) else { return };
        room.sessions.retain(|member| *member != key);
        if !session.remote {
            let occurrence = Occurrence::Closed(reason);
            out.event(Event { room: room.id.clone(), session: Some(session.id), occurrence });
        }
        if room.sessions.is_empty() {
            let room = self.rooms.remove(session.room);
            self.by_room.remove(&room.id);
        }
    }

    /// A session's transport is up.
    pub fn connected(&mut self, now: Instant, key: SessionKey, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        session.lost_at = None;
        if session.connected.replace(now).is_none()
            && let Some(room) = self.rooms.get(session.room)
        {
            let milliseconds = now.saturating_duration_since(session.opened).as_millis();
            tracing::info!(session = %session.id, milliseconds, "session connected");
            out.event(Event { room: room.id.clone(), session: Some(session.id), occurrence: Occurrence::Connected });
        }
    }

    /// The client has shown that its side is up: media may flow to it.
    pub fn ready(&mut self, now: Instant, key: SessionKey, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        if session.connected.is_some() && !std::mem::replace(&mut session.ready, true) {
            self.choose(now, key, out);
        }
    }

    /// A session's transport lost consent, or has it again.
    pub fn consent(&mut self, now: Instant, key: SessionKey, has: bool) {
        if let Some(session) = self.sessions.get_mut(key.0) {
            session.lost_at = if has { None } else { session.lost_at.or(Some(now)) };
        }
    }
}

/// A session that begins now.
pub(super) fn session(now: Instant, room: usize, opening: Opening) -> Session {
    let uplink_kbps = if opening.uplink_kbps == 0 { limits::DEFAULT_UPLINK_KBPS } else { opening.uplink_kbps };
    // A quarter above the limit: the client's own controller settles around it, and repairs come on top.
    let bytes = uplink_kbps.saturating_mul(125).saturating_add(uplink_kbps.saturating_mul(125) / 4);
    Session {
        id: opening.session,
        room,
        participant: opening.participant,
        remote: false,
        resident: false,
        publish: opening.publish,
        subscribe: opening.subscribe,
        uplink_kbps,
        uplink_told: opening.uplink_kbps != 0,
        opened: now,
        connected: None,
        ready: false,
        lost_at: None,
        heard: now,
        up: Vec::new(),
        down: Slab::new(),
        lines: Vec::new(),
        uplink: Bucket::new(bytes, bytes, now),
        messages: Bucket::new(limits::MESSAGES_PER_SECOND, limits::MESSAGES_PER_SECOND * 2, now),
        message_bytes: Bucket::new(limits::MESSAGE_BYTES_PER_SECOND, limits::MESSAGE_BYTES_BURST, now),
        channels: Channels::default(),
        backlog: Backlog::default(),
        headroom: Headroom::default(),
        desired: 0,
        stale_choice: false,
        chosen: now,
        told_paused: Vec::new(),
        sent_packets: 0,
        sent_bytes: 0,
        received_packets: 0,
        received_bytes: 0,
        path: PathReport::default(),
        history: VecDeque::from([PathReport::default()]),
    }
}
