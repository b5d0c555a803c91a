//! What is measured for the weights: each call and hook in its most expensive case.

// The macro writes public items that it gives no documentation.
#![allow(missing_docs)]

use crate::{
    ActiveEra, Call, Candidate, Candidates, Config, EraParameters, EraReward, EraRewards, HoldReason, Owed, Paid,
    Pallet, Parameters, Payees, PendingSlashes, Points, Sentence, Sentences, SlashCursor, Slashes, Standing,
    TotalPoints, UnappliedCount, UnappliedSlash, UnappliedSlashes, Unbonding, UnbondingChunk,
    slash::{MAX_CANCELLED, MAX_REPORTERS},
};
use alloc::{vec, vec::Vec};
use chroom_primitives::{Balance, CHR};
use codec::{Decode, Encode};
use core::marker::PhantomData;
use frame_benchmarking::v2::*;
use frame_support::{
    BoundedVec,
    traits::{
        EnsureOrigin, Get, Hooks,
        fungible::{Mutate, hold::Mutate as MutateHold},
    },
};
use frame_system::{RawOrigin, pallet_prelude::BlockNumberFor};
use pallet_session::SessionInterface;
use sp_runtime::{DispatchError, Perbill};
use sp_staking::{
    EraIndex,
    offence::{OffenceDetails, OffenceSeverity, OnOffenceHandler},
};

/// Puts accounts in office to measure with.
pub trait Office<AccountId> {
    /// The validators of the session in office are `validators` from now on, of whom as many as may be are disabled; not the last one.
    fn take(validators: Vec<AccountId>);
}

/// The office that pallet-session knows.
pub struct SessionOffice<T>(PhantomData<T>);

impl<T: pallet_session::Config> Office<T::ValidatorId> for SessionOffice<T> {
    fn take(validators: Vec<T::ValidatorId>) {
        // A third is the limit, above which the least offender makes room for a worse one.
        let disabled = (validators.len() as u32).saturating_sub(1) / 3;
        let severity = OffenceSeverity(Perbill::from_percent(1));
        pallet_session::DisabledValidators::<T>::put((0..disabled).map(|index| (index, severity)).collect::<Vec<_>>());
        pallet_session::Validators::<T>::put(validators);
    }
}

type KeysOf<T> = <<T as Config>::Session as SessionInterface>::Keys;

const BOND: Balance = 1_000_000 * CHR;
/// Each part of a bond that unbonds.
const PART: Balance = 1_000 * CHR;

/// An account that can pay for everything here.
fn rich<T: Config>(name: &'static str, index: u32) -> T::AccountId {
    let who: T::AccountId = account(name, index, 0);
    T::Currency::set_balance(&who, BOND.saturating_mul(10));
    who
}

/// An account with session keys.
fn keyed<T: Config>(name: &'static str, index: u32) -> Result<T::AccountId, BenchmarkError> {
    let who = rich::<T>(name, index);
    // Any bytes are a key; no two accounts may have the same.
    let bytes = who.using_encoded(sp_io::hashing::blake2_256).repeat(16);
    let keys = KeysOf::<T>::decode(&mut &*bytes).map_err(|_| "the bytes are no keys")?;
    T::Session::set_keys(&who, keys)?;
    Ok(who)
}

fn hold<T: Config>(who: &T::AccountId, amount: Balance) -> Result<(), DispatchError> {
    T::Currency::hold(&HoldReason::Bond.into(), who, amount)
}

/// A candidate with session keys who stands for election.
fn candidate<T: Config>(name: &'static str, index: u32) -> Result<T::AccountId, BenchmarkError> {
    let who = keyed::<T>(name, index)?;
    Parameters::<T>::mutate(|parameters| parameters.minimum_bond = parameters.minimum_bond.min(BOND / 2));
    hold::<T>(&who, BOND)?;
    let mut candidate = Candidate { bond: BOND, ..Default::default() };
    Pallet::<T>::set_standing(&mut candidate, true);
    Candidates::<T>::insert(&who, candidate);
    Ok(who)
}

