//! The rules by which a pool splits its node's pay, as the node's owner set them.

use chroom_primitives::AccountId;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{BoundedVec, traits::ConstU32};
use scale_info::TypeInfo;
use sp_runtime::Perbill;

/// Most beneficiaries of a pool.
pub const MAX_BENEFICIARIES: u32 = 8;

/// Somebody who has a share of the owner's part of a pool's pay.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Beneficiary {
    /// Who is paid.
    pub account: AccountId,
    /// Share of the owner's part.
    pub share: Perbill,
}

/// How a pool splits its node's pay. By default it is closed, and all goes to the owner.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Rules {
    /// What the owner takes of the pay before the rest is split between bond and delegations.
    pub commission: Perbill,
    /// Who shares the owner's part, each account once; what is left of it is the owner's.
    pub beneficiaries: BoundedVec<Beneficiary, ConstU32<MAX_BENEFICIARIES>>,
    /// Whether the pool takes delegations. Those that it has stay when it closes.
    pub open: bool,
}

/// A raise of the commission that was announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct CommissionRaise {
    /// The commission to come.
    pub commission: Perbill,
    /// First block in which it holds.
    pub from: u32,
}

/// How a slash is split: the reporter's and the treasury's parts; the rest is burnt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct SlashShares {
    /// Who reported; burnt when nobody did.
    pub reporter: Perbill,
    /// The treasury.
    pub treasury: Perbill,
}
