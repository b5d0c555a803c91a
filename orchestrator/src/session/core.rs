//! The state machine of rooms and sessions.
//!
//! Each input is handled in one turn; everything that it changes comes out as effects, first what has to be on disk before
//! anybody is told of it. A room is on one media node at a time. It moves when the node is lost, restarts or drains: the
//! room gets a greater fencing epoch and generation, its sessions are opened on the new node, and each client is told to
//! negotiate there. Track and participant ids stay.

use super::{
    error::Refusal,
    exchange::{
        Command, DRAINING, Effect, Failure, Input, Join, MediaEvent, OPENED_ANEW, Outcome, Publish, Reply, Request,
        Subscription, Ticket,
    },
    ids::{CallId, ConnectionId, Fence, Generation, OperationId, ParticipantId, RoomId, SessionId, Tag, TrackId},
    member::{Session, Want},
    room::Room,
    track::Track,
    wire::{Event, NodeInfo, ParticipantInfo, RECEIPT_INTERVAL_MS, SessionInfo, TrackInfo},
};
use crate::{
    allocation::{self, Constraints, Explanation, Reservations, Search},
    application::{AfterLeave, Application, Meeting, Member, RoomView},
    index::Directory,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chroom_primitives::{NodeId, UnixMs};
use rand::RngCore;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use subtle::ConstantTimeEq;
use tracing::{debug, info, warn};

/// How long a session waits for its client to come back, in milliseconds.
pub const RESUME_MS: u64 = 15_000;
/// How long a room waits for a media node when it has none, in milliseconds.
const HOMELESS_MS: u64 = 30_000;
/// How often a room without a node looks for one, in milliseconds.
const RETRY_MS: u64 = 1_000;
/// How often a room on a draining node looks for another, in milliseconds.
const DRAIN_RETRY_MS: u64 = 5_000;
/// How long a draining node keeps a room that moved away, so that clients can change over, in milliseconds.
const CHANGE_OVER_MS: u64 = 20_000;
/// How long a node that failed is avoided, in milliseconds.
const AVOID_MS: u64 = 15_000;
/// How long a lost node's rooms are remembered, so that they are closed if it comes back, in milliseconds.
const LEFTOVER_MS: u64 = 600_000;
/// How often a session whose media connection does not come up is opened anew before it ends.
const MAX_MENDS: u32 = 3;
/// How long a node without rooms is still watched, in milliseconds.
const UNWATCH_MS: u64 = 60_000;

/// Bounds on what clients can make the core hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Sessions in all.
    pub sessions: usize,
    /// Sessions in a room.
    pub sessions_per_room: usize,
    /// Tracks of a session.
    pub tracks: usize,
    /// Receiving m-lines of a session.
    pub wants: usize,
    /// Commands of a session that media nodes work on.
    pub in_flight: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions: 20_000, sessions_per_room: 1_000, tracks: 16, wants: 512, in_flight: 8 }
    }
}

/// The rules of an application's rooms.
#[derive(Clone)]
pub struct Rules {
    /// Its profile.
    pub profile: Arc<dyn Application>,
    /// What it asks of media nodes.
    pub constraints: Constraints,
}

impl Default for Rules {
    fn default() -> Self {
        Self { profile: Arc::new(Meeting::default()), constraints: Constraints::default() }
    }
}

/// What a turn gets from outside.
pub struct Env<'a> {
    /// The time, Unix ms.
    pub now: UnixMs,
    /// Randomness: session secrets come from it, so it must be cryptographically secure.
    pub rng: &'a mut dyn RngCore,
    /// The nodes.
    pub nodes: &'a dyn Directory,
}

/// A command that a media node works on.
struct Operation {
    kind: OperationKind,
    session: SessionId,
    room: RoomId,
    node: NodeId,
    generation: Generation,
    fence: Fence,
}

enum OperationKind {
    Open,
    Negotiate { call: CallId, publish: Vec<(String, TrackId)>, new: Vec<TrackId> },
    Subscribe { call: Option<CallId> },
    Close,
}

/// A room that a node may still have though it moved away.
struct Leftover {
    room: RoomId,
    fence: Fence,
    /// When to close it there; none: when the node is back.
    due: Option<UnixMs>,
    /// When to forget it.
    until: UnixMs,
}

struct PendingJoin {
    call: CallId,
    secret: String,
}

/// What a turn works with.
struct Turn<'a> {
    now: UnixMs,
    rng: &'a mut dyn RngCore,
    nodes: &'a dyn Directory,
    out: Vec<Effect>,
    rooms: BTreeSet<RoomId>,
    sessions: BTreeSet<SessionId>,
}

impl Turn<'_> {
    fn reply(&mut self, call: CallId, result: Result<Reply, Refusal>) {
        self.out.push(Effect::Reply { call, result: Box::new(result) });
    }

    fn notify(&mut self, connection: Option<ConnectionId>, event: Event) {
        if let Some(connection) = connection {
            self.out.push(Effect::Notify { connection, event: Box::new(event) });
        }
    }
}

/// The state machine.
pub struct Core {
    tag: Tag,
    limits: Limits,
    rules: BTreeMap<String, Rules>,
    rooms: BTreeMap<RoomId, Room>,
    sessions: BTreeMap<SessionId, Session>,
    connections: BTreeMap<ConnectionId, SessionId>,
    joins: BTreeMap<SessionId, PendingJoin>,
    operations: BTreeMap<OperationId, Operation>,
    next_operation: u64,
    last_fence: Fence,
    reservations: Reservations,
    /// Nodes that failed, until when and why.
    avoid: BTreeMap<NodeId, (UnixMs, String)>,
    leftovers: BTreeMap<NodeId, Vec<Leftover>>,
    /// Nodes that are watched, and when they were last needed.
    watched: BTreeMap<NodeId, UnixMs>,
}

