//! The sum of all voices, and for each who speaks the sum of the others.
//!
//! Sums are whole numbers, so taking one's own voice out again leaves nothing of it. Voices are not made equally loud: what a
//! microphone sends is what is heard.

use super::{Frame, INTERLEAVED, limiter::Limiter};

/// Most voices that are summed: 2^15 times as many samples of 16 bits fit into 32.
pub const MAX_VOICES: usize = 512;

/// One turn's sum.
#[derive(Clone, Debug)]
pub struct Sum {
    samples: Vec<i32>,
    voices: usize,
}

impl Default for Sum {
    fn default() -> Self {
        Self { samples: vec![0; INTERLEAVED], voices: 0 }
    }
}

impl Sum {
    /// Adds a voice. `false`: there are too many, and it is left out.
    pub fn add(&mut self, voice: &[i16]) -> bool {
        if self.voices >= MAX_VOICES {
            return false;
        }
        self.voices += 1;
        self.samples.iter_mut().zip(voice).for_each(|(sum, sample)| *sum += i32::from(*sample));
        true
    }

    /// What everyone hears who doesn't speak.
    pub fn all(&self, limiter: &mut Limiter) -> Frame {
        limiter.limit(self.samples.iter().copied())
    }

    /// What someone hears who speaks: everything but the own voices, which must be among those that were added.
    pub fn without(&self, own: &[Frame], limiter: &mut Limiter) -> Frame {
        let mut samples = self.samples.clone();
        for voice in own {
            samples.iter_mut().zip(voice).for_each(|(sum, sample)| *sum -= i32::from(*sample));
        }
        limiter.limit(samples.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::opus::tests::*, super::silence, *};
    use proptest::prelude::*;

    #[test]
    fn silence_stays_silence() {
        let mut sum = Sum::default();
        (0..5).for_each(|_| assert!(sum.add(&silence())));
        assert_eq!(sum.all(&mut Limiter::default()), silence());
        assert_eq!(sum.without(&[silence()], &mut Limiter::default()), silence());
    }

    #[test]
    fn everyone_hears_the_others_and_not_the_own_voice() {
        let tones = [300.0, 500.0, 800.0];
        let mut limiters = [Limiter::default(), Limiter::default(), Limiter::default()];
        let mut heard = [Vec::new(), Vec::new(), Vec::new()];
        for n in 0..50 {
            let voices = tones.map(|hertz| tone(hertz, n));
            let mut sum = Sum::default();
            voices.iter().for_each(|voice| assert!(sum.add(voice)));
            for ((voice, limiter), heard) in voices.iter().zip(&mut limiters).zip(&mut heard) {
                heard.extend(sum.without(std::slice::from_ref(voice), limiter));
            }
        }
        for (who, heard) in heard.iter().enumerate() {
            for (other, hertz) in tones.iter().enumerate() {
                let share = correlation(heard, *hertz);
                if other == who {
                    assert!(share < 0.01, "{who} hears itself: {share}");
                } else {
                    assert!((0.65..0.75).contains(&share), "{who} hears {other}: {share}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn leaving_one_out_equals_never_adding_it(
            voices in proptest::collection::vec(proptest::collection::vec(any::<i16>(), INTERLEAVED), 1..6),
        ) {
            let (own, others) = voices.split_first().unwrap();
            let (mut with, mut without) = (Sum::default(), Sum::default());
            others.iter().for_each(|voice| { with.add(voice); without.add(voice); });
            with.add(own);
            prop_assert_eq!(with.without(std::slice::from_ref(own), &mut Limiter::default()), without.all(&mut Limiter::default()));
        }
    }
}
