//! Trees of hubs: what crosses their pipes, and what becomes of them when nodes move, die or come back.

use super::*;

#[test]
fn a_layer_crosses_each_pipe_once_and_only_if_it_is_watched() {
    let mut world = chain(1);
    world.publish(0, "video", &["q", "h", "f"]);
    world.pass(MS * 200);
    assert!(world.nodes[2].remote.values().any(|track| track.as_str() == "video"), "told over two hops");
    world.stream(0, "video", 0, 10);
    assert!(world.crossed.is_empty(), "nobody watches");
    world.want(2, "video", 0b010);
    world.pass(MS * 200);
    assert_eq!(world.nodes[0].taps[&name("video")].1, 0b010);
    world.want(1, "video", 0b010);
    world.pass(MS * 200);
    world.stream(0, "video", 10, 100);
    world.pass(MS * 100);
    assert_eq!(world.seqs(1, "video"), (10..110).collect::<Vec<_>>());
    assert_eq!(world.seqs(2, "video"), (10..110).collect::<Vec<_>>());
    let (down, up) = (world.crossed[&(0, 1)], world.crossed.get(&(1, 0)));
    assert!(up.is_none() && down < 100 * 1_030, "{down} bytes: once, with less than 3 % of head");
    world.want(1, "video", 0);
    world.want(2, "video", 0);
    world.pass(MS * 200);
    assert_eq!(world.nodes[0].taps[&name("video")].1, 0);
}

#[test]
fn losses_are_repaired_on_their_hop() {
    let mut world = chain(2);
    world.lines.insert((0, 1), Line { delay: MS * 30, jitter: MS * 8, loss: 0.1, rate: None });
    world.lines.insert((1, 2), Line { delay: MS * 50, jitter: MS * 20, loss: 0.05, rate: None });
    world.publish(0, "video", &[]);
    world.want(2, "video", 1);
    world.pass(MS * 1_000);
    world.stream(0, "video", 0, 1_000);
    world.pass(MS * 1_000);
    assert_eq!(world.sorted(2, "video"), (0..1_000).collect::<Vec<_>>(), "all of it, each once");
    let at = world.now;
    let pipe = |figures: Vec<PeerFigures>, node: usize| figures.iter().find(|f| f.node == id(node)).unwrap().pipe;
    let first = pipe(world.nodes[1].hub.figures(at, |_| 0), 0);
    assert!((500..2_000).contains(&first.loss_in) && first.residual_in == 0, "{first:?}");
    assert!(first.rtt >= MS * 60 && first.rtt < MS * 80, "{first:?}");
    let above = pipe(world.nodes[0].hub.figures(at, |_| 0), 1);
    assert!(above.loss_out.abs_diff(first.loss_in) < 200 && above.resent_packets > 50, "{above:?}");
    assert!(above.resent_packets < 200, "about as many as were lost: {above:?}");
}

#[test]
fn large_packets_go_in_pieces() {
    let mut world = chain(3);
    world.lines.insert((0, 1), Line { loss: 0.05, ..CLEAN });
    world.publish(0, "video", &[]);
    world.want(2, "video", 1);
    world.pass(MS * 500);
    for seq in 0..300 {
        world.send(0, "video", seq, 1_400, true);
        world.pass(MS * 10);
    }
    world.pass(MS * 700);
    assert_eq!(world.sorted(2, "video"), (0..300).collect::<Vec<_>>());
}