const NO_SESSION: Refusal = Refusal::NoSession("there is no session on this connection: call session.join first");

impl Core {
    /// A core without rooms, whose sessions bear `tag`.
    pub fn new(tag: Tag, limits: Limits, rules: BTreeMap<String, Rules>) -> Self {
        Self {
            tag,
            limits,
            rules,
            rooms: BTreeMap::new(),
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            joins: BTreeMap::new(),
            operations: BTreeMap::new(),
            next_operation: 0,
            last_fence: Fence(0),
            reservations: Reservations::default(),
            avoid: BTreeMap::new(),
            leftovers: BTreeMap::new(),
            watched: BTreeMap::new(),
        }
    }

    /// Takes over what an earlier run stored. Clients have [`RESUME_MS`] from now on to resume; sessions whose join was
    /// never answered are dropped.
    pub fn restore(&mut self, rooms: Vec<Room>, sessions: Vec<Session>, env: Env<'_>) -> Vec<Effect> {
        let mut turn = self.turn(env);
        for room in rooms {
            self.last_fence = self.last_fence.max(room.fence);
            self.rooms.insert(room.id.clone(), Room { sessions: Vec::new(), ..room });
        }
        let mut sessions = sessions;
        sessions.sort_by_key(|session| (session.started_ms, session.id));
        for mut session in sessions {
            let room = self.rooms.get_mut(&session.room);
            let Some(room) = room.filter(|_| session.joined) else {
                turn.sessions.insert(session.id);
                continue;
            };
            room.sessions.push(session.id);
            session.offline_since = Some(turn.now);
            self.sessions.insert(session.id, session);
        }
        let empty: Vec<RoomId> =
            self.rooms.values().filter(|room| room.sessions.is_empty()).map(|room| room.id.clone()).collect();
        for id in empty {
            self.remove_room(&mut turn, &id, "everybody left");
        }
        let mut unopened = Vec::new();
        for room in self.rooms.values_mut() {
            if room.node.is_none() {
                room.homeless_since = Some(turn.now);
                continue;
            }
            // Where the crash fell into a move, sessions may not be open yet.
            let closed = |id: &&SessionId| self.sessions.get(*id).is_some_and(|s| s.opened_in != Some(room.generation));
            unopened.extend(room.sessions.iter().filter(closed).copied());
        }
        let nodes: BTreeSet<NodeId> = self.rooms.values().filter_map(|room| room.node).collect();
        for node in nodes {
            self.watch(&mut turn, node);
        }
        for session in unopened {
            self.open(&mut turn, session);
        }
        self.finish(turn)
    }

    /// Handles one input.
    pub fn handle(&mut self, input: Input, env: Env<'_>) -> Vec<Effect> {
        let mut turn = self.turn(env);
        let t = &mut turn;
        match input {
            Input::Request { connection, call, request } => self.request(t, connection, call, request),
            Input::Disconnected(connection) => self.disconnected(t, connection),
            Input::Media { node, session, event } => self.media_event(t, node, session, event),
            Input::Speakers { node, room, participants } => self.speakers(t, node, &room, participants),
            Input::Completed { operation, result } => self.completed(t, operation, result),
            Input::NodeLost { node, reason } => self.node_lost(t, node, &reason),
            Input::NodeReached { node, sessions } => self.node_reached(t, node, &sessions),
            Input::Tick => self.tick(t),
        }
        self.finish(turn)
    }

    /// Number of live sessions and rooms.
    pub fn sizes(&self) -> (usize, usize) {
        (self.sessions.len(), self.rooms.len())
    }

