//! What a client received of one stream, and what it says about it.

use crate::wire::{rtcp::Block, sdp::Kind};
use std::time::Duration;

/// Missing packets that are remembered.
const MAX_MISSING: usize = 512;
/// Whoever sends nothing for so long may go on elsewhere in the source.
const PAUSE: Duration = Duration::from_millis(90);

/// The time of what is never due.
pub const NEVER: Duration = Duration::from_secs(1 << 32);

/// How what is missing is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// It is asked for again after this time,
    pub again: Duration,
    /// so often,
    pub times: u8,
    /// and given up after this time.
    pub late: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { again: Duration::from_millis(60), times: 8, late: Duration::from_millis(600) }
    }
}

/// What a packet is to its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// A new one.
    New,
    /// One that was missing.
    Late,
    /// One that was there already, or that is too old to tell.
    Duplicate,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    index: u64,
    since: Duration,
    asked: u8,
    last_asked: Option<Duration>,
}

/// One stream's state at its receiver.
#[derive(Clone, Debug)]
pub struct Reception {
    /// The stream.
    pub ssrc: u32,
    /// What it carries.
    pub kind: Kind,
    /// The published source in it, and what is added to the source's numbers; known once a packet was opened.
    pub bound: Option<(u32, u32)>,
    last: Option<Duration>,
    first: u64,
    highest: u64,
    received: u64,
    missing: Vec<Missing>,
    /// Before this time nothing has to be asked for or given up: many receivers that miss much would otherwise look through it all the time.
    due: Duration,
    patience: Patience,
    /// How long what is asked for takes to come, smoothed: a queue on the way is in it.
    trip: Duration,
    given_up: u64,
    transit: Option<i64>,
    /// Jitter in sixteenths of a clock unit (RFC 3550 §A.8).
    jitter: i64,
    told: (u64, u64),
    sender_report: Option<(u32, Duration)>,
}

impl Reception {
    /// A stream that begins with this sequence number.
    pub fn new(ssrc: u32, kind: Kind, seq: u16, patience: Patience) -> Self {
        let first = u64::from(seq);
        Self {
            ssrc,
            kind,
            bound: None,
            last: None,
            first,
            highest: first.wrapping_sub(1),
            received: 0,
            missing: Vec::new(),
            due: NEVER,
            patience,
            trip: Duration::ZERO,
            given_up: 0,
            transit: None,
            jitter: 0,
            told: (0, 0),
            sender_report: None,
        }
    }

    /// The extended number of a sequence number: of all candidates the one next to the highest so far.
    pub fn extend(&self, seq: u16) -> u64 {
        let ahead = seq.wrapping_sub(self.highest as u16) as i16;
        self.highest.wrapping_add_signed(ahead.into())
    }

    /// Whether what the stream is of has to be looked at again: nothing is known yet, or it paused. Asked once with each packet.
    pub fn is_to_be_bound(&mut self, now: Duration) -> bool {
        let last = self.last.replace(now);
        self.bound.is_none() || last.is_none_or(|last| now.saturating_sub(last) >= PAUSE)
    }

    /// Takes in a packet by its extended number.
    pub fn take(&mut self, index: u64, now: Duration) -> Arrival {
        let ahead = index.wrapping_sub(self.highest) as i64;
        if ahead <= 0 {
            return if self.repair(index, now) { Arrival::Late } else { Arrival::Duplicate };
        }
        let room = MAX_MISSING.saturating_sub(self.missing.len()) as u64;
        let gap = (ahead as u64 - 1).min(room);
        self.missing.extend((index - gap..index).map(|index| Missing {
            index,
            since: now,
            asked: 0,
            last_asked: None,
        }));
        if gap > 0 {
            self.due = self.due.min(now);
        }
        self.highest = index;
        self.received += 1;
        Arrival::New
    }

    /// Takes in a resent packet. Whether it was missing: probes of the path repeat what is there, or name packets that never were.
    pub fn repair(&mut self, index: u64, now: Duration) -> bool {
        let at = self.missing.iter().position(|missing| missing.index == index);
        let Some(missing) = at.map(|at| self.missing.swap_remove(at)) else { return false };
        self.received += 1;
        if missing.asked > 0 {
            // As RFC 6298 smoothes round trips.
            self.trip = (self.trip * 7 + now.saturating_sub(missing.since)) / 8;
        }
        true
    }

    /// Takes in a packet's timing.
    pub fn time(&mut self, arrived: Duration, timestamp: u32) {
        let arrived = (arrived.as_micros() as u64).wrapping_mul(u64::from(self.kind.clock())) / 1_000_000;
        let transit = i64::from((arrived as u32).wrapping_sub(timestamp) as i32);
        if let Some(last) = self.transit.replace(transit) {
            let difference = i64::from((transit as i32).wrapping_sub(last as i32)).abs();
            self.jitter += difference - ((self.jitter + 8) >> 4);
        }
    }