/// Lets so many parts of an account's bond unbond, all of them free.
fn unbonding<T: Config>(who: &T::AccountId, count: u32) -> Result<(), DispatchError> {
    hold::<T>(who, PART.saturating_mul(count.into()))?;
    let chunk = UnbondingChunk { amount: PART, free_from: 0 };
    Unbonding::<T>::insert(who, BoundedVec::truncate_from(vec![chunk; count as usize]));
    Ok(())
}

/// Lets an account's pay go to another one, which has nothing yet.
fn redirect<T: Config>(who: &T::AccountId) -> T::AccountId {
    let payee: T::AccountId = account("payee", 0, 0);
    Payees::<T>::insert(who, &payee);
    payee
}

/// As many reporters as share a slash.
fn reporters<T: Config>(offence: u32) -> Vec<T::AccountId> {
    (0..MAX_REPORTERS).map(|index| account("reporter", index, offence)).collect()
}

/// A slash that waits for `era` and takes all that its offender has.
fn waiting<T: Config>(era: EraIndex, id: u32) -> Result<T::AccountId, BenchmarkError> {
    let who = candidate::<T>("offender", id)?;
    unbonding::<T>(&who, T::MaxUnbondingChunks::get())?;
    let amount = BOND.saturating_mul(2);
    let slash = UnappliedSlash {
        validator: who.clone(),
        session: 0,
        fraction: Perbill::one(),
        exposure: amount,
        amount,
        reporters: BoundedVec::truncate_from(reporters::<T>(id)),
    };
    UnappliedSlashes::<T>::insert(era, id, slash);
    UnappliedCount::<T>::mutate(|waiting| *waiting = waiting.saturating_add(1));
    PendingSlashes::<T>::insert(&who, amount);
    Sentences::<T>::insert(&who, Sentence { until: u32::MAX, offences: 1, severity: Perbill::one() });
    Ok(who)
}

#[benchmarks]
mod benchmarks {
    use super::*;

