//! What is on hold for a node: its bond, the parts of it that unbond, and the deposit.

use crate::{
    Config, CreditOf, Error, Event, HoldReason, NodeInfo, NodeParameters, Pallet, Parameters, Unbonding,
    types::{Chunks, UnbondingChunk},
};
use chroom_primitives::{AccountId, Balance, NodeId};
use frame_support::{
    ensure,
    traits::{
        Get, Imbalance,
        fungible::{Balanced, BalancedHold, MutateHold},
        tokens::Precision,
    },
};
use sp_runtime::{DispatchResult, Perbill};

/// The sum of all parts.
pub(crate) fn sum(chunks: &[UnbondingChunk]) -> Balance {
    chunks.iter().fold(0, |sum, chunk| sum.saturating_add(chunk.amount))
}

impl<T: Config> Pallet<T> {
    pub(crate) fn hold(owner: &AccountId, amount: Balance) -> DispatchResult {
        T::Currency::hold(&HoldReason::Bond.into(), owner, amount)
    }

    pub(crate) fn release(owner: &AccountId, amount: Balance) -> DispatchResult {
        T::Currency::release(&HoldReason::Bond.into(), owner, amount, Precision::Exact).map(|_| ())
    }

    pub(crate) fn hold_deposit(owner: &AccountId, amount: Balance) -> DispatchResult {
        T::Currency::hold(&HoldReason::Deposit.into(), owner, amount)
    }

    pub(crate) fn release_deposit(owner: &AccountId, amount: Balance) -> DispatchResult {
        T::Currency::release(&HoldReason::Deposit.into(), owner, amount, Precision::Exact).map(|_| ())
    }

    /// All that can be slashed for a node: its bond and the parts of it that are unbonding.
    pub(crate) fn stake(node: &NodeId, info: &NodeInfo) -> Balance {
        info.bond.saturating_add(sum(&Unbonding::<T>::get(node)))
    }

    /// First block at which a node that begins to unbond now may be withdrawn: after the unbonding period, after those of its bond's parts,
    /// and not before its sentence is over.
    pub(crate) fn unbonding_end(node: &NodeId, info: &NodeInfo) -> u32 {
        let end = Self::now().saturating_add(Parameters::<T>::get().unbonding_period).max(info.jailed_until);
        Unbonding::<T>::get(node).iter().fold(end, |end, chunk| end.max(chunk.until))
    }

    pub(crate) fn do_reduce_bond(node: NodeId, before: NodeInfo, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::NoAmount);
        let parameters = Parameters::<T>::get();
        let bond = before.bond.checked_sub(amount).ok_or(Error::<T>::BondTooLow)?;
        ensure!(bond >= parameters.minimum_bond(before.role, before.class), Error::<T>::BondTooLow);
        let until = Self::now().saturating_add(parameters.unbonding_period);
        Unbonding::<T>::try_mutate(node, |chunks| match chunks.last_mut() {
            // Taken back in one block, free in one block.
            Some(last) if last.until == until => {
                last.amount = last.amount.saturating_add(amount);
                Ok(())
            }
            _ => chunks.try_push(UnbondingChunk { amount, until }).map_err(|_| Error::<T>::TooManyChunks),
        })?;
        let after = NodeInfo { bond, ..before.clone() };
        Self::replace(node, Some(before), Some(after))?;
        Self::deposit_event(Event::BondReduced { node, amount, bond, until });
        Ok(())
    }

    pub(crate) fn do_withdraw_reduced(node: NodeId, owner: &AccountId) -> DispatchResult {
        let now = Self::now();
        let mut chunks = Unbonding::<T>::get(node);
        ensure!(!chunks.is_empty(), Error::<T>::NothingUnbonding);
        let all = sum(&chunks);
        chunks.retain(|chunk| now < chunk.until);
        let amount = all.saturating_sub(sum(&chunks));
        ensure!(amount > 0, Error::<T>::StillUnbonding);
        Self::release(owner, amount)?;
        Self::put_unbonding(node, chunks);
        Self::deposit_event(Event::ReducedWithdrawn { node, amount });
        Ok(())
    }

    pub(crate) fn put_unbonding(node: NodeId, chunks: Chunks) {
        if chunks.is_empty() {
            Unbonding::<T>::remove(node);
        } else {
            Unbonding::<T>::insert(node, chunks);
        }
    }

    /// Takes `share` of a node's stake, of the bond first and then of the parts that unbond, oldest first. Returns what was taken and
    /// the registration without it, which the caller has to store.
    pub(crate) fn take_stake(node: NodeId, before: &NodeInfo, share: Perbill) -> (CreditOf<T>, NodeInfo) {
        let mut chunks = Unbonding::<T>::get(node);
        let stake = before.bond.saturating_add(sum(&chunks));
        let (credit, _) = T::Currency::slash(&HoldReason::Bond.into(), &before.owner, share.mul_floor(stake));
        let mut rest = credit.peek().saturating_sub(before.bond);
        for chunk in chunks.iter_mut() {
            let part = chunk.amount.min(rest);
            chunk.amount = chunk.amount.saturating_sub(part);
            rest = rest.saturating_sub(part);
        }
        chunks.retain(|chunk| chunk.amount > 0);
        Self::put_unbonding(node, chunks);
        let bond = before.bond.saturating_sub(credit.peek());
        (credit, NodeInfo { bond, ..before.clone() })
    }

    /// Gives reporter and treasury their shares of what was taken, and burns the rest. Returns how much was burnt.
    pub(crate) fn share_out(credit: CreditOf<T>, reporter: Option<&AccountId>, parameters: &NodeParameters) -> Balance {
        let taken = credit.peek();
        let mut given: Balance = 0;
        // An account that cannot be credited leaves its share to be burnt.
        let mut give = |to: &AccountId, part: CreditOf<T>| {
            let amount = part.peek();
            if T::Currency::resolve(to, part).is_ok() {
                given = given.saturating_add(amount);
            }
        };
        let mut rest = credit;
        if let Some(reporter) = reporter {
            let (bounty, remainder) = rest.split(parameters.reporter_share.mul_floor(taken));
            give(reporter, bounty);
            rest = remainder;
        }
        let (part, _burnt) = rest.split(parameters.treasury_share.mul_floor(taken));
        give(&T::Treasury::get(), part);
        taken.saturating_sub(given)
    }
}
