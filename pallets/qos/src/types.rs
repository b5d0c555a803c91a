//! What the pallet stores, and what it tells its neighbours.

use chroom_primitives::{Hash, QosEpoch};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Largest committee.
pub const MAX_COMMITTEE: u32 = 15;

/// How epochs run; fixed at genesis.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Debug,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(default)]
pub struct EpochParameters {
    /// Blocks in an epoch; at least 2.
    pub length: u32,
    /// Blocks at the beginning of an epoch in which roots for the epoch before it are taken; 1 to `length - 1`.
    pub submit_window: u32,
    /// Members of a committee; 1 to [`MAX_COMMITTEE`].
    pub committee_size: u32,
}

impl EpochParameters {
    /// Whether the values are in their ranges.
    pub const fn is_valid(&self) -> bool {
        self.length >= 2
            && self.submit_window >= 1
            && self.submit_window < self.length
            && self.committee_size >= 1
            && self.committee_size <= MAX_COMMITTEE
    }
}

impl Default for EpochParameters {
    fn default() -> Self {
        Self { length: 8, submit_window: 4, committee_size: 3 }
    }
}

/// An epoch that the chain remembers.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct EpochState {
    /// Its first block.
    pub started_at: u32,
    /// Timestamp of its first block in milliseconds since the Unix epoch; 0 within that block only.
    pub started_ms: u64,
    /// Seed of the draw.
    pub seed: Hash,
    /// Which set of attestors it has.
    pub attestor_set: u32,
    /// Number of attestors.
    pub attestors: u32,
    /// Members of a committee.
    pub committee_size: u32,
    /// Weight of the media nodes that were active when it began.
    pub media_weight: u64,
    /// Number of attestors that sent their root for it.
    pub roots: u32,
}

/// Learns of epochs. Called within a hook, so it must not loop over nodes.
pub trait OnEpoch {
    /// `epoch` has begun.
    fn started(epoch: QosEpoch);
    /// `epoch` is no longer remembered.
    fn dropped(epoch: QosEpoch);
}

impl OnEpoch for () {
    fn started(_: QosEpoch) {}
    fn dropped(_: QosEpoch) {}
}
