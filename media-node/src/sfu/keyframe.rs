//! Key-frame requests towards a publisher: however many receivers ask, one goes out per layer and interval, and none is
//! forgotten before a key frame came.
//!
//! A key frame is several pictures' size, to all who watch. A thread that has too much to do loses packets of everybody's, who all ask: what would mend
//! one receiver's picture keeps the others' from coming. Then only receivers that have no picture at all get one soon.

use std::time::{Duration, Instant};

/// Shortest time between two requests for one layer.
pub const INTERVAL: Duration = Duration::from_millis(500);
/// The same for repairs of pictures, while there is too much to do.
pub const STRAINED_INTERVAL: Duration = Duration::from_secs(3);

/// What a receiver needs a key frame for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Need {
    /// It lost packets, and its picture stands still or is broken.
    Repair,
    /// It begins with the layer.
    Picture,
}

/// Coalesces the requests for one layer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate {
    asked: Option<Instant>,
    wanted: Option<Need>,
}

impl Gate {
    /// A receiver needs a key frame. Says whether to ask the publisher now; `strained` as in [`Gate::due`].
    pub fn request(&mut self, now: Instant, need: Need, strained: bool) -> bool {
        self.wanted = self.wanted.max(Some(need));
        self.due(now, strained)
    }

    /// Whether to ask the publisher now, because a request is open and the last one is long enough ago. `strained`: the thread has more to do than it can.
    pub fn due(&mut self, now: Instant, strained: bool) -> bool {
        let interval = match self.wanted {
            None => return false,
            Some(Need::Repair) if strained => STRAINED_INTERVAL,
            Some(_) => INTERVAL,
        };
        if self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < interval) {
            return false;
        }
        self.asked = Some(now);
        true
    }

    /// Whether a key frame is awaited.
    pub fn is_open(&self) -> bool {
        self.wanted.is_some()
    }

    /// A key frame came.
    pub fn satisfied(&mut self) {
        self.wanted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_becomes_one_request_per_interval_until_a_key_frame_comes() {
        let start = Instant::now();
        let mut gate = Gate::default();
        let mut sent = 0;
        for ms in 0..2_000 {
            sent += u32::from(gate.request(start + Duration::from_millis(ms), Need::Repair, false));
        }
        assert_eq!(sent, 4);
        let later = start + Duration::from_secs(3);
        assert!(gate.due(later, false), "still wanted");
        gate.satisfied();
        assert!(!gate.due(later + INTERVAL, false));
    }

    #[test]
    fn who_has_no_picture_need_not_wait_for_a_strained_thread() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut gate = Gate::default();
        assert!(gate.request(start, Need::Repair, true), "the first");
        gate.satisfied();
        assert!(!gate.request(at(600), Need::Repair, true) && !gate.due(at(2_900), true));
        assert!(gate.due(at(2_900), false), "there is time again");
        gate.satisfied();
        assert!(!gate.request(at(3_500), Need::Repair, true) && gate.request(at(3_500), Need::Picture, true));
        assert!(!gate.request(at(3_600), Need::Repair, true));
        assert!(gate.due(at(4_000), true), "its request may be lost");
    }
}
