//! Snapshots of the registry that the chain anchors.

use crate::{NodeId, QosEpoch, merkle::Root};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// A registry snapshot that two thirds of the registry nodes agreed on.
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
pub struct FinalSnapshot {
    /// The epoch at whose end the register was cut.
    pub epoch: QosEpoch,
    /// Root over [`crate::SnapshotLeaf`]s ordered by node.
    pub root: Root,
    /// How many registry nodes had sent it when it became final; what comes later is counted, but not here.
    pub votes: u32,
}

/// Takes the registry snapshots that attestors send along with their quality roots.
pub trait SnapshotVotes {
    /// Counts the vote of `attestor`, one of `attestors`, for `root` as the register at the end of `epoch`. The caller sees to
    /// it that each attestor votes once per epoch.
    fn vote(epoch: QosEpoch, attestor: NodeId, attestors: u32, root: Root);
}

impl SnapshotVotes for () {
    fn vote(_: QosEpoch, _: NodeId, _: u32, _: Root) {}
}
