//! Rooms that span nodes: participants of other nodes stand in the room as sessions whose transport is a pipe, and what pipes
//! want of the tracks here is tapped.

use super::{session::session, *};
use crate::cascade::link::{LocalTrack, RemotePacket, ToRoom};
use bytes::Bytes;

/// A change of a layer's bit rate by this share, in percent, is worth telling,
const WORTH_TELLING: u32 = 20;
/// but not more often than this.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// A track that comes over a pipe.
#[derive(Clone, Copy)]
struct Remote {
    session: SessionKey,
    mid: Mid,
}

/// A track of this node as the cascade was told of it.
struct Published {
    track: LocalTrack,
    at: Instant,
}

/// What the cascade was told of a room.
#[derive(Default)]
struct Bridge {
    /// Tracks that are published here.
    published: HashMap<TrackId, Published>,
    /// Participants of other nodes.
    participants: HashMap<ParticipantId, SessionKey>,
    /// Remote tracks with the layers that are wanted here.
    tracks: HashMap<Handle, (Remote, u8)>,
}

/// The rooms that span nodes.
#[derive(Default)]
pub(super) struct Bridges {
    rooms: HashMap<RoomId, Bridge>,
    remote: HashMap<Handle, Remote>,
    publication: u64,
}

impl Layer {
    /// What the layer offers a receiver. Of a remote track that doesn't come here, since nobody here has it, what its node says.
    pub(super) fn qualities(&mut self, now: Instant) -> Vec<Quality> {
        let mut qualities = self.stream.qualities(now);
        let alone = qualities.len() == 1;
        if let Some(told) = self.told.filter(|_| alone || !self.stream.alive(now)) {
            for quality in &mut qualities {
                (quality.kbps, quality.alive) = (told.kbps, told.alive);
                quality.height = told.height.or(quality.height);
            }
        }
        qualities
    }
}

/// Gives a packet to the pipes that want its layer.
pub(super) fn tap(tap: Option<(Handle, u8)>, index: usize, packet: &Packet, starts: bool, out: &mut impl Outbox) {
    if let (Some((handle, layers)), Ok(layer)) = (tap, u8::try_from(index))
        && layers >> index & 1 == 1
    {
        out.cascade(FromRoom::Packet(handle, layer, packet.clone(), starts));
    }
}

impl Track {
    /// Asks for a key frame of a layer where it comes from.
    pub(super) fn ask(&self, index: usize, out: &mut impl Outbox) {
        match (self.remote, u8::try_from(index), self.layers.get(index)) {
            (Some(handle), Ok(layer), _) => out.cascade(FromRoom::Keyframe(handle, layer)),
            (None, _, Some(layer)) => out.request_keyframe(self.owner, self.mid, layer.rid),
            _ => {}
        }
    }
}

impl Router {
    /// Whether any room spans nodes.
    pub fn is_bridged(&self) -> bool {
        !self.bridges.rooms.is_empty()
    }

    /// Takes an order of the cascade. Returns sessions that can't keep up with data messages.
    pub fn bridge(&mut self, now: Instant, order: ToRoom, out: &mut impl Outbox) -> Vec<SessionKey> {
        match order {
            ToRoom::Join(room) => drop(self.bridges.rooms.entry(room).or_default()),
            ToRoom::Leave(room) => self.unbridge(&room, out),
            ToRoom::Track(room, handle, track) => self.remote_track(now, &room, handle, track, out),
            ToRoom::Layers(_, handle, layers) => {
                if let Some(track) = self.remote_key(handle).and_then(|key| self.tracks.get_mut(key.0)) {
                    track.layers.iter_mut().zip(layers).for_each(|(layer, told)| layer.told = Some(told));
                    let receivers = track.receivers.clone();
                    for (receiver, _) in receivers {
                        if let Some(session) = self.sessions.get_mut(receiver.0) {
                            session.stale_choice = true;
                        }
                    }
                }
            }
            ToRoom::Withdraw(room, handle) => self.remote_over(&room, handle, out),
            ToRoom::Tap(room, track, handle, layers) => {
                if let Some(track) = self.named(&room, &track).and_then(|key| self.tracks.get_mut(key.0))
                    && track.remote.is_none()
                {
                    track.tap = (layers != 0).then_some((handle, layers));
                }
                self.demanded.extend(self.named(&room, &track));
                self.tell_demand(now, out);
            }
            ToRoom::Keyframe(room, track, layer) => {
                if let Some(key) = self.named(&room, &track) {
                    // Other shards and nodes don't say what for; it is at most one of each in an interval.
                    self.request_keyframe(now, (key, layer.into()), Need::Picture, out);
                }
            }
            ToRoom::Message(room, participant, channel, data) => {
                if let Some(room) = self.by_room.get(&room).copied() {
                    return self.deliver(room, None, &participant, channel, &data, out);
                }
            }
        }
        Vec::new()
    }

