//! The last packets: how fast they left, how fast they arrived, and whether the line held them back.

use super::rate::Rate;
use std::time::{Duration, Instant};

/// The packets looked at span one to two of these: long enough to say something in spite of jitter and of frames' sizes.
const SPAN: Duration = Duration::from_millis(150);
/// After lost feedback so much will do.
const SHORTEST: Duration = Duration::from_millis(50);
/// The shortest time whose arrivals count as the present rate.
const TAIL_US: i64 = 50_000;
/// Packets that take this much longer to arrive than they took to leave are held back.
const HELD_BACK: f64 = 1.25;

/// Packets whose loss is more than chance.
const ENOUGH: u64 = 20;
/// A few packets may be late by chance: the tail isn't taken for less than this share of the rate before it.
const LEAST_TAIL: f64 = 0.25;
/// When much less comes out than goes in, the queue overflows already.
const OVERFLOWS: f64 = 1.6;

/// A packet's two times, and the bytes sent and arrived up to it.
#[derive(Clone, Copy, Debug)]
struct Mark {
    sent: Instant,
    arrival_us: i64,
    bytes_sent: u64,
    bytes_arrived: u64,
    packets: u64,
}

/// How the last packets passed.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    /// How fast they left, those that got lost included.
    pub left: Rate,
    /// How fast they arrived.
    pub arrived: Rate,
    /// How fast the very last of them arrived: the line's present rate while they are held back.
    pub tail: Rate,
    /// How much longer they took to arrive than to leave, as a factor.
    pub stretch: f64,
    /// How many of them arrived.
    pub packets: u64,
}

impl Passage {
    /// What the line carries, if clearly more goes in than comes out.
    pub fn full(&self) -> Option<Rate> {
        if self.stretch > HELD_BACK {
            return Some(self.tail);
        }
        self.overflows().then_some(self.arrived)
    }

    /// Whether so much less comes out that the line must be full, whatever the queue seems to do.
    pub fn overflows(&self) -> bool {
        self.packets >= ENOUGH && self.left > self.arrived.scaled(OVERFLOWS)
    }
}

/// Compares when packets left with when they arrived.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    older: Option<Mark>,
    newer: Option<Mark>,
    last: Option<Mark>,
    sent: u64,
    arrived: u64,
    packets: u64,
}

impl Recent {
    /// A packet, in the order of sending.
    pub fn on_arrival(&mut self, sent: Instant, arrival_us: i64, size: u16) {
        self.sent += u64::from(size);
        self.arrived += u64::from(size);
        self.packets += 1;
        let mark = Mark { sent, arrival_us, bytes_sent: self.sent, bytes_arrived: self.arrived, packets: self.packets };
        self.last = Some(mark);
        let newer = *self.newer.get_or_insert(mark);
        if sent.saturating_duration_since(newer.sent) >= SPAN {
            self.older = Some(newer);
            self.newer = Some(mark);
        }
    }

    /// A packet that was lost.
    pub fn on_lost(&mut self, size: u16) {
        self.sent += u64::from(size);
    }

    /// Feedback was lost: what comes next can't be compared with what was before.
    pub fn on_gap(&mut self) {
        *self = Self::default();
    }

    /// What is known of the last packets, once there are enough.
    pub fn passage(&self) -> Option<Passage> {
        let (first, last) = (self.older.or(self.newer)?, self.last?);
        if last.sent.saturating_duration_since(first.sent) < SHORTEST {
            return None;
        }
        let arrived_in = Duration::from_micros(u64::try_from(last.arrival_us - first.arrival_us).ok()?);
        let arrived = Rate::of(last.bytes_arrived.saturating_sub(first.bytes_arrived), arrived_in)?;
        let tail = self.newer.filter(|newer| last.arrival_us - newer.arrival_us >= TAIL_US).and_then(|newer| {
            let time = Duration::from_micros(u64::try_from(last.arrival_us - newer.arrival_us).ok()?);
            Rate::of(last.bytes_arrived.saturating_sub(newer.bytes_arrived), time)
        });
        let left_in = last.sent.saturating_duration_since(first.sent);
        Some(Passage {
            stretch: arrived_in.as_secs_f64() / left_in.as_secs_f64().max(f64::EPSILON),
            left: Rate::of(last.bytes_sent.saturating_sub(first.bytes_sent), left_in)?,
            arrived,
            tail: tail.map_or(arrived, |tail| tail.clamp(arrived.scaled(LEAST_TAIL), arrived)),
            packets: last.packets.saturating_sub(first.packets),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_holds_packets_back_shows_at_once() {
        let start = Instant::now();
        let mut recent = Recent::default();
        for ms in (0..=400).step_by(10) {
            recent.on_arrival(start + Duration::from_millis(ms), ms as i64 * 1_050, 1_250);
        }
        assert_eq!(recent.passage().unwrap().full(), None);
        for ms in (410..800).step_by(10) {
            recent.on_arrival(start + Duration::from_millis(ms), ms as i64 * 2_000 - 380_000, 1_250);
        }
        let passage = recent.passage().unwrap();
        assert_eq!(passage.full(), Some(Rate::kbps(500)));
        assert_eq!((passage.left, passage.arrived), (Rate::kbps(1_000), Rate::kbps(500)));
    }
}
