//! The pallet's logic, apart from what a claim comes to.

use crate::{
    Accrued, Claimed, Committed, Config, Error, Escrow, Escrows, Event, LastReward, Pallet, Parameters, Pool, Pools,
    Reward, Settlement, TotalAccrued, TotalEscrow,
};
use alloc::vec::Vec;
use chroom_primitives::{
    AccountId, Balance, CHR, NodeId, QosEpoch,
    runtime_api::{MemberProof, Payout},
};
use frame_support::{
    ensure,
    traits::{
        Get,
        fungible::{Inspect, Mutate},
        tokens::{Fortitude, Precision, Preservation},
    },
};
use pallet_chroom_nodes::OnNodeRemoved;
use pallet_chroom_qos::{CurrentEpoch, OnEpoch};
use sp_runtime::{DispatchResult, traits::AccountIdConversion};

type CurrencyOf<T> = <T as pallet_chroom_nodes::Config>::Currency;

/// What the runtime's API reads.
impl<T: Config> Pallet<T> {
    /// The account that holds applications' escrows.
    pub fn escrow_account() -> AccountId {
        <T as Config>::PalletId::get().into_sub_account_truncating(b"escrow")
    }

    /// The account that holds the reserve, of which epochs' pools and attestors' earnings are part.
    pub fn reserve_account() -> AccountId {
        <T as Config>::PalletId::get().into_sub_account_truncating(b"reserve")
    }

    /// What a claim with these proofs would pay the node's owner now, or the name of the error that it would fail with. The
    /// very same computation as a claim's.
    pub fn preview_claim(epoch: QosEpoch, node: NodeId, proofs: Vec<MemberProof>) -> Result<Payout, Vec<u8>> {
        let name = |error: Error<T>| error.as_str().as_bytes().to_vec();
        let proofs = crate::CommitteeProofs::try_from(proofs).map_err(|_| name(Error::<T>::NotInCommittee))?;
        Self::settle(epoch, node, &proofs).map(|settlement| settlement.payout).map_err(name)
    }

    /// Epochs in which `node` was registered and that it has not claimed though it could, oldest first.
    pub fn claimable_epochs(node: NodeId) -> Vec<QosEpoch> {
        let current = CurrentEpoch::<T>::get().0;
        (current.saturating_sub(T::EpochRing::get())..current)
            .map(QosEpoch)
            .filter(|epoch| Self::claimable(*epoch, &node).is_ok())
            .collect()
    }

    /// What an application has in its escrow.
    pub fn escrow(application: AccountId) -> Balance {
        Escrows::<T>::get(application).map_or(0, |escrow| escrow.balance)
    }

    /// The last claim of `node` that was paid: its epoch and what the owner got.
    pub fn last_reward(node: NodeId) -> Option<(QosEpoch, Balance)> {
        LastReward::<T>::get(node).map(|reward| (reward.epoch, reward.amount))
    }
}

/// What the calls do.
impl<T: Config> Pallet<T> {
    /// Issues the reserve, and what keeps both accounts alive when they are empty.
    pub(crate) fn endow(reserve_chr: u64) -> DispatchResult {
        let existence = CurrencyOf::<T>::minimum_balance();
        CurrencyOf::<T>::mint_into(&Self::escrow_account(), existence)?;
        let reserve = Balance::from(reserve_chr).checked_mul(CHR).and_then(|sum| sum.checked_add(existence));
        CurrencyOf::<T>::mint_into(&Self::reserve_account(), reserve.ok_or(Error::<T>::Overflow)?)?;
        Ok(())
    }

    fn transfer(from: &AccountId, to: &AccountId, amount: Balance) -> DispatchResult {
        if amount > 0 {
            CurrencyOf::<T>::transfer(from, to, amount, Preservation::Preserve)?;
        }
        Ok(())
    }

