//! Counters on the wire wrap; these don't.

/// Continues a 16-bit counter over its wraps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence {
    newest: Option<u64>,
}

impl Sequence {
    /// The whole number that lies nearest to the newest seen, without making it the newest.
    pub fn nearest(&self, low: u16) -> u64 {
        // The first number starts one turn up, so that what is older than it isn't negative.
        let Some(newest) = self.newest else { return u64::from(low) + (1 << 16) };
        let ahead = low.wrapping_sub(newest as u16) as i16;
        newest.saturating_add_signed(i64::from(ahead))
    }

    /// The same, and remembers it if it is newer.
    pub fn advance(&mut self, low: u16) -> u64 {
        let whole = self.nearest(low);
        self.newest = Some(self.newest.map_or(whole, |newest| newest.max(whole)));
        whole
    }
}

/// Continues the reference time of feedback (24 bits of 64 ms, a turn is 12.4 days) over its wraps.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceTime {
    last: Option<i64>,
}

impl ReferenceTime {
    const BITS: u32 = 24;

    /// The whole reference time, in units of 64 ms, nearest to the one before.
    pub fn advance(&mut self, low: u32) -> i64 {
        let low = i64::from(low & ((1 << Self::BITS) - 1));
        let whole = match self.last {
            None => low,
            Some(last) => {
                let turn = 1i64 << Self::BITS;
                let ahead = (low - last).rem_euclid(turn);
                last + if ahead >= turn / 2 { ahead - turn } else { ahead }
            }
        };
        self.last = Some(whole);
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reference_time_goes_on_over_the_wrap_and_back() {
        let mut reference = ReferenceTime::default();
        let last = reference.advance(0xff_ffff);
        assert_eq!(reference.advance(1), last + 2);
        assert_eq!(reference.advance(0xff_fffe), last - 1);
    }

    proptest! {
        #[test]
        fn numbers_grow_as_they_were_sent(
            first in any::<u16>(),
            steps in proptest::collection::vec(-20_000i64..20_000, 1..200),
        ) {
            let mut sequence = Sequence::default();
            let start = sequence.advance(first);
            let (mut newest, mut at) = (start, start);
            for step in steps {
                // Never further from the newest than half a turn.
                at = at.saturating_add_signed(step).clamp(newest.saturating_sub(30_000), newest + 30_000);
                prop_assert_eq!(sequence.advance(at as u16), at);
                newest = newest.max(at);
            }
        }
    }
}
