//! Numbers that were left out on the way to one receiver, so that those after them close up.
//!
//! A packet that the receiver shall not get must leave no gap, or it would ask for it again and again. What was lost before it reached
//! this node keeps its place, since a repair may bring it; so a number's shift depends on what was left out *before* it, and late
//! numbers need the past.

use std::collections::VecDeque;

/// Runs of left-out numbers that are remembered: with three layers at 30 pictures a second they reach back two seconds or more, as
/// far as packets are kept for resends.
const MOST_RUNS: usize = 128;

/// Numbers left out in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    first: u64,
    last: u64,
    /// All that were left out before it.
    before: u64,
}

/// What was left out of one source.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Skips {
    runs: VecDeque<Run>,
    total: u64,
    forgot: bool,
}

impl Skips {
    /// Forgets everything: another source begins.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.total = 0;
        self.forgot = false;
    }

    /// Leaves out a number above all that were seen. One that was left out already changes nothing.
    pub fn skip(&mut self, number: u64) {
        match self.runs.back_mut() {
            Some(run) if number <= run.last => return,
            Some(run) if number == run.last + 1 => run.last = number,
            _ => {
                if self.runs.len() == MOST_RUNS {
                    self.runs.pop_front();
                    self.forgot = true;
                }
                self.runs.push_back(Run { first: number, last: number, before: self.total });
            }
        }
        self.total += 1;
    }

    /// How many numbers before this one were left out; `None` if it was left out itself, or is too old to tell.
    pub fn before(&self, number: u64) -> Option<u64> {
        for run in self.runs.iter().rev() {
            if number > run.last {
                return Some(run.before + (run.last - run.first + 1));
            }
            if number >= run.first {
                return None;
            }
        }
        (!self.forgot).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn late_numbers_are_shifted_by_what_lay_before_them() {
        let mut skips = Skips::default();
        [3, 4, 8].into_iter().for_each(|number| skips.skip(number));
        skips.skip(4);
        assert_eq!(
            [1, 2, 3, 4, 5, 7, 8, 9].map(|n| skips.before(n)),
            [Some(0), Some(0), None, None, Some(2), Some(2), None, Some(3)]
        );
    }

    #[test]
    fn what_is_too_old_is_said_to_be() {
        let mut skips = Skips::default();
        (0..MOST_RUNS as u64 + 5).for_each(|run| skips.skip(run * 3));
        assert_eq!(skips.before(1), None);
        assert_eq!(skips.before(3 * MOST_RUNS as u64 + 100), Some(MOST_RUNS as u64 + 5));
        skips.clear();
        assert_eq!(skips.before(1), Some(0));
    }

    proptest! {
        /// Kept numbers, in whatever order they are asked for, get consecutive places.
        #[test]
        fn kept_numbers_close_up(keep in proptest::collection::vec(any::<bool>(), 1..200)) {
            let mut skips = Skips::default();
            keep.iter().enumerate().filter(|(_, keep)| !**keep).for_each(|(n, _)| skips.skip(n as u64));
            let places: Vec<u64> =
                (0..keep.len() as u64).filter(|n| keep[*n as usize]).map(|n| n - skips.before(n).unwrap()).collect();
            prop_assert_eq!(places, (0..keep.iter().filter(|k| **k).count() as u64).collect::<Vec<_>>());
        }
    }
}
