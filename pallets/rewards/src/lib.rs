//! Pay for proven quality.
//!
//! Applications prepay into escrows and say which orchestrators may spend from them. For an epoch that is over, a media node
//! claims with the Merkle proofs of its committee: its score is the committee's median, an absent proof counting as 0; usage fees come
//! from the escrows, an availability subsidy from the epoch's emission, by capacity and score. A claim's cost doesn't depend on the number of
//! nodes, and no hook loops over nodes. Nothing is ever issued: epochs emit a share of what the reserve has left.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod attestor;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod escrow;
mod impls;
mod ledger;
#[cfg(test)]
mod mock;
mod parameters;
mod pools;
mod settle;
mod size;
#[cfg(test)]
mod tests;
pub mod weights;
mod window;

pub use escrow::{Authorization, Escrow, EscrowStatus, MAX_AUTHORIZATIONS, Withdrawal};
pub use ledger::{EpochLedger, MAX_ATTESTORS};
pub use pallet::*;
pub use parameters::{ClaimTerms, RewardParameters};
pub use pools::{OwnerOnly, PoolWeights};
pub use settle::{GIB, MAX_USAGE_LEAVES, Purse, Settlement};
pub use weights::WeightInfo;
pub use window::{ClaimWindow, NodeClaims, Reward};

#[frame_support::pallet]
pub mod pallet {
    //! The pallet's interface.
    use super::*;
    use alloc::vec::Vec;
    use chroom_primitives::{
        AccountId, Balance, NodeId, QosEpoch,
        pool::NodePools,
        runtime_api::{MemberProof, Payout},
    };
    use frame_support::{PalletId, dispatch::PostDispatchInfo, pallet_prelude::*};
    use frame_system::pallet_prelude::*;
    use pallet_chroom_qos::types::MAX_COMMITTEE;
    use size::ClaimSize;