    /// Of an account that sat out a sentence.
    #[benchmark]
    fn join() -> Result<(), BenchmarkError> {
        candidate::<T>("other", 0)?;
        let who = keyed::<T>("who", 0)?;
        Sentences::<T>::insert(&who, Sentence::default());

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), BOND);

        assert!(Candidates::<T>::get(&who).is_some_and(|candidate| candidate.active));
        assert!(!Sentences::<T>::contains_key(&who));
        Ok(())
    }

    #[benchmark]
    fn unbond() -> Result<(), BenchmarkError> {
        let who = candidate::<T>("who", 0)?;
        unbonding::<T>(&who, T::MaxUnbondingChunks::get() - 1)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), PART);

        assert_eq!(Unbonding::<T>::get(&who).len(), T::MaxUnbondingChunks::get() as usize);
        Ok(())
    }

    #[benchmark]
    fn leave() -> Result<(), BenchmarkError> {
        let who = candidate::<T>("who", 0)?;
        redirect::<T>(&who);
        unbonding::<T>(&who, T::MaxUnbondingChunks::get() - 1)?;
        // Enough others stand.
        Standing::<T>::put(EraParameters::MAX_VALIDATORS + 1);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(!Candidates::<T>::contains_key(&who));
        Ok(())
    }

    /// Of all that an account has, with which it is forgotten.
    #[benchmark]
    fn withdraw() -> Result<(), BenchmarkError> {
        let who = rich::<T>("who", 0);
        redirect::<T>(&who);
        unbonding::<T>(&who, T::MaxUnbondingChunks::get())?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(!Unbonding::<T>::contains_key(&who) && !Payees::<T>::contains_key(&who));
        Ok(())
    }

    #[benchmark]
    fn set_parameters() -> Result<(), BenchmarkError> {
        let origin = T::ManageOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)?;
        let parameters = EraParameters::default();

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, parameters.clone());

        assert_eq!(Parameters::<T>::get(), parameters);
        Ok(())
    }

    #[benchmark]
    fn set_payee() -> Result<(), BenchmarkError> {
        let who = candidate::<T>("who", 0)?;
        let payee: T::AccountId = account("payee", 0, 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), payee.clone());

        assert_eq!(Payees::<T>::get(&who), Some(payee));
        Ok(())
    }

    #[benchmark]
    fn payout() -> Result<(), BenchmarkError> {
        let (era, validator) = (1, rich::<T>("who", 0));
        redirect::<T>(&validator);
        T::Currency::set_balance(&Pallet::<T>::pot_account(), BOND.saturating_mul(2));
        EraRewards::<T>::insert(era, EraReward { total: BOND, points: 2, paid: 0 });
        Points::<T>::insert(era, &validator, 1);
        Owed::<T>::put(BOND);
        let caller = rich::<T>("caller", 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(caller), era, validator.clone());

        assert_eq!(Paid::<T>::get(era, &validator), Some(BOND / 2));
        Ok(())
    }

    /// `n` slashes of as many offenders.
    #[benchmark]
    fn cancel_slash(n: Linear<1, MAX_CANCELLED>) -> Result<(), BenchmarkError> {
        let origin = T::CancelOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)?;
        let era = 1;
        for id in 0..n {
            waiting::<T>(era, id)?;
        }
        let ids = BoundedVec::truncate_from((0..n).collect());

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, era, ids);

        assert_eq!((UnappliedCount::<T>::get(), Sentences::<T>::count()), (0, 0));
        Ok(())
    }

    /// One of `v` validators in office loses everything at once, and is disabled instead of a lesser offender.
    #[benchmark]
    fn offence(v: Linear<1, { EraParameters::MAX_VALIDATORS }>) -> Result<(), BenchmarkError> {
        Parameters::<T>::mutate(|parameters| parameters.slash_defer_eras = 0);
        let who = candidate::<T>("offender", 0)?;
        unbonding::<T>(&who, T::MaxUnbondingChunks::get())?;
        let others = (1..v).map(|index| account("validator", index, 0));
        T::BenchmarkHelper::take(others.chain([who.clone()]).collect());
        let details =
            [OffenceDetails { offender: (who.clone(), BOND.saturating_mul(2)), reporters: reporters::<T>(0) }];

        #[block]
        {
            Pallet::<T>::on_offence(&details, &[Perbill::one()], 0);
        }

        assert_eq!(Slashes::<T>::get(0, &who).fraction, Perbill::one());
        assert!(Candidates::<T>::get(&who).is_some_and(|candidate| candidate.bond == 0 && !candidate.active));
        Ok(())
    }

    /// `s` slashes fall due; one more waits.
    #[benchmark]
    fn on_initialize(s: Linear<0, { T::MaxSlashesPerBlock::get() }>) -> Result<(), BenchmarkError> {
        let era = ActiveEra::<T>::get().index;
        for id in 0..s {
            waiting::<T>(era, id)?;
        }
        waiting::<T>(era.saturating_add(1), s)?;
        SlashCursor::<T>::put(era);
        let now = BlockNumberFor::<T>::from(1u32);

        #[block]
        {
            Pallet::<T>::on_initialize(now);
        }

        assert_eq!(UnappliedCount::<T>::get(), 1);
        Ok(())
    }

    /// The first block of a validator in an era and a session.
    #[benchmark]
    fn note_author() {
        let who: T::AccountId = account("who", 0, 0);
        let era = ActiveEra::<T>::get().index;
        let before = TotalPoints::<T>::get(era);

        #[block]
        {
            <Pallet<T> as pallet_authorship::EventHandler<T::AccountId, BlockNumberFor<T>>>::note_author(who.clone());
        }

        assert_eq!((Points::<T>::get(era, &who), TotalPoints::<T>::get(era)), (1, before + 1));
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_chain(crate::mock::parameters()), crate::mock::Test);
}