    fn named(&self, room: &RoomId, track: &TrackId) -> Option<TrackKey> {
        self.rooms.get(*self.by_room.get(room)?)?.tracks.get(track).copied()
    }

    fn remote_key(&self, handle: Handle) -> Option<TrackKey> {
        let remote = self.bridges.remote.get(&handle)?;
        let session = self.sessions.get(remote.session.0)?;
        session.up.iter().find(|(mid, _)| *mid == remote.mid).map(|(_, track)| *track)
    }

    fn remote_track(&mut self, now: Instant, room: &RoomId, handle: Handle, told: LocalTrack, out: &mut impl Outbox) {
        if !self.bridges.rooms.contains_key(room) || told.track.is_reserved() {
            return;
        }
        let Some(mid) = Mid::parse(&format!("r{}", handle.0)) else { return };
        let room_key = self.room(room);
        let Some(bridge) = self.bridges.rooms.get_mut(room) else { return };
        let key = match bridge.participants.get(&told.participant) {
            Some(key) => *key,
            None => {
                let mut id = [0; 16];
                id.iter_mut().skip(8).zip(handle.0.to_be_bytes()).for_each(|(to, from)| *to = from);
                let opening = Opening {
                    room: room.clone(),
                    session: SessionId(id),
                    participant: told.participant.clone(),
                    publish: true,
                    subscribe: false,
                    uplink_kbps: 0,
                };
                let session = Session {
                    remote: true,
                    connected: Some(now),
                    ready: true,
                    // What a client may send was bounded where it is connected.
                    uplink: Bucket::new(u32::MAX, u32::MAX, now),
                    ..session(now, room_key, opening)
                };
                let key = SessionKey(self.sessions.insert(session));
                bridge.participants.insert(told.participant.clone(), key);
                if let Some(room) = self.rooms.get_mut(room_key) {
                    room.sessions.push(key);
                }
                key
            }
        };
        let remote = Remote { session: key, mid };
        bridge.tracks.insert(handle, (remote, 0));
        self.bridges.remote.insert(handle, remote);
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        session.lines.push(Line {
            mid,
            kind: LineKind::Media(told.kind),
            client_sends: true,
            client_receives: false,
            layers: told.layers.iter().filter_map(|layer| layer.rid).collect(),
        });
        self.publish(now, key, &Publish { mid, track: told.track, source: told.source }, out);
        if let Some(track) = self.remote_key(handle).and_then(|key| self.tracks.get_mut(key.0)) {
            track.remote = Some(handle);
            track.layers.iter_mut().zip(told.layers).for_each(|(layer, told)| layer.told = Some(told));
        }
    }

    fn remote_over(&mut self, room: &RoomId, handle: Handle, out: &mut impl Outbox) {
        if let Some(key) = self.remote_key(handle) {
            self.unpublish(key, out);
        }
        self.bridges.remote.remove(&handle);
        let Some(bridge) = self.bridges.rooms.get_mut(room) else { return };
        let Some((remote, _)) = bridge.tracks.remove(&handle) else { return };
        if let Some(session) = self.sessions.get_mut(remote.session.0) {
            session.lines.retain(|line| line.mid != remote.mid);
        }
        if !bridge.tracks.values().any(|(other, _)| other.session == remote.session) {
            bridge.participants.retain(|_, key| *key != remote.session);
            self.close(remote.session, CloseReason::ClientClosed, out);
        }
    }

    fn unbridge(&mut self, room: &RoomId, out: &mut impl Outbox) {
        let handles: Vec<Handle> =
            self.bridges.rooms.get(room).map(|bridge| bridge.tracks.keys().copied().collect()).unwrap_or_default();
        handles.into_iter().for_each(|handle| self.remote_over(room, handle, out));
        self.bridges.rooms.remove(room);
        if let Some(room) = self.by_room.get(room).and_then(|key| self.rooms.get(*key)) {
            for key in room.tracks.values() {
                if let Some(track) = self.tracks.get_mut(key.0) {
                    (track.tap, track.told) = (None, false);
                }
            }
        }
    }

    /// A packet of a remote track.
    pub fn remote_packet(&mut self, now: Instant, packet: &RemotePacket, out: &mut impl Outbox) {
        let Some(remote) = self.bridges.remote.get(&packet.handle).copied() else { return };
        let layers = self.remote_key(packet.handle).and_then(|key| self.tracks.get(key.0)).map(|track| &track.layers);
        let Some(layer) = layers.and_then(|layers| layers.get(usize::from(packet.layer))) else { return };
        let head = &packet.head;
        let packet = Packet {
            mid: remote.mid,
            rid: layer.rid,
            format: head.format,
            seq: head.seq,
            timestamp: head.timestamp,
            marker: head.marker,
            payload: packet.payload.as_ref().into(),
            audio_level: head.audio_level,
            voice: head.voice,
            descriptor: head.descriptor.clone(),
            quarter_turns: head.quarter_turns,
            arrival: now,
        };
        self.packet(now, remote.session, &packet, out);
    }

