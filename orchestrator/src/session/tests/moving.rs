//! Rooms that move to another media node.

use super::{
    super::{exchange::DRAINING, *},
    world::*,
};

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
    let pinned = Subscription { priority: Priority::High, ..want("1", &track) };
    world.ask(2, offer(Vec::new(), vec![pinned])).unwrap();
    assert!(world.media[&new].subscriptions.is_empty());
    let same = vec![Publish { mid: "0".into(), track: Some(track.clone()), source: Source::Camera }];
    world.ask(1, offer(same, Vec::new())).unwrap();
    assert_eq!(world.media[&new].subscriptions.get(&(bob.session, "1".into())), Some(&track));
    assert_eq!(world.media[&new].priorities.get(&(bob.session, "1".into())), Some(&Priority::High));
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
fn receipts_are_about_the_node_that_serves_or_just_served() {
    let mut world = World::new(3, 1);
    world.join(1, "ada");
    let ticket = |world: &mut World| match world.ask(1, Request::Ticket).unwrap() {
        Reply::Ticket(ticket) => ticket,
        other => panic!("{other:?}"),
    };
    let old = world.serving();
    let stays = ticket(&mut world).stays;
    for n in 1..=3 {
        assert_eq!(stays.served(&node(n), world.now), node(n) == old);
    }
    world.pass(60_000);
    world.lose(old.0[0]);
    world.settle();
    let new = world.serving();
    let moved_at = world.now;
    assert_ne!(new, old);
    let stays = ticket(&mut world).stays;
    assert!(stays.served(&old, moved_at) && stays.served(&new, moved_at + 5_000));
    // The old one's clients change over for 20 s; then it is no longer theirs.
    assert!(stays.served(&old, moved_at + 20_000) && !stays.served(&old, moved_at + 60_000));
    let other = (1..=3).map(node).find(|node| *node != old && *node != new).unwrap();
    assert!(!stays.served(&other, moved_at));
    // The orchestrator is killed: it knows as much.
    world.restart();
    let known = world.core.sessions().next().unwrap().stays.clone();
    assert_eq!(known, stays);
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
