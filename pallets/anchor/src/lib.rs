//! Anchors of the registry's state.
//!
//! At the end of each QoS epoch every registry node sends the root of its snapshot of the register; the one that two thirds
//! of the epoch's attestors sent is final. Votes come in through [`SnapshotVotes`], which the QoS pallet calls.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod impls;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
pub mod weights;

pub use chroom_primitives::anchor::SnapshotVotes;
pub use impls::quorum;
pub use pallet::*;
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
    //! The pallet's interface.
    use super::*;
    use chroom_primitives::{NodeId, QosEpoch, anchor::FinalSnapshot, merkle::Root};
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// What the pallet needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config {
        /// Number of epochs whose final snapshot is kept.
        #[pallet::constant]
        type SnapshotRing: Get<u32>;
        /// Weights of the hooks.
        type WeightInfo: WeightInfo;
    }

    /// The pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// How many attestors sent each root, for the newest epoch and those not yet cleared.
    #[pallet::storage]
    pub type Votes<T: Config> = StorageDoubleMap<_, Twox64Concat, QosEpoch, Blake2_128Concat, Root, u32, ValueQuery>;

    /// The newest epoch that was voted on.
    #[pallet::storage]
    pub type Newest<T: Config> = StorageValue<_, QosEpoch, OptionQuery>;

    /// Epochs from this one on may have votes in storage.
    #[pallet::storage]
    pub type ClearFrom<T: Config> = StorageValue<_, QosEpoch, ValueQuery>;

    /// Final snapshots, by epoch modulo the ring's length.
    #[pallet::storage]
    pub type Snapshots<T: Config> = StorageMap<_, Twox64Concat, u32, FinalSnapshot, OptionQuery>;

    /// The final snapshot of the newest epoch that has one.
    #[pallet::storage]
    pub type Latest<T: Config> = StorageValue<_, FinalSnapshot, OptionQuery>;

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(crate) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An attestor's vote was counted.
        Voted {
            /// The epoch at whose end the register was cut.
            epoch: QosEpoch,
            /// The attestor.
            attestor: NodeId,
            /// The root it sent.
            root: Root,
            /// How many sent it so far.
            votes: u32,
        },
        /// Two thirds of the attestors agree.
        SnapshotFinal {
            /// The snapshot.
            snapshot: FinalSnapshot,
            /// Number of attestors of the epoch.
            attestors: u32,
        },
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The newest final snapshot.
        pub fn latest_snapshot() -> Option<FinalSnapshot> {
            Latest::<T>::get()
        }

        /// The final snapshot of `epoch`, while it is in the ring.
        pub fn snapshot(epoch: QosEpoch) -> Option<FinalSnapshot> {
            Self::snapshot_of(epoch)
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            Self::begin_block()
        }

        fn integrity_test() {
            assert!(T::SnapshotRing::get() > 0, "a ring without places keeps no snapshot");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }
}
