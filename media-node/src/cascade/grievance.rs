//! How long a node bears a bad pipe to the node above it before it complains.
//!
//! Losses that repair doesn't mend, and layers that a pipe is too narrow for, may be over in a moment; what goes on is for the orchestrator to know, which may
//! have another place for the node ([`crate::cascade::hub::Exits::parent_poor`]).

use std::time::{Duration, Instant};

/// Loss after repair from which a pipe is bad, in parts per 10,000.
const BAD: u16 = 100;
/// How long it may be bad. A second that is good makes up for one that is bad.
const BORNE: Duration = Duration::from_secs(10);
/// Pause between complaints.
const PAUSE: Duration = Duration::from_secs(60);

/// What a node has to bear of one pipe.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grievance {
    looked: Option<Instant>,
    borne: Duration,
    complained: Option<Instant>,
}

impl Grievance {
    /// Takes in the worse of both ways' losses after repair, and whether the pipe is known to be too narrow. Says whether it is time to complain.
    pub fn judge(&mut self, now: Instant, residual: u16, narrow: bool) -> bool {
        // What wasn't looked at for long was no pipe meanwhile.
        let passed = self.looked.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let passed = passed.min(Duration::from_secs(1));
        self.borne = if residual >= BAD || narrow { self.borne + passed } else { self.borne.saturating_sub(passed) };
        let again = self.complained.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE);
        let due = self.borne >= BORNE && again;
        if due {
            (self.borne, self.complained) = (Duration::ZERO, Some(now));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of complaints about a pipe that is as `bad` says in each second.
    fn complaints(seconds: u64, bad: impl Fn(u64) -> (u16, bool)) -> Vec<u64> {
        let (start, mut grievance) = (Instant::now(), Grievance::default());
        let judge = |half: &u64| {
            let (residual, narrow) = bad(half / 2);
            grievance.judge(start + Duration::from_millis(half * 500), residual, narrow)
        };
        (0..seconds * 2).filter(judge).map(|half| half / 2).collect()
    }

    #[test]
    fn what_goes_on_is_complained_of_and_not_again_at_once() {
        assert_eq!(complaints(200, |_| (BAD, false)), [10, 70, 130, 190]);
        assert_eq!(complaints(20, |_| (0, true)), [10]);
    }

    #[test]
    fn what_passes_is_borne() {
        assert_eq!(complaints(600, |_| (BAD - 1, false)), [0; 0]);
        assert_eq!(complaints(600, |second| (if second % 20 < 9 { 5_000 } else { 0 }, false)), [0; 0]);
        assert_eq!(complaints(60, |second| (if second % 10 < 8 { 5_000 } else { 0 }, false)).len(), 1);
    }
}
