//! Rooms on more than one media node.

use super::{super::*, world::*};
use crate::cascade::Route;
use chroom_primitives::NodeId;

/// A node each at these places.
fn world(places: &[(f64, f64)], seed: u64) -> World {
    World::new(u8::try_from(places.len()).unwrap(), seed).at(places)
}

impl World {
    fn join_from(&mut self, connection: u64, identity: &str, place: (f64, f64)) -> SessionInfo {
        self.try_join_from(connection, identity, place).unwrap()
    }

    fn try_join_from(&mut self, connection: u64, identity: &str, place: (f64, f64)) -> Result<SessionInfo, Refusal> {
        match self.ask(connection, join_from(identity, place))? {
            Reply::Session(session) => Ok(*session),
            other => panic!("{other:?}"),
        }
    }

    fn route(&self, n: u8) -> Option<&Route> {
        self.media[&node(n)].routes.values().next()
    }

    /// Parent, standby and children of a node, as it was told.
    fn neighbours(&self, n: u8) -> (Option<NodeId>, Option<NodeId>, Vec<NodeId>) {
        let route = self.route(n).expect("a route");
        let node = |end: &Option<crate::cascade::End>| end.as_ref().map(|end| end.node);
        (node(&route.parent), node(&route.standby), route.children.clone())
    }

    fn is_told(&mut self, connection: u64, node: NodeId) -> bool {
        self.events(connection).iter().any(|event| matches!(event, Event::Moved { node: to, .. } if to.id == node))
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 1_000 {
            self.pass(1_000);
            self.settle();
        }
    }
}

#[test]
fn a_call_in_one_city_is_on_one_node_and_one_over_oceans_on_several() {
    let mut world = world(&[BERLIN, BERLIN, NEW_YORK, TOKYO], 1);
    let ada = world.join_from(1, "ada", BERLIN);
    let bob = world.join_from(2, "bob", BERLIN);
    assert_eq!(bob.node.id, ada.node.id);
    assert!(world.media.values().all(|media| media.routes.is_empty()), "one node needs no tree");
    let eve = world.join_from(3, "eve", NEW_YORK);
    assert_eq!((eve.node.id, eve.nodes), (node(3), vec![ada.node.id, node(3)]));
    let root = ada.node.id.0[0];
    assert_eq!(world.neighbours(root), (None, None, vec![node(3)]));
    assert_eq!(world.neighbours(3), (Some(ada.node.id), None, vec![]));
    let kim = world.join_from(4, "kim", TOKYO);
    assert_eq!(kim.node.id, node(4));
    assert_eq!(world.neighbours(4).1, Some(node(3)), "its standby");
    // Who comes later finds the room's node.
    assert_eq!(world.join_from(5, "joe", NEW_YORK).node.id, node(3));
    assert_eq!(world.core.spanning(), 1);
    world.check();

    // They see each other as if they were on one.
    let track = world.publish(1, Source::Camera);
    world.flow(ada.node.id, ada.session, &track);
    for connection in 2..=5 {
        let told = world.events(connection);
        assert!(told.iter().any(|event| matches!(event, Event::TrackPublished { track: t, .. } if t.id == track)));
    }
    world.ask(3, Request::Subscribe(vec![want("5", &track)])).unwrap();
    assert_eq!(world.media[&node(3)].subscriptions.get(&(eve.session, "5".into())), Some(&track));
    assert!(!world.media[&ada.node.id].subscriptions.contains_key(&(eve.session, "5".into())));
    // Each node says who speaks, to those who are there.
    let room = world.core.rooms().next().unwrap().id.clone();
    world.input(Input::Speakers { node: node(3), room, participants: vec![ada.participant.clone()] });
    let speaks = |event: &Event| matches!(event, Event::ActiveSpeakers { .. });
    let heard: Vec<u64> = (1..=5).filter(|connection| world.events(*connection).iter().any(speaks)).collect();
    assert_eq!(heard, [3, 5]);
    // An event of a session counts from its own node only.
    world.input(Input::Media { node: node(4), session: ada.session, event: MediaEvent::TrackStopped(track.clone()) });
    world.run(3_000);
    assert!(world.events(3).is_empty());
    // Receipts are about the node that one is on.
    let Reply::Ticket(ticket) = world.ask(3, Request::Ticket).unwrap() else { panic!() };
    assert!(ticket.stays.served(&node(3), world.now) && !ticket.stays.served(&ada.node.id, world.now));
    let Reply::Node(info) = world.ask(3, Request::NodeInfo).unwrap() else { panic!() };
    assert_eq!(info.id, node(3));
    world.check();

    // The room ends everywhere.
    for connection in 1..=5 {
        world.ask(connection, Request::Leave).unwrap();
    }
    assert_eq!(world.core.sizes(), (0, 0));
    assert!(world.media.values().all(|media| media.sessions.is_empty() && media.routes.is_empty()));
    assert!(world.stored_rooms.is_empty());
}

