//! The bottleneck: a queue that drops what doesn't fit, a rate that changes, and the way behind it.

use super::{
    super::Rate,
    loss::{Losing, Loss},
    random::Random,
};
use std::{collections::VecDeque, time::Duration};

/// What a line is like. Times are in milliseconds from the start.
#[derive(Clone, Debug)]
pub struct Line {
    /// The rate from each time on; the first entry is for time 0.
    pub rates: Vec<(u64, Rate)>,
    /// How much waits at most, as time at the present rate.
    pub queue: Duration,
    /// The way without any queue, one direction.
    pub propagation: Duration,
    /// Up to so much more, evenly spread; packets keep their order.
    pub jitter: Duration,
    /// What is lost behind the queue.
    pub loss: Loss,
    /// Others' packets of 1,200 bytes, at this rate from each time on.
    pub cross: Vec<(u64, Rate)>,
}

impl Line {
    /// A line of one rate with a queue of 300 ms, that loses nothing.
    pub fn new(rate: Rate, rtt_ms: u64) -> Self {
        Self {
            rates: vec![(0, rate)],
            queue: Duration::from_millis(300),
            propagation: Duration::from_millis(rtt_ms / 2),
            jitter: Duration::ZERO,
            loss: Loss::None,
            cross: vec![(0, Rate::ZERO)],
        }
    }

    /// The rate at a time in microseconds.
    pub fn rate(&self, at_us: u64) -> Rate {
        step(&self.rates, at_us)
    }
}

fn step(steps: &[(u64, Rate)], at_us: u64) -> Rate {
    steps.iter().rev().find(|(from, _)| from * 1_000 <= at_us).map_or(Rate::ZERO, |(_, rate)| *rate)
}

/// A packet under way; `T` is what it carries.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<T> {
    /// Whose it is; `None` for cross traffic.
    pub flow: Option<usize>,
    /// In bytes.
    pub size: u16,
    /// What it carries.
    pub load: T,
}

/// The bottleneck at work.
#[derive(Debug)]
pub struct Link<T> {
    line: Line,
    queue: VecDeque<(u64, Parcel<T>)>,
    queued: u64,
    free_us: u64,
    last_arrival: u64,
    losing: Losing,
    random: Random,
    cross_credit: f64,
    /// Bytes that left the bottleneck, by flow.
    pub carried: Vec<u64>,
}

impl<T: Copy + Default> Link<T> {
    /// An empty queue.
    pub fn new(line: Line, flows: usize, seed: u64) -> Self {
        let losing = Losing::new(line.loss, seed ^ 0x1055);
        Self {
            line,
            queue: VecDeque::new(),
            queued: 0,
            free_us: 0,
            last_arrival: 0,
            losing,
            random: Random::new(seed),
            cross_credit: 0.0,
            carried: vec![0; flows],
        }
    }

    /// What it is like.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// How long a packet that comes now waits.
    pub fn wait(&self, now_us: u64) -> Duration {
        self.line.rate(now_us).time_for(self.queued)
    }

    /// A packet comes; if it doesn't fit it is gone.
    pub fn push(&mut self, now_us: u64, parcel: Parcel<T>) {
        if self.wait(now_us) < self.line.queue {
            self.queued += u64::from(parcel.size);
            self.queue.push_back((now_us, parcel));
        }
    }

    /// Sends what there is time for before `until_us`; gives arrivals at the receiver.
    pub fn run(&mut self, until_us: u64, mut arrived: impl FnMut(u64, Parcel<T>)) {
        self.cross(until_us);
        while let Some((came, parcel)) = self.queue.front().copied() {
            let begins = self.free_us.max(came);
            let ends = begins + self.line.rate(begins).time_for(parcel.size.into()).as_micros() as u64;
            if ends > until_us {
                break;
            }
            self.queue.pop_front();
            self.queued -= u64::from(parcel.size);
            self.free_us = ends;
            let Some(flow) = parcel.flow else { continue };
            self.carried[flow] += u64::from(parcel.size);
            if self.losing.loses_next() {
                continue;
            }
            let jitter = (self.line.jitter.as_micros() as f64 * self.random.share()) as u64;
            self.last_arrival = self.last_arrival.max(ends + self.line.propagation.as_micros() as u64 + jitter);
            arrived(self.last_arrival, parcel);
        }
    }

    /// Others' packets of the last millisecond.
    fn cross(&mut self, until_us: u64) {
        self.cross_credit += step(&self.line.cross, until_us).bytes_in(Duration::from_millis(1)) as f64;
        while self.cross_credit >= 1_200.0 {
            self.cross_credit -= 1_200.0;
            self.push(until_us, Parcel { flow: None, size: 1_200, load: T::default() });
        }
    }
}
