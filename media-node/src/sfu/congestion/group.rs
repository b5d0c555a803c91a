//! Packets that left within one burst are looked at as one: what a burst's own packets do to each other says nothing of the queue
//! (draft-ietf-rmcat-gcc-02, section 5.2).

use std::time::{Duration, Instant};

/// Packets that left within this time of the group's first belong to it (section 5.2: burst_time).
const BURST: Duration = Duration::from_millis(5);
/// The longest arrival of one group, as in libwebrtc.
const LONGEST_US: i64 = 100_000;
/// Beyond this the receiver's clock has leapt, as in libwebrtc.
const LEAP_US: i64 = 3_000_000;
/// So many groups arriving before their predecessors mean a changed clock, not reordering; as in libwebrtc.
const REORDERED: u8 = 3;

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: Instant,
    last_sent: Instant,
    first_arrival: i64,
    last_arrival: i64,
}

/// How two successive groups differ.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Delta {
    /// The later group's arrival less the earlier one's, in milliseconds.
    pub arrival_ms: f64,
    /// What the later one took longer on its way, in milliseconds (d(i) in the draft).
    pub delay_ms: f64,
}

/// Gathers packets into groups.
#[derive(Clone, Copy, Debug, Default)]
pub struct Groups {
    previous: Option<Group>,
    current: Option<Group>,
    reordered: u8,
}

impl Groups {
    /// A packet, in the order of sending. Gives the difference of the two groups before if it begins a new one.
    pub fn on_arrival(&mut self, sent: Instant, arrival_us: i64) -> Option<Delta> {
        let new = Group { first_sent: sent, last_sent: sent, first_arrival: arrival_us, last_arrival: arrival_us };
        let Some(current) = self.current.as_mut() else {
            self.current = Some(new);
            return None;
        };
        if sent < current.first_sent {
            return None;
        }
        if sent.saturating_duration_since(current.first_sent) <= BURST || current.takes_burst(sent, arrival_us) {
            current.last_sent = current.last_sent.max(sent);
            current.last_arrival = current.last_arrival.max(arrival_us);
            return None;
        }
        let finished = *current;
        let delta = self.previous.map(|previous| {
            let arrival = finished.last_arrival - previous.last_arrival;
            let left = finished.last_sent.saturating_duration_since(previous.last_sent);
            (arrival, left.as_micros() as i64)
        });
        match delta {
            Some((arrival, left)) if (arrival - left).abs() > LEAP_US => {
                *self = Self { current: Some(new), ..Self::default() };
                return None;
            }
            Some((arrival, _)) if arrival < 0 => {
                self.reordered += 1;
                if self.reordered >= REORDERED {
                    *self = Self { current: Some(new), ..Self::default() };
                }
                return None;
            }
            _ => self.reordered = 0,
        }
        self.previous = Some(finished);
        self.current = Some(new);
        delta.map(|(arrival, left)| Delta {
            arrival_ms: arrival as f64 / 1_000.0,
            delay_ms: (arrival - left) as f64 / 1_000.0,
        })
    }
}

impl Group {
    /// A packet that arrives right behind the group though it left later: something upstream held both and let them go at once.
    fn takes_burst(&self, sent: Instant, arrival_us: i64) -> bool {
        let arrival = arrival_us - self.last_arrival;
        let left = sent.saturating_duration_since(self.last_sent).as_micros() as i64;
        arrival - left < 0 && arrival <= BURST.as_micros() as i64 && arrival_us - self.first_arrival < LONGEST_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deltas(packets: &[(u64, i64)]) -> Vec<Delta> {
        let start = Instant::now();
        let mut groups = Groups::default();
        packets
            .iter()
            .filter_map(|(sent, arrival)| groups.on_arrival(start + Duration::from_millis(*sent), arrival * 1_000))
            .collect()
    }

    #[test]
    fn a_burst_is_one_group_and_a_growing_queue_shows_between_groups() {
        let packets = [(0, 50), (1, 52), (2, 54), (30, 84), (31, 88), (60, 124), (90, 160)];
        let expected = [Delta { arrival_ms: 34.0, delay_ms: 5.0 }, Delta { arrival_ms: 36.0, delay_ms: 7.0 }];
        assert_eq!(deltas(&packets), expected);
    }

    #[test]
    fn packets_let_go_at_once_are_one_group() {
        // The second and third were held with the first, as Wi-Fi does.
        assert_eq!(deltas(&[(0, 50), (20, 90), (30, 91), (40, 92), (100, 150)]).len(), 1);
    }

    #[test]
    fn reordering_and_leaps_give_no_delta() {
        assert_eq!(deltas(&[(0, 50), (20, 70), (10, 60), (40, 90)]).len(), 1);
        assert!(deltas(&[(0, 50), (20, 70), (40, 9_000), (60, 9_020)]).len() < 2);
    }
}
