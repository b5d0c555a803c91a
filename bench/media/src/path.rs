//! The way to one client: a bottleneck, and the datagrams that are on it.
//!
//! It lies between the socket and the client, so that connectivity checks, DTLS, media and feedback all take it, whatever the server. When a
//! datagram enters is the kernel's time stamp and when it arrives is computed, so that neither depends on when the generator has its turn.

use crate::model::{
    bottleneck::{Bottleneck, Fate, Shape},
    line::{Delay, Loss},
};
use rand::Rng;
use std::{collections::VecDeque, time::Duration};

/// Datagrams that are on their way at most; beyond, they are lost as if the queue were full.
const MAX_WAITING: usize = 1 << 14;

/// What a client's ways are like.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct Plan {
    /// To the client.
    pub down: Shape,
    /// To the server.
    pub up: (Loss, Delay),
}

/// What happened on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Traffic {
    /// Datagrams that came out.
    pub arrived: u64,
    /// Datagrams that found the queue full.
    pub overflowed: u64,
    /// Datagrams lost behind the queue.
    pub lost: u64,
}

/// The way at work.
#[derive(Debug)]
pub struct Path {
    way: Bottleneck,
    begin: Duration,
    waiting: VecDeque<(Duration, Vec<u8>)>,
    traffic: Traffic,
}

impl Path {
    /// An empty way; its schedule begins at `begin`, as all times here count from when the load began.
    pub fn new(shape: Shape, begin: Duration) -> Self {
        Self { way: Bottleneck::new(shape), begin, waiting: VecDeque::new(), traffic: Traffic::default() }
    }

    /// What happened so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Takes in a datagram.
    pub fn take(&mut self, now: Duration, datagram: &[u8], random: &mut impl Rng) {
        match self.way.take(now.saturating_sub(self.begin), datagram.len(), random) {
            Fate::Arrives(at) if self.waiting.len() < MAX_WAITING => {
                self.waiting.push_back((self.begin + at, datagram.to_vec()));
            }
            Fate::Arrives(_) | Fate::Overflows => self.traffic.overflowed += 1,
            Fate::Lost => self.traffic.lost += 1,
        }
    }

    /// The next datagram that has arrived by now, with the time of that.
    pub fn next(&mut self, now: Duration) -> Option<(Duration, Vec<u8>)> {
        self.waiting.front().filter(|(at, _)| *at <= now)?;
        self.traffic.arrived += 1;
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bottleneck::Step;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn datagrams_come_out_whole_in_order_and_on_time() {
        let ms = Duration::from_millis;
        let shape = Shape {
            steps: vec![Step { at: Duration::ZERO, kbps: 800 }],
            queue: ms(20),
            delay: Delay { base: ms(30), jitter: Duration::ZERO },
            loss: Loss::None,
        };
        let (mut path, mut random) = (Path::new(shape, ms(1_000)), StdRng::seed_from_u64(1));
        // 10 ms each.
        for byte in 0..4 {
            path.take(ms(5_000), &[byte; 1_000], &mut random);
        }
        assert_eq!(path.next(ms(5_039)), None);
        assert_eq!(path.next(ms(5_040)), Some((ms(5_040), vec![0; 1_000])));
        assert_eq!(path.next(ms(5_045)), None);
        assert_eq!(path.next(ms(6_000)), Some((ms(5_050), vec![1; 1_000])));
        assert_eq!(path.next(ms(6_000)), None);
        assert_eq!(path.traffic(), Traffic { arrived: 2, overflowed: 2, lost: 0 });
    }
}
