//! What clients publish.
//!
//! A client that moves here from another node publishes the names that it has there, and those may flow here already, over a pipe. Its own
//! connection is not up for a while: what it publishes takes the place of what comes over the pipe with its first key frame or packet of sound, and
//! not before. Other nodes hear of it then. If the pipe's ends sooner, it takes the free place with whatever comes first.

use super::{subscribing::check_subscriptions, *};

impl Router {
    /// Whether a negotiation with these lines and wishes may be made. Called before the engine takes the offer, so that a refusal
    /// leaves both sides as they were.
    pub fn check(
        &self,
        key: SessionKey,
        lines: &[Line],
        publish: &[Publish],
        subscribe: &[Subscribe],
    ) -> Result<(), RouteError> {
        let session = self.sessions.get(key.0).ok_or(RouteError::NoSession)?;
        let room = self.rooms.get(session.room).ok_or(RouteError::NoSession)?;
        if !publish.is_empty() && !session.publish {
            return Err(RouteError::MayNotPublish);
        }
        if publish.len() > limits::MAX_TRACKS {
            return Err(RouteError::TooManyTracks);
        }
        for wish in publish {
            let fits =
                |line: &&Line| line.mid == wish.mid && line.client_sends && matches!(line.kind, LineKind::Media(_));
            if !lines.iter().any(|line| fits(&line)) {
                return Err(RouteError::WrongLine(wish.mid, "sends"));
            }
            if wish.track.is_reserved() {
                return Err(RouteError::TrackTaken(wish.track.clone()));
            }
            let holders = room.tracks.get(&wish.track).into_iter().chain(room.successors.get(&wish.track));
            // A participant that comes from another node brings its names along.
            let remote = |owner: SessionKey| self.sessions.get(owner.0).is_some_and(|session| session.remote);
            let mut owners = holders.filter_map(|track| self.tracks.get(track.0)).map(|track| track.owner);
            if owners.any(|owner| owner != key && !remote(owner)) {
                return Err(RouteError::TrackTaken(wish.track.clone()));
            }
        }
        check_subscriptions(session, lines, subscribe)
    }

