//! The draw of an epoch's committees.

use crate::{Hash, NodeId};
use alloc::{collections::BTreeMap, vec::Vec};
use codec::Encode;
use sp_crypto_hashing::blake2_256;

/// Draws `size` distinct indices below `attestors` for `node`, without bias: a partial Fisher–Yates shuffle fed by
/// BLAKE2b-256(seed ‖ node ‖ counter) with rejection. O(size), whatever the number of attestors; fewer attestors than
/// `size` all serve.
pub fn draw(seed: &Hash, node: &NodeId, attestors: u32, size: u32) -> Vec<u32> {
    let size = size.min(attestors);
    let mut moved: BTreeMap<u32, u32> = BTreeMap::new();
    let mut chosen = Vec::with_capacity(size as usize);
    let mut stream = Stream { seed, node, counter: 0 };
    for i in 0..size {
        let j = i + stream.below(attestors - i);
        let at_i = moved.get(&i).copied().unwrap_or(i);
        let at_j = moved.get(&j).copied().unwrap_or(j);
        moved.insert(j, at_i);
        chosen.push(at_j);
    }
    chosen
}

struct Stream<'a> {
    seed: &'a Hash,
    node: &'a NodeId,
    counter: u32,
}

impl Stream<'_> {
    /// A uniform number below `bound`, which is at least 1.
    fn below(&mut self, bound: u32) -> u32 {
        let bound = u64::from(bound.max(1));
        // The largest multiple of bound: what lies above would favour small results.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let hash = (self.seed, self.node, self.counter).using_encoded(blake2_256);
            self.counter = self.counter.wrapping_add(1);
            for chunk in hash.chunks_exact(8) {
                let mut word = [0u8; 8];
                word.copy_from_slice(chunk);
                let value = u64::from_le_bytes(word);
                if value < limit {
                    return (value % bound) as u32;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn indices_are_distinct_and_in_range(seed: [u8; 32], node: [u8; 20], attestors in 0u32..600, size in 0u32..20) {
            let drawn = draw(&Hash::from(seed), &NodeId(node), attestors, size);
            prop_assert_eq!(drawn.len() as u32, size.min(attestors));
            let mut sorted = drawn.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), drawn.len());
            prop_assert!(drawn.iter().all(|index| *index < attestors));
        }
    }

    #[test]
    fn each_attestor_is_drawn_equally_often() {
        let mut hits = [0u32; 10];
        for n in 0..20_000u32 {
            let mut id = [0u8; 20];
            id[..4].copy_from_slice(&n.to_le_bytes());
            for index in draw(&Hash::repeat_byte(7), &NodeId(id), 10, 3) {
                hits[index as usize] += 1;
            }
        }
        // 6,000 expected each, standard deviation 65: five of them to either side.
        assert!(hits.iter().all(|h| h.abs_diff(6_000) < 325), "{hits:?}");
    }
}
