//! Coming in, coming back and leaving.

use super::{super::*, world::*};

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
fn the_mix_needs_no_publisher() {
    let mut world = World::new(1, 1);
    world.join(1, "ada");
    let mix = vec![Subscription {
        mid: "0".into(),
        track: Some(TrackId::mix()),
        max_height: 0,
        priority: Priority::default(),
    }];
    world.ask(1, Request::Negotiate { offer: "offer".into(), publish: Vec::new(), subscribe: mix }).unwrap();
    let media = world.media.values().next().unwrap();
    let wanted: Vec<_> = media.subscriptions.values().collect();
    assert_eq!(wanted, [&TrackId::mix()], "it goes to the media node at once");
    world.check();
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
fn requests_that_overtake_their_connections_end_begin_nothing() {
    let mut world = World::new(1, 1);
    let ada = world.join(1, "ada");
    world.join(2, "bob");
    for connection in [2, 3, 4] {
        world.known.insert(ConnectionId(connection));
        world.input(Input::Connected(ConnectionId(connection)));
        world.input(Input::Disconnected(ConnectionId(connection)));
    }
    assert!(matches!(world.join_as(3, "eve", ALL), Err(Refusal::NoSession(_))));
    let resume = Request::Resume { session: ada.session, secret: ada.secret };
    assert!(matches!(world.ask(4, resume), Err(Refusal::NoSession(_))));
    // Nor does one that had a session go on as if it were there.
    assert!(matches!(world.ask(2, Request::NodeInfo), Err(Refusal::NoSession(_))));
    world.check();
    world.pass(20_000);
    world.settle();
    assert_eq!(world.core.sizes(), (1, 1), "bob was not waited for any longer");
    world.ask(1, Request::Leave).unwrap();
    assert_eq!(world.core.sizes(), (0, 0));
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
