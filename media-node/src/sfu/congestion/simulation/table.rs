//! The figures in docs/congestion.md: `cargo test -p chroom-media-node --lib congestion::simulation::table -- --ignored --nocapture`.

use super::{super::Rate, *};
use std::time::Duration;

const SEEDS: std::ops::Range<u64> = 1..6;
const WIDE: Pictures = Pictures::Elastic(Rate::kbps(20_000));

fn layers() -> Pictures {
    Pictures::Layers([150, 500, 1_700].map(Rate::kbps).to_vec())
}

fn line(rtt: u64, loss: Loss) -> Line {
    Line { loss, ..Line::new(Rate::kbps(3_000), rtt) }
}

/// Losses of 2 % and 5 % that come in bursts of ten packets, of which half are lost.
fn bursts(share: f64) -> Loss {
    let bad = share * 2.0;
    Loss::Bursts { begins: 0.1 * bad / (1.0 - bad), ends: 0.1, loses: 0.5 }
}

/// A minute of a sender that uses what it may; the worst of five runs.
fn steady(name: &str, line: &Line) {
    let (mut share, mut reached, mut usual, mut longest) = (f64::MAX, 0, Duration::ZERO, Duration::ZERO);
    for seed in SEEDS {
        let mut world = World::new(line.clone(), vec![WIDE], seed);
        world.run(70_000);
        share = share.min(world.utilisation(0, 10_000..69_900));
        reached = reached.max(world.reaches(0, 0, line.rate(0).scaled(0.85)).unwrap_or(u64::MAX));
        usual = usual.max(world.queue(0.05, 10_000..70_000));
        longest = longest.max(world.queue(0.0, 10_000..70_000));
    }
    println!(
        "| {name} | {:.1} s | {:.0} % | {} ms | {} ms |",
        reached as f64 / 1_000.0,
        share * 100.0,
        usual.as_millis(),
        longest.as_millis()
    );
}

/// 3 Mb/s, from 30 s on 0.5, from 60 s on 3 again; the worst of five runs.
fn steps(name: &str, line: &Line) {
    let line = Line {
        rates: [(0, 3_000), (30_000, 500), (60_000, 3_000)].map(|(at, kbps)| (at, Rate::kbps(kbps))).to_vec(),
        ..line.clone()
    };
    let (mut first, mut gap, mut long, mut again) = (0, 0, 0, 0);
    for seed in SEEDS {
        let mut world = World::new(line.clone(), vec![layers()], seed);
        world.run(90_000);
        first = first.max(world.shows_layer(0, 0, 2).unwrap_or(u64::MAX));
        gap = gap.max(world.longest_gap(0, 30_000..60_000));
        let waits = &world.queue[30_000..60_000];
        long = long.max(waits.iter().filter(|wait| **wait > Duration::from_millis(250)).count());
        again = again.max(world.shows_layer(0, 60_000, 2).unwrap_or(u64::MAX) - 60_000);
    }
    println!("| {name} | {:.1} s | {gap} ms | {long} ms | {:.1} s |", first as f64 / 1_000.0, again as f64 / 1_000.0);
}

#[test]
#[ignore = "prints a table"]
fn table() {
    println!("| Line of 3 Mb/s | 85 % after | carried | queue p95 | longest |");
    for rtt in [50, 100, 300] {
        for loss in [0, 2, 5, 10, 20] {
            steady(&format!("RTT {rtt} ms, {loss} % lost"), &line(rtt, Loss::Even(f64::from(loss) / 100.0)));
        }
    }
    for loss in [2, 5] {
        steady(&format!("RTT 100 ms, {loss} % lost in bursts"), &line(100, bursts(f64::from(loss) / 100.0)));
    }
    for jitter in [10, 30] {
        let line = Line { jitter: Duration::from_millis(jitter), ..line(100, Loss::None) };
        steady(&format!("RTT 100 ms, {jitter} ms jitter"), &line);
    }
    for queue in [20, 50, 1_000] {
        let line = Line { queue: Duration::from_millis(queue), ..line(100, Loss::None) };
        steady(&format!("RTT 100 ms, queue of {queue} ms"), &line);
    }
    steady(
        "RTT 100 ms, queue of 20 ms, 2 % lost",
        &Line { queue: Duration::from_millis(20), ..line(100, Loss::Even(0.02)) },
    );
    println!("| Steps | top layer after | longest gap | queue > 250 ms | top layer again after |");
    for rtt in [50, 100, 300] {
        for loss in [0, 2, 5, 10] {
            steps(&format!("RTT {rtt} ms, {loss} % lost"), &line(rtt, Loss::Even(f64::from(loss) / 100.0)));
        }
    }
    steps("RTT 100 ms, queue of 1 s", &Line { queue: Duration::from_secs(1), ..line(100, Loss::None) });
    steps("RTT 100 ms, queue of 50 ms", &Line { queue: Duration::from_millis(50), ..line(100, Loss::None) });
    steps("RTT 100 ms, jitter 20 ms", &Line { jitter: Duration::from_millis(20), ..line(100, Loss::None) });
    println!("| Two alike, the second from 20 s on | shares over the last minute |");
    for (rtt, loss) in [(50, 0), (100, 0), (100, 2), (300, 0)] {
        let shares: Vec<String> =
            SEEDS.map(|seed| shared(&line(rtt, Loss::Even(f64::from(loss) / 100.0)), seed)).collect();
        println!("| RTT {rtt} ms, {loss} % lost | {} |", shares.join(", "));
    }
    println!("| Half taken by others from 20 to 50 s | of the rest | 85 % again after | longest queue |");
    beside_others();
    println!(
        "| A download beside it from 20 to 80 s | of the line | lowest target | 85 % again after | median queue |"
    );
    for queue in [100, 300, 1_000] {
        let line = Line { queue: Duration::from_millis(queue), ..line(100, Loss::None) };
        beside_a_download(&format!("RTT 100 ms, queue of {queue} ms"), &line);
    }
}

