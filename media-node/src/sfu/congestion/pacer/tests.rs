use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

/// Polls like a timer that fires once a millisecond; gives what left in each.
fn run<T>(pacer: &mut Pacer<T>, from: Instant, ms: u32) -> Vec<(u32, Release<T>)> {
    let mut out = vec![];
    for at in 0..ms {
        let now = from + MS * at;
        while let Some(release) = pacer.poll(now) {
            if let Release::Padding(size, _) = release {
                pacer.on_padding(now, size as u16);
            }
            out.push((at, release));
        }
    }
    out
}

fn items(out: &[(u32, Release<u32>)]) -> Vec<u32> {
    out.iter()
        .filter_map(|(_, release)| if let Release::Media(item, _) = release { Some(*item) } else { None })
        .collect()
}

#[test]
fn a_large_picture_is_spread_and_a_small_one_is_not() {
    let now = Instant::now();
    let mut pacer = Pacer::new(now, Rate::kbps(1_000));
    // 40 packets of 1,200 bytes: 154 ms at 2.5 Mb/s.
    (0..40).for_each(|n| pacer.push(now, Priority::Video, 1_200, n));
    let out = run(&mut pacer, now, 400);
    assert_eq!(items(&out), (0..40).collect::<Vec<_>>());
    let last = out.last().unwrap().0;
    assert!((120..=160).contains(&last), "{last} ms");
    let at_once = (0..400).map(|ms| out.iter().filter(|(at, _)| *at == ms).count()).skip(1).max().unwrap();
    assert!(at_once <= 2, "{at_once} packets in one batch");

    let later = now + MS * 3_000;
    (0..4).for_each(|n| pacer.push(later, Priority::Video, 1_200, n));
    assert_eq!(run(&mut pacer, later, 1).len(), 4, "far below the target nothing waits");
}

#[test]
fn sound_never_waits_and_repairs_go_before_pictures() {
    let now = Instant::now();
    let mut pacer = Pacer::new(now, Rate::kbps(300));
    (0..20).for_each(|n| pacer.push(now, Priority::Video, 1_200, n));
    let first = run(&mut pacer, now, 20).len() as u32;
    pacer.push(now + MS * 20, Priority::Resend, 1_000, 100);
    pacer.push(now + MS * 20, Priority::Audio, 100, 200);
    let out = run(&mut pacer, now + MS * 20, 300);
    assert_eq!(out[0], (0, Release::Media(200, None)));
    let expected: Vec<u32> = [200, 100].into_iter().chain(first..20).collect();
    assert_eq!(items(&out), expected);
}

#[test]
fn a_queue_that_would_take_too_long_raises_the_rate() {
    let now = Instant::now();
    let mut pacer = Pacer::new(now, Rate::kbps(100));
    // 60 kB: 1.9 s at two and a half times the target.
    (0..50).for_each(|n| pacer.push(now, Priority::Video, 1_200, n));
    let out = run(&mut pacer, now, 1_000);
    let last = out.last().unwrap().0;
    assert_eq!(out.len(), 50);
    assert!((150..=300).contains(&last), "{last} ms");
}

#[test]
fn a_probe_keeps_its_rate_with_media_first_and_padding_after() {
    let now = Instant::now();
    let mut pacer = Pacer::new(now, Rate::kbps(300));
    let cluster = Cluster { id: ClusterId::FIRST, target: Rate::kbps(2_000), packets: 5, bytes: 6_250 };
    (0..2).for_each(|n| pacer.push(now, Priority::Video, 1_200, n));
    pacer.probe(cluster);
    let out = run(&mut pacer, now, 100);
    let sizes: Vec<u32> = out
        .iter()
        .map(|(_, release)| match release {
            Release::Media(_, id) => {
                assert_eq!(*id, Some(cluster.id));
                1_200
            }
            Release::Padding(size, _) => *size,
        })
        .collect();
    assert!(sizes.iter().sum::<u32>() >= 6_250 && sizes.len() >= 5, "{sizes:?}");
    assert!((19..=26).contains(&out.last().unwrap().0), "{:?}", out.last());
    assert!(!pacer.probing());
}

#[test]
fn a_probe_without_padding_ends() {
    let now = Instant::now();
    let mut pacer = Pacer::<u32>::new(now, Rate::kbps(300));
    pacer.probe(Cluster { id: ClusterId::FIRST, target: Rate::kbps(2_000), packets: 5, bytes: 6_250 });
    assert!(matches!(pacer.poll(now), Some(Release::Padding(1_000..=1_200, _))));
    pacer.on_padding(now, 0);
    assert_eq!((pacer.poll(now), pacer.timeout()), (None, None));
}

#[test]
fn a_probe_whose_padding_nobody_sends_ends_by_itself() {
    let now = Instant::now();
    let mut pacer = Pacer::<u32>::new(now, Rate::kbps(300));
    pacer.probe(Cluster { id: ClusterId::FIRST, target: Rate::kbps(2_000), packets: 5, bytes: 6_250 });
    assert!(pacer.poll(now).is_some());
    assert_eq!((pacer.poll(now), pacer.probing()), (None, false));
}

#[test]
fn lossy_lines_get_smaller_bursts() {
    let now = Instant::now();
    let at_once = [false, true].map(|lossy| {
        let mut pacer = Pacer::new(now, Rate::kbps(4_000));
        pacer.set_lossy(now, lossy);
        (0..20).for_each(|n| pacer.push(now, Priority::Video, 1_200, n));
        run(&mut pacer, now + MS, 1).len()
    });
    assert!(at_once[1] < at_once[0], "{at_once:?}");
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_waits_much_longer_than_allowed(
        kbps in 50u64..20_000,
        steps in proptest::collection::vec((0u32..40, 0usize..3, 40u16..1_400), 1..300),
    ) {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(now, Rate::kbps(kbps));
        let mut seen = 0usize;
        for (n, (ms, class, size)) in steps.iter().enumerate() {
            let priority = [Priority::Audio, Priority::Resend, Priority::Video][*class];
            pacer.push(now, priority, *size, n);
            for _ in 0..*ms {
                now += MS;
                while pacer.poll(now).is_some() {
                    seen += 1;
                }
                prop_assert!(pacer.waited(now) <= LONGEST_WAIT + SHORTEST_DRAIN, "{:?}", pacer.waited(now));
            }
        }
        for _ in 0..2_000 {
            // A timer that keeps to the time-outs finds something at each.
            let Some(at) = pacer.timeout() else { break };
            now = now.max(at);
            while pacer.poll(now).is_some() {
                seen += 1;
            }
        }
        prop_assert_eq!(seen, steps.len());
        prop_assert_eq!(pacer.queued(), 0);
    }
}