    pub(crate) fn do_deposit(from: AccountId, application: AccountId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::NoAmount);
        Self::transfer(&from, &Self::escrow_account(), amount)?;
        let total = TotalEscrow::<T>::get().checked_add(amount).ok_or(Error::<T>::Overflow)?;
        TotalEscrow::<T>::put(total);
        let mut escrow = Escrows::<T>::get(&application).unwrap_or_default();
        escrow.balance = escrow.balance.checked_add(amount).ok_or(Error::<T>::Overflow)?;
        Escrows::<T>::insert(&application, escrow);
        Self::deposit_event(Event::Deposited { application, from, amount, balance: escrow.balance });
        Ok(())
    }

    pub(crate) fn do_request_withdraw(application: AccountId, amount: Balance) -> DispatchResult {
        let mut escrow = Escrows::<T>::get(&application).ok_or(Error::<T>::NoEscrow)?;
        ensure!(amount <= escrow.balance, Error::<T>::EscrowTooLow);
        let delay = Parameters::<T>::get().escrow_delay;
        let from = QosEpoch(CurrentEpoch::<T>::get().0.saturating_add(delay));
        escrow.withdrawal = (amount > 0).then_some((amount, from));
        Escrows::<T>::insert(&application, escrow);
        Self::deposit_event(Event::WithdrawalRequested { application, amount, from });
        Ok(())
    }

    pub(crate) fn do_withdraw(application: AccountId) -> DispatchResult {
        let mut escrow = Escrows::<T>::get(&application).ok_or(Error::<T>::NoEscrow)?;
        let (wanted, from) = escrow.withdrawal.take().ok_or(Error::<T>::NoWithdrawal)?;
        ensure!(CurrentEpoch::<T>::get() >= from, Error::<T>::WithdrawalTooEarly);
        // Claims may have taken part of it since.
        let amount = wanted.min(escrow.balance);
        Self::transfer(&Self::escrow_account(), &application, amount)?;
        escrow.balance = escrow.balance.checked_sub(amount).ok_or(Error::<T>::Overflow)?;
        Self::put_escrow(&application, escrow);
        let total = TotalEscrow::<T>::get().checked_sub(amount).ok_or(Error::<T>::Overflow)?;
        TotalEscrow::<T>::put(total);
        Self::deposit_event(Event::Withdrawn { application, amount });
        Ok(())
    }

    fn put_escrow(application: &AccountId, escrow: Escrow) {
        if escrow == Escrow::default() {
            Escrows::<T>::remove(application);
        } else {
            Escrows::<T>::insert(application, escrow);
        }
    }

    /// Keeps others than owner and node from claiming with fewer proofs than there are, as long as those may still claim.
    pub(crate) fn ensure_may_claim(
        sender: &AccountId,
        epoch: QosEpoch,
        node: &NodeId,
        owner: &AccountId,
    ) -> Result<(), Error<T>> {
        let age = CurrentEpoch::<T>::get().0.saturating_sub(epoch.0);
        ensure!(
            sender == owner || *sender == node.account() || age > T::EpochRing::get() / 2,
            Error::<T>::ReservedForOwner
        );
        Ok(())
    }

    /// Carries out what [`Pallet::settle`] found.
    pub(crate) fn pay(epoch: QosEpoch, node: NodeId, settlement: Settlement) -> DispatchResult {
        let Settlement { owner, payout, debits, burnt, to_reserve, attestors, attestor_reward } = settlement;
        Claimed::<T>::mutate(node, |window| window.insert(epoch));

        let mut debited: Balance = 0;
        for (application, amount) in debits {
            let mut escrow = Escrows::<T>::get(&application).ok_or(Error::<T>::NoEscrow)?;
            escrow.balance = escrow.balance.checked_sub(amount).ok_or(Error::<T>::EscrowTooLow)?;
            Self::put_escrow(&application, escrow);
            debited = debited.checked_add(amount).ok_or(Error::<T>::Overflow)?;
            Self::deposit_event(Event::FeeSettled { epoch, node, application, amount });
        }
        let total = TotalEscrow::<T>::get().checked_sub(debited).ok_or(Error::<T>::Overflow)?;
        TotalEscrow::<T>::put(total);
        let (escrow, reserve) = (Self::escrow_account(), Self::reserve_account());
        if burnt > 0 {
            CurrencyOf::<T>::burn_from(&escrow, burnt, Preservation::Preserve, Precision::Exact, Fortitude::Polite)?;
        }
        Self::transfer(&escrow, &reserve, to_reserve)?;
        Self::transfer(&escrow, &owner, payout.fees)?;
        Self::transfer(&reserve, &owner, payout.subsidy)?;

        let mut taken = payout.subsidy;
        if attestor_reward > 0 {
            for (attestor, attestor_owner) in attestors {
                Accrued::<T>::mutate(&attestor_owner, |sum| *sum = sum.saturating_add(attestor_reward));
                TotalAccrued::<T>::mutate(|sum| *sum = sum.saturating_add(attestor_reward));
                taken = taken.checked_add(attestor_reward).ok_or(Error::<T>::Overflow)?;
                Self::deposit_event(Event::AttestorRewarded { epoch, attestor, amount: attestor_reward });
            }
        }
        if taken > 0 {
            Pools::<T>::try_mutate(epoch, |pool| {
                let pool = pool.as_mut().ok_or(Error::<T>::EpochNotClaimable)?;
                ensure!(taken <= pool.remaining(), Error::<T>::Overflow);
                pool.paid = pool.paid.saturating_add(taken);
                Ok::<_, Error<T>>(())
            })?;
            let committed = Committed::<T>::get().checked_sub(taken).ok_or(Error::<T>::Overflow)?;
            Committed::<T>::put(committed);
        }

        let amount = payout.fees.saturating_add(payout.subsidy);
        let block = pallet_chroom_nodes::Pallet::<T>::now();
        LastReward::<T>::insert(node, Reward { epoch, score: payout.score, amount, block });
        Self::deposit_event(Event::Claimed { epoch, node, owner, payout, burnt });
        Ok(())
    }

    pub(crate) fn do_collect(owner: AccountId) -> DispatchResult {
        let amount = Accrued::<T>::take(&owner);
        ensure!(amount > 0, Error::<T>::NothingAccrued);
        let total = TotalAccrued::<T>::get().checked_sub(amount).ok_or(Error::<T>::Overflow)?;
        TotalAccrued::<T>::put(total);
        Self::transfer(&Self::reserve_account(), &owner, amount)?;
        Self::deposit_event(Event::Collected { owner, amount });
        Ok(())
    }

    /// What the reserve has beyond what it owes.
    pub fn free_reserve() -> Balance {
        CurrencyOf::<T>::balance(&Self::reserve_account())
            .saturating_sub(CurrencyOf::<T>::minimum_balance())
            .saturating_sub(Committed::<T>::get())
            .saturating_sub(TotalAccrued::<T>::get())
    }
}

