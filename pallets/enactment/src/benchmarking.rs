//! What the calls cost.

// The macro writes public items that it gives no documentation.
#![allow(missing_docs)]

use crate::{Approvals, Call, Config, Pallet};
use codec::Encode;
use frame_benchmarking::v2::*;
use frame_support::traits::{EnsureOrigin, Get, StorePreimage};
use frame_system::RawOrigin;

/// Puts a call into the preimages.
fn note<T: Config>(seed: u32) -> Result<T::Hash, BenchmarkError> {
    let call: <T as frame_system::Config>::RuntimeCall =
        frame_system::Call::<T>::remark { remark: seed.encode() }.into();
    Ok(T::Preimages::note(call.encode().into())?)
}

/// Fills the approvals, except for the last place.
fn fill<T: Config>(origin: &T::RuntimeOrigin) -> Result<(), BenchmarkError> {
    for seed in 1..T::MaxApprovals::get() {
        Pallet::<T>::approve(origin.clone(), note::<T>(seed)?)?;
    }
    Ok(())
}

/// Makes a first approval the other house's: one origin has to stand for both here.
fn hand_over<T: Config>(hash: T::Hash) {
    Approvals::<T>::mutate(|approvals| {
        if let Some(approval) = approvals.iter_mut().find(|approval| approval.hash == hash) {
            approval.house = approval.house.other();
        }
    });
}

#[benchmarks]
mod benchmarks {
    use super::*;

    /// The second approval, with which the call is scheduled.
    #[benchmark]
    fn approve() -> Result<(), BenchmarkError> {
        let origin = T::HouseOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)?;
        fill::<T>(&origin)?;
        let hash = note::<T>(0)?;
        Pallet::<T>::approve(origin.clone(), hash)?;
        hand_over::<T>(hash);
        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, hash);
        assert!(Pallet::<T>::scheduled_for(&hash).is_some());
        Ok(())
    }

    #[benchmark]
    fn veto() -> Result<(), BenchmarkError> {
        let house = T::HouseOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)?;
        let origin = T::VetoOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)?;
        fill::<T>(&house)?;
        let hash = note::<T>(0)?;
        Pallet::<T>::approve(house.clone(), hash)?;
        hand_over::<T>(hash);
        Pallet::<T>::approve(house, hash)?;
        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, hash);
        assert!(Pallet::<T>::scheduled_for(&hash).is_none());
        Ok(())
    }

    #[benchmark]
    fn set_delay() {
        let delay = T::MaxDelay::get();
        #[extrinsic_call]
        _(RawOrigin::Root, delay);
        assert_eq!(Pallet::<T>::current_delay(), delay);
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::genesis(None), crate::mock::Test);
}
