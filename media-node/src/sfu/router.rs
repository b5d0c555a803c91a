//! Rooms, tracks and who receives what: a state machine without I/O, sockets or engine.
//!
//! What comes in are commands, packets and reports with the time; what goes out goes through an [`Outbox`]. All of a room
//! lives in one router, which one thread owns, so there are no locks.

use super::{
    backlog::Backlog,
    codec::{self, Description, Format},
    engine::{Line, LineKind, PathReport},
    event::{CloseReason, Event, Occurrence},
    id::{Mid, ParticipantId, Rid, RoomId, SessionId, TrackId},
    keyframe, layer, limits,
    meter::{Bucket, Meter},
    packet::{Channel, Forward, Kind, Packet},
    rewrite::{Rewriter, Source},
    speakers::{Level, Speakers},
    stats::{self, SessionStats, Totals},
};
use slab::Slab;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// A session's place in its router, for as long as it lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionKey(pub usize);

/// A track's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct TrackKey(usize);

/// Where the router's results go.
pub trait Outbox {
    /// The payload type by which the session's client knows the format on this m-line.
    fn payload_type(&self, to: SessionKey, mid: Mid, format: &Format) -> Option<u8>;
    /// Sends a packet to a session's client.
    fn forward(&mut self, to: SessionKey, forward: Forward<'_>);
    /// Asks a publisher for a key frame.
    fn request_keyframe(&mut self, of: SessionKey, mid: Mid, rid: Option<Rid>);
    /// Tells a publisher how much it may send.
    fn limit_uplink(&mut self, of: SessionKey, mid: Mid, rid: Option<Rid>, kbps: u32);
    /// Writes a data message; `false` if the channel doesn't take it now.
    fn send(&mut self, to: SessionKey, channel: Channel, message: &[u8]) -> bool;
    /// Says what the session's media would take.
    fn want_bitrate(&mut self, to: SessionKey, kbps: u32);
    /// Tells the orchestrator.
    fn event(&mut self, event: Event);
}

/// A session to be opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its room.
    pub room: RoomId,
    /// Its id.
    pub session: SessionId,
    /// Its participant.
    pub participant: ParticipantId,
    /// Whether it may publish.
    pub publish: bool,
    /// Whether it may subscribe.
    pub subscribe: bool,
    /// What it may send, in kb/s; 0: the default.
    pub uplink_kbps: u32,
}

/// What a client publishes on an m-line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publish {
    /// The m-line.
    pub mid: Mid,
    /// The track.
    pub track: TrackId,
    /// What it shows: camera, microphone, screen or screen-audio.
    pub source: String,
}

/// What a client wants on an m-line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscribe {
    /// The m-line.
    pub mid: Mid,
    /// The track; `None`: nothing for now.
    pub track: Option<TrackId>,
    /// Tallest picture that is of use, in pixels; 0: no bound.
    pub max_height: u32,
}

/// Why something is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RouteError {
    /// Unknown session.
    #[error("no such session: open it first, or it is over")]
    NoSession,
    /// The session is in use.
    #[error("the session is open already: close it first")]
    SessionTaken,
    /// The room is full.
    #[error("the room has {max} sessions already", max = limits::MAX_ROOM_SESSIONS)]
    RoomFull,
    /// No right to publish.
    #[error("the session was opened without the right to publish")]
    MayNotPublish,
    /// No right to subscribe.
    #[error("the session was opened without the right to subscribe")]
    MayNotSubscribe,
    /// Too many tracks.
    #[error("at most {max} tracks per session", max = limits::MAX_TRACKS)]
    TooManyTracks,
    /// A track id in use.
    #[error("track {0} belongs to another session")]
    TrackTaken(TrackId),
    /// The m-line can't be used so.
    #[error("m-line {0} is not one on which the client {1}")]
    WrongLine(Mid, &'static str),
}

/// Which data channels a client has opened.
#[derive(Clone, Copy, Default)]
struct Channels {
    reliable: bool,
    lossy: bool,
}

