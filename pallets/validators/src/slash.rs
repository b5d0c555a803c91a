//! Slashes: how they wait, how they are taken, and to whom they go.

use crate::{
    ActiveEra, Candidates, Config, Error, Event, HoldReason, NextSlashId, Pallet, Parameters, PendingSlashes,
    SlashCursor, UnappliedCount, UnappliedSlashes, Unbonding, WeightInfo,
};
use alloc::vec::Vec;
use chroom_primitives::Balance;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    BoundedVec,
    dispatch::DispatchResult,
    traits::{
        ConstU32, Get, Imbalance,
        fungible::{Balanced, hold::Balanced as BalancedHold},
    },
    weights::Weight,
};
use scale_info::TypeInfo;
use sp_runtime::Perbill;
use sp_staking::{EraIndex, SessionIndex};

/// Most reporters of one offence that share the reporters' part; the first ones do.
pub const MAX_REPORTERS: u32 = 4;
/// Most slashes that one call cancels.
pub const MAX_CANCELLED: u32 = 64;

/// How a slash is split: the reporter's and the treasury's parts; the rest is burnt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct SlashShares {
    /// Those who reported, together.
    pub reporters: Perbill,
    /// The treasury.
    pub treasury: Perbill,
}

/// Where a slash waits: the era at whose start it falls due, and its number.
pub type SlashKey = (EraIndex, u32);

/// A slash that waits.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct UnappliedSlash<AccountId> {
    /// The offender.
    pub validator: AccountId,
    /// The session in which it offended.
    pub session: SessionIndex,
    /// The part of the exposure that its offence costs in all.
    pub fraction: Perbill,
    /// The bond with which it was elected, in the smallest unit: what the fraction is of.
    pub exposure: Balance,
    /// What is to be taken: less than the fraction of the exposure if a part was taken before. In the smallest unit.
    pub amount: Balance,
    /// Those who reported it.
    pub reporters: BoundedVec<AccountId, ConstU32<MAX_REPORTERS>>,
}

/// What a validator's offences in one session cost it so far.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct SlashRecord {
    /// The part of its exposure; what was cancelled counts.
    pub fraction: Perbill,
    /// Where the last slash for it waits, or waited.
    pub queued: Option<SlashKey>,
}

impl<T: Config> Pallet<T> {
    /// Adds to a slash that still waits; gives whether it does.
    pub(crate) fn raise((era, id): SlashKey, fraction: Perbill, amount: Balance) -> bool {
        UnappliedSlashes::<T>::mutate(era, id, |slot| {
            let Some(slash) = slot else { return false };
            slash.fraction = fraction;
            slash.amount = slash.amount.saturating_add(amount);
            Self::add_pending(&slash.validator, amount);
            Self::deposit_event(Event::SlashQueued { era, id, who: slash.validator.clone(), amount: slash.amount });
            true
        })
    }

    /// Lets a slash wait for its time. It is applied at once if slashes don't wait, or if too many do already: an offence is
    /// never dropped.
    pub(crate) fn queue(slash: UnappliedSlash<T::AccountId>) -> Option<SlashKey> {
        let defer = Parameters::<T>::get().slash_defer_eras;
        let waiting = UnappliedCount::<T>::get();
        if defer == 0 || waiting >= T::MaxUnappliedSlashes::get() {
            Self::apply(slash);
            return None;
        }
        let era = ActiveEra::<T>::get().index.saturating_add(defer).saturating_add(1);
        let id = NextSlashId::<T>::mutate(|next| {
            let id = *next;
            *next = next.wrapping_add(1);
            id
        });
        // Shortened waiting lets a later slash fall due before an earlier one.
        SlashCursor::<T>::mutate(|cursor| *cursor = if waiting == 0 { era } else { era.min(*cursor) });
        UnappliedCount::<T>::put(waiting.saturating_add(1));
        Self::add_pending(&slash.validator, slash.amount);
        Self::deposit_event(Event::SlashQueued { era, id, who: slash.validator.clone(), amount: slash.amount });
        UnappliedSlashes::<T>::insert(era, id, slash);
        Some((era, id))
    }

