//! Capacity classes of media nodes.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// The class of machine that an operator puts up, by sustained egress. It sets the minimum bond and the share of the
/// availability subsidy; admission follows what is measured, not this.
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
pub enum CapacityClass {
    /// Up to 100 Mb/s.
    Small,
    /// Up to 1 Gb/s.
    Medium,
    /// Up to 10 Gb/s.
    Large,
}

impl CapacityClass {
    /// All classes, in the order of their codec index.
    pub const ALL: [CapacityClass; 3] = [CapacityClass::Small, CapacityClass::Medium, CapacityClass::Large];

    /// The class's name in JSON and in what operators sign.
    pub const fn name(self) -> &'static str {
        match self {
            CapacityClass::Small => "small",
            CapacityClass::Medium => "medium",
            CapacityClass::Large => "large",
        }
    }

    /// Weight of the class in the availability subsidy and factor of the minimum bond.
    pub const fn weight(self) -> u32 {
        match self {
            CapacityClass::Small => 1,
            CapacityClass::Medium => 4,
            CapacityClass::Large => 16,
        }
    }

    /// Sustained egress of the class in kb/s.
    pub const fn egress_kbps(self) -> u32 {
        match self {
            CapacityClass::Small => 100_000,
            CapacityClass::Medium => 1_000_000,
            CapacityClass::Large => 10_000_000,
        }
    }
}
