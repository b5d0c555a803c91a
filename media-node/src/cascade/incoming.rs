//! A stream that comes in: what is missing of it, when to ask for that, and when to give up.

use super::limits;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long a gap may be mere reordering before it is asked for.
const REORDER: Duration = Duration::from_millis(5);
/// Shortest pause between two requests for one packet.
const SHORTEST_RETRY: Duration = Duration::from_millis(15);

#[derive(Clone, Copy)]
struct Missing {
    since: Instant,
    asked: Option<Instant>,
}

/// What a packet is to its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It came for the first time.
    New,
    /// It was known to be missing.
    Late,
    /// It came before, or was given up.
    Known,
}

/// Counts of a stream, or of a pipe's streams together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Packets that should have come.
    pub expected: u64,
    /// Of those, packets that did not come at once.
    pub lost: u64,
    /// Of those, packets that were given up.
    pub given_up: u64,
}

/// One stream.
#[derive(Default)]
pub struct Incoming {
    next: u32,
    missing: BTreeMap<u32, Missing>,
}

impl Incoming {
    /// Whether anything is missing.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// Takes in a packet's number.
    pub fn take(&mut self, now: Instant, hop: u32, tally: &mut Tally) -> Arrival {
        if self.missing.remove(&hop).is_some() {
            return Arrival::Late;
        }
        let ahead = hop.wrapping_sub(self.next);
        if ahead > u32::MAX / 2 {
            return Arrival::Known;
        }
        self.reach(now, hop, tally);
        self.next = hop.wrapping_add(1);
        tally.expected += 1;
        Arrival::New
    }

    /// Learns that the stream has come as far as `next`: whatever is before it and did not come is missing.
    pub fn reach(&mut self, now: Instant, next: u32, tally: &mut Tally) {
        let gap = next.wrapping_sub(self.next);
        if gap == 0 || gap > u32::MAX / 2 {
            return;
        }
        tally.expected += u64::from(gap);
        tally.lost += u64::from(gap);
        if gap > limits::MAX_GAP {
            tally.given_up += u64::from(gap);
        } else {
            for offset in 0..gap {
                self.missing.insert(self.next.wrapping_add(offset), Missing { since: now, asked: None });
            }
            while self.missing.len() > limits::MAX_MISSING {
                self.missing.pop_first();
                tally.given_up += 1;
            }
        }
        self.next = next;
    }

    /// What to ask for now, at most `most` numbers.
    pub fn ask(&mut self, now: Instant, rtt: Duration, most: usize, tally: &mut Tally) -> Vec<u32> {
        let before = self.missing.len();
        self.missing.retain(|_, missing| now.saturating_duration_since(missing.since) < limits::REPAIR_TIME);
        tally.given_up += (before - self.missing.len()) as u64;
        let retry = (rtt + rtt / 4).max(SHORTEST_RETRY);
        let due = |missing: &Missing| match missing.asked {
            None => now.saturating_duration_since(missing.since) >= REORDER,
            Some(asked) => now.saturating_duration_since(asked) >= retry,
        };
        let mut list = Vec::new();
        for (hop, missing) in self.missing.iter_mut().filter(|(_, missing)| due(missing)).take(most) {
            missing.asked = Some(now);
            list.push(*hop);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_is_asked_for_until_it_is_filled() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let rtt = Duration::from_millis(40);
        let (mut stream, mut tally) = (Incoming::default(), Tally::default());
        assert_eq!(stream.take(at(0), 2, &mut tally), Arrival::New);
        assert!(stream.ask(at(4), rtt, 64, &mut tally).is_empty(), "may be reordering");
        assert_eq!(stream.ask(at(5), rtt, 64, &mut tally), [0, 1]);
        assert!(stream.ask(at(50), rtt, 64, &mut tally).is_empty(), "an answer may be on its way");
        assert_eq!(stream.take(at(51), 1, &mut tally), Arrival::Late);
        assert_eq!(stream.ask(at(55), rtt, 64, &mut tally), [0]);
        assert!(stream.ask(at(700), rtt, 64, &mut tally).is_empty());
        assert_eq!(tally, Tally { expected: 3, lost: 2, given_up: 1 });
        assert_eq!(stream.take(at(701), 0, &mut tally), Arrival::Known, "too late");
        assert_eq!(stream.take(at(701), 1, &mut tally), Arrival::Known);
    }

    #[test]
    fn an_outage_is_not_asked_for() {
        let (now, mut stream, mut tally) = (Instant::now(), Incoming::default(), Tally::default());
        stream.take(now, 0, &mut tally);
        stream.take(now, limits::MAX_GAP + 2, &mut tally);
        assert!(stream.is_whole());
        assert_eq!(tally.given_up, u64::from(limits::MAX_GAP) + 1);
    }

    proptest! {
        /// Any order with losses and repetitions: each packet counts once, and the counts add up.
        #[test]
        fn every_packet_counts_once(hops in proptest::collection::vec(0u32..400, 1..800)) {
            let now = Instant::now();
            let (mut stream, mut tally) = (Incoming::default(), Tally::default());
            let mut came = std::collections::HashSet::new();
            for hop in hops {
                let arrival = stream.take(now, hop, &mut tally);
                prop_assert_eq!(arrival == Arrival::Known, !came.insert(hop));
            }
            prop_assert_eq!(tally.expected, u64::from(came.iter().max().unwrap() + 1));
            prop_assert_eq!(stream.missing.len(), tally.expected as usize - came.len());
            prop_assert_eq!(tally.given_up, 0);
        }
    }
}
