//! Rooms that span media nodes.

use super::{World, get, get_text, id, until, world::TestMedia};
use chroom_primitives::{NodeId, NodeStatus};
use chroom_rpc::v1::{TrackStarted, media_event::Event};
use serde_json::{Value, json};

fn media<'a>(world: &'a World, info: &Value) -> &'a TestMedia {
    world.media.iter().find(|media| info["node"]["id"] == media.node().to_hex()).expect("a media node")
}

/// Says that a node takes no more, or takes more again, and waits until the orchestrator knows.
async fn fill(world: &World, node: &TestMedia, is_full: bool) {
    node.state().is_full = is_full;
    let id = node.node().to_hex();
    until("the orchestrator knows how full the node is", async || {
        let network = get(world.address, "/v1/network").await?;
        let entry = network["nodes"].as_array()?.iter().find(|entry| entry["id"] == id)?.clone();
        ((entry["load"]["cpu"].as_f64()? > 0.9) == is_full).then_some(())
    })
    .await;
}

/// Waits until a node has this place in the room's tree.
async fn place(node: &TestMedia, what: &str, wanted: (Option<NodeId>, Option<NodeId>, Vec<NodeId>)) {
    until(what, async || (node.place().as_ref() == Some(&wanted)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_spills_over_its_middle_node_dies_and_the_first_one_drains() {
    let world = World::start(3).await;
    let (mut ada, mut bob, mut eve) = (world.client().await, world.client().await, world.client().await);
    let a = ada.join("ada").await;
    let first = media(&world, &a);
    assert_eq!(first.place(), None, "a room on one node needs no tree");
    fill(&world, first, true).await;
    let b = bob.join("bob").await;
    let second = media(&world, &b);
    assert_ne!(second.node(), first.node());
    assert_eq!(b["nodes"], json!([first.node().to_hex(), second.node().to_hex()]));
    fill(&world, second, true).await;
    let e = eve.join("eve").await;
    let third = media(&world, &e);
    assert!(third.node() != first.node() && third.node() != second.node());

    let (one, two, three) = (first.node(), second.node(), third.node());
    place(first, "the root has both", (None, None, vec![two, three])).await;
    place(second, "the second is below the root", (Some(one), None, vec![three])).await;
    place(third, "the third has a standby", (Some(one), Some(two), vec![])).await;
    assert_eq!(third.parent_address(), Some(first.pipes()), "each node says where its pipes are");
    let metrics = until("the figure", async || {
        get_text(world.address, "/metrics").await.filter(|text| text.contains("rooms_spanning 1\n"))
    })
    .await;
    assert!(metrics.contains("chroom_orchestrator_rooms_spanning 1\n"));

    // A track of the second node goes to the third: who wants it asks there.
    let offer = json!({ "sdp": "one", "publish": [{ "mid": "0", "source": "camera" }], "subscribe": [] });
    let track = bob.call("session.negotiate", offer).await.unwrap()["publish"][0]["track"].clone();
    let started = TrackStarted { track: track.as_str().unwrap().into(), ..Default::default() };
    second.say(&id(&b), Event::TrackStarted(started));
    assert_eq!(eve.event("trackPublished").await["track"]["id"], track);
    let wish = json!({ "subscribe": [{ "mid": "1", "track": track }] });
    eve.call("session.subscribe", wish).await.unwrap();
    assert_eq!(third.state().subscribed.last().unwrap().subscriptions[0].track, track.as_str().unwrap());

    // The second dies, and there is room on the others again.
    fill(&world, first, false).await;
    second.kill();
    third.say_parent_lost(two);
    let moved = bob.event("moved").await;
    assert_ne!(moved["node"]["id"], two.to_hex());
    assert_eq!(moved["generation"], 2);
    place(first, "the root has one child", (None, None, vec![three])).await;
    place(third, "the third has no standby", (Some(one), None, vec![])).await;
    let info = |answer: Value| answer["id"].clone();
    assert_eq!(info(ada.call("node.info", json!({})).await.unwrap()), one.to_hex(), "nobody else moves");
    assert_eq!(info(eve.call("node.info", json!({})).await.unwrap()), three.to_hex());

    // The first drains: its callers change over to the third while both are connected.
    world.chain.status(one, NodeStatus::Draining);
    let moved = ada.event("moved").await;
    assert_eq!(moved["node"]["id"], three.to_hex());
    assert!(!first.sessions().is_empty(), "it keeps them for the moment");
    assert_eq!(third.place().unwrap().0, Some(one));
    until("everyone is on the third", async || (third.sessions().len() == 3).then_some(())).await;

    for client in [&mut ada, &mut bob, &mut eve] {
        client.call("session.leave", json!({})).await.unwrap();
    }
    until("nothing is left", async || {
        let left = |node: &TestMedia| !node.sessions().is_empty() || node.place().is_some();
        (!left(first) && !left(third)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_orchestrator_finds_the_tree_again() {
    let mut world = World::start(2).await;
    let (mut ada, mut bob) = (world.client().await, world.client().await);
    let a = ada.join("ada").await;
    fill(&world, media(&world, &a), true).await;
    let b = bob.join("bob").await;
    let (one, two) = (media(&world, &a).node(), media(&world, &b).node());
    assert_ne!(one, two);
    until("the tree is laid", async || media(&world, &b).place()).await;
    world.kill().await;
    // What the nodes were told is told again, with the same epochs: they would refuse smaller ones.
    for node in &world.media {
        node.state().routes.clear();
    }
    world.boot().await;
    until("the tree is laid again", async || {
        let place = media(&world, &b).place()?;
        (place.0 == Some(one)).then_some(())
    })
    .await;
    let mut back = world.client().await;
    let resume = json!({ "session": b["session"], "secret": b["secret"] });
    let again = back.call("session.resume", resume).await.unwrap();
    assert_eq!((&again["node"]["id"], &again["generation"]), (&json!(two.to_hex()), &json!(1)));
    assert_eq!(again["nodes"], json!([one.to_hex(), two.to_hex()]));
}
