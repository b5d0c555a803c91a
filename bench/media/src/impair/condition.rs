//! What lines are like, and how they change.

use crate::{
    model::{
        bottleneck::{Shape, Step},
        line::{Delay, Loss},
    },
    path::Plan,
};
use std::{fmt, ops::Range, time::Duration};

/// Rates of the three phases, in kb/s.
pub const RATES: [u32; 3] = [3_000, 500, 3_000];
/// What may wait before the bottleneck.
pub const QUEUE: Duration = Duration::from_millis(300);
/// Share of the first phase in which the sender finds its rate; the rest of it is what counts for how much of the line it uses.
const SETTLING: f64 = 0.4;

/// One line's properties.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Line {
    /// What gets lost, each way.
    pub loss: Loss,
    /// Share of it, for whoever reads.
    pub loss_percent: f64,
    /// Round trip without any queue.
    pub rtt: Duration,
    /// Up to as much more each way.
    pub jitter: Duration,
}

/// A condition: the line, or none, for as long as three phases take.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Condition {
    /// `None`: nobody in the room has a bad line.
    pub line: Option<Line>,
    /// Length of each phase.
    pub phase: Duration,
    /// Bit rate of the publisher's top layer, in kb/s.
    pub top_kbps: u32,
}

impl Condition {
    /// The ways of the one behind the line.
    pub fn path(&self) -> Option<Plan> {
        let line = self.line.as_ref()?;
        let delay = Delay { base: line.rtt / 2, jitter: line.jitter };
        let steps = RATES.iter().enumerate().map(|(phase, kbps)| Step { at: self.phase * phase as u32, kbps: *kbps });
        Some(Plan {
            down: Shape { steps: steps.collect(), queue: QUEUE, delay, loss: line.loss },
            up: (line.loss, delay),
        })
    }

    /// Its round trip.
    pub fn rtt(&self) -> Duration {
        self.line.as_ref().map_or(Duration::ZERO, |line| line.rtt)
    }

    /// How long it takes.
    pub fn length(&self) -> Duration {
        self.phase * RATES.len() as u32
    }

    /// When a phase (from 0) is, from the joining on.
    pub fn phase(&self, number: u32) -> Range<Duration> {
        self.phase * number..self.phase * (number + 1)
    }

    /// The part of the first phase that counts for how much of the line is used.
    pub fn settled(&self) -> Range<Duration> {
        self.phase.mul_f64(SETTLING)..self.phase
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(line) = &self.line else { return f.write_str("nobody") };
        write!(f, "{} %, {} ms", line.loss_percent, line.rtt.as_millis())?;
        if !line.jitter.is_zero() {
            write!(f, " + {} ms", line.jitter.as_millis())?;
        }
        if let Loss::Bursts { recovers, .. } = line.loss {
            write!(f, ", bursts of {:.0}", 1.0 / recovers)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other_on_the_line_too() {
        let ms = Duration::from_millis;
        let loss = Loss::Bursts { worsens: 0.01, recovers: 0.2, share: 1.0 };
        let line = Line { loss, loss_percent: 5.0, rtt: ms(100), jitter: ms(20) };
        let condition = Condition { line: Some(line), phase: ms(20_000), top_kbps: 2_200 };
        let path = condition.path().unwrap();
        let rates = [0, 1, 2].map(|phase| path.down.kbps(condition.phase(phase).start));
        assert_eq!(rates, RATES.map(Some));
        assert_eq!(path.down.kbps(condition.phase(1).start - ms(1)), Some(3_000));
        assert_eq!((path.down.delay.base, path.up.1.base), (ms(50), ms(50)));
        assert_eq!(condition.phase(2).end, condition.length());
        assert_eq!(condition.settled(), ms(8_000)..ms(20_000));
        assert_eq!(condition.to_string(), "5 %, 100 ms + 20 ms, bursts of 5");
        assert_eq!(Condition { line: None, phase: ms(1), top_kbps: 2_200 }.path(), None);
    }
}
