//! A line between a client and the SFU: what it loses, and how long it takes.

use rand::Rng;
use std::time::Duration;

/// Which packets are lost.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "model")]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with the same probability (Bernoulli).
    Random {
        /// The probability, 0 to 1.
        share: f64,
    },
    /// In bursts: a good state that loses nothing, a bad one that loses a share (Gilbert-Elliott).
    Bursts {
        /// Probability of turning bad, per packet.
        worsens: f64,
        /// Probability of turning good again, per packet.
        recovers: f64,
        /// Share that is lost while bad.
        share: f64,
    },
}

/// How long packets take one way.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize)]
pub struct Delay {
    /// The least.
    pub base: Duration,
    /// Up to as much more, evenly spread. Packets keep their order, as in a queue.
    pub jitter: Duration,
}

/// A line.
#[derive(Clone, Debug, Default)]
pub struct Line {
    loss: Loss,
    delay: Delay,
    bad: bool,
    last: Duration,
}

impl Line {
    /// A line in its good state.
    pub fn new(loss: Loss, delay: Delay) -> Self {
        Self { loss, delay, bad: false, last: Duration::ZERO }
    }

    /// Whether it does anything at all.
    pub fn is_perfect(&self) -> bool {
        self.loss == Loss::None && self.delay == Delay::default()
    }

    /// Whether a packet is lost.
    pub fn loses(&mut self, random: &mut impl Rng) -> bool {
        match self.loss {
            Loss::None => false,
            Loss::Random { share } => random.random_bool(share.clamp(0.0, 1.0)),
            Loss::Bursts { worsens, recovers, share } => {
                let turns = if self.bad { recovers } else { worsens };
                self.bad ^= random.random_bool(turns.clamp(0.0, 1.0));
                self.bad && random.random_bool(share.clamp(0.0, 1.0))
            }
        }
    }

    /// When a packet that is sent now arrives.
    pub fn arrival(&mut self, now: Duration, random: &mut impl Rng) -> Duration {
        let arrival = now + self.delay.base + self.delay.jitter.mul_f64(random.random());
        self.last = self.last.max(arrival);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn lost(loss: Loss) -> Vec<bool> {
        let (mut line, mut random) = (Line::new(loss, Delay::default()), StdRng::seed_from_u64(5));
        (0..200_000).map(|_| line.loses(&mut random)).collect()
    }

    fn share(lost: &[bool]) -> f64 {
        lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64
    }

    /// Mean length of runs of losses.
    fn burst(lost: &[bool]) -> f64 {
        let runs = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        lost.iter().filter(|lost| **lost).count() as f64 / runs.max(1) as f64
    }

    #[test]
    fn both_models_lose_their_share_and_one_of_them_in_bursts() {
        let random = lost(Loss::Random { share: 0.05 });
        // Bad for a share of 0.01 / (0.01 + 0.19) of the time, five packets at once.
        let bursts = lost(Loss::Bursts { worsens: 0.01, recovers: 0.19, share: 1.0 });
        assert!((0.047..0.053).contains(&share(&random)), "{}", share(&random));
        assert!((0.045..0.055).contains(&share(&bursts)), "{}", share(&bursts));
        assert!((1.0..1.2).contains(&burst(&random)), "{}", burst(&random));
        assert!((4.5..6.0).contains(&burst(&bursts)), "{}", burst(&bursts));
        assert_eq!(share(&lost(Loss::None)), 0.0);
    }

    #[test]
    fn delay_lies_between_its_bounds_and_keeps_order() {
        let delay = Delay { base: Duration::from_millis(50), jitter: Duration::from_millis(30) };
        let (mut line, mut random) = (Line::new(Loss::None, delay), StdRng::seed_from_u64(5));
        let mut last = Duration::ZERO;
        for millis in 0..10_000 {
            let now = Duration::from_millis(millis);
            let arrival = line.arrival(now, &mut random);
            assert!(arrival >= last && arrival >= now + delay.base && arrival <= now + delay.base + delay.jitter);
            last = arrival;
        }
        assert!(Line::default().is_perfect() && !line.is_perfect());
    }
}
