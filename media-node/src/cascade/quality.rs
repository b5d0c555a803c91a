//! How a pipe does, as each end counts it and tells the other.

use super::{datagram::Beat, incoming::Tally};
use crate::sfu::meter::Meter;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Seconds that losses are shown over.
const SECONDS: usize = 10;

/// A pipe's figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PipeFigures {
    /// Media packets sent, without resends.
    pub sent_packets: u64,
    /// Payload bytes of those.
    pub sent_bytes: u64,
    /// Media packets received, repaired ones included.
    pub received_packets: u64,
    /// Payload bytes of those.
    pub received_bytes: u64,
    /// Packets resent.
    pub resent_packets: u64,
    /// Fraction lost on the way here in the last seconds, before repair, parts per 10,000.
    pub loss_in: u16,
    /// After repair.
    pub residual_in: u16,
    /// Fraction lost on the way there, before repair, as the peer reports it.
    pub loss_out: u16,
    /// After repair.
    pub residual_out: u16,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Interarrival jitter of what comes in (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// Payload that comes in, kb/s.
    pub kbps_in: u32,
    /// Payload that goes out, kb/s.
    pub kbps_out: u32,
    /// Streams that come in.
    pub streams_in: u32,
    /// Streams that go out.
    pub streams_out: u32,
}

/// Measures one pipe.
pub struct Quality {
    begun: Instant,
    /// Counts of what comes in.
    pub tally: Tally,
    /// Figures that only count up.
    pub counts: PipeFigures,
    peer_clock: Option<(u64, Instant)>,
    rtt: Option<Duration>,
    jitter: Duration,
    /// What the peer counted, last told.
    told: Tally,
    here: VecDeque<Tally>,
    there: VecDeque<Tally>,
    rolled: Instant,
    incoming: Meter,
    outgoing: Meter,
}

impl Quality {
    /// A pipe that begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            begun: now,
            tally: Tally::default(),
            counts: PipeFigures::default(),
            peer_clock: None,
            rtt: None,
            jitter: Duration::ZERO,
            told: Tally::default(),
            here: VecDeque::from([Tally::default()]),
            there: VecDeque::from([Tally::default()]),
            rolled: now,
            incoming: Meter::new(now),
            outgoing: Meter::new(now),
        }
    }

    fn clock(&self, now: Instant) -> u64 {
        // From 1, so that 0 can mean none.
        u64::try_from(now.saturating_duration_since(self.begun).as_micros()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// The round-trip time, or a guess before the first measurement.
    pub fn rtt(&self) -> Duration {
        self.rtt.unwrap_or(Duration::from_millis(50))
    }

    /// What this end tells now.
    pub fn beat(&self, now: Instant) -> Beat {
        let (echo, held) = self.peer_clock.map_or((0, 0), |(clock, at)| {
            (clock, u32::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(u32::MAX))
        });
        let Tally { expected, lost, given_up } = self.tally;
        Beat { clock: self.clock(now), echo, held, expected, lost, given_up }
    }

    /// Takes in what the other end tells.
    pub fn told(&mut self, now: Instant, beat: &Beat) {
        self.peer_clock = Some((beat.clock, now));
        if beat.echo != 0
            && let Some(round) = self.clock(now).checked_sub(beat.echo)
            && let Some(sample) = round.checked_sub(u64::from(beat.held)).map(Duration::from_micros)
        {
            // RFC 6298 §2.3, without its clock granularity.
            self.rtt = Some(self.rtt.map_or(sample, |rtt| rtt - rtt / 8 + sample / 8));
        }
        self.told = Tally { expected: beat.expected, lost: beat.lost, given_up: beat.given_up };
    }

    /// A packet went out.
    pub fn sent(&mut self, now: Instant, bytes: usize) {
        self.counts.sent_packets += 1;
        self.counts.sent_bytes += bytes as u64;
        self.outgoing.add(now, bytes);
    }

    /// A packet came in.
    pub fn received(&mut self, now: Instant, bytes: usize) {
        self.counts.received_packets += 1;
        self.counts.received_bytes += bytes as u64;
        self.incoming.add(now, bytes);
    }

    /// Two packets of a stream came in order, with this difference between arrival and media time.
    pub fn spread(&mut self, difference: Duration) {
        let jitter = self.jitter;
        self.jitter =
            if difference > jitter { jitter + (difference - jitter) / 16 } else { jitter - (jitter - difference) / 16 };
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant) {
        if now.saturating_duration_since(self.rolled) < Duration::from_secs(1) {
            return;
        }
        self.rolled = now;
        self.here.push_back(self.tally);
        self.there.push_back(self.told);
        for history in [&mut self.here, &mut self.there] {
            while history.len() > SECONDS {
                history.pop_front();
            }
        }
    }

    /// Fraction of what comes in that was lost after repair in the last two to three seconds, parts per 10,000.
    pub fn residual(&self) -> u16 {
        recent(&self.here, self.tally)
    }

    /// The same of what goes out, as the peer reports it.
    pub fn residual_there(&self) -> u16 {
        recent(&self.there, self.told)
    }

    /// The figures now.
    pub fn figures(&mut self, now: Instant) -> PipeFigures {
        let first = |history: &VecDeque<Tally>| history.front().copied().unwrap_or_default();
        let (loss_in, residual_in) = fractions(first(&self.here), self.tally);
        let (loss_out, residual_out) = fractions(first(&self.there), self.told);
        PipeFigures {
            loss_in,
            residual_in,
            loss_out,
            residual_out,
            rtt: self.rtt.unwrap_or_default(),
            jitter: self.jitter,
            kbps_in: self.incoming.kbps(now),
            kbps_out: self.outgoing.kbps(now),
            ..self.counts
        }
    }
}

/// Lost after repair in the last two to three seconds, in parts per 10,000.
fn recent(history: &VecDeque<Tally>, to: Tally) -> u16 {
    fractions(history.iter().rev().nth(2).or(history.front()).copied().unwrap_or_default(), to).1
}

/// Lost before and after repair between two counts, in parts per 10,000.
fn fractions(from: Tally, to: Tally) -> (u16, u16) {
    let expected = to.expected.saturating_sub(from.expected);
    let loss = |from: u64, to: u64| crate::sfu::stats::loss(expected, to.saturating_sub(from));
    (loss(from.lost, to.lost), loss(from.given_up, to.given_up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ends_measure_the_round_trip_and_learn_each_others_losses() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let (mut one, mut other) = (Quality::new(start), Quality::new(start + ms(7_777)));
        other.tally = Tally { expected: 1_000, lost: 50, given_up: 10 };
        let mut now = start;
        for _ in 0..20 {
            other.told(now + ms(30), &one.beat(now));
            one.told(now + ms(160), &other.beat(now + ms(130)));
            now += ms(250);
        }
        assert_eq!(one.rtt(), ms(60));
        let figures = one.figures(now);
        assert_eq!((figures.loss_out, figures.residual_out), (500, 100));
    }
}
