//! One house's approval of a call.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A house that has to approve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum House {
    /// Those who decide for the network.
    Council,
    /// Those who understand its software.
    TechnicalCommittee,
}

impl House {
    /// The house that has to agree with this one.
    pub const fn other(self) -> Self {
        match self {
            Self::Council => Self::TechnicalCommittee,
            Self::TechnicalCommittee => Self::Council,
        }
    }
}

/// A call that one house has approved.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Approval<Hash, BlockNumber> {
    /// The call's hash.
    pub hash: Hash,
    /// The house that approved it.
    pub house: House,
    /// Last block in which the other house may follow.
    pub until: BlockNumber,
}
