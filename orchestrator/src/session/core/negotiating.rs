//! Offers and subscriptions.

use super::{
    super::{
        error::Refusal,
        exchange::{Command, Failure, Outcome, Publish, Reply, Subscription},
        ids::{CallId, SessionId, TrackId},
        member::Want,
        room::Room,
        track::{Source, Track},
        transport::Transport,
    },
    Core, NO_SESSION, Operation, OperationKind, Turn,
};
use chroom_primitives::NodeId;
use std::collections::BTreeSet;

impl Core {
    /// The session's room and node, if the node has the session open.
    pub(super) fn served(&self, id: SessionId) -> Result<(Room, NodeId), Refusal> {
        let session = self.sessions.get(&id).ok_or(NO_SESSION)?;
        let room = self.rooms.get(&session.room).ok_or(NO_SESSION)?;
        match session.node {
            Some(node) if session.is_open(room.generation) => Ok((room.clone(), node)),
            _ => Err(Refusal::MediaNodeFailed(
                "the room is moving to another media node; wait for `moved`, then negotiate".to_owned(),
            )),
        }
    }

    pub(super) fn take_flight(&mut self, id: SessionId) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&id).ok_or(NO_SESSION)?;
        if session.in_flight >= self.limits.in_flight {
            return Err(Refusal::TooManyRequests("wait for the answers to the requests before"));
        }
        session.in_flight += 1;
        Ok(())
    }

    pub(super) fn land(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.in_flight = session.in_flight.saturating_sub(1);
        }
    }

    pub(super) fn negotiate(
        &mut self,
        t: &mut Turn<'_>,
        id: SessionId,
        call: CallId,
        offer: String,
        publish: Vec<Publish>,
        subscribe: Vec<Subscription>,
    ) -> Result<(), Refusal> {
        let (room, node) = self.served(id)?;
        let session = self.sessions.get(&id).ok_or(NO_SESSION)?;
        if !publish.is_empty() && !session.rights.publish {
            return Err(Refusal::NotPermitted { needs: "publish" });
        }
        if subscribe.iter().any(|wanted| wanted.track.is_some()) && !session.rights.subscribe {
            return Err(Refusal::NotPermitted { needs: "subscribe" });
        }
        let mut mids = BTreeSet::new();
        if !publish.iter().map(|p| &p.mid).chain(subscribe.iter().map(|s| &s.mid)).all(|mid| mids.insert(mid)) {
            return Err(Refusal::InvalidParams("an m-line (mid) is named twice".to_owned()));
        }
        let named = publish.iter().filter_map(|p| p.track.as_ref());
        let mut tracks = BTreeSet::new();
        for track in named {
            if !session.tracks.contains_key(track) {
                return Err(Refusal::InvalidParams(format!("{track} is not a track of this session")));
            }
            if !tracks.insert(track) {
                return Err(Refusal::InvalidParams(format!("{track} is published on two m-lines")));
            }
        }
        let fresh = publish.iter().filter(|p| p.track.is_none()).count();
        if session.tracks.len() + fresh > self.limits.tracks {
            return Err(Refusal::InvalidParams(format!("a session has at most {} tracks", self.limits.tracks)));
        }
        if session.wants.len() + subscribe.len() > self.limits.wants {
            return Err(Refusal::InvalidParams(format!("a session receives on at most {} m-lines", self.limits.wants)));
        }
        self.take_flight(id)?;
        self.follow_transport(t, id, Transport::of(&offer));

        let mut new = Vec::new();
        let published: Vec<(String, TrackId, Source)> = publish
            .into_iter()
            .map(|p| {
                let track = p.track.unwrap_or_else(|| {
                    let track = TrackId::random(t.rng);
                    new.push(track.clone());
                    track
                });
                (p.mid, track, p.source)
            })
            .collect();
        if let Some(session) = self.sessions.get_mut(&id) {
            for (_, track, source) in &published {
                // The node may tell of the first packet before its answer is here, so the track has to be known now.
                let entry = session.tracks.entry(track.clone()).or_insert_with(|| Track {
                    source: *source,
                    muted: false,
                    layers: Vec::new(),
                    known_in: None,
                    live_in: None,
                    announced: false,
                    stopped_ms: None,
                });
                entry.source = *source;
            }
        }
        t.sessions.insert(id);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.negotiated = true;
        }
        let subscribe = self.want(&room, id, subscribe);
        let kind = OperationKind::Negotiate {
            call,
            publish: published.iter().map(|(mid, track, _)| (mid.clone(), track.clone())).collect(),
            new,
        };
        let fence = room.fence_on(node);
        let command = Command::Negotiate { session: id, fence, offer, publish: published, subscribe };
        self.command(t, kind, id, &room, node, command);
        Ok(())
    }

    /// A client may make another peer connection on its own, where the old one is lost to it but not yet to the media node. The
    /// node cannot take up a new DTLS association on an open session: it opens the session anew before the offer comes there.
    fn follow_transport(&mut self, t: &mut Turn<'_>, id: SessionId, transport: Option<Transport>) {
        let Some(transport) = transport else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.transport.as_ref().is_some_and(|before| *before != transport) {
            self.replace_transport(t, id);
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.transport = Some(transport);
        }
    }

    pub(super) fn negotiated(
        &mut self,
        t: &mut Turn<'_>,
        operation: &Operation,
        call: CallId,
        publish: &[(String, TrackId)],
        new: &[TrackId],
        result: Result<Outcome, Failure>,
    ) {
        let id = operation.session;
        self.land(id);
        let room = self.rooms.get(&operation.room).cloned();
        match (result, self.sessions.get_mut(&id), room) {
            (Ok(Outcome::Answer(sdp)), Some(session), Some(room))
                if room.generation == operation.generation && session.node == Some(operation.node) =>
            {
                let mut known = BTreeSet::new();
                for (_, track) in publish {
                    if let Some(entry) = session.tracks.get_mut(track) {
                        entry.known_in = Some(room.generation);
                        known.insert(track.clone());
                    }
                }
                t.sessions.insert(id);
                t.reply(call, Ok(Reply::Negotiated { sdp, publish: publish.to_vec() }));
                self.connect_withheld(t, &room, &known);
            }
            (result, session, _) => {
                if let Some(session) = session {
                    session.tracks.retain(|track, entry| !new.contains(track) || entry.announced);
                    t.sessions.insert(id);
                }
                let refusal = match result {
                    Err(Failure::Refused(why)) => Refusal::OfferRefused(why),
                    Err(failure) => Refusal::MediaNodeFailed(failure.to_string()),
                    Ok(_) => Refusal::MediaNodeFailed("the room moved meanwhile; negotiate again".to_owned()),
                };
                t.reply(call, Err(refusal));
            }
        }
    }

    /// Notes what a session wants to receive, and holds back what its media node doesn't know yet: a publisher may still be
    /// on its way to the room's new node.
    pub(super) fn want(&mut self, room: &Room, id: SessionId, subscribe: Vec<Subscription>) -> Vec<Subscription> {
        let known: BTreeSet<TrackId> = subscribe
            .iter()
            .filter_map(|wanted| wanted.track.clone())
            .filter(|track| {
                room.sessions
                    .iter()
                    .filter_map(|other| self.sessions.get(other))
                    .any(|other| other.tracks.get(track).is_some_and(|track| track.known_in == Some(room.generation)))
            })
            .collect();
        let Some(session) = self.sessions.get_mut(&id) else { return Vec::new() };
        subscribe
            .into_iter()
            .map(|mut wanted| {
                session.withheld.remove(&wanted.mid);
                match wanted.track.clone() {
                    Some(track) => {
                        if !known.contains(&track) && !track.is_mix() {
                            session.withheld.insert(wanted.mid.clone());
                            wanted.track = None;
                        }
                        let Subscription { max_height, priority, .. } = wanted;
                        session.wants.insert(wanted.mid.clone(), Want { track, max_height, priority });
                    }
                    None => {
                        session.wants.remove(&wanted.mid);
                    }
                }
                wanted
            })
            .collect()
    }

    pub(super) fn subscribe(
        &mut self,
        t: &mut Turn<'_>,
        id: SessionId,
        call: CallId,
        subscribe: Vec<Subscription>,
    ) -> Result<Option<Reply>, Refusal> {
        let (room, node) = self.served(id)?;
        let session = self.sessions.get(&id).ok_or(NO_SESSION)?;
        if subscribe.iter().any(|wanted| wanted.track.is_some()) && !session.rights.subscribe {
            return Err(Refusal::NotPermitted { needs: "subscribe" });
        }
        if session.wants.len() + subscribe.len() > self.limits.wants {
            return Err(Refusal::InvalidParams(format!("a session receives on at most {} m-lines", self.limits.wants)));
        }
        if subscribe.is_empty() {
            return Ok(Some(Reply::Done));
        }
        self.take_flight(id)?;
        let subscribe = self.want(&room, id, subscribe);
        t.sessions.insert(id);
        let command = Command::Subscribe { session: id, fence: room.fence_on(node), subscribe };
        self.command(t, OperationKind::Subscribe { call: Some(call) }, id, &room, node, command);
        Ok(None)
    }

    /// Notes that the media node lost these tracks: who receives them is connected again when they are back.
    pub(super) fn withhold(&mut self, t: &mut Turn<'_>, room: &Room, tracks: &BTreeSet<TrackId>) {
        for id in &room.sessions {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            let lost =
                session.wants.iter().filter(|(_, want)| tracks.contains(&want.track)).map(|(mid, _)| mid.clone());
            let before = session.withheld.len();
            session.withheld.extend(lost);
            if session.withheld.len() != before {
                t.sessions.insert(*id);
            }
        }
    }

    /// Connects m-lines that waited for tracks which a media node knows now; the others of the room hear of it from that one.
    pub(super) fn connect_withheld(&mut self, t: &mut Turn<'_>, room: &Room, tracks: &BTreeSet<TrackId>) {
        for id in &room.sessions {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            let Some(node) = session.node.filter(|_| session.is_open(room.generation)) else { continue };
            if session.withheld.is_empty() {
                continue;
            }
            let ready: Vec<Subscription> = session
                .withheld
                .iter()
                .filter_map(|mid| session.wants.get(mid).map(|want| (mid, want)))
                .filter(|(_, want)| tracks.contains(&want.track))
                .map(|(mid, want)| Subscription {
                    mid: mid.clone(),
                    track: Some(want.track.clone()),
                    max_height: want.max_height,
                    priority: want.priority,
                })
                .collect();
            if ready.is_empty() {
                continue;
            }
            for subscription in &ready {
                session.withheld.remove(&subscription.mid);
            }
            t.sessions.insert(*id);
            let command = Command::Subscribe { session: *id, fence: room.fence_on(node), subscribe: ready };
            self.command(t, OperationKind::Subscribe { call: None }, *id, room, node, command);
        }
    }
}
