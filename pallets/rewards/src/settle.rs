//! What a claim comes to: a function of the chain's state and the proofs, without side effects.

use crate::{ClaimTerms, Claims, Config, EpochLedger, Error, Escrow, Escrows, Ledgers, NodeClaims, Pallet};
use alloc::{collections::BTreeMap, vec::Vec};
use chroom_primitives::{
    AccountId, Balance, Leaf, NodeId, QosEpoch, Role, Score,
    merkle::Root,
    runtime_api::{MemberProof, Payout},
};
use frame_support::ensure;
use pallet_chroom_nodes::{NodeInfo, Nodes, Terms};
use pallet_chroom_qos::{Attestation, Attestations, EpochState, Epochs, Seat, Standing};
use sp_arithmetic::{Rounding, helpers_128bit::multiply_by_rational_with_rounding};

/// Most usage leaves that one committee member's proof may hold.
pub const MAX_USAGE_LEAVES: u32 = 128;

/// Bytes of one GiB.
pub const GIB: u128 = 1 << 30;

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

/// What a claim comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settlement {
    /// The node's owner.
    pub owner: AccountId,
    /// What the node's pool gets.
    pub payout: Payout,
    /// What applications' escrows pay, in order of application.
    pub purses: Vec<Purse>,
    /// Part of the fees that is burnt.
    pub burnt: Balance,
    /// What orchestrators' owners get for the sessions that they granted.
    pub accrued: BTreeMap<AccountId, Balance>,
    /// How many pairs of application and orchestrator used the node, whether they pay or not.
    pub used: u32,
    /// Whether every member that sent its root has its proof here.
    pub complete: bool,
    /// The epoch's ledger after the claim.
    pub ledger: EpochLedger,
    /// The node's claims after the claim, but for what was paid last.
    pub claims: NodeClaims,
}

/// An application's escrow in a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Purse {
    /// The application.
    pub application: AccountId,
    /// Its escrow, after it has paid.
    pub escrow: Escrow,
    /// What it pays for the sessions of each orchestrator; nothing for those that it doesn't let spend.
    pub debits: Vec<(NodeId, Balance)>,
}

/// An epoch that a node may claim.
pub(crate) struct Case {
    state: EpochState,
    info: NodeInfo,
    terms: Terms,
    committee: Vec<Member>,
    claims: NodeClaims,
}

/// A committee's member and what is known of it.
struct Member {
    seat: Seat,
    attestation: Attestation,
}

/// What the proofs of a committee show.
struct Measured {
    score: Score,
    uptime: u64,
    /// Median bytes by application and orchestrator.
    usage: Vec<((AccountId, NodeId), u64)>,
    /// Places of the members with their scores, of those that stand well.
    scores: Vec<(u32, Score)>,
}

/// Fees for the usage of a node in an epoch, and who gets them.
#[derive(Default)]
struct Fees {
    purses: Vec<Purse>,
    /// All that the escrows pay: the other sums are its parts, and the reserve has the rest.
    paid: Balance,
    burnt: Balance,
    accrued: BTreeMap<AccountId, Balance>,
    for_orchestrators: Balance,
    for_node: Balance,
}

impl<T: Config> Pallet<T> {
    /// What a claim of `epoch` for `node` with these proofs pays now, or why it is refused.
    pub fn settle(epoch: QosEpoch, node: NodeId, proofs: &[MemberProof]) -> Result<Settlement, Error<T>> {
        let Case { state, info, terms, committee, mut claims } = Self::claimable(epoch, &node)?;
        let measured = Self::verify(epoch, &node, &committee, proofs)?;
        let mut ledger = Ledgers::<T>::get(epoch).ok_or(Error::<T>::EpochNotClaimable)?;
        let complete = committee.iter().filter(|member| member.attestation.roots.is_some()).count() == proofs.len();
        // Registries show their leaves when the window is closed: before, who has not got them all would spoil its claim.
        let closed = state.is_closed(pallet_chroom_nodes::Pallet::<T>::now());
        ensure!(complete || closed, Error::<T>::ProofsMissing);

        let used = measured.usage.iter().filter(|(_, bytes)| *bytes > 0).count() as u32;
        let fees = Self::fees(epoch, terms.price_per_gib, &ledger.terms, measured.usage)?;
        let mut subsidy = 0;
        if terms.weight > 0 && state.media_weight > 0 {
            if measured.uptime >= u64::from(ledger.terms.minimum_uptime) {
                let full = share::<T>(ledger.media, terms.weight.into(), state.media_weight.into())?;
                subsidy = share::<T>(full, measured.score.pay_factor().into(), 10_000)?;
            }
            for (place, score) in measured.scores {
                if score.0.abs_diff(measured.score.0) <= ledger.terms.tolerance {
                    ledger.agree(place, terms.weight.into()).ok_or(Error::<T>::Overflow)?;
                }
            }
        }
        let payout = Payout { score: measured.score, fees: fees.for_node, subsidy };
        let out = fees.for_node.checked_add(subsidy).and_then(|sum| sum.checked_add(fees.for_orchestrators));
        ledger.left = ledger.left.checked_add(fees.paid).ok_or(Error::<T>::Overflow)?;
        ledger.burn = ledger.burn.checked_add(fees.burnt).ok_or(Error::<T>::Overflow)?;
        out.and_then(|out| ledger.spend(out)).ok_or(Error::<T>::Overflow)?;
        claims.window.insert(epoch);
        let (purses, burnt, accrued) = (fees.purses, fees.burnt, fees.accrued);
        Ok(Settlement { owner: info.owner, payout, purses, burnt, accrued, used, complete, ledger, claims })
    }

