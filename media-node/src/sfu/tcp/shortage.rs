//! When connections can't be accepted for a while: a log wants to hear of that twice, not at each attempt.

use std::time::{Duration, Instant};

/// How long nothing may fail until it is over. At a limit, each connection that ends lets one in, and the next one fails again.
const QUIET: Duration = Duration::from_secs(5);

/// Follows attempts to accept.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    present: Option<Present>,
}

#[derive(Debug)]
struct Present {
    since: Instant,
    last: Instant,
    failures: u64,
}

/// A shortage that is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Over {
    /// Attempts that failed.
    pub failures: u64,
    /// From the first to the last of them.
    pub lasted: Duration,
}

impl Shortage {
    /// An attempt failed. Whether it is the first.
    pub fn failed(&mut self, now: Instant) -> bool {
        let begins = self.present.is_none();
        let present = self.present.get_or_insert(Present { since: now, last: now, failures: 0 });
        present.last = now;
        present.failures = present.failures.saturating_add(1);
        begins
    }

    /// An attempt did not fail, for Linux looks for a free descriptor before it looks for a connection.
    pub fn worked(&mut self, now: Instant) -> Option<Over> {
        let over = self.present.take_if(|present| now.saturating_duration_since(present.last) >= QUIET)?;
        Some(Over { failures: over.failures, lasted: over.last.saturating_duration_since(over.since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_it_begins_and_with_the_count_when_it_is_over() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut shortage = Shortage::default();
        assert_eq!(shortage.worked(at(0)), None, "there was none");
        let begins: Vec<u64> = (0..100).map(|tick| tick * 100).filter(|ms| shortage.failed(at(*ms))).collect();
        assert_eq!(begins, [0]);
        // One gets in, the next one doesn't: that is the same shortage.
        assert_eq!(shortage.worked(at(10_000)), None);
        assert!(!shortage.failed(at(10_100)));
        assert_eq!(shortage.worked(at(15_099)), None);
        let over = Over { failures: 101, lasted: Duration::from_millis(10_100) };
        assert_eq!(shortage.worked(at(15_100)), Some(over));
        assert_eq!(shortage.worked(at(15_200)), None, "told once");
        assert!(shortage.failed(at(20_000)), "another one");
    }
}
