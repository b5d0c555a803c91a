//! What attestors earn.

use crate::{Config, Error, Event, Ledgers, Pallet};
use alloc::vec::Vec;
use chroom_primitives::{Balance, NodeId, QosEpoch};
use frame_support::{ensure, traits::Get};
use pallet_chroom_qos::{CurrentEpoch, EpochState, Epochs};
use sp_runtime::DispatchResult;

impl<T: Config> Pallet<T> {
    /// Remembered epochs that are over for longer than disputes may take, oldest first: those in the second half of the ring.
    fn undisputed() -> impl Iterator<Item = QosEpoch> {
        let (current, ring) = (CurrentEpoch::<T>::get().0, T::EpochRing::get());
        (current.saturating_sub(ring)..current.saturating_sub(ring / 2)).map(QosEpoch)
    }

    /// An epoch in which `attestor` attested, and its place there.
    fn attested(epoch: QosEpoch, attestor: &NodeId) -> Option<(EpochState, u32)> {
        let state = Epochs::<T>::get(epoch)?;
        let place = pallet_chroom_qos::Pallet::<T>::place(&state, attestor)?;
        Some((state, place))
    }

    pub(crate) fn earnings_of(attestor: NodeId) -> Vec<(QosEpoch, Balance)> {
        let (current, ring) = (CurrentEpoch::<T>::get().0, T::EpochRing::get());
        (current.saturating_sub(ring)..current)
            .map(QosEpoch)
            .filter_map(|epoch| {
                let (state, place) = Self::attested(epoch, &attestor)?;
                let amount = Ledgers::<T>::get(epoch)?.earned(&state, place);
                (amount > 0).then_some((epoch, amount))
            })
            .collect()
    }

    pub(crate) fn do_collect_attestor(attestor: NodeId) -> DispatchResult {
        let owner = pallet_chroom_nodes::Pallet::<T>::owner(&attestor).ok_or(Error::<T>::NotRegistered)?;
        let mut amount: Balance = 0;
        for epoch in Self::undisputed() {
            let Some((state, place)) = Self::attested(epoch, &attestor) else { continue };
            let Some(mut ledger) = Ledgers::<T>::get(epoch) else { continue };
            let earned = ledger.earned(&state, place);
            if earned == 0 {
                continue;
            }
            ledger.clear(place);
            ledger.spend(earned).ok_or(Error::<T>::Overflow)?;
            Ledgers::<T>::insert(epoch, ledger);
            amount = amount.checked_add(earned).ok_or(Error::<T>::Overflow)?;
        }
        ensure!(amount > 0, Error::<T>::NothingAccrued);
        Self::transfer(&Self::pot_account(), &owner, amount)?;
        Self::deposit_event(Event::AttestorPaid { attestor, owner, amount });
        Ok(())
    }
}
