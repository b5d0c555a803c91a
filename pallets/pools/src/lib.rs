//! The pools that nodes' pay goes to.
//!
//! The owner of a node sets rules: who shares its part of the pay, what commission it takes, and whether others may delegate tokens
//! to the node. Delegated tokens share in the pay and in the slashes of the node's bond, and count to nothing else: neither
//! capacity nor votes. Whatever the number of delegators, a pay, a slash, a claim of rewards each cost the same.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
pub mod delegation;
mod impls;
#[cfg(test)]
mod mock;
pub mod pool;
pub mod rules;
#[cfg(test)]
mod tests;
pub mod weights;

pub use delegation::{Delegation, DelegationInfo};
pub use pallet::*;
pub use pool::{Pool, PoolId};
pub use rules::{Beneficiary, CommissionRaise, Rules, SlashShares};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
    //! The pallet's interface.
    use super::*;
    use alloc::vec::Vec;
    use chroom_primitives::{AccountId, Balance, NodeId};
    use frame_support::{PalletId, pallet_prelude::*, traits::fungible::Inspect};
    use frame_system::pallet_prelude::*;
    use sp_runtime::Perbill;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// What the pallet needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config + pallet_chroom_nodes::Config {
        /// Names the account that holds what is delegated and the rewards that are not collected.
        #[pallet::constant]
        type PalletId: Get<PalletId>;
        /// Blocks between the announcement of a higher commission and its coming into force.
        #[pallet::constant]
        type NoticePeriod: Get<u32>;
        /// Smallest delegation, and smallest addition to one; at least the existential deposit.
        #[pallet::constant]
        type MinDelegation: Get<Balance>;
        /// Has its share of slashes.
        type Treasury: Get<AccountId>;
        /// How slashes are split.
        type SlashShares: Get<SlashShares>;
        /// Weights of the calls.
        type WeightInfo: WeightInfo;
    }

    /// The pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// The number of the next pool.
    #[pallet::storage]
    pub type NextPool<T: Config> = StorageValue<_, PoolId, ValueQuery>;

    /// The pool of each node whose owner set rules. After a change of a node's key both ids lead to the one pool.
    #[pallet::storage]
    pub type PoolOf<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, PoolId, OptionQuery>;

    /// All pools that serve a node or have delegators.
    #[pallet::storage]
    pub type Pools<T: Config> = StorageMap<_, Twox64Concat, PoolId, Pool, OptionQuery>;

    /// What each account delegated to which pool.
    #[pallet::storage]
    pub type Delegations<T: Config> =
        StorageDoubleMap<_, Blake2_128Concat, AccountId, Twox64Concat, PoolId, Delegation, OptionQuery>;

    /// State at genesis: the pallet's account exists.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        #[serde(skip)]
        #[doc(hidden)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            Pallet::<T>::endow().expect("the pallet's account can be endowed at genesis");
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(crate) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An owner set its pool's rules.
        RulesSet {
            /// The node.
            node: NodeId,
            /// Its pool.
            pool: PoolId,
            /// The rules that hold from now on.
            rules: Rules,
            /// The commission to come, if it is higher.
            raise: Option<CommissionRaise>,
        },
        /// An account delegated to a node.
        Delegated {
            /// The node.
            node: NodeId,
            /// Its pool.
            pool: PoolId,
            /// The account.
            who: AccountId,
            /// How much.
            amount: Balance,
        },
        /// Part of a delegation, or all of it, began to leave.
        Undelegated {
            /// The pool.
            pool: PoolId,
            /// The account.
            who: AccountId,
            /// What that part is worth now.
            amount: Balance,
            /// First block in which all that is leaving of the delegation may be withdrawn.
            free_from: u32,
        },
        /// An account withdrew what had left, with the rewards that it had not collected.
        Withdrawn {
            /// The pool.
            pool: PoolId,
            /// The account.
            who: AccountId,
            /// What had left.
            amount: Balance,
            /// The rewards.
            rewards: Balance,
        },
        /// An account collected rewards.
        Collected {
            /// The pool.
            pool: PoolId,
            /// The account.
            who: AccountId,
            /// How much.
            amount: Balance,
        },
        /// A node's pay was split by the rules of its pool.
        Paid {
            /// The node.
            node: NodeId,
            /// Its pool.
            pool: PoolId,
            /// What the delegators earned.
            delegators: Balance,
            /// What the beneficiaries got.
            beneficiaries: Balance,
            /// What the owner got.
            owner: Balance,
        },
        /// What was delegated to a node was slashed with its bond.
        Slashed {
            /// The node.
            node: NodeId,
            /// Its pool.
            pool: PoolId,
            /// How much was taken.
            amount: Balance,
            /// Who reported, if anybody.
            reporter: Option<AccountId>,
        },
        /// A pool no longer serves a node: its delegators may withdraw at once.
        Retired {
            /// The node.
            node: NodeId,
            /// What was its pool.
            pool: PoolId,
        },
        /// A pool serves a node that took the place of another.
        HandedOver {
            /// The node that it served.
            node: NodeId,
            /// The one that it serves.
            successor: NodeId,
            /// The pool.
            pool: PoolId,
        },
    }

    /// Why a call was refused.
    #[pallet::error]
    pub enum Error<T> {
        /// No such node is registered.
        NotRegistered,
        /// Only the node's owner may do this.
        NotOwner,
        /// A beneficiary's share is 0.
        EmptyShare,
        /// The beneficiaries' shares come to more than the whole.
        TooMuchShared,
        /// An account is named as beneficiary more than once.
        DuplicateBeneficiary,
        /// The node is leaving or jailed.
        NotInService,
        /// The node's owner takes no delegations.
        Closed,
        /// The commission, or one that was announced, is higher than the sender agrees to.
        CommissionTooHigh,
        /// The amount is below the smallest delegation.
        BelowMinimum,
        /// The rest would be below the smallest delegation: all of it may leave.
        RestBelowMinimum,
        /// The account has nothing in the pool.
        NoDelegation,
        /// The amount is 0, or all of the delegation is leaving already.
        NothingToUndelegate,
        /// Nothing is leaving the pool for the account.
        NothingLeaving,
        /// What is leaving may not be withdrawn yet.
        StillLeaving,
        /// The account has no rewards to collect.
        NothingToCollect,
        /// A number is too large.
        Overflow,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            let SlashShares { reporter, treasury } = T::SlashShares::get();
            assert!(
                reporter.deconstruct().saturating_add(treasury.deconstruct()) <= Perbill::one().deconstruct(),
                "more than a slash would be given away",
            );
            let minimum = <T as Config>::MinDelegation::get();
            assert!(
                minimum > 0 && minimum >= <T as pallet_chroom_nodes::Config>::Currency::minimum_balance(),
                "a delegation must be worth an entry, and be enough to be paid back to an empty account",
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Sets the rules of the pool of a node that the sender owns. They hold at once, but for a higher commission, which holds after
        /// [`Config::NoticePeriod`], unless the pool is closed and has no delegators. An announcement that is not repeated is
        /// taken back.
        #[pallet::call_index(0)]
        #[pallet::weight(<T as Config>::WeightInfo::set_rules(rules.beneficiaries.len() as u32))]
        pub fn set_rules(origin: OriginFor<T>, node: NodeId, rules: Rules) -> DispatchResult {
            let sender = ensure_signed(origin)?;
            Self::check_rules(&rules)?;
            Self::do_set_rules(sender, node, rules)
        }

        /// Delegates `amount` of the sender's tokens to a node that is in service and takes delegations. They earn from the next pay
        /// on. Refused if the commission, or one that was announced, is higher than `max_commission`.
        #[pallet::call_index(1)]
        #[pallet::weight(<T as Config>::WeightInfo::delegate())]
        pub fn delegate(
            origin: OriginFor<T>,
            node: NodeId,
            #[pallet::compact] amount: Balance,
            max_commission: Perbill,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_delegate(who, node, amount, max_commission)
        }

        /// Lets `amount` of the sender's delegation to `pool` leave; all of it, if it is worth no more. It earns nothing from now on, and
        /// can be slashed until it may be withdrawn: after the unbonding period of nodes, but no later than the node's own bond,
        /// and at once if the node is gone. What is leaving already starts anew with it.
        #[pallet::call_index(2)]
        #[pallet::weight(<T as Config>::WeightInfo::undelegate())]
        pub fn undelegate(origin: OriginFor<T>, pool: PoolId, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_undelegate(who, pool, amount)
        }

        /// Pays the sender what has left `pool`, and its rewards. If the pool serves no node any more, all of the delegation has left.
        #[pallet::call_index(3)]
        #[pallet::weight(<T as Config>::WeightInfo::withdraw_delegation())]
        pub fn withdraw_delegation(origin: OriginFor<T>, pool: PoolId) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_withdraw(who, pool)
        }

        /// Pays the sender the rewards of its delegation to `pool`.
        #[pallet::call_index(4)]
        #[pallet::weight(<T as Config>::WeightInfo::collect())]
        pub fn collect(origin: OriginFor<T>, pool: PoolId) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_collect(who, pool)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The pool that serves a node, if its owner ever set rules.
        pub fn pool_of(node: NodeId) -> Option<PoolId> {
            Self::serving(&node).map(|(id, _)| id)
        }

        /// The rules by which a node's pay is split in this block.
        pub fn rules(node: NodeId) -> Rules {
            let now = pallet_chroom_nodes::Pallet::<T>::now();
            Self::serving(&node)
                .map(|(_, pool)| Rules { commission: pool.commission(now), ..pool.rules })
                .unwrap_or_default()
        }

        /// The higher commission that was announced for a node and does not hold yet.
        pub fn announced_raise(node: NodeId) -> Option<CommissionRaise> {
            let now = pallet_chroom_nodes::Pallet::<T>::now();
            Self::serving(&node).and_then(|(_, pool)| pool.raise).filter(|raise| raise.from > now)
        }

        /// A pool: its stake, shares, rewards and number of delegators.
        pub fn pool(pool: PoolId) -> Option<Pool> {
            Pools::<T>::get(pool)
        }

        /// What an account has in a pool now.
        pub fn delegation(pool: PoolId, who: AccountId) -> Option<DelegationInfo> {
            let delegation = Delegations::<T>::get(who, pool)?;
            Pools::<T>::get(pool).map(|state| delegation.info(pool, &state))
        }

        /// What an account has in all pools now, at most `limit` of them and never more than 1,000, from the one after `after` on in
        /// the order of storage.
        pub fn delegations_of(who: AccountId, after: Option<PoolId>, limit: u32) -> Vec<DelegationInfo> {
            Self::page_of_delegations(who, after, limit)
        }
    }
}
