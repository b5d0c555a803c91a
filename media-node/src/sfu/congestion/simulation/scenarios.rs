//! What must hold, by simulated time. Several seeds each: a limit that one run keeps by luck is none.

use super::{super::Rate, *};
use std::time::Duration;

const SEEDS: std::ops::Range<u64> = 1..4;
const WIDE: Pictures = Pictures::Elastic(Rate::kbps(20_000));
const MINUTE: u64 = 60_000;

fn layers() -> Pictures {
    Pictures::Layers([150, 500, 1_700].map(Rate::kbps).to_vec())
}

fn line(rtt: u64, loss: f64) -> Line {
    Line { loss: Loss::Even(loss), ..Line::new(Rate::kbps(3_000), rtt) }
}

fn steps(line: Line) -> Line {
    let rates = [(0, 3_000), (30_000, 500), (60_000, 3_000)].map(|(at, kbps)| (at, Rate::kbps(kbps)));
    Line { rates: rates.to_vec(), ..line }
}

fn run(line: &Line, pictures: Vec<Pictures>, seed: u64, until: u64) -> World {
    let mut world = World::new(line.clone(), pictures, seed);
    world.run(until);
    world
}

#[test]
fn the_line_is_found_in_two_seconds_and_filled_without_a_long_queue() {
    for rtt in [50, 100, 300] {
        for loss in [0.0, 0.02] {
            for seed in SEEDS {
                let world = run(&line(rtt, loss), vec![WIDE], seed, MINUTE);
                let what = format!("RTT {rtt} ms, loss {loss}, seed {seed}");
                let reached = world.reaches(0, 0, Rate::kbps(2_550));
                assert!(reached.is_some_and(|at| at <= 2_000), "{what}: {reached:?}");
                let used = world.utilisation(0, 10_000..MINUTE);
                assert!(used >= 0.85, "{what}: {used:.3} used");
                assert!(world.queue(0.05, 0..MINUTE) < Duration::from_millis(100), "{what}");
                assert!(world.queue(0.0, 0..MINUTE) < Duration::from_millis(250), "{what}");
            }
        }
    }
}

#[test]
fn random_loss_is_not_taken_for_congestion() {
    for (loss, least) in [(0.05, 0.8), (0.1, 0.8), (0.2, 0.65)] {
        for seed in SEEDS {
            let world = run(&line(100, loss), vec![WIDE], seed, MINUTE);
            let used = world.utilisation(0, 10_000..MINUTE);
            assert!(used >= least, "loss {loss}, seed {seed}: {used:.3} used");
            // Always enough for sound and the lowest layer, and soon for the middle one and its repairs.
            let (lowest, _) = world.targets(0, 0..MINUTE);
            assert!(lowest >= 190, "loss {loss}, seed {seed}: {lowest} kb/s at the lowest");
            let (lowest, _) = world.targets(0, 15_000..MINUTE);
            assert!(lowest >= 650, "loss {loss}, seed {seed}: {lowest} kb/s at the lowest later");
        }
    }
}

#[test]
fn bursts_of_loss_are_not_taken_for_congestion() {
    let loss = Loss::Bursts { begins: 0.004, ends: 0.1, loses: 0.5 };
    for seed in SEEDS {
        let world = run(&Line { loss, ..line(100, 0.0) }, vec![WIDE], seed, MINUTE);
        let used = world.utilisation(0, 10_000..MINUTE);
        assert!(used >= 0.75, "seed {seed}: {used:.3} used");
    }
}

#[test]
fn a_step_down_interrupts_the_picture_for_less_than_a_second() {
    for (rtt, loss) in [(50, 0.0), (50, 0.02), (100, 0.0), (100, 0.02), (300, 0.0)] {
        for seed in SEEDS {
            let world = run(&steps(line(rtt, loss)), vec![layers()], seed, MINUTE);
            let what = format!("RTT {rtt} ms, loss {loss}, seed {seed}");
            let gap = world.longest_gap(0, 30_000..MINUTE);
            assert!(gap < 1_000, "{what}: {gap} ms without a picture");
            // What was in the queue takes six times as long; it must not stay.
            let long = world.queue[30_000..].iter().filter(|wait| **wait > Duration::from_millis(250)).count();
            assert!(long < 1_100, "{what}: a long queue for {long} ms");
            assert!(world.queue(0.0, 32_000..MINUTE) < Duration::from_millis(150), "{what}");
        }
    }
}