    /// What `epoch` is for `node`, if it can be claimed now, whatever the proofs.
    pub(crate) fn claimable(epoch: QosEpoch, node: &NodeId) -> Result<Case, Error<T>> {
        let info = Nodes::<T>::get(node).ok_or(Error::<T>::NotRegistered)?;
        ensure!(info.role == Role::Media, Error::<T>::NotMedia);
        let now = pallet_chroom_nodes::Pallet::<T>::now();
        ensure!(!info.is_jailed(now), Error::<T>::Jailed);
        let state = Epochs::<T>::get(epoch).ok_or(Error::<T>::EpochNotClaimable)?;
        ensure!(state.is_over(now), Error::<T>::EpochNotClaimable);
        // Who registers once the seed is known could have chosen its committee by trying keys.
        ensure!(info.registered_at < state.started_at, Error::<T>::NotRegisteredInEpoch);
        let terms = pallet_chroom_nodes::Pallet::<T>::terms(node, epoch).ok_or(Error::<T>::NotRegisteredInEpoch)?;
        let claims = Claims::<T>::get(node).unwrap_or_default();
        ensure!(!claims.window.contains(epoch), Error::<T>::AlreadyClaimed);
        let committee: Vec<Member> = pallet_chroom_qos::Pallet::<T>::seats(&state, node)
            .into_iter()
            .map(|seat| Member { seat, attestation: Attestations::<T>::get(epoch, seat.attestor).unwrap_or_default() })
            .collect();
        // No registry was in service when the epoch began: nobody can attest it, ever.
        ensure!(!committee.is_empty(), Error::<T>::NoCommittee);
        let all_sent = committee.iter().all(|member| member.attestation.roots.is_some());
        ensure!(all_sent || state.is_closed(now), Error::<T>::WindowOpen);
        Ok(Case { state, info, terms, committee, claims })
    }

    /// Checks the proofs against the roots that the committee sent, and takes the medians.
    fn verify(
        epoch: QosEpoch,
        node: &NodeId,
        committee: &[Member],
        proofs: &[MemberProof],
    ) -> Result<Measured, Error<T>> {
        let mut seen: Vec<NodeId> = Vec::with_capacity(proofs.len());
        let mut present: Vec<Score> = Vec::with_capacity(proofs.len());
        let mut scores = Vec::with_capacity(proofs.len());
        let mut uptimes = Vec::with_capacity(proofs.len());
        let mut usage: BTreeMap<(&AccountId, &NodeId), Vec<u64>> = BTreeMap::new();
        for proof in proofs {
            let member = committee.iter().find(|member| member.seat.attestor == proof.attestor);
            let member = member.ok_or(Error::<T>::NotInCommittee)?;
            ensure!(!seen.contains(&proof.attestor), Error::<T>::DuplicateAttestor);
            seen.push(proof.attestor);
            let roots = member.attestation.roots.ok_or(Error::<T>::NoRoot)?;
            Self::verify_member(epoch, node, &roots.quality, proof)?;
            let quality = &proof.quality.0;
            present.push(quality.score);
            uptimes.push(u64::from(quality.uptime));
            if member.attestation.standing == Standing::Good {
                scores.push((member.seat.place, quality.score));
            }
            for (leaf, _) in &proof.usage {
                usage.entry((&leaf.application, &leaf.orchestrator)).or_default().push(leaf.bytes);
            }
        }
        Ok(Measured {
            score: Score::committee_median(&mut present, committee.len()),
            uptime: lower_median(&mut uptimes, committee.len()),
            usage: usage
                .into_iter()
                .map(|((application, orchestrator), mut bytes)| {
                    ((application.clone(), *orchestrator), lower_median(&mut bytes, committee.len()))
                })
                .collect(),
            scores,
        })
    }

