//! Which media node a room gets, and what if there is none.

use super::{super::*, world::*};
use crate::{
    allocation::{Budget, Offer},
    simulated::Nodes,
};

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
fn who_cannot_pay_is_told_the_limit_and_the_cheapest_node() {
    let mut world = World::new(3, 1);
    for (view, price) in world.nodes.nodes.values_mut().zip([9, 7, 8]) {
        view.registration.price_per_gib = price;
    }
    world.nodes.budget = Budget::Known { limit: 6, escrow: 1 };
    match world.join_as(1, "ada", ALL) {
        Err(Refusal::TooDear { ceiling, cheapest, explanation }) => {
            assert_eq!((ceiling, cheapest), (Some(6), Offer { node: node(2), price: 7 }));
            assert_eq!(explanation.considered.len(), 3);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.core.sizes(), (0, 0));
    // Otherwise unfit nodes are no offer: their price is not what it fails by.
    for media in world.media.values_mut() {
        media.refuses = Some("full".into());
    }
    world.nodes.budget = Budget::Known { limit: 9, escrow: 1 };
    assert!(matches!(world.join_as(2, "ada", ALL), Err(Refusal::NoMediaNode(_))));
    world.media.get_mut(&node(3)).unwrap().refuses = None;
    world.nodes.budget = Budget::Known { limit: 8, escrow: 1 };
    assert_eq!(world.join(3, "ada").node.id, node(3));
    // Who is in stays in, whatever the limit becomes; who comes into the room comes along.
    world.nodes.budget = Budget::Known { limit: 0, escrow: 0 };
    world.pass(10_000);
    assert_eq!(world.join(4, "bob").node.id, node(3));
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
