//! What applications pay from, and who may spend it.

use crate::{Config, Error, Escrows, Event, Pallet, Parameters, impls::CurrencyOf};
use chroom_primitives::{AccountId, Balance, NodeId, QosEpoch};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    BoundedVec, ensure,
    traits::{ConstU32, Get, fungible::Inspect},
};
use pallet_chroom_qos::CurrentEpoch;
use scale_info::TypeInfo;
use sp_runtime::DispatchResult;

/// Most orchestrators that one application may authorise.
pub const MAX_AUTHORIZATIONS: u32 = 32;

/// The highest price at which an orchestrator may let an application's callers use nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Authorization {
    /// The orchestrator.
    pub orchestrator: NodeId,
    /// The highest price in the smallest unit per GiB; 0 pays nothing.
    pub price: Balance,
    /// First epoch in which it holds.
    pub from: QosEpoch,
    /// The highest that held in a remembered epoch before; what was used then is paid by it.
    pub before: Balance,
}

impl Authorization {
    /// The highest price for usage in `epoch`.
    pub fn limit(&self, epoch: QosEpoch) -> Balance {
        if epoch >= self.from { self.price } else { self.before }
    }

    /// Sets the price. A higher one holds for the current epoch, a lower one from the next on: nobody loses what was agreed when it
    /// was earned.
    fn set(&mut self, price: Balance, current: QosEpoch, ring: u32) {
        let earlier = if self.from >= current {
            self.before
        } else if self.from.0.saturating_add(ring) > current.0 {
            self.before.max(self.price)
        } else {
            self.price
        };
        let held = self.limit(current);
        let (from, before) = if price >= held { (current, earlier) } else { (current.next(), earlier.max(held)) };
        *self = Self { price, from, before, ..*self };
    }

    /// Whether nothing that may still be claimed is paid by it.
    fn is_spent(&self, current: QosEpoch, ring: u32) -> bool {
        self.price == 0 && (self.before == 0 || self.from.0.saturating_add(ring) <= current.0)
    }
}

/// What an application asked back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Withdrawal {
    /// How much.
    pub amount: Balance,
    /// First epoch in which it may have it.
    pub from: QosEpoch,
    /// First epoch in which the request has lapsed.
    pub until: QosEpoch,
}

/// An application's prepaid tokens.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Escrow {
    /// What is there; fees are taken from all of it, whatever is to be withdrawn.
    pub balance: Balance,
    /// What the application wants back.
    pub withdrawal: Option<Withdrawal>,
    /// Which orchestrators may spend from it, in order, besides those that the application's own account owns.
    pub authorizations: BoundedVec<Authorization, ConstU32<MAX_AUTHORIZATIONS>>,
}

impl Escrow {
    /// The highest price for usage in `epoch` that `application`, whose escrow this is, lets `orchestrator` agree to; 0 if it didn't authorise
    /// it. An orchestrator whose `owner` is the application's own account needs no leave.
    pub fn limit_for(
        &self,
        application: &AccountId,
        orchestrator: &NodeId,
        owner: Option<&AccountId>,
        epoch: QosEpoch,
    ) -> Balance {
        if owner == Some(application) {
            return Balance::MAX;
        }
        self.find(orchestrator).ok().and_then(|place| self.authorizations.get(place)).map_or(0, |a| a.limit(epoch))
    }

    /// What it has, what is asked back, and what is left for usage.
    pub fn status(&self, current: QosEpoch) -> EscrowStatus {
        let requested =
            self.withdrawal.filter(|asked| current < asked.until).map_or(0, |asked| asked.amount.min(self.balance));
        EscrowStatus { balance: self.balance, requested, available: self.balance.saturating_sub(requested) }
    }

    fn find(&self, orchestrator: &NodeId) -> Result<usize, usize> {
        self.authorizations.binary_search_by_key(orchestrator, |authorization| authorization.orchestrator)
    }
}

/// What an escrow is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct EscrowStatus {
    /// What is there, and pays for usage until it is taken away.
    pub balance: Balance,
    /// What the application asked back, ripe or not; 0 once the request has lapsed.
    pub requested: Balance,
    /// The balance without it: what new usage can count on.
    pub available: Balance,
}

impl<T: Config> Pallet<T> {
    pub(crate) fn status_of(application: AccountId) -> EscrowStatus {
        Escrows::<T>::get(application).map_or_else(Default::default, |escrow| escrow.status(CurrentEpoch::<T>::get()))
    }

    pub(crate) fn price_limit_of(application: AccountId, orchestrator: NodeId, epoch: QosEpoch) -> Balance {
        let owner = Self::orchestrator_owner(&orchestrator);
        Escrows::<T>::get(&application)
            .map_or(0, |escrow| escrow.limit_for(&application, &orchestrator, owner.as_ref(), epoch))
    }

