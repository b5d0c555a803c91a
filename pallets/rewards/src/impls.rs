//! The pallet's logic, apart from what a claim comes to.

use crate::{Accrued, Claims, Config, Error, Escrows, Event, Ledgers, NodeClaims, Pallet, Reward, Settlement};
use alloc::vec::Vec;
use chroom_primitives::{
    AccountId, Balance, CHR, NodeId, QosEpoch,
    pool::NodePools,
    runtime_api::{MemberProof, Payout},
};
use frame_support::{
    ensure,
    traits::{
        Get,
        fungible::{Inspect, Mutate},
        tokens::Preservation,
    },
};
use pallet_chroom_nodes::OnNodeRemoved;
use pallet_chroom_qos::CurrentEpoch;
use sp_runtime::{DispatchResult, traits::AccountIdConversion};

pub(crate) type CurrencyOf<T> = <T as pallet_chroom_nodes::Config>::Currency;

/// What the runtime's API reads.
impl<T: Config> Pallet<T> {
    /// The account that holds applications' escrows, and nothing else.
    pub fn escrow_account() -> AccountId {
        <T as Config>::PalletId::get().into_sub_account_truncating(b"escrow")
    }

    /// The account that holds the reserve, which epochs emit from.
    pub fn reserve_account() -> AccountId {
        <T as Config>::PalletId::get().into_sub_account_truncating(b"reserve")
    }

    /// The account that holds the remembered epochs' ledgers, and what is accrued and not collected.
    pub fn pot_account() -> AccountId {
        <T as Config>::PalletId::get().into_sub_account_truncating(b"pot")
    }

    /// What a claim with these proofs would pay the node's pool now, or the name of the error that it would fail with. The
    /// very same computation as a claim's.
    pub fn preview_claim(epoch: QosEpoch, node: NodeId, proofs: Vec<MemberProof>) -> Result<Payout, Vec<u8>> {
        let name = |error: Error<T>| error.as_str().as_bytes().to_vec();
        let proofs = crate::CommitteeProofs::try_from(proofs).map_err(|_| name(Error::<T>::NotInCommittee))?;
        Self::settle(epoch, node, &proofs).map(|settlement| settlement.payout).map_err(name)
    }

    /// What an application has in its escrow. Fees are taken from all of it: [`Pallet::escrow_status`] says what it asked back.
    pub fn escrow(application: AccountId) -> Balance {
        Escrows::<T>::get(application).map_or(0, |escrow| escrow.balance)
    }

    /// The last claim of `node` that was paid: its epoch and what the node's pool got.
    pub fn last_reward(node: NodeId) -> Option<(QosEpoch, Balance)> {
        Claims::<T>::get(node).map(|claims| (claims.last.epoch, claims.last.amount))
    }

    pub(crate) fn claimable_of(node: NodeId) -> Vec<QosEpoch> {
        let current = CurrentEpoch::<T>::get().0;
        (current.saturating_sub(T::EpochRing::get())..current)
            .map(QosEpoch)
            .filter(|epoch| Self::claimable(*epoch, &node).is_ok())
            .collect()
    }
}

/// What the calls do.
impl<T: Config> Pallet<T> {
    /// Issues the reserve, and what keeps the accounts alive when they are empty. Nothing is issued afterwards.
    pub(crate) fn endow(reserve_chr: u64) -> DispatchResult {
        let existence = CurrencyOf::<T>::minimum_balance();
        CurrencyOf::<T>::mint_into(&Self::escrow_account(), existence)?;
        CurrencyOf::<T>::mint_into(&Self::pot_account(), existence)?;
        let reserve = Balance::from(reserve_chr).checked_mul(CHR).and_then(|sum| sum.checked_add(existence));
        CurrencyOf::<T>::mint_into(&Self::reserve_account(), reserve.ok_or(Error::<T>::Overflow)?)?;
        Ok(())
    }

    pub(crate) fn transfer(from: &AccountId, to: &AccountId, amount: Balance) -> DispatchResult {
        if amount > 0 {
            CurrencyOf::<T>::transfer(from, to, amount, Preservation::Preserve)?;
        }
        Ok(())
    }

    /// Keeps others than owner and node from claiming as long as those may, and always from claiming with fewer proofs than there are.
    pub(crate) fn ensure_may_claim(
        sender: &AccountId,
        epoch: QosEpoch,
        node: &NodeId,
        settlement: &Settlement,
    ) -> Result<(), Error<T>> {
        if *sender == settlement.owner || *sender == node.account() {
            return Ok(());
        }
        let age = CurrentEpoch::<T>::get().0.saturating_sub(epoch.0);
        ensure!(age > T::EpochRing::get() / 2, Error::<T>::ReservedForOwner);
        ensure!(settlement.complete, Error::<T>::ProofsMissing);
        Ok(())
    }

