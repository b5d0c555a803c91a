//! QoS epochs: who attests whom, and the roots that attestors send.
//!
//! Registry nodes are the attestors. For each epoch every media node has a committee of them, drawn from the chain's
//! randomness without any storage per node. An attestor sends one Merkle root per epoch over what it measured, whatever the
//! number of calls, and the root of its registry snapshot. Who has more than one root for an epoch is slashed; whose root leaves
//! out a node that it was drawn for loses what it earned in the epoch.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

pub mod attestors;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod discipline;
mod impls;
pub mod migrations;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
pub mod types;
pub mod weights;

pub use attestors::{MAX_PAGES, PAGE_ATTESTORS, Page, PageIndex};
pub use pallet::*;
pub use types::{Attestation, EpochParameters, EpochState, OnEpoch, Seat, SentRoots, Standing};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
    //! The pallet's interface.
    use super::*;
    use alloc::{boxed::Box, vec::Vec};
    use chroom_primitives::{
        AccountId, Balance, Hash, NodeId, QosEpoch,
        anchor::SnapshotVotes,
        epoch::{EpochInfo, EpochPhase},
        evidence::{LeafOmission, RootEquivocation},
        merkle::Root,
    };
    use frame_support::{
        pallet_prelude::*,
        traits::{Randomness, Time},
    };
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(2);

    /// What the pallet needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config + pallet_chroom_nodes::Config {
        /// Where committees' seeds come from.
        type Randomness: Randomness<Hash, BlockNumberFor<Self>>;
        /// The block's timestamp in milliseconds since the Unix epoch.
        type Time: Time<Moment = u64>;
        /// Takes the registry snapshots.
        type Snapshots: SnapshotVotes;
        /// Learns of epochs that begin or are forgotten, and of attestors that lose their pay.
        type OnEpoch: OnEpoch;
        /// Weights of the calls and hooks.
        type WeightInfo: WeightInfo;
    }

    /// The pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
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

    /// The attestor sets that remembered epochs have: the first attestor of each of a set's pages. One set may serve many epochs.
    #[pallet::storage]
    pub type AttestorSets<T: Config> = StorageMap<_, Twox64Concat, u32, PageIndex, OptionQuery>;

    /// The pages of the attestor sets, all but a set's last one full; the attestors are in order.
    #[pallet::storage]
    pub type AttestorPages<T: Config> = StorageDoubleMap<_, Twox64Concat, u32, Twox64Concat, u32, Page, ValueQuery>;

    /// The roots that attestors sent, and what is known against them; of an epoch's attestors only, as long as it is remembered.
    #[pallet::storage]
    pub type Attestations<T: Config> =
        StorageDoubleMap<_, Twox64Concat, QosEpoch, Blake2_128Concat, NodeId, Attestation, OptionQuery>;

    /// Attestations of epochs before this one are gone.
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
        /// An attestor has more than one root for an epoch: it was slashed, and earns nothing in it.
        RootEquivocated {
            /// The epoch.
            epoch: QosEpoch,
            /// The attestor.
            attestor: NodeId,
            /// What its bond lost.
            slashed: Balance,
            /// Who showed it; nobody if it did so itself.
            reporter: Option<AccountId>,
        },
        /// An attestor's root leaves out a node that it was drawn for: it earns nothing in the epoch.
        NodeOmitted {
            /// The epoch.
            epoch: QosEpoch,
            /// The attestor.
            attestor: NodeId,
            /// The node that it left out.
            node: NodeId,
            /// Who showed it.
            reporter: AccountId,
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
        /// The attestor has sent these roots.
        AlreadySubmitted,
        /// The epoch has not begun, or is no longer remembered.
        UnknownEpoch,
        /// The evidence doesn't show what it should.
        InvalidEvidence,
        /// The attestor was punished for this epoch already.
        EvidenceSpent,
        /// The attestor sent no root for the epoch.
        NoRoot,
        /// The node was no registered media node when the epoch began.
        NotMeasured,
        /// The attestor was not drawn for the node.
        NotDrawn,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            let most = MAX_PAGES * PAGE_ATTESTORS;
            assert!(T::MaxRegistries::get() <= most, "a set has places for {most} attestors");
        }

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
        ///
        /// The first roots count. Whoever sends different ones afterwards has equivocated before everybody's eyes: the call succeeds, is paid
        /// for, and the sender is slashed at once, its earnings of the epoch with it.
        #[pallet::call_index(0)]
        #[pallet::weight(
            <T as Config>::WeightInfo::submit_root(T::MaxRegistries::get())
                .max(<T as Config>::WeightInfo::report_equivocation(T::MaxRegistries::get()))
        )]
        pub fn submit_root(
            origin: OriginFor<T>,
            epoch: QosEpoch,
            quality: Root,
            snapshot: Root,
        ) -> DispatchResultWithPostInfo {
            let sender = ensure_signed(origin)?;
            let attestor = NodeId::from_account(&sender).ok_or(Error::<T>::NotANode)?;
            Self::do_submit_root(epoch, attestor, SentRoots { quality, snapshot })
        }

        /// Shows that an attestor has more than one root for a remembered epoch: it is slashed and jailed, loses its earnings of the
        /// epoch, and the sender has a share. Once per attestor and epoch; free if anything was taken.
        #[pallet::call_index(1)]
        #[pallet::weight(<T as Config>::WeightInfo::report_equivocation(T::MaxRegistries::get()))]
        pub fn report_equivocation(
            origin: OriginFor<T>,
            evidence: Box<RootEquivocation>,
        ) -> DispatchResultWithPostInfo {
            let reporter = ensure_signed(origin)?;
            Self::do_report_equivocation(reporter, &evidence)
        }

        /// Shows that the root of `attestor` for a remembered epoch leaves out `node`, which it was drawn for and which was registered
        /// before the epoch began: the attestor loses its earnings of the epoch. Once per attestor and epoch; free on success.
        #[pallet::call_index(2)]
        #[pallet::weight(<T as Config>::WeightInfo::report_omission(T::MaxRegistries::get()))]
        pub fn report_omission(
            origin: OriginFor<T>,
            epoch: QosEpoch,
            attestor: NodeId,
            node: NodeId,
            evidence: Box<LeafOmission>,
        ) -> DispatchResultWithPostInfo {
            let reporter = ensure_signed(origin)?;
            Self::do_report_omission(reporter, epoch, attestor, node, &evidence)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// What is known of the current epoch.
        pub fn epoch_info() -> EpochInfo {
            Self::current_info()
        }

        /// Where an epoch stands in its life.
        pub fn epoch_phase(epoch: QosEpoch) -> EpochPhase {
            Self::phase_of(epoch)
        }

        /// The committee of `node` in `epoch`, in the order of the draw; empty when the epoch is not remembered.
        pub fn committee(epoch: QosEpoch, node: NodeId) -> Vec<NodeId> {
            Self::committee_of(epoch, node)
        }

        /// The quality root that `attestor` sent for `epoch`.
        pub fn attestation(epoch: QosEpoch, attestor: NodeId) -> Option<Root> {
            Attestations::<T>::get(epoch, attestor)?.roots.map(|roots| roots.quality)
        }

        /// How `attestor` stands for `epoch`.
        pub fn standing(epoch: QosEpoch, attestor: NodeId) -> Standing {
            Attestations::<T>::get(epoch, attestor).unwrap_or_default().standing
        }
    }
}