impl<T: Config> OnEpoch for Pallet<T> {
    fn started(epoch: QosEpoch) {
        let parameters = Parameters::<T>::get();
        let emission = parameters.epoch_rate.mul_floor(Self::free_reserve()).min(parameters.epoch_cap);
        let attestors = parameters.attestor_share.mul_floor(emission);
        let media = emission.saturating_sub(attestors);
        Pools::<T>::insert(epoch, Pool { media, attestors, paid: 0 });
        Committed::<T>::mutate(|sum| *sum = sum.saturating_add(emission));
        Self::deposit_event(Event::PoolOpened { epoch, media, attestors });
    }

    fn dropped(epoch: QosEpoch) {
        if let Some(pool) = Pools::<T>::take(epoch) {
            let unclaimed = pool.remaining();
            Committed::<T>::mutate(|sum| *sum = sum.saturating_sub(unclaimed));
            Self::deposit_event(Event::PoolClosed { epoch, unclaimed });
        }
    }
}

impl<T: Config> OnNodeRemoved for Pallet<T> {
    fn removed(node: &NodeId) {
        // A later registration's terms begin after these epochs, so nothing can be claimed twice.
        Claimed::<T>::remove(node);
        LastReward::<T>::remove(node);
    }
}

#[cfg(any(feature = "std", feature = "try-runtime"))]
impl<T: Config> Pallet<T> {
    /// Checks that both accounts cover what the pallet owes, and that its sums are right.
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        ensure!(Parameters::<T>::get().is_valid(), "the parameters are out of range");
        let escrows: Balance = Escrows::<T>::iter_values().map(|escrow| escrow.balance).sum();
        ensure!(TotalEscrow::<T>::get() == escrows, "the sum of escrows is wrong");
        ensure!(Escrows::<T>::iter_values().all(|escrow| escrow != Escrow::default()), "an escrow that is empty");
        let accrued: Balance = Accrued::<T>::iter_values().sum();
        ensure!(TotalAccrued::<T>::get() == accrued, "the sum of attestors' earnings is wrong");
        let committed: Balance = Pools::<T>::iter_values().map(|pool| pool.remaining()).sum();
        ensure!(Committed::<T>::get() == committed, "the sum of pools is wrong");
        for (epoch, pool) in Pools::<T>::iter() {
            ensure!(pool.paid <= pool.media.saturating_add(pool.attestors), "a pool paid more than it had");
            ensure!(pallet_chroom_qos::Epochs::<T>::contains_key(epoch), "a pool of an epoch that is forgotten");
        }
        let existence = CurrencyOf::<T>::minimum_balance();
        ensure!(
            CurrencyOf::<T>::balance(&Self::escrow_account()) >= escrows.saturating_add(existence),
            "the escrow account doesn't cover the escrows"
        );
        ensure!(
            CurrencyOf::<T>::balance(&Self::reserve_account())
                >= committed.saturating_add(accrued).saturating_add(existence),
            "the reserve doesn't cover pools and earnings"
        );
        ensure!(
            Claimed::<T>::iter_keys().all(pallet_chroom_nodes::Nodes::<T>::contains_key),
            "claims of a node that is gone"
        );
        Ok(())
    }
}
