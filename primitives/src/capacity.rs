//! Capacity classes of media nodes.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Egress in kb/s that a node commits itself to carry for each unit of its class's weight: about 21 GiB an hour.
pub const COMMITTED_KBPS: u32 = 50_000;

/// The class of machine that an operator puts up, by sustained egress. It sets the minimum bond, the share of the
/// availability subsidy, and how much the node must carry for it; admission follows what is measured, not this.
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

    /// Egress in kb/s that a node of the class must be able to carry at any time. It goes by weight, as the bond and the subsidy do, so
    /// a machine is paid as much for it in whatever class it is registered.
    pub const fn committed_kbps(self) -> u32 {
        COMMITTED_KBPS * self.weight()
    }

    /// The most sustained egress of the class in kb/s, where its operator sets no limit.
    pub const fn egress_kbps(self) -> u32 {
        match self {
            CapacityClass::Small => 100_000,
            CapacityClass::Medium => 1_000_000,
            CapacityClass::Large => 10_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_class_commits_to_more_than_it_may_carry() {
        for class in CapacityClass::ALL {
            assert!(class.committed_kbps() <= class.egress_kbps(), "{class:?}");
            assert_eq!(class.committed_kbps() / class.weight(), COMMITTED_KBPS);
        }
    }
}