#[test]
fn a_full_room_spills_over_to_a_second_and_a_third_node() {
    let mut world = World::new(3, 1);
    let ada = world.join(1, "ada");
    world.full(ada.node.id.0[0], true);
    let bob = world.join(2, "bob");
    assert_ne!(bob.node.id, ada.node.id);
    world.full(bob.node.id.0[0], true);
    let eve = world.join(3, "eve");
    assert_eq!(world.spans(), [ada.node.id, bob.node.id, eve.node.id]);
    world.check();
    // All three are full, and the nodes have the last word.
    world.full(eve.node.id.0[0], true);
    assert!(world.spans().contains(&world.join(4, "joe").node.id));
    for media in world.media.values_mut() {
        media.refuses = Some("full".into());
    }
    match world.join_as(5, "kim", ALL) {
        Err(Refusal::NoMediaNode(explanation)) => assert_eq!(explanation.considered.len(), 3),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.core.sizes(), (4, 1));
    world.check();
}

#[test]
fn a_node_that_refuses_one_more_is_found_out() {
    let mut world = World::new(2, 1);
    let ada = world.join(1, "ada");
    // Its load report doesn't say so yet.
    world.media.get_mut(&ada.node.id).unwrap().refuses = Some("egress is used up".into());
    let bob = world.join(2, "bob");
    assert_ne!(bob.node.id, ada.node.id);
    assert!(world.events(1).iter().all(|event| !matches!(event, Event::Moved { .. })), "ada is undisturbed");
    world.check();
}

#[test]
fn the_middle_of_three_dies() {
    let mut world = World::new(3, 1);
    let (mut nodes, mut sessions) = (Vec::new(), Vec::new());
    for (connection, identity) in [(1, "ada"), (2, "bob"), (3, "eve")] {
        let info = world.join(connection, identity);
        world.full(info.node.id.0[0], true);
        nodes.push(info.node.id);
        sessions.push(info);
    }
    (1..=3).for_each(|n| world.full(n, false));
    let [first, middle, last] = nodes[..] else { panic!() };
    let track = world.publish(2, Source::Camera);
    world.flow(middle, sessions[1].session, &track);
    world.ask(1, Request::Subscribe(vec![want("5", &track)])).unwrap();
    (1..=3).for_each(|connection| drop(world.events(connection)));
    world.lose(middle.0[0]);
    world.settle();
    let now_at = world.node_of(sessions[1].session);
    assert!(now_at != middle && world.is_told(2, now_at));
    // The others' connections are as they were.
    assert!(world.events(1).is_empty() && world.events(3).is_empty());
    assert_eq!((world.node_of(sessions[0].session), world.node_of(sessions[2].session)), (first, last));
    assert_eq!(world.neighbours(last.0[0]).0, Some(first));
    assert_eq!(world.core.rooms().next().unwrap().generation, Generation(1), "the room itself did not move");
    world.check();
    // Bob's picture comes back to Ada by itself when he is there again.
    world.media.get_mut(&first).unwrap().subscriptions.clear();
    let again = vec![Publish { mid: "0".into(), track: Some(track.clone()), source: Source::Camera }];
    world.ask(2, Request::Negotiate { offer: "offer".into(), publish: again, subscribe: vec![] }).unwrap();
    assert_eq!(world.media[&first].subscriptions.get(&(sessions[0].session, "5".into())), Some(&track));
    // The dead one comes back with what it had: that is closed.
    world.reach(middle.0[0]);
    world.run(2_000);
    let left = &world.media[&middle];
    assert!(left.sessions.is_empty() && left.routes.is_empty());
    world.check();
}

