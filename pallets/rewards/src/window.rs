//! What a node has claimed.

use chroom_primitives::{Balance, QosEpoch, Score};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

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

/// A claim that was paid.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Reward {
    /// The epoch that was claimed.
    pub epoch: QosEpoch,
    /// The median of the committee.
    pub score: Score,
    /// What the node's pool got: fees and subsidy.
    pub amount: Balance,
    /// The block of the claim.
    pub block: u32,
}

/// A node's claims: one item, since each claim reads and writes both parts.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct NodeClaims {
    /// Which epochs it has claimed.
    pub window: ClaimWindow,
    /// The claim that was paid last.
    pub last: Reward,
}