    /// What is missing before this packet isn't needed any more.
    pub fn forget_before(&mut self, index: u64) {
        self.missing.retain(|missing| missing.index >= index);
    }

    /// How many packets were asked for in vain since this was last asked.
    pub fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// Notes a sender report's time.
    pub fn reported(&mut self, time: u32, now: Duration) {
        self.sender_report = Some((time, now));
    }

    /// When something has to be asked for or given up; of no use if nothing is missing any more.
    pub fn due(&self) -> Duration {
        if self.missing.is_empty() { NEVER } else { self.due }
    }

    /// The numbers to ask for now, ascending. What is too late is given up.
    pub fn ask(&mut self, now: Duration) -> Vec<u16> {
        if now < self.due() {
            return Vec::new();
        }
        let (Patience { again, times, late }, before) = (self.patience, self.missing.len());
        // What waits in a queue isn't lost: to ask for it once more would only make the queue longer.
        let again = again.max(self.trip);
        let late = late.max(again * (u32::from(times) + 1));
        self.missing.retain(|missing| now.saturating_sub(missing.since) < late);
        self.given_up += (before - self.missing.len()) as u64;
        let mut due: Vec<u64> = Vec::new();
        self.due = NEVER;
        for missing in &mut self.missing {
            let waited = missing.last_asked.is_none_or(|last| now.saturating_sub(last) >= again);
            if waited && missing.asked < times {
                missing.asked += 1;
                missing.last_asked = Some(now);
                due.push(missing.index);
            }
            let next = missing.last_asked.filter(|_| missing.asked < times).map_or(NEVER, |last| last + again);
            self.due = self.due.min(next).min(missing.since + late);
        }
        due.sort_unstable();
        due.into_iter().map(|index| index as u16).collect()
    }