#[test]
fn the_top_layer_is_back_five_seconds_after_a_step_up() {
    for (rtt, loss) in [(50, 0.0), (50, 0.02), (100, 0.0), (100, 0.02), (300, 0.0), (300, 0.02)] {
        for seed in SEEDS {
            let world = run(&steps(line(rtt, loss)), vec![layers()], seed, 70_000);
            let back = world.shows_layer(0, MINUTE, 2);
            assert!(back.is_some_and(|at| at <= 65_000), "RTT {rtt} ms, loss {loss}, seed {seed}: {back:?}");
        }
    }
}

#[test]
fn a_picture_that_fits_keeps_its_layer() {
    for seed in SEEDS {
        let world = run(&line(100, 0.0), vec![layers()], seed, MINUTE);
        assert!(
            world.samples[0].iter().filter(|sample| sample.at >= 2_000).all(|sample| sample.layer == 2),
            "seed {seed}"
        );
        // Probes cost next to nothing, and end when there is nothing to be found.
        assert!(world.flows[0].padding < 60_000, "seed {seed}: {} bytes of padding", world.flows[0].padding);
    }
}

#[test]
fn two_alike_share_within_a_factor_of_two() {
    for (rtt, begins) in [(50, 0), (100, 20_000), (300, 20_000)] {
        let mut sums = [0.0; 2];
        for seed in 1..6 {
            let mut world = World::new(line(rtt, 0.0), vec![WIDE, WIDE], seed);
            world.begins = vec![0, begins];
            world.run(120_000);
            let shares = [0, 1].map(|flow| world.utilisation(flow, 60_000..119_900));
            assert!(shares[0] + shares[1] > 0.8, "{shares:?}");
            // A single minute may be further off; three is what TCP's flows differ by too.
            assert!(shares[0].max(shares[1]) < 3.0 * shares[0].min(shares[1]), "RTT {rtt} ms, seed {seed}: {shares:?}");
            sums = [sums[0] + shares[0], sums[1] + shares[1]];
        }
        assert!(sums[0].max(sums[1]) < 2.0 * sums[0].min(sums[1]), "RTT {rtt} ms: {sums:?}");
    }
}

#[test]
fn others_get_their_part_and_what_they_leave_is_used() {
    let cross = [(0, 0), (20_000, 1_500), (40_000, 0)].map(|(at, kbps)| (at, Rate::kbps(kbps))).to_vec();
    for seed in SEEDS {
        let world = run(&Line { cross: cross.clone(), ..line(100, 0.0) }, vec![WIDE], seed, MINUTE);
        let beside = world.utilisation(0, 25_000..40_000);
        assert!((0.4..0.52).contains(&beside), "seed {seed}: {beside:.3} beside half");
        let back = world.reaches(0, 40_000, Rate::kbps(2_550));
        assert!(back.is_some_and(|at| at <= 45_000), "seed {seed}: {back:?}");
    }
}

#[test]
fn a_download_leaves_room_for_sound_and_the_lowest_layer() {
    for queue in [100, 300, 1_000] {
        let line = Line { queue: Duration::from_millis(queue), ..line(100, 0.0) };
        for seed in SEEDS {
            let mut world = World::new(line.clone(), vec![WIDE], seed);
            world.download = Some(Reno::new(20_000, MINUTE));
            world.run(70_000);
            let (lowest, _) = world.targets(0, 20_000..MINUTE);
            assert!(lowest >= 190, "queue of {queue} ms, seed {seed}: {lowest} kb/s at the lowest");
            let back = world.reaches(0, MINUTE, Rate::kbps(2_550));
            assert!(back.is_some_and(|at| at <= 66_000), "queue of {queue} ms, seed {seed}: {back:?}");
        }
    }
}

#[test]
fn a_shallow_queue_is_not_overrun() {
    for seed in SEEDS {
        let world = run(&Line { queue: Duration::from_millis(20), ..line(100, 0.0) }, vec![WIDE], seed, MINUTE);
        let (_, mean) = world.targets(0, 10_000..MINUTE);
        assert!((2_000..3_600).contains(&mean), "seed {seed}: {mean} kb/s");
        assert!(world.utilisation(0, 10_000..MINUTE) > 0.85, "seed {seed}");
    }
}

#[test]
fn sound_arrives_whatever_happens_to_pictures() {
    let world = run(&steps(line(100, 0.02)), vec![layers()], 1, 90_000);
    // 4,500 packets, of which 2 % and what the overflowing queue drops are lost.
    assert!(world.receivers[0].sounds > 4_300, "{}", world.receivers[0].sounds);
}
