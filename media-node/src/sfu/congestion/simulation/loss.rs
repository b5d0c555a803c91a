//! How a line loses packets at random.

use super::random::Random;

/// A loss model.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each packet by itself (Bernoulli).
    Even(f64),
    /// In bursts (Gilbert and Elliott): two states, of which one loses.
    Bursts {
        /// Chance per packet that a burst begins.
        begins: f64,
        /// Chance per packet that it ends.
        ends: f64,
        /// What is lost in a burst.
        loses: f64,
    },
}

/// A loss model at work.
#[derive(Clone, Copy, Debug)]
pub struct Losing {
    model: Loss,
    burst: bool,
    random: Random,
}

impl Losing {
    /// With its own randomness.
    pub fn new(model: Loss, seed: u64) -> Self {
        Self { model, burst: false, random: Random::new(seed) }
    }

    /// Whether the next packet is lost.
    pub fn loses_next(&mut self) -> bool {
        match self.model {
            Loss::None => false,
            Loss::Even(share) => self.random.share() < share,
            Loss::Bursts { begins, ends, loses } => {
                let turn = if self.burst { ends } else { begins };
                self.burst ^= self.random.share() < turn;
                self.burst && self.random.share() < loses
            }
        }
    }
}