impl Channels {
    fn has(self, channel: Channel) -> bool {
        match channel {
            Channel::Reliable => self.reliable,
            Channel::Lossy => self.lossy,
        }
    }

    fn open(&mut self, channel: Channel) {
        match channel {
            Channel::Reliable => self.reliable = true,
            Channel::Lossy => self.lossy = true,
        }
    }
}

struct Room {
    id: RoomId,
    sessions: Vec<SessionKey>,
    tracks: HashMap<TrackId, TrackKey>,
    speakers: Speakers<ParticipantId>,
}

struct Layer {
    rid: Option<Rid>,
    meter: Meter,
    height: Option<u16>,
    gate: keyframe::Gate,
}

impl Layer {
    fn new(rid: Option<Rid>, now: Instant) -> Self {
        Self { rid, meter: Meter::new(now), height: None, gate: keyframe::Gate::default() }
    }

    fn alive(&self, now: Instant) -> bool {
        self.meter.last().is_some_and(|last| now.saturating_duration_since(last) < LAYER_ALIVE)
    }
}

struct Track {
    id: TrackId,
    owner: SessionKey,
    mid: Mid,
    kind: Kind,
    source: String,
    layers: Vec<Layer>,
    /// Receivers: session and m-line key.
    receivers: Vec<(SessionKey, usize)>,
    level: Level,
    started: bool,
}

/// A receiving m-line of a client.
struct Down {
    mid: Mid,
    kind: Kind,
    wanted: Option<(TrackId, u32)>,
    track: Option<TrackKey>,
    /// The layer that is forwarded.
    current: Option<usize>,
    /// The layer that shall be.
    target: Option<usize>,
    rewriter: Rewriter,
    payload_type: Option<(Format, Option<u8>)>,
    /// Whether the client still receives on it.
    open: bool,
}

struct Session {
    id: SessionId,
    room: usize,
    participant: ParticipantId,
    publish: bool,
    subscribe: bool,
    uplink_kbps: u32,
    /// Whether the orchestrator set the limit, so that the client is told.
    uplink_told: bool,
    opened: Instant,
    connected: bool,
    lost_at: Option<Instant>,
    up: Vec<(Mid, TrackKey)>,
    down: Slab<Down>,
    lines: Vec<Line>,
    uplink: Bucket,
    messages: Bucket,
    channels: Channels,
    backlog: Backlog,
    estimate: Option<u32>,
    desired: u32,
    stale_choice: bool,
    sent_packets: u64,
    sent_bytes: u64,
    received_packets: u64,
    received_bytes: u64,
    path: PathReport,
    /// The sums of the last seconds' reports.
    history: VecDeque<(u64, u64)>,
}

/// A layer is dead when nothing came for this long: the publisher paused it.
const LAYER_ALIVE: Duration = Duration::from_millis(1_500);
/// How often layers are chosen anew without cause.
const CHOICE_INTERVAL: Duration = Duration::from_millis(500);
/// How often publishers are told their limit.
const LIMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Share of the estimate that is left for sound and data, in kb/s per forwarded audio track.
const AUDIO_KBPS: u32 = 40;
/// Seconds of reports that the shown loss covers.
const LOSS_SECONDS: usize = 10;
/// How often [`Router::tick`] should be called.
pub const TICK: Duration = Duration::from_millis(100);

/// Rooms of one shard.
pub struct Router {
    rooms: Slab<Room>,
    by_room: HashMap<RoomId, usize>,
    sessions: Slab<Session>,
    by_session: HashMap<SessionId, SessionKey>,
    tracks: Slab<Track>,
    random: u64,
    chosen: Option<Instant>,
    limited: Option<Instant>,
}

impl Router {
    /// An empty router; `seed` feeds the first sequence numbers.
    pub fn new(seed: u64) -> Self {
        Self {
            rooms: Slab::new(),
            by_room: HashMap::new(),
            sessions: Slab::new(),
            by_session: HashMap::new(),
            tracks: Slab::new(),
            random: seed,
            chosen: None,
            limited: None,
        }
    }

