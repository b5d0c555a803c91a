//! Registration of media nodes, orchestrators and registry nodes.
//!
//! An operator (the owner) registers a node with a bond on hold and a proof that the node's key agrees, or has its EVM wallet sign typed
//! data with which the node registers itself. The pallet keeps what others need in O(1): counters by role, the weight of all active
//! media nodes, the list of active registry nodes (the attestors), and for each media node the terms that held in each recent QoS epoch.
//!
//! What is on hold stays slashable until it is withdrawn: the bond, parts of it that unbond, and, after a rotation of the key, the
//! successor's bond for what the old key signed.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod bond;
mod discipline;
mod impls;
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod invariants;
#[cfg(test)]
mod mock;
mod registration;
mod rotation;
mod terms;
#[cfg(test)]
mod tests;
pub mod types;
pub mod weights;

pub use pallet::*;
pub use types::{
    CreditOf, Discipline, EpochClock, GenesisNode, NodeInfo, NodeParameters, OnNodeRemoved, Terms, UnbondingChunk,
};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
    //! The pallet's interface.

    // A registration has nine attributes, and the macro repeats the call's arguments.
    #![allow(clippy::too_many_arguments)]

    use super::*;
    use alloc::vec::Vec;
    use chroom_primitives::{
        AccountId, Balance, CapacityClass, Endpoint, EthereumSignature, H3Cell, Hash, NodeId, NodeStatus, QosEpoch,
        Role,
        evidence::RecordEquivocation,
        pool::OnBondSlashed,
        record::{KeyProof, Registration, seq_time},
        typed_data::NodeRegistration,
    };
    use frame_support::{
        pallet_prelude::*,
        traits::{Time, fungible},
    };
    use frame_system::pallet_prelude::*;
    use types::{Chunks, MAX_CLOCK_LEAD_MS, MAX_EPOCH_RING, NewNode};

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
        /// The chain's clock, Unix time in milliseconds.
        type Time: Time<Moment = u64>;
        /// Gets the treasury's share of what is slashed.
        type Treasury: Get<AccountId>;
        /// Learns of slashed bonds.
        type OnSlashed: OnBondSlashed;
        /// Learns of withdrawn nodes and of rotated keys.
        type OnRemoved: OnNodeRemoved;
        /// May change the parameters.
        type AdminOrigin: EnsureOrigin<Self::RuntimeOrigin>;
        /// Most blocks for which a key proof or an owner's authorisation may be good.
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

    /// The version of the storage's form, for migrations.
    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// The pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// Why tokens of an account are on hold.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// The bonds of the account's nodes.
        Bond,
        /// The deposits for the storage of its nodes' registrations.
        Deposit,
    }

    /// Bonds, deposit, periods and shares.
    #[pallet::storage]
    pub type Parameters<T: Config> = StorageValue<_, NodeParameters, ValueQuery>;

    /// All registered nodes.
    #[pallet::storage]
    pub type Nodes<T: Config> = CountedStorageMap<_, Blake2_128Concat, NodeId, NodeInfo>;

    /// The nodes of each owner.
    #[pallet::storage]
    pub type OwnedNodes<T: Config> =
        StorageDoubleMap<_, Blake2_128Concat, AccountId, Blake2_128Concat, NodeId, (), OptionQuery>;

    /// How many key proofs of a node were used, which is the nonce of its next one. Never removed, so that no proof works twice: there is one
    /// for each key that was ever registered, with a bond that was locked at least for the unbonding period.
    #[pallet::storage]
    pub type KeyProofNonces<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, u32, ValueQuery>;

    /// How many authorisations by an EVM address were used, which is the nonce of its next one. Never removed either: there is one for each
    /// address that ever bonded by authorisation.
    #[pallet::storage]
    pub type AuthorizationNonces<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, u32, ValueQuery>;

    /// Parts of bonds that their owners took back, by node, in the order of the calls.
    #[pallet::storage]
    pub type Unbonding<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, Chunks, ValueQuery>;

    /// The id that took the place of each id whose key was rotated, until the old one is withdrawn.
    #[pallet::storage]
    pub type Successors<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, NodeId, OptionQuery>;

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

    /// Sequence number of the newest record that each node was punished for: evidence up to it is spent. Never removed, as the node may
    /// come back; there is one for a node that was shown to equivocate while it was registered.
    #[pallet::storage]
    pub type Punished<T: Config> = StorageMap<_, Blake2_128Concat, NodeId, u64, OptionQuery>;

    /// State at genesis.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Bonds, deposit, periods and shares.
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
            assert!(self.parameters.is_valid(), "node parameters are out of range: {:?}", self.parameters);
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
        /// A part of a bond unbonds.
        BondReduced {
            /// The node.
            node: NodeId,
            /// By how much.
            amount: Balance,
            /// The bond now.
            bond: Balance,
            /// First block at which the part may be withdrawn.
            until: u32,
        },
        /// Parts of a bond were released.
        ReducedWithdrawn {
            /// The node.
            node: NodeId,
            /// How much.
            amount: Balance,
        },
        /// A registration goes on under another key.
        KeyRotated {
            /// The old id, which is unbonding now.
            node: NodeId,
            /// The new id.
            successor: NodeId,
            /// How often the registration's key was rotated.
            key_epoch: u32,
            /// First block at which the old id may be withdrawn.
            until: u32,
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
            /// The bond, with the parts of it that were unbonding.
            bond: Balance,
            /// The deposit.
            deposit: Balance,
        },
        /// A bond was slashed.
        Slashed {
            /// The node whose bond bears it: the offender, or its successor by key rotation.
            node: NodeId,
            /// How much was taken.
            amount: Balance,
            /// How much of it was burnt.
            burnt: Balance,
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
        /// The sender is not the account of an EVM key, so it cannot be a node.
        NotNodeAccount,
        /// The authorisation's last block is past.
        AuthorizationExpired,
        /// The authorisation's last block is too far ahead.
        AuthorizationTooLong,
        /// The authorisation is not the owner's signature over this node, role, class, bond, nonce and expiry on this chain.
        InvalidAuthorization,
        /// The amount is 0.
        NoAmount,
        /// As many parts of the bond are unbonding as there may be.
        TooManyChunks,
        /// No part of the bond is unbonding.
        NothingUnbonding,
        /// The id that this one took the place of is not withdrawn yet.
        PredecessorRemains,
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
        /// The records' sequence number is ahead of the chain's clock.
        EvidenceAhead,
        /// The shares of what is slashed are more than all of it.
        InvalidParameters,
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
        /// Registers `node` for the sender, whose `bond` goes on hold with the deposit for the registration's storage.
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
            let nonce = Self::key_proof_nonce(node);
            let proof = KeyProof { node, owner: owner.clone(), role, nonce, expires_at };
            Self::check_key_proof(proof, key_proof)?;
            let new = NewNode { role, class, cell, endpoint, price_per_gib, bond };
            Self::do_register(node, owner, new)
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

        /// Takes a node out of allocation; what it carries goes on, and it is paid for the current epoch as if it had stayed. By the owner or
        /// the node itself.
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::drain(T::MaxRegistries::get()))]
        pub fn drain(origin: OriginFor<T>, node: NodeId) -> DispatchResult {
            let before = Self::controlled(&ensure_signed(origin)?, &node)?;
            ensure!(before.status == NodeStatus::Active, Error::<T>::WrongStatus);
            let after = NodeInfo { status: NodeStatus::Draining, ..before.clone() };
            Self::change_status(node, before, after)
        }

        /// Puts a draining node, or one whose jail period is over, back into service. By the owner or the node itself.
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::resume(T::MaxRegistries::get()))]
        pub fn resume(origin: OriginFor<T>, node: NodeId) -> DispatchResult {
            let before = Self::controlled(&ensure_signed(origin)?, &node)?;
            match before.status {
                NodeStatus::Draining => {}
                NodeStatus::Jailed => ensure!(!before.is_jailed(Self::now()), Error::<T>::StillJailed),
                NodeStatus::Active | NodeStatus::Unbonding => return Err(Error::<T>::WrongStatus.into()),
            }
            ensure!(before.bond >= Self::minimum_bond(before.role, before.class), Error::<T>::BondTooLow);
            let after = NodeInfo { status: NodeStatus::Active, ..before.clone() };
            Self::change_status(node, before, after)
        }

        /// Takes a node out of service for good; its bond stays on hold until the unbonding period is over.
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::unbond(T::MaxRegistries::get()))]
        pub fn unbond(origin: OriginFor<T>, node: NodeId) -> DispatchResult {
            let before = Self::owned(&ensure_signed(origin)?, &node)?;
            ensure!(before.status != NodeStatus::Unbonding, Error::<T>::WrongStatus);
            let until = Self::unbonding_end(&node, &before);
            let after = NodeInfo { status: NodeStatus::Unbonding, until, ..before.clone() };
            Self::change_status(node, before, after)
        }

        /// Removes a node whose unbonding period is over, and releases all that is on hold for it.
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::withdraw())]
        pub fn withdraw(origin: OriginFor<T>, node: NodeId) -> DispatchResult {
            let before = Self::owned(&ensure_signed(origin)?, &node)?;
            ensure!(before.status == NodeStatus::Unbonding, Error::<T>::WrongStatus);
            ensure!(Self::now() >= before.until, Error::<T>::StillUnbonding);
            ensure!(before.predecessor.is_none(), Error::<T>::PredecessorRemains);
            Self::do_withdraw(node, before)
        }

        /// Shows two records of one node with one sequence number and different contents: the node is slashed and jailed, the
        /// sender has a share. Free if something was taken.
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::report_equivocation(T::MaxRegistries::get()))]
        pub fn report_equivocation(
            origin: OriginFor<T>,
            evidence: alloc::boxed::Box<RecordEquivocation>,
        ) -> DispatchResultWithPostInfo {
            let reporter = ensure_signed(origin)?;
            let seq = evidence.first.payload.seq;
            // A node could otherwise report itself with the greatest number, and so spend all evidence to come.
            let latest = T::Time::now().saturating_add(MAX_CLOCK_LEAD_MS);
            ensure!(seq_time(seq) <= latest, Error::<T>::EvidenceAhead);
            let node = evidence.offender(&Self::genesis_hash()).ok_or(Error::<T>::InvalidEvidence)?;
            ensure!(Nodes::<T>::contains_key(node), Error::<T>::NotRegistered);
            ensure!(Punished::<T>::get(node).is_none_or(|spent| seq > spent), Error::<T>::EvidenceSpent);
            Punished::<T>::insert(node, seq);
            let share = Parameters::<T>::get().equivocation_slash;
            let taken = <Self as Discipline>::slash(&node, share, Some(&reporter));
            Ok(if taken > 0 { Pays::No } else { Pays::Yes }.into())
        }

        /// Changes bonds, deposit, periods and shares. What is on hold stays as it is.
        #[pallet::call_index(8)]
        #[pallet::weight(T::WeightInfo::set_parameters())]
        pub fn set_parameters(origin: OriginFor<T>, parameters: NodeParameters) -> DispatchResult {
            T::AdminOrigin::ensure_origin(origin)?;
            ensure!(parameters.is_valid(), Error::<T>::InvalidParameters);
            Parameters::<T>::put(parameters);
            Self::deposit_event(Event::ParametersChanged);
            Ok(())
        }

        /// Registers the sender, which is a node's own account, for the EVM address `owner`, at whose account `bond` and deposit go on hold.
        ///
        /// `authorization` is the owner's signature of a [`NodeRegistration`] (EIP-712) with these values, the owner's current nonce and
        /// `expires_at`, the last block at which it may be used. The node's signature on the extrinsic proves its key.
        #[pallet::call_index(9)]
        #[pallet::weight(T::WeightInfo::register_authorized(T::MaxRegistries::get()))]
        pub fn register_authorized(
            origin: OriginFor<T>,
            owner: NodeId,
            role: Role,
            class: CapacityClass,
            cell: H3Cell,
            endpoint: Endpoint,
            #[pallet::compact] price_per_gib: Balance,
            #[pallet::compact] bond: Balance,
            expires_at: u32,
            authorization: EthereumSignature,
        ) -> DispatchResult {
            let sender = ensure_signed(origin)?;
            let node = NodeId::from_account(&sender).ok_or(Error::<T>::NotNodeAccount)?;
            ensure!(!Nodes::<T>::contains_key(node), Error::<T>::AlreadyRegistered);
            let nonce = Self::authorization_nonce(owner);
            let authorized = NodeRegistration { node, role, class, bond, nonce, expires_at };
            Self::check_authorization(owner, &authorized, &authorization)?;
            Self::spend_authorization_nonce(owner)?;
            let new = NewNode { role, class, cell, endpoint, price_per_gib, bond };
            Self::do_register(node, owner.account(), new)
        }

        /// Takes back `amount` of a node's bond, as far as role and class allow it. The part can be slashed until it is withdrawn, after the
        /// unbonding period.
        #[pallet::call_index(10)]
        #[pallet::weight(T::WeightInfo::reduce_bond())]
        pub fn reduce_bond(origin: OriginFor<T>, node: NodeId, #[pallet::compact] amount: Balance) -> DispatchResult {
            let before = Self::owned(&ensure_signed(origin)?, &node)?;
            ensure!(before.status != NodeStatus::Unbonding, Error::<T>::WrongStatus);
            Self::do_reduce_bond(node, before, amount)
        }

        /// Releases the parts of a node's bond whose unbonding period is over.
        #[pallet::call_index(11)]
        #[pallet::weight(T::WeightInfo::withdraw_reduced())]
        pub fn withdraw_reduced(origin: OriginFor<T>, node: NodeId) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::owned(&owner, &node)?;
            Self::do_withdraw_reduced(node, &owner)
        }

        /// Gives a registration another key: `new_node` takes over bond, status and attributes, its terms from the next QoS epoch on. The old
        /// id keeps its claims, and until it is withdrawn, after the unbonding period, the bond of the new one answers for what it signed.
        /// Once until then.
        ///
        /// `key_proof` is the new key's signature of a [`KeyProof`], as for [`Call::register`].
        #[pallet::call_index(12)]
        #[pallet::weight(T::WeightInfo::rotate_key(T::MaxRegistries::get()))]
        pub fn rotate_key(
            origin: OriginFor<T>,
            node: NodeId,
            new_node: NodeId,
            expires_at: u32,
            key_proof: EthereumSignature,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            let before = Self::owned(&owner, &node)?;
            ensure!(before.status != NodeStatus::Unbonding, Error::<T>::WrongStatus);
            ensure!(before.predecessor.is_none(), Error::<T>::PredecessorRemains);
            ensure!(!Nodes::<T>::contains_key(new_node), Error::<T>::AlreadyRegistered);
            let nonce = Self::key_proof_nonce(new_node);
            let proof = KeyProof { node: new_node, owner, role: before.role, nonce, expires_at };
            Self::check_key_proof(proof, key_proof)?;
            Self::do_rotate_key(node, before, new_node)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// One registered node, as followers see it.
        pub fn registration(node: NodeId) -> Option<Registration> {
            Nodes::<T>::get(node).map(|info| info.registration(node))
        }

        /// All that is kept of a registered node.
        pub fn node_info(node: NodeId) -> Option<NodeInfo> {
            Nodes::<T>::get(node)
        }

        /// The nodes of an owner. As many as it has: for reading from outside only.
        pub fn nodes_of(owner: AccountId) -> Vec<NodeId> {
            OwnedNodes::<T>::iter_key_prefix(owner).collect()
        }

        /// The terms on which a media node serves in `epoch`; `None` if it was not registered when the epoch began.
        pub fn terms_of(node: NodeId, epoch: QosEpoch) -> Option<Terms> {
            Self::terms(&node, epoch)
        }

        /// The nonce that the next key proof of `node` must carry.
        pub fn key_proof_nonce(node: NodeId) -> u32 {
            KeyProofNonces::<T>::get(node)
        }

        /// The nonce that the next authorisation by the EVM address `owner` must carry.
        pub fn authorization_nonce(owner: NodeId) -> u32 {
            AuthorizationNonces::<T>::get(owner)
        }

        /// The parts of a node's bond that are unbonding, in the order of the calls.
        pub fn unbonding(node: NodeId) -> Vec<UnbondingChunk> {
            Unbonding::<T>::get(node).into_inner()
        }

        /// The id that took the place of `node`, until `node` is withdrawn.
        pub fn successor(node: NodeId) -> Option<NodeId> {
            Successors::<T>::get(node)
        }

        /// Smallest bond of a node of this role and class now, in the smallest unit.
        pub fn minimum_bond(role: Role, class: CapacityClass) -> Balance {
            Parameters::<T>::get().minimum_bond(role, class)
        }
    }
}
