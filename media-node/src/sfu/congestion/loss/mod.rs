//! The rate that loss allows. The draft's loss-based controller (draft-ietf-rmcat-gcc-02, section 6) falls whenever more than a tenth is
//! lost, so that a radio link that loses at random falls to nothing. This one asks first whether the sending rate is the cause.
//!
//! What is lost whatever is sent is the line's *baseline*. Loss clearly above it makes a **test**: the rate is lowered a little below what
//! got through. Does the loss go, then the rate was the cause, and what got through is the capacity. Does it stay, then it is no fault of
//! the rate: it becomes the baseline and the rate is free again.

use super::{observation::Observation, rate::Rate};
use std::time::{Duration, Instant};

/// Loss that is tolerated above the baseline, besides [`DEVIATIONS`]; below it, the draft raises the rate too.
const MARGIN: f64 = 0.02;
/// Standard deviations by which a window's loss must exceed the baseline to be more than chance.
const DEVIATIONS: f64 = 3.0;
/// So many windows in a row must exceed it: single bursts of loss pass.
const SUSPICIONS: u8 = 2;
/// Above this, one window is enough.
const SEVERE: f64 = 0.3;
/// What of the rate that got through is sent in a test, and of the rate that was sent at most.
const TEST: f64 = 0.95;
const TEST_AT_MOST: f64 = 0.9;
/// A test counts from windows that were sent at this share of the former rate or less.
const TEST_COUNTS: f64 = 0.95;
/// Packets that must have been sent at the lower rate.
const TEST_PACKETS: f64 = 60.0;
/// A sender that doesn't get lower in this time can't, and its loss is the baseline.
const TEST_LONGEST: Duration = Duration::from_secs(3);
/// Weight of a window in the baseline when it lies below, and above at a lower rate than before.
const BETTER: f64 = 0.05;
const WORSE: f64 = 0.2;
/// A rate this much lower than a capacity that was found, or than the highest of late, can't be what fills the line.
const LOWER: f64 = 0.8;
/// What the highest rate of late loses per window.
const HIGHEST_FADES: f64 = 0.99;
/// Weight of a window in the average.
const AVERAGING: f64 = 0.2;
/// Most that is ever taken for random.
const MOST_BASELINE: f64 = 0.5;
/// A capacity that was found is kept for so long, twice as long each time it is found again, …
const HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(4);
/// … which it is within this share, …
const SAME: f64 = 0.2;
/// … and then grows by this factor a second, until …
const GROWTH: f64 = 1.08;
/// … this much more passes without loss.
const REFUTED: f64 = 1.08;
/// A bound that grew this far beyond what was found says nothing any more.
const BEYOND: f64 = 1.5;

/// A queue this long overflows: loss is its, and no test is needed. While it is not this short, no loss is taken for random.
const LONG_QUEUE: Duration = Duration::from_millis(100);
const SHORT_QUEUE: Duration = Duration::from_millis(30);

/// What else is known of a window.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Less is sent than may be.
    pub limited: bool,
    /// How long packets wait on the line.
    pub waits: Duration,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Loss doesn't limit the rate.
    Free,
    /// The rate is lowered to see whether the loss goes.
    Testing(Test),
    /// More than this was lost.
    Bounded { since: Instant, capacity: Rate },
}

/// A test: what was sent and lost before, and what is since.
#[derive(Clone, Copy, Debug)]
struct Test {
    since: Instant,
    bound: Rate,
    before: Observation,
    packets: f64,
    lost: f64,
}

/// The loss-based controller.
#[derive(Clone, Debug)]
pub struct LossBased {
    state: State,
    baseline: f64,
    suspicions: u8,
    highest: f64,
    /// The last capacity found, and how long it is held.
    found: Option<Rate>,
    hold: Duration,
    last_loss: f64,
    average: f64,
}

impl Default for LossBased {
    fn default() -> Self {
        Self {
            state: State::Free,
            baseline: 0.0,
            suspicions: 0,
            highest: 0.0,
            found: None,
            hold: HOLD,
            last_loss: 0.0,
            average: 0.0,
        }
    }
}

impl LossBased {
    /// Whether loss bounds nothing.
    pub fn is_free(&self) -> bool {
        matches!(self.state, State::Free)
    }

    /// The highest rate that loss allows; `None` for any.
    pub fn bound(&self, now: Instant) -> Option<Rate> {
        match self.state {
            State::Free => None,
            State::Testing(test) => Some(test.bound),
            State::Bounded { since, capacity } => {
                let growing = now.saturating_duration_since(since).saturating_sub(self.hold);
                Some(capacity.scaled(TEST * GROWTH.powf(growing.as_secs_f64())))
            }
        }
    }

    /// What is lost whatever is sent.
    pub fn baseline(&self) -> f64 {
        self.baseline
    }

    /// What is lost on average, whatever the cause.
    pub fn average(&self) -> f64 {
        self.average
    }

    /// What was lost in the last window.
    pub fn loss(&self) -> f64 {
        self.last_loss
    }

    /// Whether probes may be sent: nothing is being tested, and a capacity that was found has been kept for its time.
    pub fn allows_probes(&self, now: Instant) -> bool {
        match self.state {
            State::Free => true,
            State::Testing(_) => false,
            State::Bounded { since, .. } => now.saturating_duration_since(since) > self.hold,
        }
    }