    /// The proofs of a committee, each member's at most once.
    pub type CommitteeProofs = BoundedVec<MemberProof, ConstU32<MAX_COMMITTEE>>;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// What the pallet needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config + pallet_chroom_qos::Config {
        /// Names the accounts of escrows, reserve and pot.
        #[pallet::constant]
        type PalletId: Get<PalletId>;
        /// Takes in what media nodes are paid.
        type Pools: NodePools;
        /// What that weighs.
        type PoolWeights: PoolWeights;
        /// The account that the validators' share of the emission goes to.
        type ValidatorPot: Get<AccountId>;
        /// The account that the treasury's share of the emission goes to.
        type Treasury: Get<AccountId>;
        /// Weights of the calls.
        type WeightInfo: WeightInfo;
    }

    /// The pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// The pallet's economics.
    #[pallet::storage]
    pub type Parameters<T: Config> = StorageValue<_, RewardParameters, ValueQuery>;

    /// What applications prepaid.
    #[pallet::storage]
    pub type Escrows<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, Escrow, OptionQuery>;

    /// The books of the remembered epochs.
    #[pallet::storage]
    pub type Ledgers<T: Config> = StorageMap<_, Twox64Concat, QosEpoch, EpochLedger, OptionQuery>;

    /// What orchestrators' owners earned and have not collected.
    #[pallet::storage]
    pub type Accrued<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, Balance, ValueQuery>;

    /// What each node claimed.
    #[pallet::storage]
    pub type Claims<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, NodeClaims, OptionQuery>;

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
            /// First epoch in which the request has lapsed.
            until: QosEpoch,
        },
        /// An application has tokens back.
        Withdrawn {
            /// The application.
            application: AccountId,
            /// How much.
            amount: Balance,
        },
        /// An application said up to which price an orchestrator may spend from its escrow.
        Authorized {
            /// The application.
            application: AccountId,
            /// The orchestrator.
            orchestrator: NodeId,
            /// The highest price in the smallest unit per GiB; 0 if it may spend nothing any more.
            price: Balance,
            /// First epoch whose usage it holds for.
            from: QosEpoch,
        },
        /// An application paid for its usage of a node in an epoch.
        FeeSettled {
            /// The epoch.
            epoch: QosEpoch,
            /// The node.
            node: NodeId,
            /// The application.
            application: AccountId,
            /// Who granted the sessions.
            orchestrator: NodeId,
            /// What its escrow paid.
            amount: Balance,
        },
        /// A claim was paid.
        Claimed {
            /// The epoch.
            epoch: QosEpoch,
            /// The node.
            node: NodeId,
            /// Its owner.
            owner: AccountId,
            /// The score, and what the node's pool got.
            payout: Payout,
            /// Part of the fees that is burnt when the epoch's ledger is closed.
            burnt: Balance,
        },
        /// An attestor's owner was paid what the attestor earned in epochs that are beyond dispute.
        AttestorPaid {
            /// The attestor.
            attestor: NodeId,
            /// Its owner.
            owner: AccountId,
            /// How much.
            amount: Balance,
        },
        /// An attestor lost what it had earned in an epoch: it is the reserve's again when the epoch's ledger is closed.
        EarningsForfeited {
            /// The epoch.
            epoch: QosEpoch,
            /// The attestor.
            attestor: NodeId,
            /// How much.
            amount: Balance,
        },
        /// An owner collected what its orchestrators earned.
        Collected {
            /// The owner.
            owner: AccountId,
            /// How much.
            amount: Balance,
        },
        /// An epoch's emission left the reserve.
        Emitted {
            /// The epoch.
            epoch: QosEpoch,
            /// For media nodes.
            media: Balance,
            /// For attestors.
            attestors: Balance,
            /// For validators; they have it.
            validators: Balance,
            /// For the treasury; it has it.
            treasury: Balance,
        },
        /// An epoch was forgotten, and its ledger closed.
        LedgerClosed {
            /// The epoch.
            epoch: QosEpoch,
            /// Part of its fees that was burnt.
            burnt: Balance,
            /// What went to the reserve: its share of the fees, and what was not earned or not claimed.
            returned: Balance,
        },
        /// The parameters changed.
        ParametersChanged,
    }

    /// Why a call was refused.
    #[pallet::error]
    pub enum Error<T> {
        /// The amount is 0.
        NoAmount,
        /// The escrow would hold less than the smallest account.
        DepositTooSmall,
        /// The application has no escrow.
        NoEscrow,
        /// The escrow has less.
        EscrowTooLow,
        /// No withdrawal was requested.
        NoWithdrawal,
        /// The withdrawal's first epoch has not come.
        WithdrawalTooEarly,
        /// The request was not followed up in time; it takes a new one.
        WithdrawalLapsed,
        /// The orchestrator may spend nothing anyway.
        NotAuthorized,
        /// As many orchestrators are authorised as may be.
        TooManyOrchestrators,
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
        /// The node was not registered when the epoch began.
        NotRegisteredInEpoch,
        /// The epoch was claimed for the node.
        AlreadyClaimed,
        /// Until half of the time for claims is over only the node's owner and the node itself may claim.
        ReservedForOwner,
        /// Others than owner and node claim with the proofs of all members that sent their roots, so that nobody spoils a claim; while
        /// roots may still come in, owner and node too.
        ProofsMissing,
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
        /// A leaf is another attestor's: its tree was copied.
        ForeignLeaf,
        /// A leaf is not in the tree of the root that the attestor sent.
        InvalidProof,
        /// A member's usage leaves are not strictly ordered by application and orchestrator.
        UsageOutOfOrder,
        /// A member has more usage leaves than are taken.
        TooManyUsageLeaves,
        /// A score or uptime is out of range.
        OutOfRange,
        /// A number is too large, or a ledger has less than it owes: nothing is done.
        Overflow,
        /// The parameters are out of range.
        InvalidParameters,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(T::MaxRegistries::get() <= MAX_ATTESTORS, "a ledger has places for {MAX_ATTESTORS} attestors");
        }

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

        /// Pays out the withdrawal that the sender requested, as far as the escrow has it still; before the request lapses, which is
        /// as long after its first epoch as that was after the request.
        #[pallet::call_index(2)]
        #[pallet::weight(<T as Config>::WeightInfo::withdraw())]
        pub fn withdraw(origin: OriginFor<T>) -> DispatchResult {
            let application = ensure_signed(origin)?;
            Self::do_withdraw(application)
        }

        /// Claims `epoch` for `node` with the proofs of its committee; once, free on success. What the node's pool gets doesn't
        /// depend on who sends it, but until half of the time for claims is over only owner and node may, and others only with every
        /// proof that there is.
        #[pallet::call_index(3)]
        #[pallet::weight(ClaimSize::of(proofs).most::<T>())]
        pub fn claim(
            origin: OriginFor<T>,
            epoch: QosEpoch,
            node: NodeId,
            proofs: CommitteeProofs,
        ) -> DispatchResultWithPostInfo {
            let sender = ensure_signed(origin)?;
            let settlement = Self::settle(epoch, node, &proofs)?;
            Self::ensure_may_claim(&sender, epoch, &node, &settlement)?;
            let weight = ClaimSize::of(&proofs).spent::<T>(settlement.used, &node);
            Self::pay(epoch, node, settlement)?;
            Ok(PostDispatchInfo { actual_weight: Some(weight), pays_fee: Pays::No })
        }

        /// Pays the sender what its orchestrators earned.
        #[pallet::call_index(4)]
        #[pallet::weight(<T as Config>::WeightInfo::collect())]
        pub fn collect(origin: OriginFor<T>) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::do_collect(owner)
        }

        /// Changes the economics, from the next epoch on.
        #[pallet::call_index(5)]
        #[pallet::weight(<T as Config>::WeightInfo::set_parameters())]
        pub fn set_parameters(origin: OriginFor<T>, parameters: RewardParameters) -> DispatchResult {
            T::AdminOrigin::ensure_origin(origin)?;
            ensure!(parameters.is_valid(), Error::<T>::InvalidParameters);
            Parameters::<T>::put(parameters);
            Self::deposit_event(Event::ParametersChanged);
            Ok(())
        }

        /// Lets `orchestrator` spend from the sender's escrow at nodes up to `max_price_per_gib`; at dearer ones the escrow pays that
        /// price. Without one, or with 0, it may spend nothing any more. A higher price holds for the current epoch, a lower one from the next
        /// on. Orchestrators that the sender's account owns need no authorisation.
        #[pallet::call_index(6)]
        #[pallet::weight(<T as Config>::WeightInfo::authorize())]
        pub fn authorize(
            origin: OriginFor<T>,
            orchestrator: NodeId,
            max_price_per_gib: Option<Balance>,
        ) -> DispatchResult {
            let application = ensure_signed(origin)?;
            Self::do_authorize(application, orchestrator, max_price_per_gib.unwrap_or_default())
        }

        /// Pays the owner of `attestor` what it earned in the epochs of the ring's second half, in which no dispute is to be expected any
        /// more. Anybody may send it. What is not collected when the ring drops an epoch is the reserve's.
        #[pallet::call_index(7)]
        #[pallet::weight(<T as Config>::WeightInfo::collect_attestor(T::EpochRing::get().div_ceil(2)))]
        pub fn collect_attestor(origin: OriginFor<T>, attestor: NodeId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_collect_attestor(attestor)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// What an application's escrow is good for.
        pub fn escrow_status(application: AccountId) -> EscrowStatus {
            Self::status_of(application)
        }

        /// The highest price for usage in `epoch` that an application lets an orchestrator agree to; 0 if it was not authorised or there is
        /// no escrow. For an orchestrator of the application's own account there is no limit: the greatest number.
        pub fn price_limit(application: AccountId, orchestrator: NodeId, epoch: QosEpoch) -> Balance {
            Self::price_limit_of(application, orchestrator, epoch)
        }

        /// Epochs in which `node` was registered and that it has not claimed though it could, oldest first.
        pub fn claimable_epochs(node: NodeId) -> Vec<QosEpoch> {
            Self::claimable_of(node)
        }

        /// What `attestor` earned in each remembered epoch and was not paid, oldest first.
        pub fn attestor_earnings(attestor: NodeId) -> Vec<(QosEpoch, Balance)> {
            Self::earnings_of(attestor)
        }

        /// What an owner's orchestrators earned and it has not collected.
        pub fn accrued(owner: AccountId) -> Balance {
            Accrued::<T>::get(owner)
        }
    }
}
