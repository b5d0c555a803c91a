//! When packets of a connection arrived, as its sender is told for its congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use crate::sfu::congestion::feedback::{self, Header};
use std::{collections::VecDeque, time::Instant};

/// Packets of which is known whether they came: what one feedback tells of at most comes several times into it.
const KNOWN: usize = 1_024;
/// Most packets that one feedback tells of: with others in one datagram it stays below what every path carries.
const TOLD: usize = 200;
/// Microseconds between two arrivals beyond which one feedback can't tell of both.
const MOST_APART: u64 = 8_000_000;

/// Arrivals by transport-wide sequence numbers.
#[derive(Debug)]
pub struct Arrivals {
    began: Instant,
    /// The number of the first that is known.
    first: u64,
    /// Microseconds since the beginning; `None` for what didn't come.
    known: VecDeque<Option<i64>>,
    /// The first that is to be told of.
    untold: u64,
    /// Feedback packets written, which comes around.
    written: u8,
}

impl Arrivals {
    /// Nothing arrived yet.
    pub fn new(now: Instant) -> Self {
        Self { began: now, first: 0, known: VecDeque::new(), untold: 0, written: 0 }
    }

    fn end(&self) -> u64 {
        self.first + self.known.len() as u64
    }

    /// A packet with this number arrived.
    pub fn arrived(&mut self, now: Instant, seq: u16) {
        let at = i64::try_from(now.saturating_duration_since(self.began).as_micros()).unwrap_or(i64::MAX);
        if self.known.is_empty() {
            // Numbers before the first may come late.
            self.first = u64::from(seq) + (1 << 16);
            self.untold = self.first;
        }
        let last = self.end().max(self.first + 1) - 1;
        let index = last.saturating_add_signed(seq.wrapping_sub(last as u16).cast_signed().into());
        if index >= self.end() + KNOWN as u64 {
            // The sender began anew, or was away for long.
            self.known.clear();
            (self.first, self.untold) = (index, index);
        }
        if let Some(before) = self.first.checked_sub(index).filter(|before| *before > 0) {
            // It came late, but before what was told of first.
            if before > 64 || self.untold != self.first {
                return;
            }
            (0..before).for_each(|_| self.known.push_front(None));
            self.first = index;
            self.untold = index;
        }
        while self.end() <= index {
            self.known.push_back(None);
        }
        if let Some(place) = self.known.get_mut((index - self.first) as usize) {
            place.get_or_insert(at);
        }
        // It is told of once more, with what is around it.
        self.untold = self.untold.min(index);
        while self.known.len() > KNOWN {
            self.known.pop_front();
            self.first += 1;
            self.untold = self.untold.max(self.first);
        }
    }

    /// Whether there is something to tell.
    pub fn is_fresh(&self) -> bool {
        self.untold < self.end()
    }

    /// Appends a feedback about the next packets, from `sender` to who sends `media`.
    pub fn write(&mut self, sender: u32, media: u32, out: &mut Vec<u8>) {
        let told = self.untold.saturating_sub(self.first) as usize;
        let (mut arrivals, mut last) = (Vec::with_capacity(TOLD), None);
        for arrival in self.known.iter().skip(told) {
            // What comes last of all did arrive, and times count from the first that did.
            let is_full = arrivals.len() >= TOLD && last.is_some();
            let is_far =
                arrival.zip(last).is_some_and(|(at, last): (i64, i64)| (at - last).unsigned_abs() > MOST_APART);
            if is_full || is_far {
                break;
            }
            last = arrival.or(last);
            arrivals.push(*arrival);
        }
        self.untold += arrivals.len() as u64;
        let header = Header { sender, media, base: (self.first + told as u64) as u16, number: self.written };
        match feedback::write(out, header, &arrivals) {
            Ok(()) => self.written = self.written.wrapping_add(1),
            Err(error) => tracing::debug!(%error, "arrivals that can't be told"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sfu::congestion::Feedback;
    use std::time::Duration;

    fn told(arrivals: &mut Arrivals) -> Vec<(u16, Option<i64>)> {
        let mut all = Vec::new();
        while arrivals.is_fresh() {
            let mut out = Vec::new();
            arrivals.write(1, 2, &mut out);
            let feedback = Feedback::parse(&out).unwrap();
            let base = i64::from(feedback.reference()) * 64_000;
            all.extend(feedback.packets().map(|(seq, at)| (seq, at.map(|at| base + at))));
        }
        all
    }

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn each_is_told_of_once_with_what_is_missing_between() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start);
        for (ms, seq) in [(1, 65_534), (2, 65_535), (4, 1)] {
            arrivals.arrived(at(start, ms), seq);
        }
        assert_eq!(told(&mut arrivals), [(65_534, Some(1_000)), (65_535, Some(2_000)), (0, None), (1, Some(4_000))]);
        assert!(!arrivals.is_fresh());
        arrivals.arrived(at(start, 50), 3);
        assert_eq!(told(&mut arrivals), [(2, None), (3, Some(50_000))]);
    }

    #[test]
    fn what_comes_late_is_told_of_after_all() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start);
        for (ms, seq) in [(1, 10), (2, 12), (3, 9)] {
            arrivals.arrived(at(start, ms), seq);
        }
        assert_eq!(told(&mut arrivals), [(9, Some(3_000)), (10, Some(1_000)), (11, None), (12, Some(2_000))]);
        arrivals.arrived(at(start, 5), 11);
        assert_eq!(told(&mut arrivals), [(11, Some(5_000)), (12, Some(2_000))]);
        arrivals.arrived(at(start, 6), 11);
        assert_eq!(told(&mut arrivals)[0], (11, Some(5_000)), "the first time counts");
    }

    #[test]
    fn who_begins_anew_is_followed_and_nothing_grows() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start);
        let mut seq = 0u16;
        for n in 0..20_000u64 {
            seq = seq.wrapping_add(if n % 1_000 == 999 { 20_000 } else { 1 + (n % 3) as u16 });
            arrivals.arrived(at(start, n), seq);
            assert!(arrivals.known.len() <= KNOWN);
            if n % 50 == 0 {
                assert_eq!(told(&mut arrivals).last(), Some(&(seq, Some(n as i64 * 1_000))));
            }
        }
        arrivals.arrived(at(start, 90_000), seq.wrapping_add(1));
        let all = told(&mut arrivals);
        assert_eq!(all.last(), Some(&(seq.wrapping_add(1), Some(90_000_000))), "after a pause");
        assert!(all.contains(&(seq, Some(19_999_000))), "and what was before it");
    }

    #[test]
    fn a_long_gap_ends_with_what_came() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start);
        arrivals.arrived(at(start, 1_000), 1);
        arrivals.arrived(at(start, 1_050), 700);
        let mut out = Vec::new();
        told(&mut arrivals);
        arrivals.arrived(at(start, 1_100), 1_400);
        arrivals.write(1, 2, &mut out);
        let feedback = Feedback::parse(&out).unwrap();
        assert_eq!((feedback.count(), feedback.packets().filter(|(_, at)| at.is_some()).count()), (700, 1));
        assert!(out.len() < 60, "{}", out.len());
    }
}
