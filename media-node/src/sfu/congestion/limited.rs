//! Whether the sender has less to send than it may (application-limited region): then what arrives says little of the line.

use super::rate::Rate;
use std::time::{Duration, Instant};

/// Share of the target that counts as using it, as in libwebrtc.
const USE: f64 = 0.65;
/// How much of the target's budget is looked at, as in libwebrtc.
const WINDOW: Duration = Duration::from_millis(500);
/// The budget's level above which the sender is limited, and below which it isn't any more; as in libwebrtc.
const ENTER: f64 = 0.8;
const LEAVE: f64 = 0.5;

/// A budget that fills at a share of the target, and that packets draw from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limited {
    /// In bytes; negative when more was sent.
    level: f64,
    filled: Option<Instant>,
    limited: bool,
}

impl Limited {
    /// Accounts for `size` bytes (0 to let only time pass). Says whether this ended the limitation.
    pub fn on_sent(&mut self, now: Instant, size: u16, target: Rate) -> bool {
        let full = target.fill(WINDOW) * USE;
        let filled = self.filled.replace(now);
        // A frame's packets leave at the same time.
        if let Some(at) = filled.filter(|at| *at != now) {
            let passed = now.saturating_duration_since(at);
            self.level += target.fill(passed.min(WINDOW * 2)) * USE;
        }
        self.level = (self.level.min(full) - f64::from(size)).max(-full);
        if self.limited && self.level < full * LEAVE {
            self.limited = false;
            return true;
        }
        self.limited |= self.level > full * ENTER;
        false
    }

    /// Whether the sender is limited.
    pub fn is(&self) -> bool {
        self.limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_target_is_limited_and_all_of_it_is_not() {
        let start = Instant::now();
        let mut limited = Limited::default();
        for ms in (0..2_000).step_by(10) {
            limited.on_sent(start + Duration::from_millis(ms), 625, Rate::kbps(1_000));
        }
        assert!(limited.is());
        let mut ended = 0;
        for ms in (2_000..4_000).step_by(10) {
            ended += u32::from(limited.on_sent(start + Duration::from_millis(ms), 1_250, Rate::kbps(1_000)));
        }
        assert_eq!((limited.is(), ended), (false, 1));
    }
}
