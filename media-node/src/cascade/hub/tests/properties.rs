//! What holds of hubs whatever happens, and whatever their neighbours say.

use super::*;
use proptest::prelude::*;
use rand::Rng;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Random trees, random moves of leaves and subtrees at random moments, on lossy lines: nothing comes twice, nothing goes round,
    /// and once the commands have settled everyone gets everything.
    #[test]
    fn any_sequence_of_moves_ends_in_a_tree_that_serves(
        seed: u64,
        first in proptest::collection::vec(any::<usize>(), 5),
        moves in proptest::collection::vec((1usize..6, any::<usize>(), 0u64..1_500), 0..6),
    ) {
        const NODES: usize = 6;
        let mut world = World::new(NODES, seed);
        for pair in (0..NODES).flat_map(|a| (a + 1..NODES).map(move |b| (a, b))) {
            let delay = MS * world.rng.random_range(1..40);
            world.lines.insert(pair, Line { delay, jitter: MS * 3, loss: 0.01, rate: None });
        }
        // Parents with smaller numbers only: any such choice is a tree.
        let mut parents: Vec<Option<usize>> = (0..NODES).map(|node| node.checked_sub(1).map(|n| first[n] % node)).collect();
        let command = |world: &mut World, parents: &[Option<usize>]| {
            for node in 0..NODES {
                let children: Vec<usize> = (0..NODES).filter(|child| parents[*child] == Some(node)).collect();
                world.route(node, parents[node], None, &children);
            }
        };
        command(&mut world, &parents);
        for node in 0..NODES {
            world.publish(node, &format!("t{node}"), &[]);
            (0..NODES).filter(|other| *other != node).for_each(|other| world.want(other, &format!("t{node}"), 1));
        }
        let mut seq = 0u64;
        let mut run = |world: &mut World, ms: u64| {
            for _ in 0..ms / 20 {
                (0..NODES).for_each(|node| world.send(node, &format!("t{node}"), seq, 300, seq.is_multiple_of(50)));
                seq += 1;
                world.pass(MS * 20);
            }
        };
        run(&mut world, 600);
        for (node, parent, wait) in moves {
            parents[node] = Some(parent % node);
            command(&mut world, &parents);
            run(&mut world, wait);
        }
        run(&mut world, 6_500);
        world.nodes.iter_mut().for_each(|node| node.got.clear());
        world.crossed.clear();
        run(&mut world, 1_000);
        world.pass(MS * 1_000);
        for node in 0..NODES {
            for other in (0..NODES).filter(|other| *other != node) {
                let got = world.sorted(node, &format!("t{other}"));
                let mut once = got.clone();
                once.dedup();
                prop_assert_eq!(&once, &got, "nothing twice");
                prop_assert!(got.len() >= 50, "t{} at {}: {} packets", other, node, got.len());
            }
        }
        // A tree of 6 nodes has 5 pipes, each of which every one of 6 tracks crosses once.
        let bytes: u64 = world.crossed.values().sum();
        prop_assert!(bytes < 5 * 6 * 50 * 330 * 108 / 100, "{} bytes crossed", bytes);
        for node in &world.nodes {
            prop_assert_eq!(node.hub.rooms[0].edges.values().filter(|edge| **edge != Edge::Joined).count(), 0);
        }
    }
}

