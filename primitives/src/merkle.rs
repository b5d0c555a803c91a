//! The Merkle tree of RFC 9162 §2.1 over BLAKE2b-256.
//!
//! Leaves and inner nodes are hashed under different prefixes, so no inner node passes for a leaf. A root is only
//! meaningful together with the number of leaves, which is why [`Root`] carries both and proofs are checked against both:
//! a proof fits one index of one size only, so it can be neither shortened nor moved.

#[cfg(feature = "std")]
mod distortion;

use crate::Hash;
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_crypto_hashing::blake2_256;

#[cfg(feature = "std")]
pub use distortion::distorted;

/// Longest inclusion proof: enough for 2³² − 1 leaves.
pub const MAX_PROOF: u32 = 32;

/// Root of a tree, with its size.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Debug,
    Default,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Root {
    /// The tree hash; of no leaves, the hash of nothing.
    pub hash: Hash,
    /// Number of leaves.
    pub leaves: u32,
}

/// Shows that a leaf is in a tree.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo, Serialize, Deserialize)]
pub struct InclusionProof {
    /// The leaf's index, from 0.
    pub index: u32,
    /// Hashes of the siblings, from the leaf up; at most [`MAX_PROOF`].
    pub siblings: Vec<Hash>,
}

/// Hash of a leaf: BLAKE2b-256(0x00 ‖ SCALE(leaf)).
pub fn leaf_hash<T: Encode>(leaf: &T) -> Hash {
    let mut input = Vec::with_capacity(1 + leaf.size_hint());
    input.push(0u8);
    leaf.encode_to(&mut input);
    Hash::from(blake2_256(&input))
}

fn inner_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1u8; 65];
    let (_, rest) = input.split_at_mut(1);
    let (l, r) = rest.split_at_mut(32);
    l.copy_from_slice(left.as_bytes());
    r.copy_from_slice(right.as_bytes());
    Hash::from(blake2_256(&input))
}

/// A whole tree, for those who build roots and serve proofs. The chain only verifies.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Levels from the leaves up; an odd last node goes up unchanged.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Builds the tree over `leaves` in the given order.
    pub fn new<T: Encode>(leaves: &[T]) -> Self {
        Self::from_hashes(leaves.iter().map(leaf_hash).collect())
    }

    /// Builds the tree over hashes that [`leaf_hash`] made.
    pub fn from_hashes(hashes: Vec<Hash>) -> Self {
        let mut levels = Vec::new();
        let mut level = hashes;
        while level.len() > 1 {
            let above = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => inner_hash(left, right),
                    [single] => *single,
                    _ => Hash::zero(),
                })
                .collect();
            levels.push(core::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    /// The tree's root.
    pub fn root(&self) -> Root {
        let leaves = self.levels.first().map_or(0, Vec::len) as u32;
        let hash =
            self.levels.last().and_then(|top| top.first()).copied().unwrap_or_else(|| Hash::from(blake2_256(&[])));
        Root { hash, leaves }
    }

    /// Proof for the leaf at `index`, if there is one.
    pub fn prove(&self, index: u32) -> Option<InclusionProof> {
        if index >= self.root().leaves {
            return None;
        }
        let mut position = index as usize;
        let mut siblings = Vec::new();
        for level in self.levels.iter().take(self.levels.len().saturating_sub(1)) {
            if let Some(sibling) = level.get(position ^ 1) {
                siblings.push(*sibling);
            }
            position /= 2;
        }
        Some(InclusionProof { index, siblings })
    }
}

impl Root {
    /// Whether `leaf` is in the tree at the index that `proof` names (RFC 9162 §2.1.3.2).
    pub fn contains<T: Encode>(&self, leaf: &T, proof: &InclusionProof) -> bool {
        if proof.index >= self.leaves || proof.siblings.len() > MAX_PROOF as usize {
            return false;
        }
        let mut position = proof.index;
        let mut last = self.leaves - 1;
        let mut hash = leaf_hash(leaf);
        for sibling in &proof.siblings {
            if last == 0 {
                return false;
            }
            if position & 1 == 1 || position == last {
                hash = inner_hash(sibling, &hash);
                while position & 1 == 0 && position != 0 {
                    position >>= 1;
                    last >>= 1;
                }
            } else {
                hash = inner_hash(&hash, sibling);
            }
            position >>= 1;
            last >>= 1;
        }
        last == 0 && hash == self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_leaf_proves_at_its_own_place_only(count in 1u32..70, other in 0u32..70) {
            let leaves: Vec<u32> = (0..count).collect();
            let tree = Tree::new(&leaves);
            let root = tree.root();
            for leaf in &leaves {
                let proof = tree.prove(*leaf).expect("index is below the count");
                prop_assert!(root.contains(leaf, &proof));
                if other != *leaf {
                    let moved = InclusionProof { index: other, ..proof.clone() };
                    prop_assert!(!root.contains(leaf, &moved));
                    prop_assert!(!root.contains(&other, &proof));
                }
                let mut short = proof.clone();
                if short.siblings.pop().is_some() {
                    prop_assert!(!root.contains(leaf, &short));
                }
                let mut long = proof.clone();
                long.siblings.push(Hash::zero());
                prop_assert!(!root.contains(leaf, &long));
            }
        }
    }

