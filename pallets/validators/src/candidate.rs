//! Those who offer to validate, and bonds on their way back.

use crate::{
    Candidates, Config, Error, Event, HoldReason, Pallet, Parameters, Payees, PendingSlashes, PlannedEra, Standing,
    Unbonding,
};
use chroom_primitives::Balance;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{dispatch::DispatchResult, ensure, traits::fungible::hold::Inspect as InspectHold};
use scale_info::TypeInfo;
use sp_runtime::DispatchError;
use sp_staking::EraIndex;

/// An account that offers, or has offered, to validate.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Candidate {
    /// Its bond in the smallest unit, without what is unbonding.
    pub bond: Balance,
    /// Whether it stands for election.
    pub active: bool,
    /// Sessions without a block that it was absent for, one after another.
    pub absences: u32,
}

/// A part of a bond that is on its way back to its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct UnbondingChunk {
    /// Amount in the smallest unit.
    pub amount: Balance,
    /// The era from which on it can be withdrawn.
    pub free_from: EraIndex,
}

impl<T: Config> Pallet<T> {
    /// Lets a candidate stand for election, or not, and keeps count of those who do.
    pub(crate) fn set_standing(candidate: &mut Candidate, active: bool) {
        if candidate.active == active {
            return;
        }
        candidate.active = active;
        candidate.absences = 0;
        Standing::<T>::mutate(|standing| {
            *standing = if active { standing.saturating_add(1) } else { standing.saturating_sub(1) };
        });
    }

    /// The era from which on a bond is free whose owner validates in `last_era` at the latest.
    pub(crate) fn free_from(last_era: EraIndex) -> EraIndex {
        last_era.saturating_add(1).saturating_add(Parameters::<T>::get().unbonding_eras)
    }

    /// Puts `amount` on its way back. It stays slashable for the whole unbonding period after the end of the last era that
    /// its owner may have been elected for.
    pub(crate) fn start_unbonding(who: &T::AccountId, amount: Balance) -> DispatchResult {
        let free_from = Self::free_from(PlannedEra::<T>::get().unwrap_or_default().index);
        Unbonding::<T>::try_mutate(who, |chunks| match chunks.last_mut() {
            Some(last) if last.free_from == free_from => {
                last.amount = last.amount.saturating_add(amount);
                Ok(())
            }
            _ => chunks.try_push(UnbondingChunk { amount, free_from }).map_err(|_| Error::<T>::TooManyChunks),
        })?;
        Self::deposit_event(Event::UnbondingStarted { who: who.clone(), amount, free_from });
        Ok(())
    }

    /// Takes what is free by `era` out of the unbonding parts, oldest first, and gives how much that is. What stays held
    /// covers the account's pending slashes, as far as its bond can.
    pub(crate) fn take_unbonded(who: &T::AccountId, era: EraIndex) -> Result<Balance, DispatchError> {
        let held = T::Currency::balance_on_hold(&HoldReason::Bond.into(), who);
        let mut available = held.saturating_sub(PendingSlashes::<T>::get(who));
        let (mut ripe, mut amount): (Balance, Balance) = (0, 0);
        let mut chunks = Unbonding::<T>::get(who);
        for chunk in chunks.iter_mut().filter(|chunk| chunk.free_from <= era) {
            ripe = ripe.saturating_add(chunk.amount);
            let part = chunk.amount.min(available);
            chunk.amount = chunk.amount.saturating_sub(part);
            available = available.saturating_sub(part);
            amount = amount.saturating_add(part);
        }
        ensure!(ripe > 0, Error::<T>::NothingToWithdraw);
        ensure!(amount > 0, Error::<T>::SlashPending);
        chunks.retain(|chunk| chunk.amount > 0);
        if chunks.is_empty() {
            Unbonding::<T>::remove(who);
        } else {
            Unbonding::<T>::insert(who, chunks);
        }
        Ok(amount)
    }

    /// Forgets the payee of an account that has neither candidacy nor bond left.
    pub(crate) fn forget_if_gone(who: &T::AccountId) {
        if !Candidates::<T>::contains_key(who) && !Unbonding::<T>::contains_key(who) {
            Payees::<T>::remove(who);
        }
    }
}
