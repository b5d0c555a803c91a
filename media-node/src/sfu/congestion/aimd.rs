//! The rate that the delay allows: up by factors while the link's capacity is unknown, slowly near to it, down by a share of what
//! arrives when the queue grows (draft-ietf-rmcat-gcc-02, section 5.5).

use super::{capacity::Capacity, rate::Rate, recent::Passage, trend::Usage};
use std::time::{Duration, Instant};

/// What is kept of the arriving rate when the queue grows (section 5.5: beta).
const BETA: f64 = 0.85;
/// Growth per second while the capacity is unknown (section 5.5: eta).
const ETA: f64 = 1.08;
/// The estimate may exceed what arrives by this factor (section 5.5) and by [`HEADROOM`] (libwebrtc), so that it doesn't grow by itself.
const BEYOND_ARRIVING: f64 = 1.5;
const HEADROOM: Rate = Rate::kbps(10);
/// What the detector takes to see a change, added to the round trip (section 5.5).
const DETECTION: Duration = Duration::from_millis(100);
/// Shortest additive growth per second (libwebrtc).
const LEAST_GROWTH: f64 = 4_000.0;
/// The last packets say something of the line when they were this share of the rate.
const USED: f64 = 0.7;
/// Frames per second and packet size that the additive growth assumes (section 5.5).
const FRAME_RATE: f64 = 30.0;
const PACKET_BITS: f64 = 1_200.0 * 8.0;
/// The next decrease waits for a round trip, within these bounds (libwebrtc).
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// What an update goes by.
#[derive(Clone, Copy, Debug)]
pub struct Signals {
    /// What the queue does.
    pub usage: Usage,
    /// What arrives, random loss made up for; if known yet.
    pub arriving: Option<Rate>,
    /// What the last packets' passage was, likewise.
    pub recent: Option<Passage>,
    /// Less is sent than would be allowed.
    pub limited: bool,
    /// The round trip.
    pub rtt: Duration,
}

