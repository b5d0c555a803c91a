//! Random histories.

use super::{super::*, world::*};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::BTreeSet;

/// Random histories: clients come, go, lose their connection and resume, or make another peer connection; nodes die, come back, restart and drain; commands
/// are let through in any order; the orchestrator is killed now and then. The invariants hold whenever things settle.
#[test]
fn random_histories_keep_the_invariants() {
    for seed in 0..150 {
        let mut world = World::new(3, seed);
        let mut chance = StdRng::seed_from_u64(seed + 1_000);
        let mut connection = 0;
        let mut known: Vec<(SessionId, String)> = Vec::new();
        for _ in 0..120 {
            match chance.random_range(0..16) {
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
                    // Now and then it is another peer connection's.
                    let offer = format!("a=fingerprint:sha-256 {}\n", chance.random_range(0..3));
                    let offer = Request::Negotiate { offer, publish, subscribe: Vec::new() };
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
                        let at = world.core.sessions().find(|other| other.id == *session).and_then(|s| s.node);
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
                let here = world.core.sessions().any(|one| one.id == *session && one.node == Some(*id));
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
        Command::CloseRoom { .. } | Command::SetRoute { .. } | Command::ClearRoute { .. } => None,
    };
    of(a).is_some() && of(a) == of(b)
}
