//! The state machine of rooms and sessions.
//!
//! Each input is handled in one turn; everything that it changes comes out as effects, first what has to be on disk before
//! anybody is told of it. A room begins on one media node, and spans further ones when that takes no more or a participant is far
//! from it ([`cascade`](crate::cascade)). When a node is lost, restarts or drains, its sessions are opened on another node and each
//! of their clients is told to negotiate there. Track and participant ids stay.

mod asking;
mod commanding;
mod joining;
mod leaving;
mod negotiating;
mod opening;
mod placing;
mod seating;
mod spanning;
mod tracks;

use super::{
    error::Refusal,
    exchange::{Effect, Input, Reply, Request},
    ids::{CallId, ConnectionId, Fence, Generation, OperationId, RoomId, SessionId, Tag, TrackId},
    member::Session,
    room::Room,
    wire::{Event, NodeInfo},
};
use crate::{
    allocation::{Constraints, MAX_NODES, Reservations},
    application::{Application, Meeting, Member, RoomView},
    index::Directory,
};
use chroom_primitives::{NodeId, UnixMs};
use rand::RngCore;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How long a session waits for its client to come back, in milliseconds.
pub const RESUME_MS: u64 = 15_000;
/// How long a room waits for a media node when it has none, in milliseconds.
const HOMELESS_MS: u64 = 30_000;
/// How long a node that failed is avoided, in milliseconds.
const AVOID_MS: u64 = 15_000;

/// Bounds on what clients can make the core hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Sessions in all.
    pub sessions: usize,
    /// Sessions in a room.
    pub sessions_per_room: usize,
    /// Media nodes that a room spans.
    pub nodes_per_room: usize,
    /// Tracks of a session.
    pub tracks: usize,
    /// Receiving m-lines of a session.
    pub wants: usize,
    /// Commands of a session that media nodes work on.
    pub in_flight: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 20_000,
            sessions_per_room: 1_000,
            nodes_per_room: MAX_NODES,
            tracks: 16,
            wants: 512,
            in_flight: 8,
        }
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
    Route,
    Close,
    CloseRoom,
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
    /// Rooms whose nodes may have to be told something.
    trees: BTreeSet<RoomId>,
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
    /// Clients' connections that have not ended.
    clients: BTreeSet<ConnectionId>,
    /// Their sessions.
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
            clients: BTreeSet::new(),
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
            session.node = session.node.filter(|node| room.tree.has(*node));
            self.sessions.insert(session.id, session);
        }
        let empty: Vec<RoomId> =
            self.rooms.values().filter(|room| room.sessions.is_empty()).map(|room| room.id.clone()).collect();
        for id in empty {
            self.remove_room(&mut turn, &id, "everybody left");
        }
        let mut unopened = Vec::new();
        for room in self.rooms.values_mut() {
            if room.tree.is_empty() {
                room.homeless_since = Some(turn.now);
                continue;
            }
            // What its nodes were told is told again.
            turn.trees.insert(room.id.clone());
            // Where the crash fell into a move, sessions may not be open yet.
            let closed = |id: &&SessionId| self.sessions.get(*id).is_some_and(|s| !s.is_open(room.generation));
            unopened.extend(room.sessions.iter().filter(closed).copied());
        }
        let nodes: BTreeSet<NodeId> = self.rooms.values().flat_map(|room| room.tree.nodes()).collect();
        let untold: Vec<(RoomId, NodeId, Fence)> = self
            .rooms
            .values()
            .flat_map(|room| room.tree.untold().map(|node| (room.id.clone(), node, room.fence)))
            .collect();
        for (room, node, fence) in &untold {
            self.leave_behind(&turn, *node, room, *fence, None);
        }
        for node in nodes.into_iter().chain(untold.into_iter().map(|(_, node, _)| node)) {
            self.watch(&mut turn, node);
        }
        for session in unopened {
            // Who has no node yet gets one with the next tick.
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
            Input::Connected(connection) => {
                self.clients.insert(connection);
            }
            Input::Disconnected(connection) => self.disconnected(t, connection),
            Input::Media { node, session, event } => self.media_event(t, node, session, event),
            Input::Speakers { node, room, participants } => self.speakers(t, node, &room, participants),
            Input::ParentLost { node, room, lost } => self.parent_lost(t, node, &room, lost),
            Input::ParentPoor { node, room, parent } => self.parent_poor(t, node, &room, parent),
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

    /// Number of rooms that are on more than one node.
    pub fn spanning(&self) -> usize {
        self.rooms.values().filter(|room| room.tree.seats().len() > 1).count()
    }

    /// All rooms.
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
            trees: BTreeSet::new(),
        }
    }

    fn finish(&mut self, mut turn: Turn<'_>) -> Vec<Effect> {
        self.lay_trees(&mut turn);
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
        if !self.clients.contains(&connection) {
            // Its end was told already and is not told again: a session that began here would never end.
            t.reply(call, Err(Refusal::NoSession("this connection has ended")));
            return;
        }
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
            .filter(|room| room.tree.is_empty() && room.retry_at <= now)
            .map(|room| (room.id.clone(), room.homeless_since.unwrap_or(now)))
            .collect();
        for (id, since) in waiting {
            if since + HOMELESS_MS <= now {
                self.close_room(t, &id, "no media node can take the room");
            } else {
                self.place(t, &id);
            }
        }

        self.leave_draining(t);
        self.seat_homeless(t);
        self.tend_trees(t);

        self.tell_stopped(t);
        self.close_leftovers(t);
        self.unwatch(t);
    }
}

fn info_of(t: &Turn<'_>, node: NodeId) -> NodeInfo {
    t.nodes.node(&node).map_or_else(|| NodeInfo::unknown(node), |view| NodeInfo::of(&view))
}
