//! A bottleneck: a queue of bounded length before a rate that changes on a schedule, then a line with its delay and its losses.

use super::line::{Delay, Line, Loss};
use rand::Rng;
use std::time::Duration;

/// A rate from a time on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Step {
    /// From when on, counted from the line's beginning.
    pub at: Duration,
    /// The rate, in kb/s of what is above UDP; at least 1.
    pub kbps: u32,
}

/// What a way is like.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct Shape {
    /// Rates in the order of their times; the first goes for what is before it too. None: no bottleneck.
    pub steps: Vec<Step>,
    /// How much may wait, as time at the present rate; what comes beyond is dropped. One packet always may.
    pub queue: Duration,
    /// How long the way behind the bottleneck takes.
    pub delay: Delay,
    /// What gets lost on it.
    pub loss: Loss,
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It arrives at this time.
    Arrives(Duration),
    /// The queue is full.
    Overflows,
    /// It passed the bottleneck, and is lost behind it.
    Lost,
}

/// The way at work. Times count from its beginning.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    shape: Shape,
    line: Line,
    now: Duration,
    /// When all that waits will have left.
    free: Duration,
}

impl Shape {
    /// The rate at a time in kb/s; `None` without a bottleneck.
    pub fn kbps(&self, at: Duration) -> Option<u32> {
        let last = self.steps.iter().take_while(|step| step.at <= at).last();
        last.or(self.steps.first()).map(|step| step.kbps.max(1))
    }

    /// Bits that the rate lets through between two times.
    pub fn bits(&self, from: Duration, to: Duration) -> f64 {
        let (mut at, mut bits) = (from, 0.0);
        while at < to {
            let end = self.change_after(at).map_or(to, |change| change.min(to));
            bits += f64::from(self.kbps(at).unwrap_or(0)) * 1e3 * (end - at).as_secs_f64();
            at = end;
        }
        bits
    }

    fn change_after(&self, at: Duration) -> Option<Duration> {
        self.steps.iter().skip(1).map(|step| step.at).find(|change| *change > at)
    }

    /// When the last of `bits` has left if the first does at `from`.
    fn end(&self, from: Duration, bits: f64) -> Duration {
        let (mut at, mut left) = (from, bits);
        while let Some(kbps) = self.kbps(at) {
            let whole = at + Duration::from_secs_f64(left / (f64::from(kbps) * 1e3));
            match self.change_after(at).filter(|change| *change < whole) {
                Some(change) => {
                    left = (left - self.bits(at, change)).max(0.0);
                    at = change;
                }
                None => return whole,
            }
        }
        from
    }
}

impl Bottleneck {
    /// An idle one.
    pub fn new(shape: Shape) -> Self {
        let line = Line::new(shape.loss, shape.delay);
        Self { shape, line, now: Duration::ZERO, free: Duration::ZERO }
    }

