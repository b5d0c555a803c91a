use super::{exchange::DRAINING, *};
use crate::{allocation::Constraints, application::Meeting, simulated::Nodes};
use chroom_primitives::{AccountId, H3Cell, NodeId, UnixMs};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const TAG: Tag = Tag([7; 4]);
const T0: UnixMs = 1_800_000_000_000;

/// A simulated media node: it answers commands as a real one would.
#[derive(Default)]
struct Media {
    /// Sessions with their rooms.
    sessions: BTreeMap<SessionId, RoomId>,
    fences: BTreeMap<RoomId, Fence>,
    tracks: BTreeMap<TrackId, SessionId>,
    subscriptions: BTreeMap<(SessionId, String), TrackId>,
    refuses: Option<String>,
    dead: bool,
}

impl Media {
    fn fence(&mut self, room: &RoomId, fence: Fence) -> Result<(), Failure> {
        let greatest = self.fences.entry(room.clone()).or_default();
        if fence < *greatest {
            return Err(Failure::Refused("a greater fence was seen".into()));
        }
        *greatest = fence;
        Ok(())
    }

    fn execute(&mut self, command: Command) -> Result<Outcome, Failure> {
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
                Ok(Outcome::Done)
            }
        }
    }

    fn subscribe(&mut self, session: SessionId, subscribe: Vec<Subscription>) {
        for wanted in subscribe {
            match wanted.track {
                Some(track) => {
                    assert!(self.tracks.contains_key(&track), "subscribed to a track that the node doesn't know");
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
struct World {
    core: Core,
    nodes: Nodes,
    media: BTreeMap<NodeId, Media>,
    now: UnixMs,
    rng: StdRng,
    queue: Vec<(NodeId, OperationId, Command)>,
    replies: BTreeMap<CallId, Result<Reply, Refusal>>,
    events: BTreeMap<ConnectionId, Vec<Event>>,
    stored_rooms: BTreeMap<RoomId, Room>,
    stored_sessions: BTreeMap<SessionId, Session>,
    next_call: u64,
}

fn node(n: u8) -> NodeId {
    NodeId([n; 20])
}

fn rules(max_participants: usize) -> BTreeMap<String, Rules> {
    let rules = Rules { profile: Arc::new(Meeting { max_participants }), constraints: Constraints::default() };
    BTreeMap::from([("demo".to_owned(), rules)])
}

impl World {
    fn new(nodes: u8, seed: u64) -> Self {
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
        }
    }

    fn input(&mut self, input: Input) {
        let env = Env { now: self.now, rng: &mut self.rng, nodes: &self.nodes };
        let effects = self.core.handle(input, env);
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
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
    fn step(&mut self, index: usize) {
        let (node, operation, command) = self.queue.remove(index);
        let result = self.media.get_mut(&node).unwrap().execute(command);
        self.input(Input::Completed { operation, result });
    }

    fn settle(&mut self) {
        while !self.queue.is_empty() {
            self.step(0);
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 1_000 {
            self.now += 1_000;
            self.nodes.report(self.now);
            self.input(Input::Tick);
        }
    }

    fn call(&mut self, connection: u64, request: Request) -> CallId {
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.input(Input::Request { connection: ConnectionId(connection), call, request });
        call
    }

    fn ask(&mut self, connection: u64, request: Request) -> Result<Reply, Refusal> {
        let call = self.call(connection, request);
        self.settle();
        self.replies.remove(&call).expect("an answer")
    }

    fn join_as(&mut self, connection: u64, identity: &str, rights: Rights) -> Result<SessionInfo, Refusal> {
        let join = join(identity, rights);
        match self.ask(connection, join)? {
            Reply::Session(session) => Ok(*session),
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, connection: u64, identity: &str) -> SessionInfo {
        self.join_as(connection, identity, ALL).unwrap()
    }

    fn events(&mut self, connection: u64) -> Vec<Event> {
        self.events.remove(&ConnectionId(connection)).unwrap_or_default()
    }

    fn publish(&mut self, connection: u64, source: Source) -> TrackId {
        let publish = vec![Publish { mid: "0".into(), track: None, source }];
        let request = Request::Negotiate { offer: "offer".into(), publish, subscribe: Vec::new() };
        match self.ask(connection, request).unwrap() {
            Reply::Negotiated { publish, .. } => publish[0].1.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn flow(&mut self, node: NodeId, session: SessionId, track: &TrackId) {
        let event = MediaEvent::TrackStarted { track: track.clone(), layers: vec!["q".into(), "f".into()] };
        self.input(Input::Media { node, session, event });
    }

    fn lose(&mut self, n: u8) {
        self.media.get_mut(&node(n)).unwrap().dead = true;
        self.input(Input::NodeLost { node: node(n), reason: "no heartbeat for 3 s".into() });
    }

    fn reach(&mut self, n: u8) {
        let media = self.media.get_mut(&node(n)).unwrap();
        media.dead = false;
        let sessions = media.sessions.clone();
        self.input(Input::NodeReached { node: node(n), sessions });
    }

    /// The orchestrator is killed and starts again with what it stored.
    fn restart(&mut self) {
        self.core = Core::new(TAG, Limits::default(), rules(100));
        self.queue.clear();
        self.events.clear();
        self.replies.clear();
        // The store keeps JSON: what doesn't survive that is lost.
        let rooms = self.stored_rooms.values().map(|r| serde_json::to_string(r).unwrap());
        let rooms = rooms.map(|text| serde_json::from_str(&text).unwrap()).collect();
        let sessions = self.stored_sessions.values().map(|s| serde_json::to_string(s).unwrap());
        let sessions = sessions.map(|text| serde_json::from_str(&text).unwrap()).collect();
        let env = Env { now: self.now, rng: &mut self.rng, nodes: &self.nodes };
        let effects = self.core.restore(rooms, sessions, env);
        self.take(effects);
    }

    fn serving(&self) -> NodeId {
        self.core.rooms().next().unwrap().node.unwrap()
    }

    /// What must hold whenever nothing is under way.
    fn check(&self) {
        let listed: BTreeSet<SessionId> = self.core.rooms().flat_map(|room| room.sessions.clone()).collect();
        let live: BTreeSet<SessionId> = self.core.sessions().map(|session| session.id).collect();
        assert_eq!(listed, live, "rooms and sessions disagree");
        assert!(self.core.rooms().all(|room| !room.sessions.is_empty()), "an empty room stays");
        for room in self.core.rooms() {
            let mut identities = BTreeSet::new();
            for id in &room.sessions {
                let session = self.core.sessions().find(|session| session.id == *id).unwrap();
                assert!(identities.insert(session.identity.clone()), "one identity twice in a room");
                if let Some(node) = room.node
                    && session.opened_in == Some(room.generation)
                {
                    let there = self.media[&node].sessions.get(id);
                    assert_eq!(there, Some(&room.id), "the node does not have the session");
                }
            }
        }
        assert_eq!(self.stored_sessions.keys().copied().collect::<BTreeSet<_>>(), live, "the store differs");
    }
}

const ALL: Rights = Rights { publish: true, subscribe: true, admin: false };
const ADMIN: Rights = Rights { publish: true, subscribe: true, admin: true };

fn join(identity: &str, rights: Rights) -> Request {
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

fn want(mid: &str, track: &TrackId) -> Subscription {
    Subscription { mid: mid.into(), track: Some(track.clone()), max_height: 720 }
}

#[test]
fn two_meet_and_part() {
    let mut world = World::new(2, 1);
    let ada = world.join(1, "ada");
    assert!(ada.participants.is_empty());
    let bob = world.join(2, "bob");
    assert_eq!(bob.participants.iter().map(|p| p.identity.as_str()).collect::<Vec<_>>(), ["ada"]);
    assert_eq!(bob.node.id, ada.node.id, "a room is on one node");
    assert!(matches!(&world.events(1)[..], [Event::ParticipantJoined { participant }] if participant.name == "BOB"));

    let track = world.publish(1, Source::Camera);
    assert!(world.events(2).is_empty(), "a track is told of when its media flows");
    world.flow(world.serving(), ada.session, &track);
    world.flow(world.serving(), ada.session, &track);
    let events = world.events(2);
    assert!(
        matches!(&events[..], [Event::TrackPublished { track: info, .. }] if info.id == track && info.layers.len() == 2)
    );

    world.ask(1, Request::Mute { track: track.clone(), muted: true }).unwrap();
    assert!(matches!(&world.events(2)[..], [Event::TrackMuted { muted: true, .. }]));
    world.ask(1, Request::Leave).unwrap();
    assert!(matches!(&world.events(2)[..], [Event::ParticipantLeft { reason, .. }] if reason == "left"));
    world.check();
    world.ask(2, Request::Leave).unwrap();
    assert_eq!(world.core.sizes(), (0, 0));
    assert!(world.media.values().all(|media| media.sessions.is_empty()));
    assert!(world.stored_rooms.is_empty() && world.stored_sessions.is_empty());
    assert!(matches!(world.ask(2, Request::NodeInfo), Err(Refusal::NoSession(_))));
}

#[test]
fn rights_are_checked_per_request() {
    let mut world = World::new(1, 1);
    world.join_as(1, "listener", Rights { publish: false, subscribe: false, admin: false }).unwrap();
    let ada = world.join(2, "ada");
    let offer = |publish, subscribe| Request::Negotiate { offer: "offer".into(), publish, subscribe };
    let camera = vec![Publish { mid: "0".into(), track: None, source: Source::Camera }];
    let some = vec![want("0", &TrackId("t1".into()))];
    for (request, needed) in [
        (offer(camera, Vec::new()), "publish"),
        (offer(Vec::new(), some.clone()), "subscribe"),
        (Request::Subscribe(some), "subscribe"),
        (Request::Mute { track: TrackId("t1".into()), muted: true }, "publish"),
        (Request::Kick(ada.participant.clone()), "admin"),
    ] {
        match world.ask(1, request) {
            Err(Refusal::NotPermitted { needs }) => assert_eq!(needs, needed),
            other => panic!("{needed}: {other:?}"),
        }
    }
    // A connection without media of its own may still negotiate.
    world.ask(1, offer(Vec::new(), Vec::new())).unwrap();
}

#[test]
fn admins_remove_others() {
    let mut world = World::new(1, 1);
    world.join_as(1, "admin", ADMIN).unwrap();
    let bob = world.join(2, "bob");
    world.events(1);
    world.ask(1, Request::Kick(bob.participant.clone())).unwrap();
    assert!(matches!(&world.events(2)[..], [Event::Closed { reason }] if reason == "kicked"));
    assert!(matches!(&world.events(1)[..], [Event::ParticipantLeft { reason, .. }] if reason == "kicked"));
    assert!(matches!(world.ask(1, Request::Kick(bob.participant)), Err(Refusal::InvalidParams(_))));
    world.check();
}

#[test]
fn who_joins_again_takes_their_own_seat() {
    let mut world = World::new(1, 1);
    world.join(1, "ada");
    let bob = world.join(2, "bob");
    world.events(1);
    let again = world.join(3, "bob");
    assert!(matches!(&world.events(2)[..], [Event::Closed { reason }] if reason.starts_with("replaced")));
    let events = world.events(1);
    assert!(
        matches!(&events[..], [
        Event::ParticipantLeft { participant, .. },
        Event::ParticipantJoined { participant: new },
    ] if *participant == bob.participant && new.id == again.participant),
        "{events:?}"
    );
    world.check();
}

#[test]
fn a_session_waits_fifteen_seconds_for_its_client() {
    let mut world = World::new(1, 1);
    let ada = world.join(1, "ada");
    world.join(2, "bob");
    world.input(Input::Disconnected(ConnectionId(1)));
    world.pass(14_000);
    let resume = |secret: &str| Request::Resume { session: ada.session, secret: secret.into() };
    assert!(matches!(world.ask(3, resume("guess")), Err(Refusal::NoSession(_))));
    let Reply::Session(back) = world.ask(3, resume(&ada.secret)).unwrap() else { panic!() };
    assert_eq!((back.session, back.participant, back.generation), (ada.session, ada.participant, ada.generation));
    // The old connection's end no longer matters.
    world.input(Input::Disconnected(ConnectionId(1)));
    world.pass(20_000);
    assert_eq!(world.core.sizes().0, 2);
    world.input(Input::Disconnected(ConnectionId(3)));
    world.pass(15_000);
    world.settle();
    assert_eq!(world.core.sizes().0, 1);
    let events = world.events(2);
    assert!(matches!(events.last(), Some(Event::ParticipantLeft { reason, .. }) if reason == "connection lost"));
    assert!(matches!(world.ask(4, resume(&ada.secret)), Err(Refusal::NoSession(_))));
    world.check();
}

#[test]
fn one_connection_has_one_session() {
    let mut world = World::new(1, 1);
    let ada = world.join(1, "ada");
    assert!(matches!(world.join_as(1, "eve", ALL), Err(Refusal::InvalidParams(_))));
    world.join(2, "bob");
    let steal = Request::Resume { session: ada.session, secret: ada.secret.clone() };
    assert!(matches!(world.ask(2, steal), Err(Refusal::InvalidParams(_))));
    world.ask(1, Request::Leave).unwrap();
    world.join(1, "ada");
    world.check();
}

#[test]
fn a_lost_nodes_rooms_move_with_a_greater_fence() {
    let mut world = World::new(2, 1);
    let (ada, bob) = (world.join(1, "ada"), world.join(2, "bob"));
    let old = world.serving();
    let track = world.publish(1, Source::Camera);
    world.flow(old, ada.session, &track);
    world.ask(2, Request::Subscribe(vec![want("5", &track)])).unwrap();
    let fence = world.core.rooms().next().unwrap().fence;
    world.events(1);
    world.events(2);

    world.now += 1;
    world.lose(old.0[0]);
    world.settle();
    let new = world.serving();
    assert_ne!(new, old);
    let room = world.core.rooms().next().unwrap();
    assert!(room.fence > fence && room.generation.0 == 2);
    for connection in [1, 2] {
        let events = world.events(connection);
        assert!(
            matches!(&events[..], [Event::Moved { node, generation: Generation(2), .. }] if node.id == new),
            "{events:?}"
        );
    }

    // Bob is back before Ada: his wish waits until the new node knows her track.
    let offer = |publish, subscribe| Request::Negotiate { offer: "offer".into(), publish, subscribe };
    world.ask(2, offer(Vec::new(), vec![want("1", &track)])).unwrap();
    assert!(world.media[&new].subscriptions.is_empty());
    let same = vec![Publish { mid: "0".into(), track: Some(track.clone()), source: Source::Camera }];
    world.ask(1, offer(same, Vec::new())).unwrap();
    assert_eq!(world.media[&new].subscriptions.get(&(bob.session, "1".into())), Some(&track));
    world.flow(new, ada.session, &track);
    assert!(world.events(2).is_empty(), "the others know the track already");

    // The lost node is back with what it had: that is closed.
    world.reach(old.0[0]);
    world.pass(1_000);
    world.settle();
    assert!(world.media[&old].sessions.is_empty());
    world.check();
}

#[test]
fn requests_to_a_lost_node_are_answered() {
    let mut world = World::new(2, 1);
    world.join(1, "ada");
    let offer = Request::Negotiate { offer: "offer".into(), publish: Vec::new(), subscribe: Vec::new() };
    let call = world.call(1, offer);
    world.lose(world.serving().0[0]);
    assert!(matches!(world.replies.get(&call), Some(Err(Refusal::MediaNodeFailed(_)))));
    world.settle();
    world.check();
}

#[test]
fn without_another_node_a_room_waits_then_ends() {
    let mut world = World::new(1, 1);
    world.join(1, "ada");
    world.lose(1);
    world.settle();
    assert!(matches!(world.join_as(2, "bob", ALL), Err(Refusal::NoMediaNode(explanation))
        if explanation.summary().contains("contact lost")));
    assert_eq!(world.core.sizes(), (1, 1));
    world.pass(10_000);
    world.media.get_mut(&node(1)).unwrap().sessions.clear();
    world.reach(1);
    world.pass(2_000);
    world.settle();
    assert!(world.events(1).iter().any(|event| matches!(event, Event::Moved { .. })));
    world.check();

    world.lose(1);
    for _ in 0..40 {
        world.media.get_mut(&node(1)).unwrap().dead = true;
        world.pass(1_000);
        world.settle();
    }
    assert!(world.events(1).iter().any(|event| matches!(event, Event::Closed { .. })));
    assert_eq!(world.core.sizes(), (0, 0));
}

#[test]
fn a_dead_node_is_passed_over_at_once() {
    // Its load report is still fresh, but nobody answers there any more.
    for seed in 0..20 {
        let mut world = World::new(3, seed);
        world.media.get_mut(&node(1)).unwrap().dead = true;
        world.media.get_mut(&node(2)).unwrap().refuses = Some("full".into());
        let ada = world.join(1, "ada");
        assert_eq!(ada.node.id, node(3));
        world.check();
    }
}

#[test]
fn if_all_refuse_the_client_is_told_why() {
    let mut world = World::new(2, 1);
    for media in world.media.values_mut() {
        media.refuses = Some("full".into());
    }
    match world.join_as(1, "ada", ALL) {
        Err(Refusal::NoMediaNode(explanation)) => {
            assert_eq!(explanation.considered.len(), 2);
            assert!(explanation.summary().contains("full"), "{}", explanation.summary());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.core.sizes(), (0, 0));
    let empty = World { nodes: Nodes::default(), ..World::new(0, 1) }.join_as(1, "ada", ALL);
    assert!(matches!(empty, Err(Refusal::NoMediaNode(e)) if e.considered.is_empty()));
}

#[test]
fn rooms_leave_a_draining_node_and_media_goes_on_meanwhile() {
    let mut world = World::new(2, 1);
    let ada = world.join(1, "ada");
    let old = world.serving();
    world.nodes.draining.insert(old);
    world.pass(1_000);
    world.settle();
    let new = world.serving();
    assert_ne!(new, old);
    assert!(
        world.events(1).iter().any(|event| matches!(event, Event::Moved { reason, .. } if reason.contains("draining")))
    );
    assert!(world.media[&old].sessions.contains_key(&ada.session), "the old place stays while clients change over");
    world.pass(21_000);
    world.settle();
    assert!(world.media[&old].sessions.is_empty());
    world.check();
}

#[test]
fn a_draining_node_keeps_rooms_that_have_nowhere_to_go() {
    let mut world = World::new(1, 1);
    world.join(1, "ada");
    world.nodes.draining.insert(node(1));
    world.pass(60_000);
    world.settle();
    assert_eq!(world.core.sizes(), (1, 1));
    assert!(world.events(1).is_empty());
    assert_eq!(world.media[&node(1)].sessions.len(), 1);
}

#[test]
fn a_node_that_restarted_lost_its_sessions_so_they_are_opened_anew() {
    let mut world = World::new(1, 1);
    world.join(1, "ada");
    world.media.insert(node(1), Media::default());
    world.reach(1);
    world.settle();
    assert!(matches!(&world.events(1)[..], [Event::Moved { generation: Generation(2), .. }]));
    world.check();
}

#[test]
fn a_short_break_of_the_events_loses_no_track() {
    let mut world = World::new(1, 1);
    world.join(1, "ada");
    world.join(2, "bob");
    let track = world.publish(1, Source::Microphone);
    // The track's first packet came while the stream was broken.
    world.reach(1);
    assert!(matches!(&world.events(2)[..], [Event::TrackPublished { track: info, .. }] if info.id == track));
    assert_eq!(world.core.sizes().0, 2);
}

#[test]
fn media_that_ends_is_made_anew_but_not_for_ever() {
    let mut world = World::new(1, 1);
    let ada = world.join(1, "ada");
    world.join(2, "bob");
    let track = world.publish(1, Source::Camera);
    let close = |world: &mut World, reason: &str| {
        world.media.get_mut(&node(1)).unwrap().sessions.remove(&ada.session);
        let event = MediaEvent::Closed(reason.into());
        world.input(Input::Media { node: node(1), session: ada.session, event });
        world.settle();
    };
    let offer = |track: &TrackId| Request::Negotiate {
        offer: "offer".into(),
        publish: vec![Publish { mid: "0".into(), track: Some(track.clone()), source: Source::Camera }],
        subscribe: Vec::new(),
    };
    // Bob has not negotiated anything: that he timed out is not worth a word, however often.
    let bob = world.core.sessions().find(|session| session.identity == "bob").unwrap().id;
    for _ in 0..6 {
        world.media.get_mut(&node(1)).unwrap().sessions.remove(&bob);
        let event = MediaEvent::Closed("connect-timeout".into());
        world.input(Input::Media { node: node(1), session: bob, event });
        world.settle();
    }
    assert!(world.events(2).is_empty());
    world.check();

    close(&mut world, "connection-lost");
    let events = world.events(1);
    assert!(
        matches!(&events[..], [Event::ParticipantJoined { .. }, Event::Moved { generation: Generation(2), reason, .. }]
            if reason.contains("connection-lost")),
        "{events:?}"
    );
    world.ask(1, offer(&track)).unwrap();
    // The echo of the link's own closing says nothing.
    world.input(Input::Media { node: node(1), session: ada.session, event: MediaEvent::Closed(OPENED_ANEW.into()) });
    assert!(world.events(1).is_empty());
    // Once it is up again, the count begins anew.
    world.input(Input::Media { node: node(1), session: ada.session, event: MediaEvent::Connected });
    for _ in 0..3 {
        close(&mut world, "connect-timeout");
        world.ask(1, offer(&track)).unwrap();
    }
    world.check();
    close(&mut world, "connect-timeout");
    assert!(matches!(world.events(1).last(), Some(Event::Closed { reason }) if reason.contains("connect-timeout")));
    assert!(matches!(world.events(2).last(), Some(Event::ParticipantLeft { .. })));
    world.check();
}

#[test]
fn a_stopped_track_is_told_of_unless_its_session_was_lost_with_it() {
    let mut world = World::new(2, 1);
    let (ada, bob) = (world.join(1, "ada"), world.join(2, "bob"));
    let old = world.serving();
    let track = world.publish(1, Source::Camera);
    world.flow(old, ada.session, &track);
    world.ask(2, Request::Subscribe(vec![want("5", &track)])).unwrap();
    world.events(2);
    let stopped = |world: &mut World| {
        let event = MediaEvent::TrackStopped(track.clone());
        world.input(Input::Media { node: old, session: ada.session, event });
    };
    // A short gap: the subscription is made again, and nobody is told.
    stopped(&mut world);
    world.media.get_mut(&old).unwrap().subscriptions.clear();
    world.flow(old, ada.session, &track);
    world.settle();
    world.pass(3_000);
    assert_eq!(world.media[&old].subscriptions.get(&(bob.session, "5".into())), Some(&track));
    assert!(world.events(2).is_empty());
    // The session is lost and comes back: the same.
    stopped(&mut world);
    world.media.get_mut(&old).unwrap().subscriptions.clear();
    let event = MediaEvent::Closed("connection-lost".into());
    world.input(Input::Media { node: old, session: ada.session, event });
    world.settle();
    world.pass(3_000);
    let publish = vec![Publish { mid: "0".into(), track: Some(track.clone()), source: Source::Camera }];
    world.ask(1, Request::Negotiate { offer: "offer".into(), publish, subscribe: Vec::new() }).unwrap();
    assert_eq!(world.media[&old].subscriptions.get(&(bob.session, "5".into())), Some(&track));
    world.flow(old, ada.session, &track);
    assert!(world.events(2).is_empty());
    // It really stops.
    stopped(&mut world);
    world.pass(2_000);
    assert!(matches!(&world.events(2)[..], [Event::TrackUnpublished { track: gone, .. }] if *gone == track));
    world.flow(old, ada.session, &track);
    assert!(matches!(&world.events(2)[..], [Event::TrackPublished { .. }]));
}

#[test]
fn a_node_that_goes_out_of_service_hands_its_rooms_on() {
    let mut world = World::new(2, 1);
    let ada = world.join(1, "ada");
    world.join(2, "bob");
    let old = world.serving();
    world.media.insert(old, Media::default());
    world.input(Input::Media { node: old, session: ada.session, event: MediaEvent::Closed(DRAINING.into()) });
    world.settle();
    assert_ne!(world.serving(), old);
    for connection in [1, 2] {
        assert!(matches!(world.events(connection).last(), Some(Event::Moved { .. })));
    }
    world.check();
}

#[test]
fn a_restart_forgets_nothing_that_was_acknowledged() {
    let mut world = World::new(2, 1);
    let (ada, bob) = (world.join(1, "ada"), world.join(2, "bob"));
    let track = world.publish(1, Source::Camera);
    world.flow(world.serving(), ada.session, &track);
    let serving = world.serving();
    // A third one's join is under way when the orchestrator is killed.
    let call = world.call(3, join("eve", ALL));
    assert!(!world.replies.contains_key(&call));
    world.restart();
    assert_eq!(world.core.sizes(), (2, 1));
    world.reach(serving.0[0]);
    world.pass(5_000);
    world.settle();
    assert_eq!(world.serving(), serving, "media goes on where it is");

    let Reply::Session(back) = world.ask(11, Request::Resume { session: bob.session, secret: bob.secret }).unwrap()
    else {
        panic!()
    };
    assert_eq!(back.participants.len(), 1);
    assert_eq!(back.participants[0].tracks[0].id, track);
    assert_eq!(back.generation, ada.generation);
    // Ada does not come back in time.
    world.pass(11_000);
    world.settle();
    assert!(
        world
            .events(11)
            .iter()
            .any(|e| matches!(e, Event::ParticipantLeft { participant, .. } if *participant == ada.participant))
    );
    world.check();
}

#[test]
fn a_restart_during_a_move_finishes_the_move() {
    let mut world = World::new(2, 1);
    let ada = world.join(1, "ada");
    world.lose(world.serving().0[0]);
    // The new node was chosen, but not told yet.
    world.restart();
    world.settle();
    world.reach(world.serving().0[0]);
    world.settle();
    let resume = Request::Resume { session: ada.session, secret: ada.secret };
    let Reply::Session(back) = world.ask(9, resume).unwrap() else { panic!() };
    assert_eq!(back.generation, Generation(2));
    let offer = Request::Negotiate { offer: "offer".into(), publish: Vec::new(), subscribe: Vec::new() };
    world.ask(9, offer).unwrap();
    world.check();
}

#[test]
fn what_clients_hold_is_bounded() {
    let mut world = World::new(1, 1);
    world.core =
        Core::new(TAG, Limits { sessions: 2, tracks: 1, wants: 2, in_flight: 1, ..Limits::default() }, rules(100));
    world.join(1, "ada");
    world.join(2, "bob");
    assert!(matches!(world.join_as(3, "eve", ALL), Err(Refusal::TooManyRequests(_))));
    world.publish(1, Source::Camera);
    let more = vec![Publish { mid: "9".into(), track: None, source: Source::Screen }];
    let offer = |publish, subscribe| Request::Negotiate { offer: "offer".into(), publish, subscribe };
    assert!(matches!(world.ask(1, offer(more, Vec::new())), Err(Refusal::InvalidParams(_))));
    let many = (0..3).map(|n| want(&n.to_string(), &TrackId("t".into()))).collect();
    assert!(matches!(world.ask(1, Request::Subscribe(many)), Err(Refusal::InvalidParams(_))));
    let call = world.call(1, offer(Vec::new(), Vec::new()));
    assert!(matches!(world.ask(1, offer(Vec::new(), Vec::new())), Err(Refusal::TooManyRequests(_))));
    assert!(world.replies.contains_key(&call));
    let foreign = vec![Publish { mid: "0".into(), track: Some(TrackId("t000".into())), source: Source::Camera }];
    assert!(matches!(world.ask(2, offer(foreign, Vec::new())), Err(Refusal::InvalidParams(_))));
}

/// Random histories: clients come, go, lose their connection and resume; nodes die, come back, restart and drain; commands
/// are let through in any order; the orchestrator is killed now and then. The invariants hold whenever things settle.
#[test]
fn random_histories_keep_the_invariants() {
    for seed in 0..150 {
        let mut world = World::new(3, seed);
        let mut chance = StdRng::seed_from_u64(seed + 1_000);
        let mut connection = 0;
        let mut known: Vec<(SessionId, String)> = Vec::new();
        for _ in 0..120 {
            match chance.random_range(0..15) {
                0..=3 => {
                    connection += 1;
                    let call = world.call(connection, join(&format!("user{}", chance.random_range(0..6)), ALL));
                    if chance.random_bool(0.7) {
                        world.settle();
                    }
                    if let Some(Ok(Reply::Session(session))) = world.replies.remove(&call) {
                        known.push((session.session, session.secret));
                    }
                }
                4 => world.input(Input::Disconnected(ConnectionId(chance.random_range(0..=connection)))),
                5 if !known.is_empty() => {
                    connection += 1;
                    let (session, secret) = known[chance.random_range(0..known.len())].clone();
                    world.call(connection, Request::Resume { session, secret });
                }
                6 => {
                    world.call(chance.random_range(0..=connection), Request::Leave);
                }
                7 => {
                    let publish = vec![Publish { mid: "0".into(), track: None, source: Source::Camera }];
                    let offer = Request::Negotiate { offer: "o".into(), publish, subscribe: Vec::new() };
                    world.call(chance.random_range(0..=connection), offer);
                }
                8 => {
                    let tracks: Vec<(SessionId, TrackId)> = world
                        .core
                        .sessions()
                        .flat_map(|s| s.tracks.keys().map(|track| (s.id, track.clone())))
                        .collect();
                    if let Some((session, track)) = tracks.first() {
                        let request = Request::Subscribe(vec![want("3", track)]);
                        world.call(chance.random_range(0..=connection), request);
                        let at = world.core.rooms().next().and_then(|room| room.node);
                        if let Some(at) = at.filter(|at| world.media[at].tracks.contains_key(track)) {
                            world.flow(at, *session, track);
                        }
                    }
                }
                9 => world.lose(chance.random_range(1..=3)),
                10 => world.reach(chance.random_range(1..=3)),
                11 => {
                    let n = chance.random_range(1..=3);
                    world.media.insert(node(n), Media::default());
                    world.reach(n);
                }
                12 => {
                    world.nodes.draining = BTreeSet::from([node(chance.random_range(1..=4))]);
                }
                13 if chance.random_bool(0.2) => {
                    world.settle();
                    world.restart();
                }
                _ => world.pass(chance.random_range(1..4) * 1_000),
            }
            if !world.queue.is_empty() && chance.random_bool(0.6) {
                let index = chance.random_range(0..world.queue.len());
                // Commands of one session keep their order, as the links keep it.
                let first = world.queue.iter().position(|other| same_session(&other.2, &world.queue[index].2));
                world.step(first.unwrap_or(index));
            }
        }
        world.nodes.draining.clear();
        for n in 1..=3 {
            world.reach(n);
        }
        for _ in 0..60 {
            world.settle();
            world.pass(1_000);
        }
        world.settle();
        world.check();
        // Nothing stays on nodes that no session stands for.
        let live: BTreeSet<SessionId> = world.core.sessions().map(|session| session.id).collect();
        for (id, media) in &world.media {
            for session in media.sessions.keys() {
                let here = world.core.rooms().any(|room| room.node == Some(*id) && room.sessions.contains(session));
                assert!(live.contains(session) && here, "seed {seed}: {session} is left on {id}");
            }
        }
    }
}

fn same_session(a: &Command, b: &Command) -> bool {
    let of = |command: &Command| match command {
        Command::Open { session, .. }
        | Command::Negotiate { session, .. }
        | Command::Subscribe { session, .. }
        | Command::CloseSession { session, .. } => Some(*session),
        Command::CloseRoom { .. } => None,
    };
    of(a).is_some() && of(a) == of(b)
}