    /// Applies slashes whose time has come, a bounded number of them.
    pub(crate) fn apply_due_slashes() -> Weight {
        if UnappliedCount::<T>::get() == 0 {
            return <T as Config>::WeightInfo::on_initialize(0);
        }
        let active = ActiveEra::<T>::get().index;
        let mut cursor = SlashCursor::<T>::get();
        let mut left = T::MaxSlashesPerBlock::get();
        while left > 0 && cursor <= active {
            let due: Vec<_> = UnappliedSlashes::<T>::iter_prefix(cursor).take(left as usize).collect();
            if due.is_empty() {
                // An empty era is a step too, or a long gap would make a long block.
                cursor = cursor.saturating_add(1);
                left = left.saturating_sub(1);
            }
            for (id, slash) in due {
                left = left.saturating_sub(1);
                Self::dequeue((cursor, id), &slash);
                Self::apply(slash);
            }
        }
        SlashCursor::<T>::put(cursor);
        <T as Config>::WeightInfo::on_initialize(T::MaxSlashesPerBlock::get().saturating_sub(left))
    }

    /// Cancels a slash that waits, and the offender's sentence if that was for nothing else.
    pub(crate) fn cancel((era, id): SlashKey) -> DispatchResult {
        let slash = UnappliedSlashes::<T>::get(era, id).ok_or(Error::<T>::NoSuchSlash)?;
        Self::dequeue((era, id), &slash);
        Self::pardon(&slash.validator);
        Self::deposit_event(Event::SlashCancelled { era, id, who: slash.validator, amount: slash.amount });
        Ok(())
    }

    fn add_pending(who: &T::AccountId, amount: Balance) {
        if amount > 0 {
            PendingSlashes::<T>::mutate(who, |pending| *pending = pending.saturating_add(amount));
        }
    }

    fn dequeue((era, id): SlashKey, slash: &UnappliedSlash<T::AccountId>) {
        UnappliedSlashes::<T>::remove(era, id);
        UnappliedCount::<T>::mutate(|waiting| *waiting = waiting.saturating_sub(1));
        PendingSlashes::<T>::mutate_exists(&slash.validator, |slot| {
            let rest = slot.unwrap_or_default().saturating_sub(slash.amount);
            *slot = (rest > 0).then_some(rest);
        });
    }

    /// Takes a slash from the bond, then from what is unbonding, newest first, and shares it out.
    fn apply(slash: UnappliedSlash<T::AccountId>) {
        let UnappliedSlash { validator: who, session, amount, reporters, .. } = slash;
        let (mut credit, _) =
            <T::Currency as BalancedHold<T::AccountId>>::slash(&HoldReason::Bond.into(), &who, amount);
        let taken = credit.peek();
        let mut left = taken;
        Candidates::<T>::mutate_exists(&who, |slot| {
            let Some(candidate) = slot else { return };
            let part = candidate.bond.min(left);
            candidate.bond = candidate.bond.saturating_sub(part);
            left = left.saturating_sub(part);
        });
        Unbonding::<T>::mutate_exists(&who, |slot| {
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
        Self::forget_if_gone(&who);

        let shares = T::SlashShares::get();
        if let Some(each) = shares.reporters.mul_floor(taken).checked_div(reporters.len() as Balance) {
            for reporter in &reporters {
                // An account that cannot take it leaves its part to be burnt.
                let _ = T::Currency::resolve(reporter, credit.extract(each));
            }
        }
        let _ = T::Currency::resolve(&T::Treasury::get(), credit.extract(shares.treasury.mul_floor(taken)));
        Self::deposit_event(Event::Slashed { who, amount: taken, session });
    }
}
