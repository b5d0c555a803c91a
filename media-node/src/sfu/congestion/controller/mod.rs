//! The congestion controller of one transport: what all signs together allow to send.

use super::{
    blind::Blind,
    delay::{Context, DelayBased},
    estimate::{Config, Estimate},
    feedback::{Feedback, REFERENCE_UNIT},
    history::{History, Sent, Verdict},
    limited::Limited,
    loss::{Circumstances, LossBased},
    measurement::Measurements,
    observation::Window,
    probe::{Cluster, ClusterId, Prober, View},
    rate::Rate,
    sequence::ReferenceTime,
    trend::Usage,
};
use std::time::{Duration, Instant};

/// The round trip before any was measured.
const FIRST_RTT: Duration = Duration::from_millis(100);
/// Weight of a new round trip (RFC 6298: 1/8).
const RTT_WEIGHT: f64 = 0.125;
/// Data without feedback for this long, and three round trips, mean that the line is dead or full.
const SILENCE: Duration = Duration::from_secs(1);
/// What is kept of the target then, and how often it is lowered.
const SILENT_KEEPS: f64 = 0.8;
const SILENT_STEP: Duration = Duration::from_millis(500);

/// Who sends less than this share of the target has no layer that fits into the rest.
const SLACK: f64 = 0.65;
/// Share of the target that is left for resends, at most.
const MOST_RESENDS: f64 = 0.4;
/// Share of the target that resends may have though nothing was lost of late.
const LEAST_RESENDS: f64 = 0.05;

/// Average loss from which on bursts are kept small.
const LOSSY: f64 = 0.005;
/// A probe that found less than this share of its rate found the line full; then a sender that uses its target gets this much more at most.
const PASSED: f64 = 0.7;
const BUSY_RISE: f64 = 1.15;
/// How often time-outs are looked at.
const TICK: Duration = Duration::from_millis(100);

/// The congestion controller.
#[derive(Clone, Debug)]
pub struct Controller {
    bounds: (Rate, Rate),
    history: History,
    reference: ReferenceTime,
    delay: DelayBased,
    window: Window,
    loss: LossBased,
    limited: Limited,
    measurements: Measurements,
    prober: Prober,
    blind: Blind,
    rtt: Option<Duration>,
    /// The number after the last one that feedback told of.
    expected: Option<u16>,
    /// When feedback last told of a packet, and when its absence last lowered the target.
    heard: Option<Instant>,
    silenced: Option<Instant>,
    target: Rate,
}

impl Controller {
    /// A controller that begins with `config.start`.
    pub fn new(config: Config) -> Self {
        let bounds = (config.least.min(config.most), config.most);
        let start = config.start.clamp(bounds.0, bounds.1);
        Self {
            bounds,
            history: History::default(),
            reference: ReferenceTime::default(),
            delay: DelayBased::new(start, bounds),
            window: Window::default(),
            loss: LossBased::default(),
            limited: Limited::default(),
            measurements: Measurements::default(),
            prober: Prober::new(start, config.most),
            blind: Blind::default(),
            rtt: None,
            expected: None,
            heard: None,
            silenced: None,
            target: start,
        }
    }

    /// What the receiver wants all in all; probes look for no more than this and some headroom.
    pub fn set_desired(&mut self, desired: Rate) {
        self.prober.desire(desired, self.target);
    }

    /// A packet left with this transport-wide sequence number; `size` counts from the RTP header on, `cluster` is the probe it belongs to.
    pub fn on_sent(&mut self, now: Instant, sequence: u16, size: u16, cluster: Option<ClusterId>) {
        self.history.record(sequence, Sent { at: now, size, cluster });
        self.count(now, size);
    }

    /// A packet left without such a number: the client doesn't know the extension.
    pub fn on_sent_unnumbered(&mut self, now: Instant, size: u16) {
        self.blind.on_sent(now, size);
        self.count(now, size);
    }

    fn count(&mut self, now: Instant, size: u16) {
        if self.limited.on_sent(now, size, self.target) {
            self.delay.expect_change();
        }
    }