#[test]
fn the_root_dies() {
    let mut world = world(&[BERLIN, NEW_YORK, TOKYO], 1);
    let ada = world.join_from(1, "ada", BERLIN);
    world.join_from(2, "bob", NEW_YORK);
    world.join_from(3, "eve", TOKYO);
    // The nodes notice first: the third is with its standby already.
    let room = world.core.rooms().next().unwrap().id.clone();
    for n in [2, 3] {
        world.input(Input::ParentLost { node: node(n), room: room.clone(), lost: node(1) });
    }
    world.settle();
    assert_eq!(world.neighbours(3).0, Some(node(2)));
    assert_eq!(world.neighbours(2).0, Some(node(1)), "it has no other");
    world.lose(1);
    world.settle();
    assert_eq!(world.spans(), [node(2), node(3)]);
    assert_eq!((world.neighbours(2).0, world.neighbours(3).0), (None, Some(node(2))));
    assert_ne!(world.node_of(ada.session), node(1));
    assert!(world.events(2).iter().all(|event| !matches!(event, Event::Moved { .. })));
    world.check();
}

#[test]
fn a_node_behind_a_bad_pipe_goes_below_another_one() {
    let mut world = world(&[BERLIN, NEW_YORK, TOKYO], 1);
    for (n, who, place) in [(1, "ada", BERLIN), (2, "bob", NEW_YORK), (3, "eve", TOKYO)] {
        world.join_from(n, who, place);
    }
    world.settle();
    let room = world.core.rooms().next().unwrap().id.clone();
    let (Some(parent), ..) = world.neighbours(3) else { panic!("it has a parent") };
    let other = node(3 - parent.0[0]);
    world.input(Input::ParentPoor { node: node(3), room: room.clone(), parent });
    world.settle();
    assert_eq!(world.neighbours(3).0, Some(other));
    // There is no better one then.
    world.input(Input::ParentPoor { node: node(3), room, parent: other });
    world.settle();
    assert_eq!(world.neighbours(3).0, Some(other));
    assert!((1..=3).all(|n| world.events(n).iter().all(|event| !matches!(event, Event::Moved { .. }))));
    world.check();
}

#[test]
fn a_draining_node_stays_connected_while_its_clients_change_over() {
    let mut world = World::new(2, 1);
    let (ada, bob) = (world.join(1, "ada"), world.join(2, "bob"));
    let old = world.serving();
    let track = world.publish(1, Source::Camera);
    world.flow(old, ada.session, &track);
    world.nodes.draining.insert(old);
    world.run(1_000);
    let new = world.serving();
    assert!(world.is_told(1, new) && world.is_told(2, new));
    assert_eq!(world.spans(), [old, new]);
    assert_eq!(world.neighbours(new.0[0]).0, Some(old));
    world.check();
    // Bob is there first: Ada's picture comes from the old node meanwhile.
    let offer = Request::Negotiate { offer: "offer".into(), publish: vec![], subscribe: vec![want("1", &track)] };
    world.ask(2, offer).unwrap();
    assert_eq!(world.media[&new].subscriptions.get(&(bob.session, "1".into())), Some(&track));
    // That her old connection ends is no news.
    world.input(Input::Media { node: old, session: ada.session, event: MediaEvent::TrackStopped(track.clone()) });
    world.input(Input::Media { node: old, session: ada.session, event: MediaEvent::Closed("gone".into()) });
    world.run(5_000);
    assert!(world.events(2).is_empty() && world.events(1).is_empty());
    world.run(20_000);
    assert_eq!(world.spans(), [new]);
    assert!(world.media[&old].sessions.is_empty() && world.media[&old].routes.is_empty());
    assert!(world.media[&new].routes.is_empty(), "alone again");
    world.check();
}

#[test]
fn an_answer_of_the_node_that_one_left_meanwhile_is_none() {
    let mut world = World::new(2, 1);
    world.join(1, "ada");
    let old = world.serving();
    let publish = vec![Publish { mid: "0".into(), track: None, source: Source::Camera }];
    let offer = Request::Negotiate { offer: "offer".into(), publish, subscribe: vec![] };
    let call = world.call(1, offer);
    world.nodes.draining.insert(old);
    world.input(Input::Tick);
    world.settle();
    assert!(matches!(world.replies.get(&call), Some(Err(Refusal::MediaNodeFailed(_)))));
    assert_ne!(world.serving(), old);
    assert!(world.core.sessions().next().unwrap().tracks.is_empty());
    world.check();
}

