//! What a claim comes to: a function of the chain's state and the proofs, without side effects.

use crate::{
    Claimed, Config, Error, Pallet, Parameters, Pools, Settlement,
    types::{GIB, MAX_USAGE_LEAVES},
};
use alloc::{collections::BTreeMap, vec::Vec};
use chroom_primitives::{
    AccountId, Balance, Leaf, NodeId, QosEpoch, Role, Score,
    merkle::Root,
    runtime_api::{MemberProof, Payout},
};
use frame_support::ensure;
use pallet_chroom_nodes::{NodeInfo, Nodes, Terms};
use pallet_chroom_qos::{EpochState, Epochs};
use sp_arithmetic::{Rounding, helpers_128bit::multiply_by_rational_with_rounding};

/// Number of usage leaves and of siblings in `proofs`, which a claim's weight depends on.
pub(crate) fn size(proofs: &[MemberProof]) -> (u32, u32) {
    let mut leaves = 0u32;
    let mut hashes = 0u32;
    for proof in proofs {
        leaves = leaves.saturating_add(proof.usage.len() as u32);
        let all = core::iter::once(&proof.quality.1).chain(proof.usage.iter().map(|(_, inclusion)| inclusion));
        hashes = all.fold(hashes, |sum, inclusion| sum.saturating_add(inclusion.siblings.len() as u32));
    }
    (leaves, hashes)
}

/// The lower median of `values`, of which `committee` there should be: those that are absent count as 0.
fn lower_median(values: &mut [u64], committee: usize) -> u64 {
    values.sort_unstable();
    let absent = committee.saturating_sub(values.len());
    let middle = committee.saturating_sub(1) / 2;
    middle.checked_sub(absent).and_then(|index| values.get(index)).copied().unwrap_or_default()
}

/// a × b / c, rounded down.
fn share<T: Config>(a: Balance, b: Balance, c: Balance) -> Result<Balance, Error<T>> {
    multiply_by_rational_with_rounding(a, b, c, Rounding::Down).ok_or(Error::<T>::Overflow)
}

/// What the proofs of a committee show.
struct Measured {
    score: Score,
    uptime: u64,
    /// Median bytes by application.
    usage: Vec<(AccountId, u64)>,
    /// The members and their scores.
    scores: Vec<(NodeId, Score)>,
}

impl<T: Config> Pallet<T> {
    /// What a claim of `epoch` for `node` with these proofs pays now, or why it is refused.
    pub fn settle(epoch: QosEpoch, node: NodeId, proofs: &[MemberProof]) -> Result<Settlement, Error<T>> {
        let (state, info, terms) = Self::claimable(epoch, &node)?;
        let committee = pallet_chroom_qos::Pallet::<T>::committee(epoch, node);
        let measured = Self::verify(epoch, &node, &committee, proofs)?;
        let parameters = Parameters::<T>::get();

        let mut debits = Vec::new();
        let (mut fees, mut burnt, mut to_reserve): (Balance, Balance, Balance) = (0, 0, 0);
        for (application, bytes) in measured.usage {
            let due = share::<T>(bytes.into(), terms.price_per_gib, GIB)?;
            let due = due.min(Self::escrow(application.clone()));
            if due == 0 {
                continue;
            }
            let burn = parameters.burn_share.mul_floor(due);
            let reserve = parameters.reserve_share.mul_floor(due);
            let fee = due.checked_sub(burn).and_then(|rest| rest.checked_sub(reserve)).ok_or(Error::<T>::Overflow)?;
            fees = fees.checked_add(fee).ok_or(Error::<T>::Overflow)?;
            burnt = burnt.checked_add(burn).ok_or(Error::<T>::Overflow)?;
            to_reserve = to_reserve.checked_add(reserve).ok_or(Error::<T>::Overflow)?;
            debits.push((application, due));
        }

        let pool = Pools::<T>::get(epoch).unwrap_or_default();
        let (mut subsidy, mut attestor_reward) = (0, 0);
        if terms.weight > 0 && state.media_weight > 0 {
            let (weight, total) = (Balance::from(terms.weight), Balance::from(state.media_weight));
            if measured.uptime >= u64::from(parameters.minimum_uptime) {
                let full = share::<T>(pool.media, weight, total)?;
                subsidy = share::<T>(full, measured.score.pay_factor().into(), 10_000)?;
            }
            let members = committee.len().max(1) as Balance;
            attestor_reward = share::<T>(pool.attestors, weight, total)? / members;
        }
        let attestors = measured
            .scores
            .into_iter()
            .filter(|(_, score)| score.0.abs_diff(measured.score.0) <= parameters.tolerance)
            .filter_map(|(attestor, _)| {
                pallet_chroom_nodes::Pallet::<T>::owner(&attestor).map(|owner| (attestor, owner))
            })
            .collect();
        Ok(Settlement {
            owner: info.owner,
            payout: Payout { score: measured.score, fees, subsidy },
            debits,
            burnt,
            to_reserve,
            attestors,
            attestor_reward,
        })
    }

