//! What the pallet stores, and what it asks of its neighbours.

use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, H3Cell, NodeId, NodeStatus, QosEpoch, Role, record::Registration,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    BoundedVec,
    traits::{ConstU32, fungible::Credit},
};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_runtime::{Perbill, traits::CheckedAdd};

/// Highest price of usage, in the smallest unit per GiB (one million CHR): keeps every product of bytes and price far from 2¹²⁸.
pub const MAX_PRICE_PER_GIB: Balance = 1_000_000 * CHR;

/// Longest ring of QoS epochs that the histories here are made for.
pub const MAX_EPOCH_RING: u32 = 128;

/// Most parts of a node's bond that may be unbonding at once.
pub const MAX_CHUNKS: u32 = 8;

/// How far ahead of the chain's clock a record's sequence number may be to count as evidence, in milliseconds: what clocks of honest nodes
/// differ by, and no more.
pub const MAX_CLOCK_LEAD_MS: u64 = 10 * 60 * 1_000;

/// A slashed part of a bond.
pub type CreditOf<T> = Credit<AccountId, <T as crate::Config>::Currency>;

/// What a node is registered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NewNode {
    pub role: Role,
    pub class: CapacityClass,
    pub cell: H3Cell,
    pub endpoint: Endpoint,
    pub price_per_gib: Balance,
    pub bond: Balance,
}

/// A registered node. The key of the map is its id.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct NodeInfo {
    /// The account that bonded for it and is paid for it.
    pub owner: AccountId,
    /// What it does; fixed for the registration's life.
    pub role: Role,
    /// Where it stands.
    pub status: NodeStatus,
    /// Capacity class.
    pub class: CapacityClass,
    /// Where it is.
    pub cell: H3Cell,
    /// Its gRPC interface.
    pub endpoint: Endpoint,
    /// Bond on hold at the owner's account, in the smallest unit.
    pub bond: Balance,
    /// Deposit for the registration's storage, on hold at the owner's account, in the smallest unit.
    pub deposit: Balance,
    /// Price of usage in the smallest unit per GiB; 0 for other roles than media.
    pub price_per_gib: Balance,
    /// Block in which this id was registered, or took the place of another.
    pub registered_at: u32,
    /// First block at which an unbonding node may be withdrawn, never before `jailed_until`; 0 for a node that is not unbonding.
    pub until: u32,
    /// First block at which the node's last sentence is over; 0 if it never had one.
    pub jailed_until: u32,
    /// How often the registration's key was rotated.
    pub key_epoch: u32,
    /// The id that this one took the place of, until that one is withdrawn.
    pub predecessor: Option<NodeId>,
}

impl NodeInfo {
    /// An active node.
    pub(crate) fn new(owner: AccountId, new: NewNode, deposit: Balance, now: u32) -> Self {
        let NewNode { role, class, cell, endpoint, price_per_gib, bond } = new;
        Self {
            owner,
            role,
            status: NodeStatus::Active,
            class,
            cell,
            endpoint,
            bond,
            deposit,
            price_per_gib,
            registered_at: now,
            until: 0,
            jailed_until: 0,
            key_epoch: 0,
            predecessor: None,
        }
    }

    /// Whether the node serves a sentence in block `now`. It outlives the status: who leaves while jailed is not paid earlier.
    pub fn is_jailed(&self, now: u32) -> bool {
        now < self.jailed_until
    }

    /// The node's weight in the availability subsidy: that of its class while it is an active media node.
    pub fn media_weight(&self) -> u32 {
        if self.role == Role::Media && self.status == NodeStatus::Active { self.class.weight() } else { 0 }
    }

    /// The node as followers of the chain see it.
    pub fn registration(self, node: NodeId) -> Registration {
        Registration {
            node,
            owner: self.owner,
            role: self.role,
            status: self.status,
            cell: self.cell,
            class: self.class,
            endpoint: self.endpoint,
            bond: self.bond,
            price_per_gib: self.price_per_gib,
        }
    }
}

/// On what terms a media node serves from an epoch on. A change holds from the epoch after the one in which it was made, so
/// that nobody's price or share moves after the usage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Terms {
    /// First epoch in which they hold.
    pub from: QosEpoch,
    /// Weight in the subsidy; 0 if the node was not in service when the epoch began.
    pub weight: u32,
    /// Price of usage in the smallest unit per GiB.
    pub price_per_gib: Balance,
}

/// A part of a bond that its owner took back; it can be slashed until it is withdrawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct UnbondingChunk {
    /// How much, in the smallest unit.
    pub amount: Balance,
    /// First block at which it may be withdrawn.
    pub until: u32,
}