    /// The receiver's feedback.
    pub fn on_feedback(&mut self, now: Instant, feedback: &Feedback<'_>) {
        let unit = REFERENCE_UNIT.as_micros() as i64;
        let reference = self.reference.advance(feedback.reference()) * unit;
        let arrivals = feedback.packets().map(|(sequence, arrival)| (sequence, arrival.map(|at| reference + at)));
        self.on_arrivals(now, arrivals);
    }

    /// The same from any source: packets in the order of their numbers, each with its arrival in microseconds on a clock of the
    /// receiver's, `None` if it hasn't arrived.
    pub fn on_arrivals(&mut self, now: Instant, packets: impl Iterator<Item = (u16, Option<i64>)>) {
        self.history.forget(now);
        let mut latest: Option<Instant> = None;
        let mut found = None;
        let (mut news, mut freed) = (false, false);
        for (sequence, arrival) in packets {
            if self.expected.is_some_and(|expected| (sequence.wrapping_sub(expected) as i16) > 0) {
                self.delay.on_gap();
            }
            let next = sequence.wrapping_add(1);
            if self.expected.is_none_or(|expected| (next.wrapping_sub(expected) as i16) > 0) {
                self.expected = Some(next);
            }
            let Some(verdict) = self.history.resolve(sequence, arrival.is_some()) else { continue };
            news = true;
            if let Some(observation) = self.window.on_verdict(&verdict) {
                let circumstances = Circumstances { limited: self.limited.is(), waits: self.delay.waits() };
                freed |= self.loss.on_observation(now, observation, circumstances);
            }
            if let Verdict::Lost(sent) = verdict {
                self.delay.on_lost(sent.size, sent.cluster.is_some());
            }
            let (Verdict::Arrived(sent) | Verdict::Late(sent), Some(at)) = (verdict, arrival) else { continue };
            latest = latest.max(Some(sent.at));
            self.delay.on_arrival(now, sent.at, at, sent.size, sent.cluster.is_some(), self.limited.is());
            if let Some(id) = sent.cluster {
                found = self.measurements.on_arrival(id, &sent, at).or(found);
            }
        }
        if !news {
            return;
        }
        self.heard = Some(now);
        self.silenced = None;
        if let Some(sent) = latest {
            // The shortest trip of those that this tells of.
            self.on_rtt(now.saturating_duration_since(sent));
        }
        if let Some((cluster, rate)) = found {
            // What was lost at random had its place on the line.
            let mut rate = rate.scaled(1.0 / (1.0 - self.loss.baseline())).min(cluster.target);
            // Who shares a full line finds what a burst can take from the others.
            if self.delay.arriving().is_some() && !self.has_slack() && rate < cluster.target.scaled(PASSED) {
                rate = rate.min(self.target.scaled(BUSY_RISE));
            }
            self.delay.on_probe(now, rate);
            self.loss.on_probe(rate);
            self.prober.on_result(cluster, rate);
        }
        let context = Context {
            limited: self.limited.is(),
            random_loss: self.loss.baseline(),
            rtt: self.rtt.unwrap_or(FIRST_RTT),
        };
        if self.delay.update(now, context) {
            self.prober.on_overuse(now);
        }
        self.retarget(now);
        if freed {
            self.prober.retry(self.target);
        }
    }

    /// An RTCP receiver report: the share of packets lost (0 to 1) since the last one and, if it could be computed, the round trip. It
    /// rules the rate only of clients that send no transport-wide feedback.
    pub fn on_report(&mut self, now: Instant, lost: f64, rtt: Option<Duration>) {
        if self.heard.is_some() {
            return;
        }
        if let Some(rtt) = rtt {
            self.on_rtt(rtt);
        }
        let Some(observation) = self.blind.on_report(now, lost) else { return };
        self.loss.on_observation(now, observation, Circumstances { limited: self.limited.is(), waits: Duration::ZERO });
        let grown = self.blind.grown(self.delay.rate(), observation, self.loss.baseline());
        self.delay.set(grown);
        self.retarget(now);
    }