    /// What the router carries.
    pub fn totals(&self) -> Totals {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Totals {
            rooms: count(self.rooms.len()),
            sessions: count(self.sessions.len()),
            tracks: count(self.tracks.len()),
        }
    }

    /// The session's key.
    pub fn key(&self, session: &SessionId) -> Option<SessionKey> {
        self.by_session.get(session).copied()
    }

    /// The session's id.
    pub fn id(&self, key: SessionKey) -> Option<SessionId> {
        self.sessions.get(key.0).map(|session| session.id)
    }

    /// The sessions of a room.
    pub fn room_sessions(&self, room: &RoomId) -> Vec<SessionKey> {
        self.by_room
            .get(room)
            .and_then(|room| self.rooms.get(*room))
            .map(|room| room.sessions.clone())
            .unwrap_or_default()
    }

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
        let room_key = match self.by_room.get(&opening.room) {
            Some(key) => *key,
            None => {
                let room = Room {
                    id: opening.room.clone(),
                    sessions: Vec::new(),
                    tracks: HashMap::new(),
                    speakers: Speakers::default(),
                };
                let key = self.rooms.insert(room);
                self.by_room.insert(opening.room, key);
                key
            }
        };
        let Some(room) = self.rooms.get_mut(room_key) else { return Err(RouteError::NoSession) };
        if room.sessions.len() >= limits::MAX_ROOM_SESSIONS {
            return Err(RouteError::RoomFull);
        }
        let uplink_kbps = if opening.uplink_kbps == 0 { limits::DEFAULT_UPLINK_KBPS } else { opening.uplink_kbps };
        // A quarter above the limit: the client's own controller settles around it, and repairs come on top.
        let bytes = uplink_kbps.saturating_mul(125).saturating_add(uplink_kbps.saturating_mul(125) / 4);
        let key = SessionKey(self.sessions.insert(Session {
            id: opening.session,
            room: room_key,
            participant: opening.participant,
            publish: opening.publish,
            subscribe: opening.subscribe,
            uplink_kbps,
            uplink_told: opening.uplink_kbps != 0,
            opened: now,
            connected: false,
            lost_at: None,
            up: Vec::new(),
            down: Slab::new(),
            lines: Vec::new(),
            uplink: Bucket::new(bytes, bytes, now),
            messages: Bucket::new(limits::MESSAGES_PER_SECOND, limits::MESSAGES_PER_SECOND * 2, now),
            channels: Channels::default(),
            backlog: Backlog::default(),
            estimate: None,
            desired: 0,
            stale_choice: false,
            sent_packets: 0,
            sent_bytes: 0,
            received_packets: 0,
            received_bytes: 0,
            path: PathReport::default(),
            history: VecDeque::from([(0, 0)]),
        }));
        room.sessions.push(key);
        self.by_session.insert(opening.session, key);
        Ok((key, true))
    }

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
            let owner =
                room.tracks.get(&wish.track).and_then(|track| self.tracks.get(track.0)).map(|track| track.owner);
            if owner.is_some_and(|owner| owner != key) {
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
            down.payload_type = None;
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

    /// Changes what goes to a client's receiving m-lines; those that aren't named stay as they are.
    pub fn subscribe(
        &mut self,
        now: Instant,
        key: SessionKey,
        subscribe: &[Subscribe],
        out: &mut impl Outbox,
    ) -> Result<(), RouteError> {
        let session = self.sessions.get(key.0).ok_or(RouteError::NoSession)?;
        check_subscriptions(session, &session.lines, subscribe)?;
        self.want(now, key, subscribe, out);
        Ok(())
    }

    fn want(&mut self, now: Instant, key: SessionKey, subscribe: &[Subscribe], out: &mut impl Outbox) {
        for wish in subscribe {
            let random = self.next_random();
            let Some(session) = self.sessions.get_mut(key.0) else { return };
            session.stale_choice = true;
            let found = session.down.iter().find(|(_, down)| down.mid == wish.mid).map(|(index, _)| index);
            let index = match found {
                Some(index) => index,
                None => {
                    let Some(LineKind::Media(kind)) =
                        session.lines.iter().find(|line| line.mid == wish.mid).map(|line| line.kind)
                    else {
                        continue;
                    };
                    let clock_rate = if kind == Kind::Audio { 48_000 } else { 90_000 };
                    session.down.insert(Down {
                        mid: wish.mid,
                        kind,
                        wanted: None,
                        track: None,
                        current: None,
                        target: None,
                        rewriter: Rewriter::new(clock_rate, random),
                        payload_type: None,
                        open: true,
                    })
                }
            };
            let Some(down) = session.down.get_mut(index) else { continue };
            down.open = true;
            let same = match (&down.wanted, &wish.track) {
                (Some((track, _)), Some(wished)) => track == wished,
                (None, None) => true,
                _ => false,
            };
            down.wanted = wish.track.clone().map(|track| (track, wish.max_height));
            if !same || down.track.is_none() {
                self.unbind(key, index);
                self.bind(now, key, index, out);
            }
        }
        self.choose(now, key, out);
    }

    /// Joins a receiving m-line to the track that it wants, if that is there.
    fn bind(&mut self, now: Instant, key: SessionKey, index: usize, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let Some(room) = self.rooms.get(session.room) else { return };
        let Some(down) = session.down.get_mut(index) else { return };
        let Some(track_key) = down.wanted.as_ref().and_then(|(track, _)| room.tracks.get(track)).copied() else {
            return;
        };
        let Some(track) = self.tracks.get_mut(track_key.0) else { return };
        if track.kind != down.kind || !down.open {
            return;
        }
        track.receivers.push((key, index));
        down.track = Some(track_key);
        match track.kind {
            Kind::Audio => down.target = Some(0),
            Kind::Video => {
                // Until the choice is made: the lowest layer.
                down.target = (!track.layers.is_empty()).then_some(0);
                session.stale_choice = true;
            }
        }
        if let (Kind::Video, Some(layer)) = (track.kind, track.layers.first_mut())
            && layer.gate.request(now)
        {
            out.request_keyframe(track.owner, track.mid, layer.rid);
        }
    }

    fn unbind(&mut self, key: SessionKey, index: usize) {
        let Some(down) = self.sessions.get_mut(key.0).and_then(|session| session.down.get_mut(index)) else { return };
        if let Some(track) = down.track.take().and_then(|track| self.tracks.get_mut(track.0)) {
            track.receivers.retain(|receiver| *receiver != (key, index));
        }
        down.current = None;
        down.target = None;
        down.payload_type = None;
        down.rewriter.pause();
    }

    fn publish(&mut self, now: Instant, key: SessionKey, wish: &Publish, out: &mut impl Outbox) {
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
        let Some(room) = self.rooms.get_mut(session.room) else { return };
        // The same track on another m-line of the same client moves there.
        let moved = room.tracks.get(&wish.track).copied();
        let layers = if rids.is_empty() {
            vec![Layer::new(None, now)]
        } else {
            rids.into_iter().map(|rid| Layer::new(Some(rid), now)).collect()
        };
        let track_key = TrackKey(self.tracks.insert(Track {
            id: wish.track.clone(),
            owner: key,
            mid: wish.mid,
            kind,
            source: wish.source.clone(),
            layers,
            receivers: Vec::new(),
            level: Level::default(),
            started: false,
        }));
        session.up.push((wish.mid, track_key));
        room.tracks.insert(wish.track.clone(), track_key);
        let members = room.sessions.clone();
        if let Some(old) = moved {
            self.drop_track(old);
        }
        for member in members {
            let waiting: Vec<usize> = self
                .sessions
                .get(member.0)
                .map(|session| {
                    let waits = |down: &Down| {
                        down.track.is_none() && down.wanted.as_ref().is_some_and(|(track, _)| *track == wish.track)
                    };
                    session.down.iter().filter(|(_, down)| waits(down)).map(|(index, _)| index).collect()
                })
                .unwrap_or_default();
            for index in waiting {
                self.bind(now, member, index, out);
            }
        }
    }

    /// Ends a track: its receivers wait for another of its name.
    fn unpublish(&mut self, key: TrackKey, out: &mut impl Outbox) {
        let Some(track) = self.tracks.get(key.0) else { return };
        let (id, owner, started) = (track.id.clone(), track.owner, track.started);
        let Some(session) = self.sessions.get(owner.0) else { return };
        let session_id = session.id;
        if let Some(room) = self.rooms.get_mut(session.room) {
            if room.tracks.get(&id) == Some(&key) {
                room.tracks.remove(&id);
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

    fn drop_track(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.try_remove(key.0) else { return };
        if let Some(session) = self.sessions.get_mut(track.owner.0) {
            session.up.retain(|(_, up)| *up != key);
        }
        for (receiver, index) in track.receivers {
            let Some(session) = self.sessions.get_mut(receiver.0) else { continue };
            session.stale_choice = true;
            if let Some(down) = session.down.get_mut(index) {
                down.track = None;
                down.current = None;
                down.target = None;
                down.rewriter.pause();
            }
        }
    }

    /// Ends a session and says so.
    pub fn close(&mut self, key: SessionKey, reason: CloseReason, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get(key.0) else { return };
        let tracks: Vec<TrackKey> = session.up.iter().map(|(_, track)| *track).collect();
        let downs: Vec<usize> = session.down.iter().map(|(index, _)| index).collect();
        tracks.into_iter().for_each(|track| self.unpublish(track, out));
        downs.into_iter().for_each(|index| self.unbind(key, index));
        let Some(session) = self.sessions.try_remove(key.0) else { return };
        self.by_session.remove(&session.id);
        let Some(room) = self.rooms.get_mut(session.room) else { return };
        room.sessions.retain(|member| *member != key);
        out.event(Event { room: room.id.clone(), session: Some(session.id), occurrence: Occurrence::Closed(reason) });
        if room.sessions.is_empty() {
            let room = self.rooms.remove(session.room);
            self.by_room.remove(&room.id);
        }
    }

    /// A session's transport is up.
    pub fn connected(&mut self, now: Instant, key: SessionKey, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        session.lost_at = None;
        session.stale_choice = true;
        if !std::mem::replace(&mut session.connected, true)
            && let Some(room) = self.rooms.get(session.room)
        {
            out.event(Event { room: room.id.clone(), session: Some(session.id), occurrence: Occurrence::Connected });
        }
        self.choose(now, key, out);
    }

    /// A session's transport lost consent, or has it again.
    pub fn consent(&mut self, now: Instant, key: SessionKey, has: bool) {
        if let Some(session) = self.sessions.get_mut(key.0) {
            session.lost_at = if has { None } else { session.lost_at.or(Some(now)) };
        }
    }

    /// Capacity towards a client.
    pub fn estimate(&mut self, key: SessionKey, kbps: u32) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let before = session.estimate.unwrap_or(0);
        session.stale_choice |= kbps.abs_diff(before) > before / 20;
        session.estimate = Some(kbps);
    }

    /// A client's receiver reports.
    pub fn path(&mut self, key: SessionKey, path: PathReport) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        session.path = path;
        session.history.push_back((path.expected, path.lost));
        if session.history.len() > LOSS_SECONDS {
            session.history.pop_front();
        }
    }

    /// A client asks for a key frame.
    pub fn keyframe_wanted(&mut self, now: Instant, key: SessionKey, mid: Mid, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get(key.0) else { return };
        let Some((_, down)) = session.down.iter().find(|(_, down)| down.mid == mid) else { return };
        let (Some(track), Some(layer)) = (down.track, down.current.or(down.target)) else { return };
        self.request_keyframe(now, track, layer, out);
    }

    fn request_keyframe(&mut self, now: Instant, track: TrackKey, layer: usize, out: &mut impl Outbox) {
        let Some(track) = self.tracks.get_mut(track.0) else { return };
        if let Some(layer) = track.layers.get_mut(layer)
            && layer.gate.request(now)
        {
            out.request_keyframe(track.owner, track.mid, layer.rid);
        }
    }

    /// A media packet from a client.
    pub fn packet(&mut self, now: Instant, from: SessionKey, packet: &Packet, out: &mut impl Outbox) {
        let Self { sessions, tracks, rooms, .. } = self;
        let Some(sender) = sessions.get_mut(from.0) else { return };
        let size = packet.payload.len();
        sender.received_packets += 1;
        sender.received_bytes += size as u64;
        let Some((_, track_key)) = sender.up.iter().find(|(mid, _)| *mid == packet.mid) else { return };
        if !sender.uplink.take(now, u32::try_from(size).unwrap_or(u32::MAX)) {
            return;
        }
        let Some(track) = tracks.get_mut(track_key.0) else { return };
        let Some(index) = track.layers.iter().position(|layer| layer.rid == packet.rid) else { return };
        let Some(layer) = track.layers.get_mut(index) else { return };
        layer.meter.add(now, size);
        let description = match track.kind {
            Kind::Audio => {
                if let Some(level) = packet.audio_level {
                    track.level.update(now, level, packet.voice);
                }
                Description::default()
            }
            Kind::Video => codec::describe(packet.format.codec, &packet.payload),
        };
        if description.keyframe {
            layer.gate.satisfied();
        }
        layer.height = description.height.or(layer.height);
        if !track.started {
            track.started = true;
            if let Some(room) = rooms.get(sender.room) {
                let occurrence = Occurrence::TrackStarted {
                    track: track.id.clone(),
                    kind: track.kind,
                    layers: track.layers.iter().filter_map(|layer| layer.rid).collect(),
                };
                out.event(Event { room: room.id.clone(), session: Some(sender.id), occurrence });
            }
        }
        let source = Source {
            seq: packet.seq,
            timestamp: packet.timestamp,
            arrival: packet.arrival,
            pictures: description.pictures,
        };
        let starts = track.kind == Kind::Audio || description.keyframe;
        for (receiver, line) in &track.receivers {
            let Some(session) = sessions.get_mut(receiver.0) else { continue };
            if !session.connected {
                continue;
            }
            let Some(down) = session.down.get_mut(*line) else { continue };
            if down.current != Some(index) {
                if down.target != Some(index) || !starts {
                    continue;
                }
                down.current = Some(index);
                down.rewriter.switch(&source);
            }
            let payload_type = match down.payload_type {
                Some((format, payload_type)) if format == packet.format => payload_type,
                _ => {
                    let payload_type = out.payload_type(*receiver, down.mid, &packet.format);
                    down.payload_type = Some((packet.format, payload_type));
                    if payload_type.is_none() {
                        tracing::debug!(track = %track.id, mid = %down.mid, format = ?packet.format, "receiver lacks the codec");
                    }
                    payload_type
                }
            };
            let (Some(payload_type), Some(numbers)) = (payload_type, down.rewriter.rewrite(&source)) else { continue };
            session.sent_packets += 1;
            session.sent_bytes += size as u64;
            out.forward(*receiver, Forward { mid: down.mid, payload_type, numbers, packet });
        }
    }

    /// A client's data channel is open.
    pub fn channel_open(&mut self, key: SessionKey, channel: Channel) {
        if let Some(session) = self.sessions.get_mut(key.0) {
            session.channels.open(channel);
        }
    }

    /// A client's data channel takes data again.
    pub fn channel_ready(&mut self, key: SessionKey, channel: Channel, out: &mut impl Outbox) {
        if let (Channel::Reliable, Some(session)) = (channel, self.sessions.get_mut(key.0)) {
            session.backlog.drain(|message| out.send(key, Channel::Reliable, message));
        }
    }

    /// A data message from a client: it goes to everyone else in the room, with the sender's id before it. Returns those that can't
    /// keep up.
    pub fn message(
        &mut self,
        now: Instant,
        from: SessionKey,
        channel: Channel,
        data: &[u8],
        out: &mut impl Outbox,
    ) -> Vec<SessionKey> {
        let Some(sender) = self.sessions.get_mut(from.0) else { return Vec::new() };
        if !sender.publish || data.len() > limits::MAX_MESSAGE || !sender.messages.take(now, 1) {
            tracing::debug!(session = %sender.id, bytes = data.len(), "data message dropped: no right, too large or too many");
            return Vec::new();
        }
        let name = sender.participant.as_str().as_bytes();
        let mut framed = Vec::with_capacity(1 + name.len() + data.len());
        framed.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        framed.extend_from_slice(name);
        framed.extend_from_slice(data);
        let framed: Arc<[u8]> = framed.into();
        let Some(room) = self.rooms.get(sender.room) else { return Vec::new() };
        let mut slow = Vec::new();
        for to in room.sessions.iter().filter(|to| **to != from) {
            let Some(session) = self.sessions.get_mut(to.0) else { continue };
            let listens = session.subscribe && session.channels.has(channel);
            match channel {
                _ if !listens => {}
                Channel::Lossy => drop(out.send(*to, channel, &framed)),
                Channel::Reliable => {
                    let taken = session.backlog.offer(&framed, |message| out.send(*to, channel, message));
                    if taken.is_err() {
                        slow.push(*to);
                    }
                }
            }
        }
        slow
    }

    /// Chooses the layers of one client's videos.
    fn choose(&mut self, now: Instant, key: SessionKey, out: &mut impl Outbox) {
        let Self { sessions, tracks, .. } = self;
        let Some(session) = sessions.get_mut(key.0) else { return };
        session.stale_choice = false;
        let mut lines = Vec::new();
        let mut wants = Vec::new();
        let mut audio = 0;
        for (index, down) in &session.down {
            let Some(track) = down.track.and_then(|track| tracks.get_mut(track.0)) else { continue };
            if track.kind == Kind::Audio {
                audio += 1;
                continue;
            }
            let layers = track
                .layers
                .iter_mut()
                .map(|layer| layer::Offered {
                    kbps: layer.meter.kbps(now),
                    height: layer.height,
                    alive: layer.alive(now),
                })
                .collect();
            lines.push(index);
            wants.push(layer::Want {
                layers,
                max_height: down.wanted.as_ref().map_or(0, |(_, height)| *height),
                current: down.current,
            });
        }
        let budget = session.estimate.map(|estimate| estimate.saturating_sub(audio * AUDIO_KBPS));
        let choice = layer::choose(&wants, budget);
        let desired = choice.desired_kbps + audio * AUDIO_KBPS;
        if desired.abs_diff(session.desired) > session.desired / 10 {
            session.desired = desired;
            out.want_bitrate(key, desired);
        }
        let mut ask = Vec::new();
        for (index, target) in lines.into_iter().zip(choice.layers) {
            let (Some(down), Some(target)) = (session.down.get_mut(index), target) else { continue };
            down.target = Some(target);
            if down.current != Some(target)
                && let Some(track) = down.track
            {
                ask.push((track, target));
            }
        }
        for (track, layer) in ask {
            self.request_keyframe(now, track, layer, out);
        }
    }

    /// Lets time pass; to be called each [`TICK`]. Returns sessions that must be closed, with the reason.
    pub fn tick(&mut self, now: Instant, out: &mut impl Outbox) -> Vec<(SessionKey, CloseReason)> {
        let mut over = Vec::new();
        let all = self.chosen.is_none_or(|chosen| now.saturating_duration_since(chosen) >= CHOICE_INTERVAL);
        if all {
            self.chosen = Some(now);
        }
        let tell = self.limited.is_none_or(|limited| now.saturating_duration_since(limited) >= LIMIT_INTERVAL);
        if tell {
            self.limited = Some(now);
        }
        let keys: Vec<SessionKey> = self.sessions.iter().map(|(key, _)| SessionKey(key)).collect();
        for key in keys {
            let Some(session) = self.sessions.get(key.0) else { continue };
            if !session.connected && now.saturating_duration_since(session.opened) >= limits::CONNECT_TIMEOUT {
                over.push((key, CloseReason::ConnectTimeout));
                continue;
            }
            if session.lost_at.is_some_and(|lost| now.saturating_duration_since(lost) >= limits::DISCONNECT_GRACE) {
                over.push((key, CloseReason::ConnectionLost));
                continue;
            }
            if tell && session.uplink_told && session.connected {
                for (mid, track) in &session.up {
                    for layer in self.tracks.get(track.0).map(|track| track.layers.as_slice()).unwrap_or_default() {
                        out.limit_uplink(key, *mid, layer.rid, session.uplink_kbps);
                    }
                }
            }
            if session.connected && (all || session.stale_choice) {
                self.choose(now, key, out);
            }
        }
        // Requests that fell into a gate's interval and are still open.
        for (_, track) in &mut self.tracks {
            let (owner, mid) = (track.owner, track.mid);
            for layer in &mut track.layers {
                if layer.gate.due(now) {
                    out.request_keyframe(owner, mid, layer.rid);
                }
            }
        }
        let Self { rooms, tracks, sessions, .. } = self;
        for (_, room) in rooms {
            if !room.speakers.due(now) {
                continue;
            }
            let mut speaking: Vec<(ParticipantId, f32)> = Vec::new();
            for track in room.tracks.values().filter_map(|track| tracks.get(track.0)) {
                if track.kind != Kind::Audio || track.source == "screen-audio" {
                    continue;
                }
                let (Some(loudness), Some(session)) = (track.level.speaking(now), sessions.get(track.owner.0)) else {
                    continue;
                };
                match speaking.iter_mut().find(|(who, _)| *who == session.participant) {
                    Some((_, known)) => *known = known.max(loudness),
                    None => speaking.push((session.participant.clone(), loudness)),
                }
            }
            if let Some(list) = room.speakers.update(now, speaking) {
                out.event(Event { room: room.id.clone(), session: None, occurrence: Occurrence::Speakers(list) });
            }
        }
        over
    }

    /// Figures of one session or of all.
    pub fn stats(&self, only: Option<&SessionId>) -> Vec<SessionStats> {
        self.sessions
            .iter()
            .filter(|(_, session)| only.is_none_or(|only| session.id == *only))
            .filter_map(|(_, session)| {
                let room = self.rooms.get(session.room)?;
                let (expected, lost) = session.history.front().copied().unwrap_or_default();
                Some(SessionStats {
                    session: session.id,
                    room: room.id.clone(),
                    participant: session.participant.clone(),
                    connected: session.connected && session.lost_at.is_none(),
                    sent_packets: session.sent_packets,
                    sent_bytes: session.sent_bytes,
                    received_packets: session.received_packets,
                    received_bytes: session.received_bytes,
                    expected: session.path.expected,
                    lost: session.path.lost,
                    loss: stats::loss(
                        session.path.expected.saturating_sub(expected),
                        session.path.lost.saturating_sub(lost),
                    ),
                    rtt: session.path.rtt,
                    jitter: session.path.jitter,
                    estimate_kbps: session.estimate.unwrap_or(0),
                })
            })
            .collect()
    }

    /// A number for a rewriter's beginning: a linear congruential step is enough, it need not be secret.
    fn next_random(&mut self) -> u16 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 48) as u16
    }
}

fn check_subscriptions(session: &Session, lines: &[Line], subscribe: &[Subscribe]) -> Result<(), RouteError> {
    if subscribe.iter().any(|wish| wish.track.is_some()) && !session.subscribe {
        return Err(RouteError::MayNotSubscribe);
    }
    for wish in subscribe.iter().filter(|wish| wish.track.is_some()) {
        let receives =
            |line: &Line| line.mid == wish.mid && line.client_receives && matches!(line.kind, LineKind::Media(_));
        if !lines.iter().any(receives) {
            return Err(RouteError::WrongLine(wish.mid, "receives"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
