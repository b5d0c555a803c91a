//! What the pallet stores, and what a claim comes to.

use alloc::vec::Vec;
use chroom_primitives::{AccountId, Balance, CHR, NodeId, QosEpoch, Score, runtime_api::Payout};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_runtime::Perbill;

/// Most usage leaves that one committee member's proof may hold.
pub const MAX_USAGE_LEAVES: u32 = 128;

/// Bytes of one GiB.
pub const GIB: u128 = 1 << 30;

/// The pallet's economics; set at genesis, changed by the admin origin.
#[derive(
    Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(default)]
pub struct RewardParameters {
    /// Most that one epoch may emit from the reserve.
    pub epoch_cap: Balance,
    /// Share of the free reserve that one epoch may emit.
    pub epoch_rate: Perbill,
    /// Share of an epoch's emission that is for attestors.
    pub attestor_share: Perbill,
    /// Share of usage fees that is burnt.
    pub burn_share: Perbill,
    /// Share of usage fees that goes to the reserve.
    pub reserve_share: Perbill,
    /// How far from the median an attestor's score may lie for its share, in hundredths of a point.
    pub tolerance: u16,
    /// Median uptime below which there is no subsidy, in parts per 10,000.
    pub minimum_uptime: u16,
    /// Epochs between the request for a withdrawal from an escrow and its execution; long enough for claims to come first.
    pub escrow_delay: u32,
}

impl RewardParameters {
    /// Whether the shares leave something for the operator.
    pub fn is_valid(&self) -> bool {
        self.burn_share.deconstruct().saturating_add(self.reserve_share.deconstruct()) <= Perbill::one().deconstruct()
            && self.minimum_uptime <= 10_000
    }
}

impl Default for RewardParameters {
    fn default() -> Self {
        Self {
            epoch_cap: 100 * CHR,
            epoch_rate: Perbill::from_parts(100_000),
            attestor_share: Perbill::from_percent(10),
            burn_share: Perbill::from_percent(5),
            reserve_share: Perbill::from_percent(5),
            tolerance: 500,
            minimum_uptime: 9_000,
            escrow_delay: 4,
        }
    }
}

/// An application's prepaid tokens.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Escrow {
    /// What is there; fees are taken from all of it, whatever is to be withdrawn.
    pub balance: Balance,
    /// Amount that the application wants back, and the first epoch in which it may have it.
    pub withdrawal: Option<(Balance, QosEpoch)>,
}

/// What an epoch emits.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Pool {
    /// For media nodes' availability.
    pub media: Balance,
    /// For attestors.
    pub attestors: Balance,
    /// What claims took of both.
    pub paid: Balance,
}

impl Pool {
    /// What claims may still take.
    pub fn remaining(&self) -> Balance {
        self.media.saturating_add(self.attestors).saturating_sub(self.paid)
    }
}

/// Which of the last 128 epochs a node has claimed.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct ClaimWindow {
    /// The newest epoch that was claimed.
    pub newest: QosEpoch,
    /// Bit `n` stands for epoch `newest - n`.
    pub claimed: u128,
}

impl ClaimWindow {
    /// Whether `epoch` was claimed. What lies before the window counts as claimed.
    pub fn contains(&self, epoch: QosEpoch) -> bool {
        match self.newest.0.checked_sub(epoch.0) {
            Some(age) if self.claimed != 0 => age >= u128::BITS || self.claimed >> age & 1 == 1,
            _ => false,
        }
    }

    /// Notes that `epoch` was claimed.
    pub fn insert(&mut self, epoch: QosEpoch) {
        match epoch.0.checked_sub(self.newest.0) {
            Some(ahead) => {
                self.claimed = self.claimed.checked_shl(ahead).unwrap_or(0) | 1;
                self.newest = epoch;
            }
            None => self.claimed |= 1u128.checked_shl(self.newest.0 - epoch.0).unwrap_or(0),
        }
    }
}

/// The last claim that was paid to a node's owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Reward {
    /// The epoch that was claimed.
    pub epoch: QosEpoch,
    /// The median of the committee.
    pub score: Score,
    /// What the owner got: fees and subsidy.
    pub amount: Balance,
    /// The block of the claim.
    pub block: u32,
}

/// What a claim comes to, computed without side effects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settlement {
    /// The owner, who is paid.
    pub owner: AccountId,
    /// What the owner gets.
    pub payout: Payout,
    /// What each application's escrow pays, in order of application.
    pub debits: Vec<(AccountId, Balance)>,
    /// Part of the debits that is burnt.
    pub burnt: Balance,
    /// Part of the debits that goes to the reserve.
    pub to_reserve: Balance,
    /// Committee members that agreed with the median, with their owners.
    pub attestors: Vec<(NodeId, AccountId)>,
    /// What each of those gets.
    pub attestor_reward: Balance,
}
