//! The delay-based estimate: packet groups, their trend, and the controller behind it.

use super::{
    acknowledged::Acknowledged,
    aimd::{Aimd, Signals},
    group::Groups,
    queueing::Queueing,
    rate::Rate,
    recent::{Passage, Recent},
    trend::{Trend, Usage},
};
use std::time::{Duration, Instant};

/// The receiver's clock is compared anew when nothing arrived for so long.
const SILENCE: Duration = Duration::from_secs(2);

/// Random loss that is made up for in what arrives, at most.
const MOST_MADE_UP: f64 = 0.3;

/// What an update goes by, besides arrivals.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Less is sent than may be.
    pub limited: bool,
    /// The share that is lost whatever is sent.
    pub random_loss: f64,
    /// The round trip.
    pub rtt: Duration,
}

/// The delay-based estimate of one transport.
#[derive(Clone, Debug)]
pub struct DelayBased {
    groups: Groups,
    trend: Trend,
    aimd: Aimd,
    acknowledged: Acknowledged,
    recent: Recent,
    queueing: Queueing,
    arrived: Option<Instant>,
}

impl DelayBased {
    /// An estimate that begins with `start`.
    pub fn new(start: Rate, bounds: (Rate, Rate)) -> Self {
        Self {
            groups: Groups::default(),
            trend: Trend::default(),
            aimd: Aimd::new(start, bounds),
            acknowledged: Acknowledged::default(),
            recent: Recent::default(),
            queueing: Queueing::default(),
            arrived: None,
        }
    }

    /// A packet that left at `sent` arrived at `arrival_us`, as feedback said at `now`. `probe`: it was part of a probe, whose own queue says
    /// nothing of the rate otherwise.
    pub fn on_arrival(&mut self, now: Instant, sent: Instant, arrival_us: i64, size: u16, probe: bool, limited: bool) {
        // All of one feedback have the same `now`.
        let heard = self.arrived.replace(now).filter(|at| *at != now);
        if heard.is_some_and(|at| now.saturating_duration_since(at) > SILENCE) {
            self.groups = Groups::default();
            self.trend = Trend::default();
            self.recent = Recent::default();
        }
        self.acknowledged.on_arrival(arrival_us, size, limited);
        self.queueing.on_arrival(sent, arrival_us);
        if probe {
            return;
        }
        self.recent.on_arrival(sent, arrival_us, size);
        if let Some(delta) = self.groups.on_arrival(sent, arrival_us) {
            self.trend.on_delta(now, delta);
        }
    }

    /// A packet was lost.
    pub fn on_lost(&mut self, size: u16, probe: bool) {
        if !probe {
            self.recent.on_lost(size);
        }
    }

    /// Feedback was lost: nothing is known of the packets before the next ones.
    pub fn on_gap(&mut self) {
        self.acknowledged.on_gap();
        self.recent.on_gap();
    }

    /// Goes on after a feedback's packets. Says whether the rate was lowered.
    pub fn update(&mut self, now: Instant, context: Context) -> bool {
        self.queueing.update(now);
        let before_loss = |rate: Rate| rate.scaled(1.0 / (1.0 - context.random_loss.min(MOST_MADE_UP)));
        let passage = self.recent.passage();
        let passage = passage.map(|passage| Passage {
            arrived: before_loss(passage.arrived),
            tail: before_loss(passage.tail),
            ..passage
        });
        let usage = match self.trend.usage() {
            // The trend lags: the queue of a burst may be empty again by the time that it shows. Then there is nothing to lower.
            Usage::Over if self.queueing.empty() && passage.is_none_or(|passage| passage.full().is_none()) => {
                Usage::Under
            }
            Usage::Normal | Usage::Under if passage.is_some_and(|passage| passage.overflows()) => Usage::Over,
            Usage::Normal if self.queueing.stands(now, context.rtt) => Usage::Over,
            usage => usage,
        };
        let signals = Signals {
            usage,
            arriving: self.acknowledged.rate().map(before_loss),
            recent: passage,
            limited: context.limited,
            rtt: context.rtt,
        };
        self.aimd.update(now, signals)
    }

    /// A probe found this. Only more than was known is taken over: less is found out by the trend.
    pub fn on_probe(&mut self, now: Instant, rate: Rate) {
        if rate > self.aimd.rate() && self.trend.usage() != Usage::Over {
            self.aimd.on_probe(now, rate);
            self.acknowledged.expect_change();
        }
    }

    /// The sender isn't limited any more: what arrives changes soon.
    pub fn expect_change(&mut self) {
        self.acknowledged.expect_change();
    }

    /// Sets the rate to what else is known of the line.
    pub fn set(&mut self, rate: Rate) {
        self.aimd.set(rate);
    }

    /// The estimate.
    pub fn rate(&self) -> Rate {
        self.aimd.rate()
    }

    /// What arrives, if known yet.
    pub fn arriving(&self) -> Option<Rate> {
        self.acknowledged.rate()
    }

    /// How much the delay differs from one group to the next.
    pub fn jitter(&self) -> Duration {
        self.trend.jitter()
    }

    /// How long packets wait on the line.
    pub fn waits(&self) -> Duration {
        self.queueing.waits()
    }

    /// Whether nothing waits and the queue doesn't grow.
    pub fn is_clear(&self) -> bool {
        self.queueing.empty() && self.trend.usage() != Usage::Over
    }

    /// What the queue does.
    pub fn usage(&self) -> Usage {
        self.trend.usage()
    }
}