    /// Carries out what [`Pallet::settle`] found: whatever an application or the epoch pays goes through the pot.
    pub(crate) fn pay(epoch: QosEpoch, node: NodeId, settlement: Settlement) -> DispatchResult {
        let Settlement { owner, payout, purses, burnt, accrued, ledger, claims, .. } = settlement;
        let pot = Self::pot_account();
        let mut fees: Balance = 0;
        for purse in purses.into_iter().filter(|purse| !purse.debits.is_empty()) {
            let application = purse.application;
            for (orchestrator, amount) in purse.debits {
                fees = fees.checked_add(amount).ok_or(Error::<T>::Overflow)?;
                let application = application.clone();
                Self::deposit_event(Event::FeeSettled { epoch, node, application, orchestrator, amount });
            }
            Self::put_escrow(&application, purse.escrow);
        }
        Self::transfer(&Self::escrow_account(), &pot, fees)?;
        for (who, amount) in accrued {
            Accrued::<T>::mutate(who, |sum| *sum = sum.saturating_add(amount));
        }
        let amount = payout.fees.checked_add(payout.subsidy).ok_or(Error::<T>::Overflow)?;
        if amount > 0 {
            T::Pools::pay(&node, &owner, &pot, amount)?;
        }
        Ledgers::<T>::insert(epoch, ledger);
        let last = Reward { epoch, score: payout.score, amount, block: pallet_chroom_nodes::Pallet::<T>::now() };
        Claims::<T>::insert(node, NodeClaims { last, ..claims });
        Self::deposit_event(Event::Claimed { epoch, node, owner, payout, burnt });
        Ok(())
    }

    pub(crate) fn do_collect(owner: AccountId) -> DispatchResult {
        let amount = Accrued::<T>::take(&owner);
        ensure!(amount > 0, Error::<T>::NothingAccrued);
        Self::transfer(&Self::pot_account(), &owner, amount)?;
        Self::deposit_event(Event::Collected { owner, amount });
        Ok(())
    }
}

impl<T: Config> OnNodeRemoved for Pallet<T> {
    fn removed(node: &NodeId) {
        // A later registration's terms begin after these epochs, so nothing can be claimed twice.
        Claims::<T>::remove(node);
    }
}

#[cfg(any(feature = "std", feature = "try-runtime"))]
impl<T: Config> Pallet<T> {
    /// Checks that the accounts cover what the pallet owes, and that no ledger spends what it doesn't have.
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        use crate::{Authorization, ClaimTerms, Escrow, EscrowStatus, Parameters};
        ensure!(Parameters::<T>::get().is_valid(), "the parameters are out of range");
        let existence = CurrencyOf::<T>::minimum_balance();
        let mut escrows: Balance = 0;
        for escrow in Escrows::<T>::iter_values() {
            escrows = escrows.saturating_add(escrow.balance);
            ensure!(escrow != Escrow::default(), "an escrow that is empty");
            ensure!(escrow.balance > 0 || escrow.withdrawal.is_none(), "nothing is to be withdrawn");
            let in_order = |w: &[Authorization]| matches!(w, [a, b] if a.orchestrator < b.orchestrator);
            ensure!(escrow.authorizations.windows(2).all(in_order), "authorisations are out of order");
            let EscrowStatus { balance, requested, available } = escrow.status(CurrentEpoch::<T>::get());
            ensure!(requested.saturating_add(available) == balance, "an escrow's parts are not its whole");
        }
        ensure!(
            CurrencyOf::<T>::balance(&Self::escrow_account()) >= escrows.saturating_add(existence),
            "the escrow account doesn't cover the escrows"
        );
        let mut owed: Balance = Accrued::<T>::iter_values().fold(0, Balance::saturating_add);
        for (epoch, ledger) in Ledgers::<T>::iter() {
            let state = pallet_chroom_qos::Epochs::<T>::get(epoch).ok_or("a ledger of an epoch that is forgotten")?;
            ensure!(ledger.burn <= ledger.left, "a ledger has less than it must burn");
            ensure!(ledger.agreed.len() as u32 <= state.attestors, "an attestor that was none agreed");
            let seats = u128::from(state.media_weight).saturating_mul(state.seats().into());
            let agreed = ledger.agreed.iter().fold(0u128, |sum, agreed| sum.saturating_add((*agreed).into()));
            ensure!(agreed <= seats, "attestors agreed on more nodes than there were");
            let earned =
                (0..state.attestors).fold(0, |sum: Balance, place| sum.saturating_add(ledger.earned(&state, place)));
            ensure!(earned <= ledger.left.saturating_sub(ledger.burn), "a ledger doesn't cover its attestors");
            ensure!(ClaimTerms::default() != ledger.terms, "a ledger without terms");
            owed = owed.saturating_add(ledger.left);
        }
        ensure!(
            CurrencyOf::<T>::balance(&Self::pot_account()) >= owed.saturating_add(existence),
            "the pot doesn't cover ledgers and earnings"
        );
        ensure!(
            Claims::<T>::iter_keys().all(pallet_chroom_nodes::Nodes::<T>::contains_key),
            "claims of a node that is gone"
        );
        Ok(())
    }
}
