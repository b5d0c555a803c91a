//! What the pallet stores, and what it tells its neighbours.

use chroom_primitives::{Hash, NodeId, QosEpoch, merkle::Root};
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
    /// The first block of the epoch after it: from here on roots are taken.
    pub ends_at: u32,
    /// The first block in which no more roots are taken for it.
    pub closes_at: u32,
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
}

impl EpochState {
    /// Members that a node's committee really has: fewer than asked for if there are fewer attestors.
    pub const fn seats(&self) -> u32 {
        if self.committee_size < self.attestors { self.committee_size } else { self.attestors }
    }

    /// Whether the epoch is over in block `now`, so that roots may come in.
    pub const fn is_over(&self, now: u32) -> bool {
        now >= self.ends_at
    }

    /// Whether no more roots can come in from block `now` on.
    pub const fn is_closed(&self, now: u32) -> bool {
        now >= self.closes_at
    }
}

/// A member of a node's committee: an attestor and its place in the epoch's set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat {
    /// Place in the epoch's set of attestors.
    pub place: u32,
    /// The attestor.
    pub attestor: NodeId,
}

/// The roots that an attestor sent for an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct SentRoots {
    /// Root over its leaves.
    pub quality: Root,
    /// Root of its registry snapshot.
    pub snapshot: Root,
}

/// How an attestor stands for an epoch, from good to bad.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Debug,
    Default,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum Standing {
    /// Nothing is known against it.
    #[default]
    Good,
    /// Its root leaves out a node that it was drawn for: it earns nothing in this epoch.
    Forfeited,
    /// It contradicted itself: it was slashed for this epoch, once, and earns nothing in it.
    Equivocated,
}

/// What is known of an attestor in an epoch.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Attestation {
    /// The roots that it sent, if it has. They never change.
    pub roots: Option<SentRoots>,
    /// How it stands.
    pub standing: Standing,
}

/// Learns of epochs. Called within hooks and calls of fixed weight, so it must not loop over nodes.
pub trait OnEpoch {
    /// `epoch` has begun.
    fn started(epoch: QosEpoch);
    /// `epoch` is no longer remembered.
    fn dropped(epoch: QosEpoch);
    /// The attestor at `place` in the set of `epoch` loses what it earned in it, and earns nothing more in it.
    fn forfeited(epoch: QosEpoch, place: u32, attestor: &NodeId);

    /// Makes what follows for `epoch`, which has begun with so many `attestors`, and the beginning of later ones as dear as they can be: for
    /// measuring weights.
    #[cfg(feature = "runtime-benchmarks")]
    fn prepare_worst_case(_epoch: QosEpoch, _attestors: u32) {}
}

impl OnEpoch for () {
    fn started(_: QosEpoch) {}
    fn dropped(_: QosEpoch) {}
    fn forfeited(_: QosEpoch, _: u32, _: &NodeId) {}
}