    fn verify_member(epoch: QosEpoch, node: &NodeId, root: &Root, proof: &MemberProof) -> Result<(), Error<T>> {
        ensure!(proof.usage.len() <= MAX_USAGE_LEAVES as usize, Error::<T>::TooManyUsageLeaves);
        let (quality, inclusion) = &proof.quality;
        ensure!(quality.epoch == epoch && quality.node == *node, Error::<T>::WrongLeaf);
        ensure!(quality.attestor == proof.attestor, Error::<T>::ForeignLeaf);
        ensure!(quality.is_in_range(), Error::<T>::OutOfRange);
        // The enum's index keeps a usage leaf from passing for one of quality.
        ensure!(root.contains(&Leaf::Qos(quality.clone()), inclusion), Error::<T>::InvalidProof);
        let mut last: Option<(&AccountId, &NodeId)> = None;
        for (leaf, inclusion) in &proof.usage {
            ensure!(leaf.epoch == epoch && leaf.node == *node, Error::<T>::WrongLeaf);
            let key = (&leaf.application, &leaf.orchestrator);
            ensure!(last.is_none_or(|before| before < key), Error::<T>::UsageOutOfOrder);
            ensure!(root.contains(&Leaf::Usage(leaf.clone()), inclusion), Error::<T>::InvalidProof);
            last = Some(key);
        }
        Ok(())
    }

    /// The account that bonded for an orchestrator; none if it is not registered as one.
    pub(crate) fn orchestrator_owner(orchestrator: &NodeId) -> Option<AccountId> {
        Nodes::<T>::get(orchestrator).filter(|info| info.role == Role::Orchestrator).map(|info| info.owner)
    }

    /// What applications pay for the usage of a node at its `price`, and how it is split. Never more than their escrows have.
    fn fees(
        epoch: QosEpoch,
        price: Balance,
        terms: &ClaimTerms,
        usage: Vec<((AccountId, NodeId), u64)>,
    ) -> Result<Fees, Error<T>> {
        let mut fees = Fees::default();
        for ((application, orchestrator), bytes) in usage {
            if bytes == 0 {
                continue;
            }
            // Usage comes in order of application: the purse at hand is this application's, or a new one is needed.
            if fees.purses.last().is_none_or(|purse| purse.application != application) {
                let Some(escrow) = Escrows::<T>::get(&application) else { continue };
                fees.purses.push(Purse { application: application.clone(), escrow, debits: Vec::new() });
            }
            let Some(purse) = fees.purses.last_mut() else { continue };
            let owner = Self::orchestrator_owner(&orchestrator);
            // Above the limit it pays the limit: the service was used, and the node, which can read the limit, took the session.
            let limit = purse.escrow.limit_for(&application, &orchestrator, owner.as_ref(), epoch);
            let due = share::<T>(bytes.into(), price.min(limit), GIB)?.min(purse.escrow.balance);
            if due == 0 {
                continue;
            }
            purse.escrow.balance = purse.escrow.balance.saturating_sub(due);
            purse.debits.push((orchestrator, due));
            // Rounded up, so that some of every fee is burnt.
            let burnt = terms.burn_share.mul_ceil(due);
            let reserve = terms.reserve_share.mul_floor(due);
            let commission = if owner.is_some() { terms.orchestrator_share.mul_floor(due) } else { 0 };
            let rest = due.checked_sub(burnt).and_then(|rest| rest.checked_sub(reserve));
            let rest = rest.and_then(|rest| rest.checked_sub(commission)).ok_or(Error::<T>::Overflow)?;
            if let Some(owner) = owner.filter(|_| commission > 0) {
                let sum = fees.accrued.entry(owner).or_default();
                *sum = sum.checked_add(commission).ok_or(Error::<T>::Overflow)?;
            }
            for (sum, part) in [
                (&mut fees.paid, due),
                (&mut fees.burnt, burnt),
                (&mut fees.for_orchestrators, commission),
                (&mut fees.for_node, rest),
            ] {
                *sum = sum.checked_add(part).ok_or(Error::<T>::Overflow)?;
            }
        }
        Ok(fees)
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