/// Something that a peer may say, within a small world of names so that it means something.
fn any_control() -> impl Strategy<Value = Control> {
    let track = || (0..4u8).prop_map(|number| name(&format!("t{number}")));
    let stream = || (0..6u32).prop_map(StreamId);
    let layers = || {
        let layer = (any::<u32>(), any::<Option<u16>>(), any::<bool>());
        let layer = layer.prop_map(|(kbps, height, alive)| LayerInfo { rid: None, kbps, height, alive });
        proptest::collection::vec(layer, 1..4)
    };
    let announce =
        (track(), any::<u64>(), layers(), proptest::collection::vec(0..5usize, 1..8), any::<bool>(), any::<bool>());
    let announce = announce.prop_map(|(track, publication, layers, path, going, video)| control::Announce {
        room: room(),
        track,
        publication,
        participant: "p".parse().unwrap(),
        source: "camera".into(),
        kind: if video { Kind::Video } else { Kind::Audio },
        layers,
        path: path.into_iter().map(id).chain([id(1)]).collect(),
        going,
    });
    let data = (0..5usize, any::<u64>()).prop_map(|(origin, number)| control::Data {
        room: room(),
        origin: id(origin),
        number,
        participant: "p".parse().unwrap(),
        channel: Channel::Reliable,
        data: Bytes::from_static(b"x"),
    });
    prop_oneof![
        1 => any::<(u32, u32)>().prop_map(|(version, oldest)| Control::Hello(version, oldest)),
        1 => any::<u64>().prop_map(|fence| Control::Join(room(), fence)),
        1 => Just(Control::Joined(room())),
        1 => Just(Control::Refused(room(), "no".into())),
        1 => Just(Control::Leave(room())),
        4 => announce.prop_map(Control::Announce),
        1 => (track(), layers()).prop_map(|(track, layers)| Control::Layers(room(), track, layers)),
        1 => (track(), any::<bool>()).prop_map(|(track, over)| Control::Withdraw(room(), track, over)),
        4 => (track(), 0..5u8, stream()).prop_map(|(track, layer, stream)| Control::Subscribe(room(), track, layer, stream)),
        1 => stream().prop_map(Control::Unsubscribe),
        1 => stream().prop_map(Control::Keyframe),
        1 => data.prop_map(Control::Data),
    ]
}

/// A datagram that a peer may send: well formed and absurd, or garbage.
fn any_datagram() -> impl Strategy<Value = Bytes> {
    use crate::cascade::datagram;
    let stream = || (0..6u32).prop_map(StreamId);
    let media = (stream(), any::<u32>(), 0u64..1 << 48, any::<bool>()).prop_map(|(stream, hop, seq, starts)| {
        let head = datagram::MediaHead {
            seq,
            timestamp: 0,
            marker: true,
            starts,
            format: VP8,
            audio_level: None,
            voice: None,
            descriptor: None,
            quarter_turns: None,
        };
        datagram::media(stream, hop % 2_000, &head, &seq.to_be_bytes())
    });
    let beat = any::<[u64; 5]>().prop_map(|[clock, echo, expected, lost, given_up]| {
        datagram::beat(&datagram::Beat { clock, echo, held: 7, expected, lost, given_up })
    });
    prop_oneof![
        4 => media,
        1 => (stream(), proptest::collection::vec(any::<u32>(), 0..9)).prop_map(|(stream, missing)| datagram::nack(stream, &missing)),
        1 => proptest::collection::vec((stream(), any::<u32>()), 0..9).prop_map(|heads| datagram::heads(&heads)),
        1 => beat,
        1 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a neighbour says and sends: nothing panics, and what a client here publishes goes on to the other neighbour.
    #[test]
    fn a_neighbour_that_says_anything_does_the_others_no_harm(
        said in proptest::collection::vec(prop_oneof![
            any_control().prop_map(Ok),
            any_datagram().prop_map(Err),
        ], 1..120),
    ) {
        // 0 is the victim; 1 says anything; 2 is another child.
        let mut world = World::new(3, 1);
        world.route(0, None, None, &[1, 2]);
        world.route(2, Some(0), None, &[]);
        world.route(1, Some(0), None, &[]);
        world.publish(0, "t0", &[]);
        world.want(2, "t0", 1);
        world.pass(MS * 300);
        for (count, said) in said.into_iter().enumerate() {
            if let Some(key) = world.key(0, 1) {
                world.with(0, |hub, now, out| match said {
                    Ok(message) => hub.control(now, key, message, out),
                    Err(datagram) => hub.datagram(now, key, datagram, out),
                });
            }
            world.pass(MS * (count as u32 % 3) * 20);
        }
        world.nodes[2].got.clear();
        world.stream(0, "t0", 1_000_000, 20);
        world.pass(MS * 300);
        prop_assert_eq!(world.sorted(2, "t0"), (1_000_000..1_000_020).collect::<Vec<_>>());
    }
}
