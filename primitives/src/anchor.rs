//! Snapshots of the registry that the chain anchors.

use crate::{QosEpoch, merkle::Root};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// A registry snapshot that two thirds of the registry nodes agreed on.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize,
    Deserialize,
)]
pub struct FinalSnapshot {
    /// The epoch at whose end the register was cut.
    pub epoch: QosEpoch,
    /// Root over [`crate::SnapshotLeaf`]s ordered by node.
    pub root: Root,
    /// How many registry nodes sent it.
    pub votes: u32,
}