impl Signals {
    /// What the line carries when full, as far as the last packets tell. Where little is sent, little arrives, and that says nothing;
    /// unless packets are held back, for then whatever arrives is all that the line carries. A rate that has just risen is in the last
    /// packets, and not yet in the filtered rate.
    fn full(&self, rate: Rate) -> Option<Rate> {
        let held_back = self.recent.and_then(|recent| recent.full());
        held_back.or_else(|| match self.recent {
            _ if self.limited => None,
            Some(recent) if recent.left < rate.scaled(USED) => None,
            Some(recent) => self.arriving.max(Some(recent.arrived)),
            None => self.arriving,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Hold,
    Increase,
}

/// The additive-increase, multiplicative-decrease controller.
#[derive(Clone, Debug)]
pub struct Aimd {
    rate: Rate,
    bounds: (Rate, Rate),
    state: State,
    capacity: Capacity,
    updated: Option<Instant>,
    decreased: Option<Instant>,
}

impl Aimd {
    /// A controller that begins with `start`.
    pub fn new(start: Rate, bounds: (Rate, Rate)) -> Self {
        let capacity = Capacity::default();
        Self { rate: start, bounds, state: State::Hold, capacity, updated: None, decreased: None }
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes over a rate that a probe measured.
    pub fn on_probe(&mut self, now: Instant, rate: Rate) {
        self.capacity.on_probe(rate);
        self.updated = Some(now);
        self.set(rate);
    }

    /// Sets the rate to what else is known of the line.
    pub fn set(&mut self, rate: Rate) {
        self.rate = rate.clamp(self.bounds.0, self.bounds.1);
    }

    /// Goes on by what the last feedback said. Says whether the rate was lowered.
    pub fn update(&mut self, now: Instant, signals: Signals) -> bool {
        let passed = self.updated.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        match signals.usage {
            Usage::Over => return self.decrease(now, signals),
            Usage::Under => self.state = State::Hold,
            // The first update after a hold only ends it.
            Usage::Normal if self.state == State::Hold => self.state = State::Increase,
            Usage::Normal => self.increase(passed, signals),
        }
        false
    }

    fn increase(&mut self, passed: Duration, signals: Signals) {
        let Some(arriving) = signals.arriving else { return };
        if self.capacity.range().is_some_and(|range| arriving > *range.end()) {
            self.capacity.reset();
        }
        let seconds = passed.as_secs_f64().min(1.0);
        let rate = self.rate.as_f64();
        let grown = if self.capacity.estimate().is_some() {
            rate + self.growth(signals.rtt) * seconds
        } else {
            rate + (rate * (ETA.powf(seconds) - 1.0)).max(1_000.0 * seconds)
        };
        let limit = arriving.scaled(BEYOND_ARRIVING).plus(HEADROOM).max(self.rate);
        self.set(Rate::from_f64(grown).min(limit));
    }

    /// Additive growth near the capacity, in bits per second and second: a packet per response time.
    fn growth(&self, rtt: Duration) -> f64 {
        let frame = self.rate.as_f64() / FRAME_RATE;
        let packet = frame / (frame / PACKET_BITS).ceil().max(1.0);
        (packet / (rtt + DETECTION).as_secs_f64()).max(LEAST_GROWTH)
    }

    fn decrease(&mut self, now: Instant, signals: Signals) -> bool {
        let wait = signals.rtt.clamp(SHORTEST_WAIT, LONGEST_WAIT);
        let collapsed = signals.arriving.is_some_and(|arriving| arriving < self.rate.scaled(0.5)) && !signals.limited;
        if !collapsed && self.decreased.is_some_and(|at| now.saturating_duration_since(at) < wait) {
            return false;
        }
        let before = self.rate;
        self.state = State::Hold;
        let base = signals.full(self.rate).map_or(self.rate, |full| {
            if self.capacity.range().is_some_and(|range| full < *range.start()) {
                self.capacity.reset();
            }
            self.capacity.on_full(full);
            full
        });
        let mut lowered = base.scaled(BETA);
        if lowered > self.rate
            && let Some(capacity) = self.capacity.estimate()
        {
            lowered = capacity.scaled(BETA);
        }
        if lowered >= self.rate {
            return false;
        }
        self.decreased = Some(now);
        self.set(lowered);
        self.rate < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: (Rate, Rate) = (Rate::kbps(30), Rate::kbps(10_000));

    fn signals(usage: Usage, kbps: u64) -> Signals {
        let rtt = Duration::from_millis(100);
        Signals { usage, arriving: Some(Rate::kbps(kbps)), recent: None, limited: false, rtt }
    }

    fn run(aimd: &mut Aimd, from: Instant, seconds: u64, usage: Usage, kbps: u64) -> Instant {
        let updates = seconds * 10;
        for step in 1..=updates {
            aimd.update(from + Duration::from_millis(step * 100), signals(usage, kbps));
        }
        from + Duration::from_secs(seconds)
    }

    #[test]
    fn it_grows_by_eight_percent_a_second_until_half_more_than_arrives() {
        let mut aimd = Aimd::new(Rate::kbps(1_000), BOUNDS);
        let now = run(&mut aimd, Instant::now(), 1, Usage::Normal, 1_000);
        assert!((1_065..=1_080).contains(&aimd.rate().as_kbps()), "{:?}", aimd.rate());
        run(&mut aimd, now, 20, Usage::Normal, 1_000);
        assert_eq!(aimd.rate(), Rate::kbps(1_510));
    }

    #[test]
    fn overuse_keeps_a_share_of_what_arrives_and_then_grows_slowly() {
        let mut aimd = Aimd::new(Rate::kbps(2_000), BOUNDS);
        let now = run(&mut aimd, Instant::now(), 1, Usage::Normal, 1_000);
        assert!(aimd.update(now + Duration::from_millis(100), signals(Usage::Over, 1_000)));
        assert_eq!(aimd.rate(), Rate::kbps(850));
        run(&mut aimd, now + Duration::from_millis(100), 2, Usage::Normal, 850);
        assert!((870..960).contains(&aimd.rate().as_kbps()), "{:?}", aimd.rate());
    }

    #[test]
    fn overuse_while_little_is_sent_does_not_take_the_little_for_the_line() {
        let mut aimd = Aimd::new(Rate::kbps(2_000), BOUNDS);
        let now = Instant::now();
        let limited = Signals { limited: true, ..signals(Usage::Over, 100) };
        aimd.update(now, limited);
        assert_eq!(aimd.rate(), Rate::kbps(1_700));
        aimd.update(
            now + Duration::from_secs(1),
            Signals {
                recent: Some(Passage {
                    left: Rate::kbps(150),
                    arrived: Rate::kbps(100),
                    tail: Rate::kbps(100),
                    stretch: 1.5,
                    packets: 20,
                }),
                ..limited
            },
        );
        assert_eq!(aimd.rate(), Rate::kbps(85));
    }

    #[test]
    fn two_decreases_lie_a_round_trip_apart() {
        let mut aimd = Aimd::new(Rate::kbps(1_000), BOUNDS);
        let now = Instant::now();
        aimd.update(now, signals(Usage::Over, 1_000));
        aimd.update(now + Duration::from_millis(50), signals(Usage::Over, 900));
        assert_eq!(aimd.rate(), Rate::kbps(850));
        aimd.update(now + Duration::from_millis(101), signals(Usage::Over, 900));
        assert_eq!(aimd.rate(), Rate::kbps(765));
    }
}
