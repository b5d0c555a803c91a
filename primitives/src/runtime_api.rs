//! What the off-chain side reads from the runtime.

use crate::{
    AccountId, Balance, NodeId, QosEpoch, anchor::FinalSnapshot, epoch::EpochInfo, leaf::QosLeaf, leaf::UsageLeaf,
    merkle::Root, record::Registration,
};
use alloc::vec::Vec;
use codec::{Decode, Encode};
use scale_info::TypeInfo;

/// One committee member's view of a node, with its proofs.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, codec::DecodeWithMemTracking, TypeInfo)]
pub struct MemberProof {
    /// The member.
    pub attestor: NodeId,
    /// Its leaf about the node, with the proof.
    pub quality: (QosLeaf, crate::merkle::InclusionProof),
    /// Its usage leaves about the node, with their proofs, ordered by application and orchestrator.
    pub usage: Vec<(UsageLeaf, crate::merkle::InclusionProof)>,
}

/// What a claim would pay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, codec::DecodeWithMemTracking, TypeInfo)]
pub struct Payout {
    /// Median of the committee, absent members counting as 0; hundredths of a point.
    pub score: crate::Score,
    /// Fees from applications' escrows that reach the node's pool, after what is burnt, the reserve's and the orchestrators' shares.
    pub fees: Balance,
    /// Availability subsidy.
    pub subsidy: Balance,
}

sp_api::decl_runtime_apis! {
    /// Registration, quality epochs, rewards and anchors.
    pub trait ChroomApi {
        /// The current epoch.
        fn epoch_info() -> EpochInfo;
        /// Unix time in milliseconds of the first block of `epoch`, while it is in the ring.
        fn epoch_start_ms(epoch: QosEpoch) -> Option<u64>;
        /// All registered nodes from the one after `after` on, at most `limit` (1,000).
        fn registrations(after: Option<NodeId>, limit: u32) -> Vec<Registration>;
        /// One registered node.
        fn registration(node: NodeId) -> Option<Registration>;
        /// The nonce that the next key proof of `node` must carry.
        fn key_proof_nonce(node: NodeId) -> u32;
        /// The committee of `node` in `epoch`, in the order of the draw; empty when the epoch is not in the ring.
        fn committee(epoch: QosEpoch, node: NodeId) -> Vec<NodeId>;
        /// The media nodes that `attestor` was drawn for in `epoch`.
        fn assignments(epoch: QosEpoch, attestor: NodeId) -> Vec<NodeId>;
        /// The root that `attestor` sent for `epoch`.
        fn attestation(epoch: QosEpoch, attestor: NodeId) -> Option<Root>;
        /// What a claim with these proofs would pay now, or why it would fail.
        fn preview_claim(epoch: QosEpoch, node: NodeId, proofs: Vec<MemberProof>) -> Result<Payout, Vec<u8>>;
        /// Epochs in which `node` was registered and that it has not claimed though it could.
        fn claimable_epochs(node: NodeId) -> Vec<QosEpoch>;
        /// What an application has in its escrow: fees are taken from all of it, whatever the application has asked back.
        fn escrow(application: AccountId) -> Balance;
        /// The newest final registry snapshot.
        fn latest_snapshot() -> Option<FinalSnapshot>;
        /// The final registry snapshot of `epoch`, while it is in the ring.
        fn snapshot(epoch: QosEpoch) -> Option<FinalSnapshot>;
    }
}