    /// Whether `epoch` can be claimed for `node` now, whatever the proofs.
    pub(crate) fn claimable(epoch: QosEpoch, node: &NodeId) -> Result<(EpochState, NodeInfo, Terms), Error<T>> {
        let info = Nodes::<T>::get(node).ok_or(Error::<T>::NotRegistered)?;
        ensure!(info.role == Role::Media, Error::<T>::NotMedia);
        ensure!(!info.is_jailed(pallet_chroom_nodes::Pallet::<T>::now()), Error::<T>::Jailed);
        let current = pallet_chroom_qos::CurrentEpoch::<T>::get();
        ensure!(epoch < current, Error::<T>::EpochNotClaimable);
        let state = Epochs::<T>::get(epoch).ok_or(Error::<T>::EpochNotClaimable)?;
        let terms = pallet_chroom_nodes::Pallet::<T>::terms(node, epoch).ok_or(Error::<T>::NotRegisteredInEpoch)?;
        ensure!(!Claimed::<T>::get(node).contains(epoch), Error::<T>::AlreadyClaimed);
        let committee = pallet_chroom_qos::Pallet::<T>::committee(epoch, *node);
        // No registry was in service when the epoch began: nobody can attest it, ever.
        ensure!(!committee.is_empty(), Error::<T>::NoCommittee);
        if !pallet_chroom_qos::Pallet::<T>::window_closed(epoch) {
            let all_sent =
                committee.iter().all(|member| pallet_chroom_qos::Pallet::<T>::attestation(epoch, *member).is_some());
            ensure!(all_sent, Error::<T>::WindowOpen);
        }
        Ok((state, info, terms))
    }

    /// Checks the proofs against the roots that the committee sent, and takes the medians.
    fn verify(
        epoch: QosEpoch,
        node: &NodeId,
        committee: &[NodeId],
        proofs: &[MemberProof],
    ) -> Result<Measured, Error<T>> {
        let mut scores: Vec<(NodeId, Score)> = Vec::with_capacity(proofs.len());
        let mut uptimes = Vec::with_capacity(proofs.len());
        let mut usage: BTreeMap<&AccountId, Vec<u64>> = BTreeMap::new();
        for proof in proofs {
            let member = proof.attestor;
            ensure!(committee.contains(&member), Error::<T>::NotInCommittee);
            ensure!(scores.iter().all(|(seen, _)| *seen != member), Error::<T>::DuplicateAttestor);
            let root = pallet_chroom_qos::Pallet::<T>::attestation(epoch, member).ok_or(Error::<T>::NoRoot)?;
            Self::verify_member(epoch, node, &root, proof)?;
            let quality = &proof.quality.0;
            scores.push((member, quality.score));
            uptimes.push(u64::from(quality.uptime));
            for (leaf, _) in &proof.usage {
                usage.entry(&leaf.application).or_default().push(leaf.bytes);
            }
        }
        let mut present: Vec<Score> = scores.iter().map(|(_, score)| *score).collect();
        Ok(Measured {
            score: Score::committee_median(&mut present, committee.len()),
            uptime: lower_median(&mut uptimes, committee.len()),
            usage: usage
                .into_iter()
                .map(|(application, mut bytes)| (application.clone(), lower_median(&mut bytes, committee.len())))
                .collect(),
            scores,
        })
    }

    fn verify_member(epoch: QosEpoch, node: &NodeId, root: &Root, proof: &MemberProof) -> Result<(), Error<T>> {
        ensure!(proof.usage.len() <= MAX_USAGE_LEAVES as usize, Error::<T>::TooManyUsageLeaves);
        let (quality, inclusion) = &proof.quality;
        ensure!(quality.epoch == epoch && quality.node == *node, Error::<T>::WrongLeaf);
        ensure!(quality.score <= Score::MAX && quality.uptime <= 10_000, Error::<T>::OutOfRange);
        // The enum's index keeps a usage leaf from passing for one of quality.
        ensure!(root.contains(&Leaf::Qos(quality.clone()), inclusion), Error::<T>::InvalidProof);
        let mut last: Option<&AccountId> = None;
        for (leaf, inclusion) in &proof.usage {
            ensure!(leaf.epoch == epoch && leaf.node == *node, Error::<T>::WrongLeaf);
            ensure!(last.is_none_or(|before| *before < leaf.application), Error::<T>::UsageOutOfOrder);
            ensure!(root.contains(&Leaf::Usage(leaf.clone()), inclusion), Error::<T>::InvalidProof);
            last = Some(&leaf.application);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::lower_median;

    #[test]
    fn the_absent_count_as_zero() {
        assert_eq!(lower_median(&mut [9, 7, 8], 3), 8);
        assert_eq!(lower_median(&mut [9, 7], 3), 7);
        assert_eq!(lower_median(&mut [9], 3), 0);
        assert_eq!(lower_median(&mut [9, 7], 2), 7);
        assert_eq!(lower_median(&mut [9], 2), 0);
        assert_eq!(lower_median(&mut [], 0), 0);
    }
}