    pub(crate) fn do_deposit(from: AccountId, application: AccountId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::NoAmount);
        let mut escrow = Escrows::<T>::get(&application).unwrap_or_default();
        escrow.balance = escrow.balance.checked_add(amount).ok_or(Error::<T>::Overflow)?;
        // As with accounts: what is stored must be worth its place.
        ensure!(escrow.balance >= CurrencyOf::<T>::minimum_balance(), Error::<T>::DepositTooSmall);
        Self::transfer(&from, &Self::escrow_account(), amount)?;
        let balance = escrow.balance;
        Escrows::<T>::insert(&application, escrow);
        Self::deposit_event(Event::Deposited { application, from, amount, balance });
        Ok(())
    }

    pub(crate) fn do_request_withdraw(application: AccountId, amount: Balance) -> DispatchResult {
        let mut escrow = Escrows::<T>::get(&application).ok_or(Error::<T>::NoEscrow)?;
        ensure!(amount <= escrow.balance, Error::<T>::EscrowTooLow);
        let delay = Parameters::<T>::get().escrow_delay;
        let from = QosEpoch(CurrentEpoch::<T>::get().0.saturating_add(delay));
        let until = QosEpoch(from.0.saturating_add(delay));
        escrow.withdrawal = (amount > 0).then_some(Withdrawal { amount, from, until });
        Self::put_escrow(&application, escrow);
        Self::deposit_event(Event::WithdrawalRequested { application, amount, from, until });
        Ok(())
    }

    pub(crate) fn do_withdraw(application: AccountId) -> DispatchResult {
        let mut escrow = Escrows::<T>::get(&application).ok_or(Error::<T>::NoEscrow)?;
        let asked = escrow.withdrawal.take().ok_or(Error::<T>::NoWithdrawal)?;
        let current = CurrentEpoch::<T>::get();
        ensure!(current >= asked.from, Error::<T>::WithdrawalTooEarly);
        ensure!(current < asked.until, Error::<T>::WithdrawalLapsed);
        // Claims may have taken part of it since.
        let amount = asked.amount.min(escrow.balance);
        Self::transfer(&Self::escrow_account(), &application, amount)?;
        escrow.balance = escrow.balance.saturating_sub(amount);
        Self::put_escrow(&application, escrow);
        Self::deposit_event(Event::Withdrawn { application, amount });
        Ok(())
    }

    pub(crate) fn do_authorize(application: AccountId, orchestrator: NodeId, price: Balance) -> DispatchResult {
        let mut escrow = Escrows::<T>::get(&application).ok_or(Error::<T>::NoEscrow)?;
        let (current, ring) = (CurrentEpoch::<T>::get(), T::EpochRing::get());
        escrow.authorizations.retain(|authorization| !authorization.is_spent(current, ring));
        let from = match escrow.find(&orchestrator) {
            Ok(place) => {
                let authorization = escrow.authorizations.get_mut(place).ok_or(Error::<T>::NotAuthorized)?;
                authorization.set(price, current, ring);
                authorization.from
            }
            Err(place) => {
                ensure!(price > 0, Error::<T>::NotAuthorized);
                let new = Authorization { orchestrator, price, from: current, before: 0 };
                escrow.authorizations.try_insert(place, new).map_err(|_| Error::<T>::TooManyOrchestrators)?;
                current
            }
        };
        Self::put_escrow(&application, escrow);
        Self::deposit_event(Event::Authorized { application, orchestrator, price, from });
        Ok(())
    }

    /// Keeps what is worth keeping: an escrow without tokens has nothing to withdraw.
    pub(crate) fn put_escrow(application: &AccountId, mut escrow: Escrow) {
        if escrow.balance == 0 {
            escrow.withdrawal = None;
        }
        if escrow == Escrow::default() {
            Escrows::<T>::remove(application);
        } else {
            Escrows::<T>::insert(application, escrow);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// What held in an epoch is paid for as long as it may be claimed, and what was taken back is never paid for later epochs.
        #[test]
        fn no_change_takes_away_what_was_agreed_or_outlives_what_was_taken_back(
            steps in proptest::collection::vec((0u32..4, 0u128..4), 1..40),
        ) {
            const RING: u32 = 8;
            let mut entry = Authorization { orchestrator: NodeId([1; 20]), price: 2, from: QosEpoch(0), before: 0 };
            let mut current = 0u32;
            // The highest that was in force at any time of an epoch.
            let mut agreed: BTreeMap<u32, Balance> = BTreeMap::from([(0, 2)]);
            let mut highest = 2;
            for (ahead, price) in steps {
                for _ in 0..ahead {
                    current += 1;
                    let held = entry.limit(QosEpoch(current));
                    agreed.insert(current, held);
                }
                entry.set(price, QosEpoch(current), RING);
                highest = highest.max(price);
                let now = agreed.entry(current).or_default();
                *now = (*now).max(price);
                for (epoch, price) in agreed.range(current.saturating_sub(RING - 1)..) {
                    prop_assert!(entry.limit(QosEpoch(*epoch)) >= *price, "{epoch} {entry:?}");
                }
                prop_assert_eq!(entry.limit(QosEpoch(current + 1)), price);
                prop_assert!(entry.before <= highest);
            }
        }
    }
}
