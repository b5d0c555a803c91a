//! Bounds on what clients can make the core hold.

use super::{super::*, world::*};

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
