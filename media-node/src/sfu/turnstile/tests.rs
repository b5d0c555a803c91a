use super::*;
use proptest::prelude::*;
use std::collections::BinaryHeap;

const MS: Duration = Duration::from_millis(1);

/// Lets in whose turn it is.
fn let_in(turnstile: &mut Turnstile<u32>, now: Instant) -> Vec<u32> {
    std::iter::from_fn(|| turnstile.pop(now, |_| true)).map(|join| join.expect("it didn't wait for long")).collect()
}

#[test]
fn a_few_come_in_at_once_and_in_order() {
    let now = Instant::now();
    let mut turnstile = Turnstile::new(now);
    (0..14).for_each(|join| turnstile.push(now, join).unwrap());
    assert_eq!(let_in(&mut turnstile, now), Vec::from_iter(0..14));
    assert_eq!((turnstile.next(), turnstile.waiting()), (None, 0));
}

#[test]
fn whoever_waited_for_too_long_is_given_back() {
    let start = Instant::now();
    let mut turnstile = Turnstile::new(start);
    (0..1_000).for_each(|join| turnstile.push(start, join).unwrap());
    let first = let_in(&mut turnstile, start).len() as u32;
    // What a join takes turned out to be much more than was thought.
    (0..200).for_each(|_| turnstile.up(MOST_COST));
    let late = start + MOST_WAIT + MS;
    assert_eq!(turnstile.pop(late, |_| true), Some(Err(first)));
}

#[test]
fn who_gave_up_costs_nobody_time() {
    let now = Instant::now();
    let mut turnstile = Turnstile::new(now);
    (0..1_000).for_each(|join| turnstile.push(now, join).unwrap());
    assert_eq!(turnstile.pop(now, |join| *join >= 990), Some(Ok(990)));
    assert_eq!(turnstile.waiting(), 9);
}

#[test]
fn who_would_wait_for_too_long_is_not_let_queue() {
    let now = Instant::now();
    let mut turnstile = Turnstile::new(now);
    (0..100).for_each(|_| turnstile.up(20 * MS));
    turnstile.spend(Duration::from_secs(2));
    turnstile.busy(now + Duration::from_secs(1), 0.5);
    let taken = (0..10_000).take_while(|join| turnstile.push(now, *join).is_ok()).count();
    // The joins that were measured cost more than the thread was busy: there are no others.
    let expected = MOST_WAIT.as_secs_f64() / (0.02 / (1.0 - SPARE));
    assert!((taken as f64 - expected).abs() < expected / 20.0, "{taken}, {expected}");
}

#[test]
fn what_others_take_is_left_to_them() {
    let start = Instant::now();
    let mut turnstile = Turnstile::<u32>::new(start);
    turnstile.busy(start + Duration::from_secs(1), 0.6);
    assert!((turnstile.share - (0.4 - SPARE)).abs() < 1e-9);
    // Joins had 0.3 of 0.6.
    turnstile.spend(300 * MS);
    turnstile.busy(start + Duration::from_secs(2), 0.6);
    assert!((turnstile.share - (0.7 - SPARE)).abs() < 1e-9);
    turnstile.busy(start + Duration::from_secs(3), 1.0);
    assert!((turnstile.share - LEAST_SHARE).abs() < 1e-9, "somebody always gets in");
}

/// How a crowd went.
struct Went {
    /// When the last one was up.
    last_up: Duration,
    /// The most work that ever lay before a packet.
    backlog: Duration,
    refused: u32,
}

/// A thread that does one thing after the other: media for `media` of the time, and joins of `crowd` clients who all come at once, each of four
/// parts that take `part` and come a `round_trip` apart. `before` joined one by one, so that it is known what they cost.
fn crowd(before: u32, crowd: u32, part: Duration, round_trip: Duration, media: f64) -> Went {
    let start = Instant::now();
    let mut turnstile = Turnstile::new(start);
    (0..before).for_each(|_| turnstile.up(part * 4));
    turnstile.busy(start, media);
    let mut refused = (0..crowd).filter(|join| turnstile.push(start, *join).is_err()).count() as u32;
    let mut parts: BinaryHeap<std::cmp::Reverse<(Duration, u32)>> = BinaryHeap::new();
    let [mut last_up, mut backlog, mut free, mut busy, mut measured] = [Duration::ZERO; 5];
    let mut up = 0;
    for step in 0..60_000 {
        let now = MS * step;
        let mut work = |took: Duration| {
            free = free.max(now) + took;
            busy += took;
            free
        };
        work(MS.mul_f64(media));
        while parts.peek().is_some_and(|part| part.0.0 <= now) {
            let Some(std::cmp::Reverse((_, left))) = parts.pop() else { break };
            let done = work(part);
            turnstile.spend(part);
            if left > 0 {
                parts.push(std::cmp::Reverse((done + round_trip, left - 1)));
            } else {
                up += 1;
                last_up = done;
                turnstile.up(part * 4);
            }
        }
        while let Some(join) = turnstile.pop(start + now, |_| true) {
            match join {
                Ok(_) => parts.push(std::cmp::Reverse((now, 3))),
                Err(_) => refused += 1,
            }
        }
        if now >= measured + Duration::from_secs(1) {
            let share = busy.as_secs_f64() / (now - measured).as_secs_f64();
            turnstile.busy(start + now, share.min(1.0));
            (measured, busy) = (now, Duration::ZERO);
        }
        backlog = free.saturating_sub(now).max(backlog);
        if up + refused == crowd {
            break;
        }
    }
    assert_eq!(up + refused, crowd, "everyone was let in or refused");
    Went { last_up, backlog, refused }
}

#[test]
fn two_thousand_come_in_beside_the_media_of_others() {
    let went = crowd(100, 2_000, Duration::from_micros(400), 100 * MS, 0.3);
    assert_eq!(went.refused, 0);
    assert!(went.last_up < Duration::from_secs(8), "{:?}", went.last_up);
    assert!(went.backlog < 120 * MS, "{:?}", went.backlog);
    // All of them answered at once would have been three seconds of work before each packet.
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_crowd_never_stops_the_media_for_long(
        before in 0u32..100, size in 1u32..3_000, part_us in 50u64..2_000, round_trip_ms in 0u32..400, media in 0.0f64..0.7,
    ) {
        let went = crowd(before, size, Duration::from_micros(part_us), MS * round_trip_ms, media);
        prop_assert!(went.backlog < 900 * MS, "{:?}", went.backlog);
        prop_assert!(went.last_up < Duration::from_secs(30), "{:?}", went.last_up);
    }
}
