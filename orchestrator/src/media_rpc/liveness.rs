//! When a media node counts as lost.

use chroom_primitives::UnixMs;

/// Longest time without a sign of life, in milliseconds: three of the node's heartbeats.
pub const SILENCE_MS: u64 = 3_000;

/// A change that matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The node is lost.
    Lost,
}

/// Judges one node by its signs of life. No I/O; the time is an argument.
#[derive(Clone, Debug)]
pub struct Liveness {
    heard_ms: UnixMs,
    lost: bool,
}

impl Liveness {
    /// Begins to watch: the node has [`SILENCE_MS`] for its first sign.
    pub fn new(now: UnixMs) -> Self {
        Self { heard_ms: now, lost: false }
    }

    /// A sign of life came.
    pub fn heard(&mut self, now: UnixMs) {
        self.heard_ms = now;
        self.lost = false;
    }

    /// Time passes. A node is called lost once per silence.
    pub fn check(&mut self, now: UnixMs) -> Option<Verdict> {
        if self.lost || now < self.heard_ms.saturating_add(SILENCE_MS) {
            return None;
        }
        self.lost = true;
        Some(Verdict::Lost)
    }

    /// How long until silence would be too long, in milliseconds.
    pub fn patience_ms(&self, now: UnixMs) -> u64 {
        if self.lost { SILENCE_MS } else { (self.heard_ms + SILENCE_MS).saturating_sub(now) }
    }

    /// Whether the node counts as lost.
    pub fn is_lost(&self) -> bool {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_noticed_once_and_ends_with_a_sign_of_life() {
        let mut liveness = Liveness::new(0);
        assert_eq!(liveness.check(2_999), None);
        assert_eq!(liveness.check(3_000), Some(Verdict::Lost));
        assert_eq!(liveness.check(9_000), None);
        liveness.heard(10_000);
        assert!(!liveness.is_lost());
        assert_eq!(liveness.patience_ms(11_000), 2_000);
        assert_eq!(liveness.check(12_999), None);
        assert_eq!(liveness.check(13_000), Some(Verdict::Lost));
    }
}
