//! Packets of a stream that didn't come, and when they are asked for (RFC 4585 §6.2.1).

use std::time::{Duration, Instant};

/// Packets may overtake each other on the way.
const PATIENCE: Duration = Duration::from_millis(10);
/// A packet is asked for again after a round trip, and at least so long.
const SPACING: Duration = Duration::from_millis(33);
/// The same if the round trip isn't known.
const UNKNOWN_SPACING: Duration = Duration::from_millis(100);
/// A packet that was asked for so often doesn't come any more.
const TIMES: u8 = 10;
/// How long receivers wait for a packet at most.
const AGE: Duration = Duration::from_millis(1_500);
/// Most packets of a stream that are asked for: who lost more needs a key frame.
const MOST: usize = 512;

#[derive(Clone, Copy, Debug)]
struct Entry {
    index: u64,
    since: Instant,
    at: Instant,
    asked: u8,
    first_asked: Option<Instant>,
}

/// What is missing of one stream, in order.
#[derive(Debug, Default)]
pub struct Missing {
    entries: Vec<Entry>,
    /// When the first of them is to be asked for or given up, or before.
    due: Option<Instant>,
    /// How long what is asked for takes to come, smoothed.
    trip: Option<Duration>,
}

impl Missing {
    /// What is from `first` on and before `end` didn't come before what is behind it.
    pub fn skipped(&mut self, now: Instant, first: u64, end: u64) {
        if first >= end {
            return;
        }
        let first = first.max(end.saturating_sub(MOST as u64));
        let at = now + PATIENCE;
        let count = self.entries.len() + (end - first) as usize;
        self.entries.drain(..count.saturating_sub(MOST).min(self.entries.len()));
        self.entries.extend((first..end).map(|index| Entry { index, since: now, at, asked: 0, first_asked: None }));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// A packet came after all.
    pub fn came(&mut self, now: Instant, index: u64) {
        if let Ok(at) = self.entries.binary_search_by_key(&index, |entry| entry.index) {
            let entry = self.entries.remove(at);
            if let Some(asked) = entry.first_asked.filter(|_| entry.asked == 1) {
                let trip = now.saturating_duration_since(asked);
                self.trip = Some(self.trip.map_or(trip, |before| (before * 7 + trip) / 8));
            }
        }
        if self.entries.is_empty() {
            self.due = None;
        }
    }

    /// Forgets all: the stream begins anew.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.due = None;
    }

    /// When [`Missing::ask`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Up to `most` numbers to ask for now, in order. What is too late is given up. `rtt` as reports have it; clients that receive nothing send none, and then it is
    /// what repairs took.
    pub fn ask(&mut self, now: Instant, rtt: Option<Duration>, most: usize) -> Vec<u16> {
        let spacing = rtt.or(self.trip.map(|trip| trip * 5 / 4)).map_or(UNKNOWN_SPACING, |rtt| rtt.max(SPACING));
        self.entries.retain(|entry| {
            now.saturating_duration_since(entry.since) < AGE && (entry.asked < TIMES || now < entry.at)
        });
        let mut asked = Vec::new();
        for entry in &mut self.entries {
            if entry.at > now || entry.asked >= TIMES {
                continue;
            }
            if asked.len() >= most {
                break;
            }
            entry.asked += 1;
            entry.at = now + spacing;
            entry.first_asked.get_or_insert(now);
            asked.push(entry.index as u16);
        }
        self.due = self.entries.iter().map(|entry| entry.at.min(entry.since + AGE)).min();
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Option<Duration> = Some(Duration::from_millis(50));

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_comes_late_by_itself_is_not_asked_for() {
        let start = Instant::now();
        let mut missing = Missing::default();
        assert_eq!(missing.due(), None);
        missing.skipped(start, 10, 13);
        assert_eq!(missing.due(), Some(start + PATIENCE));
        missing.came(start, 11);
        assert!(missing.ask(start + ms(9), RTT, 100).is_empty());
        assert_eq!(missing.ask(start + PATIENCE, RTT, 100), [10, 12]);
        missing.came(start, 10);
        missing.came(start, 12);
        assert_eq!(missing.due(), None);
    }

    #[test]
    fn how_long_repairs_take_is_how_long_it_waits() {
        let start = Instant::now();
        let mut missing = Missing::default();
        missing.skipped(start, 10, 11);
        missing.ask(start + PATIENCE, None, 100);
        missing.came(start + PATIENCE + ms(240), 10);
        missing.skipped(start + ms(500), 20, 21);
        missing.ask(start + ms(510), None, 100);
        assert_eq!(missing.due(), Some(start + ms(810)));
    }

    #[test]
    fn it_is_asked_for_once_in_a_round_trip_and_given_up_in_the_end() {
        for rtt in [RTT, Some(ms(1)), None, Some(ms(300))] {
            let start = Instant::now();
            let mut missing = Missing::default();
            missing.skipped(start, 70_000, 70_001);
            let mut times = Vec::new();
            while let Some(due) = missing.due() {
                if !missing.ask(due, rtt, 100).is_empty() {
                    times.push(due - start);
                }
            }
            let spacing = rtt.map_or(UNKNOWN_SPACING, |rtt| rtt.max(SPACING));
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == spacing), "{times:?}");
            assert_eq!(
                times.len(),
                10.min(1 + ((AGE - PATIENCE).as_millis() - 1) as usize / spacing.as_millis() as usize)
            );
        }
    }

    #[test]
    fn so_many_at_once_and_no_more_than_can_be_repaired() {
        let start = Instant::now();
        let mut missing = Missing::default();
        missing.skipped(start, 0, 100);
        missing.skipped(start, 100, 60_000);
        let now = start + PATIENCE;
        let asked: Vec<u16> = (0..6).flat_map(|_| missing.ask(now, RTT, 100)).collect();
        assert_eq!(asked, (60_000 - MOST as u16..60_000).collect::<Vec<_>>());
        assert!(missing.ask(now, RTT, 100).is_empty());
        missing.clear();
        assert_eq!(missing.due(), None);
        missing.skipped(start, 5, 5);
        assert_eq!(missing.due(), None, "nothing is between them");
    }
}
