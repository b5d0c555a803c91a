//! Media connections that are lost, and made anew on the same node.

use super::{super::*, world::*};

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
fn another_peer_connection_is_taken_up_without_a_word() {
    let mut world = World::new(1, 1);
    let (ada, bob) = (world.join(1, "ada"), world.join(2, "bob"));
    let offer = |print: &str, publish: Vec<Publish>, subscribe: Vec<Subscription>| Request::Negotiate {
        offer: format!("v=0\r\na=fingerprint:sha-256 {print}\r\n"),
        publish,
        subscribe,
    };
    let camera = |track: Option<TrackId>| vec![Publish { mid: "0".into(), track, source: Source::Camera }];
    let Reply::Negotiated { publish, .. } = world.ask(1, offer("AA", camera(None), Vec::new())).unwrap() else {
        panic!()
    };
    let track = publish[0].1.clone();
    world.flow(node(1), ada.session, &track);
    world.ask(2, offer("BB", Vec::new(), vec![want("5", &track)])).unwrap();
    world.events(1);
    world.events(2);

    // An ICE restart keeps the certificate: nothing is opened.
    world.ask(1, offer("aa", camera(Some(track.clone())), Vec::new())).unwrap();
    assert_eq!(world.opened(ada.session), 1);

    // Another certificate: the session is opened anew, then the offer goes there.
    for (round, print) in ["CC", "DD", "EE", "FF", "AB"].into_iter().enumerate() {
        let call = world.call(1, offer(print, camera(Some(track.clone())), Vec::new()));
        // The link ends the older session of this id first, and the node says so.
        let stopped = MediaEvent::TrackStopped(track.clone());
        world.input(Input::Media { node: node(1), session: ada.session, event: stopped });
        let closed = MediaEvent::Closed(OPENED_ANEW.into());
        world.input(Input::Media { node: node(1), session: ada.session, event: closed });
        world.settle();
        assert!(matches!(world.replies.remove(&call), Some(Ok(Reply::Negotiated { .. }))));
        assert_eq!(world.opened(ada.session), 2 + round);
        // Bob's picture comes back by itself, however long the new connection takes.
        assert_eq!(world.media[&node(1)].subscriptions.get(&(bob.session, "5".into())), Some(&track));
        world.pass(5_000);
        world.flow(node(1), ada.session, &track);
        world.settle();
        world.check();
    }
    assert!(world.events(1).is_empty(), "she made the connection herself, and it never counts against her");
    assert!(world.events(2).is_empty(), "he need not know");
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
