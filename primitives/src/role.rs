//! What a node does in the network, and where it stands in its life.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// What a registered node does.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Routes media: an SFU.
    Media,
    /// Allocates media nodes and runs sessions.
    Orchestrator,
    /// Replicates the register and attests quality.
    Registry,
}

impl Role {
    /// All roles, in the order of their codec index.
    pub const ALL: [Role; 3] = [Role::Media, Role::Orchestrator, Role::Registry];

    /// The role's name in JSON and in what operators sign.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Media => "media",
            Role::Orchestrator => "orchestrator",
            Role::Registry => "registry",
        }
    }
}

/// Where a registered node stands.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Debug,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// In service: may be allocated, drawn for committees and paid.
    Active,
    /// Takes no new work; what it carries goes on.
    Draining,
    /// Left; its bond is held until the unbonding period ends.
    Unbonding,
    /// Out of service by punishment.
    Jailed,
}

impl NodeStatus {
    /// Whether peers may talk to the node at all: it is active or finishing its work.
    pub fn is_member(self) -> bool {
        matches!(self, NodeStatus::Active | NodeStatus::Draining)
    }
}
