//! What an offence costs.

use crate::{ActiveEra, Candidates, Config, Event, HoldReason, Pallet, Parameters, Slashes, Unbonding, WeightInfo};
use chroom_primitives::Balance;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    traits::{
        Get, Imbalance,
        fungible::{Balanced, hold::Balanced as BalancedHold},
    },
    weights::Weight,
};
use pallet_session::SessionInterface;
use scale_info::TypeInfo;
use sp_runtime::Perbill;
use sp_staking::{
    SessionIndex,
    offence::{OffenceDetails, OffenceSeverity, OnOffenceHandler},
};

/// How a slash is split: the reporter's and the treasury's parts; the rest is burnt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct SlashShares {
    /// Those who reported, together.
    pub reporters: Perbill,
    /// The treasury.
    pub treasury: Perbill,
}

impl<T: Config> Pallet<T> {
    /// Takes `amount` from the bond of `who`, then from what it is unbonding, newest first; gives what was taken.
    fn slash(who: &T::AccountId, amount: Balance, reporters: &[T::AccountId]) -> Balance {
        let (mut credit, _) = <T::Currency as BalancedHold<T::AccountId>>::slash(&HoldReason::Bond.into(), who, amount);
        let taken = credit.peek();
        let mut left = taken;
        Candidates::<T>::mutate_exists(who, |slot| {
            let Some(candidate) = slot else { return };
            let part = candidate.bond.min(left);
            candidate.bond = candidate.bond.saturating_sub(part);
            left = left.saturating_sub(part);
        });
        Unbonding::<T>::mutate_exists(who, |slot| {
            let Some(chunks) = slot else { return };
            for chunk in chunks.iter_mut().rev() {
                let part = chunk.amount.min(left);
                chunk.amount = chunk.amount.saturating_sub(part);
                left = left.saturating_sub(part);
            }
            chunks.retain(|chunk| chunk.amount > 0);
            if chunks.is_empty() {
                *slot = None;
            }
        });

        let shares = T::SlashShares::get();
        if !reporters.is_empty() {
            let each = (shares.reporters * taken) / (reporters.len() as Balance);
            for reporter in reporters {
                // An account that cannot take it leaves its part to be burnt.
                let _ = T::Currency::resolve(reporter, credit.extract(each));
            }
        }
        let _ = T::Currency::resolve(&T::Treasury::get(), credit.extract(shares.treasury * taken));
        taken
    }
}

impl<T: Config> OnOffenceHandler<T::AccountId, (T::AccountId, Balance), Weight> for Pallet<T> {
    fn on_offence(
        offenders: &[OffenceDetails<T::AccountId, (T::AccountId, Balance)>],
        slash_fraction: &[Perbill],
        session: SessionIndex,
    ) -> Weight {
        let floor = T::SlashFloor::get();
        let mut weight = Weight::zero();
        for (details, fraction) in offenders.iter().zip(slash_fraction) {
            weight.saturating_accrue(<T as Config>::WeightInfo::offence());
            let (who, exposure) = &details.offender;
            let fraction = (*fraction).max(floor);
            // Offenders that were reported before are given again whenever another one offends at the same time, since
            // that raises the price: they pay the difference.
            let paid = Slashes::<T>::get(session, who);
            if fraction <= paid {
                continue;
            }
            Slashes::<T>::insert(session, who, fraction);
            let amount = (fraction * *exposure).saturating_sub(paid * *exposure);
            let amount = Self::slash(who, amount, &details.reporters);
            let jailed_until =
                ActiveEra::<T>::get().index.saturating_add(Parameters::<T>::get().unbonding_eras).saturating_add(1);
            Candidates::<T>::mutate_exists(who, |slot| {
                if let Some(candidate) = slot {
                    candidate.active = false;
                    candidate.jailed_until = jailed_until;
                }
            });
            T::Session::report_offence(who.clone(), OffenceSeverity(fraction));
            Self::deposit_event(Event::Slashed { who: who.clone(), amount, session, jailed_until });
        }
        weight
    }
}