#[test]
fn who_is_removed_is_removed_where_they_were_a_moment_ago_too() {
    let mut world = World::new(2, 1);
    world.join_as(1, "admin", ADMIN).unwrap();
    let bob = world.join(2, "bob");
    let old = world.serving();
    world.nodes.draining.insert(old);
    world.run(1_000);
    assert!(world.media[&old].sessions.contains_key(&bob.session));
    world.ask(1, Request::Kick(bob.participant)).unwrap();
    assert!(world.media.values().all(|media| !media.sessions.contains_key(&bob.session)));
    world.check();
}

#[test]
fn a_node_is_left_when_its_last_participant_has_left_and_kept_for_who_comes_back() {
    let mut world = world(&[BERLIN, NEW_YORK, TOKYO], 1);
    world.join_from(1, "ada", BERLIN);
    world.join_from(2, "bob", NEW_YORK);
    world.join_from(3, "eve", TOKYO);
    world.ask(2, Request::Leave).unwrap();
    world.run(5_000);
    assert_eq!(world.spans().len(), 3);
    assert_eq!(world.join_from(4, "bob", NEW_YORK).node.id, node(2));
    world.run(20_000);
    assert_eq!(world.spans().len(), 3, "he stays");
    // The root goes last of its children's parents.
    world.ask(1, Request::Leave).unwrap();
    world.run(2_000);
    assert_eq!((world.neighbours(2).0, world.neighbours(3).0), (Some(node(1)), Some(node(2))));
    world.run(12_000);
    assert_eq!(world.spans(), [node(2), node(3)]);
    assert!(world.route(1).is_none());
    assert_eq!((world.neighbours(2).0, world.neighbours(3).0), (None, Some(node(2))));
    world.ask(3, Request::Leave).unwrap();
    world.run(14_000);
    assert_eq!(world.spans(), [node(2)]);
    assert!(world.media.values().all(|media| media.routes.is_empty()));
    world.check();
}

#[test]
fn a_restarted_orchestrator_lays_the_tree_anew_without_moving_anybody() {
    let mut world = world(&[BERLIN, NEW_YORK], 1);
    let (ada, bob) = (world.join_from(1, "ada", BERLIN), world.join_from(2, "bob", NEW_YORK));
    world.restart();
    // A node restarted meanwhile: it has its sessions' place in the tree no more.
    world.media.get_mut(&node(2)).unwrap().routes.clear();
    world.reach(1);
    world.reach(2);
    world.settle();
    assert_eq!(world.spans(), [node(1), node(2)]);
    assert_eq!(world.neighbours(2).0, Some(node(1)));
    assert_eq!((world.opened(ada.session), world.opened(bob.session)), (1, 1));
    let resume = Request::Resume { session: bob.session, secret: bob.secret };
    let Reply::Session(back) = world.ask(9, resume).unwrap() else { panic!() };
    assert_eq!((back.node.id, back.generation), (node(2), bob.generation));
    world.check();
}

#[test]
fn a_node_without_pipes_is_left_again() {
    let mut world = World::new(3, 1);
    let ada = world.join(1, "ada");
    world.full(ada.node.id.0[0], true);
    let bob = world.join(2, "bob");
    let pipeless = bob.node.id;
    world.media.get_mut(&pipeless).unwrap().pipeless = true;
    world.media.get_mut(&pipeless).unwrap().routes.clear();
    world.reach(pipeless.0[0]);
    world.run(60_000);
    assert_ne!(world.node_of(bob.session), pipeless);
    assert!(world.is_told(2, world.node_of(bob.session)));
    world.check();
}

#[test]
fn orders_that_are_lost_are_repeated() {
    let mut world = world(&[BERLIN, NEW_YORK], 1);
    world.join_from(1, "ada", BERLIN);
    world.call(2, join_from("bob", NEW_YORK));
    // Every second command is lost.
    for round in 0..40 {
        while !world.queue.is_empty() {
            let (at, operation, command) = world.queue.remove(0);
            let is_route = matches!(command, Command::SetRoute { .. });
            let result = match is_route && round % 2 == 0 {
                true => Err(Failure::Unreachable("lost".into())),
                false => world.media.get_mut(&at).unwrap().execute(command),
            };
            world.input(Input::Completed { operation, result });
        }
        world.pass(1_000);
    }
    assert_eq!(world.neighbours(2).0, Some(node(1)));
    assert!(world.core.rooms().next().unwrap().tree.is_laid());
    world.check();
}
