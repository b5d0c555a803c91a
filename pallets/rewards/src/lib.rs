//! Pay for proven quality.
//!
//! Applications prepay into escrows. For an epoch that is over, a media node claims with the Merkle proofs of its committee: its
//! score is the committee's median, an absent proof counting as 0; usage fees come from the escrows, an availability subsidy from
//! the reserve, by capacity and score. A claim's cost doesn't depend on the number of nodes, and no hook loops over nodes.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod impls;
#[cfg(test)]
mod mock;
mod settle;
#[cfg(test)]
mod tests;
pub mod types;
pub mod weights;

pub use pallet::*;
pub use types::{ClaimWindow, Escrow, Pool, Reward, RewardParameters, Settlement};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
    //! The pallet's interface.
    use super::*;
    use chroom_primitives::{
        AccountId, Balance, NodeId, QosEpoch,
        runtime_api::{MemberProof, Payout},
    };
    use frame_support::{PalletId, pallet_prelude::*};
    use frame_system::pallet_prelude::*;
    use pallet_chroom_qos::types::MAX_COMMITTEE;

    /// The proofs of a committee, each member's at most once.
    pub type CommitteeProofs = BoundedVec<MemberProof, ConstU32<MAX_COMMITTEE>>;

    /// What the pallet needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config + pallet_chroom_qos::Config {
        /// Names the accounts of escrows and reserve.
        #[pallet::constant]
        type PalletId: Get<PalletId>;
        /// Weights of the calls.
        type WeightInfo: WeightInfo;
    }

    /// The pallet.
    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// The pallet's economics.
    #[pallet::storage]
    pub type Parameters<T: Config> = StorageValue<_, RewardParameters, ValueQuery>;

    /// What applications prepaid.
    #[pallet::storage]
    pub type Escrows<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, Escrow, OptionQuery>;

    /// Sum of all escrows; the escrow account has at least this.
    #[pallet::storage]
    pub type TotalEscrow<T: Config> = StorageValue<_, Balance, ValueQuery>;

    /// What the remembered epochs emit.
    #[pallet::storage]
    pub type Pools<T: Config> = StorageMap<_, Twox64Concat, QosEpoch, Pool, OptionQuery>;

    /// Sum of what claims may still take from the remembered epochs' pools.
    #[pallet::storage]
    pub type Committed<T: Config> = StorageValue<_, Balance, ValueQuery>;

    /// What attestors earned and their owners have not collected.
    #[pallet::storage]
    pub type Accrued<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, Balance, ValueQuery>;

    /// Sum of what attestors' owners have not collected.
    #[pallet::storage]
    pub type TotalAccrued<T: Config> = StorageValue<_, Balance, ValueQuery>;

    /// Which epochs each node claimed.
    #[pallet::storage]
    pub type Claimed<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, ClaimWindow, ValueQuery>;

    /// The last claim of each node.
    #[pallet::storage]
    pub type LastReward<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, Reward, OptionQuery>;

    /// State at genesis.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// The pallet's economics.
        pub parameters: RewardParameters,
        /// What is issued to the reserve, in whole CHR (JSON has no 128-bit numbers).
        pub reserve_chr: u64,
        #[serde(skip)]
        #[doc(hidden)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            assert!(self.parameters.is_valid(), "reward parameters are out of range: {:?}", self.parameters);
            Parameters::<T>::put(&self.parameters);
            Pallet::<T>::endow(self.reserve_chr).expect("the pallet's accounts can be endowed at genesis");
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(crate) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An escrow was filled.
        Deposited {
            /// The application.
            application: AccountId,
            /// Who paid.
            from: AccountId,
            /// How much.
            amount: Balance,
            /// The escrow now.
            balance: Balance,
        },
        /// An application wants tokens back.
        WithdrawalRequested {
            /// The application.
            application: AccountId,
            /// How much; 0 takes an earlier request back.
            amount: Balance,
            /// First epoch in which it may have them.
            from: QosEpoch,
        },
        /// An application has tokens back.
        Withdrawn {
            /// The application.
            application: AccountId,
            /// How much.
            amount: Balance,
        },
        /// An application paid for its usage of a node in an epoch.
        FeeSettled {
            /// The epoch.
            epoch: QosEpoch,
            /// The node.
            node: NodeId,
            /// The application.
            application: AccountId,
            /// What its escrow paid.
            amount: Balance,
        },
        /// A claim was paid.
        Claimed {
            /// The epoch.
            epoch: QosEpoch,
            /// The node.
            node: NodeId,
            /// Its owner, who was paid.
            owner: AccountId,
            /// The score, and what the owner got.
            payout: Payout,
            /// Part of the fees that was burnt.
            burnt: Balance,
        },
        /// An attestor earned its share of a claim.
        AttestorRewarded {
            /// The epoch.
            epoch: QosEpoch,
            /// The attestor.
            attestor: NodeId,
            /// How much its owner may collect for it.
            amount: Balance,
        },
        /// An owner collected what its attestors earned.
        Collected {
            /// The owner.
            owner: AccountId,
            /// How much.
            amount: Balance,
        },
        /// An epoch's emission was set aside.
        PoolOpened {
            /// The epoch.
            epoch: QosEpoch,
            /// For media nodes.
            media: Balance,
            /// For attestors.
            attestors: Balance,
        },
        /// A forgotten epoch's unclaimed emission is free again.
        PoolClosed {
            /// The epoch.
            epoch: QosEpoch,
            /// What was not earned or not claimed.
            unclaimed: Balance,
        },
        /// The parameters changed.
        ParametersChanged,
    }

    /// Why a call was refused.
    #[pallet::error]
    pub enum Error<T> {
        /// The amount is 0.
        NoAmount,
        /// The application has no escrow.
        NoEscrow,
        /// The escrow has less.
        EscrowTooLow,
        /// No withdrawal was requested.
        NoWithdrawal,
        /// The withdrawal's first epoch has not come.
        WithdrawalTooEarly,
        /// There is nothing to collect.
        NothingAccrued,
        /// The epoch is not over, or too old to be remembered.
        EpochNotClaimable,
        /// Roots may still come in for the epoch.
        WindowOpen,
        /// No such node is registered.
        NotRegistered,
        /// Only media nodes claim.
        NotMedia,
        /// The node is jailed.
        Jailed,
        /// The node was not registered in the epoch.
        NotRegisteredInEpoch,
        /// The epoch was claimed for the node.
        AlreadyClaimed,
        /// Until half of the time for claims is over only the node's owner and the node itself may claim, so that nobody spoils a claim
        /// by leaving out proofs.
        ReservedForOwner,
        /// There were no attestors in the epoch.
        NoCommittee,
        /// A proof's attestor is not in the node's committee.
        NotInCommittee,
        /// An attestor has more than one proof.
        DuplicateAttestor,
        /// An attestor sent no root for the epoch.
        NoRoot,
        /// A leaf is of another epoch or node.
        WrongLeaf,
        /// A leaf is not in the tree of the root that the attestor sent.
        InvalidProof,
        /// A member's usage leaves are not strictly ordered by application.
        UsageOutOfOrder,
        /// A member has more usage leaves than are taken.
        TooManyUsageLeaves,
        /// A score or uptime is out of range.
        OutOfRange,
        /// A number is too large.
        Overflow,
        /// The parameters are out of range.
        InvalidParameters,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Pays `amount` into the escrow of `application`.
        #[pallet::call_index(0)]
        #[pallet::weight(<T as Config>::WeightInfo::deposit())]
        pub fn deposit(
            origin: OriginFor<T>,
            application: AccountId,
            #[pallet::compact] amount: Balance,
        ) -> DispatchResult {
            let from = ensure_signed(origin)?;
            Self::do_deposit(from, application, amount)
        }

        /// Asks for `amount` of the sender's escrow back, after the delay that lets claims come first. Replaces an earlier
        /// request; 0 takes it back.
        #[pallet::call_index(1)]
        #[pallet::weight(<T as Config>::WeightInfo::request_withdraw())]
        pub fn request_withdraw(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
            let application = ensure_signed(origin)?;
            Self::do_request_withdraw(application, amount)
        }

        /// Pays out the withdrawal that the sender requested, as far as the escrow has it still.
        #[pallet::call_index(2)]
        #[pallet::weight(<T as Config>::WeightInfo::withdraw())]
        pub fn withdraw(origin: OriginFor<T>) -> DispatchResult {
            let application = ensure_signed(origin)?;
            Self::do_withdraw(application)
        }

        /// Claims `epoch` for `node` with the proofs of its committee; once, free on success. What the node's owner gets doesn't
        /// depend on who sends it, but until half of the time for claims is over only owner and node may.
        #[pallet::call_index(3)]
        #[pallet::weight({
            let (leaves, hashes) = settle::size(proofs);
            <T as Config>::WeightInfo::claim(proofs.len() as u32, leaves, hashes)
        })]
        pub fn claim(
            origin: OriginFor<T>,
            epoch: QosEpoch,
            node: NodeId,
            proofs: CommitteeProofs,
        ) -> DispatchResultWithPostInfo {
            let sender = ensure_signed(origin)?;
            let settlement = Self::settle(epoch, node, &proofs)?;
            Self::ensure_may_claim(&sender, epoch, &node, &settlement.owner)?;
            Self::pay(epoch, node, settlement)?;
            Ok(Pays::No.into())
        }

        /// Pays the sender what its attestors earned.
        #[pallet::call_index(4)]
        #[pallet::weight(<T as Config>::WeightInfo::collect())]
        pub fn collect(origin: OriginFor<T>) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::do_collect(owner)
        }

        /// Changes the economics, from the next epoch's pool and the next claim on.
        #[pallet::call_index(5)]
        #[pallet::weight(<T as Config>::WeightInfo::set_parameters())]
        pub fn set_parameters(origin: OriginFor<T>, parameters: RewardParameters) -> DispatchResult {
            T::AdminOrigin::ensure_origin(origin)?;
            ensure!(parameters.is_valid(), Error::<T>::InvalidParameters);
            Parameters::<T>::put(parameters);
            Self::deposit_event(Event::ParametersChanged);
            Ok(())
        }
    }
}
