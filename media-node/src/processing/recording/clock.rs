//! RTP timestamps as milliseconds since a track's beginning.

/// Follows one stream's timestamps over their wrap-around.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    rate: u32,
    first: i64,
    last: i64,
}

impl Clock {
    /// A clock of `rate` Hz that begins with this timestamp.
    pub fn new(rate: u32, first: u32) -> Self {
        Self { rate: rate.max(1_000), first: first.into(), last: first.into() }
    }

    /// When a frame is, in milliseconds since the first. Frames before the first are at 0.
    pub fn at(&mut self, timestamp: u32) -> u64 {
        let at = self.last + i64::from(timestamp.wrapping_sub(self.last as u32) as i32);
        self.last = self.last.max(at);
        u64::try_from((at - self.first).saturating_mul(1_000) / i64::from(self.rate)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_over_the_wrap_around_and_gaps() {
        let first = u32::MAX - 90_000;
        let mut clock = Clock::new(90_000, first);
        assert_eq!(clock.at(first), 0);
        assert_eq!(clock.at(first.wrapping_add(90_000 * 3)), 3_000);
        assert_eq!(clock.at(first.wrapping_add(90_000 * 2)), 2_000, "a late one");
        assert_eq!(clock.at(first.wrapping_sub(90_000)), 0);
        // Six days: the timestamps went round ten times.
        let mut at = 0;
        for hour in 1..=144u32 {
            at = clock.at(first.wrapping_add((90_000u64 * 3_600 * u64::from(hour)) as u32));
        }
        assert_eq!(at, 144 * 3_600_000);
    }
}
