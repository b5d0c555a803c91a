//! Breaks an input a little.

use rand::{Rng, rngs::StdRng};

/// Longest input that grows.
const LONGEST: usize = 8_192;

/// Changes, cuts, repeats or fills a part of the input.
pub fn mutate(input: &mut Vec<u8>, random: &mut StdRng) {
    let at = random.random_range(0..=input.len());
    let length = random.random_range(0..=(input.len() - at).min(64));
    match random.random_range(0..6) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..at + length)),
        2 if input.len() < LONGEST => input.extend_from_within(at..at + length),
        // Lengths and counts like to be at their limits.
        3 => input.iter_mut().skip(at).take(length.min(4)).for_each(|byte| *byte = 0xFF),
        4 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.random_range(0..8)),
        _ => input.iter_mut().skip(at).take(length.min(4)).for_each(|byte| *byte = random.random()),
    }
}