    /// The receiver's own estimate (draft-alvestrand-rmcat-remb-03). It is an upper bound, and for clients without transport-wide
    /// feedback the estimate.
    pub fn on_remb(&mut self, now: Instant, rate: Rate) {
        if self.heard.is_none() {
            self.delay.set(rate);
        }
        self.blind.on_remb(now, rate);
        self.retarget(now);
    }

    fn on_rtt(&mut self, trip: Duration) {
        self.rtt = Some(self.rtt.map_or(trip, |rtt| rtt.mul_f64(1.0 - RTT_WEIGHT) + trip.mul_f64(RTT_WEIGHT)));
    }

    fn retarget(&mut self, now: Instant) {
        let before = self.target;
        let bounds = [self.loss.bound(now), self.blind.remb(now)];
        let target = bounds.into_iter().flatten().fold(self.delay.rate(), Rate::min);
        self.target = target.clamp(self.bounds.0, self.bounds.1);
        if self.target < before.scaled(0.95) {
            self.prober.on_drop(now, before, self.target);
        }
    }

    /// The probe to begin now. To be asked after feedback, and at [`Controller::timeout`].
    pub fn next_probe(&mut self, now: Instant) -> Option<Cluster> {
        self.limited.on_sent(now, 0, self.target);
        let view = View {
            estimate: self.target,
            limited: self.has_slack(),
            clear: self.delay.usage() != Usage::Over && self.loss.allows_probes(now) && self.silenced.is_none(),
            lost: self.loss.average(),
            jitter: self.delay.jitter(),
            rtt: self.rtt.unwrap_or(FIRST_RTT),
        };
        let cluster = self.prober.next(now, view)?;
        self.measurements.begin(cluster);
        Some(cluster)
    }

    /// Whether clearly less is sent than may be.
    fn has_slack(&self) -> bool {
        let used = self.target.scaled(SLACK * (1.0 - self.loss.average()));
        self.limited.is() || self.delay.arriving().is_some_and(|arriving| arriving < used)
    }

    /// Lets time pass: lowers the target while packets are under way and no feedback comes.
    pub fn on_timeout(&mut self, now: Instant) {
        self.history.forget(now);
        let Some(heard) = self.heard else { return };
        let patience = SILENCE.max(self.rtt.unwrap_or(FIRST_RTT) * 3);
        let oldest = self.history.oldest().map_or(now, |sent| sent.max(heard));
        let stepped = self.silenced.is_some_and(|at| now.saturating_duration_since(at) < SILENT_STEP);
        if now.saturating_duration_since(oldest) > patience && !stepped {
            self.silenced = Some(now);
            self.delay.set(self.delay.rate().scaled(SILENT_KEEPS));
            self.retarget(now);
        }
    }

    /// When [`Controller::on_timeout`] and [`Controller::next_probe`] are due at the latest.
    pub fn timeout(&self, now: Instant) -> Instant {
        now + TICK
    }

    /// What may be sent, all in all.
    pub fn target(&self) -> Rate {
        self.target
    }

    /// The share that is lost whatever is sent ([`Estimate::random_loss`]).
    pub fn random_loss(&self) -> f64 {
        self.loss.baseline()
    }

    /// What is known of the line.
    pub fn estimate(&self) -> Estimate {
        let lost = self.loss.average().max(self.loss.loss()).min(MOST_RESENDS);
        Estimate {
            target: self.target,
            media: self.target.scaled(1.0 - lost),
            resends: self.target.scaled(lost + LEAST_RESENDS),
            arriving: self.delay.arriving(),
            rtt: self.rtt.unwrap_or(FIRST_RTT),
            loss: self.loss.loss(),
            lossy: self.loss.average() > LOSSY,
            random_loss: self.loss.baseline(),
            usage: self.delay.usage(),
            queue: self.delay.waits(),
            clear: self.heard.is_some() && self.silenced.is_none() && self.delay.is_clear() && self.loss.is_free(),
            limited: self.limited.is(),
        }
    }
}

#[cfg(test)]
mod tests;
