//! Registration of media nodes, orchestrators and registry nodes.
//!
//! An operator (the owner) registers a node with a bond on hold and a proof that the node's key agrees. The pallet keeps
//! what others need in O(1): counters by role, the weight of all active media nodes, the list of active registry nodes (the attestors),
//! and for each media node the terms that held in each recent QoS epoch.
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
pub use types::{CreditOf, Discipline, EpochClock, GenesisNode, NodeInfo, NodeParameters, OnNodeRemoved, Terms};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
    //! The pallet's interface.

    // A registration has nine attributes, and the macro repeats the call's arguments.
    #![allow(clippy::too_many_arguments)]

    use super::*;
    use alloc::vec::Vec;
    use chroom_primitives::{
        AccountId, Balance, CapacityClass, Endpoint, EthereumSignature, H3Cell, Hash, NodeId, NodeStatus, Role,
        evidence::RecordEquivocation, record::KeyProof,
    };
    use frame_support::{
        pallet_prelude::*,
        traits::{OnUnbalanced, fungible},
    };
    use frame_system::pallet_prelude::*;
    use types::MAX_EPOCH_RING;

    /// What the pallet needs of the runtime.
    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, Hash = Hash> {
        /// The native token.
        type Currency: fungible::Mutate<AccountId, Balance = Balance>
            + fungible::Balanced<AccountId>
            + fungible::MutateHold<AccountId, Reason = Self::RuntimeHoldReason>
            + fungible::BalancedHold<AccountId>;
        /// The runtime's hold reasons.
        type RuntimeHoldReason: From<HoldReason>;
        /// The current QoS epoch.
        type Epochs: EpochClock;
        /// Takes the part of a slashed bond that the reporter doesn't get.
        type Slashed: OnUnbalanced<CreditOf<Self>>;
        /// Learns of withdrawn nodes.
        type OnRemoved: OnNodeRemoved;
        /// May change the parameters.
        type AdminOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Most blocks for which a key proof may be good.
        #[pallet::constant]
        type KeyProofLifetime: Get<u32>;
        /// Most active registry nodes.
        #[pallet::constant]
        type MaxRegistries: Get<u32>;
        /// Number of QoS epochs that the chain remembers, the current one included; 3 to 128.
        #[pallet::constant]
        type EpochRing: Get<u32>;
        /// Weights of the calls.
        type WeightInfo: WeightInfo;
    }

    /// The pallet.
    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// Why tokens of an account are on hold.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// The bonds of the account's nodes.
        Bond,
    }

    /// Bonds and periods.
    #[pallet::storage]
    pub type Parameters<T: Config> = StorageValue<_, NodeParameters, ValueQuery>;

    /// All registered nodes.
    #[pallet::storage]
    pub type Nodes<T: Config> = CountedStorageMap<_, Blake2_128Concat, NodeId, NodeInfo>;

    /// The nodes of each owner.
    #[pallet::storage]
    pub type OwnedNodes<T: Config> =
        StorageDoubleMap<_, Blake2_128Concat, AccountId, Blake2_128Concat, NodeId, (), OptionQuery>;

    /// How often a node was registered, which is the nonce of its next key proof. Never removed, so that no proof works twice.
    #[pallet::storage]
    pub type KeyProofNonces<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, u32, ValueQuery>;

    /// Number of active nodes by role.
    #[pallet::storage]
    pub type ActiveNodes<T: Config> = StorageMap<_, Twox64Concat, Role, u32, ValueQuery>;

    /// Weight of all active media nodes.
    #[pallet::storage]
    pub type ActiveMediaWeight<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// The active registry nodes, in order.
    #[pallet::storage]
    pub type ActiveRegistries<T: Config> = StorageValue<_, BoundedVec<NodeId, T::MaxRegistries>, ValueQuery>;

    /// Changes whenever the list of active registry nodes does.
    #[pallet::storage]
    pub type RegistrySet<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// Grows by one with each change to a registration: who follows the register may skip blocks in which it stays.
    #[pallet::storage]
    pub type Generation<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// On what terms each media node served, back to the oldest epoch that the chain remembers; ordered by epoch.
    #[pallet::storage]
    pub type TermsHistory<T: Config> =
        StorageMap<_, Blake2_128Concat, NodeId, BoundedVec<Terms, ConstU32<{ MAX_EPOCH_RING + 2 }>>, ValueQuery>;

    /// Sequence number of the newest record that each node was punished for: evidence up to it is spent.
    #[pallet::storage]
    pub type Punished<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, u64, OptionQuery>;

    /// State at genesis.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Bonds and periods.
        pub parameters: NodeParameters,
        /// Nodes that exist from genesis on, each with the smallest bond of its role and class.
        pub nodes: Vec<GenesisNode>,
        #[serde(skip)]
        #[doc(hidden)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            Parameters::<T>::put(&self.parameters);
            for node in &self.nodes {
                Pallet::<T>::register_at_genesis(node).expect("genesis nodes are valid and their owners can bond");
            }
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(crate) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A node was registered.
        Registered {
            /// The node.
            node: NodeId,
            /// The account that bonded.
            owner: AccountId,
            /// What the node does.
            role: Role,
            /// The bond.
            bond: Balance,
        },
        /// A registration's attributes changed.
        Updated {
            /// The node.
            node: NodeId,
        },
        /// A bond was raised.
        BondAdded {
            /// The node.
            node: NodeId,
            /// By how much.
            amount: Balance,
            /// The bond now.
            bond: Balance,
        },
        /// A node's status changed.
        StatusChanged {
            /// The node.
            node: NodeId,
            /// The new status.
            status: NodeStatus,
            /// First block at which an unbonding node may be withdrawn or a jailed one may resume; 0 otherwise.
            until: u32,
        },
        /// A node was withdrawn and its bond released.
        Withdrawn {
            /// The node.
            node: NodeId,
            /// The account that has its bond back.
            owner: AccountId,
            /// The bond.
            bond: Balance,
        },
        /// A bond was slashed.
        Slashed {
            /// The node.
            node: NodeId,
            /// How much was taken.
            amount: Balance,
            /// Who reported, if anybody.
            reporter: Option<AccountId>,
        },
        /// The parameters changed.
        ParametersChanged,
    }

    /// Why a call was refused.
    #[pallet::error]
    pub enum Error<T> {
        /// The node is registered already.
        AlreadyRegistered,
        /// No such node is registered.
        NotRegistered,
        /// Only the node's owner may do this.
        NotOwner,
        /// Only the node's owner or the node itself may do this.
        NotOwnerOrNode,
        /// The bond is smaller than role and class ask for.
        BondTooLow,
        /// The endpoint is not `host:port`.
        InvalidEndpoint,
        /// The cell is not an H3 cell of resolution 0 to 7.
        InvalidCell,
        /// The price is above the maximum, or set for a node that is no media node.
        InvalidPrice,
        /// The key proof's last block is past.
        KeyProofExpired,
        /// The key proof's last block is too far ahead.
        KeyProofTooLong,
        /// The key proof is not the node's signature over this owner, role, nonce and expiry on this chain.
        InvalidKeyProof,
        /// The status doesn't allow it.
        WrongStatus,
        /// The unbonding period is not over.
        StillUnbonding,
        /// The jail period is not over.
        StillJailed,
        /// There are as many active registry nodes as there may be.
        TooManyRegistries,
        /// The evidence doesn't show two contradicting records of one signer.
        InvalidEvidence,
        /// The node was punished for this or a newer record.
        EvidenceSpent,
        /// A number is too large.
        Overflow,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(
                (3..=MAX_EPOCH_RING).contains(&T::EpochRing::get()),
                "the ring must hold the epoch measured, the one attested and one to claim, and the histories are made for {MAX_EPOCH_RING}",
            );
            assert!(T::MaxRegistries::get() > 0, "without registry nodes nothing is attested");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Registers `node` for the sender, whose `bond` goes on hold.
        ///
        /// `key_proof` is the node's signature (`personal_sign` over the digest) of a [`KeyProof`] with these values, the
        /// node's current nonce and `expires_at`, the last block at which it may be used.
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::register(T::MaxRegistries::get()))]
        pub fn register(
            origin: OriginFor<T>,
            node: NodeId,
            role: Role,
            class: CapacityClass,
            cell: H3Cell,
            endpoint: Endpoint,
            #[pallet::compact] price_per_gib: Balance,
            #[pallet::compact] bond: Balance,
            expires_at: u32,
            key_proof: EthereumSignature,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            ensure!(!Nodes::<T>::contains_key(node), Error::<T>::AlreadyRegistered);
            let nonce = KeyProofNonces::<T>::get(node);
            let proof = KeyProof { node, owner: owner.clone(), role, nonce, expires_at };
            Self::check_key_proof(proof, key_proof)?;
            let info = NodeInfo {
                owner,
                role,
                status: NodeStatus::Active,
                class,
                cell,
                endpoint,
                bond,
                price_per_gib,
                registered_at: Self::now(),
                until: 0,
            };
            Self::do_register(node, info)
        }

        /// Changes attributes of a node; `None` leaves one as it is. Class and price hold from the next QoS epoch on.
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::update())]
        pub fn update(
            origin: OriginFor<T>,
            node: NodeId,
            class: Option<CapacityClass>,
            cell: Option<H3Cell>,
            endpoint: Option<Endpoint>,
            price_per_gib: Option<Balance>,
        ) -> DispatchResult {
            let sender = ensure_signed(origin)?;
            let before = Self::owned(&sender, &node)?;
            ensure!(before.status.is_member(), Error::<T>::WrongStatus);
            let after = NodeInfo {
                class: class.unwrap_or(before.class),
                cell: cell.unwrap_or(before.cell),
                endpoint: endpoint.unwrap_or_else(|| before.endpoint.clone()),
                price_per_gib: price_per_gib.unwrap_or(before.price_per_gib),
                ..before.clone()
            };
            Self::check_attributes(&after)?;
            Self::replace(node, Some(before), Some(after))?;
            Self::deposit_event(Event::Updated { node });
            Ok(())
        }

        /// Raises a node's bond by `amount`.
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::add_bond())]
        pub fn add_bond(origin: OriginFor<T>, node: NodeId, #[pallet::compact] amount: Balance) -> DispatchResult {
            let sender = ensure_signed(origin)?;
            let before = Self::owned(&sender, &node)?;
            ensure!(before.status != NodeStatus::Unbonding, Error::<T>::WrongStatus);
            let bond = before.bond.checked_add(amount).ok_or(Error::<T>::Overflow)?;
            Self::hold(&sender, amount)?;
            let after = NodeInfo { bond, ..before.clone() };
            Self::replace(node, Some(before), Some(after))?;
            Self::deposit_event(Event::BondAdded { node, amount, bond });
            Ok(())
        }

        /// Takes a node out of allocation; what it carries goes on. By the owner or the node itself.
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::set_status(T::MaxRegistries::get()))]
        pub fn drain(origin: OriginFor<T>, node: NodeId) -> DispatchResult {
            let before = Self::controlled(&ensure_signed(origin)?, &node)?;
            ensure!(before.status == NodeStatus::Active, Error::<T>::WrongStatus);
            Self::change_status(node, before, NodeStatus::Draining, 0)
        }

        /// Puts a draining node, or one whose jail period is over, back into service. By the owner or the node itself.
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::set_status(T::MaxRegistries::get()))]
        pub fn resume(origin: OriginFor<T>, node: NodeId) -> DispatchResult {
            let before = Self::controlled(&ensure_signed(origin)?, &node)?;
            match before.status {
                NodeStatus::Draining => {}
                NodeStatus::Jailed => ensure!(Self::now() >= before.until, Error::<T>::StillJailed),
                NodeStatus::Active | NodeStatus::Unbonding => return Err(Error::<T>::WrongStatus.into()),
            }
            let minimum = Parameters::<T>::get().minimum_bond(before.role, before.class);
            ensure!(before.bond >= minimum, Error::<T>::BondTooLow);
            Self::change_status(node, before, NodeStatus::Active, 0)
        }

        /// Takes a node out of service for good; its bond stays on hold until the unbonding period is over.
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::set_status(T::MaxRegistries::get()))]
        pub fn unbond(origin: OriginFor<T>, node: NodeId) -> DispatchResult {
            let before = Self::owned(&ensure_signed(origin)?, &node)?;
            ensure!(before.status != NodeStatus::Unbonding, Error::<T>::WrongStatus);
            // A jail period that is longer than the unbonding period is not cut short by leaving.
            let until = Self::now().saturating_add(Parameters::<T>::get().unbonding_period).max(before.until);
            Self::change_status(node, before, NodeStatus::Unbonding, until)
        }

        /// Removes a node whose unbonding period is over and releases its bond.
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::withdraw(T::MaxRegistries::get()))]
        pub fn withdraw(origin: OriginFor<T>, node: NodeId) -> DispatchResult {
            let before = Self::owned(&ensure_signed(origin)?, &node)?;
            ensure!(before.status == NodeStatus::Unbonding, Error::<T>::WrongStatus);
            ensure!(Self::now() >= before.until, Error::<T>::StillUnbonding);
            let (owner, bond) = (before.owner.clone(), before.bond);
            Self::release(&owner, bond)?;
            Self::replace(node, Some(before), None)?;
            T::OnRemoved::removed(&node);
            Self::deposit_event(Event::Withdrawn { node, owner, bond });
            Ok(())
        }

        /// Shows two records of one node with one sequence number and different contents: the node is slashed and jailed, the
        /// sender has a share. Free if the evidence holds.
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::report_equivocation(T::MaxRegistries::get()))]
        pub fn report_equivocation(
            origin: OriginFor<T>,
            evidence: alloc::boxed::Box<RecordEquivocation>,
        ) -> DispatchResultWithPostInfo {
            let reporter = ensure_signed(origin)?;
            let genesis = Self::genesis_hash();
            let node = evidence.offender(&genesis).ok_or(Error::<T>::InvalidEvidence)?;
            ensure!(Nodes::<T>::contains_key(node), Error::<T>::NotRegistered);
            let seq = evidence.first.payload.seq;
            ensure!(Punished::<T>::get(node).is_none_or(|spent| seq > spent), Error::<T>::EvidenceSpent);
            Punished::<T>::insert(node, seq);
            <Self as Discipline>::slash(&node, Parameters::<T>::get().equivocation_slash, Some(&reporter));
            Ok(Pays::No.into())
        }

        /// Changes bonds and periods. Bonds that are on hold stay as they are.
        #[pallet::call_index(8)]
        #[pallet::weight(T::WeightInfo::set_parameters())]
        pub fn set_parameters(origin: OriginFor<T>, parameters: NodeParameters) -> DispatchResult {
            T::AdminOrigin::ensure_origin(origin)?;
            Parameters::<T>::put(parameters);
            Self::deposit_event(Event::ParametersChanged);
            Ok(())
        }
    }
}