/// The parts of a node's bond that are unbonding.
pub type Chunks = BoundedVec<UnbondingChunk, ConstU32<MAX_CHUNKS>>;

/// Bonds, deposit, periods and shares; set at genesis, changed by the admin origin.
#[derive(
    Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(default)]
pub struct NodeParameters {
    /// Smallest bond of a media node of class small; greater classes times their weight.
    pub media_bond: Balance,
    /// Smallest bond of an orchestrator.
    pub orchestrator_bond: Balance,
    /// Smallest bond of a registry node.
    pub registry_bond: Balance,
    /// Blocks between unbonding and withdrawal.
    pub unbonding_period: u32,
    /// Blocks for which a punished node is out of service.
    pub jail_period: u32,
    /// Share of the bond that proven equivocation costs.
    pub equivocation_slash: Perbill,
    /// Share of what is slashed that goes to the reporter; burnt when nobody reported.
    pub reporter_share: Perbill,
    /// Share of what is slashed that goes to the treasury. What neither gets is burnt.
    pub treasury_share: Perbill,
    /// Deposit for the storage of a registration, given back when the node is withdrawn.
    pub deposit: Balance,
}

impl Default for NodeParameters {
    fn default() -> Self {
        Self {
            media_bond: 100 * CHR,
            orchestrator_bond: 100 * CHR,
            registry_bond: 500 * CHR,
            unbonding_period: 20,
            jail_period: 100,
            equivocation_slash: Perbill::from_percent(10),
            reporter_share: Perbill::from_percent(20),
            treasury_share: Perbill::from_percent(30),
            deposit: CHR,
        }
    }
}

impl NodeParameters {
    /// Whether no more than what is slashed is given away.
    pub fn is_valid(&self) -> bool {
        self.reporter_share.checked_add(&self.treasury_share).is_some()
    }

    /// Smallest bond of a node of this role and class.
    pub fn minimum_bond(&self, role: Role, class: CapacityClass) -> Balance {
        match role {
            Role::Media => self.media_bond.saturating_mul(Balance::from(class.weight())),
            Role::Orchestrator => self.orchestrator_bond,
            Role::Registry => self.registry_bond,
        }
    }
}

/// A node that exists from genesis on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GenesisNode {
    /// The node.
    pub node: NodeId,
    /// The account that bonds for it; its genesis balance must cover the bond.
    pub owner: AccountId,
    /// What it does.
    pub role: Role,
    /// Capacity class.
    pub class: CapacityClass,
    /// Where it is.
    pub cell: H3Cell,
    /// Its gRPC interface.
    pub endpoint: Endpoint,
    /// Price of usage in the smallest unit per GiB; 0 for other roles than media.
    pub price_per_gib: Balance,
}

/// Says which QoS epoch the chain is in. Implemented by the QoS pallet.
pub trait EpochClock {
    /// The current epoch.
    fn current() -> QosEpoch;
}

impl EpochClock for () {
    fn current() -> QosEpoch {
        QosEpoch(0)
    }
}

/// Learns that a node's registration is gone, or goes on under another id.
pub trait OnNodeRemoved {
    /// `node` was withdrawn.
    fn removed(node: &NodeId);

    /// `successor` took over the registration of `node`, which stays registered, without a bond, until it is withdrawn.
    fn rotated(_node: &NodeId, _successor: &NodeId) {}

    /// Makes what follows for a registered node, slashes included, as dear as it can be: for measuring weights.
    #[cfg(feature = "runtime-benchmarks")]
    fn prepare_worst_case(_node: &NodeId) {}
}

impl OnNodeRemoved for () {
    fn removed(_: &NodeId) {}
}

impl<A: OnNodeRemoved, B: OnNodeRemoved> OnNodeRemoved for (A, B) {
    fn removed(node: &NodeId) {
        A::removed(node);
        B::removed(node);
    }

    fn rotated(node: &NodeId, successor: &NodeId) {
        A::rotated(node, successor);
        B::rotated(node, successor);
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn prepare_worst_case(node: &NodeId) {
        A::prepare_worst_case(node);
        B::prepare_worst_case(node);
    }
}

/// Punishes nodes. Only objective evidence may lead here.
pub trait Discipline {
    /// Takes `share` of what is on hold for the node, its bond first and then what is unbonding; gives their shares to the `reporter` and
    /// to the treasury, burns the rest, and puts the node out of service. If the node's key was rotated, its successor bears it.
    /// Returns what was taken; nothing happens to a node that is not registered.
    fn slash(node: &NodeId, share: Perbill, reporter: Option<&AccountId>) -> Balance;
    /// Puts the node out of service for `blocks`, and its successor or predecessor by key rotation with it. Whether it was in service.
    fn jail(node: &NodeId, blocks: u32) -> bool;
}
