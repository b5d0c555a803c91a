//! Bit rates.

use std::{fmt, time::Duration};

/// A bit rate, in bits per second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rate(u64);

/// What a duration is taken for where a rate of nothing would never finish.
const FOREVER: Duration = Duration::from_secs(3_600);

/// Bits times microseconds in a byte times seconds. Products with it fit into 64 bits up to 2 TB, and saturate beyond.
const BITS_US: u64 = 8_000_000;

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Rate {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);
    /// No limit.
    pub const MAX: Self = Self(u64::MAX);

    /// A rate in bits per second.
    pub const fn bps(bits: u64) -> Self {
        Self(bits)
    }

    /// A rate in kilobits (1,000 bits) per second.
    pub const fn kbps(kilobits: u64) -> Self {
        Self(kilobits.saturating_mul(1_000))
    }

    /// What `bytes` in `time` come to; nothing if no time passed.
    pub fn of(bytes: u64, time: Duration) -> Option<Self> {
        let micros = micros(time);
        (micros > 0).then(|| Self(bytes.saturating_mul(BITS_US) / micros))
    }

    /// In bits per second.
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// In kilobits per second, rounded down.
    pub fn as_kbps(self) -> u32 {
        u32::try_from(self.0 / 1_000).unwrap_or(u32::MAX)
    }

    /// In bits per second, for the filters.
    pub(super) fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// From a filter's output; what is no rate (negative, not a number) is nothing.
    pub(super) fn from_f64(bits: f64) -> Self {
        Self(bits as u64)
    }

    /// Bytes that this rate carries in `time`.
    pub fn bytes_in(self, time: Duration) -> u64 {
        self.0.saturating_mul(micros(time)) / BITS_US
    }

    /// The same with fractions, for what is added up from many short times.
    pub(in crate::sfu) fn fill(self, time: Duration) -> f64 {
        self.as_f64() / 8.0 * time.as_secs_f64()
    }

    /// How long `bytes` take at this rate; an hour at most.
    pub fn time_for(self, bytes: u64) -> Duration {
        let micros = bytes.saturating_mul(BITS_US).checked_div(self.0);
        micros.map_or(FOREVER, Duration::from_micros).min(FOREVER)
    }

    /// This rate times a factor.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self::from_f64(self.as_f64() * factor)
    }

    /// The sum of two rates.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} kb/s", self.0 / 1_000, self.0 % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_time_are_each_others_inverse() {
        let rate = Rate::kbps(1_200);
        assert_eq!(rate.bytes_in(Duration::from_millis(8)), 1_200);
        assert_eq!(rate.time_for(1_200), Duration::from_millis(8));
        assert_eq!(Rate::of(1_200, Duration::from_millis(8)), Some(rate));
    }

    #[test]
    fn the_extremes_stay_bounded() {
        assert_eq!(Rate::ZERO.time_for(1), FOREVER);
        assert_eq!(Rate::of(1, Duration::ZERO), None);
        assert_eq!(Rate::MAX.bytes_in(Duration::MAX), u64::MAX / BITS_US);
        assert_eq!(Rate::from_f64(f64::NAN), Rate::ZERO);
        assert_eq!(Rate::bps(u64::MAX).plus(Rate::bps(1)).as_bps(), u64::MAX);
    }
}
