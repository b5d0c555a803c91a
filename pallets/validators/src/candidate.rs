//! Those who offer to validate, and bonds on their way back.

use chroom_primitives::Balance;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_staking::EraIndex;

/// An account that offers, or has offered, to validate.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Candidate {
    /// Its bond in the smallest unit, without what is unbonding.
    pub bond: Balance,
    /// Whether it stands for election.
    pub active: bool,
    /// First era in which it may stand again after an offence; 0 if it never offended.
    pub jailed_until: EraIndex,
}

/// A part of a bond that is on its way back to its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct UnbondingChunk {
    /// Amount in the smallest unit.
    pub amount: Balance,
    /// The era from which on it can be withdrawn.
    pub free_from: EraIndex,
}