    /// RFC 9162 §2.1.1, as it is written there.
    fn tree_hash(leaves: &[u32]) -> Hash {
        match leaves {
            [] => Hash::from(blake2_256(&[])),
            [leaf] => leaf_hash(leaf),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                inner_hash(&tree_hash(&leaves[..split]), &tree_hash(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_rfcs() {
        for count in 0..200u32 {
            let leaves: Vec<u32> = (0..count).collect();
            assert_eq!(Tree::new(&leaves).root(), Root { hash: tree_hash(&leaves), leaves: count });
        }
    }

    proptest! {
        #[test]
        fn a_proof_fits_the_size_that_the_root_says(count in 1u32..70, other in 0u32..140, index: prop::sample::Index) {
            let leaves: Vec<u32> = (0..count).collect();
            let tree = Tree::new(&leaves);
            let leaf = index.index(leaves.len()) as u32;
            let proof = tree.prove(leaf).unwrap();
            prop_assert!(proof.siblings.len() <= 7);
            prop_assert!(tree.prove(count).is_none());
            // A root of another size with the same hash may take the proof only if the path is the same.
            let claimed = Root { leaves: other, ..tree.root() };
            if claimed.contains(&leaf, &proof) && other != count {
                prop_assert_eq!(Tree::new(&(0..other).collect::<Vec<u32>>()).prove(leaf).unwrap().siblings.len(), proof.siblings.len());
            }
        }

        #[test]
        fn no_proof_panics(hash: [u8; 32], leaves: u32, index: u32, siblings in proptest::collection::vec(any::<[u8; 32]>(), 0..40)) {
            let proof = InclusionProof { index, siblings: siblings.into_iter().map(Hash::from).collect() };
            let root = Root { hash: Hash::from(hash), leaves };
            prop_assert!(!root.contains(&0u32, &proof));
        }
    }

    #[test]
    fn no_distorted_proof_proves_anything() {
        for count in 1..=33u32 {
            let leaves: Vec<u32> = (0..count).collect();
            let tree = Tree::new(&leaves);
            for leaf in &leaves {
                let proof = tree.prove(*leaf).unwrap();
                assert!(tree.root().contains(leaf, &proof));
                for wrong in distorted(&proof, count) {
                    assert!(!tree.root().contains(leaf, &wrong), "{leaf} of {count} by {wrong:?}");
                }
            }
        }
    }

    #[test]
    fn the_last_leaf_is_in_a_tree_of_the_true_size_only() {
        for count in 1..=33u32 {
            let leaves: Vec<u32> = (0..count).collect();
            let tree = Tree::new(&leaves);
            let proof = tree.prove(count - 1).unwrap();
            for other in (0..=4 * count).chain([u32::MAX]) {
                let claimed = Root { leaves: other, ..tree.root() };
                assert_eq!(claimed.contains(&(count - 1), &proof), other == count, "{count} as {other}");
            }
        }
    }

    /// A second preimage would be a leaf that encodes as the two hashes below an inner node do. It has the inner node's place in the tree
    /// of its level, and is shown by the path above.
    #[test]
    fn two_hashes_below_an_inner_node_are_no_leaf() {
        for count in 2..=33u32 {
            let tree = Tree::new(&(0..count).collect::<Vec<u32>>());
            for (above, level) in tree.levels.iter().enumerate() {
                let upper = Tree { levels: tree.levels[above + 1..].to_vec() };
                for (index, pair) in level.chunks_exact(2).enumerate() {
                    let forged = (pair[0], pair[1]);
                    assert_eq!(inner_hash(&forged.0, &forged.1), upper.levels[0][index]);
                    let proof = upper.prove(index as u32).unwrap();
                    for leaves in [count, upper.root().leaves] {
                        assert!(!Root { leaves, ..tree.root() }.contains(&forged, &proof), "{index} of {leaves}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_leaf_that_is_there_twice_is_in_its_two_places_only() {
        for (first, second) in [(0u32, 4u32), (1, 2), (0, 2), (3, 4)] {
            let mut leaves: Vec<u32> = (0..5).collect();
            leaves[second as usize] = first;
            let tree = Tree::new(&leaves);
            for (index, other) in [(first, second), (second, first)] {
                let proof = tree.prove(index).unwrap();
                assert!(tree.root().contains(&first, &proof));
                // One place's path does not lead to the other; that of two neighbours, which are alike, would.
                assert!(!tree.root().contains(&first, &InclusionProof { index: other, ..proof.clone() }));
                assert!(!tree.root().contains(&second, &proof), "what it took the place of is gone");
            }
        }
        // The same leaves in another order are another tree, and so are they with the last one again.
        assert_ne!(Tree::new(&[1u32, 2, 3]).root(), Tree::new(&[1u32, 3, 2]).root());
        assert_ne!(Tree::new(&[1u32, 2, 3]).root().hash, Tree::new(&[1u32, 2, 3, 3]).root().hash);
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let tree = Tree::new(&[1u32, 2, 3, 4]);
        let root = tree.root();
        let inner = tree.levels.get(1).expect("two levels below the root");
        let pair: (Hash, Hash) = (leaf_hash(&1u32), leaf_hash(&2u32));
        let proof = InclusionProof { index: 0, siblings: alloc::vec![*inner.get(1).expect("two inner nodes")] };
        assert!(!root.contains(&pair, &proof));
        assert!(!Root { leaves: 2, ..root }.contains(&pair, &proof));
    }

    #[test]
    fn the_empty_tree_contains_nothing() {
        let root = Tree::new::<u32>(&[]).root();
        assert_eq!(root.leaves, 0);
        assert!(!root.contains(&0u32, &InclusionProof { index: 0, siblings: Vec::new() }));
        // Nor does one that says it is empty, whatever its hash.
        let tree = Tree::new(&[1u32, 2]);
        for (index, leaf) in [1u32, 2].iter().enumerate() {
            assert!(!Root { leaves: 0, ..tree.root() }.contains(leaf, &tree.prove(index as u32).unwrap()));
        }
    }
}
