//! QoS epochs.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Number of a QoS epoch: quality is measured in one epoch, attested at the beginning of the next, then claimed.
///
/// Epoch `n` covers the blocks `n × length + 1 ..= (n + 1) × length`.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct QosEpoch(pub u32);

impl QosEpoch {
    /// The epoch after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The epoch before this one, if there is one.
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }
}

/// Where an epoch stands in its life.
///
/// ```text
///  Future ──▶ Open ──▶ Submit ──▶ Claim ──▶ Expired
///             measured  roots      proofs    forgotten
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum EpochPhase {
    /// It has not begun.
    Future,
    /// It runs: callers' receipts, nodes' reports and probes are collected.
    Open,
    /// It is over, and its attestors send their roots. A node may claim already if its whole committee has sent.
    Submit,
    /// No more roots come in: attestors serve their leaves, nodes claim with them.
    Claim,
    /// The chain has forgotten it: what was not claimed is lost to it, and free again in the reserve.
    Expired,
}

/// What is known of the current epoch.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, TypeInfo)]
pub struct EpochInfo {
    /// The epoch being measured.
    pub current: QosEpoch,
    /// Its first block.
    pub started_at: u32,
    /// Unix time of its first block in milliseconds: receipts and records are cut by this time.
    pub started_ms: u64,
    /// Blocks in an epoch.
    pub length: u32,
    /// Blocks at the beginning of an epoch in which roots for the epoch before it are taken.
    pub submit_window: u32,
    /// Members of a committee.
    pub committee_size: u32,
}