#[test]
fn a_dead_parent_is_replaced_by_the_standby_within_a_second_of_its_detection() {
    let mut world = chain(4);
    world.publish(0, "video", &[]);
    world.publish(2, "back", &[]);
    world.want(2, "video", 1);
    world.want(0, "back", 1);
    world.pass(MS * 500);
    let seq = world.stream(0, "video", 0, 100);
    assert!(world.seqs(2, "video").len() > 90);
    world.nodes[1].alive = false;
    let killed = world.now;
    let mut detected = None;
    for seq in seq..seq + 400 {
        world.send(0, "video", seq, 1_000, false);
        world.send(2, "back", seq, 1_000, false);
        world.pass(MS * 10);
        if detected.is_none() && world.nodes[2].hub.failovers > 0 {
            detected = Some(world.now);
        }
    }
    let detected = detected.unwrap();
    assert!(detected - killed <= MS * 2_000, "{:?}", detected - killed);
    for (node, track) in [(2, "video"), (0, "back")] {
        let again =
            world.nodes[node].got.iter().find(|got| got.0 == name(track) && got.3 > killed + MS * 100).unwrap().3;
        assert!(again - detected <= MS * 1_000, "{track}: {:?}", again - detected);
    }
    assert_eq!(world.nodes[2].parents_lost, [(id(1), Some(id(0)))], "told once");
    assert!(world.nodes[0].keyframes.contains(&(name("video"), 0)), "a key frame heals the gap");
    assert_eq!(world.nodes[2].remote.len(), 1, "the same track goes on");
}

#[test]
fn a_new_parent_takes_over_without_a_packet_lost_or_doubled() {
    let mut world = World::new(4, 5);
    for (pair, delay) in [((0, 1), 10), ((0, 2), 60), ((1, 3), 15), ((2, 3), 5)] {
        world.lines.insert(pair, Line { delay: MS * delay, ..CLEAN });
    }
    world.route(0, None, None, &[1, 2]);
    world.route(1, Some(0), None, &[3]);
    world.route(2, Some(0), None, &[3]);
    world.route(3, Some(1), None, &[]);
    world.pass(MS * 500);
    world.publish(0, "video", &[]);
    world.publish(1, "middle", &[]);
    world.publish(3, "leaf", &[]);
    for (node, track) in [(3, "video"), (3, "middle"), (0, "leaf"), (1, "leaf"), (2, "leaf")] {
        world.want(node, track, 1);
    }
    world.pass(MS * 500);
    for seq in 0..1_200u64 {
        for (node, track) in [(0, "video"), (1, "middle"), (3, "leaf")] {
            world.send(node, track, seq, 1_000, false);
        }
        match seq {
            300 => world.route(3, Some(2), None, &[]),
            900 => world.route(3, Some(1), None, &[]),
            _ => {}
        }
        world.pass(MS * 10);
        if seq == 850 {
            let room = &world.nodes[3].hub.rooms[0];
            assert_eq!(room.edges.len(), 1, "the old parent was left: {:?}", room.edges);
        }
    }
    world.pass(MS * 500);
    for (node, track) in [(3, "video"), (3, "middle"), (0, "leaf"), (1, "leaf"), (2, "leaf")] {
        let got = world.sorted(node, track);
        let missing: Vec<u64> = (0..1_200).filter(|seq| got.binary_search(seq).is_err()).collect();
        assert!(missing.is_empty() && got.len() == 1_200, "{track} at {node}: {} got, {missing:?} missing", got.len());
    }
}

#[test]
fn a_storm_of_key_frame_requests_becomes_one_per_interval() {
    let mut world = chain(6);
    world.publish(0, "video", &[]);
    for node in [1, 2] {
        world.want(node, "video", 1);
    }
    world.pass(MS * 500);
    world.nodes[0].keyframes.clear();
    for _ in 0..200 {
        for node in [1, 2] {
            let handle = *world.nodes[node].remote.keys().next().unwrap();
            world.with(node, |hub, now, out| hub.from_room(now, FromRoom::Keyframe(handle, 0), out));
        }
        world.pass(MS * 10);
    }
    let count = world.nodes[0].keyframes.len();
    assert!((3..=5).contains(&count), "{count} in 2 s");
    // The second one answers a request that crossed the first.
    for seq in [100, 101] {
        world.send(0, "video", seq, 1_000, true);
        world.pass(MS * 600);
    }
    world.nodes[0].keyframes.clear();
    world.pass(MS * 2_000);
    assert!(world.nodes[0].keyframes.is_empty(), "satisfied");
}

