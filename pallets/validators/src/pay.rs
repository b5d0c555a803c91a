//! What validators earn: each era shares out what came into the pot, by the blocks they authored.

use crate::{
    Config, EraRewards, Error, Event, Exposures, OldestEra, Owed, Paid, Pallet, Parameters, Payees, Points, TotalPoints,
};
use alloc::vec::Vec;
use chroom_primitives::Balance;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    dispatch::DispatchResult,
    ensure,
    traits::{
        Get,
        fungible::{Inspect, Mutate},
        tokens::Preservation,
    },
};
use scale_info::TypeInfo;
use sp_runtime::{
    Rounding,
    helpers_128bit::multiply_by_rational_with_rounding,
    traits::{AccountIdConversion, Zero},
};
use sp_staking::EraIndex;

/// Eras that remain readable and payable after the one in office, beyond the unbonding period.
pub(crate) const HISTORY: u32 = 2;
/// Eras that are forgotten at once: more than one, so that a shortened unbonding period is caught up with.
const FORGOTTEN_AT_ONCE: u32 = 2;

/// What an era pays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct EraReward {
    /// For all validators together, in the smallest unit.
    pub total: Balance,
    /// Blocks that they authored together.
    pub points: u32,
    /// What of the total was paid out.
    pub paid: Balance,
}

impl EraReward {
    /// The part of who authored `points` blocks, rounded down.
    pub fn share(&self, points: u32) -> Balance {
        // Nobody has more points than all together, so that the result never exceeds the total.
        multiply_by_rational_with_rounding(self.total, points.into(), self.points.into(), Rounding::Down)
            .unwrap_or_default()
    }

    /// What is not paid out.
    pub fn unpaid(&self) -> Balance {
        self.total.saturating_sub(self.paid)
    }
}

impl<T: Config> Pallet<T> {
    /// The account from which validators are paid. Fees and emission are transferred to it; what an era finds in it beyond
    /// the existential deposit and what earlier eras owe is that era's reward.
    pub fn pot_account() -> T::AccountId {
        T::PotId::get().into_account_truncating()
    }

    /// What the pot has beyond what keeps it alive and what it owes.
    pub(crate) fn accrued() -> Balance {
        T::Currency::balance(&Self::pot_account())
            .saturating_sub(T::Currency::minimum_balance())
            .saturating_sub(Owed::<T>::get())
    }

    /// Sets aside the reward of an era that is over. Without an author in it, the pot keeps it for the next one.
    pub(crate) fn reward_era(era: EraIndex) {
        let points = TotalPoints::<T>::get(era);
        let total = Self::accrued();
        if points == 0 || total == 0 {
            return;
        }
        EraRewards::<T>::insert(era, EraReward { total, points, paid: 0 });
        Owed::<T>::mutate(|owed| *owed = owed.saturating_add(total));
        Self::deposit_event(Event::EraRewarded { era, total, points });
    }

    /// What `validator` is still to be paid for an era.
    fn unpaid(era: EraIndex, validator: &T::AccountId) -> Result<(EraReward, Balance), Error<T>> {
        let reward = EraRewards::<T>::get(era).ok_or(Error::<T>::NoReward)?;
        ensure!(!Paid::<T>::contains_key(era, validator), Error::<T>::AlreadyPaid);
        let amount = reward.share(Points::<T>::get(era, validator));
        ensure!(!amount.is_zero(), Error::<T>::NothingToPay);
        Ok((reward, amount))
    }

    pub(crate) fn do_payout(era: EraIndex, validator: T::AccountId) -> DispatchResult {
        let (mut reward, amount) = Self::unpaid(era, &validator)?;
        let payee = Payees::<T>::get(&validator).unwrap_or_else(|| validator.clone());
        T::Currency::transfer(&Self::pot_account(), &payee, amount, Preservation::Preserve)?;
        reward.paid = reward.paid.saturating_add(amount);
        EraRewards::<T>::insert(era, reward);
        Owed::<T>::mutate(|owed| *owed = owed.saturating_sub(amount));
        Paid::<T>::insert(era, &validator, amount);
        Self::deposit_event(Event::PaidOut { era, validator, payee, amount });
        Ok(())
    }

    /// The eras that owe `validator` something, and how much, oldest first.
    pub(crate) fn unpaid_eras(validator: &T::AccountId, active: EraIndex) -> Vec<(EraIndex, Balance)> {
        (OldestEra::<T>::get()..active)
            .filter_map(|era| Self::unpaid(era, validator).ok().map(|(_, amount)| (era, amount)))
            .collect()
    }

    /// Forgets eras that are too old, a bounded number at once; what they still owed is the pot's again.
    pub(crate) fn forget_eras(active: EraIndex) {
        let kept = Parameters::<T>::get().unbonding_eras.saturating_add(HISTORY);
        let mut oldest = OldestEra::<T>::get();
        for _ in 0..FORGOTTEN_AT_ONCE {
            if oldest.saturating_add(kept) > active {
                break;
            }
            // Each era has at most the elected validators' entries.
            let limit = crate::EraParameters::MAX_VALIDATORS;
            let _ = Exposures::<T>::clear_prefix(oldest, limit, None);
            let _ = Points::<T>::clear_prefix(oldest, limit, None);
            let _ = Paid::<T>::clear_prefix(oldest, limit, None);
            TotalPoints::<T>::remove(oldest);
            if let Some(reward) = EraRewards::<T>::take(oldest) {
                let unclaimed = reward.unpaid();
                Owed::<T>::mutate(|owed| *owed = owed.saturating_sub(unclaimed));
                Self::deposit_event(Event::EraExpired { era: oldest, unclaimed });
            }
            oldest = oldest.saturating_add(1);
        }
        OldestEra::<T>::put(oldest);
    }
}
