//! How much of a video anyone in the room wants: what nobody wants, its publisher need not encode.

use std::time::{Duration, Instant};

/// How long less must be wanted before the publisher hears of it: who turns a page comes back, and a stopped layer costs a key frame.
const HOLD: Duration = Duration::from_secs(4);

/// Follows the demand for one track, in layers from the lowest up; 0: nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    told: usize,
    /// Since when less than told is wanted, and the most of that time.
    less: Option<(Instant, usize)>,
}

impl Demand {
    /// A publisher begins with all of its layers.
    pub fn new(layers: usize) -> Self {
        Self { told: layers, less: None }
    }

    /// Takes in how many layers are wanted now. Returns the number that the publisher shall hear of, if that changes: more at once, less
    /// after a while.
    pub fn update(&mut self, now: Instant, wanted: usize) -> Option<usize> {
        if wanted >= self.told {
            self.less = None;
            return (std::mem::replace(&mut self.told, wanted) < wanted).then_some(wanted);
        }
        let (since, most) = self.less.unwrap_or((now, wanted));
        let most = most.max(wanted);
        self.less = Some((since, most));
        if now.saturating_duration_since(since) < HOLD {
            return None;
        }
        self.less = None;
        self.told = most;
        Some(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_told_at_once_and_less_after_a_while() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut demand = Demand::new(3);
        assert_eq!(demand.update(at(0), 3), None);
        assert_eq!(demand.update(at(0), 1), None);
        assert_eq!(demand.update(at(3_900), 0), None);
        assert_eq!(demand.update(at(4_000), 0), Some(1), "the most of that time");
        assert_eq!(demand.update(at(4_100), 0), None);
        assert_eq!(demand.update(at(8_100), 0), Some(0));
        assert_eq!(demand.update(at(8_200), 2), Some(2));
        assert_eq!(demand.update(at(8_300), 2), None);
    }

    #[test]
    fn what_swings_is_left_running() {
        let start = Instant::now();
        let mut demand = Demand::new(3);
        for second in 0..60 {
            let wanted = if second % 3 == 0 { 3 } else { 1 };
            assert_eq!(demand.update(start + Duration::from_secs(second), wanted), None);
        }
    }
}