#[test]
fn a_partition_heals() {
    let mut world = chain(7);
    world.publish(0, "video", &[]);
    world.want(1, "video", 1);
    world.pass(MS * 500);
    world.stream(0, "video", 0, 50);
    world.cut.insert((0, 1));
    world.pass(MS * 5_000);
    assert!(world.nodes[1].remote.is_empty(), "without a way for so long it is over");
    world.cut.clear();
    world.pass(MS * 4_000);
    world.nodes[1].got.clear();
    world.stream(0, "video", 1_000, 50);
    world.pass(MS * 100);
    assert_eq!(world.seqs(1, "video"), (1_000..1_050).collect::<Vec<_>>());
}

#[test]
fn only_named_children_join_and_only_joined_neighbours_get_anything() {
    let mut world = World::new(2, 8);
    world.route(0, None, None, &[]);
    world.publish(0, "video", &[]);
    world.route(1, Some(0), None, &[]);
    world.want(1, "video", 1);
    world.pass(MS * 2_000);
    assert!(world.nodes[1].remote.is_empty());
    let key = world.key(0, 1).unwrap();
    world.with(0, |hub, now, out| {
        hub.control(now, key, Control::Subscribe(room(), name("video"), 0, StreamId(0)), out);
    });
    assert!(world.nodes[0].hub.served.is_empty());
    world.route(0, None, None, &[1]);
    world.pass(MS * 2_000);
    assert_eq!(world.nodes[1].remote.len(), 1);
    let behind = Route { room: room(), fence: 0, parent: None, standby: None, children: vec![] };
    world.with(0, |hub, now, out| {
        assert_eq!(hub.set_route(now, &behind, out), Err(RouteError::Fenced { given: 0, greatest: 1 }));
        let own = Route { fence: 2, children: vec![id(0)], ..behind.clone() };
        assert_eq!(hub.set_route(now, &own, out), Err(RouteError::Twice(id(0))));
    });
}

#[test]
fn data_messages_reach_every_node_once() {
    let mut world = chain(9);
    for (node, channel) in [(2, Channel::Reliable), (0, Channel::Lossy)] {
        let message = Bytes::from(vec![node as u8; 100]);
        world.with(node, |hub, now, out| {
            hub.from_room(now, FromRoom::Message(room(), "p".parse().unwrap(), channel, message), out);
        });
    }
    world.pass(MS * 500);
    let counts: Vec<usize> = world.nodes.iter().map(|node| node.messages.len()).collect();
    assert_eq!(counts, [1, 2, 1]);
}

#[test]
fn clocks_that_differ_do_not_hide_a_track_for_good() {
    let mut world = chain(14);
    let hour = 3_600_000_000;
    let publish = |world: &mut World, node: usize, publication: u64| {
        let layer = LayerInfo { rid: None, kbps: 100, height: None, alive: true };
        let track = LocalTrack {
            track: name("video"),
            participant: "p".parse().unwrap(),
            source: "camera".into(),
            kind: Kind::Video,
            layers: vec![layer],
            publication,
        };
        world.with(node, |hub, now, out| hub.from_room(now, FromRoom::Published(room(), track), out));
        world.pass(MS * 200);
    };
    let end = |world: &mut World, node: usize| {
        world.with(node, |hub, now, out| hub.from_room(now, FromRoom::Unpublished(room(), name("video")), out));
        world.pass(MS * 200);
    };
    // The participant goes from node 0, whose clock is an hour ahead, to node 2, while its old session still stands.
    world.want(1, "video", 1);
    publish(&mut world, 0, EPOCH + hour);
    publish(&mut world, 2, EPOCH);
    world.stream(2, "video", 500, 20);
    world.pass(MS * 100);
    assert_eq!(world.seqs(1, "video"), (500..520).collect::<Vec<_>>(), "who knows the old one numbers beyond it");
    assert!(world.nodes[0].remote.is_empty(), "what a client publishes here is taken from it by nobody");
    end(&mut world, 0);
    assert_eq!(world.nodes[0].remote.len(), 1, "now the other one comes to light");
    assert_eq!(world.nodes[1].remote.len(), 1);
    end(&mut world, 2);
    assert!(world.nodes.iter().all(|node| node.remote.is_empty()));
}