    /// A local participant's data message as the cascade gets it, if the room spans nodes.
    pub(super) fn bridged_message(
        &self,
        room: usize,
        participant: &ParticipantId,
        channel: Channel,
        data: &[u8],
    ) -> Option<FromRoom> {
        let room = self.rooms.get(room).map(|room| &room.id).filter(|id| self.bridges.rooms.contains_key(*id))?;
        Some(FromRoom::Message(room.clone(), participant.clone(), channel, Bytes::copy_from_slice(data)))
    }

    /// Tells the cascade what has changed: what is published here, and what is wanted of other nodes. What `tell` doesn't
    /// take is told the next time. `unix_us` is the time in microseconds, by which the later of two publications is known.
    pub fn news(&mut self, now: Instant, unix_us: u64, mut tell: impl FnMut(FromRoom) -> bool) {
        let Self { bridges, by_room, rooms, tracks, sessions, .. } = self;
        let Bridges { rooms: bridged, publication, remote } = bridges;
        for (id, bridge) in bridged {
            let room = by_room.get(id).and_then(|key| rooms.get(*key));
            let present = |track: &TrackId| room.and_then(|room| room.tracks.get(track)).copied();
            bridge.published.retain(|name, _| {
                let there = present(name).and_then(|key| tracks.get(key.0)).is_some_and(|track| track.remote.is_none());
                there || !tell(FromRoom::Unpublished(id.clone(), name.clone()))
            });
            for (name, key) in room.iter().flat_map(|room| &room.tracks) {
                // The node's own tracks are for those who are here: other nodes mix by themselves.
                let told = |track: &&mut Track| track.remote.is_none() && !track.id.is_reserved();
                let Some(track) = tracks.get_mut(key.0).filter(told) else { continue };
                let layers: Vec<LayerInfo> = track
                    .layers
                    .iter_mut()
                    .map(|layer| LayerInfo {
                        rid: layer.rid,
                        kbps: layer.stream.kbps(now),
                        height: layer.stream.height(),
                        alive: layer.stream.alive(now),
                    })
                    .collect();
                let Some(owner) = sessions.get(track.owner.0) else { continue };
                if let Some(published) = bridge.published.get_mut(name).filter(|_| track.told) {
                    let rested = now.saturating_duration_since(published.at) >= TELL_INTERVAL;
                    if differs(&published.track.layers, &layers, rested) {
                        let fresh = LocalTrack { layers, ..published.track.clone() };
                        if tell(FromRoom::Published(id.clone(), fresh.clone())) {
                            *published = Published { track: fresh, at: now };
                        }
                    }
                    continue;
                }
                *publication = unix_us.max(*publication + 1);
                let told = LocalTrack {
                    track: name.clone(),
                    participant: owner.participant.clone(),
                    source: track.source.clone(),
                    kind: track.kind,
                    layers,
                    publication: *publication,
                };
                if tell(FromRoom::Published(id.clone(), told.clone())) {
                    bridge.published.insert(name.clone(), Published { track: told, at: now });
                    track.told = true;
                }
            }
            for (handle, (place, told)) in &mut bridge.tracks {
                debug_assert!(remote.contains_key(handle));
                let up = sessions.get(place.session.0).map(|session| session.up.as_slice()).unwrap_or_default();
                let key = up.iter().find(|(mid, _)| *mid == place.mid).map(|(_, key)| *key);
                let receivers = key.and_then(|key| tracks.get(key.0)).map(|track| track.receivers.as_slice());
                let wanted = receivers
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|(receiver, line)| sessions.get(receiver.0)?.down.get(*line))
                    .flat_map(|down| down.current.into_iter().chain(down.target))
                    .filter_map(|layer| 1u8.checked_shl(u32::try_from(layer).ok()?))
                    .fold(0, |set, bit| set | bit);
                if wanted != *told && tell(FromRoom::Interest(*handle, wanted)) {
                    *told = wanted;
                }
            }
        }
    }
}

/// Whether layers have changed so that others should know; rates only matter when they were not told just now.
fn differs(told: &[LayerInfo], now: &[LayerInfo], rates: bool) -> bool {
    told.len() != now.len()
        || told.iter().zip(now).any(|(told, now)| {
            let share = told.kbps.abs_diff(now.kbps).saturating_mul(100) / told.kbps.max(1);
            (told.rid, told.height, told.alive) != (now.rid, now.height, now.alive) || rates && share > WORTH_TELLING
        })
}

#[cfg(test)]
mod tests;