/// What each of two gets, in percent.
fn shared(line: &Line, seed: u64) -> String {
    let mut world = World::new(line.clone(), vec![WIDE, WIDE], seed);
    world.begins = vec![0, 20_000];
    world.run(120_000);
    let [first, second] = [0, 1].map(|flow| (world.utilisation(flow, 60_000..119_900) * 100.0).round());
    format!("{first} : {second}")
}

fn beside_others() {
    let (mut share, mut back, mut longest) = (f64::MAX, 0, Duration::ZERO);
    for seed in SEEDS {
        let cross = [(0, 0), (20_000, 1_500), (50_000, 0)].map(|(at, kbps)| (at, Rate::kbps(kbps))).to_vec();
        let mut world = World::new(Line { cross, ..line(100, Loss::None) }, vec![WIDE], seed);
        world.run(90_000);
        share = share.min(2.0 * world.utilisation(0, 25_000..50_000));
        back = back.max(world.reaches(0, 50_000, Rate::kbps(2_550)).unwrap_or(u64::MAX) - 50_000);
        longest = longest.max(world.queue(0.0, 20_000..50_000));
    }
    println!("| RTT 100 ms | {:.0} % | {:.1} s | {} ms |", share * 100.0, back as f64 / 1_000.0, longest.as_millis());
}

fn beside_a_download(name: &str, line: &Line) {
    let (mut share, mut lowest, mut back, mut usual) = (f64::MAX, u32::MAX, 0, Duration::ZERO);
    for seed in SEEDS {
        let mut world = World::new(line.clone(), vec![WIDE], seed);
        world.download = Some(Reno::new(20_000, 80_000));
        world.run(100_000);
        share = share.min(world.utilisation(0, 25_000..80_000));
        lowest = lowest.min(world.targets(0, 25_000..80_000).0);
        back = back.max(world.reaches(0, 80_000, Rate::kbps(2_550)).unwrap_or(u64::MAX) - 80_000);
        usual = usual.max(world.queue(0.5, 25_000..80_000));
    }
    let (share, back) = (share * 100.0, back as f64 / 1_000.0);
    println!("| {name} | {share:.0} % | {lowest} kb/s | {back:.1} s | {} ms |", usual.as_millis());
}

/// What the controller costs: its size, and the time for a packet sent and told of.
#[test]
#[ignore = "measures"]
fn cost() {
    use super::super::{Config, Controller, Pacer};
    let mut now = std::time::Instant::now();
    let mut controller = Controller::new(Config::default());
    let begun = std::time::Instant::now();
    let packets: u32 = 2_000_000;
    for turn in 0..packets / 50 {
        for n in 0..50 {
            now += Duration::from_millis(2);
            controller.on_sent(now, (turn * 50 + n) as u16, 1_200, None);
        }
        let arrivals = (0..50).map(|n| ((turn * 50 + n) as u16, Some(i64::from(turn * 50 + n) * 2_000)));
        controller.on_arrivals(now, arrivals);
        controller.next_probe(now);
    }
    let each = begun.elapsed() / packets;
    let sizes = (size_of::<Controller>(), size_of::<Pacer<u32>>(), super::super::history::ENTRY);
    println!("{each:?} a packet, {sizes:?} bytes, {:?}", controller.target());
}
