//! Rooms, tracks and who receives what: a state machine without I/O, sockets or engine.
//!
//! What comes in are commands, packets and reports with the time; what goes out goes through an [`Outbox`]. All of a room
//! lives in one router, which one thread owns, so there are no locks.

mod choosing;
mod demanding;
mod forwarding;
mod housekeeping;
mod messaging;
mod picture;
mod publishing;
mod remote;
mod resident;
mod session;
mod sound;
mod subscribing;

use super::{
    audible::Audible,
    backlog::Backlog,
    codec::{Codec, Format, dependency::Numbering, red, targets::Target},
    demand::Demand,
    engine::{Line, LineKind, PathReport},
    event::{CloseReason, Event, Occurrence},
    headroom::{Change, Headroom, Reading},
    id::{Mid, ParticipantId, Rid, RoomId, SessionId, TrackId},
    keyframe::{self, Need},
    layer, limits,
    meter::Bucket,
    packet::{Channel, Forward, Kind, Packet},
    pressure,
    priority::Priority,
    rewrite::{Rewriter, Source},
    selector::{Selector, Verdict},
    speakers::{Level, Speakers},
    stats::{self, SessionStats, Totals},
    stream::{Frame, Quality, Stream},
    waiting::Waiting,
};
use crate::cascade::{control::LayerInfo, hub::Handle, link::FromRoom};
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
    /// Tells a publisher how much it may send in all.
    fn limit_uplink(&mut self, of: SessionKey, kbps: u32);
    /// Writes a data message; `false` if the channel doesn't take it now.
    fn send(&mut self, to: SessionKey, channel: Channel, message: &[u8]) -> bool;
    /// Says what the session's media would take.
    fn want_bitrate(&mut self, to: SessionKey, kbps: u32);
    /// Tells the orchestrator.
    fn event(&mut self, event: Event);
    /// Tells the cascade; only rooms that span nodes do.
    fn cascade(&mut self, _told: FromRoom) {}
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
    /// Its place among the client's videos where the line is narrow. Sound goes before all of them.
    pub priority: Priority,
}

/// Why something is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RouteError {
    /// Unknown room.
    #[error("no such room on this node: nobody has joined it here, or it is over")]
    NoRoom,
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
    /// Publications that take the place of one that comes over a pipe once they flow: [`publishing`].
    successors: HashMap<TrackId, TrackKey>,
    speakers: Speakers<ParticipantId>,
    /// How many microphones compete for the places below.
    voices: usize,
    audible: Audible<TrackKey>,
}

/// A stream of a track: its only one, or a layer of simulcast.
struct Layer {
    rid: Option<Rid>,
    stream: Stream,
    gate: keyframe::Gate,
    waiting: Waiting,
    /// Of a remote track: what its node says of the layer, which need not come here.
    told: Option<LayerInfo>,
}

impl Layer {
    fn new(rid: Option<Rid>, now: Instant) -> Self {
        let (stream, gate, waiting) = (Stream::new(now), keyframe::Gate::default(), Waiting::default());
        Self { rid, stream, gate, waiting, told: None }
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
    /// For the cascade: the track's handle, and the layers that go over pipes.
    tap: Option<(Handle, u8)>,
    /// Whether the cascade was told of this publication.
    told: bool,
    /// Its handle, if it comes over a pipe.
    remote: Option<Handle>,
    level: Level,
    /// Its place among the voices that are heard.
    place: Option<usize>,
    /// Whether its last packet was forwarded.
    heard: bool,
    demand: Demand,
    started: bool,
    /// Whether it has its name's place in the room, or waits for it.
    shown: bool,
}

impl Track {
    /// Whether it competes with others for being heard: screens' sound is there to be listened to.
    fn is_voice(&self) -> bool {
        self.kind == Kind::Audio && self.source != "screen-audio" && !self.id.is_reserved()
    }

