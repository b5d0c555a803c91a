//! Sessions whose client lives in the node.

use super::{session::session, *};
use crate::{
    processing::{bridge, video::VideoCodec},
    sfu::resident::{self, Lacking, Offered, Published, RESERVED},
};

impl Router {
    /// Opens a resident's session in a room that exists.
    pub fn enter(&mut self, now: Instant, room: &RoomId, name: ParticipantId) -> Result<SessionKey, RouteError> {
        let room_key = self.by_room.get(room).copied().ok_or(RouteError::NoRoom)?;
        let opening = Opening {
            room: room.clone(),
            session: SessionId([0; 16]),
            participant: name,
            publish: true,
            subscribe: true,
            uplink_kbps: 0,
        };
        let session = Session {
            remote: true,
            resident: true,
            connected: Some(now),
            ready: true,
            uplink: Bucket::new(u32::MAX, u32::MAX, now),
            // Nothing is between it and the router.
            headroom: Headroom::unlimited(now),
            ..session(now, room_key, opening)
        };
        let key = SessionKey(self.sessions.insert(session));
        if let Some(room) = self.rooms.get_mut(room_key) {
            room.sessions.push(key);
        }
        Ok(key)
    }

    /// Whether a resident's room has no one else.
    pub fn is_alone(&self, key: SessionKey) -> bool {
        let room = self.sessions.get(key.0).and_then(|session| self.rooms.get(session.room));
        let resident = |key: &SessionKey| self.sessions.get(key.0).is_none_or(|session| session.resident);
        room.is_none_or(|room| room.sessions.iter().all(resident))
    }

    /// The tracks in a resident's room that aren't the node's own.
    pub fn offered(&self, key: SessionKey) -> Vec<Offered> {
        let Some(room) = self.sessions.get(key.0).and_then(|session| self.rooms.get(session.room)) else {
            return Vec::new();
        };
        let mut offered: Vec<Offered> = room
            .tracks
            .iter()
            .filter(|(id, _)| !id.is_reserved())
            .filter_map(|(id, key)| {
                let track = self.tracks.get(key.0)?;
                let owner = self.sessions.get(track.owner.0)?;
                let (participant, source) = (owner.participant.clone(), track.source.clone());
                Some(Offered { track: id.clone(), participant, kind: track.kind, source })
            })
            .collect();
        offered.sort_by(|a, b| a.track.cmp(&b.track));
        offered
    }

    /// On which of its lines someone receives what a resident publishes.
    pub fn watched(&self, key: SessionKey) -> Vec<Mid> {
        let up = self.sessions.get(key.0).map(|session| session.up.as_slice()).unwrap_or_default();
        let received = |track: &TrackKey| self.tracks.get(track.0).is_some_and(|track| !track.receivers.is_empty());
        up.iter().filter(|(_, track)| received(track)).map(|(mid, _)| *mid).collect()
    }

    /// Which track a session gets for one that it wants: for the mix the one without the own voice, for a video whose codec it lacks the
    /// one in a codec that it knows, if there are such.
    pub(super) fn meant(
        room: &Room,
        participant: &ParticipantId,
        wanted: &TrackId,
        knows: Option<Codec>,
    ) -> Option<TrackKey> {
        let other = match knows {
            Some(knows) => Some(resident::bridged(wanted, knows)),
            None if wanted.is_reserved() && *wanted == resident::mix() => Some(resident::mix_without(participant)),
            None => None,
        };
        let found = other.and_then(|other| room.tracks.get(&other));
        found.or_else(|| room.tracks.get(wanted)).copied()
    }

    /// Gives everyone in the room what is meant for them now that the node's own tracks have changed.
    fn rejoin(&mut self, now: Instant, room: usize, out: &mut impl Outbox) {
        let Some(room) = self.rooms.get(room) else { return };
        let mut changed = Vec::new();
        for key in &room.sessions {
            let Some(session) = self.sessions.get(key.0) else { continue };
            for (index, down) in &session.down {
                let Some(Wish { track: wanted, .. }) = &down.wanted else { continue };
                let concerned = down.knows.is_some() || wanted.is_reserved();
                if concerned && down.track != Self::meant(room, &session.participant, wanted, down.knows) {
                    changed.push((*key, index));
                }
            }
        }
        for (key, index) in changed {
            self.unbind(key, index);
            self.bind(now, key, index, out);
        }
    }

