//! What media nodes and publishers say of tracks.

use super::{
    super::{
        error::Refusal,
        exchange::{DRAINING, MediaEvent, OPENED_ANEW, Reply},
        ids::{ParticipantId, RoomId, SessionId, TrackId},
        wire::{Event, TrackInfo},
    },
    AVOID_MS, Core, NO_SESSION, Turn,
};
use chroom_primitives::NodeId;
use std::collections::BTreeSet;
use tracing::debug;

/// How long after its media stopped a track is still on show, in milliseconds.
const STOPPED_MS: u64 = 1_000;

impl Core {
    pub(super) fn media_event(&mut self, t: &mut Turn<'_>, node: NodeId, id: SessionId, event: MediaEvent) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(room) = self.rooms.get(&session.room).cloned() else { return };
        if session.node != Some(node) {
            // From the place that it left.
            return;
        }
        match event {
            MediaEvent::Connected => {
                debug!(session = %id, %node, "media connected");
                session.mends = 0;
            }
            MediaEvent::Closed(reason) if reason == OPENED_ANEW => {
                // Its tracks stopped with it and come back with the new one: the others need not know.
                for track in session.tracks.values_mut() {
                    track.stopped_ms = None;
                }
            }
            MediaEvent::Closed(reason) if reason == DRAINING => {
                // It waited long enough for us, and ends now.
                self.avoid.insert(node, (t.now + AVOID_MS, "it goes out of service".to_owned()));
                self.move_away(t, &room.id, node, "the media node goes out of service", true);
            }
            MediaEvent::Closed(reason) => {
                if session.is_open(room.generation) {
                    self.reopen(t, id, &format!("the media connection ended: {reason}"));
                }
            }
            MediaEvent::TrackStarted { track, layers } => {
                let Some(entry) = session.tracks.get_mut(&track) else { return };
                entry.known_in = Some(room.generation);
                entry.live_in = Some(room.generation);
                entry.stopped_ms = None;
                entry.layers = layers;
                t.sessions.insert(id);
                self.announce(t, id, &track);
                self.connect_withheld(t, &room, &BTreeSet::from([track]));
            }
            MediaEvent::LayersWanted { track, layers, paused } => {
                // Its publisher's business alone.
                if session.tracks.contains_key(&track) {
                    t.notify(session.connection, Event::LayersWanted { track, layers, paused });
                }
            }
            MediaEvent::VideosPaused(mut tracks) => {
                tracks.retain(|track| session.wants.values().any(|want| want.track == *track));
                t.notify(session.connection, Event::VideosPaused { tracks });
            }
            MediaEvent::TrackStopped(track) => {
                let Some(entry) = session.tracks.get_mut(&track) else { return };
                entry.live_in = None;
                entry.stopped_ms = Some(t.now);
                t.sessions.insert(id);
                self.withhold(t, &room, &BTreeSet::from([track]));
            }
        }
    }

    /// Tells of tracks whose media stopped and did not begin again.
    pub(super) fn tell_stopped(&mut self, t: &mut Turn<'_>) {
        let mut over = Vec::new();
        for session in self.sessions.values_mut() {
            for (id, track) in &mut session.tracks {
                if track.stopped_ms.is_some_and(|at| at + STOPPED_MS <= t.now) {
                    track.stopped_ms = None;
                    if std::mem::take(&mut track.announced) {
                        t.sessions.insert(session.id);
                        over.push((session.room.clone(), session.id, session.participant.clone(), id.clone()));
                    }
                }
            }
        }
        for (room, session, participant, track) in over {
            self.tell_others(t, &room, Some(session), &Event::TrackUnpublished { participant, track });
        }
    }

    /// Tells the others of a track, once.
    pub(super) fn announce(&mut self, t: &mut Turn<'_>, id: SessionId, track: &TrackId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(entry) = session.tracks.get_mut(track) else { return };
        if std::mem::replace(&mut entry.announced, true) {
            return;
        }
        let event =
            Event::TrackPublished { participant: session.participant.clone(), track: TrackInfo::of(track, entry) };
        let room = session.room.clone();
        t.sessions.insert(id);
        self.tell_others(t, &room, Some(id), &event);
    }

    pub(super) fn speakers(&mut self, t: &mut Turn<'_>, node: NodeId, id: &RoomId, participants: Vec<ParticipantId>) {
        let Some(room) = self.rooms.get(id).filter(|room| room.tree.has(node)) else { return };
        let known: BTreeSet<&ParticipantId> = room
            .sessions
            .iter()
            .filter_map(|session| self.sessions.get(session))
            .filter(|session| session.joined)
            .map(|session| &session.participant)
            .collect();
        let participants = participants.into_iter().filter(|participant| known.contains(participant)).collect();
        // Each of the room's nodes finds out for itself, and tells those who are there.
        let event = Event::ActiveSpeakers { participants };
        for session in room.sessions.iter().filter_map(|session| self.sessions.get(session)) {
            if session.joined && session.node == Some(node) {
                t.notify(session.connection, event.clone());
            }
        }
    }

    pub(super) fn mute(
        &mut self,
        t: &mut Turn<'_>,
        id: SessionId,
        track: &TrackId,
        muted: bool,
    ) -> Result<Reply, Refusal> {
        let session = self.sessions.get_mut(&id).ok_or(NO_SESSION)?;
        if !session.rights.publish {
            return Err(Refusal::NotPermitted { needs: "publish" });
        }
        let entry = session.tracks.get_mut(track).ok_or_else(|| not_yours(track))?;
        let changed = entry.muted != muted;
        entry.muted = muted;
        let (announced, participant, room) = (entry.announced, session.participant.clone(), session.room.clone());
        t.sessions.insert(id);
        if changed && announced {
            self.tell_others(t, &room, Some(id), &Event::TrackMuted { participant, track: track.clone(), muted });
        }
        Ok(Reply::Done)
    }

    pub(super) fn unpublish(&mut self, t: &mut Turn<'_>, id: SessionId, track: &TrackId) -> Result<Reply, Refusal> {
        let session = self.sessions.get_mut(&id).ok_or(NO_SESSION)?;
        let removed = session.tracks.remove(track).ok_or_else(|| not_yours(track))?;
        let (participant, room) = (session.participant.clone(), session.room.clone());
        t.sessions.insert(id);
        if removed.announced {
            self.tell_others(t, &room, Some(id), &Event::TrackUnpublished { participant, track: track.clone() });
        }
        Ok(Reply::Done)
    }
}

fn not_yours(track: &TrackId) -> Refusal {
    Refusal::InvalidParams(format!("{track} is not a track of this session"))
}
