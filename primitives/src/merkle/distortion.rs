//! What an attacker may make of a proof; for the tests of whoever verifies proofs.

use super::InclusionProof;
use crate::Hash;

/// Every proof that differs from `proof` by one sibling that is gone, changed, in another's place, there twice or too many, by what lies
/// below a node of its path, or by its index. `leaves` is the tree's number of leaves.
pub fn distorted(proof: &InclusionProof, leaves: u32) -> Vec<InclusionProof> {
    let with = |change: &dyn Fn(&mut InclusionProof)| {
        let mut distorted = proof.clone();
        change(&mut distorted);
        distorted
    };
    let mut all = Vec::new();
    for (place, sibling) in proof.siblings.iter().enumerate() {
        all.push(with(&|proof| {
            proof.siblings.remove(place);
        }));
        all.push(with(&|proof| {
            proof
                .siblings
                .iter_mut()
                .skip(place)
                .take(1)
                .for_each(|sibling| sibling.0 = sibling.0.map(|byte| byte ^ 1));
        }));
        all.push(with(&|proof| proof.siblings.insert(place, *sibling)));
        all.extend((0..place).map(|other| with(&|proof| proof.siblings.swap(place, other))));
        // An inner node of the path instead of the leaf.
        all.push(with(&|proof| {
            proof.index >>= place + 1;
            proof.siblings.drain(..=place);
        }));
    }
    all.extend((0..=proof.siblings.len()).map(|place| with(&|proof| proof.siblings.insert(place, Hash::zero()))));
    all.push(with(&|proof| proof.siblings = vec![Hash::zero(); 10_000]));
    let elsewhere = (0..=leaves.saturating_mul(2)).chain([u32::MAX]).filter(|index| *index != proof.index);
    all.extend(elsewhere.map(|index| with(&|proof| proof.index = index)));
    all
}
