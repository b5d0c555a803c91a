//! Random histories.

use super::{super::*, world::*};
use chroom_primitives::NodeId;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::BTreeSet;

/// Random histories: clients come, go, lose their connection and resume, or make another peer connection; nodes die, come back, restart and drain; commands
/// are let through in any order; the orchestrator is killed now and then. The invariants hold whenever things settle.
#[test]
fn random_histories_keep_the_invariants() {
    for seed in 0..150 {
        run(World::new(3, seed), seed);
    }
}

/// The same in a network where rooms span nodes: callers are in other parts of the world, nodes are full, and lose contact with each other.
#[test]
fn random_histories_over_oceans_keep_the_invariants() {
    for seed in 0..150 {
        run(World::new(4, seed).at(&[BERLIN, NEW_YORK, NEW_YORK, TOKYO]), seed);
    }
}

fn run(mut world: World, seed: u64) {
    let nodes = u8::try_from(world.media.len()).unwrap();
    let mut chance = StdRng::seed_from_u64(seed + 1_000);
    let mut connection = 0;
    let mut restarted = false;
    let mut known: Vec<(SessionId, String)> = Vec::new();
    for _ in 0..120 {
        match chance.random_range(0..18) {
            0..=3 => {
                connection += 1;
                let place = [BERLIN, NEW_YORK, TOKYO][chance.random_range(0..3)];
                let identity = format!("user{}", chance.random_range(0..6));
                let call = world.call(connection, join_from(&identity, place));
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
                // Now and then it is another peer connection's.
                let offer = format!("a=fingerprint:sha-256 {}\n", chance.random_range(0..3));
                let offer = Request::Negotiate { offer, publish, subscribe: Vec::new() };
                world.call(chance.random_range(0..=connection), offer);
            }
            8 => {
                let tracks: Vec<(SessionId, TrackId)> =
                    world.core.sessions().flat_map(|s| s.tracks.keys().map(|track| (s.id, track.clone()))).collect();
                if let Some((session, track)) = tracks.first() {
                    let request = Request::Subscribe(vec![want("3", track)]);
                    world.call(chance.random_range(0..=connection), request);
                    let at = world.core.sessions().find(|other| other.id == *session).and_then(|s| s.node);
                    if let Some(at) = at.filter(|at| world.media[at].tracks.contains_key(track)) {
                        world.flow(at, *session, track);
                    }
                }
            }
            9 => world.lose(chance.random_range(1..=nodes)),
            10 => world.reach(chance.random_range(1..=nodes)),
            11 => {
                let n = chance.random_range(1..=nodes);
                world.media.insert(node(n), Media::default());
                world.reach(n);
            }
            12 => {
                world.nodes.draining = BTreeSet::from([node(chance.random_range(1..=nodes + 1))]);
            }
            15 => world.full(chance.random_range(1..=nodes), chance.random_bool(0.5)),
            16 => {
                let seats: Vec<(RoomId, NodeId, NodeId)> = world
                    .core
                    .rooms()
                    .flat_map(|room| room.tree.seats().iter().map(|seat| (room.id.clone(), seat)))
                    .filter_map(|(room, seat)| Some((room, seat.node, seat.parent?)))
                    .collect();
                if !seats.is_empty() {
                    let (room, node, lost) = seats[chance.random_range(0..seats.len())].clone();
                    match chance.random_bool(0.5) {
                        true => world.input(Input::ParentLost { node, room, lost }),
                        false => world.input(Input::ParentPoor { node, room, parent: lost }),
                    }
                }
            }
            13 if chance.random_bool(0.2) => {
                world.settle();
                world.restart();
                restarted = true;
            }
            14 => {
                // A join that overtakes its connection's end.
                connection += 1;
                world.known.insert(ConnectionId(connection));
                world.input(Input::Connected(ConnectionId(connection)));
                world.input(Input::Disconnected(ConnectionId(connection)));
                world.call(connection, join(&format!("user{}", chance.random_range(0..6)), ALL));
            }
            _ => world.pass(chance.random_range(1..4) * 1_000),
        }
        if !world.queue.is_empty() && chance.random_bool(0.6) {
            let index = chance.random_range(0..world.queue.len());
            // As the links keep it, which are one per node.
            let (node, command) = (world.queue[index].0, &world.queue[index].2);
            let first = world.queue.iter().position(|other| other.0 == node && same_lane(&other.2, command));
            world.step(first.unwrap_or(index));
        }
    }
    world.nodes.draining.clear();
    for n in 1..=nodes {
        world.full(n, false);
        world.reach(n);
    }
    for _ in 0..90 {
        world.settle();
        world.pass(1_000);
    }
    world.settle();
    world.check();
    // Nothing stays on nodes that no session stands for.
    let live: BTreeSet<SessionId> = world.core.sessions().map(|session| session.id).collect();
    assert!(world.core.rooms().all(|room| room.tree.is_laid()), "seed {seed}: a tree is not laid");
    for (id, media) in &world.media {
        for room in media.routes.keys() {
            let has = world.core.rooms().any(|one| one.id == *room && one.tree.has(*id));
            // Of a room that ended while a node was out of reach a killed orchestrator knows nothing.
            assert!(has || restarted, "seed {seed}: {id} still has a place in a tree");
        }
        for session in media.sessions.keys() {
            let here = world.core.sessions().any(|one| one.id == *session && one.node == Some(*id));
            assert!(live.contains(session) && here, "seed {seed}: {session} is left on {id}");
        }
    }
}

/// Whether two commands keep their order: those of one session, and those of one room as a whole.
fn same_lane(a: &Command, b: &Command) -> bool {
    let of = |command: &Command| match command {
        Command::Open { session, .. }
        | Command::Negotiate { session, .. }
        | Command::Subscribe { session, .. }
        | Command::CloseSession { session, .. } => (Some(*session), None),
        Command::CloseRoom { room, .. } | Command::SetRoute { room, .. } | Command::ClearRoute { room, .. } => {
            (None, Some(room.clone()))
        }
    };
    of(a) == of(b)
}
