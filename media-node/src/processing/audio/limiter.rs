//! A peak limiter: sums of voices are turned down before they clip, and up again slowly. It never turns anything up beyond what it was.

/// Largest sample that comes out, a tenth of a decibel below full scale.
pub const CEILING: i16 = 32_390;
/// By how much the gain recovers per frame of 20 ms: from half to full within half a second.
const RELEASE: f32 = 0.02;
/// Samples, both channels counted, over which the gain goes down: a millisecond.
const ATTACK: usize = 96;

/// The limiter of one output.
#[derive(Clone, Debug)]
pub struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

impl Limiter {
    /// Brings sums into range. What is in range anyway passes bit by bit, unless something loud was there a moment ago.
    pub fn limit(&mut self, sums: impl ExactSizeIterator<Item = i32> + Clone) -> Vec<i16> {
        let ceiling = f32::from(CEILING);
        let peak = sums.clone().map(i32::unsigned_abs).max().unwrap_or(0) as f32;
        let needed = if peak > ceiling { ceiling / peak } else { 1.0 };
        let from = self.gain;
        let to = if needed < from { needed } else { (from + RELEASE).min(needed) };
        self.gain = to;
        if from >= 1.0 && to >= 1.0 {
            return sums.map(clamp).collect();
        }
        let length = if to < from { ATTACK } else { sums.len().max(1) };
        sums.enumerate()
            .map(|(n, sum)| {
                let way = (n as f32 / length as f32).min(1.0);
                let sample = sum as f32 * (from + (to - from) * way);
                // While the gain goes down, single samples may still be above.
                sample.clamp(-ceiling, ceiling) as i16
            })
            .collect()
    }
}

fn clamp(sum: i32) -> i16 {
    i16::try_from(sum.clamp(-i32::from(CEILING), i32::from(CEILING))).unwrap_or(CEILING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_fits_passes_untouched() {
        let mut limiter = Limiter::default();
        let quiet: Vec<i32> = (0..1_920).map(|n| (n * 37) % 30_000 - 15_000).collect();
        let out = limiter.limit(quiet.iter().copied());
        assert!(out.iter().zip(&quiet).all(|(out, sum)| i32::from(*out) == *sum));
    }

    #[test]
    fn what_is_too_loud_keeps_its_shape_and_the_gain_recovers() {
        let mut limiter = Limiter::default();
        let loud: Vec<i32> = (0..1_920).map(|n| if n / 48 % 2 == 0 { 60_000 } else { -20_000 }).collect();
        limiter.limit(loud.iter().copied());
        let out = limiter.limit(loud.iter().copied());
        // A third of the loud parts, as before.
        assert!(out.iter().any(|sample| *sample >= CEILING - 1));
        assert!(out.iter().all(|sample| *sample >= CEILING - 1 || (*sample + CEILING / 3).abs() <= 1));
        let quiet = vec![10_000; 1_920];
        let recovered: Vec<i16> = (0..40).map(|_| *limiter.limit(quiet.iter().copied()).last().unwrap()).collect();
        assert!(recovered[0] < 6_000 && recovered[39] == 10_000, "{recovered:?}");
        assert!(recovered.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    proptest! {
        #[test]
        fn nothing_clips_and_silence_stays(frames in proptest::collection::vec(
            proptest::collection::vec(any::<i32>().prop_map(|n| n / 64), 96..200), 1..20,
        )) {
            let mut limiter = Limiter::default();
            for frame in frames {
                let out = limiter.limit(frame.iter().copied());
                for (out, sum) in out.iter().zip(&frame) {
                    prop_assert!((-CEILING..=CEILING).contains(out));
                    prop_assert!(i32::from(out.unsigned_abs()) <= sum.unsigned_abs() as i32);
                    prop_assert!(*out == 0 || (*out > 0) == (*sum > 0));
                }
            }
        }
    }
}
