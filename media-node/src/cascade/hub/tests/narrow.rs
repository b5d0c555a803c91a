//! Pipes that are too narrow.

use super::*;

#[test]
fn a_pipe_that_is_too_narrow_carries_lower_layers() {
    let mut world = chain(11);
    world.publish(0, "video", &["q", "h"]);
    (world.nodes[1].greedy, world.nodes[2].greedy) = (true, true);
    world.want(1, "video", 0b10);
    world.want(2, "video", 0b10);
    world.pass(MS * 500);
    let mut seq = 0;
    let mut run = |world: &mut World, seconds: u64| {
        for _ in 0..seconds * 100 {
            world.send_layers(0, "video", seq, [250, 1_000, 0, 0], true);
            world.pass(MS * 10);
            seq += 1;
        }
    };
    let layers = |world: &World, node: usize| world.nodes[node].got.iter().map(|got| got.1).collect::<Vec<_>>();
    run(&mut world, 3);
    assert!(layers(&world, 2).iter().all(|layer| *layer == 1));
    // 100 kB/s are wanted, 25 of which will do.
    world.lines.insert((0, 1), Line { rate: Some(60_000), ..CLEAN });
    run(&mut world, 6);
    world.nodes.iter_mut().for_each(|node| node.got.clear());
    run(&mut world, 5);
    for node in [1, 2] {
        let got = layers(&world, node);
        assert!(got.len() >= 490 && got.iter().all(|layer| *layer == 0), "{} packets at {node}", got.len());
    }
    world.lines.insert((0, 1), CLEAN);
    run(&mut world, 30);
    world.nodes.iter_mut().for_each(|node| node.got.clear());
    run(&mut world, 2);
    assert!([1, 2].iter().all(|node| layers(&world, *node).iter().all(|layer| *layer == 1)), "the top is back");
    assert!(world.nodes.iter().all(|node| node.parents_poor.is_empty()), "what passes is borne");
}

#[test]
fn who_is_below_a_pipe_that_stays_narrow_complains_and_nobody_else() {
    let mut world = chain(11);
    world.publish(0, "video", &["q", "h"]);
    (world.nodes[1].greedy, world.nodes[2].greedy) = (true, true);
    world.want(1, "video", 0b10);
    world.want(2, "video", 0b10);
    world.lines.insert((0, 1), Line { rate: Some(60_000), ..CLEAN });
    for seq in 0..6_000 {
        world.send_layers(0, "video", seq, [250, 1_000, 0, 0], true);
        world.pass(MS * 10);
    }
    let poor: Vec<&[NodeId]> = world.nodes.iter().map(|node| node.parents_poor.as_slice()).collect();
    assert_eq!(poor, [&[] as &[NodeId], &[id(0)], &[]]);
}