    /// A probe got through at this rate.
    pub fn on_probe(&mut self, rate: Rate) {
        if let State::Bounded { capacity, .. } = self.state
            && rate > capacity.scaled(REFUTED)
        {
            self.state = State::Free;
        }
    }

    /// A window's loss. Says whether it showed that the rate is not the cause, so that it is free again.
    pub fn on_observation(&mut self, now: Instant, seen: Observation, circumstances: Circumstances) -> bool {
        let Circumstances { limited, waits } = circumstances;
        self.last_loss = seen.loss;
        self.average += AVERAGING * (seen.loss - self.average);
        self.highest = (self.highest * HIGHEST_FADES).max(seen.sent.as_f64());
        let exceeds = seen.loss > self.baseline + MARGIN + DEVIATIONS * self.deviation(seen.packets);
        match self.state {
            State::Testing(test) if waits < LONG_QUEUE => return self.conclude(now, seen, test),
            // It isn't clear yet what the lower rate loses.
            State::Testing(test) if now.saturating_duration_since(test.since) < TEST_LONGEST => {}
            State::Testing(_) => self.found(now, seen),
            State::Free | State::Bounded { .. } if exceeds => {
                self.suspicions = self.suspicions.saturating_add(1);
                // A sender that is far from its limit is hardly the cause of a little loss.
                let severe = seen.loss > self.baseline + SEVERE;
                let learn = limited && seen.loss < self.baseline + SEVERE / 3.0;
                if waits >= LONG_QUEUE && self.suspicions >= SUSPICIONS {
                    self.found(now, seen);
                } else if learn && waits < SHORT_QUEUE {
                    self.learn(seen, WORSE);
                } else if severe || self.suspicions >= SUSPICIONS {
                    self.test(now, seen);
                }
            }
            State::Free => self.settle(seen, waits),
            State::Bounded { capacity, .. } => {
                self.settle(seen, waits);
                if seen.sent > capacity.scaled(REFUTED) || self.bound(now) > Some(capacity.scaled(BEYOND)) {
                    self.state = State::Free;
                }
            }
        }
        false
    }

    /// The standard deviation of the share that a window of so many packets loses by chance.
    fn deviation(&self, packets: u32) -> f64 {
        let packets = f64::from(packets.max(1));
        let share = self.baseline.max(1.0 / packets).min(0.5);
        (share * (1.0 - share) / packets).sqrt()
    }

    /// A window without loss that calls for anything.
    fn settle(&mut self, seen: Observation, waits: Duration) {
        self.suspicions = 0;
        if seen.loss < self.baseline {
            self.learn(seen, BETTER);
        } else if seen.sent.as_f64() < self.full() * LOWER && waits < SHORT_QUEUE {
            self.learn(seen, WORSE);
        }
    }

    /// The rate that fills the line, as far as known.
    fn full(&self) -> f64 {
        match self.state {
            State::Bounded { capacity, .. } => self.highest.min(capacity.as_f64()),
            _ => self.highest,
        }
    }

    fn learn(&mut self, seen: Observation, weight: f64) {
        self.baseline = (self.baseline + weight * (seen.loss - self.baseline)).clamp(0.0, MOST_BASELINE);
    }

    fn test(&mut self, now: Instant, before: Observation) {
        self.suspicions = 0;
        let through = before.delivered().scaled(TEST / (1.0 - self.baseline));
        let bound = through.min(before.sent.scaled(TEST_AT_MOST));
        self.state = State::Testing(Test { since: now, bound, before, packets: 0.0, lost: 0.0 });
    }

    fn conclude(&mut self, now: Instant, seen: Observation, mut test: Test) -> bool {
        let late = now.saturating_duration_since(test.since) > TEST_LONGEST;
        if seen.began >= test.since && seen.sent <= test.before.sent.scaled(TEST_COUNTS) {
            test.packets += f64::from(seen.packets);
            test.lost += f64::from(seen.packets) * seen.loss;
        }
        self.state = State::Testing(test);
        if test.packets < TEST_PACKETS && !late {
            return false;
        }
        let before = (f64::from(test.before.packets), f64::from(test.before.packets) * test.before.loss);
        let after = if test.packets > 0.0 { test.lost / test.packets } else { seen.loss };
        if test.packets > 0.0 && after <= self.baseline + (test.before.loss - self.baseline) / 2.0 {
            self.bind(now, test.bound.scaled(1.0 / TEST));
            return false;
        }
        let mean = (before.1 + test.lost) / (before.0 + test.packets).max(1.0);
        self.baseline = mean.min(MOST_BASELINE);
        self.state = State::Free;
        true
    }

    /// Loss while the queue is long: the line is full, and what comes out of it is its capacity.
    fn found(&mut self, now: Instant, seen: Observation) {
        self.suspicions = 0;
        self.bind(now, seen.delivered().scaled(1.0 / (1.0 - self.baseline)));
    }

    fn bind(&mut self, now: Instant, capacity: Rate) {
        let same = self.found.is_some_and(|found| (capacity.as_f64() - found.as_f64()).abs() < found.as_f64() * SAME);
        self.hold = if same { (self.hold * 2).min(LONGEST_HOLD) } else { HOLD };
        self.found = Some(capacity);
        self.state = State::Bounded { since: now, capacity };
    }
}

#[cfg(test)]
mod tests;
