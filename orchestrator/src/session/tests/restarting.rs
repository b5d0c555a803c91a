//! What a killed orchestrator knows afterwards.

use super::{super::*, world::*};

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
