//! A simulated network around one core.

use super::super::*;
use crate::{allocation::Constraints, application::Meeting, cascade::Route, simulated::Nodes};
use chroom_primitives::{AccountId, H3Cell, NodeId, UnixMs};
use h3o::{LatLng, Resolution};
use rand::{SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub(super) const TAG: Tag = Tag([7; 4]);
pub(super) const T0: UnixMs = 1_800_000_000_000;

/// A simulated media node: it answers commands as a real one would.
#[derive(Default)]
pub(super) struct Media {
    /// How often each session was opened.
    pub(super) opened: BTreeMap<SessionId, usize>,
    /// Sessions with their rooms.
    pub(super) sessions: BTreeMap<SessionId, RoomId>,
    pub(super) fences: BTreeMap<RoomId, Fence>,
    pub(super) tracks: BTreeMap<TrackId, SessionId>,
    pub(super) subscriptions: BTreeMap<(SessionId, String), TrackId>,
    pub(super) priorities: BTreeMap<(SessionId, String), Priority>,
    /// Its neighbours in rooms that span nodes.
    pub(super) routes: BTreeMap<RoomId, Route>,
    pub(super) refuses: Option<String>,
    /// Refuses places in trees.
    pub(super) pipeless: bool,
    pub(super) dead: bool,
}

impl Media {
    pub(super) fn fence(&mut self, room: &RoomId, fence: Fence) -> Result<(), Failure> {
        let greatest = self.fences.entry(room.clone()).or_default();
        if fence < *greatest {
            return Err(Failure::Refused("a greater fence was seen".into()));
        }
        *greatest = fence;
        Ok(())
    }

    pub(super) fn execute(&mut self, command: Command) -> Result<Outcome, Failure> {
        if self.dead {
            return Err(Failure::Unreachable("connection refused".into()));
        }
        match command {
            Command::Open { session, room, fence, stale, .. } => {
                if let Some(reason) = &self.refuses {
                    return Err(Failure::Refused(reason.clone()));
                }
                self.fence(&room, fence)?;
                // The link closes an older session of this id first, whether it was foreseen (`stale`) or found out.
                let _ = stale;
                self.tracks.retain(|_, owner| *owner != session);
                self.sessions.insert(session, room);
                *self.opened.entry(session).or_default() += 1;
                Ok(Outcome::Done)
            }
            Command::Negotiate { session, fence, publish, subscribe, .. } => {
                let room = self.sessions.get(&session).cloned().ok_or(Failure::Refused("no session".into()))?;
                self.fence(&room, fence)?;
                for (_, track, _) in publish {
                    self.tracks.insert(track, session);
                }
                self.subscribe(session, subscribe);
                Ok(Outcome::Answer("answer".into()))
            }
            Command::Subscribe { session, fence, subscribe } => {
                let room = self.sessions.get(&session).cloned().ok_or(Failure::Refused("no session".into()))?;
                self.fence(&room, fence)?;
                self.subscribe(session, subscribe);
                Ok(Outcome::Done)
            }
            Command::CloseSession { session, .. } => {
                self.sessions.remove(&session);
                self.tracks.retain(|_, owner| *owner != session);
                Ok(Outcome::Done)
            }
            Command::CloseRoom { room, fence, .. } => {
                self.fence(&room, fence)?;
                self.sessions.retain(|_, at| *at != room);
                self.routes.remove(&room);
                Ok(Outcome::Done)
            }
            Command::SetRoute { room, fence, route } => {
                if self.pipeless {
                    return Err(Failure::Refused("this node has no pipes".into()));
                }
                self.fence(&room, fence)?;
                self.routes.insert(room, route);
                Ok(Outcome::Routed(([192, 0, 2, 1], 7_000).into()))
            }
            Command::ClearRoute { room, fence } => {
                self.fence(&room, fence)?;
                self.routes.remove(&room);
                Ok(Outcome::Done)
            }
        }
    }

    pub(super) fn subscribe(&mut self, session: SessionId, subscribe: Vec<Subscription>) {
        for wanted in subscribe {
            match wanted.track {
                Some(track) => {
                    // Tracks are wanted by name: they may be on another node, or on their way.
                    self.priorities.insert((session, wanted.mid.clone()), wanted.priority);
                    self.subscriptions.insert((session, wanted.mid), track);
                }
                None => {
                    self.subscriptions.remove(&(session, wanted.mid));
                }
            }
        }
    }
}

/// A simulated network around one core. Commands wait until they are let through, so that tests can interleave.
pub(super) struct World {
    pub(super) core: Core,
    pub(super) nodes: Nodes,
    pub(super) media: BTreeMap<NodeId, Media>,
    pub(super) now: UnixMs,
    pub(super) rng: StdRng,
    pub(super) queue: Vec<(NodeId, OperationId, Command)>,
    pub(super) replies: BTreeMap<CallId, Result<Reply, Refusal>>,
    pub(super) events: BTreeMap<ConnectionId, Vec<Event>>,
    pub(super) stored_rooms: BTreeMap<RoomId, Room>,
    pub(super) stored_sessions: BTreeMap<SessionId, Session>,
    pub(super) next_call: u64,
    /// Connections that were ever made, and those that have not ended.
    pub(super) known: BTreeSet<ConnectionId>,
    pub(super) live: BTreeSet<ConnectionId>,
}

pub(super) fn node(n: u8) -> NodeId {
    NodeId([n; 20])
}

pub(super) fn rules(max_participants: usize) -> BTreeMap<String, Rules> {
    let rules = Rules { profile: Arc::new(Meeting { max_participants }), constraints: Constraints::default() };
    BTreeMap::from([("demo".to_owned(), rules)])
}

impl World {
    pub(super) fn new(nodes: u8, seed: u64) -> Self {
        Self {
            core: Core::new(TAG, Limits::default(), rules(100)),
            nodes: Nodes::new(nodes, T0),
            media: (1..=nodes).map(|n| (node(n), Media::default())).collect(),
            now: T0,
            rng: StdRng::seed_from_u64(seed),
            queue: Vec::new(),
            replies: BTreeMap::new(),
            events: BTreeMap::new(),
            stored_rooms: BTreeMap::new(),
            stored_sessions: BTreeMap::new(),
            next_call: 0,
            known: BTreeSet::new(),
            live: BTreeSet::new(),
        }
    }

    /// The nodes are at these places.
    pub(super) fn at(mut self, places: &[(f64, f64)]) -> Self {
        for (view, place) in self.nodes.nodes.values_mut().zip(places) {
            view.registration.cell = cell(*place);
        }
        self
    }

    /// Whether a node says that it is full.
    pub(super) fn full(&mut self, n: u8, full: bool) {
        self.nodes.nodes.get_mut(&node(n)).unwrap().load.as_mut().unwrap().report.accepting = !full;
    }

    pub(super) fn input(&mut self, input: Input) {
        match input {
            Input::Connected(connection) => drop(self.live.insert(connection)),
            Input::Disconnected(connection) => drop(self.live.remove(&connection)),
            _ => {}
        }
        let env = Env { now: self.now, rng: &mut self.rng, nodes: &self.nodes };
        let effects = self.core.handle(input, env);
        self.take(effects);
    }

    pub(super) fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Store { rooms, sessions } => {
                    for (id, room) in rooms {
                        match room {
                            Some(room) => self.stored_rooms.insert(id, *room),
                            None => self.stored_rooms.remove(&id),
                        };
                    }
                    for (id, session) in sessions {
                        match session {
                            Some(session) => self.stored_sessions.insert(id, *session),
                            None => self.stored_sessions.remove(&id),
                        };
                    }
                }
                Effect::Reply { call, result } => {
                    assert!(self.replies.insert(call, *result).is_none(), "answered twice");
                }
                Effect::Notify { connection, event } => self.events.entry(connection).or_default().push(*event),
                Effect::Command { node, operation, command } => self.queue.push((node, operation, command)),
                Effect::Watch(_) | Effect::Unwatch(_) => {}
            }
        }
    }

    /// Lets one waiting command through.
    pub(super) fn step(&mut self, index: usize) {
        let (node, operation, command) = self.queue.remove(index);
        let result = self.media.get_mut(&node).unwrap().execute(command);
        self.input(Input::Completed { operation, result });
    }

    pub(super) fn settle(&mut self) {
        while !self.queue.is_empty() {
            self.step(0);
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 1_000 {
            self.now += 1_000;
            self.nodes.report(self.now);
            self.input(Input::Tick);
        }
    }

    /// A client asks something. Its connection is made with its first request; an ended one stays ended.
    pub(super) fn call(&mut self, connection: u64, request: Request) -> CallId {
        if self.known.insert(ConnectionId(connection)) {
            self.input(Input::Connected(ConnectionId(connection)));
        }
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.input(Input::Request { connection: ConnectionId(connection), call, request });
        call
    }

    pub(super) fn ask(&mut self, connection: u64, request: Request) -> Result<Reply, Refusal> {
        let call = self.call(connection, request);
        self.settle();
        self.replies.remove(&call).expect("an answer")
    }

    pub(super) fn join_as(&mut self, connection: u64, identity: &str, rights: Rights) -> Result<SessionInfo, Refusal> {
        let join = join(identity, rights);
        match self.ask(connection, join)? {
            Reply::Session(session) => Ok(*session),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn join(&mut self, connection: u64, identity: &str) -> SessionInfo {
        self.join_as(connection, identity, ALL).unwrap()
    }

    pub(super) fn events(&mut self, connection: u64) -> Vec<Event> {
        self.events.remove(&ConnectionId(connection)).unwrap_or_default()
    }

    pub(super) fn publish(&mut self, connection: u64, source: Source) -> TrackId {
        let publish = vec![Publish { mid: "0".into(), track: None, source }];
        let request = Request::Negotiate { offer: "offer".into(), publish, subscribe: Vec::new() };
        match self.ask(connection, request).unwrap() {
            Reply::Negotiated { publish, .. } => publish[0].1.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn flow(&mut self, node: NodeId, session: SessionId, track: &TrackId) {
        let event = MediaEvent::TrackStarted { track: track.clone(), layers: vec!["q".into(), "f".into()] };
        self.input(Input::Media { node, session, event });
    }

    pub(super) fn lose(&mut self, n: u8) {
        self.media.get_mut(&node(n)).unwrap().dead = true;
        self.input(Input::NodeLost { node: node(n), reason: "no heartbeat for 3 s".into() });
    }

    pub(super) fn reach(&mut self, n: u8) {
        let media = self.media.get_mut(&node(n)).unwrap();
        media.dead = false;
        let sessions = media.sessions.clone();
        self.input(Input::NodeReached { node: node(n), sessions });
    }

    /// The orchestrator is killed and starts again with what it stored.
    pub(super) fn restart(&mut self) {
        self.core = Core::new(TAG, Limits::default(), rules(100));
        self.queue.clear();
        self.events.clear();
        self.replies.clear();
        self.live.clear();
        // The store keeps JSON: what doesn't survive that is lost.
        let rooms = self.stored_rooms.values().map(|r| serde_json::to_string(r).unwrap());
        let rooms = rooms.map(|text| serde_json::from_str(&text).unwrap()).collect();
        let sessions = self.stored_sessions.values().map(|s| serde_json::to_string(s).unwrap());
        let sessions = sessions.map(|text| serde_json::from_str(&text).unwrap()).collect();
        let env = Env { now: self.now, rng: &mut self.rng, nodes: &self.nodes };
        let effects = self.core.restore(rooms, sessions, env);
        self.take(effects);
    }

    /// How often a session was opened on all nodes together.
    pub(super) fn opened(&self, session: SessionId) -> usize {
        self.media.values().filter_map(|media| media.opened.get(&session)).sum()
    }

    /// The node of the first session.
    pub(super) fn serving(&self) -> NodeId {
        let first = self.core.rooms().next().unwrap().sessions[0];
        self.node_of(first)
    }

    /// The node that a session is on.
    pub(super) fn node_of(&self, id: SessionId) -> NodeId {
        self.core.sessions().find(|session| session.id == id).unwrap().node.unwrap()
    }

    /// The nodes of the room, oldest first.
    pub(super) fn spans(&self) -> Vec<NodeId> {
        self.core.rooms().next().unwrap().tree.nodes().collect()
    }

    /// What must hold whenever nothing is under way.
    pub(super) fn check(&self) {
        let listed: BTreeSet<SessionId> = self.core.rooms().flat_map(|room| room.sessions.clone()).collect();
        let live: BTreeSet<SessionId> = self.core.sessions().map(|session| session.id).collect();
        assert_eq!(listed, live, "rooms and sessions disagree");
        assert!(self.core.rooms().all(|room| !room.sessions.is_empty()), "an empty room stays");
        for room in self.core.rooms() {
            let mut identities = BTreeSet::new();
            for id in &room.sessions {
                let session = self.core.sessions().find(|session| session.id == *id).unwrap();
                assert!(identities.insert(session.identity.clone()), "one identity twice in a room");
                if let Some(node) = session.node.filter(|_| session.is_open(room.generation)) {
                    assert!(room.tree.has(node), "a session on a node that the room doesn't have");
                    let there = self.media[&node].sessions.get(id);
                    assert_eq!(there, Some(&room.id), "the node does not have the session");
                }
            }
        }
        for room in self.core.rooms().filter(|room| room.tree.is_laid()) {
            for seat in room.tree.seats() {
                let route = self.media[&seat.node].routes.get(&room.id);
                assert_eq!(route.is_some(), room.tree.seats().len() > 1, "routes where there is no tree, or none");
                assert_eq!(route.and_then(|route| route.parent.as_ref()).map(|end| end.node), seat.parent);
            }
        }
        for session in self.core.sessions() {
            // Nobody else would end it.
            let attended = session.connection.is_some_and(|connection| self.live.contains(&connection));
            assert!(attended || session.offline_since.is_some(), "a session whose client is gone does not end");
        }
        assert_eq!(self.stored_sessions.keys().copied().collect::<BTreeSet<_>>(), live, "the store differs");
    }
}

pub(super) const ALL: Rights = Rights { publish: true, subscribe: true, admin: false };
pub(super) const ADMIN: Rights = Rights { publish: true, subscribe: true, admin: true };

pub(super) fn join(identity: &str, rights: Rights) -> Request {
    Request::Join(Box::new(Join {
        application: "demo".into(),
        account: AccountId::new([1; 32]),
        room: "hall".into(),
        identity: identity.into(),
        name: identity.to_uppercase(),
        rights,
        receipt_key: [2; 33],
        cell: Some(H3Cell(0x0851_f8d5_bfff_ffff)),
    }))
}

/// The same from another place.
pub(super) fn join_from(identity: &str, place: (f64, f64)) -> Request {
    match join(identity, ALL) {
        Request::Join(join) => Request::Join(Box::new(Join { cell: Some(cell(place)), ..*join })),
        other => other,
    }
}

pub(super) const BERLIN: (f64, f64) = (52.5, 13.4);
pub(super) const NEW_YORK: (f64, f64) = (40.7, -74.0);
pub(super) const TOKYO: (f64, f64) = (35.7, 139.7);

pub(super) fn cell((lat, lng): (f64, f64)) -> H3Cell {
    H3Cell(u64::from(LatLng::new(lat, lng).unwrap().to_cell(Resolution::Five)))
}

pub(super) fn want(mid: &str, track: &TrackId) -> Subscription {
    Subscription { mid: mid.into(), track: Some(track.clone()), max_height: 720, priority: Priority::default() }
}