    /// Whether its publisher hears what of it is wanted. Nobody can want what has not begun, as nobody has heard of it.
    fn is_in_demand(&self) -> bool {
        self.kind == Kind::Video && self.remote.is_none() && self.started && self.shown
    }
}

/// How packets of one format go to a client.
#[derive(Clone, Copy)]
struct Wire {
    payload_type: u8,
    /// Whether redundant audio is taken out, because the client doesn't know it.
    primary: bool,
}

/// What a receiving m-line is for.
struct Wish {
    track: TrackId,
    max_height: u32,
    priority: Priority,
}

/// A receiving m-line of a client.
struct Down {
    mid: Mid,
    kind: Kind,
    wanted: Option<Wish>,
    track: Option<TrackKey>,
    /// The layer that is forwarded.
    current: Option<usize>,
    /// The layer that shall be.
    target: Option<usize>,
    /// Whether the line doesn't carry it.
    paused: bool,
    /// When a layer was stopped that filled the line.
    flooded: Option<Instant>,
    /// The packet with which the present layer began.
    began: Option<u64>,
    /// The quality inside that layer.
    quality: Target,
    selector: Selector,
    rewriter: Rewriter,
    numbering: Numbering,
    /// The codec that the client knows instead, where it lacks the publisher's.
    knows: Option<Codec>,
    /// How the last format that came goes to the client.
    wire: Option<(Format, Option<Wire>)>,
    /// Whether the client still receives on it.
    open: bool,
}

impl Down {
    /// Sends nothing until the next key frame of what is chosen then; the client's numbers go on.
    fn stop(&mut self) {
        self.current = None;
        self.target = None;
        self.paused = false;
        self.rewriter.pause();
    }
}

struct Session {
    id: SessionId,
    room: usize,
    participant: ParticipantId,
    /// Whether it stands for someone who isn't a client here: a participant of another node, or a resident.
    remote: bool,
    /// Whether its client lives in the node.
    resident: bool,
    publish: bool,
    subscribe: bool,
    uplink_kbps: u32,
    /// Whether the orchestrator set the limit, so that the client is told.
    uplink_told: bool,
    opened: Instant,
    connected: Option<Instant>,
    /// Whether the client has shown that its side is up, too.
    ready: bool,
    lost_at: Option<Instant>,
    /// When media or a report of its client came last.
    heard: Instant,
    up: Vec<(Mid, TrackKey)>,
    down: Slab<Down>,
    lines: Vec<Line>,
    uplink: Bucket,
    messages: Bucket,
    message_bytes: Bucket,
    channels: Channels,
    backlog: Backlog,
    headroom: Headroom,
    desired: u32,
    stale_choice: bool,
    /// When layers were chosen last.
    chosen: Instant,
    /// The paused videos that the client was told of.
    told_paused: Vec<TrackId>,
    sent_packets: u64,
    sent_bytes: u64,
    received_packets: u64,
    received_bytes: u64,
    path: PathReport,
    /// The sums of the last seconds' reports.
    history: VecDeque<PathReport>,
}

impl Session {
    /// Whether its client has gone. Where a fifth is lost, all of a client's consent checks of 20 s may be, while the rest of what it sends shows that
    /// it is there.
    fn is_gone(&self, now: Instant) -> bool {
        let is_heard = now.saturating_duration_since(self.heard) < limits::HEARD_LATELY;
        let patience = if is_heard { limits::CONSENT_GRACE } else { limits::DISCONNECT_GRACE };
        self.lost_at.is_some_and(|lost| now.saturating_duration_since(lost) >= patience)
    }
}

/// How long media waits, after the handshake's end here, for a sign that it has ended at the client: what came sooner would be lost there.
/// Clients give it at once by opening their data channels; those that offer none aren't waited for.
const READY_WAIT: Duration = Duration::from_millis(250);
/// A key frame is asked for so long after a layer that filled the line was stopped: it would find the queue full, and what of it is lost then
/// takes a round trip of the receiver's to repair.
const GIVE_WAY: Duration = Duration::from_millis(60);
/// How often layers are chosen anew without cause, and in how many [`TICK`]s, a part of the sessions in each: all at once, what comes in meanwhile
/// would wait for thousands of choices.
const CHOICE_INTERVAL: Duration = Duration::from_millis(500);
const CHOICE_TICKS: usize = (CHOICE_INTERVAL.as_millis() / TICK.as_millis()) as usize;
/// How often publishers are told their limit.
const LIMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Share of the estimate that is left for sound and data, in kb/s per forwarded audio track; more if it takes more.
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
    bridges: remote::Bridges,
    random: u64,
    /// Ticks so far.
    ticks: usize,
    /// When the demand for all tracks was looked at last.
    looked: Option<Instant>,
    limited: Option<Instant>,
    /// Share of the wanted video that receivers may have, in percent: [`super::pressure`].
    share: u8,
    /// The thread was at its end in the last second.
    strained: bool,
    /// Tracks for which the demand may have changed.
    demanded: Vec<TrackKey>,
    /// What is sent in the place of a late packet that a receiver shall not get.
    empty: Arc<[u8]>,
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
            bridges: remote::Bridges::default(),
            random: seed,
            ticks: 0,
            looked: None,
            limited: None,
            share: 100,
            strained: false,
            demanded: Vec::new(),
            empty: Arc::from([]),
        }
    }

    /// What the router carries.
    pub fn totals(&self) -> Totals {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Totals {
            rooms: count(self.rooms.len()),
            sessions: count(self.sessions.iter().filter(|(_, session)| !session.remote).count()),
            tracks: count(self.tracks.len()),
        }
    }

    /// The session's key.
    pub fn key(&self, session: &SessionId) -> Option<SessionKey> {
        self.by_session.get(session).copied()
    }

    /// The sessions of a room's clients here.
    pub fn room_sessions(&self, room: &RoomId) -> Vec<SessionKey> {
        self.by_room
            .get(room)
            .and_then(|room| self.rooms.get(*room))
            .map(|room| room.sessions.as_slice())
            .unwrap_or_default()
            .iter()
            .filter(|key| self.sessions.get(key.0).is_some_and(|session| !session.remote))
            .copied()
            .collect()
    }

    /// Figures of one session or of all.
    pub fn stats(&self, only: Option<&SessionId>) -> Vec<SessionStats> {
        self.sessions
            .iter()
            .filter(|(_, session)| !session.remote && only.is_none_or(|only| session.id == *only))
            .filter_map(|(_, session)| self.figures(session))
            .collect()
    }

    /// Figures of the session with this key, the last ones when it is about to be closed.
    pub fn stats_of(&self, key: SessionKey) -> Option<SessionStats> {
        self.figures(self.sessions.get(key.0)?)
    }

    fn figures(&self, session: &Session) -> Option<SessionStats> {
        let room = self.rooms.get(session.room)?;
        let (before, path) = (session.history.front().copied().unwrap_or_default(), session.path);
        let passed = |now: u64, before: u64| now.saturating_sub(before);
        Some(SessionStats {
            session: session.id,
            room: room.id.clone(),
            participant: session.participant.clone(),
            connected: session.connected.is_some() && session.lost_at.is_none(),
            sent_packets: session.sent_packets,
            sent_bytes: session.sent_bytes,
            received_packets: session.received_packets,
            received_bytes: session.received_bytes,
            expected: path.expected,
            lost: path.lost,
            loss: stats::loss(passed(path.expected, before.expected), passed(path.lost, before.lost)),
            rtt: path.rtt,
            jitter: path.jitter,
            estimate_kbps: session.headroom.estimate().unwrap_or(0),
            uplink: path.uplink,
            uplink_loss: stats::loss(
                passed(path.uplink.expected, before.uplink.expected),
                passed(path.uplink.lost, before.uplink.lost),
            ),
        })
    }

    /// A number for a rewriter's beginning: a linear congruential step is enough, it need not be secret.
    fn next_random(&mut self) -> u16 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 48) as u16
    }
}

#[cfg(test)]
mod tests;
