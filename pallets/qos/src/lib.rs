//! QoS epochs: who attests whom, and the roots that attestors send.
//!
//! Registry nodes are the attestors. For each epoch every media node has a committee of them, drawn from the chain's
//! randomness without any storage per node. An attestor sends one Merkle root per epoch over what it measured, whatever the
//! number of calls, and the root of its registry snapshot.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod impls;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
pub mod types;
pub mod weights;

pub use pallet::*;
pub use types::{EpochParameters, EpochState, OnEpoch};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
    //! The pallet's interface.
    use super::*;
    use chroom_primitives::{Hash, NodeId, QosEpoch, anchor::SnapshotVotes, merkle::Root};
    use frame_support::{
        pallet_prelude::*,
        traits::{Randomness, Time},
    };
    use frame_system::pallet_prelude::*;

    /// What the pallet needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config + pallet_chroom_nodes::Config {
        /// Where committees' seeds come from.
        type Randomness: Randomness<Hash, BlockNumberFor<Self>>;
        /// The block's timestamp in milliseconds since the Unix epoch.
        type Time: Time<Moment = u64>;
        /// Takes the registry snapshots.
        type Snapshots: SnapshotVotes;
        /// Learns of epochs that begin or are forgotten.
        type OnEpoch: OnEpoch;
        /// Weights of the calls and hooks.
        type WeightInfo: WeightInfo;
    }

    /// The pallet.
    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// How epochs run.
    #[pallet::storage]
    pub type Parameters<T: Config> = StorageValue<_, EpochParameters, ValueQuery>;

    /// The current epoch.
    #[pallet::storage]
    pub type CurrentEpoch<T: Config> = StorageValue<_, QosEpoch, ValueQuery>;

    /// The current epoch and those before it that are remembered.
    #[pallet::storage]
    pub type Epochs<T: Config> = StorageMap<_, Twox64Concat, QosEpoch, EpochState, OptionQuery>;

    /// The attestor sets that remembered epochs have, in order; one set may serve many epochs.
    #[pallet::storage]
    pub type AttestorSets<T: Config> = StorageMap<
        _,
        Twox64Concat,
        u32,
        BoundedVec<NodeId, <T as pallet_chroom_nodes::Config>::MaxRegistries>,
        OptionQuery,
    >;

    /// The quality roots that attestors sent.
    #[pallet::storage]
    pub type Roots<T: Config> =
        StorageDoubleMap<_, Twox64Concat, QosEpoch, Blake2_128Concat, NodeId, Root, OptionQuery>;

    /// Roots of epochs before this one are gone.
    #[pallet::storage]
    pub type ClearFrom<T: Config> = StorageValue<_, QosEpoch, ValueQuery>;

    /// State at genesis.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// How epochs run.
        pub parameters: EpochParameters,
        #[serde(skip)]
        #[doc(hidden)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            assert!(self.parameters.is_valid(), "QoS epoch parameters are out of range: {:?}", self.parameters);
            Parameters::<T>::put(self.parameters);
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(crate) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An epoch began.
        EpochStarted {
            /// The epoch.
            epoch: QosEpoch,
            /// Number of its attestors.
            attestors: u32,
            /// Weight of the media nodes that are active at its beginning.
            media_weight: u64,
        },
        /// An attestor sent its root.
        RootSubmitted {
            /// The epoch that was measured.
            epoch: QosEpoch,
            /// The attestor.
            attestor: NodeId,
            /// Root over its leaves.
            quality: Root,
            /// Root of its registry snapshot.
            snapshot: Root,
        },
    }

    /// Why a call was refused.
    #[pallet::error]
    pub enum Error<T> {
        /// The sender is not a node's account.
        NotANode,
        /// The node was no active registry node when the epoch began.
        NotAttestor,
        /// Roots are taken for the epoch before the current one only.
        WrongEpoch,
        /// The submit window is over.
        WindowClosed,
        /// The attestor has sent this root.
        AlreadySubmitted,
        /// The attestor has sent another root for this epoch; the first one counts. The refused call, signed by the attestor and kept
        /// in the block, is the evidence.
        ConflictingRoot,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            Self::begin_block()
        }

        fn on_finalize(_: BlockNumberFor<T>) {
            // The timestamp is set by an inherent, after on_initialize.
            Self::note_start_time();
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Takes the sender's roots for `epoch`, the one before the current: `quality` over its [`chroom_primitives::Leaf`]s
        /// and `snapshot` over its register. Once per epoch, within the submit window; free on success.
        #[pallet::call_index(0)]
        #[pallet::weight(<T as Config>::WeightInfo::submit_root(T::MaxRegistries::get()))]
        pub fn submit_root(
            origin: OriginFor<T>,
            epoch: QosEpoch,
            quality: Root,
            snapshot: Root,
        ) -> DispatchResultWithPostInfo {
            let sender = ensure_signed(origin)?;
            let attestor = NodeId::from_account(&sender).ok_or(Error::<T>::NotANode)?;
            let mut state = Self::open_epoch(epoch)?;
            ensure!(Self::is_attestor(&state, &attestor), Error::<T>::NotAttestor);
            match Roots::<T>::get(epoch, attestor) {
                Some(sent) if sent == quality => return Err(Error::<T>::AlreadySubmitted.into()),
                Some(_) => return Err(Error::<T>::ConflictingRoot.into()),
                None => {}
            }
            Roots::<T>::insert(epoch, attestor, quality);
            let attestors = state.attestors;
            state.roots = state.roots.saturating_add(1);
            Epochs::<T>::insert(epoch, state);
            Self::deposit_event(Event::RootSubmitted { epoch, attestor, quality, snapshot });
            T::Snapshots::vote(epoch, attestor, attestors, snapshot);
            Ok(Pays::No.into())
        }
    }
}