    /// Takes in a packet. Time doesn't run backwards: an earlier time than the last is taken for that.
    pub fn take(&mut self, now: Duration, bytes: usize, random: &mut impl Rng) -> Fate {
        self.now = self.now.max(now);
        if let Some(kbps) = self.shape.kbps(self.now) {
            let (bits, waiting) = (bytes as f64 * 8.0, self.shape.bits(self.now, self.free));
            let room = f64::from(kbps) * 1e3 * self.shape.queue.as_secs_f64();
            if waiting > 0.0 && waiting + bits > room {
                return Fate::Overflows;
            }
            self.free = self.shape.end(self.now.max(self.free), bits);
        } else {
            self.free = self.now;
        }
        if self.line.loses(random) {
            return Fate::Lost;
        }
        Fate::Arrives(self.line.arrival(self.free, random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn steps(all: &[(u64, u32)]) -> Vec<Step> {
        all.iter().map(|(at, kbps)| Step { at: MS(*at), kbps: *kbps }).collect()
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        let steps = prop::collection::vec((1u64..4_000, 50u32..5_000), 1..5).prop_map(|all| {
            let mut at = 0;
            let mut add = |(gap, kbps)| {
                at += gap;
                Step { at: MS(at), kbps }
            };
            all.into_iter().map(&mut add).collect::<Vec<_>>()
        });
        (steps, 5u64..600, 0u64..150, 0u64..40).prop_map(|(steps, queue, base, jitter)| {
            let delay = Delay { base: MS(base), jitter: MS(jitter) };
            Shape { steps, queue: MS(queue), delay, loss: Loss::None }
        })
    }

    proptest! {
        /// Whatever comes whenever: order is kept, no more gets through than the rate lets, none waits that finds the way free, and a
        /// packet is dropped only if the queue is full.
        #[test]
        fn the_rate_and_the_queue_are_kept_to(
            shape in shapes(),
            packets in prop::collection::vec((0u64..30_000, 1usize..1_400), 1..300),
        ) {
            let (mut way, mut random) = (Bottleneck::new(shape.clone()), StdRng::seed_from_u64(1));
            let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
            let (mut begin, mut through) = (Duration::ZERO, 0.0);
            for (wait, bytes) in packets {
                now += Duration::from_micros(wait);
                let before = way.free;
                if before <= now {
                    (begin, through) = (now, 0.0);
                }
                match way.take(now, bytes, &mut random) {
                    Fate::Arrives(at) => {
                        through += bytes as f64 * 8.0;
                        prop_assert!(at >= last && at >= way.free + shape.delay.base);
                        prop_assert!(last > way.free + shape.delay.base || at <= way.free + shape.delay.base + shape.delay.jitter);
                        // Since it was idle last, it let through what its rate allows: all of it, and no more.
                        prop_assert!((shape.bits(begin, way.free) - through).abs() < 1.0, "{} {through}", shape.bits(begin, way.free));
                        last = at;
                    }
                    Fate::Overflows => {
                        prop_assert!(before > now && way.free == before);
                        let room = f64::from(shape.kbps(now).unwrap()) * 1e3 * shape.queue.as_secs_f64();
                        prop_assert!(shape.bits(now, before) + bytes as f64 * 8.0 > room);
                    }
                    Fate::Lost => prop_assert!(false, "it loses nothing"),
                }
            }
        }
    }

    #[test]
    fn what_waits_when_the_rate_falls_takes_longer() {
        let shape = Shape { steps: steps(&[(0, 3_000), (1_000, 500)]), queue: MS(300), ..Shape::default() };
        let (mut way, mut random) = (Bottleneck::new(shape), StdRng::seed_from_u64(1));
        // 300 ms of 3 Mb/s, 100 ms before the step: 100 ms of it leave as before, the rest takes six times as long.
        for _ in 0..90 {
            assert!(matches!(way.take(MS(900), 1_250, &mut random), Fate::Arrives(_)));
        }
        assert_eq!(way.take(MS(900), 1_250, &mut random), Fate::Overflows);
        assert!((way.free.as_secs_f64() - 2.2).abs() < 1e-6, "{:?}", way.free);
        // Of what waits, no more may from now on than 300 ms at the new rate.
        assert_eq!(way.take(MS(1_800), 1_250, &mut random), Fate::Overflows);
        assert!(matches!(way.take(MS(1_950), 1_250, &mut random), Fate::Arrives(_)));
    }

    #[test]
    fn without_a_bottleneck_only_delay_and_loss_are_left() {
        let shape = Shape {
            delay: Delay { base: MS(50), jitter: Duration::ZERO },
            loss: Loss::Random { share: 0.1 },
            ..Shape::default()
        };
        let (mut way, mut random) = (Bottleneck::new(shape), StdRng::seed_from_u64(1));
        let fates: Vec<Fate> = (0..10_000).map(|at| way.take(MS(at), 1_200, &mut random)).collect();
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        assert!((850..1_150).contains(&lost), "{lost}");
        let on_time = |(at, fate): (usize, &Fate)| [Fate::Lost, Fate::Arrives(MS(at as u64 + 50))].contains(fate);
        assert!(fates.iter().enumerate().all(on_time));
    }
}