    /// Takes over the result of a negotiation.
    pub fn negotiated(
        &mut self,
        now: Instant,
        key: SessionKey,
        lines: Vec<Line>,
        publish: &[Publish],
        subscribe: &[Subscribe],
        out: &mut impl Outbox,
    ) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        session.lines = lines;
        // Payload types may have changed.
        for (_, down) in &mut session.down {
            (down.wire, down.knows) = (None, None);
        }
        let still_sends = |mid: &Mid| session.lines.iter().any(|line| line.mid == *mid && line.client_sends);
        let named = |mid: &Mid| publish.iter().find(|wish| wish.mid == *mid).map(|wish| &wish.track);
        let over: Vec<TrackKey> = session
            .up
            .iter()
            .filter(|(mid, track)| {
                let renamed = named(mid).is_some_and(|name| self.tracks.get(track.0).is_none_or(|t| t.id != *name));
                !still_sends(mid) || renamed
            })
            .map(|(_, track)| *track)
            .collect();
        over.into_iter().for_each(|track| self.unpublish(track, out));
        for wish in publish {
            self.publish(now, key, wish, out);
        }
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let gone: Vec<usize> = session
            .down
            .iter()
            .filter(|(_, down)| !session.lines.iter().any(|line| line.mid == down.mid && line.client_receives))
            .map(|(index, _)| index)
            .collect();
        for index in gone {
            self.unbind(key, index);
            if let Some(down) = self.sessions.get_mut(key.0).and_then(|session| session.down.get_mut(index)) {
                down.wanted = None;
                down.open = false;
            }
        }
        self.want(now, key, subscribe, out);
    }

    pub(super) fn publish(&mut self, now: Instant, key: SessionKey, wish: &Publish, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let Some((kind, rids)) =
            session.lines.iter().find(|line| line.mid == wish.mid).and_then(|line| match line.kind {
                LineKind::Media(kind) => Some((kind, line.layers.clone())),
                LineKind::Data => None,
            })
        else {
            return;
        };
        if session.up.iter().any(|(mid, _)| *mid == wish.mid) {
            return;
        }
        let layers = if rids.is_empty() {
            vec![Layer::new(None, now)]
        } else {
            rids.into_iter().map(|rid| Layer::new(Some(rid), now)).collect()
        };
        let track = Track {
            id: wish.track.clone(),
            owner: key,
            mid: wish.mid,
            kind,
            source: wish.source.clone(),
            demand: Demand::new(layers.len()),
            layers,
            receivers: Vec::new(),
            tap: None,
            told: false,
            remote: None,
            level: Level::default(),
            place: None,
            heard: true,
            started: false,
            shown: false,
        };
        let track_key = TrackKey(self.tracks.insert(track));
        session.up.push((wish.mid, track_key));
        let is_local = !session.remote;
        let Some(room) = self.rooms.get_mut(session.room) else { return };
        let present = room.tracks.get(&wish.track).and_then(|track| self.tracks.get(track.0));
        if is_local && present.is_some_and(|track| track.remote.is_some() && track.started) {
            if let Some(other) = room.successors.insert(wish.track.clone(), track_key) {
                self.drop_track(other);
            }
        } else {
            self.show(now, track_key, out);
        }
    }

    /// Puts a track in its name's place, for whoever wants it. What has that place ends.
    pub(super) fn show(&mut self, now: Instant, key: TrackKey, out: &mut impl Outbox) {
        let Some(track) = self.tracks.get_mut(key.0) else { return };
        let Some(session) = self.sessions.get(track.owner.0) else { return };
        let Some(room) = self.rooms.get_mut(session.room) else { return };
        track.shown = true;
        room.voices += usize::from(track.is_voice());
        let name = track.id.clone();
        // What its client published under the name before, and never came. One that comes over a pipe makes nobody wait in vain.
        let waited = if session.remote { None } else { room.successors.remove(&name).filter(|waited| *waited != key) };
        // The same track on another m-line of the same client moves there.
        let before = room.tracks.insert(name.clone(), key);
        let members = room.sessions.clone();
        waited.into_iter().chain(before).for_each(|old| self.drop_track(old));
        for member in members {
            let waiting: Vec<usize> = self
                .sessions
                .get(member.0)
                .map(|session| {
                    let waits = |down: &Down| {
                        down.track.is_none() && down.wanted.as_ref().is_some_and(|wanted| wanted.track == name)
                    };
                    session.down.iter().filter(|(_, down)| waits(down)).map(|(index, _)| index).collect()
                })
                .unwrap_or_default();
            for index in waiting {
                self.bind(now, member, index, out);
            }
        }
    }

    /// Something came of a track that waits for its name's place, in a layer: it takes the place if receivers can begin with that, or if the place is
    /// free.
    pub(super) fn take_place(
        &mut self,
        now: Instant,
        key: TrackKey,
        (layer, begins): (usize, bool),
        out: &mut impl Outbox,
    ) {
        let Some(track) = self.tracks.get_mut(key.0) else { return };
        let room = self.sessions.get(track.owner.0).and_then(|session| self.rooms.get(session.room));
        if begins || room.is_some_and(|room| !room.tracks.contains_key(&track.id)) {
            if let Some(layer) = track.layers.get_mut(layer).filter(|_| begins) {
                // Receivers would ask for the key frame that just comes.
                layer.gate.request(now, Need::Picture, self.strained);
            }
            self.show(now, key, out);
        } else {
            // Nobody else asks for it, as nobody receives it.
            self.request_keyframe(now, (key, layer), Need::Picture, out);
        }
    }

    /// Ends a track: its receivers wait for another of its name.
    pub(super) fn unpublish(&mut self, key: TrackKey, out: &mut impl Outbox) {
        let Some(track) = self.tracks.get(key.0) else { return };
        let (id, owner, started) = (track.id.clone(), track.owner, track.started);
        let Some(session) = self.sessions.get(owner.0) else { return };
        let (session_id, started) = (session.id, started && !session.remote);
        if let Some(room) = self.rooms.get_mut(session.room) {
            if room.tracks.get(&id) == Some(&key) {
                room.tracks.remove(&id);
            }
            if room.successors.get(&id) == Some(&key) {
                room.successors.remove(&id);
            }
            if started {
                out.event(Event {
                    room: room.id.clone(),
                    session: Some(session_id),
                    occurrence: Occurrence::TrackStopped(id),
                });
            }
        }
        self.drop_track(key);
    }

    pub(super) fn drop_track(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.try_remove(key.0) else { return };
        if let Some(session) = self.sessions.get_mut(track.owner.0) {
            session.up.retain(|(_, up)| *up != key);
            if track.shown
                && track.is_voice()
                && let Some(room) = self.rooms.get_mut(session.room)
            {
                room.voices = room.voices.saturating_sub(1);
                room.audible.remove(key);
            }
        }
        for (receiver, index) in track.receivers {
            let Some(session) = self.sessions.get_mut(receiver.0) else { continue };
            session.stale_choice = true;
            if let Some(down) = session.down.get_mut(index) {
                down.track = None;
                down.stop();
            }
        }
    }
}
