//! Key-frame requests towards a publisher: however many receivers ask, one goes out per layer and interval, and none is
//! forgotten before a key frame came.

use std::time::{Duration, Instant};

/// Shortest time between two requests for one layer.
pub const INTERVAL: Duration = Duration::from_millis(500);

/// Coalesces the requests for one layer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate {
    asked: Option<Instant>,
    wanted: bool,
}

impl Gate {
    /// A receiver needs a key frame. Says whether to ask the publisher now.
    pub fn request(&mut self, now: Instant) -> bool {
        self.wanted = true;
        self.due(now)
    }

    /// Whether to ask the publisher now, because a request is open and the last one is long enough ago.
    pub fn due(&mut self, now: Instant) -> bool {
        if !self.wanted || self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < INTERVAL) {
            return false;
        }
        self.asked = Some(now);
        true
    }

    /// Whether a key frame is awaited.
    pub fn is_open(&self) -> bool {
        self.wanted
    }

    /// A key frame came.
    pub fn satisfied(&mut self) {
        self.wanted = false;
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
            sent += u32::from(gate.request(start + Duration::from_millis(ms)));
        }
        assert_eq!(sent, 4);
        let later = start + Duration::from_secs(3);
        assert!(gate.due(later), "still wanted");
        gate.satisfied();
        assert!(!gate.due(later + INTERVAL));
    }
}
