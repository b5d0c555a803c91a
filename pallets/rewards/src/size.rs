//! How large a claim is, which its weight depends on.

use crate::{Config, PoolWeights, WeightInfo};
use chroom_primitives::{NodeId, runtime_api::MemberProof};
use frame_support::weights::Weight;

/// The size of a claim's proofs.
pub(crate) struct ClaimSize {
    /// Members with a proof.
    members: u32,
    /// Usage leaves of all members.
    leaves: u32,
    /// Siblings of all leaves.
    siblings: u32,
}

impl ClaimSize {
    pub(crate) fn of(proofs: &[MemberProof]) -> Self {
        let mut size = Self { members: proofs.len() as u32, leaves: 0, siblings: 0 };
        for proof in proofs {
            size.leaves = size.leaves.saturating_add(proof.usage.len() as u32);
            let all = core::iter::once(&proof.quality.1).chain(proof.usage.iter().map(|(_, inclusion)| inclusion));
            size.siblings =
                all.fold(size.siblings, |sum, inclusion| sum.saturating_add(inclusion.siblings.len() as u32));
        }
        size
    }

    /// How many members must have a leaf about a pair of application and orchestrator for its median not to be 0: more than half of the
    /// committee, and the committee has no fewer members than there are proofs.
    fn majority(&self) -> u32 {
        self.members / 2 + 1
    }

    /// The most that the claim can weigh: as many pairs pay as there can be, and the node has the dearest pool.
    pub(crate) fn most<T: Config>(&self) -> Weight {
        self.weight::<T>(self.leaves / self.majority()).saturating_add(T::PoolWeights::most())
    }

    /// What the claim weighed for `node`, with so many pairs that had used it.
    pub(crate) fn spent<T: Config>(&self, pairs: u32, node: &NodeId) -> Weight {
        self.weight::<T>(pairs).saturating_add(T::PoolWeights::of(node))
    }

    fn weight<T: Config>(&self, pairs: u32) -> Weight {
        Self::parts::<<T as Config>::WeightInfo>(self.members, self.leaves, pairs, self.siblings)
    }

    /// Leaves and pairs are measured as claims of one member, of which only what they add counts; a pair with one of its leaves.
    fn parts<W: WeightInfo>(members: u32, leaves: u32, pairs: u32, siblings: u32) -> Weight {
        W::claim(members)
            .saturating_add(W::idle_usage(leaves.saturating_sub(pairs)).saturating_sub(W::idle_usage(0)))
            .saturating_add(W::paid_usage(pairs).saturating_sub(W::paid_usage(0)))
            .saturating_add(W::siblings(siblings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::*;
    use chroom_primitives::{AccountId, CHR, QosEpoch};
    use frame_support::dispatch::GetDispatchInfo;

    /// The weight that a claim of the node `SMALL` with these proofs declares, and what it turns out to weigh.
    fn weights(proofs: Vec<MemberProof>) -> (Weight, Weight) {
        let bounded = proofs.clone().try_into().unwrap();
        let call = crate::Call::<Test>::claim { epoch: QosEpoch(0), node: id(SMALL), proofs: bounded };
        let declared = call.get_dispatch_info().call_weight;
        (declared, claim(0, id(SMALL), proofs).unwrap().actual_weight.unwrap())
    }

    fn usage(applications: u8, bytes: u64) -> View {
        let usage = (0..applications).map(|seed| (AccountId::new([seed; 32]), id(OWN), bytes)).collect();
        View { usage, ..View::score(9_000) }
    }

    fn claim_weight(members: u32, leaves: u32, pairs: u32, siblings: u32) -> Weight {
        ClaimSize::parts::<()>(members, leaves, pairs, siblings)
    }

    #[test]
    fn a_claim_in_which_all_pays_that_can_gives_nothing_back_but_what_a_dearer_pool_had_weighed() {
        run(|| {
            Rewards::deposit(signed(OPERATOR), APP, 10 * CHR).unwrap();
            let round = attested(|_, _| View { usage: vec![used(APP, 1 << 30)], ..View::score(9_000) });
            let proofs = round.proofs(id(SMALL));
            let siblings = ClaimSize::of(&proofs).siblings;
            let (declared, spent) = weights(proofs);
            // Three leaves of three members can be one pair, of two leaves; the third leaf is to spare.
            assert_eq!(declared, claim_weight(3, 3, 1, siblings) + DEAREST_POOL);
            assert_eq!(spent, claim_weight(3, 3, 1, siblings) + POOL);
        });
    }

    #[test]
    fn what_nobody_used_is_given_back() {
        run(|| {
            let round = attested(|_, _| usage(10, 0));
            let proofs = round.proofs(id(SMALL));
            let siblings = ClaimSize::of(&proofs).siblings;
            let (declared, spent) = weights(proofs);
            assert_eq!(declared, claim_weight(3, 30, 15, siblings) + DEAREST_POOL);
            assert_eq!(spent, claim_weight(3, 30, 0, siblings) + POOL);
            assert!(spent.all_lt(declared));
        });
    }

    #[test]
    fn what_was_looked_up_is_not_given_back_though_nobody_paid() {
        run(|| {
            let round = attested(|_, _| usage(10, 1));
            let proofs = round.proofs(id(SMALL));
            let siblings = ClaimSize::of(&proofs).siblings;
            assert_eq!(weights(proofs).1, claim_weight(3, 30, 10, siblings) + POOL);
        });
    }
}
