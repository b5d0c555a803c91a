//! Root without a root key: a call runs as root when two houses have approved exactly this call and a delay is over.
//!
//! The call itself is in the preimage pallet; the houses approve its hash, one after the other, in either order. With the
//! second approval the scheduler takes the call over, and runs it as root when the delay is over. Until then a veto takes
//! it back. An approval that the other house doesn't join lapses.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod approval;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod impls;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
pub mod weights;

pub use approval::{Approval, House};
pub use pallet::*;
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
    //! The pallet's interface.
    use super::*;
    use alloc::vec::Vec;
    use frame_support::{
        pallet_prelude::*,
        traits::{QueryPreimage, StorageVersion, StorePreimage, schedule::v3::Named},
    };
    use frame_system::{RawOrigin, pallet_prelude::*};

    /// Layout of the storage.
    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// An approval of a call of the runtime `T`.
    pub type ApprovalOf<T> = Approval<<T as frame_system::Config>::Hash, BlockNumberFor<T>>;

    /// What the pallet needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config {
        /// The runtime's origins, in which the scheduler keeps root.
        type PalletsOrigin: From<RawOrigin<Self::AccountId>>;
        /// Runs the calls when their time has come.
        type Scheduler: Named<
                BlockNumberFor<Self>,
                <Self as frame_system::Config>::RuntimeCall,
                Self::PalletsOrigin,
                Hasher = Self::Hashing,
            >;
        /// Has the calls.
        type Preimages: QueryPreimage<H = Self::Hashing> + StorePreimage;
        /// A house that approves.
        type HouseOrigin: EnsureOrigin<Self::RuntimeOrigin, Success = House>;
        /// May take back what is approved and not enacted yet.
        type VetoOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Least blocks between the second approval and the enactment; at least 1.
        #[pallet::constant]
        type MinDelay: Get<BlockNumberFor<Self>>;
        /// Most blocks between them: a delay that nobody could wait for would lock the chain's governance for good.
        #[pallet::constant]
        type MaxDelay: Get<BlockNumberFor<Self>>;
        /// Blocks within which the second house has to follow the first.
        #[pallet::constant]
        type ApprovalLifetime: Get<BlockNumberFor<Self>>;
        /// Most calls that have the approval of one house.
        #[pallet::constant]
        type MaxApprovals: Get<u32>;
        /// Weights of the calls.
        type WeightInfo: WeightInfo;
    }

    /// The pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// Calls that one house has approved. A call with both approvals is in the scheduler.
    #[pallet::storage]
    pub type Approvals<T: Config> = StorageValue<_, BoundedVec<ApprovalOf<T>, T::MaxApprovals>, ValueQuery>;

    /// Blocks between the second approval and the enactment; the least possible, if it was never set.
    #[pallet::storage]
    pub type Delay<T: Config> = StorageValue<_, BlockNumberFor<T>, OptionQuery>;

    /// The genesis.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Blocks between the second approval and the enactment; `MinDelay`, if absent.
        pub delay: Option<BlockNumberFor<T>>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            if let Some(delay) = self.delay {
                assert!(Pallet::<T>::is_possible(delay), "the enactment's delay is out of range");
                Delay::<T>::put(delay);
            }
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(crate) fn deposit_event)]
    pub enum Event<T: Config> {
        /// The first house approved a call.
        Approved {
            /// The call's hash.
            hash: T::Hash,
            /// The house.
            house: House,
            /// Last block in which the other house may follow.
            until: BlockNumberFor<T>,
        },
        /// Both houses have approved a call.
        Scheduled {
            /// The call's hash.
            hash: T::Hash,
            /// The block in which it runs as root.
            at: BlockNumberFor<T>,
        },
        /// A call was taken back.
        Vetoed {
            /// The call's hash.
            hash: T::Hash,
        },
        /// The delay was changed, for calls that are approved from now on.
        DelaySet {
            /// The new delay in blocks.
            delay: BlockNumberFor<T>,
        },
    }

    /// Why a call was refused.
    #[pallet::error]
    pub enum Error<T> {
        /// The preimage pallet doesn't have the call.
        NoPreimage,
        /// This house has approved the call already.
        AlreadyApproved,
        /// Both houses have approved the call already.
        AlreadyScheduled,
        /// Too many calls wait for the other house.
        TooManyApprovals,
        /// There is nothing to take back: no house has approved the call, the approval lapsed, or the call has run.
        NotApproved,
        /// The delay is shorter than `MinDelay` or longer than `MaxDelay`.
        DelayOutOfRange,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(T::MinDelay::get() > 0u32.into(), "a call runs in a later block than it was approved in");
            assert!(T::MinDelay::get() <= T::MaxDelay::get(), "there is a possible delay");
            assert!(T::ApprovalLifetime::get() > 0u32.into(), "the second house can follow the first");
            assert!(T::MaxApprovals::get() > 0, "a house can approve");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Approves the call with this hash in the name of a house. With the second house's approval the call is
        /// scheduled to run as root when the delay is over.
        ///
        /// # Errors
        /// [`Error::NoPreimage`], [`Error::AlreadyApproved`], [`Error::AlreadyScheduled`], [`Error::TooManyApprovals`];
        /// the scheduler's error if the agenda of the block is full.
        #[pallet::call_index(0)]
        #[pallet::weight((T::WeightInfo::approve(), DispatchClass::Operational))]
        pub fn approve(origin: OriginFor<T>, hash: T::Hash) -> DispatchResult {
            let house = T::HouseOrigin::ensure_origin(origin)?;
            Self::do_approve(house, hash)
        }

        /// Takes back a call that was approved by one house or both and has not run yet.
        ///
        /// # Errors
        /// [`Error::NotApproved`].
        #[pallet::call_index(1)]
        #[pallet::weight((T::WeightInfo::veto(), DispatchClass::Operational))]
        pub fn veto(origin: OriginFor<T>, hash: T::Hash) -> DispatchResult {
            T::VetoOrigin::ensure_origin(origin)?;
            Self::do_veto(hash)
        }

        /// Changes the delay, for calls that are approved from now on. Root's, so that this takes both houses and the
        /// present delay.
        ///
        /// # Errors
        /// [`Error::DelayOutOfRange`].
        #[pallet::call_index(2)]
        #[pallet::weight((T::WeightInfo::set_delay(), DispatchClass::Operational))]
        pub fn set_delay(origin: OriginFor<T>, delay: BlockNumberFor<T>) -> DispatchResult {
            ensure_root(origin)?;
            ensure!(Self::is_possible(delay), Error::<T>::DelayOutOfRange);
            Delay::<T>::put(delay);
            Self::deposit_event(Event::DelaySet { delay });
            Ok(())
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// Blocks between the second approval and the enactment.
        pub fn delay() -> BlockNumberFor<T> {
            Self::current_delay()
        }

        /// The calls that have one house's approval and wait for the other's.
        pub fn approvals() -> Vec<ApprovalOf<T>> {
            Self::live_approvals()
        }

        /// The block in which a call runs as root; none, if it isn't scheduled or has run.
        pub fn enacted_at(hash: T::Hash) -> Option<BlockNumberFor<T>> {
            Self::scheduled_for(&hash)
        }
    }
}
