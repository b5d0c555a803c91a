//! The leaves that this attestor shows, and when.

use super::intake::Intake;
use crate::datastore::store::StoreError;
use chroom_primitives::{NodeId, QosEpoch, merkle::Root, runtime_api::MemberProof};

/// No proof can be had.
#[derive(Debug, thiserror::Error)]
pub enum ProofRefusal {
    /// Others could still send what the leaves say as their own.
    #[error("leaves of epoch {} are shown when no more roots are taken for it: ask again after the submit window", .0.0)]
    NotYet(QosEpoch),
    /// There are no leaves.
    #[error("this registry has no leaves of epoch {}: not closed yet, or dropped", .0.0)]
    NoLeaves(QosEpoch),
    /// Not this attestor's node.
    #[error("this registry was not in the committee of {node} for epoch {}", epoch.0)]
    NotInCommittee {
        /// The node.
        node: NodeId,
        /// The epoch.
        epoch: QosEpoch,
    },
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Intake {
    /// The leaves of `attestor`, whose registry this is, about a node with their proofs, as a claim needs them, and the root that they fit.
    pub fn proof(&self, attestor: NodeId, epoch: QosEpoch, node: NodeId) -> Result<(MemberProof, Root), ProofRefusal> {
        let attestation = self.register().store().attestation(epoch)?.ok_or(ProofRefusal::NoLeaves(epoch))?;
        if !self.with_schedule(|schedule| schedule.times.roots_are_in(epoch)) {
            return Err(ProofRefusal::NotYet(epoch));
        }
        let proof = attestation.prove(attestor, &node).ok_or(ProofRefusal::NotInCommittee { node, epoch })?;
        Ok((proof, attestation.quality()))
    }
}
