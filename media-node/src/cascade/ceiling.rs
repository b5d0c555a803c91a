//! A pipe that is too narrow for all that is wanted: its higher layers are passed over for a while, as if their publishers had paused
//! them, so receivers take lower ones and everyone keeps a picture.

use crate::sfu::limits::MAX_LAYERS;
use std::time::{Duration, Instant};

/// Loss after repair from which a pipe is too narrow, in parts per 10,000: losses by chance are repaired, so this is none of them.
const TOO_MUCH: u16 = 200;
/// Loss after repair up to which it is wide enough.
const LITTLE: u16 = 50;
/// How long a lower ceiling needs to show.
const SETTLE: Duration = Duration::from_secs(3);
/// How long a higher one is tried at least.
const TRIAL: Duration = Duration::from_secs(1);
/// Shortest and longest pause before the next higher layer is tried again: a trial that fails costs receivers a second or two.
const PAUSE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(120));

/// The highest layer that may come over a pipe.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    level: u8,
    changed: Option<Instant>,
    raised: bool,
    pause: Duration,
}

impl Default for Ceiling {
    fn default() -> Self {
        Self { level: Self::NONE, changed: None, raised: false, pause: PAUSE.0 }
    }
}

impl Ceiling {
    /// Everything may come.
    const NONE: u8 = MAX_LAYERS as u8 - 1;

    /// The highest layer that may come.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Whether layers are kept back, and more were tried in vain: the pipe is narrow for long.
    pub fn is_proven(&self) -> bool {
        self.level < Self::NONE && !self.raised && self.pause > PAUSE.0
    }

    /// Takes in the loss after repair in the last seconds and the highest layer that comes. Says whether the ceiling has changed.
    pub fn judge(&mut self, now: Instant, residual: u16, top: u8) -> bool {
        let passed = self.changed.map(|at| now.saturating_duration_since(at));
        let settle = if self.raised { TRIAL } else { SETTLE };
        let present = self.level.min(top);
        if residual >= TOO_MUCH && present > 0 && passed.is_none_or(|passed| passed >= settle) {
            // What was tried again failed: the next time later.
            self.pause = if self.raised { (self.pause * 2).min(PAUSE.1) } else { self.pause };
            self.level = present - 1;
            (self.changed, self.raised) = (Some(now), false);
            return true;
        }
        if residual <= LITTLE && self.level < Self::NONE && passed.is_some_and(|passed| passed >= self.pause) {
            self.level += 1;
            (self.changed, self.raised) = (Some(now), true);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_course_stays_within_bounds(course in proptest::collection::vec((0u64..20, 0u16..600, any::<u8>()), 0..300)) {
            let mut now = Instant::now();
            let mut ceiling = Ceiling::default();
            for (seconds, residual, top) in course {
                now += Duration::from_secs(seconds);
                let before = ceiling.level();
                let changed = ceiling.judge(now, residual, top);
                prop_assert!(ceiling.level() <= Ceiling::NONE);
                prop_assert_eq!(changed, ceiling.level() != before);
                prop_assert!(ceiling.level() <= before || residual <= LITTLE);
            }
        }
    }

    #[test]
    fn a_narrow_pipe_loses_its_top_and_tries_it_more_and_more_seldom() {
        let start = Instant::now();
        let mut ceiling = Ceiling::default();
        let mut levels = Vec::new();
        for second in 0..600 {
            // Layer 1 fits, layer 2 doesn't.
            let top = ceiling.level().min(2);
            let residual = if top == 2 { 1_000 } else { 0 };
            if ceiling.judge(start + Duration::from_secs(second), residual, top) {
                levels.push((second, ceiling.level()));
            }
        }
        let raised: Vec<u64> = levels.iter().filter(|(_, level)| *level == 2).map(|(second, _)| *second).collect();
        let pauses: Vec<u64> = raised.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]) && pauses.last() > Some(&100), "{levels:?}");
        assert!(levels.iter().all(|(_, level)| *level >= 1), "the layer that fits goes on: {levels:?}");
        assert!(ceiling.is_proven());
    }

    #[test]
    fn the_lowest_layer_is_never_passed_over() {
        let mut ceiling = Ceiling::default();
        assert!(!ceiling.judge(Instant::now(), 10_000, 0));
    }

    #[test]
    fn a_pipe_that_was_narrow_for_a_moment_is_not_proven_to_be() {
        let start = Instant::now();
        let mut ceiling = Ceiling::default();
        for second in 0..120 {
            let residual = if second < 5 { 1_000 } else { 0 };
            ceiling.judge(start + Duration::from_secs(second), residual, ceiling.level().min(2));
            assert!(!ceiling.is_proven(), "{second}");
        }
        assert_eq!(ceiling.level(), Ceiling::NONE);
    }
}