    /// A resident leaves: who received what it published gets what else there is.
    pub fn resident_leaves(&mut self, now: Instant, key: SessionKey, out: &mut impl Outbox) {
        let room = self.sessions.get(key.0).map(|session| session.room);
        self.close(key, CloseReason::ClientClosed, out);
        if let Some(room) = room {
            self.rejoin(now, room, out);
        }
    }

    /// The videos that receivers can't decode as they are, with a codec that they know. Only what has come to them is known to be such.
    pub fn lacking(&mut self, out: &impl Outbox) -> Vec<Lacking> {
        let Self { sessions, tracks, rooms, .. } = self;
        let mut lacking: Vec<Lacking> = Vec::new();
        for (key, session) in sessions.iter_mut().filter(|(_, session)| !session.remote) {
            for (_, down) in &mut session.down {
                let Some((Format { codec: Codec::Vp8 | Codec::H264, .. }, None)) = down.wire else { continue };
                let Some((track, room)) = down.track.and_then(|track| tracks.get(track.0)).zip(rooms.get(session.room))
                else {
                    continue;
                };
                if track.kind != Kind::Video || track.id.is_reserved() {
                    continue;
                }
                let known = [VideoCodec::Vp8, VideoCodec::H264]
                    .into_iter()
                    .find(|codec| out.payload_type(SessionKey(key), down.mid, &bridge::format(*codec)).is_some());
                let Some(knows) = known.map(VideoCodec::codec) else { continue };
                down.knows = Some(knows);
                let wanted = Lacking { room: room.id.clone(), track: track.id.clone(), knows };
                if !lacking.contains(&wanted) {
                    lacking.push(wanted);
                }
            }
        }
        lacking
    }

    /// A resident wants a track on a new line.
    pub fn resident_wants(
        &mut self,
        now: Instant,
        key: SessionKey,
        (mid, track, max_height): (Mid, &Offered, u32),
        out: &mut impl Outbox,
    ) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        session.lines.push(Line {
            mid,
            kind: LineKind::Media(track.kind),
            client_sends: false,
            client_receives: true,
            layers: Vec::new(),
        });
        self.resident_limits(now, key, (mid, track, max_height), out);
    }

    /// A resident wants a track's pictures no taller than this, on a line that it has.
    pub fn resident_limits(
        &mut self,
        now: Instant,
        key: SessionKey,
        (mid, track, max_height): (Mid, &Offered, u32),
        out: &mut impl Outbox,
    ) {
        let track = Some(track.track.clone());
        self.want(now, key, &[Subscribe { mid, track, max_height, priority: Priority::default() }], out);
    }

    /// A resident doesn't want a line any more.
    pub fn resident_drops(&mut self, key: SessionKey, mid: Mid) {
        let Some(session) = self.sessions.get(key.0) else { return };
        let index = session.down.iter().find(|(_, down)| down.mid == mid).map(|(index, _)| index);
        if let Some(index) = index {
            self.unbind(key, index);
        }
        if let Some(session) = self.sessions.get_mut(key.0) {
            index.map(|index| session.down.try_remove(index));
            session.lines.retain(|line| line.mid != mid);
        }
    }

    /// A resident publishes a track of the node's own.
    pub fn resident_publishes(&mut self, now: Instant, key: SessionKey, published: Published, out: &mut impl Outbox) {
        let Published { mid, track, kind } = published;
        debug_assert!(track.as_str().starts_with(RESERVED));
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        session.lines.push(Line {
            mid,
            kind: LineKind::Media(kind),
            client_sends: true,
            client_receives: false,
            layers: Vec::new(),
        });
        let room = session.room;
        self.publish(now, key, &Publish { mid, track, source: "node".to_owned() }, out);
        self.rejoin(now, room, out);
    }

    /// A resident's track is over.
    pub fn resident_unpublishes(&mut self, now: Instant, key: SessionKey, mid: Mid, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let room = session.room;
        session.lines.retain(|line| line.mid != mid);
        let track = session.up.iter().find(|(up, _)| *up == mid).map(|(_, track)| *track);
        if let Some(track) = track {
            self.unpublish(track, out);
            self.rejoin(now, room, out);
        }
    }
}