#[test]
fn messages_of_a_node_that_began_anew_are_not_taken_for_old_ones() {
    let mut world = chain(12);
    let say = |world: &mut World, text: &'static [u8]| {
        let message = FromRoom::Message(room(), "p".parse().unwrap(), Channel::Reliable, Bytes::from_static(text));
        world.with(1, |hub, now, out| hub.from_room(now, message, out));
    };
    (0..5).for_each(|_| say(&mut world, b"before"));
    world.pass(MS * 200);
    assert_eq!(world.nodes[2].messages.len(), 5);
    let passed = world.now.duration_since(world.start).as_micros() as u64;
    world.nodes[1].hub = Hub::new(id(1), world.now, EPOCH + passed);
    for other in [0, 2] {
        world.connections.remove(&pair(1, other));
        let key = world.key(other, 1).unwrap();
        world.with(other, |hub, now, out| hub.lost(now, key, out));
    }
    world.route(1, Some(0), None, &[2]);
    world.route(2, Some(1), None, &[]);
    world.pass(MS * 3_000);
    say(&mut world, b"after");
    world.pass(MS * 200);
    assert_eq!(world.nodes[2].messages.last().map(|message| &message[..]), Some(&b"after"[..]));
}

#[test]
fn a_node_whose_standby_dies_goes_back_to_its_parent() {
    let mut world = chain(13);
    world.publish(0, "video", &[]);
    // 2 has 1 above it and 0 as standby; 1 reaches 0 all the time.
    world.want(2, "video", 1);
    world.pass(MS * 500);
    world.cut.insert((1, 2));
    world.pass(MS * 3_000);
    assert_eq!(world.nodes[2].parents_lost, [(id(1), Some(id(0)))]);
    world.cut = BTreeSet::from([(0, 2)]);
    world.pass(MS * 6_000);
    assert_eq!(world.nodes[2].parents_lost.last(), Some(&(id(0), Some(id(1)))));
    world.nodes[2].got.clear();
    world.stream(0, "video", 0, 20);
    world.pass(MS * 200);
    assert_eq!(world.seqs(2, "video").len(), 20);
}

#[test]
fn a_publication_that_ends_or_moves_is_followed() {
    let mut world = chain(10);
    world.publish(2, "video", &[]);
    world.want(0, "video", 1);
    world.pass(MS * 300);
    world.stream(2, "video", 0, 20);
    assert!(world.seqs(0, "video").len() > 10);
    // Its participant comes back on node 1, before node 2 has noticed.
    world.publish(1, "video", &[]);
    world.pass(MS * 300);
    world.nodes[0].got.clear();
    world.stream(1, "video", 500, 20);
    world.pass(MS * 100);
    assert_eq!(world.seqs(0, "video"), (500..520).collect::<Vec<_>>());
    // On node 2 the old one is taken from nobody; when it ends, the new one is there.
    assert!(world.nodes[2].remote.is_empty());
    world.with(2, |hub, now, out| hub.from_room(now, FromRoom::Unpublished(room(), name("video")), out));
    world.pass(MS * 100);
    assert_eq!((world.nodes[0].remote.len(), world.nodes[2].remote.len()), (1, 1));
    world.with(1, |hub, now, out| hub.from_room(now, FromRoom::Unpublished(room(), name("video")), out));
    world.pass(MS * 100);
    assert!(world.nodes[0].remote.is_empty() && world.nodes[2].remote.is_empty());
}