    /// The next report block.
    pub fn block(&mut self, now: Duration) -> Block {
        let expected = self.highest.wrapping_sub(self.first).wrapping_add(1);
        let (expected_then, received_then) = std::mem::replace(&mut self.told, (expected, self.received));
        let expected_now = expected.saturating_sub(expected_then);
        let lost_now = expected_now.saturating_sub(self.received.saturating_sub(received_then));
        let (last_report, delay) = self.sender_report.map_or((0, 0), |(time, at)| {
            let delay = now.saturating_sub(at).as_micros() as u64 * 65_536 / 1_000_000;
            (time, delay as u32)
        });
        Block {
            ssrc: self.ssrc,
            fraction: (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255) as u8,
            lost: expected.saturating_sub(self.received) as u32,
            highest: self.highest as u32,
            jitter: (self.jitter >> 4) as u32,
            last_report,
            delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const NOW: Duration = Duration::from_secs(1);

    proptest! {
        /// Whatever is lost, doubled or swapped with its neighbour: each packet counts once, and what is asked for is what is missing.
        #[test]
        fn each_packet_counts_once(first in any::<u16>(), fates in prop::collection::vec(0u8..8, 1..400)) {
            let mut reception = Reception::new(1, Kind::Video, first, Patience::default());
            let mut order: Vec<u16> = Vec::new();
            for (at, fate) in fates.iter().enumerate() {
                let seq = first.wrapping_add(at as u16);
                match fate {
                    0 if at > 0 => {}
                    1 => order.extend([seq, seq]),
                    2 if order.len() > 1 => {
                        let last = order.pop().unwrap();
                        order.extend([seq, last]);
                    }
                    _ => order.push(seq),
                }
            }
            let mut distinct = BTreeSet::new();
            for seq in &order {
                let index = reception.extend(*seq);
                let fresh = distinct.insert(index);
                prop_assert_eq!(reception.take(index, NOW) != Arrival::Duplicate, fresh);
            }
            let highest = *distinct.last().unwrap();
            let missing: Vec<u16> =
                (u64::from(first)..highest).filter(|index| !distinct.contains(index)).map(|index| index as u16).collect();
            prop_assert_eq!(reception.ask(NOW), missing.clone());
            prop_assert!(reception.ask(NOW).is_empty());
            prop_assert_eq!(reception.ask(NOW + Patience::default().again), missing.clone());
            prop_assert_eq!(reception.block(NOW).lost as usize, missing.len());
            prop_assert!(reception.ask(NOW + Patience::default().late).is_empty());
            prop_assert_eq!(reception.due(), NEVER);
            prop_assert_eq!(reception.take_given_up() as usize, missing.len());
        }
    }

    #[test]
    fn a_stream_that_paused_is_looked_at_again() {
        let mut reception = Reception::new(1, Kind::Video, 7, Patience::default());
        assert!(reception.is_to_be_bound(NOW) && reception.is_to_be_bound(NOW), "nothing is known of it");
        reception.bound = Some((3, 0));
        let short = PAUSE - Duration::from_millis(1);
        assert!(!reception.is_to_be_bound(NOW + short));
        assert!(!reception.is_to_be_bound(NOW + short * 2));
        assert!(reception.is_to_be_bound(NOW + short * 2 + PAUSE));
    }

    #[test]
    fn a_report_says_what_was_lost_since_the_last() {
        let mut reception = Reception::new(1, Kind::Video, 65_530, Patience::default());
        for seq in (65_530..=65_535u16).chain(0..4) {
            let index = reception.extend(seq);
            reception.take(index, NOW);
        }
        assert_eq!(reception.block(NOW), Block { ssrc: 1, highest: 65_539, ..Block::default() });
        for seq in [4, 7] {
            let index = reception.extend(seq);
            reception.take(index, NOW);
        }
        reception.reported(9, NOW);
        let block = reception.block(NOW + Duration::from_millis(500));
        assert_eq!((block.fraction, block.lost, block.highest), (128, 2, 65_543));
        assert_eq!((block.last_report, block.delay), (9, 32_768));
    }

    #[test]
    fn only_what_is_missing_can_be_repaired() {
        let mut reception = Reception::new(1, Kind::Video, 10, Patience::default());
        for seq in [10, 12] {
            let index = reception.extend(seq);
            reception.take(index, NOW);
        }
        // A probe may name any number: the stream must not follow it.
        for probe in [10, 12, 13, 20_000, 60_000] {
            let index = reception.extend(probe);
            assert!(!reception.repair(index, NOW), "{probe}");
        }
        assert!(reception.repair(11, NOW) && !reception.repair(11, NOW));
        let next = reception.extend(13);
        assert_eq!(reception.take(next, NOW), Arrival::New);
    }

    #[test]
    fn what_takes_longer_is_asked_for_less_often() {
        let mut reception = Reception::new(1, Kind::Video, 0, Patience::default());
        reception.take(0, NOW);
        let mut now = NOW;
        for number in 1..40 {
            reception.take(2 * number, now);
            assert_eq!(reception.ask(now), [2 * number as u16 - 1]);
            now += Duration::from_millis(300);
            assert!(reception.repair(2 * number - 1, now));
        }
        reception.take(100, now);
        let asked = reception.ask(now).len();
        assert!(reception.ask(now + Duration::from_millis(280)).is_empty());
        assert_eq!(reception.ask(now + Duration::from_millis(301)).len(), asked);
    }

    #[test]
    fn it_is_due_when_it_has_something_to_do() {
        let patience = Patience::default();
        let mut reception = Reception::new(1, Kind::Video, 10, patience);
        reception.take(10, NOW);
        assert_eq!(reception.due(), NEVER);
        reception.take(13, NOW);
        assert_eq!(reception.due(), NOW);
        let mut asked = Vec::new();
        // By its own clock it asks as often, and gives up when it should.
        while reception.due() < NEVER {
            let now = reception.due();
            asked.push((now - NOW, reception.ask(now).len()));
        }
        let mut wanted: Vec<_> = (0..u32::from(patience.times)).map(|time| (patience.again * time, 2)).collect();
        wanted.push((patience.late.max(patience.again * (u32::from(patience.times) + 1)), 0));
        assert_eq!((asked, reception.take_given_up()), (wanted, 2));
        reception.take(15, NOW + Duration::from_secs(2));
        assert!(reception.repair(14, NOW + Duration::from_secs(2)) && reception.due() == NEVER, "it came");
    }

    #[test]
    fn what_is_not_needed_any_more_is_not_asked_for() {
        let mut reception = Reception::new(1, Kind::Video, 10, Patience::default());
        for seq in [10, 12, 15] {
            let index = reception.extend(seq);
            reception.take(index, NOW);
        }
        reception.forget_before(14);
        assert_eq!((reception.ask(NOW), reception.take_given_up()), (vec![14], 0));
    }

    #[test]
    fn even_packets_have_no_jitter_and_uneven_ones_do() {
        let jitter = |late: u64| {
            let mut reception = Reception::new(1, Kind::Video, 0, Patience::default());
            for number in 0..200u64 {
                let late = if number % 2 == 0 { late } else { 0 };
                reception.time(Duration::from_micros(number * 33_333 + late), (number * 3_000) as u32);
            }
            reception.block(NOW).jitter
        };
        assert!(jitter(0) <= 1);
        // 10 ms are 900 units.
        assert!((880..=920).contains(&jitter(10_000)), "{}", jitter(10_000));
    }
}