    /// Rooms by the node that serves them.
    pub fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.rooms.values()
    }

    /// Live sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    fn turn<'a>(&self, env: Env<'a>) -> Turn<'a> {
        Turn {
            now: env.now,
            rng: env.rng,
            nodes: env.nodes,
            out: Vec::new(),
            rooms: BTreeSet::new(),
            sessions: BTreeSet::new(),
        }
    }

    fn finish(&self, turn: Turn<'_>) -> Vec<Effect> {
        let Turn { out, rooms, sessions, .. } = turn;
        if rooms.is_empty() && sessions.is_empty() {
            return out;
        }
        let rooms = rooms.into_iter().map(|id| (id.clone(), self.rooms.get(&id).cloned().map(Box::new))).collect();
        let sessions = sessions.into_iter().map(|id| (id, self.sessions.get(&id).cloned().map(Box::new))).collect();
        let mut effects = vec![Effect::Store { rooms, sessions }];
        effects.extend(out);
        effects
    }

    fn request(&mut self, t: &mut Turn<'_>, connection: ConnectionId, call: CallId, request: Request) {
        let session = self.connections.get(&connection).copied();
        let joined = session.filter(|id| self.sessions.get(id).is_some_and(|s| s.joined));
        // Requests that media nodes answer reply later; the others now.
        let now = match (request, joined) {
            (Request::Join(join), _) => self.join(t, connection, call, *join).map(|()| None),
            (Request::Resume { session: id, secret }, _) => self.resume(t, connection, session, id, &secret).map(Some),
            (_, None) => Err(NO_SESSION),
            (Request::Negotiate { offer, publish, subscribe }, Some(id)) => {
                self.negotiate(t, id, call, offer, publish, subscribe).map(|()| None)
            }
            (Request::Subscribe(subscribe), Some(id)) => self.subscribe(t, id, call, subscribe),
            (Request::Mute { track, muted }, Some(id)) => self.mute(t, id, &track, muted).map(Some),
            (Request::Unpublish(track), Some(id)) => self.unpublish(t, id, &track).map(Some),
            (Request::Leave, Some(id)) => {
                self.end(t, id, "left", None);
                Ok(Some(Reply::Done))
            }
            (Request::Kick(participant), Some(id)) => self.kick(t, id, &participant).map(Some),
            (Request::NodeInfo, Some(id)) => Ok(Some(Reply::Node(Box::new(self.node_info(t, id))))),
            (Request::Ticket, Some(id)) => self.ticket(id).map(Some),
        };
        match now {
            Ok(Some(reply)) => t.reply(call, Ok(reply)),
            Ok(None) => {}
            Err(refusal) => t.reply(call, Err(refusal)),
        }
    }

    fn rules(&self, application: &str) -> Rules {
        self.rules.get(application).cloned().unwrap_or_default()
    }

    fn view<'a>(&'a self, room: &'a Room) -> RoomView<'a> {
        let members = room
            .sessions
            .iter()
            .filter_map(|id| self.sessions.get(id))
            .filter(|session| session.joined)
            .map(|session| Member {
                participant: &session.participant,
                identity: &session.identity,
                rights: session.rights,
                since: session.started_ms,
            })
            .collect();
        RoomView { name: &room.name, members, host: room.host.as_ref() }
    }

    fn join(&mut self, t: &mut Turn<'_>, connection: ConnectionId, call: CallId, join: Join) -> Result<(), Refusal> {
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
                    node: None,
                    fence: Fence(0),
                    generation: Generation(0),
                    cell: join.cell,
                    sessions: Vec::new(),
                    host: None,
                    moved_because: String::new(),
                    homeless_since: None,
                    retry_at: 0,
                    tried: BTreeMap::new(),
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
            joined: false,
            opened_in: None,
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
        };
        room.sessions.push(id);
        let placed = room.node.is_some();
        self.rooms.insert(room_id.clone(), room);
        self.sessions.insert(id, session);
        self.connections.insert(connection, id);
        self.joins.insert(id, PendingJoin { call, secret });
        t.rooms.insert(room_id.clone());
        t.sessions.insert(id);
        if placed {
            self.open(t, id);
        } else {
            // Where there is no place, the pending join is answered with the reason.
            self.place(t, &room_id);
        }
        Ok(())
    }

    fn resume(
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

    fn session_info(&self, t: &Turn<'_>, id: SessionId, secret: String) -> Option<SessionInfo> {
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
            node: room.node.map_or_else(|| NodeInfo::unknown(NodeId::default()), |node| info_of(t, node)),
            ice_servers: Vec::new(),
            generation: session.generation(room.generation),
            participants,
            receipt_interval_ms: RECEIPT_INTERVAL_MS,
            host: room.host.clone(),
        })
    }

    /// A fencing epoch greater than all before, over restarts too: it is the time, or one more than the last.
    fn next_fence(&mut self, now: UnixMs) -> Fence {
        self.last_fence = Fence(self.last_fence.0.saturating_add(1).max(now));
        self.last_fence
    }

    /// Looks for a place for a room and opens its sessions there. Where there is none, pending joins are refused; the
    /// sessions that the room has wait.
    fn place(&mut self, t: &mut Turn<'_>, id: &RoomId) {
        let Some(room) = self.rooms.get(id) else { return };
        let rules = self.rules(&room.application);
        let mut avoid: BTreeMap<NodeId, String> =
            self.avoid.iter().map(|(node, (_, reason))| (*node, reason.clone())).collect();
        avoid.extend(room.tried.iter().map(|(node, reason)| (*node, reason.clone())));
        let search =
            Search { cell: room.cell, constraints: rules.profile.constraints(&room.name, rules.constraints), avoid };
        let decision = allocation::allocate(&search, &t.nodes.media_nodes(), &self.reservations, t.now, t.rng);
        let Some(node) = decision.node else {
            self.no_place(t, id, &decision.explanation);
            return;
        };
        let fence = self.next_fence(t.now);
        let Some(room) = self.rooms.get_mut(id) else { return };
        let previous = room.node.replace(node);
        room.generation = Generation(room.generation.0.saturating_add(1));
        room.fence = fence;
        info!(
            room = %id, %node, generation = room.generation.0, because = %room.moved_because,
            considered = %decision.explanation.summary(), "room placed"
        );
        let sessions = room.sessions.clone();
        t.rooms.insert(id.clone());
        if let Some(previous) = previous.filter(|previous| *previous != node) {
            self.leave_behind(t, previous, id, Some(t.now + CHANGE_OVER_MS));
        }
        for session in sessions {
            if let Some(session) = self.sessions.get_mut(&session) {
                session.forget_media();
                session.mending = None;
                t.sessions.insert(session.id);
            }
            self.open(t, session);
        }
        // What was left there of an earlier stay is replaced by what is opened now.
        if let Some(leftovers) = self.leftovers.get_mut(&node) {
            leftovers.retain(|leftover| leftover.room != *id);
        }
    }

    fn no_place(&mut self, t: &mut Turn<'_>, id: &RoomId, explanation: &Explanation) {
        warn!(room = %id, considered = %explanation.summary(), "no media node can take the room");
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.tried.clear();
        if room.node.is_none() {
            room.homeless_since.get_or_insert(t.now);
            room.retry_at = t.now + RETRY_MS;
            t.rooms.insert(id.clone());
        } else {
            room.retry_at = t.now + DRAIN_RETRY_MS;
            return;
        }
        let waiting: Vec<SessionId> =
            room.sessions.iter().copied().filter(|session| self.joins.contains_key(session)).collect();
        for session in waiting {
            if let Some(join) = self.joins.remove(&session) {
                t.reply(join.call, Err(Refusal::NoMediaNode(Box::new(explanation.clone()))));
            }
            self.end(t, session, "no media node", None);
        }
    }

    /// Remembers that a node may still have a room.
    fn leave_behind(&mut self, t: &Turn<'_>, node: NodeId, room: &RoomId, due: Option<UnixMs>) {
        let fence = self.rooms.get(room).map_or(self.last_fence, |room| room.fence);
        let leftovers = self.leftovers.entry(node).or_default();
        leftovers.retain(|leftover| leftover.room != *room);
        leftovers.push(Leftover { room: room.clone(), fence, due, until: t.now + LEFTOVER_MS });
    }

    fn watch(&mut self, t: &mut Turn<'_>, node: NodeId) {
        if self.watched.insert(node, t.now).is_none() {
            t.out.push(Effect::Watch(node));
        }
    }

    fn command(
        &mut self,
        t: &mut Turn<'_>,
        kind: OperationKind,
        session: SessionId,
        room: &Room,
        node: NodeId,
        command: Command,
    ) {
        self.watch(t, node);
        self.next_operation += 1;
        let operation = OperationId(self.next_operation);
        self.operations.insert(
            operation,
            Operation { kind, session, room: room.id.clone(), node, generation: room.generation, fence: room.fence },
        );
        t.out.push(Effect::Command { node, operation, command });
    }

    fn open(&mut self, t: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Some(room) = self.rooms.get(&session.room).cloned() else { return };
        let Some(node) = room.node else { return };
        let stale = self.leftovers.get(&node).is_some_and(|all| all.iter().any(|leftover| leftover.room == room.id));
        let command = Command::Open {
            session: id,
            room: room.id.clone(),
            fence: room.fence,
            participant: session.participant.clone(),
            rights: session.rights,
            stale,
        };
        self.reservations.add(node, t.now);
        self.command(t, OperationKind::Open, id, &room, node, command);
    }

    /// The session's room and node, if the node has the session open.
    fn served(&self, id: SessionId) -> Result<(Room, NodeId), Refusal> {
        let session = self.sessions.get(&id).ok_or(NO_SESSION)?;
        let room = self.rooms.get(&session.room).ok_or(NO_SESSION)?;
        match room.node {
            Some(node) if session.opened_in == Some(room.generation) => Ok((room.clone(), node)),
            _ => Err(Refusal::MediaNodeFailed(
                "the room is moving to another media node; wait for `moved`, then negotiate".to_owned(),
            )),
        }
    }

    fn take_flight(&mut self, id: SessionId) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&id).ok_or(NO_SESSION)?;
        if session.in_flight >= self.limits.in_flight {
            return Err(Refusal::TooManyRequests("wait for the answers to the requests before"));
        }
        session.in_flight += 1;
        Ok(())
    }

    fn negotiate(
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

        let mut new = Vec::new();
        let published: Vec<(String, TrackId, super::track::Source)> = publish
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
        let command = Command::Negotiate { session: id, fence: room.fence, offer, publish: published, subscribe };
        self.command(t, kind, id, &room, node, command);
        Ok(())
    }

    /// Notes what a session wants to receive, and holds back what its media node doesn't know yet: a publisher may still be
    /// on its way to the room's new node.
    fn want(&mut self, room: &Room, id: SessionId, subscribe: Vec<Subscription>) -> Vec<Subscription> {
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
                        if !known.contains(&track) {
                            session.withheld.insert(wanted.mid.clone());
                            wanted.track = None;
                        }
                        session.wants.insert(wanted.mid.clone(), Want { track, max_height: wanted.max_height });
                    }
                    None => {
                        session.wants.remove(&wanted.mid);
                    }
                }
                wanted
            })
            .collect()
    }

    fn subscribe(
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
        let command = Command::Subscribe { session: id, fence: room.fence, subscribe };
        self.command(t, OperationKind::Subscribe { call: Some(call) }, id, &room, node, command);
        Ok(None)
    }

    /// Connects m-lines that waited for tracks which the media node knows now.
    fn connect_withheld(&mut self, t: &mut Turn<'_>, room: &Room, tracks: &BTreeSet<TrackId>) {
        let Some(node) = room.node else { return };
        for id in &room.sessions {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            if session.opened_in != Some(room.generation) || session.withheld.is_empty() {
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
                })
                .collect();
            if ready.is_empty() {
                continue;
            }
            for subscription in &ready {
                session.withheld.remove(&subscription.mid);
            }
            t.sessions.insert(*id);
            let command = Command::Subscribe { session: *id, fence: room.fence, subscribe: ready };
            self.command(t, OperationKind::Subscribe { call: None }, *id, room, node, command);
        }
    }

    fn mute(&mut self, t: &mut Turn<'_>, id: SessionId, track: &TrackId, muted: bool) -> Result<Reply, Refusal> {
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

    fn unpublish(&mut self, t: &mut Turn<'_>, id: SessionId, track: &TrackId) -> Result<Reply, Refusal> {
        let session = self.sessions.get_mut(&id).ok_or(NO_SESSION)?;
        let removed = session.tracks.remove(track).ok_or_else(|| not_yours(track))?;
        let (participant, room) = (session.participant.clone(), session.room.clone());
        t.sessions.insert(id);
        if removed.announced {
            self.tell_others(t, &room, Some(id), &Event::TrackUnpublished { participant, track: track.clone() });
        }
        Ok(Reply::Done)
    }

    fn kick(&mut self, t: &mut Turn<'_>, id: SessionId, participant: &ParticipantId) -> Result<Reply, Refusal> {
        let session = self.sessions.get(&id).ok_or(NO_SESSION)?;
        if !session.rights.admin {
            return Err(Refusal::NotPermitted { needs: "admin" });
        }
        let room = self.rooms.get(&session.room).ok_or(NO_SESSION)?;
        let target = room
            .sessions
            .iter()
            .copied()
            .find(|other| self.sessions.get(other).is_some_and(|s| s.joined && s.participant == *participant))
            .ok_or_else(|| Refusal::InvalidParams(format!("{participant} is not in the room")))?;
        if target == id {
            return Err(Refusal::InvalidParams("to remove oneself there is session.leave".to_owned()));
        }
        self.end(t, target, "kicked", Some("kicked"));
        Ok(Reply::Done)
    }

    fn node_info(&self, t: &Turn<'_>, id: SessionId) -> NodeInfo {
        let node = self.sessions.get(&id).and_then(|s| self.rooms.get(&s.room)).and_then(|room| room.node);
        node.map_or_else(|| NodeInfo::unknown(NodeId::default()), |node| info_of(t, node))
    }

    fn ticket(&self, id: SessionId) -> Result<Reply, Refusal> {
        let session = self.sessions.get(&id).ok_or(NO_SESSION)?;
        Ok(Reply::Ticket(Box::new(Ticket {
            session: id,
            receipt_key: session.receipt_key,
            account: session.account.clone(),
            started_ms: session.started_ms,
        })))
    }

    fn disconnected(&mut self, t: &mut Turn<'_>, connection: ConnectionId) {
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

    fn media_event(&mut self, t: &mut Turn<'_>, node: NodeId, id: SessionId, event: MediaEvent) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(room) = self.rooms.get(&session.room).cloned() else { return };
        if room.node != Some(node) {
            // From the place that the room left.
            return;
        }
        match event {
            MediaEvent::Connected => {
                debug!(session = %id, %node, "media connected");
                session.mends = 0;
            }
            MediaEvent::Closed(reason) if reason == OPENED_ANEW => {}
            MediaEvent::Closed(reason) if reason == DRAINING => {
                // It waited long enough for us, and ends now.
                self.avoid.insert(node, (t.now + AVOID_MS, "it goes out of service".to_owned()));
                self.move_away(t, &room.id, "the media node goes out of service", true);
            }
            MediaEvent::Closed(reason) => {
                if session.opened_in == Some(room.generation) {
                    self.reopen(t, id, &format!("the media connection ended: {reason}"));
                }
            }
            MediaEvent::TrackStarted { track, layers } => {
                let Some(entry) = session.tracks.get_mut(&track) else { return };
                entry.known_in = Some(room.generation);
                entry.live_in = Some(room.generation);
                entry.layers = layers;
                t.sessions.insert(id);
                self.announce(t, id, &track);
                self.connect_withheld(t, &room, &BTreeSet::from([track]));
            }
            MediaEvent::TrackStopped(track) => {
                let Some(entry) = session.tracks.get_mut(&track) else { return };
                entry.live_in = None;
                t.sessions.insert(id);
                if std::mem::take(&mut entry.announced) {
                    let participant = session.participant.clone();
                    self.tell_others(t, &room.id, Some(id), &Event::TrackUnpublished { participant, track });
                }
            }
        }
    }

    /// Opens a session anew on the room's node, which no longer has it: its client has to make a new peer connection.
    fn reopen(&mut self, t: &mut Turn<'_>, id: SessionId, reason: &str) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        // Nobody is to blame for a session that timed out before its client had anything to negotiate.
        session.mends += u32::from(session.negotiated);
        if session.mends > MAX_MENDS {
            self.end(t, id, reason, Some(reason));
            return;
        }
        info!(session = %id, reason, "a session is opened anew");
        session.reopened = session.reopened.saturating_add(1);
        session.mending = Some(reason.to_owned());
        session.forget_media();
        t.sessions.insert(id);
        self.open(t, id);
    }

    /// Tells the others of a track, once.
    fn announce(&mut self, t: &mut Turn<'_>, id: SessionId, track: &TrackId) {
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

    fn speakers(&mut self, t: &mut Turn<'_>, node: NodeId, id: &RoomId, participants: Vec<ParticipantId>) {
        let Some(room) = self.rooms.get(id).filter(|room| room.node == Some(node)) else { return };
        let known: BTreeSet<&ParticipantId> = room
            .sessions
            .iter()
            .filter_map(|session| self.sessions.get(session))
            .filter(|session| session.joined)
            .map(|session| &session.participant)
            .collect();
        let participants = participants.into_iter().filter(|participant| known.contains(participant)).collect();
        self.tell_others(t, id, None, &Event::ActiveSpeakers { participants });
    }

    /// Tells all joined sessions of a room but one.
    fn tell_others(&self, t: &mut Turn<'_>, room: &RoomId, except: Option<SessionId>, event: &Event) {
        let Some(room) = self.rooms.get(room) else { return };
        for id in &room.sessions {
            if Some(*id) != except
                && let Some(session) = self.sessions.get(id).filter(|session| session.joined)
            {
                t.notify(session.connection, event.clone());
            }
        }
    }

    fn completed(&mut self, t: &mut Turn<'_>, operation: OperationId, result: Result<Outcome, Failure>) {
        let Some(operation) = self.operations.remove(&operation) else { return };
        match operation.kind {
            OperationKind::Close => {
                if let Err(failure) = result {
                    debug!(node = %operation.node, %failure, "closing on a media node failed");
                }
            }
            OperationKind::Open => self.opened(t, &operation, result),
            OperationKind::Negotiate { call, ref publish, ref new } => {
                self.negotiated(t, &operation, call, publish, new, result);
            }
            OperationKind::Subscribe { call } => {
                if let Err(failure) = &result {
                    debug!(session = %operation.session, node = %operation.node, %failure, "subscribing failed");
                }
                if let Some(call) = call {
                    self.land(operation.session);
                    let result = result.map(|_| Reply::Done);
                    t.reply(call, result.map_err(|failure| Refusal::MediaNodeFailed(failure.to_string())));
                }
            }
        }
    }

    fn land(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.in_flight = session.in_flight.saturating_sub(1);
        }
    }

    fn opened(&mut self, t: &mut Turn<'_>, operation: &Operation, result: Result<Outcome, Failure>) {
        let id = operation.session;
        let placed_there = self
            .rooms
            .get(&operation.room)
            .filter(|room| room.generation == operation.generation && room.node == Some(operation.node))
            .cloned();
        let (Some(room), true) = (placed_there, self.sessions.contains_key(&id)) else {
            // The session or the room has gone elsewhere meanwhile.
            if result.is_ok()
                && self
                    .rooms
                    .get(&operation.room)
                    .is_none_or(|room| room.node != Some(operation.node) || !self.sessions.contains_key(&id))
            {
                let command = Command::CloseSession {
                    session: id,
                    fence: operation.fence,
                    reason: "no longer wanted".to_owned(),
                };
                self.send_off(t, operation.node, &operation.room, operation.fence, command);
            }
            return;
        };
        match result {
            Ok(_) => {
                if let Some(room) = self.rooms.get_mut(&operation.room) {
                    room.tried.clear();
                    room.homeless_since = None;
                }
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.opened_in = Some(room.generation);
                    t.sessions.insert(id);
                }
                match self.joins.remove(&id) {
                    Some(join) => self.finish_join(t, id, join),
                    None => self.tell_moved(t, &room, id, operation.node),
                }
            }
            Err(failure) => self.open_failed(t, operation, &room, &failure),
        }
    }

    /// Tells a client that it has to make a new peer connection.
    fn tell_moved(&mut self, t: &mut Turn<'_>, room: &Room, id: SessionId, node: NodeId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let reason = session.mending.take().unwrap_or_else(|| room.moved_because.clone());
        let event = Event::Moved { node: info_of(t, node), generation: session.generation(room.generation), reason };
        t.notify(session.connection, event);
    }

    fn open_failed(&mut self, t: &mut Turn<'_>, operation: &Operation, room: &Room, failure: &Failure) {
        let (id, node) = (operation.session, operation.node);
        warn!(session = %id, %node, %failure, "a media node did not open a session");
        let others_open = room
            .sessions
            .iter()
            .filter_map(|other| self.sessions.get(other))
            .any(|other| other.opened_in == Some(room.generation));
        match failure {
            Failure::Unreachable(reason) if !others_open => {
                self.avoid.insert(node, (t.now + AVOID_MS, format!("not reached a moment ago: {reason}")));
            }
            Failure::Refused(reason) if !others_open => {
                if let Some(room) = self.rooms.get_mut(&room.id) {
                    room.tried.insert(node, format!("refused the session: {reason}"));
                }
            }
            // The room is well where it is; whether an unreachable node is lost, its watch decides.
            _ => {
                if let Some(join) = self.joins.remove(&id) {
                    t.reply(join.call, Err(Refusal::MediaNodeFailed(failure.to_string())));
                    self.end(t, id, "the media node failed", None);
                } else {
                    self.end(t, id, "the media node failed", Some(&format!("the media node failed: {failure}")));
                }
                return;
            }
        }
        self.move_away(t, &room.id, &format!("media node failed: {failure}"), true);
    }

    /// Sends a command that ends something, whatever comes of it.
    fn send_off(&mut self, t: &mut Turn<'_>, node: NodeId, room: &RoomId, fence: Fence, command: Command) {
        self.watch(t, node);
        self.next_operation += 1;
        let operation = OperationId(self.next_operation);
        let kind = OperationKind::Close;
        // No session is concerned, and no placement.
        let (session, generation) = (SessionId([0; 16]), Generation(0));
        self.operations.insert(operation, Operation { kind, session, room: room.clone(), node, generation, fence });
        t.out.push(Effect::Command { node, operation, command });
    }

    fn finish_join(&mut self, t: &mut Turn<'_>, id: SessionId, join: PendingJoin) {
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

    fn choose_host(&mut self, t: &mut Turn<'_>, id: &RoomId) {
        let Some(room) = self.rooms.get(id) else { return };
        let host = self.rules(&room.application).profile.choose_host(&self.view(room)).cloned();
        if host != room.host
            && let Some(room) = self.rooms.get_mut(id)
        {
            room.host = host;
            t.rooms.insert(id.clone());
        }
    }

    fn negotiated(
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
            (Ok(Outcome::Answer(sdp)), Some(session), Some(room)) if room.generation == operation.generation => {
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
                let why = match result {
                    Err(failure) => failure.to_string(),
                    Ok(_) => "the room moved meanwhile; negotiate again".to_owned(),
                };
                t.reply(call, Err(Refusal::MediaNodeFailed(why)));
            }
        }
    }

    /// Ends a session. The others in its room are told `reason`; its own client is told `tell`, if anything.
    fn end(&mut self, t: &mut Turn<'_>, id: SessionId, reason: &str, tell: Option<&str>) {
        let Some(session) = self.sessions.remove(&id) else { return };
        t.sessions.insert(id);
        if let Some(connection) = session.connection {
            self.connections.remove(&connection);
            if let Some(tell) = tell {
                t.notify(Some(connection), Event::Closed { reason: tell.to_owned() });
            }
        }
        if let Some(join) = self.joins.remove(&id) {
            t.reply(join.call, Err(Refusal::NoSession("the session ended before the join was done")));
        }
        self.fail_calls(t, |operation| operation.session == id, &|| Refusal::NoSession("the session ended meanwhile"));
        let Some(room) = self.rooms.get_mut(&session.room) else { return };
        room.sessions.retain(|other| *other != id);
        t.rooms.insert(session.room.clone());
        if session.joined {
            info!(session = %id, room = %session.room, reason, "session ended");
        }
        if room.sessions.is_empty() {
            self.remove_room(t, &session.room, "everybody left");
            return;
        }
        let room = room.clone();
        if let Some(node) = room.node {
            let command = Command::CloseSession { session: id, fence: room.fence, reason: reason.to_owned() };
            self.command(t, OperationKind::Close, id, &room, node, command);
        }
        if !session.joined {
            return;
        }
        let event = Event::ParticipantLeft { participant: session.participant, reason: reason.to_owned() };
        self.tell_others(t, &session.room, Some(id), &event);
        self.choose_host(t, &session.room);
        let after = self.rules(&room.application).profile.on_leave(&self.view(&room));
        if let AfterLeave::Close(reason) = after {
            // Pending joins are not members: a room that some are on their way to goes on.
            if room.sessions.iter().all(|other| self.sessions.get(other).is_some_and(|s| s.joined)) {
                self.close_room(t, &session.room, reason);
            }
        }
    }

    /// Ends all sessions of a room, and so the room.
    fn close_room(&mut self, t: &mut Turn<'_>, id: &RoomId, reason: &str) {
        let Some(room) = self.rooms.get(id) else { return };
        for session in room.sessions.clone() {
            self.end(t, session, reason, Some(reason));
        }
    }

    fn remove_room(&mut self, t: &mut Turn<'_>, id: &RoomId, reason: &str) {
        let Some(room) = self.rooms.remove(id) else { return };
        t.rooms.insert(id.clone());
        if let Some(node) = room.node {
            let command = Command::CloseRoom { room: id.clone(), fence: room.fence, reason: reason.to_owned() };
            self.send_off(t, node, id, room.fence, command);
        }
    }

    /// Refuses calls whose commands fit.
    fn fail_calls(&mut self, t: &mut Turn<'_>, fits: impl Fn(&Operation) -> bool, refusal: &dyn Fn() -> Refusal) {
        for operation in self.operations.values_mut().filter(|operation| fits(operation)) {
            let call = match &mut operation.kind {
                OperationKind::Negotiate { call, .. } => *call,
                OperationKind::Subscribe { call: Some(call) } => *call,
                _ => continue,
            };
            operation.kind = OperationKind::Close;
            t.reply(call, Err(refusal()));
        }
    }

    fn node_lost(&mut self, t: &mut Turn<'_>, node: NodeId, reason: &str) {
        warn!(%node, reason, "contact with a media node is lost");
        self.avoid.insert(node, (t.now + AVOID_MS, format!("contact lost: {reason}")));
        let sessions: BTreeSet<SessionId> =
            self.operations.values().filter(|op| op.node == node).map(|op| op.session).collect();
        self.fail_calls(t, |operation| operation.node == node, &|| {
            Refusal::MediaNodeFailed("contact with the media node is lost; wait for `moved`, then negotiate".to_owned())
        });
        self.operations.retain(|_, operation| operation.node != node);
        for id in sessions {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.in_flight = 0;
            }
        }
        for room in self.rooms_on(node) {
            self.move_away(t, &room, &format!("the media node is lost: {reason}"), true);
        }
    }

    fn rooms_on(&self, node: NodeId) -> Vec<RoomId> {
        self.rooms.values().filter(|room| room.node == Some(node)).map(|room| room.id.clone()).collect()
    }

    /// Moves a room to another node. From a lost one it goes at once; on a draining one it stays until it finds another.
    fn move_away(&mut self, t: &mut Turn<'_>, id: &RoomId, reason: &str, lost: bool) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.moved_because = reason.to_owned();
        let node = room.node;
        if lost {
            room.node = None;
            for session in room.sessions.clone() {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.opened_in = None;
                }
            }
            if let Some(node) = node {
                self.leave_behind(t, node, id, None);
            }
        }
        t.rooms.insert(id.clone());
        self.place(t, id);
    }

    fn node_reached(&mut self, t: &mut Turn<'_>, node: NodeId, there: &BTreeMap<SessionId, RoomId>) {
        info!(%node, sessions = there.len(), "contact with a media node");
        self.avoid.remove(&node);
        for leftover in self.leftovers.get_mut(&node).into_iter().flatten() {
            leftover.due.get_or_insert(t.now);
        }
        self.close_strays(t, node, there);
        for id in self.rooms_on(node) {
            let Some(room) = self.rooms.get(&id).cloned() else { continue };
            let expected: Vec<SessionId> = room
                .sessions
                .iter()
                .copied()
                .filter(|s| self.sessions.get(s).is_some_and(|s| s.opened_in == Some(room.generation)))
                .collect();
            if !expected.is_empty() && expected.iter().all(|session| !there.contains_key(session)) {
                self.move_away(t, &id, "the media node restarted", true);
                continue;
            }
            for session in expected.iter().filter(|session| !there.contains_key(session)) {
                self.reopen(t, *session, "the media connection ended");
            }
            // First packets may have come while nobody listened.
            for session in &expected {
                let missed: Vec<TrackId> = self
                    .sessions
                    .get(session)
                    .into_iter()
                    .flat_map(|s| &s.tracks)
                    .filter(|(_, track)| track.known_in == Some(room.generation) && !track.announced)
                    .map(|(id, _)| id.clone())
                    .collect();
                for track in missed {
                    self.announce(t, *session, &track);
                }
            }
        }
    }

    /// Ends this orchestrator's sessions on a node that have no business there: what ended or moved while the node was out
    /// of reach, or while the orchestrator was down.
    fn close_strays(&mut self, t: &mut Turn<'_>, node: NodeId, there: &BTreeMap<SessionId, RoomId>) {
        let strays: Vec<(SessionId, RoomId)> = there
            .iter()
            .filter(|(id, _)| id.is_of(self.tag))
            .filter(|(id, _)| {
                let room = self.sessions.get(id).and_then(|session| self.rooms.get(&session.room));
                room.is_none_or(|room| room.node != Some(node))
            })
            .map(|(id, room)| (*id, room.clone()))
            .collect();
        for (session, room) in strays {
            let fence = match self.rooms.get(&room) {
                Some(room) => room.fence,
                None => self.next_fence(t.now),
            };
            let command = Command::CloseSession { session, fence, reason: "over".to_owned() };
            self.send_off(t, node, &room, fence, command);
        }
    }

    fn tick(&mut self, t: &mut Turn<'_>) {
        let now = t.now;
        self.avoid.retain(|_, (until, _)| *until > now);
        self.reservations.forget_before(now);

        let gone: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|session| session.offline_since.is_some_and(|since| since + RESUME_MS <= now))
            .map(|session| session.id)
            .collect();
        for id in gone {
            self.end(t, id, "connection lost", None);
        }

        let waiting: Vec<(RoomId, UnixMs)> = self
            .rooms
            .values()
            .filter(|room| room.node.is_none() && room.retry_at <= now)
            .map(|room| (room.id.clone(), room.homeless_since.unwrap_or(now)))
            .collect();
        for (id, since) in waiting {
            if since + HOMELESS_MS <= now {
                self.close_room(t, &id, "no media node can take the room");
            } else {
                self.place(t, &id);
            }
        }

        let leaving: BTreeMap<NodeId, String> = self
            .rooms
            .values()
            .filter_map(|room| room.node)
            .collect::<BTreeSet<NodeId>>()
            .into_iter()
            .filter_map(|node| t.nodes.leaving(&node).map(|reason| (node, reason)))
            .collect();
        for (node, reason) in leaving {
            for id in self.rooms_on(node) {
                if self.rooms.get(&id).is_some_and(|room| room.retry_at <= now) {
                    self.move_away(t, &id, &reason, false);
                }
            }
        }

        self.close_leftovers(t);
        self.unwatch(t);
    }

    fn close_leftovers(&mut self, t: &mut Turn<'_>) {
        let now = t.now;
        let mut due = Vec::new();
        for (node, leftovers) in &mut self.leftovers {
            leftovers.retain(|leftover| {
                let is_due = leftover.due.is_some_and(|at| at <= now);
                if is_due {
                    due.push((*node, leftover.room.clone(), leftover.fence));
                }
                !is_due && leftover.until > now
            });
        }
        self.leftovers.retain(|_, leftovers| !leftovers.is_empty());
        for (node, id, fence) in due {
            if self.rooms.get(&id).is_some_and(|room| room.node == Some(node)) {
                continue;
            }
            let command = Command::CloseRoom { room: id.clone(), fence, reason: "moved".to_owned() };
            self.send_off(t, node, &id, fence, command);
        }
    }

    fn unwatch(&mut self, t: &mut Turn<'_>) {
        let needed: BTreeSet<NodeId> = self
            .rooms
            .values()
            .filter_map(|room| room.node)
            .chain(self.leftovers.keys().copied())
            .chain(self.operations.values().map(|operation| operation.node))
            .collect();
        let now = t.now;
        self.watched.retain(|node, last| {
            if needed.contains(node) {
                *last = now;
            }
            let keep = *last + UNWATCH_MS > now;
            if !keep {
                t.out.push(Effect::Unwatch(*node));
            }
            keep
        });
    }
}

fn not_yours(track: &TrackId) -> Refusal {
    Refusal::InvalidParams(format!("{track} is not a track of this session"))
}

fn info_of(t: &Turn<'_>, node: NodeId) -> NodeInfo {
    t.nodes.node(&node).map_or_else(|| NodeInfo::unknown(node), |view| NodeInfo::of(&view))
}
