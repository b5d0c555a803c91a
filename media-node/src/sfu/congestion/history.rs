//! What was sent and isn't accounted for yet.

use super::{feedback::MAX_PACKETS, probe::ClusterId, sequence::Sequence};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A packet that nothing was heard of for so long is forgotten without a verdict.
const FORGET: Duration = Duration::from_secs(5);
/// How long a packet that was reported lost may still turn up in a later report.
const LATE: Duration = Duration::from_secs(1);
/// Packets from one look for what is too old to the next.
const FORGET_EVERY: u16 = 64;
/// Most packets that are remembered; feedback can't reach further back than half a turn of the sequence number.
const CAPACITY: usize = MAX_PACKETS as usize;

/// A packet that left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// Its size on the wire above UDP, in bytes.
    pub size: u16,
    /// The probe that it belongs to.
    pub cluster: Option<ClusterId>,
}

/// What feedback said of a packet for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It arrived.
    Arrived(Sent),
    /// It didn't arrive yet.
    Lost(Sent),
    /// It had been reported lost, and arrived after all.
    Late(Sent),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No packet has this number: the sender skipped it.
    Unused,
    InFlight,
    Lost,
    Arrived,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    sent: Sent,
    state: State,
}

/// Bytes that each packet in flight takes.
#[cfg(test)]
pub const ENTRY: usize = size_of::<Entry>();

/// The packets in flight, in the order of their transport-wide sequence numbers.
#[derive(Clone, Debug, Default)]
pub struct History {
    sequence: Sequence,
    first: u64,
    entries: VecDeque<Entry>,
    in_flight: u64,
}

impl History {
    /// Remembers a packet. Numbers grow; a few may be skipped.
    pub fn record(&mut self, sequence: u16, sent: Sent) {
        // Feedback makes room as it comes; without it, a look now and then will do.
        if sequence.is_multiple_of(FORGET_EVERY) {
            self.forget(sent.at);
        }
        let number = self.sequence.advance(sequence);
        let next = self.first + self.entries.len() as u64;
        if self.entries.is_empty() {
            self.first = number;
        } else if number < next {
            // A number used twice: the first packet keeps it.
            return;
        } else if number - next >= CAPACITY as u64 {
            self.clear();
            self.first = number;
        } else {
            let skipped = Entry { sent: Sent { size: 0, cluster: None, ..sent }, state: State::Unused };
            self.entries.extend(std::iter::repeat_n(skipped, (number - next) as usize));
        }
        self.entries.push_back(Entry { sent, state: State::InFlight });
        self.in_flight += u64::from(sent.size);
        while self.entries.len() > CAPACITY {
            self.pop();
        }
    }

    /// Takes what feedback says of one packet. `None` if that is nothing new, or of a packet that isn't known.
    pub fn resolve(&mut self, sequence: u16, arrived: bool) -> Option<Verdict> {
        let index = self.sequence.nearest(sequence).checked_sub(self.first)?;
        let entry = self.entries.get_mut(usize::try_from(index).ok()?)?;
        let sent = entry.sent;
        let (state, verdict) = match (entry.state, arrived) {
            (State::InFlight, true) => (State::Arrived, Verdict::Arrived(sent)),
            (State::InFlight, false) => (State::Lost, Verdict::Lost(sent)),
            (State::Lost, true) => (State::Arrived, Verdict::Late(sent)),
            _ => return None,
        };
        if entry.state == State::InFlight {
            self.in_flight = self.in_flight.saturating_sub(u64::from(sent.size));
        }
        entry.state = state;
        Some(verdict)
    }

    /// Drops what can't change any more.
    pub fn forget(&mut self, now: Instant) {
        while let Some(entry) = self.entries.front() {
            let age = || now.saturating_duration_since(entry.sent.at);
            let done = match entry.state {
                State::Unused | State::Arrived => true,
                State::Lost => age() > LATE,
                State::InFlight => age() > FORGET,
            };
            if !done {
                break;
            }
            self.pop();
        }
    }

    /// Bytes that nothing was heard of yet.
    #[cfg(test)]
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// When the oldest packet left that nothing was heard of.
    pub fn oldest(&self) -> Option<Instant> {
        self.entries.iter().find(|entry| entry.state == State::InFlight).map(|entry| entry.sent.at)
    }

    fn pop(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.first += 1;
            if entry.state == State::InFlight {
                self.in_flight = self.in_flight.saturating_sub(u64::from(entry.sent.size));
            }
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.in_flight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(at: Instant) -> Sent {
        Sent { at, size: 100, cluster: None }
    }

    #[test]
    fn each_packet_has_one_verdict_and_may_turn_up_late() {
        let now = Instant::now();
        let mut history = History::default();
        for sequence in [65_534, 65_535, 0, 1] {
            history.record(sequence, sent(now));
        }
        assert_eq!(history.in_flight(), 400);
        assert_eq!(history.resolve(65_535, true), Some(Verdict::Arrived(sent(now))));
        assert_eq!(history.resolve(65_535, true), None);
        assert_eq!(history.resolve(0, false), Some(Verdict::Lost(sent(now))));
        assert_eq!(history.resolve(0, false), None);
        assert_eq!(history.resolve(0, true), Some(Verdict::Late(sent(now))));
        assert_eq!(history.resolve(2, true), None, "never sent");
        assert_eq!(history.in_flight(), 200);
    }

    #[test]
    fn skipped_numbers_have_no_verdict() {
        let now = Instant::now();
        let mut history = History::default();
        history.record(10, sent(now));
        history.record(13, sent(now));
        assert_eq!(history.resolve(11, false), None);
        assert_eq!(history.resolve(13, false), Some(Verdict::Lost(sent(now))));
        history.record(30_000, sent(now));
        assert_eq!(history.in_flight(), 100, "a leap begins anew");
    }

    #[test]
    fn silence_is_forgotten() {
        let now = Instant::now();
        let mut history = History::default();
        history.record(1, sent(now));
        history.forget(now + FORGET + Duration::from_millis(1));
        assert_eq!((history.in_flight(), history.resolve(1, true)), (0, None));
    }

    proptest! {
        #[test]
        fn any_order_of_calls_keeps_the_books(
            steps in proptest::collection::vec((0u16..50, any::<bool>(), any::<u16>(), 0u64..200), 1..500),
        ) {
            let mut now = Instant::now();
            let mut history = History::default();
            let mut next = 65_500u16;
            for (skip, arrived, asked, ms) in steps {
                now += Duration::from_millis(ms);
                next = next.wrapping_add(skip);
                history.record(next, sent(now));
                history.resolve(next.wrapping_sub(asked % 100), arrived);
                let in_flight = history.entries.iter().filter(|entry| entry.state == State::InFlight).count() as u64;
                prop_assert_eq!(history.in_flight(), in_flight * 100);
                prop_assert!(history.entries.len() <= CAPACITY);
            }
        }
    }
}
