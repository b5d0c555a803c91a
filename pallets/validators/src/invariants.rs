//! What must hold in every block.

use crate::{
    ActiveEra, Candidates, Config, EraRewards, HoldReason, OldestEra, Owed, Paid, Pallet, Parameters, PendingSlashes,
    PlannedEra, Points, SlashCursor, Standing, TotalPoints, UnappliedCount, UnappliedSlashes, Unbonding,
};
use alloc::collections::{BTreeMap, BTreeSet};
use chroom_primitives::Balance;
use frame_support::{
    ensure,
    traits::fungible::{Inspect, hold::Inspect as InspectHold},
};
use sp_runtime::TryRuntimeError;
use sp_staking::EraIndex;

impl<T: Config> Pallet<T> {
    /// Checks that each hold is accounted for, that sums agree with their parts, and that the pot covers what it owes.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::check_bonds()?;
        Self::check_points()?;
        Self::check_pay()?;
        Self::check_slashes()
    }

    fn check_bonds() -> Result<(), TryRuntimeError> {
        let accounts: BTreeSet<T::AccountId> =
            Candidates::<T>::iter_keys().chain(Unbonding::<T>::iter_keys()).collect();
        for who in accounts {
            let bond = Candidates::<T>::get(&who).map(|candidate| candidate.bond).unwrap_or_default();
            let chunks = Unbonding::<T>::get(&who);
            ensure!(chunks.iter().all(|chunk| chunk.amount > 0), "an empty part of a bond");
            let unbonding: Balance = chunks.iter().map(|chunk| chunk.amount).sum();
            let held = T::Currency::balance_on_hold(&HoldReason::Bond.into(), &who);
            ensure!(held == bond.saturating_add(unbonding), "a bond and its hold differ");
        }
        let mut standing = 0u32;
        for (who, _) in Candidates::<T>::iter().filter(|(_, candidate)| candidate.active) {
            standing = standing.saturating_add(1);
            ensure!(Self::running_sentence(&who).is_none(), "a sentenced account stands for election");
        }
        ensure!(Standing::<T>::get() == standing, "those who stand for election are miscounted");
        ensure!(Parameters::<T>::get().is_sound(), "the rules are out of their ranges");
        Ok(())
    }

    fn check_points() -> Result<(), TryRuntimeError> {
        let era = ActiveEra::<T>::get().index;
        ensure!(PlannedEra::<T>::get().is_none_or(|planned| planned.index >= era), "the active era was never planned");
        let oldest = OldestEra::<T>::get();
        for (era, total) in TotalPoints::<T>::iter() {
            ensure!(era >= oldest, "a forgotten era has points");
            ensure!(
                Points::<T>::iter_prefix_values(era).sum::<u32>() == total,
                "an era's points and their total differ"
            );
        }
        Ok(())
    }

    fn check_pay() -> Result<(), TryRuntimeError> {
        let mut owed: Balance = 0;
        for (era, reward) in EraRewards::<T>::iter() {
            ensure!(
                Paid::<T>::iter_prefix_values(era).sum::<Balance>() == reward.paid,
                "what an era paid and its sum differ"
            );
            ensure!(reward.paid <= reward.total, "an era paid more than it had");
            ensure!(reward.points == TotalPoints::<T>::get(era), "an era has other points than it was rewarded for");
            owed = owed.saturating_add(reward.unpaid());
        }
        ensure!(owed == Owed::<T>::get(), "what eras owe and its sum differ");
        let pot = T::Currency::balance(&Self::pot_account());
        ensure!(pot >= owed.saturating_add(T::Currency::minimum_balance()), "the pot doesn't cover what it owes");
        Ok(())
    }

    fn check_slashes() -> Result<(), TryRuntimeError> {
        let mut pending: BTreeMap<T::AccountId, Balance> = BTreeMap::new();
        let (mut count, mut first) = (0u32, EraIndex::MAX);
        for (era, _, slash) in UnappliedSlashes::<T>::iter() {
            count = count.saturating_add(1);
            first = first.min(era);
            ensure!(slash.amount <= slash.fraction * slash.exposure, "a slash takes more than its offence costs");
            if slash.amount > 0 {
                let sum = pending.entry(slash.validator).or_default();
                *sum = sum.saturating_add(slash.amount);
            }
        }
        ensure!(UnappliedCount::<T>::get() == count, "the slashes that wait are miscounted");
        ensure!(count == 0 || SlashCursor::<T>::get() <= first, "a slash that waits was passed over");
        ensure!(
            PendingSlashes::<T>::iter().collect::<BTreeMap<_, _>>() == pending,
            "what slashes may take and its sum differ"
        );
        Ok(())
    }
}
