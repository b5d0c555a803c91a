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

impl Bridges {
    /// Sessions that stand for participants of other nodes.
    pub(super) fn sessions(&self) -> usize {
        self.rooms.values().map(|bridge| bridge.participants.len()).sum()
    }
}

impl Layer {
    /// What the layer would be to a receiver.
    pub(super) fn offered(&mut self, now: Instant) -> layer::Offered {
        match self.told {
            Some(told) => layer::Offered { kbps: told.kbps, height: told.height.or(self.height), alive: told.alive },
            None => layer::Offered { kbps: self.meter.kbps(now), height: self.height, alive: self.alive(now) },
        }
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

    /// Gives a packet to the pipes that want its layer.
    pub(super) fn tap(&self, index: usize, packet: &Packet, starts: bool, out: &mut impl Outbox) {
        if let (Some((handle, layers)), Ok(layer)) = (self.tap, u8::try_from(index))
            && layers >> index & 1 == 1
        {
            out.cascade(FromRoom::Packet(handle, layer, packet.clone(), starts));
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
            }
            ToRoom::Keyframe(room, track, layer) => {
                if let Some(key) = self.named(&room, &track) {
                    self.request_keyframe(now, key, layer.into(), out);
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
        if !self.bridges.rooms.contains_key(room) {
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
                let Some(track) = tracks.get_mut(key.0).filter(|track| track.remote.is_none()) else { continue };
                let layers: Vec<LayerInfo> = track
                    .layers
                    .iter_mut()
                    .map(|layer| LayerInfo {
                        rid: layer.rid,
                        kbps: layer.meter.kbps(now),
                        height: layer.height,
                        alive: layer.alive(now),
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
mod tests {
    use super::*;

    /// Remembers what the cascade is told.
    #[derive(Default)]
    struct Told(Vec<FromRoom>);

    impl Outbox for Told {
        fn payload_type(&self, _: SessionKey, _: Mid, _: &Format) -> Option<u8> {
            Some(96)
        }
        fn forward(&mut self, _: SessionKey, _: Forward<'_>) {}
        fn request_keyframe(&mut self, _: SessionKey, _: Mid, _: Option<Rid>) {}
        fn limit_uplink(&mut self, _: SessionKey, _: Mid, _: Option<Rid>, _: u32) {}
        fn send(&mut self, _: SessionKey, _: Channel, _: &[u8]) -> bool {
            true
        }
        fn want_bitrate(&mut self, _: SessionKey, _: u32) {}
        fn event(&mut self, event: Event) {
            assert!(!matches!(event.occurrence, Occurrence::TrackStarted { .. }), "{event:?}");
        }
        fn cascade(&mut self, told: FromRoom) {
            self.0.push(told);
        }
    }

    fn room() -> RoomId {
        "room".parse().unwrap()
    }

    fn line(name: &str, sends: bool, layers: &[&str]) -> Line {
        Line {
            mid: Mid::parse(name).unwrap(),
            kind: LineKind::Media(Kind::Video),
            client_sends: sends,
            client_receives: !sends,
            layers: layers.iter().filter_map(|name| Rid::parse(name)).collect(),
        }
    }

    fn remote(participant: &str, track: &str, alive: bool) -> LocalTrack {
        let layer = |rid, height| LayerInfo { rid: Rid::parse(rid), kbps: 100, height: Some(height), alive };
        LocalTrack {
            track: track.parse().unwrap(),
            participant: participant.parse().unwrap(),
            source: "camera".into(),
            kind: Kind::Video,
            layers: vec![layer("q", 180), layer("h", 360)],
            publication: 1,
        }
    }

    struct Fixture {
        router: Router,
        out: Told,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            let mut fixture = Self { router: Router::new(1), out: Told::default(), now: Instant::now() };
            fixture.order(ToRoom::Join(room()));
            fixture
        }

        fn order(&mut self, order: ToRoom) {
            assert!(self.router.bridge(self.now, order, &mut self.out).is_empty());
        }

        fn join(&mut self, number: u8, lines: Vec<Line>, publish: &[Publish], subscribe: &[Subscribe]) -> SessionKey {
            let opening = Opening {
                room: room(),
                session: SessionId([number; 16]),
                participant: format!("p{number}").parse().unwrap(),
                publish: true,
                subscribe: true,
                uplink_kbps: 0,
            };
            let (key, _) = self.router.open(self.now, opening).unwrap();
            self.router.check(key, &lines, publish, subscribe).unwrap();
            self.router.negotiated(self.now, key, lines, publish, subscribe, &mut self.out);
            self.router.connected(self.now, key, &mut self.out);
            self.router.ready(self.now, key, &mut self.out);
            key
        }

        fn news(&mut self) -> Vec<FromRoom> {
            let mut news = Vec::new();
            self.router.news(self.now, 7, |told| {
                news.push(told);
                true
            });
            news
        }
    }

    fn publish(line: &str, track: &str) -> [Publish; 1] {
        [Publish { mid: Mid::parse(line).unwrap(), track: track.parse().unwrap(), source: "camera".into() }]
    }

    fn wish(track: &str, max_height: u32) -> [Subscribe; 1] {
        [Subscribe { mid: Mid::parse("0").unwrap(), track: Some(track.parse().unwrap()), max_height }]
    }

    #[test]
    fn only_layers_that_someone_takes_are_wanted_and_they_need_not_come_to_be_chosen() {
        let mut f = Fixture::new();
        f.order(ToRoom::Track(room(), Handle(5), remote("far", "video", true)));
        assert!(f.news().is_empty(), "nobody watches");
        let receiver = f.join(1, vec![line("0", false, &[])], &[], &wish("video", 360));
        assert!(f.out.0.iter().any(|told| matches!(told, FromRoom::Keyframe(Handle(5), 1))), "{:?}", f.out.0);
        assert!(matches!(f.news().as_slice(), [FromRoom::Interest(Handle(5), 0b10)]));
        assert!(f.news().is_empty(), "told once");
        f.router.subscribe(f.now, receiver, &wish("video", 180), &mut f.out).unwrap();
        assert!(matches!(f.news().as_slice(), [FromRoom::Interest(Handle(5), 0b01)]));
        f.router.close(receiver, CloseReason::ClientClosed, &mut f.out);
        assert!(matches!(f.news().as_slice(), [FromRoom::Interest(Handle(5), 0)]));
        assert_eq!(f.router.totals().sessions, 0);
        f.order(ToRoom::Withdraw(room(), Handle(5)));
        assert!(f.router.sessions.is_empty() && f.router.rooms.is_empty() && f.router.bridges.remote.is_empty());
    }

    #[test]
    fn a_track_that_is_published_anew_is_told_anew() {
        let mut f = Fixture::new();
        let lines = || vec![line("v", true, &["q", "h"]), line("w", true, &["q", "h"])];
        let key = f.join(1, lines(), &publish("v", "video"), &[]);
        let told = |news: Vec<FromRoom>| match news.as_slice() {
            [FromRoom::Published(_, track)] => track.publication,
            other => panic!("{other:?}"),
        };
        let first = told(f.news());
        assert!(f.news().is_empty());
        f.order(ToRoom::Tap(room(), "video".parse().unwrap(), Handle(9), 0b11));
        // Its place in the router is the same, but the cascade's tap isn't there any more.
        f.router.negotiated(f.now, key, vec![line("w", true, &["q", "h"])], &publish("w", "video"), &[], &mut f.out);
        assert!(told(f.news()) > first);
        f.router.close(key, CloseReason::ClientClosed, &mut f.out);
        assert!(matches!(f.news().as_slice(), [FromRoom::Unpublished(..)]));
    }

    #[test]
    fn a_participant_may_come_from_another_node_with_its_names() {
        let mut f = Fixture::new();
        f.order(ToRoom::Track(room(), Handle(5), remote("p1", "video", true)));
        f.join(1, vec![line("v", true, &["q", "h"])], &publish("v", "video"), &[]);
        let news = f.news();
        assert!(news.iter().any(|told| matches!(told, FromRoom::Published(..))), "{news:?}");
        f.order(ToRoom::Withdraw(room(), Handle(5)));
        assert!(f.news().is_empty() && f.router.tracks.len() == 1, "the one here stays");
    }

    #[test]
    fn leaving_the_cascade_leaves_the_room_as_it_was() {
        let mut f = Fixture::new();
        f.order(ToRoom::Track(room(), Handle(5), remote("far", "video", true)));
        f.order(ToRoom::Track(room(), Handle(6), remote("far", "screen", false)));
        f.join(1, vec![line("v", true, &["q", "h"])], &publish("v", "mine"), &[]);
        f.news();
        f.order(ToRoom::Leave(room()));
        assert_eq!((f.router.sessions.len(), f.router.tracks.len()), (1, 1));
        assert!(!f.router.is_bridged() && f.news().is_empty());
    }
}
